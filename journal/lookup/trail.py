"""Reads a journal backwards or forwards from any record, a frame at a time, for pages of a few records.

Where frames are is known from the index of a sealed segment; of the growing one it is remembered, and only
what was appended since is looked at. So a page costs what it shows, however long the journal is.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

from retain.journal.disk.interface import Disk
from retain.journal.format.frame import parse_header
from retain.journal.format.record import Header, Record
from retain.journal.lookup.index import SegmentIndex, read_index
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import Segment, find_segments
from retain.journal.segments.heads import FrameHead, head_at, headers_of, heads, is_whole, records_in

SEALED_KEPT = 4
"""Indexes of sealed segments that are kept in memory: those used last."""


class LazyRecord(NamedTuple):
    """A record whose header was read.

    Attributes:
        header: The header.
        read: Reads the record. To be called before the iterator advances.
    """

    header: Header
    read: Callable[[], Record]


@dataclass(slots=True)
class _Frames:
    """Where the frames of a segment are: number of the first record, offset and time, frame by frame."""

    firsts: array[int] = field(default_factory=lambda: array("Q"))
    offsets: array[int] = field(default_factory=lambda: array("Q"))
    times: array[int] = field(default_factory=lambda: array("Q"))
    end: int = 0


class Trail:
    """What is known of where frames are. Made once beside an open journal; for any thread.

    Args:
        disk: Where the journal is.
    """

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self._lock = Lock()
        self._growing: tuple[Segment, _Frames] | None = None
        self._sealed: dict[int, SegmentIndex] = {}

    def before(
        self,
        bound: int | None = None,
        *,
        resource: bytes | None = None,
        start: int | None = None,
        stop: int | None = None,
    ) -> Iterator[LazyRecord]:
        """Yield the records before record `bound` (None: from the end), newest first.

        Args:
            bound: Sequence number.
            resource: Only records of this resource.
            start: Not those before this time, in nanoseconds since the epoch.
            stop: Only those before this time.

        Raises:
            Corrupt, UnknownVersion, OSError: The journal cannot be read.
        """
        segments = find_segments(self.disk)[0]
        for at in range(len(segments) - 1, -1, -1):
            segment = segments[at]
            if bound is not None and segment.first >= bound:
                continue
            with SegmentFile(self.disk, segment) as file:
                if at and stop is not None and file.opener().chain.time >= stop:
                    continue
                frames, index = self._frames(file, segment, growing=at == len(segments) - 1)
                last = len(frames.offsets)
                if bound is not None:
                    last = min(last, bisect_left(frames.firsts, bound))
                if stop is not None:
                    last = min(last, bisect_left(frames.times, stop))
                for offset in _offsets(frames, index, resource, range(last - 1, -1, -1)):
                    for spot in reversed(_spots(file, head_at(file, offset))):
                        header = spot.header
                        if start is not None and header.time < start:
                            return
                        if _meant(header, resource, stop) and (bound is None or header.seq < bound):
                            yield spot

    def after(
        self,
        bound: int,
        *,
        resource: bytes | None = None,
        start: int | None = None,
        stop: int | None = None,
    ) -> Iterator[LazyRecord]:
        """Yield the records after record `bound`, oldest first. For the rest see `before`."""
        segments = find_segments(self.disk)[0]
        for at, segment in enumerate(segments):
            if at + 1 < len(segments) and segments[at + 1].first - 1 <= bound:
                continue
            with SegmentFile(self.disk, segment) as file:
                frames, index = self._frames(file, segment, growing=at == len(segments) - 1)
                first = max(0, bisect_right(frames.firsts, bound + 1) - 1)
                if start is not None:
                    first = max(first, bisect_left(frames.times, start) - 1)
                for offset in _offsets(frames, index, resource, range(first, len(frames.offsets))):
                    for spot in _spots(file, head_at(file, offset)):
                        header = spot.header
                        if stop is not None and header.time >= stop:
                            return
                        late = start is None or header.time >= start
                        if late and header.seq > bound and _meant(header, resource, stop):
                            yield spot

    def _frames(
        self, file: SegmentFile, segment: Segment, *, growing: bool
    ) -> tuple[_Frames, SegmentIndex | None]:
        """Return where frames are; for a sealed segment also its index."""
        with self._lock:
            if growing:
                return self._grown(file, segment), None
            index = self._sealed.pop(segment.number, None)
            if index is None:
                index = read_index(self.disk, segment) or SegmentIndex.of(file)
            self._sealed[segment.number] = index
            if len(self._sealed) > SEALED_KEPT:
                del self._sealed[next(iter(self._sealed))]
        firsts, offsets, times = index.frames()
        return _Frames(array("Q", (index.first + one for one in firsts)), offsets, times), index

    def _grown(self, file: SegmentFile, segment: Segment) -> _Frames:
        if self._growing is None or self._growing[0] != segment:
            self._growing = segment, _Frames(end=file.opener().size)
        known = self._growing[1]
        held: FrameHead | None = None
        for head in heads(file, known.end):
            if held is not None:
                _append(known, held)
            held = head
        if held is not None and is_whole(file, held):
            _append(known, held)
        return _Frames(known.firsts[:], known.offsets[:], known.times[:])


def _append(frames: _Frames, head: FrameHead) -> None:
    frames.firsts.append(head.prefix.first)
    frames.offsets.append(head.offset)
    frames.times.append(parse_header(head.headers()[0]).time)
    frames.end = head.stop


def _offsets(
    frames: _Frames, index: SegmentIndex | None, resource: bytes | None, numbers: range
) -> Iterator[int]:
    """Yield the offsets of these frames; with a resource and an index, of those that may hold it."""
    if resource is None or index is None:
        yield from (frames.offsets[number] for number in numbers)
        return
    holding = {bisect_right(frames.firsts, seq) - 1 for seq in index.seqs_of(resource)}
    found = sorted(holding.intersection(numbers), reverse=numbers.step < 0)
    yield from (frames.offsets[number] for number in found)


def _spots(file: SegmentFile, head: FrameHead) -> list[LazyRecord]:
    def reader(seq: int) -> Callable[[], Record]:
        return lambda: next(records_in(file, head, (seq,)))

    return [LazyRecord(header, reader(header.seq)) for _, header in headers_of(file, head)]


def _meant(header: Header, resource: bytes | None, stop: int | None) -> bool:
    return (resource is None or header.resource == resource) and (stop is None or header.time < stop)
