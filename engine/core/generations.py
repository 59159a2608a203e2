"""A table for many entries that are removed in about the order in which they were added.

One dict of a million entries stops everything for a tenth of a second whenever it has to grow. This one
consists of bounded tables, the oldest first, which are dropped when they are empty. Values are stored as
bytes, which the garbage collector ignores. Python's collector counts allocations minus deallocations: while a
million objects replace a million others, it never runs, and then it walks all new ones at once, three times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Final, Generic, TypeVar

from retain.engine.core.snapshot_table import SnapshotTable, TableView

GENERATION: Final = 1 << 16
"""Most entries that are ever added to one table: growing to that size takes a few milliseconds."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class Generations(Generic[Key, Value]):
    """Entries in the order of arrival.

    A look-up takes a step per generation. Values are replaced by removing and adding them again, never
    mutated.

    Args:
        pack: Converts a value to bytes, which need not contain what the key says.
        unpack: The reverse, given key and bytes.

    """

    def __init__(self, pack: Callable[[Value], bytes], unpack: Callable[[Key, bytes], Value]) -> None:
        self._pack = pack
        self._unpack = unpack
        self._tables: list[SnapshotTable[Key, bytes]] = [SnapshotTable()]
        self._taken = 0

    def __len__(self) -> int:
        return sum(map(len, self._tables))

    def __iter__(self) -> Iterator[Key]:
        return chain.from_iterable(self._tables)

    def __contains__(self, key: object) -> bool:
        return any(key in table for table in self._tables)

    def get(self, key: Key) -> Value | None:
        """Return the value of `key`, None if it has none."""
        for table in self._tables:
            packed = table.get(key)
            if packed is not None:
                return self._unpack(key, packed)
        return None

    def add(self, key: Key, value: Value) -> None:
        """Add a key that is not in the table."""
        if self._taken == GENERATION:
            self._begin()
        self._taken += 1
        self._tables[-1][key] = self._pack(value)

    def add_all(self, keys: Iterable[Key], packed: bytes) -> None:
        """Add keys that are not in the table, all with the same value, which is given in packed form.

        There may be 50,000: they go into the dict by one call. A table that is being read changes by one key
        at a time; they go into a new one.
        """
        coming = iter(keys)
        while portion := dict.fromkeys(islice(coming, self._room()), packed):
            self._taken += len(portion)
            self._tables[-1].update(portion)

    def _room(self) -> int:
        """Return how many keys may be added at once to the last table; begin another one if none may."""
        if self._taken == GENERATION or self._tables[-1].is_watched:
            self._begin()
        return GENERATION - self._taken

    def _begin(self) -> None:
        if not self._tables[-1]:
            self._tables.pop()
        self._tables.append(SnapshotTable())
        self._taken = 0

    def pop(self, key: Key) -> Value | None:
        """Remove `key`; return its value, None if it was not in the table."""
        for at, table in enumerate(self._tables):
            if key in table:
                packed = table.pop(key)
                if not table and len(self._tables) - at > 1:
                    del self._tables[at]
                return self._unpack(key, packed)
        return None

    def values(self) -> Iterator[Value]:
        """Return all values, oldest first. Nothing may change meanwhile."""
        return map(self._unpack, self, chain.from_iterable(table.values() for table in self._tables))

    def items(self) -> Iterator[tuple[Key, Value]]:
        """Return all entries, oldest first. Nothing may change meanwhile."""
        return zip(self, self.values(), strict=True)

    def portions(self) -> Iterator[Iterator[Value]]:
        """Yield the present values, a generation at a time.

        Entries may be added and removed meanwhile; new ones are not returned.
        """
        for table in list(self._tables):
            yield map(self._unpack, list(table), list(table.values()))

    def views(self) -> list[TableView[Key, bytes]]:
        """Return the packed entries of this moment, to be read later; see `SnapshotTable.view`."""
        return [table.view() for table in self._tables]
