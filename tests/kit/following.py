"""An engine and followers of it in one process, connected as the processes of a server are."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import trio
import trio.testing

from retain import journal
from retain.engine import (
    Clock,
    Command,
    Download,
    Engine,
    EngineAccess,
    State,
    Statistics,
    StoredBody,
    Upload,
)
from retain.engine.core.shortages import Shortages
from retain.engine.following.board import Board
from retain.engine.following.codec import Codec
from retain.engine.following.follower import Follower, load_follower
from retain.engine.following.followers import Followers
from retain.engine.following.link import Link
from retain.engine.following.messages import KINDS

CODEC = Codec(KINDS)


@dataclass
class Followed:
    """An engine that leads.

    Attributes:
        engine: It decides.
        board: What it publishes.
        followers: Its side of the links.
        links: The followers' side.
        dropped: How many followers should have ended.

    """

    engine: Engine
    board: Board
    followers: Followers
    nursery: trio.Nursery
    clock: Clock | None
    links: list[Link]
    dropped: int = 0

    async def follow(self) -> Follower:
        """Return one more follower, loaded and connected."""
        here, there = trio.testing.memory_stream_pair()
        leading, following = Link(here, CODEC), Link(there, CODEC)

        def drop() -> None:
            self.dropped += 1
            leading.close()
            following.close()
            self.followers.remove(leading)

        self.followers.add(leading, drop)
        disk = self.engine.disk
        loaded = load_follower(disk, self.board.durable)
        follower = Follower(
            disk, loaded, self.board, following, options=self.engine.options, clock=self.clock
        )
        self.nursery.start_soon(leading.run, self.followers.handle)
        self.nursery.start_soon(following.run, follower.receive)
        self.links.append(following)
        return follower


@asynccontextmanager
async def followed(engine: Engine, clock: Clock | None = None) -> AsyncIterator[Followed]:
    """Let `engine` lead for the length of the block. Its clock is `clock`."""
    board = Board.create()
    async with trio.open_nursery() as nursery:
        followers = Followers(engine, board)
        nursery.start_soon(followers.run)
        yield Followed(engine, board, followers, nursery, clock, [])
        nursery.cancel_scope.cancel()


class Spread:
    """Followers that take turns: each call goes to the next one, as the requests of one client may."""

    def __init__(self, followers: list[Follower], leader: Engine) -> None:
        self._followers = cycle(followers)
        self._first = followers[0]
        self._leader = leader

    def _next(self) -> Follower:
        return next(self._followers)

    @property
    def disk(self) -> journal.Disk:
        return self._first.disk

    @property
    def state(self) -> State:
        return self._first.state

    @property
    def shortages(self) -> Shortages:
        return self._first.shortages

    def now(self) -> int:
        return self._next().now()

    def wall(self) -> int:
        return self._first.wall()

    def entropy(self, size: int) -> bytes:
        return self._leader.entropy(size)

    async def submit(self, command: Command[Any]) -> Any:
        try:
            return await self._next().submit(command)
        finally:
            # A server's worker submits what it took in itself; here the bodies are the first follower's.
            self._first.glance(lambda state: None)

    async def read(self, query: Callable[[State, int], Any]) -> Any:
        return await self._next().read(query)

    async def compute(self, work: Callable[[], Any]) -> Any:
        return await self._first.compute(work)

    def glance(self, query: Callable[[State], Any]) -> Any:
        return self._next().glance(query)

    def upload(self, *, md5: bool = True) -> Upload:
        return self._first.upload(md5=md5)

    async def open_body(self, held: StoredBody) -> Download:
        return await self._next().open_body(held)

    def on_commit(self, callback: Callable[[int], None]) -> None:
        self._first.on_commit(callback)

    def on_sync(self, callback: Callable[[float], None]) -> None:
        self._leader.on_sync(callback)

    def statistics(self) -> Statistics:
        return self._first.statistics()


@asynccontextmanager
async def access(engine: Engine, clock: Clock) -> AsyncIterator[EngineAccess]:
    """Yield what an interface is made over: the engine, or with RETAIN_FOLLOWERS two followers in turns."""
    if not os.environ.get("RETAIN_FOLLOWERS"):
        yield engine
        return
    async with followed(engine, clock) as group:
        yield Spread([await group.follow(), await group.follow()], engine)
