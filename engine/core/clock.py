"""The engine's time: the only module of the project that reads a clock."""

import time
from typing import NamedTuple, Protocol

SECOND = 1_000_000_000
"""Nanoseconds."""
HOUR = 3600 * SECOND
DAY = 24 * HOUR

JUMP = HOUR
"""A step of the wall clock against the monotonic one beyond this is doubted (docs/architecture.md, Time)."""
CONFIRMATION = 10 * 60 * SECOND
"""How long a doubted time must hold, on the monotonic clock, before anything is destroyed by it."""


class Clock(Protocol):
    """Two clocks, both in nanoseconds."""

    def wall(self) -> int:
        """Time since the epoch; may step back and forth."""

    def monotonic(self) -> int:
        """Time since an arbitrary start; never steps."""


class SystemClock:
    """The machine's clocks. The monotonic one goes on during suspend, so that waking up is no jump."""

    def wall(self) -> int:
        """``CLOCK_REALTIME``."""
        return time.time_ns()

    def monotonic(self) -> int:
        """``CLOCK_BOOTTIME`` where there is one, else ``CLOCK_MONOTONIC``."""
        return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Horizon:
    """The present as the engine judges it: what has once been past its deadline stays past it.

    It follows the wall clock forwards and holds still while that steps back, so nothing hidden is served
    again. A forward jump of more than an hour against the monotonic clock hides at once, but is not
    ``trusted`` until it has held for ten minutes: until then nothing is destroyed by it, and if the clock is
    set back to where it was, the jump is forgotten. Setting it back by a part of the jump proves nothing.

    Args:
        clock: Where time comes from.
        floor: A time already vouched for, such as that of the journal's last record; ignored if it lies more
            than a day ahead of the wall clock, where following it would freeze time.
    """

    def __init__(self, clock: Clock, floor: int = 0) -> None:
        self._clock = clock
        wall = clock.wall()
        self._monotonic = clock.monotonic()
        self._skew = wall - self._monotonic
        self._now = max(wall, floor) if floor - wall <= DAY else wall
        self._doubt: _Doubt | None = None

    def now(self) -> int:
        """The present, nanoseconds since the epoch."""
        wall, self._monotonic = self._clock.wall(), self._clock.monotonic()
        skew = wall - self._monotonic
        if skew - self._skew > JUMP:
            before = self._doubt or _Doubt(self._skew, self._now, 0)
            self._doubt = _Doubt(before.skew, before.now, self._monotonic)
        elif self._doubt is not None and skew - self._doubt.skew <= JUMP:
            self._now = self._doubt.now
            self._doubt = None
        self._skew = skew
        self._now = max(self._now, wall)
        return self._now

    def trusted(self) -> bool:
        """Whether the present may be acted upon by destroying what is due."""
        self.now()
        if self._doubt is not None and self._monotonic - self._doubt.since >= CONFIRMATION:
            self._doubt = None
        return self._doubt is None

    def elapsed(self) -> int:
        """The monotonic clock, for measuring durations."""
        return self._clock.monotonic()


class _Doubt(NamedTuple):
    """A forward jump that has not held for long enough.

    Attributes:
        skew: Wall minus monotonic clock before it.
        now: The present before it.
        since: Monotonic time of the (latest) jump.
    """

    skew: int
    now: int
    since: int
