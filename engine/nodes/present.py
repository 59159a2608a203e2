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

    def passed(self, last_record: int) -> int:
        """Return the time that has passed for certain, as far as this node was told.

        A jump that the former leader had in doubt does not count, because it may be refuted yet: what is due
        by it stays hidden, as `at_least` never goes back, and is not destroyed.

        Args:
            last_record: The time of the journal's last record, which counts if no leader was heard.

        """
        if self._vouched is None:
            return max(self._last, last_record)
        return self._horizon.elapsed() + self._vouched

    def compare(self, found: Statistics, leaders: int) -> Statistics:
        """Return a follower's statistics; `leaders` is the present as its leader judges it.

        Its own clock counts once it leads. Until then a folder that ends in the past, as one from a backup
        does, is no jump of the clock.
        """
        apart = 0 if self._vouched is None else self._horizon.wall() - leaders
        return replace(found, clock=RIGHT, records_ahead_ns=0, apart_ns=apart)
