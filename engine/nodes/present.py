"""The present as a node knows it: by the leader's clock, which its own one must not contradict."""

from __future__ import annotations

from dataclasses import replace

from retain.engine.core.clock import RIGHT, Horizon
from retain.engine.statistics import Statistics


class Present:
    """What this node has answered by, and what the leader has told it.

    Args:
        horizon: This machine's judgement, which counts while this node leads.

    """

    def __init__(self, horizon: Horizon) -> None:
        self._horizon = horizon
        self._last = 0
        self._vouched: int | None = None

    def at_least(self, now: int) -> int:
        """Return `now`, or what was returned before if that was later."""
        self._last = max(self._last, now)
        return self._last

    def heard(self, vouched: int) -> None:
        """Remember up to which time the leader deletes, nanoseconds since the epoch."""
        self._vouched = vouched - self._horizon.elapsed()

    def vouched(self) -> int:
        """Return the time up to which data may be deleted, as far as this node was told.

        A jump that the leader has in doubt does not count, because it may be refuted yet. Nor do the times of
        records, which such a jump may date: where no leader was heard, this machine's own judgement counts.
        """
        if self._vouched is None:
            return self._horizon.vouched()
        return self._horizon.elapsed() + self._vouched

    def compare(self, found: Statistics, leaders: int) -> Statistics:
        """Return a follower's statistics; `leaders` is the present as its leader judges it.

        Its own clock counts once it leads. Until then a folder that ends in the past, as one from a backup
        does, is no jump of the clock.
        """
        apart = 0 if self._vouched is None else self._horizon.wall() - leaders
        return replace(found, clock=RIGHT, records_ahead_ns=0, apart_ns=apart)
