"""Pages of a container's blobs: by name, and by tags.

The cost of a page depends on its length: names are found in a sorted list, and a whole group behind a
delimiter is skipped by one seek. A find starts with its most selective clause and examines a bounded number
of blobs, so a page may be short, or even empty, and still have a next one (docs/wire/blobs.md, sections 5.4
and 6 allow that).
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import nlargest
from typing import NamedTuple

from retain.engine.blobs.containers import Container
from retain.engine.blobs.entries import BlobEntry, StagedBlocks
from retain.engine.blobs.state import BlobsState, required
from retain.engine.blobs.tagindex import TagQuery

LOOK_AT = 10_000
"""Most blobs that one page of a find examines, if it compares one tag of each: some 10 ms. A quarter of them
where it compares ten."""
LOOK_BACK = LOOK_AT // 2
"""Most blobs that are examined to find the page before one: it is added to the cost of a page."""
HIGHEST = chr(0x10FFFF)


class Listed(NamedTuple):
    """A blob or a group in a list.

    Attributes:
        name: The blob's name, or what the names of the group begin with, delimiter included.
        entry: The blob; the staged blocks of one that was never committed; None for a group.
        ends: When it expires; nanoseconds since the epoch, None for never and for groups.

    """

    name: str
    entry: BlobEntry | StagedBlocks | None
    ends: int | None = None


class BlobPage(NamedTuple):
    """A page of a list.

    Attributes:
        next: The name from which the next page starts, None if this is the last.

    """

    items: tuple[Listed, ...]
    next: str | None


class FoundBlob(NamedTuple):
    """A blob found by its tags."""

    container: str
    name: str
    entry: BlobEntry


class FoundPage(NamedTuple):
    """A page of found blobs, by container, then name.

    Attributes:
        next: Container and name from which the next page starts, None if this is the last.

    """

    items: tuple[FoundBlob, ...]
    next: tuple[str, str] | None


def list_blobs(
    blobs: BlobsState,
    account: str,
    container: str,
    now: int,
    *,
    prefix: str = "",
    delimiter: str = "",
    start: str = "",
    limit: int,
    uncommitted: bool = False,
) -> BlobPage:
    """Return one page of the blobs whose names begin with `prefix`, in order of code points.

    Args:
        blobs: The slice.
        account: The account.
        container: The container.
        now: Nanoseconds since the epoch; what has expired is left out.
        prefix: The prefix of the names.
        delimiter: Names that contain it after the prefix are returned as one group each; empty: none are.
        start: The first name to return, `next` of the page before.
        limit: Most items, 1 or more; a group is one.
        uncommitted: Also names that only have staged blocks.

    Raises:
        NotFound: `container`.
    """
    found = required(blobs, account, container)
    items: list[Listed] = []
    at = max(prefix, start)
    while True:
        group: str | None = None
        for name, entry in _from(found, at, now, uncommitted):
            if not name.startswith(prefix):
                return BlobPage(tuple(items), None)
            if len(items) == limit:
                return BlobPage(tuple(items), name)
            cut = name.find(delimiter, len(prefix)) if delimiter else -1
            if cut >= 0:
                group = name[: cut + len(delimiter)]
                items.append(Listed(group, None))
                break
            ends = found.ends(entry) if isinstance(entry, BlobEntry) else None
            items.append(Listed(name, entry, ends))
        if group is None:
            return BlobPage(tuple(items), None)
        behind = after_prefix(group)
        if behind is None:
            return BlobPage(tuple(items), None)
        at = behind


def page_before(
    blobs: BlobsState,
    account: str,
    container: str,
    now: int,
    *,
    prefix: str = "",
    delimiter: str = "",
    start: str,
    limit: int,
) -> str:
    """Return the start of the page before the one that starts at `start`; empty if that is the first.

    Arguments are as for `list_blobs`, which returns this page if it is given the result as its `start`.

    Raises:
        NotFound: `container`.
    """
    found = required(blobs, account, container)
    edge = found.alive_after(now)
    at = start
    for _ in range(limit):
        names = found.names.irange(prefix, at, inclusive=(True, False), reverse=True)
        name = next((one for one in names if found.blobs[one].modified > edge), None)
        if name is None or not name.startswith(prefix):
            return ""
        cut = name.find(delimiter, len(prefix)) if delimiter else -1
        at = name if cut < 0 else name[: cut + len(delimiter)]
    return at


def count_names(blobs: BlobsState, account: str, container: str, prefix: str) -> int:
    """Return the number of blobs whose names begin with `prefix`, in O(log n).

    Counts expired blobs that were not swept yet.

    Raises:
        NotFound: `container`.
    """
    names = required(blobs, account, container).names
    behind = after_prefix(prefix)
    return (len(names) if behind is None else names.bisect_left(behind)) - names.bisect_left(prefix)


def after_prefix(prefix: str) -> str | None:
    """Return the smallest string above all that begin with `prefix`, None if there is none."""
    stem = prefix.rstrip(HIGHEST)
    return stem[:-1] + chr(ord(stem[-1]) + 1) if stem else None


def _from(
    container: Container, start: str, now: int, uncommitted: bool
) -> Iterator[tuple[str, BlobEntry | StagedBlocks]]:
    """Yield the live blobs from the name `start` on, in order."""
    edge = container.alive_after(now)
    entries = container.blobs
    waiting = _pending_from(container, start, now) if uncommitted else iter(())
    head = next(waiting, None)
    for name in container.names.irange(start):
        entry = entries[name]
        while head is not None and head[0] < name:
            yield head
            head = next(waiting, None)
        if entry.modified > edge:
            if head is not None and head[0] == name:
                head = next(waiting, None)
            yield name, entry
    if head is not None:
        yield head
        yield from waiting


def _pending_from(container: Container, start: str, now: int) -> Iterator[tuple[str, StagedBlocks]]:
    for name in container.pending_names.irange(start):
        pending = container.uncommitted(name, now)
        if pending is not None:
            yield name, pending


def find_blobs(
    blobs: BlobsState,
    account: str,
    query: TagQuery,
    now: int,
    *,
    container: str | None = None,
    start: tuple[str, str] = ("", ""),
    limit: int,
) -> FoundPage:
    """Return the blobs of an account, or of one container, whose tags match; by container, then name.

    Args:
        blobs: The slice.
        account: The account.
        query: The query by tags.
        now: Nanoseconds since the epoch; what has expired is left out.
        container: The container that the request names.
        start: `next` of the page before.
        limit: Most blobs, 1 or more.

    Raises:
        NotFound: `container`: the one that the request names does not exist. One that only the query names
            matches nothing.
    """
    if container is not None:
        candidates = [required(blobs, account, container)]
    else:
        candidates = list(blobs.accounts.get(account, {}).values())
    if query.container is not None:
        candidates = [one for one in candidates if one.name == query.container]
    items: list[FoundBlob] = []
    budget = _budget(LOOK_AT, query)
    for one in candidates:
        if one.name < start[0]:
            continue
        first = start[1] if one.name == start[0] else ""
        search = _Search(one, query, now, budget)
        items += [
            FoundBlob(one.name, name, one.blobs[name]) for name in search.run(first, limit - len(items))
        ]
        if search.next is not None:
            return FoundPage(tuple(items), (one.name, search.next))
        budget = max(search.budget, 1)
    return FoundPage(tuple(items), None)


def find_before(
    blobs: BlobsState,
    account: str,
    query: TagQuery,
    now: int,
    *,
    container: str,
    low: str = "",
    start: str,
    limit: int,
) -> str | None:
    """Return the start of the page before the one of `find_blobs` that starts at `start`.

    Args:
        blobs: The slice.
        account: The account.
        query: The query by tags.
        now: Nanoseconds since the epoch; what has expired is left out.
        container: The container that the request names.
        low: The name that the first page starts at.
        start: The name that this page starts at.
        limit: Most blobs of a page, 1 or more.

    Returns:
        A name; `low` if that page is the first; None if nothing below `start` matches. Where `LOOK_BACK`
        blobs do not hold `limit` matches, the last one looked at, so that page is short.

    Raises:
        NotFound: `container`.

    """
    one = required(blobs, account, container)
    if start <= low or query.container not in (None, one.name):
        return None
    return _Search(one, query, now, _budget(LOOK_BACK, query)).back(low, start, limit)


def _budget(most: int, query: TagQuery) -> int:
    """Return how many blobs a page may examine, where `most` is for a query that compares one tag."""
    return max(1, most * 3 // (2 + max(1, len(query.ranges))))


class _Search:
    """The search by tags in one container, for one page.

    Attributes:
        next: The name to continue from; None at the end of the container.
        budget: How many more blobs may be looked at.

    """

    def __init__(self, container: Container, query: TagQuery, now: int, budget: int) -> None:
        self.next: str | None = None
        self.budget = budget
        self._container = container
        self._query = query
        self._edge = container.alive_after(now)

    def run(self, start: str, limit: int) -> list[str]:
        """Return the matching names from `start` on, at most `limit`, in order."""
        tags, ranges = self._container.tags, self._query.ranges
        key, gathered = self._clause()
        if key is None:
            return self._scan(self._container.names.irange(start), limit)
        if gathered is None:
            return self._scan(tags.names_of_value(key, ranges[key].low, start), limit)
        self.budget -= gathered
        return self._gather(tags.names(key, ranges[key]), start, limit)

    def _clause(self) -> tuple[str | None, int | None]:
        """Return the key of the clause to search by; None: none, names are examined in their order.

        With it, the number of blobs in its range of values, where all of them are gathered and sorted; None
        where the clause names one value, of which the names are sorted already.
        """
        tags, ranges = self._container.tags, self._query.ranges
        counts = {key: tags.count(key, wanted) for key, wanted in ranges.items()}
        ordered = sorted(counts, key=lambda key: (counts[key], key))
        if ordered and not ranges[ordered[0]].is_point and counts[ordered[0]] <= self.budget:
            return ordered[0], counts[ordered[0]]
        return next((key for key in ordered if ranges[key].is_point), None), None

    def _scan(self, names: Iterator[str], limit: int) -> list[str]:
        """Examine names in order, as many as the budget allows."""
        found: list[str] = []
        for name in names:
            matches = self.budget > 0 and self._matches(name)
            if self.budget == 0 or (matches and len(found) == limit):
                self.next = name
                break
            self.budget -= 1
            if matches:
                found.append(name)
        return found

    def _gather(self, names: Iterator[str], start: str, limit: int) -> list[str]:
        """Return the first names of a range whose names come in the order of its values.

        Looks at all of them.
        """
        blobs, edge, matches = self._container.blobs, self._edge, self._query.matches
        found: list[str] = []
        for name in names:
            if name >= start:
                entry = blobs[name]
                if entry.modified > edge and matches(entry.tags):
                    found.append(name)
        # The names of each value are in order already: sorting is faster than a heap of thousands.
        found.sort()
        if len(found) > limit:
            self.next = found[limit]
        return found[:limit]

    def back(self, low: str, high: str, limit: int) -> str | None:
        """Return the lowest of the `limit` matching names below `high`; see `find_before`."""
        tags, ranges = self._container.tags, self._query.ranges
        key, gathered = self._clause()
        if key is None:
            below = self._container.names.irange(low, high, (True, False), reverse=True)
            return self._scan_back(below, low, limit)
        if gathered is None:
            return self._scan_back(tags.names_of_value_below(key, ranges[key].low, low, high), low, limit)
        names = tags.names(key, ranges[key])
        found = nlargest(limit + 1, (one for one in names if low <= one < high and self._matches(one)))
        return None if not found else low if len(found) <= limit else found[limit - 1]

    def _scan_back(self, names: Iterator[str], low: str, limit: int) -> str | None:
        """Look at names in their reverse order, as many as the budget allows."""
        found = 0
        first: str | None = None
        for name in names:
            if found == limit or self.budget == 0:
                return first
            self.budget -= 1
            first = name if self.budget == 0 else first
            if self._matches(name):
                found += 1
                first = name
        return low if found else None

    def _matches(self, name: str) -> bool:
        entry = self._container.blobs[name]
        return entry.modified > self._edge and self._query.matches(entry.tags)
