"""Leases without input and output: which node may answer, and what all nodes that may answer have applied.

Times are readings of one machine's monotonic clock in nanoseconds; clocks of two machines are never compared.
The leader counts a grant from the moment it gave it. The follower counts it from before it asked, less a
margin. So the grant ends first for the follower, however long the messages took.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from math import inf
from typing import Final

from retain.engine.core.time import SECOND
from retain.journal.shared.interface import SharedHead, Term

MARGIN: Final = 0.1
"""The part of a grant that the follower does not use, because clocks run at different rates."""
SLOW: Final = 2
"""A follower that is behind the durable records for more lengths of a grant than this gets no more grants."""
_NEVER: Final = (Term(-1, b""), inf)


@dataclass(slots=True)
class _Holder:
    """What the leader knows about a follower.

    Attributes:
        applied: The last record that it reported as applied.
        files: The version of the small files that it reported as loaded.
        overwritten: The last record up to which it reported all erasures as carried out.
        ends: When its grant ends; 0 without one.
        due: A record that was durable at `since`, and not yet applied by it.
        since: See `due`.
        gone: Whether its connection has ended.

    """

    applied: int
    files: int
    overwritten: int
    ends: int = 0
    due: int = 0
    since: int = 0
    gone: bool = False


class Grants:
    """The leader's side: what it granted to whom.

    Args:
        length: The length of a grant, nanoseconds.
        floor: The last record when this node began to lead. A follower gets a grant once it has applied it.

    """

    def __init__(self, length: int, floor: int) -> None:
        self._length = length
        self._floor = floor
        self._holders: dict[Hashable, _Holder] = {}
        self._settled = 0
        self._unknown = 0

    def assume(self, ends: int) -> None:
        """Assume that unknown nodes may answer until `ends`, whatever they have applied.

        For a leader that was restarted: the grants that it gave before may still run.
        """
        self._unknown = max(self._unknown, ends)

    def join(self, holder: Hashable, applied: int) -> None:
        """Add a follower, without a grant."""
        self._holders[holder] = _Holder(applied, -1, 0)

    def leave(self, holder: Hashable, now: int) -> None:
        """Remove a follower whose connection has ended; its grant continues until it ends."""
        found = self._holders.get(holder)
        if found is not None:
            found.gone = True
            self._clear(now)

    def release(self, holder: Hashable) -> None:
        """Note that a follower has returned its grant: it no longer answers."""
        found = self._holders.get(holder)
        if found is not None:
            found.ends = 0

    def report(self, holder: Hashable, applied: int, files: int, overwritten: int) -> None:
        """Note what a follower has reported as applied, loaded and overwritten."""
        found = self._holders.get(holder)
        if found is not None:
            found.applied = max(found.applied, applied)
            found.files = max(found.files, files)
            found.overwritten = max(found.overwritten, overwritten)

    def grant(self, holder: Hashable, now: int, until: int, durable: int, files: int) -> int:
        """Give a follower a grant, and return its length; 0 if it gets none.

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
        self._clear(now)
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

    def overwritten(self, now: int, seq: int) -> bool:
        """Return whether every node that may answer has carried out the erasures up to record `seq`."""
        return now >= self._unknown and all(
            one.overwritten >= seq for one in self._holders.values() if one.ends > now
        )

    def next_end(self, now: int) -> int | None:
        """Return when the next grant ends, after `now`; None if there is none."""
        ends = [one.ends for one in self._holders.values()] + [self._unknown]
        return min((end for end in ends if end > now), default=None)

    def _clear(self, now: int) -> None:
        """Remove those whose connection and grant have ended."""
        for holder in [one for one, found in self._holders.items() if found.gone and found.ends <= now]:
            del self._holders[holder]

    def _is_slow(self, found: _Holder, now: int, durable: int) -> bool:
        """Return whether a follower is too slow: every change waits for each node that has a grant."""
        if found.applied >= found.due:
            found.due, found.since = durable, now
        return found.applied < found.due and now - found.since > SLOW * self._length


class Permit:
    """A follower's side, for one connection to a leader: until when it may answer."""

    def __init__(self) -> None:
        self._until = 0
        self._ended = False

    def holds(self, now: int) -> bool:
        """Return whether this node may answer at `now`."""
        return now < self._until

    def granted(self, asked: int, length: int) -> None:
        """Note a grant of `length` that was requested at `asked`; 0 changes nothing.

        A grant given before `end` and noted after it has no effect: the leader no longer counts on it.
        """
        if self._ended:
            return
        self._until = max(self._until, asked + int(length * (1 - MARGIN)))

    def end(self) -> None:
        """End the grant: this node no longer answers, whatever it was granted before."""
        self._until, self._ended = 0, True


class OtherLease:
    """The lease in the shared log, as this node has seen it.

    The shared log's server ends it by its own clock. If that is set forward, the leader and its followers
    still answer. So a lease has ended only if it was also not renewed for its whole length on this node's
    clock, counted from when this node first saw it. The holder began to count before that.

    Args:
        elapsed: Returns the monotonic clock, nanoseconds. It must advance while the machine is suspended.
        length: The length of a lease, seconds.

    """

    def __init__(self, elapsed: Callable[[], int], length: float) -> None:
        self._elapsed = elapsed
        self._length = round(length * SECOND)
        self._seen: tuple[Term, float] = _NEVER
        self._since = 0

    def saw(self, head: SharedHead) -> None:
        """Note what has just been read."""
        if (head.term, head.ends) != self._seen:
            self._seen, self._since = (head.term, head.ends), self._elapsed()

    def is_over(self, head: SharedHead) -> bool:
        """Return whether nobody can have a lease any more; `head` is the last that this node saw."""
        if not head.leader or head.remaining == -inf:
            return True
        return head.remaining <= 0 and self._elapsed() - self._since >= self._length
