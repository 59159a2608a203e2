"""The records of one resource, or of a span of time, without reading the rest of the journal.

Works beside a running server, without a lock and without writing: valid indexes on disk (`index.py`) are
used. Each record's header is checked with its frame's CRC and its parts against their commitments. `verify`
checks the rules for the journal as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest

from retain.journal.disk.interface import Disk
from retain.journal.errors import Corrupt
from retain.journal.format.record import RESOURCE_BYTES, Record
from retain.journal.lookup.index import Indexes
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.heads import (
    FrameHead,
    head_at,
    headers_of,
    heads,
    is_whole,
    packed_headers,
    records_in,
)

Progress = Callable[[int], None]


def history(
    disk: Disk, resource: bytes, progress: Progress | None = None, *, indexes: Indexes | None = None
) -> Iterator[Record]:
    """Yield every record of a resource (16 bytes), in order; erased parts are None.

    `progress` is called with the last sequence number of each segment that has no index and was searched. For
    many resources, pass `indexes`, built once: segments without an index are then indexed in memory instead
    of being searched each time. Raises `Corrupt`, `UnknownVersion`, `OSError`.
    """
    assert len(resource) == RESOURCE_BYTES, "a resource is 16 bytes"
    found_by = indexes or Indexes(disk)
    for segment in found_by.segments:
        index = found_by.kept(segment) if indexes is None else found_by.of(segment)
        with SegmentFile(disk, segment) as file:
            if index is not None:
                offsets = dict.fromkeys(index.frame_of(seq) for seq in index.seqs_of(resource))
                found: Iterator[FrameHead] = (head_at(file, offset) for offset in offsets)
            else:
                found = _searched(file, resource, last=segment is found_by.segments[-1], progress=progress)
            for head in found:
                wanted = {header.seq for _, header in headers_of(file, head) if header.resource == resource}
                yield from records_in(file, head, wanted)


def between(disk: Disk, start: int, stop: int, progress: Progress | None = None) -> Iterator[Record]:
    """Yield every record with `start` <= time < `stop` (nanoseconds), in order; erased parts are None.

    Segments before and after are not read. `progress` is called with the last sequence number of each segment
    done. Raises `Corrupt`, `UnknownVersion`, `OSError`.
    """
    indexes = Indexes(disk)
    segments = indexes.segments
    openers = []
    for segment in segments:
        with SegmentFile(disk, segment) as file:
            openers.append(file.opener())
    for at, segment in enumerate(segments):
        # An opener has the time of the record before it: the last one of the previous segment.
        ended = at + 1 < len(segments) and openers[at + 1].chain.time < start
        if ended or (at and openers[at].chain.time >= stop):
            continue
        index = indexes.of(segment)
        with SegmentFile(disk, segment) as file:
            for offset in index.offsets_between(start, stop):
                head = head_at(file, offset)
                wanted = {header.seq for _, header in headers_of(file, head) if start <= header.time < stop}
                yield from records_in(file, head, wanted)
        if progress is not None:
            progress(index.last)


def headers(disk: Disk, seqs: Sequence[int], indexes: Indexes | None = None) -> dict[int, bytes]:
    """Return the headers of some records as stored on disk, from which their Merkle leaves are computed.

    Raises `KeyError` for one that is not in the journal; `Corrupt`, `UnknownVersion`, `OSError`.
    """
    indexes = indexes or Indexes(disk)
    found: dict[int, bytes] = {}
    wanted = sorted(set(seqs))
    for segment, after in zip_longest(indexes.segments, indexes.segments[1:]):
        here = [seq for seq in wanted if segment.first <= seq and (after is None or seq < after.first)]
        if not here:
            continue
        index = indexes.of(segment)
        with SegmentFile(disk, segment) as file:
            in_frames: dict[int, list[int]] = {}
            for seq in here:
                if seq <= index.last:
                    in_frames.setdefault(index.frame_of(seq), []).append(seq)
            for offset, seqs_there in in_frames.items():
                found |= packed_headers(file, head_at(file, offset), seqs_there)
    return {seq: found[seq] for seq in wanted}


def _searched(
    file: SegmentFile, resource: bytes, *, last: bool, progress: Progress | None
) -> Iterator[FrameHead]:
    """Yield the frames whose heads contain the resource's bytes, from a segment without an index."""
    end, seq = file.opener().size, file.segment.first - 1
    for head in heads(file, end):
        end, seq = head.stop, head.prefix.first + head.prefix.records - 1
        if resource in head.data and (not last or _follows(file, head) or is_whole(file, head)):
            yield head
    if not last and end != file.size():
        text = f"{file.name}, offset {end}: no frame starts here"
        raise Corrupt(text, file=file.name, offset=end, seq=seq + 1)
    if progress is not None:
        progress(seq)


def _follows(file: SegmentFile, head: FrameHead) -> bool:
    """Return whether a frame follows this one, which was then written in full."""
    return next(heads(file, head.stop), None) is not None
