"""The engine's time: the only module of the project that reads a clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock
from typing import NamedTuple, Protocol

from retain.engine.core.time import DAY, MINUTE, SECOND

JUMP = MINUTE
"""The least forward step of the wall clock against the monotonic clock that is put in doubt."""
EXPLAINED = 7 * DAY
"""A smaller jump may be downtime at a start, or a suspended machine; a larger one is most likely a mistake.
"""
CONFIRMATION = 10 * MINUTE
"""How long a doubted time must hold, on the monotonic clock, before it may cause deletions."""
LONG_CONFIRMATION = DAY
"""The same for a jump that downtime does not explain: long enough for an operator to notice it."""
BEHIND = 5 * SECOND
"""A wall clock this far behind the present deserves an operator's attention.

Time services make smaller corrections all the time.
"""
SIGHTING_INTERVAL = MINUTE
"""Time between two sightings recorded for the next start."""
EARLIEST = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) * SECOND
"""A clock that shows an earlier time is wrong: this version was written then."""
_TIME_ERROR = 5
_TIMEX_BYTES = 1024
"""More than the kernel's `struct timex` takes; zeros ask and set nothing."""


class Clock(Protocol):
    """Two clocks, both in nanoseconds."""

    def wall(self) -> int:
        """Return the time since the epoch, which may step back and forth."""

    def monotonic(self) -> int:
        """Return the time since an arbitrary start, which never steps."""


class SystemClock:
    """The machine's clocks. The monotonic one runs on during suspend, so that waking up is no jump."""

    def wall(self) -> int:
        """Return `CLOCK_REALTIME`."""
        return time.time_ns()

    def monotonic(self) -> int:
        """Return `CLOCK_BOOTTIME` where it exists, else `CLOCK_MONOTONIC`."""
        return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def is_synchronized() -> bool | None:
    """Return whether the kernel knows of a time service that sets the clock; None if it does not tell.

    See adjtimex(2). In a container or a virtual machine the host may set the clock unknown to this kernel.
    """
    import ctypes  # only at a first start, and for the doctor

    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    if adjtimex is None:
        return None
    answer = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if answer < 0 else answer < _TIME_ERROR


class Sighting(NamedTuple):
    """The last times that an earlier run recorded, in the data folder, for the next start.

    Attributes:
        present: The vouched time, up to which data could be deleted.
        wall: The wall clock.
        monotonic: The monotonic clock. Until the machine restarts, it reveals how long the server was down.
        journal: The time of the journal's last record.

    """

    present: int
    wall: int
    monotonic: int
    journal: int


class ClockState(NamedTuple):
    """The errors of the wall clock, in nanoseconds; all zero if there are none.

    Attributes:
        behind: How far it is behind the present.
        ahead: How far it has jumped ahead, while that is in doubt.
        wait: How long the jump must still hold to be believed.

    """

    behind: int
    ahead: int
    wait: int


RIGHT = ClockState(0, 0, 0)
"""No error."""


