"""Indexes: where a segment's records are, by resource and by time. FORMAT.md section 11.

An index contains facts from headers only, which are never erased, so erasures and rewrites do not affect it.
It is a cache: written by the process that holds the lock (`write_index`), checked on reading, and built in
memory from the segment's heads by `SegmentIndex.of` if there is none.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from crc32c import crc32c

from retain.journal.disk.interface import Disk
from retain.journal.errors import Corrupt, JournalError
from retain.journal.format.envelope import INDEX_MAGIC, unwrap, wrap
from retain.journal.format.frame import MALFORMED
from retain.journal.format.limits import ENVELOPE_BYTES
from retain.journal.format.merkle import Frontier
from retain.journal.lookup.growth import BLOCK, KEY_BYTES, Growth
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import Segment, find_segments, index_file

_ENTRY_BYTES = KEY_BYTES + 4
_FRAMES, _RESOURCES, _SUBTREES = range(3)


class SegmentIndex:
    """The index of one segment.

    `first` and `last` are its records, `end` is where its last frame ends, `heads` the bytes of all heads,
    `frontier` the tree after it. Frames are numbered from 0.
    """

    def __init__(self, facts: dict[str, Any], section: Callable[[int], bytes]) -> None:
        """Read the facts of an index; `section` returns a section's bytes.

        Raises the errors of `MALFORMED` where facts are missing.
        """
        self.first: int = facts["first"]
        self.last: int = facts["last"]
        self.end: int = facts["end"]
        self.heads: int = facts["heads"]
        self.frontier = Frontier(self.last, facts["peaks"])
        self._section = section
        self._columns: tuple[array[int], array[int], array[int]] | None = None
        self._entries: _Entries | None = None

    @classmethod
    def of(cls, file: SegmentFile, *, growing: bool = False) -> SegmentIndex:
        """Return the index of a segment, from its heads.

        `growing`: it may be written to, so the last frame counts only if it is whole. Raises `Corrupt`.
        """
        growth = Growth(file)
        growth.extend(file, growing=growing)
        return cls(growth.facts(), growth.sections().__getitem__)

    def frames(self) -> tuple[array[int], array[int], array[int]]:
        """Return per frame: first record, counted from `first`; logical offset; time of the first record."""
        if self._columns is None:
            data = self._section(_FRAMES)
            count = len(data) // 16
            self._columns = (
                _words("I", data[: 4 * count]),
                _words("I", data[4 * count : 8 * count]),
                _words("Q", data[8 * count :]),
            )
        return self._columns

    def frame_of(self, seq: int) -> int:
        """Return the logical offset of the frame with record `seq`."""
        assert self.first <= seq <= self.last, f"record {seq} is in another segment"
        firsts, offsets, _ = self.frames()
        return offsets[bisect_right(firsts, seq - self.first) - 1]

    def offsets_between(self, start: int, stop: int) -> list[int]:
        """Return the frames that may contain records with `start` <= time < `stop`."""
        _, offsets, times = self.frames()
        low = max(0, bisect_left(times, start) - 1)
        return list(offsets[low : bisect_left(times, stop)])

    def seqs_of(self, resource: bytes) -> list[int]:
        """Return the records whose resource starts with the same 8 bytes, ascending."""
        if self._entries is None:
            self._entries = _Entries(self._section(_RESOURCES))
        entries, key = self._entries, resource[:KEY_BYTES]
        found: list[int] = []
        at = bisect_left(entries, key)
        while at < len(entries) and (entry := entries[at]).startswith(key):
            found.append(self.first + int.from_bytes(entry[KEY_BYTES:], "big"))
            at += 1
        return found

    def subtrees(self) -> tuple[int, bytes]:
        """Return the number *k* of the segment's first whole block of leaves, and the hashes from it on."""
        return -(-(self.first - 1) // BLOCK), self._section(_SUBTREES)


class GrowingIndex(SegmentIndex):
    """The index of a segment up to the present state of its `growth`; later records are not in it."""

    def __init__(self, growth: Growth) -> None:
        super().__init__(growth.facts(), self._unpacked)
        self._growth = growth
        self._columns = growth.firsts[:], growth.offsets[:], growth.times[:]
        self._hashes = bytes(growth.subtrees)

    def seqs_of(self, resource: bytes) -> list[int]:
        """Return the records whose resource starts with the same 8 bytes, ascending."""
        numbers = self._growth.numbers_of(resource, self.last + 1 - self.first)
        return [self.first + number for number in numbers]

    def subtrees(self) -> tuple[int, bytes]:
        """Return the number *k* of the segment's first whole block of leaves, and the hashes from it on."""
        return -(-(self.first - 1) // BLOCK), self._hashes

    def _unpacked(self, number: int) -> bytes:
        raise AssertionError(f"section {number} is not packed while the segment grows")


class _Entries:
    """The resources section as a sorted sequence."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data) // _ENTRY_BYTES

    def __getitem__(self, index: int) -> bytes:
        return self._data[index * _ENTRY_BYTES : (index + 1) * _ENTRY_BYTES]


def read_index(disk: Disk, segment: Segment) -> SegmentIndex | None:
    """Return the index of a sealed segment; None if there is no valid one for it. Raises `OSError`."""
    name = index_file(segment)
    try:
        with disk.open(name) as file:
            data = file.pread(0, ENVELOPE_BYTES)
            facts, start = unwrap(INDEX_MAGIC, data, file=name)
            sections: list[bytes] = []
            at = start
            for length, crc in facts["sections"]:
                section = file.pread(at, length)
                if len(section) != length or crc32c(section) != crc:
                    raise Corrupt(f"{name}: a checksum is wrong", file=name, offset=at)
                sections.append(section)
                at += length
            _, _, _ = sections
        with SegmentFile(disk, segment) as kept:
            fits = kept.opener().identity == facts["journal"] and kept.size() == facts["end"]
        if fits and (facts["segment"], facts["first"]) == segment[:2]:
            return SegmentIndex(facts, sections.__getitem__)
    except (FileNotFoundError, PermissionError, JournalError, KeyError, *MALFORMED):
        pass  # an index is a cache: if it is invalid, the segment has the same facts
    return None


def write_index(disk: Disk, segment: Segment) -> None:
    """Make a sealed segment's index, durably. For the holder of the lock.

    Raises `Corrupt`: the segment is damaged; `NoSpace`, `OSError`.
    """
    disk.write_atomic(index_file(segment), _packed_index(disk, segment))


def is_wrong(disk: Disk, segment: Segment) -> bool:
    """Return whether a sealed segment has an index that would be trusted but contradicts its heads."""
    if read_index(disk, segment) is None:
        return False
    return disk.read(index_file(segment)) != _packed_index(disk, segment)


def unindexed(disk: Disk) -> list[Segment]:
    """Return the sealed segments without a valid index. Raises `OSError`."""
    return [segment for segment in find_segments(disk)[0][:-1] if read_index(disk, segment) is None]


def write_indexes(disk: Disk, progress: Callable[[int], None] | None = None) -> int:
    """Make all indexes that are missing; returns how many. For the holder of the lock.

    `progress` is called with the last record of each segment done. Raises `Corrupt`, `NoSpace`, `OSError`.
    """
    segments = find_segments(disk)[0]
    lasts = {segment: after.first - 1 for segment, after in pairwise(segments)}
    missing = unindexed(disk)
    for segment in missing:
        write_index(disk, segment)
        if progress is not None:
            progress(lasts[segment])
    return len(missing)


class Indexes:
    """The indexes of all segments of a journal, those on disk and those made in memory, each read once."""

    def __init__(self, disk: Disk, progress: Callable[[int], None] | None = None) -> None:
        """Open the indexes; `progress` receives the last record of each segment that had none.

        Raises `OSError`.
        """
        self.disk = disk
        self.segments = find_segments(disk)[0]
        self._progress = progress or (lambda _: None)
        self._indexes: dict[int, SegmentIndex | None] = {}

    def hold(self, segment: Segment, index: SegmentIndex) -> None:
        """Add the index of a segment that the caller has."""
        self._indexes[segment.number] = index

    def kept(self, segment: Segment) -> SegmentIndex | None:
        """Return the index on disk if it is valid; None for the last segment."""
        if segment is self.segments[-1]:
            return None
        if segment.number not in self._indexes:
            self._indexes[segment.number] = read_index(self.disk, segment)
        return self._indexes[segment.number]

    def of(self, segment: Segment) -> SegmentIndex:
        """Return the index on disk, or build it. Raises `Corrupt`, `OSError`."""
        index = self._indexes.get(segment.number) or self.kept(segment)
        if index is None:
            with SegmentFile(self.disk, segment) as file:
                index = SegmentIndex.of(file, growing=segment is self.segments[-1])
            self._indexes[segment.number] = index
            self._progress(index.last)
        return index


def _packed_index(disk: Disk, segment: Segment) -> bytes:
    with SegmentFile(disk, segment) as file:
        growth = Growth(file)
        growth.extend(file, growing=False)
    facts, sections = growth.facts(), growth.sections()
    facts["sections"] = [[len(section), crc32c(section)] for section in sections]
    return b"".join((wrap(INDEX_MAGIC, facts), *sections))


def _words(kind: str, data: bytes) -> array[int]:
    words = array(kind, data)
    if sys.byteorder == "little":
        words.byteswap()
    return words
