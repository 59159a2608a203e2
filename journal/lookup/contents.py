"""Reads single contents by address, from any thread; keeps segments open and small contents in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock

from retain.journal.disk.handles import Handles
from retain.journal.disk.interface import Disk, File
from retain.journal.errors import Corrupt
from retain.journal.format.limits import CONTENT_READ, PART_ALIGN
from retain.journal.format.parts import BadPart, checked_body, declared_size
from retain.journal.format.whitening import Whitening
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import Segment

RECENT_BYTES = 32 << 20
"""Bytes of cached contents, with `RECENT_EXTRA` for each."""
RECENT_MOST = 16 << 10
"""Larger contents are not kept."""
RECENT_EXTRA = 200

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


class Recent:
    """A cache of small contents, which evicts the least recently read first.

    Erased content must leave the memory, too: `drop` removes contents before their erasure is recorded, and
    the result of a read that began before an erasure is not cached.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._lock = Lock()
        self.drops = 0

    def get(self, place: tuple[int, int]) -> bytes | None:
        """Return the content at a place; None if it is not cached."""
        with self._lock:
            data = self._kept.get(place)
            if data is not None:
                self._kept.move_to_end(place)
            return data

    def keep(self, place: tuple[int, int], data: bytes, drops: int) -> None:
        """Cache the content read at a place, unless something was dropped since `drops` was noted."""
        if len(data) > RECENT_MOST:
            return
        with self._lock:
            if self.drops != drops or place in self._kept:
                return
            self._kept[place] = data
            self._left -= len(data) + RECENT_EXTRA
            while self._left < 0:
                self._left += len(self._kept.popitem(last=False)[1]) + RECENT_EXTRA

    def drop(self, places: Iterable[tuple[int, int]]) -> None:
        """Remove the contents at these places."""
        with self._lock:
            self.drops += 1
            for place in places:
                data = self._kept.pop(place, None)
                if data is not None:
                    self._left += len(data) + RECENT_EXTRA

    def clear(self) -> None:
        """Remove all contents."""
        self.drop(list(self._kept))
