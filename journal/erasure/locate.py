"""Locates records' parts in the files, by sequence number, for erasure."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from retain.journal.disk.interface import Disk, File
from retain.journal.erasure.ledger import Range
from retain.journal.errors import BadTarget, Corrupt
from retain.journal.format.frame import parse_head, parse_header, parse_prefix
from retain.journal.format.limits import PREFIX_BYTES
from retain.journal.format.record import Head, Header, Part, Verb
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import Segment

_CACHED_SEGMENTS = 16


class Spot(NamedTuple):
    """A part on disk, in segment number `segment`."""

    segment: int
    offset: int
    size: int


class _Index:
    """Where the frames of one segment start: by first sequence number. Grows with the segment."""

    def __init__(self, start: int) -> None:
        self.firsts = array("Q")
        self.offsets = array("Q")
        self.end = start


class _Frame(NamedTuple):
    """The records of one frame, each with the offset of its parts."""

    segment: int
    first: int
    records: list[tuple[Header, int]]


class Places:
    """Finds parts, and caches where the frames of the most recent segments start."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._indexes: OrderedDict[int, _Index] = OrderedDict()

    def find(
        self, ranges: Iterable[Range], segments: Sequence[Segment], head: Head, *, own: bool = False
    ) -> list[Spot]:
        """Return the parts that these ascending ranges name; absent ones have no place.

        Raises `BadTarget` if a record is not in the journal or, without `own`, is the journal's own: only a
        repair that discarded their content names those. Raises `Corrupt`.
        """
        spots: list[Spot] = []
        frame = _Frame(0, 0, [])
        for parts, first, last in ranges:
            if first < 1 or last > head.seq:
                raise BadTarget(f"there are no records {first} to {last}", seq=first)
            for seq in range(first, last + 1):
                if not frame.first <= seq < frame.first + len(frame.records):
                    frame = self._frame(seq, segments, head)
                header, at = frame.records[seq - frame.first]
                if header.verb >= Verb.ERASE and not own:
                    raise BadTarget(f"record {seq} is the journal's own: it is never erased", seq=seq)
                spots += _spots(header, at, parts, frame.segment)
        return spots

    def _frame(self, seq: int, segments: Sequence[Segment], head: Head) -> _Frame:
        segment = segments[bisect_right(segments, seq, key=lambda one: one.first) - 1]
        with SegmentFile(self._disk, segment) as file:
            end = head.offset if segment.number == head.segment else file.size()
            index = self._index(file, segment, end)
            at = bisect_right(index.firsts, seq) - 1
            return _Frame(segment.number, index.firsts[at], list(_headers(file, index.offsets[at])))

    def _index(self, file: SegmentFile, segment: Segment, end: int) -> _Index:
        index = self._indexes.get(segment.number)
        if index is None:
            index = self._indexes[segment.number] = _Index(file.opener().size)
            if len(self._indexes) > _CACHED_SEGMENTS:
                self._indexes.popitem(last=False)
        self._indexes.move_to_end(segment.number)
        while index.end < end:
            prefix = parse_prefix(file.pread(index.end, PREFIX_BYTES).ljust(PREFIX_BYTES, b"\x00"))
            if prefix is None:
                text = f"{segment.file}, offset {index.end}: no frame starts here"
                raise Corrupt(text, file=segment.file, offset=index.end)
            index.firsts.append(prefix.first)
            index.offsets.append(index.end)
            index.end += prefix.extent
        return index


def _headers(file: File, offset: int) -> Iterator[tuple[Header, int]]:
    """Yield the headers of a frame, each with the offset of its record's parts."""
    prefix = parse_prefix(file.pread(offset, PREFIX_BYTES))
    assert prefix is not None, "a frame has moved"
    _, _, headers = parse_head(file.pread(offset + PREFIX_BYTES, prefix.head_length))
    at = offset + prefix.payload_at
    for packed in headers:
        header = parse_header(packed)
        yield header, at
        at += header.details_size + header.content_size


def _spots(header: Header, at: int, parts: int, segment: int) -> Iterator[Spot]:
    if parts & Part.DETAILS and header.details_size:
        yield Spot(segment, at, header.details_size)
    if parts & Part.CONTENT and header.content_size:
        yield Spot(segment, at + header.details_size, header.content_size)
