"""Test kit for programs that embed the engine: time that is told, a disk in memory, an engine on both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from retain.engine.core.time import SECOND
from retain.engine.engine import Engine, open_engine
from retain.engine.options import Options
from retain.journal import Disk
from retain.journal.testing.memory import MemoryDisk

EPOCH = 1_767_225_600 * SECOND
"""2026-01-01T00:00:00Z, where manual clocks start."""


class ManualClock:
    """A clock that follows Trio's, which tests replace by an autojump one, and can be stepped.

    To be read first from a Trio task; afterwards from worker threads as well.

    Attributes:
        offset: Nanoseconds between the wall clock and Trio's time.
    """

    def __init__(self, start: int = EPOCH) -> None:
        self.offset = start
        self._extra = 0
        self._trio: trio.abc.Clock | None = None

    def wall(self) -> int:
        """Trio's time plus ``offset``."""
        return self.monotonic() + self.offset

    def monotonic(self) -> int:
        """Trio's time, plus what :meth:`advance` added."""
        if self._trio is None:
            self._trio = trio.lowlevel.current_clock()
        return int(self._trio.current_time() * SECOND) + self._extra

    def advance(self, seconds: float) -> None:
        """Lets time pass on both clocks."""
        self._extra += round(seconds * SECOND)

    def step(self, seconds: float) -> None:
        """Sets the wall clock forwards or back, as an operator or time service would; the monotonic one runs
        on."""
        self.offset += round(seconds * SECOND)


class SteppedClock:
    """A clock outside Trio that stands still until told."""

    def __init__(self, start: int = EPOCH) -> None:
        self._wall = start
        self._monotonic = 0

    def wall(self) -> int:
        """The time told."""
        return self._wall

    def monotonic(self) -> int:
        """Time told since the start, without steps."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Lets time pass on both clocks."""
        self._wall += round(seconds * SECOND)
        self._monotonic += round(seconds * SECOND)

    def step(self, seconds: float) -> None:
        """Sets the wall clock alone."""
        self._wall += round(seconds * SECOND)


@asynccontextmanager
async def open_memory_engine(
    disk: Disk | None = None,
    *,
    clock: ManualClock | SteppedClock | None = None,
    options: Options | None = None,
) -> AsyncIterator[Engine]:
    """An engine on a memory disk and a manual clock; when the block ends well, it is verified.

    Verified means: indexes agree with entries, and replaying the journal gives the live state.
    """
    disk = disk if disk is not None else MemoryDisk()
    async with open_engine(disk, clock=clock or ManualClock(), options=options) as engine:
        yield engine
        await verify(engine)


async def verify(engine: Engine) -> None:
    """Asserts what must hold at any quiet moment: indexes, payload files, and live state equal to replayed
    state."""

    def settled() -> None:
        engine.state.check()
        replayed = engine.replayed()
        assert replayed.digest() == engine.state.digest(), "replay differs from live state"
        replayed.check()

    await engine.between_batches(settled)
