"""Dicts that can be read as of one moment while they change.

Copying a dict of a million entries stops everything for a quarter of a second. A snapshot table is not
copied: from the moment on, each change saves the value that it replaces, and reading combines present and
saved values. Without a reader, a table is as fast as a dict: the methods that save values belong to a
subclass, and the table's class is switched to it only while needed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain, islice
from typing import Any, Final, Generic, Literal, TypeVar
from weakref import ref

import msgpack

PARTS: Final = 64
"""Number of dicts that the saved values of a view are spread over."""
PORTION: Final = 1 << 14
"""Keys listed at a time."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class _Absent(Enum):
    ABSENT = 0


ABSENT: Final = _Absent.ABSENT


class SnapshotTable(dict[Key, Value]):
    """A dict whose values are replaced on change, never mutated. Its keys are what msgpack can encode."""

    __slots__ = ("_views",)

    _views: list[ref[TableView[Key, Value]]]

    def view(self) -> TableView[Key, Value]:
        """Return the entries of this moment, to be read later. Takes no time, whatever the size."""
        view = TableView(self)
        views = [] if type(self) is SnapshotTable else [known for known in self._views if known() is not None]
        self._views = [*views, ref(view)]
        self.__class__ = _Watched
        return view

    @property
    def is_watched(self) -> bool:
        """Return whether a view of it may still be read."""
        return type(self) is not SnapshotTable


class TableView(Generic[Key, Value]):
    """The content of a table when `SnapshotTable.view` was called."""

    def __init__(self, table: SnapshotTable[Key, Value]) -> None:
        self._table = table
        # In parts, each of which is small when it has to grow.
        self._before: tuple[dict[Key, Value | Literal[_Absent.ABSENT]], ...] = tuple({} for _ in range(PARTS))
        self._keys: deque[tuple[Key, ...] | bytes] | None = None

    def list_keys(self) -> None:
        """List the keys to be read: 25 ms for a million entries.

        No change may happen meanwhile, and all changes since the view was made must be durable: entries that
        they removed are listed last.
        """
        if self._keys is None:
            table = self._table
            before = chain.from_iterable(part.items() for part in self._before)
            gone = [key for key, old in before if old is not ABSENT and key not in table]
            keys = chain(table, gone)
            self._keys = deque()
            while portion := tuple(islice(keys, PORTION)):  # other threads run in between
                self._keys.append(portion)

    def pack_keys(self) -> None:
        """Store the listed keys as bytes.

        Otherwise the garbage collector would walk a list of a million keys several times, which takes longer
        than listing them.
        """
        assert self._keys is not None
        for _ in range(len(self._keys)):
            portion = self._keys.popleft()
            self._keys.append(portion if isinstance(portion, bytes) else msgpack.packb(portion))

    def items(self) -> Iterator[tuple[Key, Value]]:
        """Yield the entries in the order of the table, those changed since last. Once only.

        May run in another thread than the changes.
        """
        self.list_keys()
        table, before = self._table, self._before
        assert self._keys is not None
        while self._keys:
            portion = self._keys.popleft()
            for key in msgpack.unpackb(portion, use_list=False) if isinstance(portion, bytes) else portion:
                # In this order: a value is saved before the table changes.
                now = table.get(key, ABSENT)
                value = before[hash(key) % PARTS].get(key, now)
                if value is not ABSENT:
                    yield key, value
        for part in before:
            while part:  # one by one: otherwise all values without another reference would be freed at once
                part.popitem()

    def note(self, key: Key) -> None:
        """Save the value of `key`, which is about to change."""
        before = self._before[hash(key) % PARTS]
        if key not in before:
            before[key] = self._table.get(key, ABSENT)


class _Watched(SnapshotTable[Key, Value]):
    """A table with unread views."""

    __slots__ = ()

    def _note(self, key: Key) -> None:
        """Save the value of `key` in every view.

        Turn back into a plain table if no view is left; so no method here may continue with `super()`.
        """
        views = [view for known in self._views if (view := known()) is not None]
        if not views:
            self.__class__ = SnapshotTable  # type: ignore[assignment]
        for view in views:
            view.note(key)

    def __setitem__(self, key: Key, value: Value) -> None:
        self._note(key)
        dict.__setitem__(self, key, value)

    def __delitem__(self, key: Key) -> None:
        self._note(key)
        dict.__delitem__(self, key)

    def pop(self, key: Key, *default: Any) -> Any:
        self._note(key)
        return dict.pop(self, key, *default)

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a table changes by one key at a time")

    clear = popitem = setdefault = update = __ior__ = _refuse


@dataclass(frozen=True, slots=True)
class Frozen:
    """A part of the state as it was at one moment.

    Attributes:
        rows: Yields it as msgpack rows, later and in another thread.
        views: The views that list keys for the rows: each in a pause of its own, so that none takes long.

    """

    rows: Callable[[], Iterator[Any]]
    views: Sequence[TableView[Any, Any]] = ()
