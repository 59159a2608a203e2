"""The leader's side: the connected followers, and the messages to and from them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import trio

from retain.engine.core.errors import EngineError
from retain.engine.core.made import MADE
from retain.engine.engine import Engine
from retain.engine.following.board import Board
from retain.engine.following.link import Link
from retain.engine.following.messages import Decided, Durable, Facts, Settle, Submit

LOG = logging.getLogger("retain.following")

FACTS_S: Final = 0.5
"""How often followers get the leader's statistics, in seconds."""
NEWS_S: Final = 0.01
"""Least time between two messages that records became durable, in seconds. Requests do not wait for them;
watchers of changes do.
"""
LOOK_S: Final = 0.2
"""Seconds between two clock readings that the leader makes for the followers."""
SETTLE_S: Final = 10.0
"""A follower that has not applied a record after this long, in seconds, is dropped: it must end."""


class Followers:
    """All followers of an engine.

    Args:
        engine: The deciding engine.
        board: The page on which it publishes.

    """

    def __init__(self, engine: Engine, board: Board) -> None:
        self._engine = engine
        self._links: dict[Link, Callable[[], None]] = {}
        self._news = trio.Event()
        self._left = trio.Event()
        board.publish_run(engine.run)
        engine.lead(board.publish_durable, board.publish_skew, self.settle)
        engine.on_commit(lambda seq: self._news.set())

    def __len__(self) -> int:
        return len(self._links)

    def add(self, link: Link, drop: Callable[[], None]) -> None:
        """Add a follower. From here on, erasures wait for it; it must not have begun to answer.

        Args:
            link: The connection to it.
            drop: Kill its process.

        """
        self._links[link] = drop

    def remove(self, link: Link) -> None:
        """Remove a follower, once its process has ended."""
        self._links.pop(link, None)
        left, self._left = self._left, trio.Event()
        left.set()

    async def handle(self, message: Any) -> Any:
        """Return the answer to a follower's message.

        Raises:
            TypeError: There is no such message.

        """
        if not isinstance(message, Submit):
            raise TypeError(f"a follower sent {type(message).__name__}")
        made: list[int] = []
        MADE.set(made)
        try:
            result = await self._engine.submit(message.command)
        except EngineError as refusal:
            return Decided(self._engine.durable, None, refusal)
        return Decided(self._engine.durable, result, None, tuple(made))

    async def settle(self, seq: int) -> None:
        """Return once every follower has applied record `seq`, or has ended."""
        async with trio.open_nursery() as nursery:
            for link, drop in list(self._links.items()):
                nursery.start_soon(self._settle, link, drop, seq)

    async def _settle(self, link: Link, drop: Callable[[], None], seq: int) -> None:
        with trio.move_on_after(SETTLE_S):
            try:
                await link.ask(Settle(seq), shielded=False)
            except EngineError:
                pass  # it cannot follow, or has ended already
            else:
                return
        LOG.error("a follower does not respond and is stopped", extra={"facts": {"record": seq}})
        drop()
        link.close()
        while link in self._links:
            await self._left.wait()

    async def run(self) -> None:
        """Send news to the followers until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell_news)
            nursery.start_soon(self._tell_facts)
            while True:
                self._engine.now()
                await trio.sleep(LOOK_S)

    async def _tell_news(self) -> None:
        while True:
            await self._news.wait()
            self._news = trio.Event()
            await self._tell(Durable(self._engine.durable))
            await trio.sleep(NEWS_S)

    async def _tell_facts(self) -> None:
        while True:
            await self._tell(Facts(self._engine.statistics()))
            await trio.sleep(FACTS_S)

    async def _tell(self, message: Any) -> None:
        for link in list(self._links):
            # One that does not read must not keep the news from the others; it will be asked to settle.
            with trio.move_on_after(0.1):
                await link.tell(message)
