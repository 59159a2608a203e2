"""The engine's time: the only module of the project that reads a clock."""

from __future__ import annotations

import time
from threading import Lock
from typing import NamedTuple, Protocol

from retain.engine.core.time import DAY as DAY
from retain.engine.core.time import HOUR as HOUR
from retain.engine.core.time import MINUTE as MINUTE
from retain.engine.core.time import SECOND as SECOND

JUMP = MINUTE
"""A forward step of the wall clock against the monotonic one beyond this is doubted."""
EXPLAINED = 7 * DAY
"""A jump up to this may be downtime, at a start, or a suspended machine. One beyond it is most likely a clock
set wrongly."""
CONFIRMATION = 10 * MINUTE
"""How long a doubted time must hold, on the monotonic clock, before anything is destroyed by it."""
LONG_CONFIRMATION = DAY
"""The same for a jump that downtime does not explain: long enough for a person to notice it."""
BEHIND = 5 * SECOND
"""A wall clock this far behind the present is worth an operator's attention. Time services correct less by
themselves, all the time."""
SIGHTING_INTERVAL = MINUTE
"""Between two sightings written down for the next start."""


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


class Sighting(NamedTuple):
    """What an earlier run last saw of time; kept in the data folder for the next start.

    Attributes:
        present: The time that was vouched for.
        wall: The wall clock.
        monotonic: The monotonic clock. While the machine runs on, it tells how long the server was down.
        journal: The time of the journal's last record.
    """

    present: int
    wall: int
    monotonic: int
    journal: int


class ClockState(NamedTuple):
    """What is wrong with the wall clock; all zero while nothing is. In nanoseconds.

    Attributes:
        behind: How far it lies behind the present.
        ahead: How far it has jumped ahead, while that is in doubt.
        wait: How long that must still hold to be believed.
    """

    behind: int
    ahead: int
    wait: int


RIGHT = ClockState(0, 0, 0)
"""Nothing is wrong."""


class Horizon:
    """The present as the engine judges it: what has once been past its deadline stays past it.

    The present follows the wall clock forwards. While the wall clock lies behind what has already passed, the
    present goes on by the monotonic clock.

    A forward jump of more than `JUMP` against the monotonic clock, or against what an earlier run saw,
    hides at once, but destroys nothing: :meth:`vouched` goes on from where time was. Only when the jump has
    held for `CONFIRMATION`, or for `LONG_CONFIRMATION` if it is larger than `EXPLAINED`, is it believed. A
    clock that is set back to where it was ends the doubt, and what was hidden is there again. Setting it back
    by a part of the jump proves nothing.

    May be used from any thread.

    Args:
        clock: Where time comes from.
        floor: A time already vouched for: that of the journal's last record; 0 for a new journal.
        sighting: What the run before last saw.
    """

    def __init__(self, clock: Clock, floor: int = 0, sighting: Sighting | None = None) -> None:
        self._clock = clock
        self._lock = Lock()
        self._doubt: _Doubt | None = None
        wall, monotonic = clock.wall(), clock.monotonic()
        # All times are kept as their distance from the monotonic clock: so they go on by themselves.
        self._vouched = (_passed(floor, sighting, wall, monotonic) or wall) - monotonic
        self._look()

    def now(self) -> int:
        """The present, nanoseconds since the epoch: whatever ends at or before it is hidden."""
        monotonic, doubt, vouched = self._look()
        return monotonic + (vouched if doubt is None else doubt.shown)

    def vouched(self) -> int:
        """The time by which may be destroyed: the present, but for a jump that is in doubt."""
        monotonic, _, vouched = self._look()
        return monotonic + vouched

    def record_time(self) -> int:
        """The time that records get. Times never go back along the journal, so a jump that downtime does not
        explain does not reach it before it is believed."""
        monotonic, doubt, vouched = self._look()
        if doubt is None or doubt.shown - vouched > EXPLAINED:
            return monotonic + vouched
        return monotonic + doubt.shown

    def trusted(self) -> bool:
        """Whether no jump is in doubt."""
        return self._look()[1] is None

    def accept(self) -> None:
        """An operator says that the wall clock is right: the present is what it shows, also where that is
        earlier."""
        with self._lock:
            self._vouched = self._clock.wall() - self._clock.monotonic()
            self._doubt = None

    def state(self) -> ClockState:
        """What is wrong with the wall clock."""
        monotonic, doubt, vouched = self._look()
        skew = self._clock.wall() - self._clock.monotonic()
        if doubt is None:
            return ClockState(max(0, vouched - skew), 0, 0)
        wait = doubt.since + _confirmation(doubt.shown - vouched) - monotonic
        return ClockState(0, max(0, skew - vouched), wait)

    def sighting(self, journal: int) -> Sighting:
        """What the next start should know. ``journal`` is the time of the journal's last record."""
        monotonic, _, vouched = self._look()
        return Sighting(monotonic + vouched, self._clock.wall(), monotonic, journal)

    def wall(self) -> int:
        """The wall clock as it is, for telling operators and for what others date by their own clocks."""
        return self._clock.wall()

    def elapsed(self) -> int:
        """The monotonic clock, for measuring durations."""
        return self._clock.monotonic()

    def _look(self) -> tuple[int, _Doubt | None, int]:
        """Read the clocks and judge; returns the monotonic clock, the doubt, and what is vouched for."""
        with self._lock:
            wall, monotonic = self._clock.wall(), self._clock.monotonic()
            skew, doubt = wall - monotonic, self._doubt
            if skew - self._vouched <= JUMP:
                self._vouched = max(self._vouched, skew)
                doubt = None
            else:
                if doubt is None:
                    doubt = _Doubt(skew, skew, monotonic)
                elif abs(skew - doubt.skew) > JUMP:  # it did not hold: the wait begins anew
                    doubt = _Doubt(skew, doubt.shown, monotonic)
                doubt = doubt._replace(shown=max(doubt.shown, skew))
                if monotonic - doubt.since >= _confirmation(doubt.shown - self._vouched):
                    self._vouched = skew
                    doubt = None
            self._doubt = doubt
            return monotonic, doubt, self._vouched


class _Doubt(NamedTuple):
    """A forward jump that has not held for long enough. Both skews are wall minus monotonic clock.

    Attributes:
        skew: At the reading that began the wait.
        shown: The largest seen: by it things are hidden.
        since: Monotonic time of that reading.
    """

    skew: int
    shown: int
    since: int


def _confirmation(jump: int) -> int:
    return CONFIRMATION if jump <= EXPLAINED else LONG_CONFIRMATION


def _passed(floor: int, sighting: Sighting | None, wall: int, monotonic: int) -> int:
    """The time that had passed when the last run ended, and since then if the machine itself ran on."""
    if sighting is None:
        return floor
    # Records may be dated ahead of what was vouched for: by a jump in doubt, or before an operator set the
    # present back. The sighting knows of those, or is more than its interval older than they claim to be.
    known = floor <= sighting.journal or floor > sighting.present + 2 * SIGHTING_INTERVAL
    passed = sighting.present if known else max(floor, sighting.present)
    same_run = abs((wall - monotonic) - (sighting.wall - sighting.monotonic)) <= JUMP
    if same_run and monotonic >= sighting.monotonic:
        passed = max(passed, sighting.present + monotonic - sighting.monotonic)
    return passed
