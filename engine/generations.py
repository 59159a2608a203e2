"""A table of what comes and goes in about the same order: nothing in it is ever moved.

One dict of a million entries stops everything for a tenth of a second whenever it has to grow. This one is
made of tables with an upper bound, the oldest first, which go when they are empty.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Final, Generic, TypeVar

from engine.table import Table, View

GENERATION: Final = 1 << 16
"""Most entries that a table takes in, ever: to grow to that takes a few milliseconds."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class Generations(Generic[Key, Value]):
    """Entries in the order in which they came. Finding one takes a step per generation; values are replaced
    by taking them out and putting them in again, never mutated."""

    def __init__(self) -> None:
        self._tables: list[Table[Key, Value]] = [Table()]
        self._taken = 0

    def __len__(self) -> int:
        return sum(map(len, self._tables))

    def __iter__(self) -> Iterator[Key]:
        return chain.from_iterable(self._tables)

    def __contains__(self, key: object) -> bool:
        return any(key in table for table in self._tables)

    def get(self, key: Key) -> Value | None:
        """The value of ``key``, None if it has none."""
        for table in self._tables:
            value = table.get(key)
            if value is not None:
                return value
        return None

    def add(self, key: Key, value: Value) -> None:
        """Puts in a key that is not there."""
        if self._taken == GENERATION:
            self._tables.append(Table())
            self._taken = 0
        self._taken += 1
        self._tables[-1][key] = value

    def pop(self, key: Key) -> Value | None:
        """Takes ``key`` out; answers its value, None if it was not there."""
        for at, table in enumerate(self._tables):
            if key in table:
                value = table.pop(key)
                if not table and len(self._tables) - at > 1:
                    del self._tables[at]
                return value
        return None

    def values(self) -> Iterator[Value]:
        """All values, oldest first. Nothing may change meanwhile."""
        return chain.from_iterable(table.values() for table in self._tables)

    def items(self) -> Iterator[tuple[Key, Value]]:
        """All entries, oldest first. Nothing may change meanwhile."""
        return chain.from_iterable(table.items() for table in self._tables)

    def portions(self) -> Iterator[list[Value]]:
        """All values that are there now, a generation at a time. Between two of them entries may come, which
        are not looked at, and go."""
        for table in list(self._tables):
            yield list(table.values())

    def views(self) -> list[View[Key, Value]]:
        """What there is at this moment, to be read later; see :meth:`engine.table.Table.view`."""
        return [table.view() for table in self._tables]
