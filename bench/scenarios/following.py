"""What following costs a worker: a look at the published record, and applying what others have written.

In one process, on a folder of its own: the engine writes areas of 1 KiB, 64 to a frame, and a follower of it
applies them. A query that returns nothing stands for a request's look.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

from retain.bench.metrics import Sample
from retain.bench.result import Result
from retain.bench.scenario import Scenario, Settings
from retain.bench.workloads import areas
from retain.engine import Engine, open_engine
from retain.engine.following.board import Board
from retain.engine.following.follower import Follower, load_follower

LOOKS: Final = 100_000
RECORDS: Final = 20_000
TOGETHER: Final = 64


def measure(settings: Settings, result: Result) -> None:
    """Apply records, and look without news at the engine and at its follower, in turn."""
    trio.run(_measure, settings, result)


async def _measure(settings: Settings, result: Result) -> None:
    board = Board.create()
    records = settings.scaled(RECORDS, TOGETHER)
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as folder:
        async with open_engine(Path(folder)) as engine:

            async def settle(seq: int) -> None:
                follower.catch_up(seq)

            engine.lead(board, settle)
            loaded = load_follower(engine.disk, board.durable)
            follower = Follower(engine.disk, loaded, board, _Nobody(), options=engine.options)
            commands = areas(settings.seed, 1024)
            for _ in range(settings.rounds):
                await _write(engine, commands, records)
                applied = _timed(records, partial(_apply, follower, board))
                result.add("apply a record of 1 KiB", applied, "follower")
                for who, one in (("engine", engine), ("follower", follower)):
                    result.add("a query without news", _timed(LOOKS, partial(_look, one)), who)
            follower.close()
    board.close()


class _Nobody:
    async def ask(self, message: object, *, long: bool = False) -> object:
        raise AssertionError("nothing is submitted at the follower")


async def _write(engine: Engine, commands: Any, records: int) -> None:
    left = iter(range(records))

    async def work() -> None:
        for _ in left:
            await engine.submit(next(commands))

    async with trio.open_nursery() as nursery:
        for _ in range(TOGETHER):
            nursery.start_soon(work)


def _apply(follower: Follower, board: Board) -> None:
    follower.catch_up(board.durable)


def _look(engine: Engine | Follower) -> None:
    for _ in range(LOOKS):
        engine.glance(lambda state, now: None)


def _timed(count: int, work: Callable[[], None]) -> Sample:
    spent, begin = time.process_time(), time.perf_counter()
    work()
    return Sample.of(count, time.perf_counter() - begin, (), time.process_time() - spent)


SCENARIO = Scenario("following", "What a worker pays to follow: a query, and a record applied.", measure)
