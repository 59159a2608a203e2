"""A table of what comes and goes in about the same order, in great numbers: nothing in it is ever moved, and
the garbage collector has nothing to walk.

One dict of a million entries stops everything for a tenth of a second whenever it has to grow. This one is
made of tables with an upper bound, the oldest first, which go when they are empty. Values are kept as bytes:
Python's collector counts what is made minus what is freed, so while a million objects are made in place of a
million others it never runs, and then walks all of the new ones at once, three times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final, Generic, TypeVar

from retain.engine.core.snapshot_table import SnapshotTable, TableView

GENERATION: Final = 1 << 16
"""Most entries that a table takes in, ever: to grow to that takes a few milliseconds."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class Generations(Generic[Key, Value]):
    """Entries in the order in which they came. Finding one takes a step per generation; values are replaced
    by taking them out and putting them in again, never mutated.

    Args:
        pack: Makes bytes of a value.
        unpack: The other way round.
    """

    def __init__(self, pack: Callable[[Value], bytes], unpack: Callable[[bytes], Value]) -> None:
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
        """The value of ``key``, None if it has none."""
        for table in self._tables:
            packed = table.get(key)
            if packed is not None:
                return self._unpack(packed)
        return None

    def add(self, key: Key, value: Value) -> None:
        """Puts in a key that is not there."""
        if self._taken == GENERATION:
            self._tables.append(SnapshotTable())
            self._taken = 0
        self._taken += 1
        self._tables[-1][key] = self._pack(value)

    def pop(self, key: Key) -> Value | None:
        """Takes ``key`` out; answers its value, None if it was not there."""
        for at, table in enumerate(self._tables):
            if key in table:
                packed = table.pop(key)
                if not table and len(self._tables) - at > 1:
                    del self._tables[at]
                return self._unpack(packed)
        return None

    def values(self) -> Iterator[Value]:
        """All values, oldest first. Nothing may change meanwhile."""
        return map(self._unpack, chain.from_iterable(table.values() for table in self._tables))

    def items(self) -> Iterator[tuple[Key, Value]]:
        """All entries, oldest first. Nothing may change meanwhile."""
        return zip(self, self.values(), strict=True)

    def portions(self) -> Iterator[Iterator[Value]]:
        """All values that are there now, a generation at a time. While one is gone through, and between two,
        entries may come, which are not looked at, and go."""
        for table in list(self._tables):
            yield map(self._unpack, list(table.values()))

    def views(self) -> list[TableView[Key, bytes]]:
        """What there is at this moment, packed, to be read later; see :meth:`engine.table.Table.view`."""
        return [table.view() for table in self._tables]
