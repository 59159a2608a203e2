"""The cost of following: a query with its check of the published number, applying records, sending a command.

Engine and follower are in one process, connected by a socket, so that its processor time is the whole cost of
a command. The engine writes areas of 1 KiB, 64 at a time, and the follower applies them. A query that returns
nothing shows what every request's query costs beside its own work: the time, and that all it saw is durable.
"""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

from retain.bench.metrics import Measurement
from retain.bench.result import RunResult
from retain.bench.scenario import RunSettings, Scenario
from retain.bench.workloads import areas
from retain.engine import Engine, open_engine
from retain.engine.following.board import Board
from retain.engine.following.codec import Codec
from retain.engine.following.follower import Follower, load_follower
from retain.engine.following.followers import Followers
from retain.engine.following.link import Link
from retain.engine.following.messages import KINDS

QUERIES: Final = 100_000
RECORDS: Final = 20_000
TOGETHER: Final = 64


def measure(settings: RunSettings, result: RunResult) -> None:
    """Apply records, and query the engine and its follower, in turn."""
    trio.run(_measure, settings, result)


async def _measure(settings: RunSettings, result: RunResult) -> None:
    board = Board.create()
    records = settings.scaled(RECORDS, TOGETHER)
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as folder:
        async with open_engine(Path(folder)) as engine, trio.open_nursery() as nursery:
            followers = Followers(engine, board)
            leading, following = _connected()
            loaded = load_follower(engine.disk, board.durable)
            follower = Follower(engine.disk, loaded, board, following, options=engine.options)
            nursery.start_soon(leading.run, followers.handle)
            nursery.start_soon(following.run, follower.receive)
            commands = areas(settings.seed, 1024)
            for _ in range(settings.rounds):
                result.add("create an area of 1 KiB", await _write(engine, commands, records), "engine")
                applied = _timed(records, partial(_apply, follower, board))
                result.add("apply a record of 1 KiB", applied, "follower")
                for who, one in (("engine", engine), ("follower", follower)):
                    result.add("a query, all being durable", await _queries(one), who)
                result.add("create an area of 1 KiB", await _write(follower, commands, records), "follower")
            nursery.cancel_scope.cancel()
        follower.close()
    board.close()


def _connected() -> tuple[Link, Link]:
    codec = Codec(KINDS)
    ends = (trio.socket.from_stdlib_socket(one) for one in socket.socketpair())
    leading, following = (Link(trio.SocketStream(end), codec) for end in ends)
    return leading, following


async def _write(engine: Engine | Follower, commands: Any, records: int) -> Measurement:
    left = iter(range(records))

    async def work() -> None:
        for _ in left:
            await engine.submit(next(commands))

    spent, begin = time.process_time(), time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(TOGETHER):
            nursery.start_soon(work)
    return Measurement.of(records, time.perf_counter() - begin, (), time.process_time() - spent)


def _apply(follower: Follower, board: Board) -> None:
    follower.catch_up(board.durable)


async def _queries(engine: Engine | Follower) -> Measurement:
    spent, begin = time.process_time(), time.perf_counter()
    for _ in range(QUERIES):
        await engine.read(lambda state, now: None)
    return Measurement.of(QUERIES, time.perf_counter() - begin, (), time.process_time() - spent)


def _timed(count: int, work: Callable[[], None]) -> Measurement:
    spent, begin = time.process_time(), time.perf_counter()
    work()
    return Measurement.of(count, time.perf_counter() - begin, (), time.process_time() - spent)


SCENARIO = Scenario("following", "What following costs: a query, a record applied, a command sent.", measure)
