"""Reads single contents by address, from any thread, keeping segments open."""

from __future__ import annotations

from collections.abc import Iterable

from retain.journal.disk.handles import Handles
from retain.journal.disk.interface import Disk, File
from retain.journal.errors import Corrupt
from retain.journal.format.limits import CONTENT_READ, PART_ALIGN
from retain.journal.format.parts import BadPart, checked_body, declared_size
from retain.journal.format.whitening import Whitening
from retain.journal.lookup.recent import RECENT_BYTES, Recent
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import Segment

_NOTHING = bytes(PART_ALIGN)


class Contents:
    """The contents of one journal."""

    def __init__(self, disk: Disk, identity: bytes, handles: int) -> None:
        self._identity = identity
        self._disk = disk
        self._handles = Handles(handles)
        self._whitenings: dict[int, Whitening] = {}
        self._recent = Recent(RECENT_BYTES)

    def read(self, segment: Segment, offset: int) -> bytes | None:
        """Return the bytes in the part at `offset`, checked with its CRC; None if it was erased.

        Raises `Corrupt`, `OSError`.
        """
        place = (segment.number, offset)
        data = self._recent.get(place)
        if data is not None:
            return data
        drops = self._recent.drops
        data = self._read(segment, offset)
        if data is not None:
            self._recent.keep(place, data, drops)
        return data

    def _read(self, segment: Segment, offset: int) -> bytes | None:
        with self._handles.reading(segment.file, lambda: SegmentFile(self._disk, segment)) as file:
            try:
                return _read_part(file, offset, self.whitening(segment.number))
            except BadPart as error:
                if file.pread(offset, PART_ALIGN) == _NOTHING:
                    return None  # it was erased during the read
                text = f"{segment.file}, offset {offset}: {error}"
                raise Corrupt(text, file=segment.file, offset=offset) from error

    def whitening(self, number: int) -> Whitening:
        """Return the keystream over a segment; created once."""
        whitening = self._whitenings.get(number)
        if whitening is None:
            whitening = self._whitenings[number] = Whitening(self._identity, number)
        return whitening

    def forget(self, segment: Segment) -> None:
        """Close a segment's file, which was replaced."""
        self._handles.drop(segment.file)

    def drop(self, places: Iterable[tuple[int, int]]) -> None:
        """Drop contents, by segment and offset, before they are erased."""
        self._recent.drop(places)

    def forget_all(self) -> None:
        """Drop all contents, before some of them are erased."""
        self._recent.clear()

    def close(self) -> None:
        """Close all files, drop all contents."""
        self._recent.clear()
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
