"""Reads single contents by their place, from any thread, with the segments kept open."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from retain.journal.disk.interface import Disk, File
from retain.journal.errors import Corrupt
from retain.journal.format.limits import CONTENT_READ, PART_ALIGN
from retain.journal.format.parts import BadPart, checked_body, declared_size
from retain.journal.format.whitening import Whitening
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import Segment

_NOTHING = bytes(PART_ALIGN)


class _Handle:
    __slots__ = ("file", "kept", "users")

    def __init__(self, file: File) -> None:
        self.file = file
        self.users = 0
        self.kept = True


class Handles:
    """Open segments, the least recently used closed first, and none while somebody reads from it."""

    def __init__(self, disk: Disk, limit: int) -> None:
        assert limit > 0, "at least one file must be open to be read"
        self._disk = disk
        self._limit = limit
        self._lock = Lock()
        self._handles: OrderedDict[str, _Handle] = OrderedDict()

    @contextmanager
    def reading(self, segment: Segment) -> Iterator[File]:
        """A segment's file, open for the time of the block. Raises `OSError`."""
        name = segment.file
        with self._lock:
            handle = self._handles.get(name)
            if handle is None:
                handle = self._handles[name] = _Handle(SegmentFile(self._disk, segment))
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

    def _drop(self, name: str) -> None:
        handle = self._handles.pop(name)
        handle.kept = False
        if not handle.users:
            handle.file.close()


class Contents:
    """The contents of one journal."""

    def __init__(self, disk: Disk, identity: bytes, handles: int) -> None:
        self._identity = identity
        self._handles = Handles(disk, handles)
        self._whitenings: dict[int, Whitening] = {}

    def read(self, segment: Segment, offset: int) -> bytes | None:
        """The bytes in the part at `offset`, checked with its CRC; None if it was erased.

        Raises `Corrupt`, `OSError`.
        """
        with self._handles.reading(segment) as file:
            try:
                return _read_part(file, offset, self.whitening(segment.number))
            except BadPart as error:
                if file.pread(offset, PART_ALIGN) == _NOTHING:
                    return None  # it was being erased while we read
                text = f"{segment.file}, offset {offset}: {error}"
                raise Corrupt(text, file=segment.file, offset=offset) from error

    def whitening(self, number: int) -> Whitening:
        """The keystream over a segment; made once."""
        whitening = self._whitenings.get(number)
        if whitening is None:
            whitening = self._whitenings[number] = Whitening(self._identity, number)
        return whitening

    def forget(self, segment: Segment) -> None:
        """Close a segment's file: another one took its place."""
        self._handles.drop(segment.file)

    def close(self) -> None:
        """Close all files."""
        self._handles.close()


def _read_part(file: File, offset: int, whitening: Whitening) -> bytes | None:
    data = file.pread(offset, CONTENT_READ)
    if data[:PART_ALIGN] == _NOTHING:
        return None
    stream = whitening.stream(offset)
    part = stream.update(data)
    size = declared_size(part)
    if size > len(part):
        part += stream.update(file.pread(offset + len(part), size - len(part)))
    return checked_body(part[:size])
