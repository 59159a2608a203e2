"""Engines for campaigns: small on disk, driven step by step from outside Trio."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from queue import Queue
from typing import Any, TypeVar

import trio
import trio.testing

from retain.engine import Engine, Options, open_engine
from retain.engine.testing import SteppedClock, verify
from retain.journal import JournalOptions
from retain.journal.format.limits import BATCH_BYTES
from retain.journal.testing.memory import MemoryDisk

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class LightOptions(Options):
    """A server's, with room for one batch ahead and none for a full disk: it costs a quarter in memory."""

    def journal(self) -> JournalOptions:
        return replace(Options.journal(self), step_bytes=BATCH_BYTES, ballast_bytes=16 << 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallOptions(Options):
    """Small segments, little room ahead: rolls often, and a disk costs kilobytes. For small commands only."""

    sweep_interval_s: float = 3600.0

    def journal(self) -> JournalOptions:
        return JournalOptions(
            segment_bytes=12 << 10, reserve_bytes=16 << 10, step_bytes=4 << 10, ballast_bytes=8 << 10
        )


class Puppet:
    """An engine controlled from a thread without Trio, as Hypothesis' state machines need it."""

    def __init__(self, disk: MemoryDisk, clock: SteppedClock) -> None:
        self.disk = disk
        self.clock = clock
        self.engine: Engine
        self._token: trio.lowlevel.TrioToken
        self._stop: trio.Event
        self._ready: Queue[BaseException | None] = Queue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._failure: BaseException | None = None
        self._thread.start()
        failure = self._ready.get(timeout=120)
        if failure is not None:
            raise failure

    def do(self, work: Callable[[Engine], Awaitable[Value]]) -> Value:
        """Runs `work(engine)` in the engine's Trio and returns its result."""

        async def inside() -> Value:
            return await work(self.engine)

        return trio.from_thread.run(inside, trio_token=self._token)

    def close(self, *, verified: bool = True) -> None:
        """Ends the engine in order."""
        if verified:
            self.do(verify)
        trio.from_thread.run_sync(self._stop.set, trio_token=self._token)
        self._thread.join(120)
        assert not self._thread.is_alive()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            trio.run(self._live)
        except BaseException as error:  # raised in the steering thread
            self._failure = error
            self._ready.put(error)

    async def _live(self) -> None:
        async with open_engine(self.disk, clock=self.clock, options=SmallOptions()) as engine:
            self.engine = engine
            self._token = trio.lowlevel.current_trio_token()
            self._stop = trio.Event()
            self._ready.put(None)
            await self._stop.wait()


async def in_order(nursery: trio.Nursery, *works: Callable[[], Awaitable[Any]]) -> None:
    """Starts each when the one before waits: so commands queue in this order."""
    for work in works:
        nursery.start_soon(work)
        await trio.testing.wait_all_tasks_blocked()


async def pass_time(engine: Engine, clock: trio.testing.MockClock, seconds: int) -> None:
    """Lets that much of Trio's time pass, second by second, with the work of each second done before the
    next: an autojump clock would not wait for worker threads."""
    for _ in range(seconds):
        await quiet(engine)
        clock.jump(1)
        await quiet(engine)


async def quiet(engine: Engine) -> None:
    """Returns when all tasks wait for something to come, and no worker thread runs."""
    shared = trio.to_thread.current_default_thread_limiter()
    await trio.testing.wait_all_tasks_blocked()
    while shared.borrowed_tokens or engine._writer._thread.busy:
        await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
