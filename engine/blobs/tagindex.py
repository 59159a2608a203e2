"""The index of tags: the cost of a query depends on the number of results.

Values compare by code point (docs/wire/blobs.md, section 6). The smallest string above `v` is `v`
followed by U+0000, so every comparison becomes a half-open interval.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, groupby, repeat
from operator import itemgetter
from typing import NamedTuple, Self

from sortedcontainers import SortedList

from retain.engine.blobs.entries import Pairs


class TagRange(NamedTuple):
    """The values from `low` up to, not including, `high`; None is no bound."""

    low: str = ""
    high: str | None = None

    @classmethod
    def between(
        cls,
        lower: str | None = None,
        upper: str | None = None,
        *,
        with_lower: bool = True,
        with_upper: bool = True,
    ) -> Self:
        """Return the range from `lower` to `upper`, each with or without the bound itself."""
        low = "" if lower is None else lower if with_lower else _above(lower)
        high = None if upper is None else _above(upper) if with_upper else upper
        return cls(low, high)

    @property
    def is_point(self) -> bool:
        """Return whether it is one value."""
        return self.high == _above(self.low)


def _above(value: str) -> str:
    return value + "\0"


@dataclass(frozen=True, slots=True)
class TagQuery:
    """A query by tags: every key has a value in its range. A blob without the key never matches.

    Attributes:
        ranges: Per tag key; empty matches every blob that has tags.
        container: The only container looked at (`@container = '…'`), None for all.

    """

    ranges: Mapping[str, TagRange] = field(default_factory=dict)
    container: str | None = None

    def matches(self, tags: Pairs) -> bool:
        """Return whether a blob with these tags is found."""
        ranges = self.ranges
        if not ranges:
            return bool(tags)
        missing = len(ranges)
        for key, value in tags:
            if key in ranges:
                low, high = ranges[key]  # compared here: a page examines 200,000 tags
                if value < low or (high is not None and value >= high):
                    return False
                missing -= 1
        return not missing


class TagIndex:
    """The tags of one container's blobs: per key a sorted list of (value, blob name)."""

    def __init__(self) -> None:
        self._keys: dict[str, SortedList[tuple[str, str]]] = {}

    def add(self, name: str, tags: Pairs) -> None:
        """Add blob `name` with `tags`."""
        for key, value in tags:
            entries = self._keys.get(key)
            if entries is None:
                entries = self._keys[key] = SortedList()
            entries.add((value, name))

    def remove(self, name: str, tags: Pairs) -> None:
        """Remove blob `name` with `tags`, which it had."""
        for key, value in tags:
            entries = self._keys[key]
            entries.remove((value, name))
            if not entries:
                del self._keys[key]

    def load(self, tagged: Iterable[tuple[str, Pairs]]) -> None:
        """Fill the empty index at once.

        This is several times faster than one by one: values and names are sorted as strings, not as pairs.
        """
        gathered: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for name, tags in tagged:
            for pair in tags:
                gathered[pair].append(name)
        for key, pairs in groupby(sorted(gathered), key=itemgetter(0)):
            entries = (zip(repeat(value), sorted(gathered[key, value]), strict=False) for _, value in pairs)
            self._keys[key] = SortedList(chain.from_iterable(entries))

    def count(self, key: str, wanted: TagRange) -> int:
        """Return how many blobs have a value of `key` in the range; O(log n)."""
        entries = self._keys.get(key)
        if entries is None:
            return 0
        stop = len(entries) if wanted.high is None else entries.bisect_left((wanted.high, ""))
        return stop - entries.bisect_left((wanted.low, ""))

    def names(self, key: str, wanted: TagRange) -> Iterator[str]:
        """Yield the names with a value of `key` in the range, by value, then name."""
        entries = self._keys.get(key, ())
        if isinstance(entries, SortedList):
            upper = None if wanted.high is None else (wanted.high, "")
            for _value, name in entries.irange((wanted.low, ""), upper, (True, False)):
                yield name

    def names_of_value(self, key: str, value: str, start: str) -> Iterator[str]:
        """Yield the names from `start` on with exactly `value`, in order."""
        entries = self._keys.get(key)
        if entries is not None:
            for _value, name in entries.irange((value, start), (_above(value), ""), (True, False)):
                yield name

    def names_of_value_below(self, key: str, value: str, low: str, high: str) -> Iterator[str]:
        """Yield the names with exactly `value` from `high`, exclusive, down to `low`."""
        entries = self._keys.get(key)
        if entries is not None:
            for _value, name in entries.irange((value, low), (value, high), (True, False), reverse=True):
                yield name

    def rows(self) -> dict[str, list[tuple[str, str]]]:
        """Return a copy of everything, for checks."""
        return {key: list(entries) for key, entries in self._keys.items()}
