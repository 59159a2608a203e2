"""Reads a journal backwards or forwards from any record, a frame at a time, for pages of a few records.

The places of frames and of a resource's records come from the index of a sealed segment. For the growing
segment they are kept in memory, and only frames appended since are read. So a page's cost depends on its
length only.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from threading import Lock
from typing import NamedTuple

from retain.journal.disk.interface import Disk
from retain.journal.format.frame import parse_header
from retain.journal.format.record import NO_RESOURCE, Header, Record
from retain.journal.lookup.growth import Growth
from retain.journal.lookup.index import GrowingIndex, Indexes, SegmentIndex, read_index
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import find_segments
from retain.journal.segments.heads import (
    FrameHead,
    details_at,
    good_heads,
    head_at,
    headers_of,
    packed_headers,
    placed,
    record_at,
)

SEALED_KEPT = 24
"""Indexes of sealed segments that are kept in memory, those used last: 12 bytes a record, 16 a frame."""
AT_ONCE = 2048
"""Records that a query reads into the index of the growing segment, if more are missing in it."""


class LazyRecord(NamedTuple):
    """A record whose header was read.

    Attributes:
        header: The header.
        read: Reads the record. To be called before the iterator advances, like `details`.
        details: Reads its details alone; None if they were erased.
    """

    header: Header
    read: Callable[[], Record]
    details: Callable[[], bytes | None]


class Trail:
    """The known places of frames. Created once beside an open journal; for any thread.

    Args:
        disk: The data folder.
    """

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self._lock = Lock()
        self._growing: Growth | None = None
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
                frames = self._frames(file, resource, growing=at == len(segments) - 1)
                last = len(frames.offsets)
                if bound is not None:
                    last = min(last, bisect_left(frames.firsts, bound - frames.first))
                if stop is not None:
                    last = min(last, bisect_left(frames.times, stop))
                for offset in frames.chosen(range(last - 1, -1, -1)):
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
                frames = self._frames(file, resource, growing=at == len(segments) - 1)
                first = 0
                if bound >= frames.first:
                    first = max(0, bisect_right(frames.firsts, bound + 1 - frames.first) - 1)
                if start is not None:
                    first = max(first, bisect_left(frames.times, start) - 1)
                for offset in frames.chosen(range(first, len(frames.offsets))):
                    for spot in _spots(file, head_at(file, offset)):
                        header = spot.header
                        if stop is not None and header.time >= stop:
                            return
                        late = start is None or header.time >= start
                        if late and header.seq > bound and _meant(header, resource, stop):
                            yield spot

    def refresh(self, most: int | None = None) -> bool:
        """Read the frames appended since, so that the next query need not.

        Args:
            most: Only frames until so many records were read.

        Returns:
            Whether there may be more.

        Raises:
            Corrupt, UnknownVersion, OSError: The journal cannot be read.
        """
        read = 0
        for segment in find_segments(self.disk)[0][-1:]:
            with SegmentFile(self.disk, segment) as file, self._lock:
                read = self._grow(file, most)
        return most is not None and read >= most

    def read_sealed(self) -> bool:
        """Read the index of one more sealed segment, the newest first; return whether one was missing.

        Raises what `refresh` raises.
        """
        for segment in find_segments(self.disk)[0][-2 : -2 - SEALED_KEPT : -1]:
            if segment.number not in self._sealed:
                with SegmentFile(self.disk, segment) as file:
                    self._index(file, growing=False)
                return True
        return False

    def indexes(self) -> Indexes:
        """Return the indexes of all segments as they are now. Raises what `before` raises."""
        found = Indexes(self.disk)
        for segment in found.segments:
            with SegmentFile(self.disk, segment) as file:
                found.hold(segment, self._index(file, growing=segment is found.segments[-1]))
        return found

    def _frames(self, file: SegmentFile, resource: bytes | None, *, growing: bool) -> _Frames:
        """Return the frames of a segment, with a resource those that may hold it.

        If much of a growing segment is not in its index yet, the heads of the rest are searched instead. That
        is faster than to parse each header: a query waits for its own part only.
        """
        if not growing:
            return _Frames.of(self._index(file, growing=False), resource)
        with self._lock:
            complete = self._grow(file, AT_ONCE) < AT_ONCE
            growth = self._growing
            assert growth is not None, "it was continued"
            index, end = GrowingIndex(growth), growth.end
        frames = _Frames.of(index, resource)
        if not complete:
            frames.extend(file, end, resource)
        return frames

    def _index(self, file: SegmentFile, *, growing: bool) -> SegmentIndex:
        """Return the index of a segment; of the growing one, as far as it reaches now."""
        with self._lock:
            return self._grown(file) if growing else self._kept(file)

    def _kept(self, file: SegmentFile) -> SegmentIndex:
        number = file.segment.number
        index = self._sealed.pop(number, None)
        if index is None and (grown := self._growing) is not None and grown.segment[:2] == file.segment[:2]:
            # It was sealed since: its known places are most of its index.
            self._growing = None
            grown.extend(file, growing=False)
            index = SegmentIndex(grown.facts(), grown.sections().__getitem__)
        if index is None:
            index = read_index(self.disk, file.segment) or SegmentIndex.of(file)
        self._sealed[number] = index
        if len(self._sealed) > SEALED_KEPT:
            del self._sealed[next(iter(self._sealed))]
        return index

    def _grown(self, file: SegmentFile) -> SegmentIndex:
        self._grow(file, None)
        assert self._growing is not None, "it was continued"
        return GrowingIndex(self._growing)

    def _grow(self, file: SegmentFile, most: int | None) -> int:
        """Read on in the growing segment, frames until `most` records or all; return how many were read."""
        growth, self._growing = self._growing, None  # after an error, it starts again
        if growth is not None and growth.segment != file.segment:
            sealed = growth.segment
            self._growing = growth
            with SegmentFile(self.disk, sealed) as whole:
                self._kept(whole)
            growth = None
        if growth is None:
            growth = Growth(file)
        before = growth.last
        growth.extend(file, growing=True, most=most)
        self._growing = growth
        return growth.last - before


class _Frames(NamedTuple):
    """The frames of a segment, and which of them may hold a resource; None: any.

    `first` is the segment's first record; the columns are those of an index.
    """

    first: int
    firsts: array[int]
    offsets: array[int]
    times: array[int]
    holding: set[int] | None

    @classmethod
    def of(cls, index: SegmentIndex, resource: bytes | None) -> _Frames:
        firsts, offsets, times = index.frames()
        holding = None
        if resource is not None and resource != NO_RESOURCE:  # indexes omit records without a resource
            holding = {bisect_right(firsts, seq - index.first) - 1 for seq in index.seqs_of(resource)}
        return cls(index.first, firsts, offsets, times, holding)

    def extend(self, file: SegmentFile, end: int, resource: bytes | None) -> None:
        """Add the frames of a growing segment from offset `end` on. Raises `Corrupt`."""
        for head in good_heads(file, end, growing=True):
            if self.holding is not None and resource is not None and resource in head.data:
                self.holding.add(len(self.offsets))
            self.firsts.append(head.prefix.first - self.first)
            self.offsets.append(head.offset)
            first = head.prefix.first
            self.times.append(parse_header(packed_headers(file, head, (first,))[first]).time)

    def chosen(self, numbers: range) -> Iterator[int]:
        """Yield the offsets of these frames, in this order, that may hold the resource."""
        found: Iterable[int] = numbers
        if self.holding is not None:
            found = sorted(self.holding.intersection(numbers), reverse=numbers.step < 0)
        yield from (self.offsets[number] for number in found)


def _spots(file: SegmentFile, head: FrameHead) -> list[LazyRecord]:
    whitening = file.opener().whitening

    found = placed(head, (header for _, header in headers_of(file, head)))
    return [
        LazyRecord(
            header,
            partial(record_at, file, header, at, whitening),
            partial(details_at, file, header, at, whitening),
        )
        for header, at in found
    ]


def _meant(header: Header, resource: bytes | None, stop: int | None) -> bool:
    return (resource is None or header.resource == resource) and (stop is None or header.time < stop)
