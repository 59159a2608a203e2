"""Segments kept open for reading single parts, from any thread."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from journal.storage import Disk, File


class _Handle:
    __slots__ = ("file", "kept", "users")

    def __init__(self, file: File) -> None:
        self.file = file
        self.users = 0
        self.kept = True


class Handles:
    """Open files by name, the least recently used closed first, and none while somebody reads from it."""

    def __init__(self, disk: Disk, limit: int) -> None:
        assert limit > 0, "at least one file must be open to be read"
        self._disk = disk
        self._limit = limit
        self._lock = Lock()
        self._handles: OrderedDict[str, _Handle] = OrderedDict()

    @contextmanager
    def reading(self, name: str) -> Iterator[File]:
        """A file, open for the time of the block. Raises `OSError`."""
        with self._lock:
            handle = self._handles.get(name)
            if handle is None:
                handle = self._handles[name] = _Handle(self._disk.open(name))
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

    def close(self) -> None:
        """Close all, or as soon as their readers are done."""
        with self._lock:
            for name in list(self._handles):
                self._drop(name)

    def _drop(self, name: str) -> None:
        handle = self._handles.pop(name)
        handle.kept = False
        if not handle.users:
            handle.file.close()
