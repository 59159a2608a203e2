"""A bounded set of files kept open for reading."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from retain.journal.disk.interface import File
from retain.journal.errors import Shortage


class _Handle:
    __slots__ = ("file", "kept", "users")

    def __init__(self, file: File) -> None:
        self.file = file
        self.users = 0
        self.kept = True


class Handles:
    """At most `limit` open files. The least recently used is closed first, and none while it is read from.

    Files that are being read beyond the limit are closed as soon as their readers are done.
    """

    def __init__(self, limit: int) -> None:
        assert limit > 0, "at least one file must be open to be read"
        self._limit = limit
        self._lock = Lock()
        self._handles: OrderedDict[str, _Handle] = OrderedDict()

    def __len__(self) -> int:
        return len(self._handles)

    @contextmanager
    def reading(self, name: str, opening: Callable[[], File]) -> Iterator[File]:
        """Yield the file of that name, open for the block; `opening` opens it if it is not.

        Raises what `opening` raises. If descriptors are short, files without readers are closed first.
        """
        with self._lock:
            handle = self._handles.get(name)
            if handle is None:
                handle = self._handles[name] = _Handle(self._opened(opening))
            self._handles.move_to_end(name)
            handle.users += 1
            while len(self._handles) > self._limit:
                self._drop(next(iter(self._handles)))
        try:
            yield handle.file
        finally:
            with self._lock:
                handle.users -= 1
                if not handle.users and not handle.kept:
                    handle.file.close()

    def drop(self, name: str) -> None:
        """Close one, or as soon as its readers are done."""
        with self._lock:
            if name in self._handles:
                self._drop(name)

    def close(self) -> None:
        """Close all, or as soon as their readers are done."""
        with self._lock:
            for name in list(self._handles):
                self._drop(name)

    def _opened(self, opening: Callable[[], File]) -> File:
        try:
            return opening()
        except Shortage:
            for name in [name for name, handle in self._handles.items() if not handle.users]:
                self._drop(name)
            return opening()

    def _drop(self, name: str) -> None:
        handle = self._handles.pop(name)
        handle.kept = False
        if not handle.users:
            handle.file.close()
