"""The deadline index: one sorted list of all deadlines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from itertools import islice, repeat
from typing import Any, cast

from sortedcontainers import SortedList


class DeadlineKind(IntEnum):
    """What a deadline ends. Not on disk: deadlines are rebuilt from the entries that own them."""

    AREA = 1
    BLOB = 2
    BLOCKS = 3
    TOKEN = 4


LOOK_AT = 100_000
"""Most deadlines that one listing examines: some 50 ms."""

_Entry = tuple[int, int, Any]


class _Collected:
    """Deadlines in the order of arrival, which is nearly that of their times, so sorting is linear.

    Removed ones are purged from time to time, so that live ones are never outnumbered by far.
    """

    def __init__(self, entries: Iterable[_Entry]) -> None:
        self._came = list(entries)
        self._went: list[_Entry] = []
        self.add = self._came.append
        self.update = self._came.extend

    def remove(self, entry: _Entry) -> None:
        self._went.append(entry)
        if 2 * len(self._went) > len(self._came):
            self._take_out()

    def __iter__(self) -> Iterator[_Entry]:
        if self._went:
            self._take_out()
        return iter(self._came)

    def _take_out(self) -> None:
        left = Counter(self._came)
        left.subtract(self._went)
        assert min(left.values()) >= 0, "a deadline was disarmed that had not been armed"
        self._came[:] = left.elements()
        self._went.clear()


class Deadlines:
    """All deadlines of the state, ordered by time.

    Each owner arms at most one deadline of a kind, remembers it, and disarms it with the same arguments. So
    re-arming is O(log n) and produces no dead entries. Keys of one kind must be comparable with one another.
    """

    def __init__(self) -> None:
        self._entries: SortedList[_Entry] = SortedList()
        self.asleep: set[tuple[int, Any]] = set()
        """Kinds and keys whose deadlines are suspended by a legal hold."""
        self._sleeping: dict[tuple[int, Any], int] = {}

    @contextmanager
    def in_bulk(self) -> Iterator[None]:
        """Collect entries without order, for replay, and sort them once at the end.

        That is several times cheaper than keeping order through a long history. No look-up is allowed within
        the block.
        """
        ordered = self._entries
        self._entries = cast("SortedList[_Entry]", _Collected(ordered))
        try:
            yield
        finally:
            self._entries = SortedList(self._entries)

    def __len__(self) -> int:
        return len(self._entries) + len(self._sleeping)

    def arm(self, at: int, kind: DeadlineKind, key: Hashable) -> None:
        """Add the deadline `at` (nanoseconds since the epoch) of `key`."""
        if self.asleep and (int(kind), key) in self.asleep:
            self._sleeping[int(kind), key] = at
        else:
            self._entries.add((at, kind, key))

    def disarm(self, at: int, kind: DeadlineKind, key: Hashable) -> None:
        """Remove exactly what was armed.

        Raises:
            ValueError: It was not armed: a bug in the slice that owns the key. Within `in_bulk` it is raised
                later, as an `AssertionError`.

        """
        if self._sleeping and self._sleeping.get((int(kind), key)) == at:
            del self._sleeping[int(kind), key]
        else:
            self._entries.remove((at, kind, key))

    def load(self, kind: DeadlineKind, ends: Iterable[int], keys: Iterable[Hashable]) -> None:
        """Add many deadlines of a kind at once, several times faster than one by one."""
        if self.asleep:
            for at, key in zip(ends, keys, strict=True):
                self.arm(at, kind, key)
        else:
            self._entries.update(zip(ends, repeat(int(kind)), keys, strict=False))

    def sleep(self, kind: DeadlineKind, key: Hashable, at: int | None) -> None:
        """Suspend the deadlines of `key`: they are recorded but never due. `at` is the present one."""
        if at is not None:
            self.disarm(at, kind, key)
            self._sleeping[int(kind), key] = at
        self.asleep.add((int(kind), key))

    def wake(self, kind: DeadlineKind, key: Hashable) -> None:
        """Resume the deadline that `key` has, if any."""
        self.asleep.discard((int(kind), key))
        at = self._sleeping.pop((int(kind), key), None)
        if at is not None:
            self.arm(at, kind, key)

    def next(self) -> int | None:
        """Return the earliest deadline, None if there is none."""
        return self._entries[0][0] if self._entries else None

    def count_until(self, at: int) -> int:
        """Return how many deadlines are at or before `at`; suspended ones do not count."""
        return self._entries.bisect_left((at + 1, 0, ""))

    def due(self, now: int, limit: int) -> list[tuple[int, DeadlineKind, Any]]:
        """Return at most `limit` entries whose deadline is at or before `now`, earliest first."""
        found: list[tuple[int, DeadlineKind, Any]] = []
        for at, kind, key in self._entries.islice(0, limit):
            if at > now:
                break
            found.append((at, DeadlineKind(kind), key))
        return found

    def of_kind(self, kind: DeadlineKind, at: int, skip: int, limit: int) -> list[tuple[int, Any]]:
        """Return the deadlines of a kind whose keys are texts, from the moment `at` on, earliest first.

        Sleeping deadlines are left out.

        Args:
            kind: The kind of deadline.
            at: Nanoseconds since the epoch.
            skip: How many of them to skip: those of the moment `at` that were returned before.
            limit: Most deadlines returned. At most `LOOK_AT` deadlines of all kinds are examined.
        """
        entries = islice(self._entries.irange((at, int(kind), "")), LOOK_AT)
        wanted = ((end, key) for end, one, key in entries if one == kind)
        return list(islice(wanted, skip, skip + limit))

    def before(self, kind: DeadlineKind, at: int, skip: int, count: int) -> tuple[int, int]:
        """Return where `of_kind` begins to return the `count` deadlines before the place (`at`, `skip`).

        That is a moment, and how many deadlines of that moment come before; (0, 0) if there are no more than
        `count`, or if `LOOK_AT` deadlines of all kinds hold fewer.
        """
        if skip >= count:
            return at, skip - count
        entries = islice(self._entries.irange(maximum=(at, int(kind), ""), reverse=True), LOOK_AT)
        ends = list(islice((end for end, one, _ in entries if one == kind and end < at), count - skip))
        if len(ends) < count - skip:
            return 0, 0
        moment = ends[-1]
        first = self._entries.bisect_left((moment, int(kind), ""))
        behind = self._entries.bisect_left((moment, int(kind) + 1, ""))
        return moment, behind - first - ends.count(moment)

    def entries(self) -> list[tuple[int, int, Any]]:
        """Return a copy of all entries in order, suspended ones included, for checks."""
        sleeping = [(at, kind, key) for (kind, key), at in self._sleeping.items()]
        return sorted([*self._entries, *sleeping])
