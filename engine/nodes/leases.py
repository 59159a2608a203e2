"""Leases without input and output: which node may answer, and what all nodes that may answer have applied.

Times are readings of one machine's monotonic clock in nanoseconds; no two machines' clocks are compared. Who
gives a grant counts it from when it was given, who holds it from before it was asked for, less a margin. So
the holder's end comes first, however long the messages took.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

MARGIN: Final = 0.1
"""The part of a grant that its holder does not count on: clocks do not run alike."""
SLOW: Final = 2
"""In lengths of a grant: a follower that is further behind the durable records gets no more grants."""


@dataclass(slots=True)
class _Holder:
    """What the leader knows of a follower.

    Attributes:
        applied: The last record that it reported as applied.
        files: The version of the small files that it reported as loaded.
        blanked: The last record up to which it reported all erasures as carried out.
        ends: When its grant ends; 0 without one.
        due: A record that was durable at `since`, and not yet applied by it.
        since: See `due`.

    """

    applied: int
    files: int
    blanked: int
    ends: int = 0
    due: int = 0
    since: int = 0


class Grants:
    """The leader's side: what it granted to whom.

    Args:
        length: Of a grant.
        floor: The last record when this node began to lead: who has not applied it gets no grant.

    """

    def __init__(self, length: int, floor: int) -> None:
        self._length = length
        self._floor = floor
        self._holders: dict[Hashable, _Holder] = {}
        self._settled = 0
        self._unknown = 0

    def assume(self, ends: int) -> None:
        """Assume that nodes which this one does not know of may answer until `ends`, whatever they applied.

        For a leader that takes the log over from its own former life: its grants may still run.
        """
        self._unknown = max(self._unknown, ends)

    def join(self, holder: Hashable, applied: int) -> None:
        """Count a follower in, without a grant."""
        self._holders[holder] = _Holder(applied, -1, 0)

    def leave(self, holder: Hashable, now: int) -> None:
        """Count a follower out whose connection has ended; its grant runs on."""
        found = self._holders.get(holder)
        if found is not None and found.ends <= now:
            del self._holders[holder]

    def release(self, holder: Hashable) -> None:
        """Note that a follower has given its grant back: it answers nobody."""
        found = self._holders.get(holder)
        if found is not None:
            found.ends = 0

    def report(self, holder: Hashable, applied: int, files: int, blanked: int) -> None:
        """Note what a follower says that it has applied, loaded and overwritten."""
        found = self._holders.get(holder)
        if found is not None:
            found.applied = max(found.applied, applied)
            found.files = max(found.files, files)
            found.blanked = max(found.blanked, blanked)

    def grant(self, holder: Hashable, now: int, until: int, durable: int, files: int) -> int:
        """Give a follower a grant, and return its length; 0: none.

        Args:
            holder: The follower.
            now: The present.
            until: When the leader's own lease ends.
            durable: The last durable record.
            files: The version of the small files that all nodes must have.

        """
        found = self._holders.get(holder)
        if found is None:
            return 0
        behind = found.applied < max(self.settled(now, durable), self._floor) or found.files != files
        length = min(self._length, until - now)
        if behind or length <= 0 or self._is_slow(found, now, durable):
            return 0
        found.ends = max(found.ends, now + length)
        return length

    def settled(self, now: int, durable: int) -> int:
        """Return the last record that every node which may answer has applied, of those durable here."""
        if now < self._unknown:
            return self._settled
        least = min([one.applied for one in self._holders.values() if one.ends > now] or [durable])
        self._settled = max(self._settled, min(least, durable))
        return self._settled

    def loaded(self, now: int, files: int) -> bool:
        """Return whether every node that may answer has loaded this version of the small files."""
        return now >= self._unknown and all(
            one.files >= files for one in self._holders.values() if one.ends > now
        )

    def blanked(self, now: int, seq: int) -> bool:
        """Return whether every node that may answer has carried out the erasures up to record `seq`."""
        return now >= self._unknown and all(
            one.blanked >= seq for one in self._holders.values() if one.ends > now
        )

    def next_end(self, now: int) -> int | None:
        """Return when the next grant ends, after `now`; None if there is none."""
        ends = [one.ends for one in self._holders.values()] + [self._unknown]
        return min((end for end in ends if end > now), default=None)

    def _is_slow(self, found: _Holder, now: int, durable: int) -> bool:
        """Return whether a follower is too slow: every change waits for each node that has a grant."""
        if found.applied >= found.due:
            found.due, found.since = durable, now
        return found.applied < found.due and now - found.since > SLOW * self._length


class Permit:
    """A follower's side: until when it may answer."""

    def __init__(self) -> None:
        self._until = 0

    def holds(self, now: int) -> bool:
        """Return whether this node may answer at `now`."""
        return now < self._until

    def granted(self, asked: int, length: int) -> None:
        """Take a grant of `length` for what was asked at `asked`; 0 takes nothing away."""
        self._until = max(self._until, asked + int(length * (1 - MARGIN)))

    def end(self) -> None:
        """Answer nobody from here on."""
        self._until = 0
