"""Test kit for programs that embed the engine: manual clocks, a disk in memory, an engine on both."""

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

    Read it first from a Trio task; afterwards worker threads may read it as well.

    Attributes:
        offset: Nanoseconds between the wall clock and Trio's time.

    """

    def __init__(self, start: int = EPOCH) -> None:
        self.offset = start
        self._extra = 0
        self._trio: trio.abc.Clock | None = None

    def wall(self) -> int:
        """Return Trio's time plus `offset`."""
        return self.monotonic() + self.offset

    def monotonic(self) -> int:
        """Return Trio's time, plus the seconds that `advance` added."""
        if self._trio is None:
            self._trio = trio.lowlevel.current_clock()
        return int(self._trio.current_time() * SECOND) + self._extra

    def advance(self, seconds: float) -> None:
        """Advance both clocks."""
        self._extra += round(seconds * SECOND)

    def step(self, seconds: float) -> None:
        """Set the wall clock forwards or back, as an operator or time service would.

        The monotonic clock runs on.
        """
        self.offset += round(seconds * SECOND)


class SteppedClock:
    """A clock outside Trio that changes only when it is advanced or stepped."""

    def __init__(self, start: int = EPOCH) -> None:
        self._wall = start
        self._monotonic = 0

    def wall(self) -> int:
        """Return the time set."""
        return self._wall

    def monotonic(self) -> int:
        """Return the time advanced since the start, without steps."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Advance both clocks."""
        self._wall += round(seconds * SECOND)
        self._monotonic += round(seconds * SECOND)

    def step(self, seconds: float) -> None:
        """Set the wall clock alone."""
        self._wall += round(seconds * SECOND)


@asynccontextmanager
async def open_memory_engine(
    disk: Disk | None = None,
    *,
    clock: ManualClock | SteppedClock | None = None,
    options: Options | None = None,
) -> AsyncIterator[Engine]:
    """Open an engine on a memory disk and a manual clock; verify it when the block ends without an error.

    Verification checks that indexes agree with entries, and that replaying the journal gives the live state.
    """
    disk = disk if disk is not None else MemoryDisk()
    async with open_engine(disk, clock=clock or ManualClock(), options=options) as engine:
        yield engine
        await verify(engine)


async def verify(engine: Engine) -> None:
    """Assert that indexes and payload files are right, and that replaying gives the live state.

    May be called whenever no command is running.
    """

    def settled() -> None:
        engine.state.check()
        replayed = engine.replayed()
        assert replayed.digest() == engine.state.digest(), "replay differs from live state"
        replayed.check()

    await engine.between_batches(settled)