class Horizon:
    """The engine's present: data that has once passed its deadline stays past it.

    The present follows the wall clock forwards. While the wall clock is behind a time that has already
    passed, the present advances with the monotonic clock.

    A forward jump of more than `JUMP` against the monotonic clock, or against what an earlier run saw, or
    smaller ones that come to more within `CONFIRMATION`, hide data at once but delete nothing: `vouched`
    advances from the time before the jump. The jump is believed only when it has held for `CONFIRMATION`, or
    for `LONG_CONFIRMATION` if it is larger than `EXPLAINED`. Setting the clock back to where it was ends the
    doubt, and hidden data is visible again. Setting it back by a part of the jump restarts the wait.

    May be used from any thread.

    Args:
        clock: The source of time.
        floor: The earliest possible present: the time of the journal's last record; 0 for a new journal.
        sighting: The last times of the previous run, None if unknown.

    """

    def __init__(self, clock: Clock, floor: int = 0, sighting: Sighting | None = None) -> None:
        self._clock = clock
        self._lock = Lock()
        self._doubt: _Doubt | None = None
        self._publish: Callable[[int], None] | None = None
        wall, monotonic = clock.wall(), clock.monotonic()
        # All times are distances from the monotonic clock: so they advance by themselves.
        self._vouched = (_passed(floor, sighting, wall, monotonic) or wall) - monotonic
        self._steps = _Steps(self._vouched, monotonic)
        self._look()

    def now(self) -> int:
        """Return the present, nanoseconds since the epoch: whatever ends at or before it is hidden."""
        monotonic, doubt, vouched = self._look()
        return monotonic + (vouched if doubt is None else doubt.shown)

    def pass_over(self, time: int) -> None:
        """Take `time` as passed: another machine has answered by it."""
        with self._lock:
            monotonic = self._clock.monotonic()
            if time - monotonic > self._vouched:
                self._vouched = time - monotonic
                self._steps = _Steps(self._vouched, monotonic)

    def publish(self, to: Callable[[int], None]) -> None:
        """Call `to(skew)`, the present minus the monotonic clock, now and at each clock reading.

        Called from any thread, before that reading is used.
        """
        with self._lock:
            self._publish = to
        self._look()

    def vouched(self) -> int:
        """Return the time up to which data may be deleted: the present, without a jump that is in doubt."""
        monotonic, _, vouched = self._look()
        return monotonic + vouched

    def record_time(self) -> int:
        """Return the time for new records.

        Times never decrease along the journal, so a jump that downtime does not explain is not recorded
        before it is believed.
        """
        monotonic, doubt, vouched = self._look()
        if doubt is None or doubt.shown - vouched > EXPLAINED:
            return monotonic + vouched
        return monotonic + doubt.shown

    def trusted(self) -> bool:
        """Return whether no jump is in doubt."""
        return self._look()[1] is None

    def accept(self) -> None:
        """Accept the wall clock as the present, also if it is earlier, because an operator confirmed it."""
        with self._lock:
            monotonic = self._clock.monotonic()
            self._vouched = self._clock.wall() - monotonic
            self._steps = _Steps(self._vouched, monotonic)
            self._doubt = None
        self._look()

    def state(self) -> ClockState:
        """Return the errors of the wall clock."""
        monotonic, doubt, vouched = self._look()
        skew = self._clock.wall() - self._clock.monotonic()
        if doubt is None:
            return ClockState(max(0, vouched - skew), 0, 0)
        wait = doubt.since + _confirmation(doubt.shown - vouched) - monotonic
        return ClockState(0, max(0, skew - vouched), wait)

    def sighting(self, journal: int) -> Sighting:
        """Return the times for the next start. `journal` is the time of the journal's last record."""
        monotonic, _, vouched = self._look()
        return Sighting(monotonic + vouched, self._clock.wall(), monotonic, journal)

    def wall(self) -> int:
        """Return the wall clock as it is, for reports and for comparison with dates from other clocks."""
        return self._clock.wall()

    def elapsed(self) -> int:
        """Return the monotonic clock, for measuring durations."""
        return self._clock.monotonic()

    def _look(self) -> tuple[int, _Doubt | None, int]:
        """Read the clocks and judge them; return the monotonic clock, the doubt, and the vouched time."""
        with self._lock:
            wall, monotonic = self._clock.wall(), self._clock.monotonic()
            skew, doubt = wall - monotonic, self._doubt
            if monotonic - self._steps.since >= CONFIRMATION:
                self._steps = _Steps(self._vouched, monotonic)
            if skew - self._steps.skew <= JUMP:
                self._vouched = max(self._vouched, skew)
                doubt = None
            else:
                if doubt is None:
                    doubt = _Doubt(skew, skew, monotonic)
                elif abs(skew - doubt.skew) > JUMP:  # the jump did not hold: the wait starts again
                    doubt = _Doubt(skew, doubt.shown, monotonic)
                doubt = doubt._replace(shown=max(doubt.shown, skew))
                if monotonic - doubt.since >= _confirmation(doubt.shown - self._vouched):
                    self._vouched = skew
                    self._steps = _Steps(skew, monotonic)
                    doubt = None
            self._doubt = doubt
            if self._publish is not None:
                self._publish(self._vouched if doubt is None else doubt.shown)
            return monotonic, doubt, self._vouched


class _Steps(NamedTuple):
    """Small steps forward are believed at once, together no more than `JUMP` in `CONFIRMATION`.

    Attributes:
        skew: What was vouched for when counting began, wall minus monotonic clock.
        since: Monotonic time of that.

    """

    skew: int
    since: int


class _Doubt(NamedTuple):
    """A forward jump that has not held for long enough. Both skews are wall minus monotonic clock.

    Attributes:
        skew: At the reading that began the wait.
        shown: The largest seen: what is due by it is hidden.
        since: Monotonic time of that reading.

    """

    skew: int
    shown: int
    since: int


def _confirmation(jump: int) -> int:
    return CONFIRMATION if jump <= EXPLAINED else LONG_CONFIRMATION


def _passed(floor: int, sighting: Sighting | None, wall: int, monotonic: int) -> int:
    """Return the time that had passed when the last run ended, and since then if the machine ran on."""
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
