"""A record's part with its salt, so that a reader without the journal can check its commitment.

FORMAT.md section 5. With a header, a proof that it is in the tree, and the part, the record's content is
proven.
"""

from __future__ import annotations

from itertools import zip_longest

from retain.journal.disk.interface import Disk
from retain.journal.errors import BadTarget
from retain.journal.format import parts
from retain.journal.format.limits import PART_OVERHEAD
from retain.journal.format.record import Part
from retain.journal.lookup.index import Indexes
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.heads import head_at, headers_of


def exhibit(disk: Disk, seq: int, part: Part, indexes: Indexes | None = None) -> bytes | None:
    """Return the details or content of record `seq` as its commitment covers it.

    None if the part was erased, or if the record has none. Raises `BadTarget` if there is no such record;
    `Corrupt`, `UnknownVersion`, `OSError`.
    """
    assert part in (Part.DETAILS, Part.CONTENT), "one part at a time"
    indexes = indexes or Indexes(disk)
    for segment, after in zip_longest(indexes.segments, indexes.segments[1:]):
        if not segment.first <= seq or (after is not None and seq >= after.first):
            continue
        index = indexes.of(segment)
        if seq <= index.last:
            with SegmentFile(disk, segment) as file:
                return _read(file, index.frame_of(seq), seq, part)
    raise BadTarget(f"there is no record {seq}", seq=seq)


def opened(exhibit: bytes, commitment: bytes) -> bytes | None:
    """Return the bytes in an exhibit if the commitment covers it; otherwise None."""
    if len(exhibit) <= PART_OVERHEAD or parts.commitment(exhibit) != commitment:
        return None
    return parts.body(exhibit)


def _read(file: SegmentFile, offset: int, seq: int, part: Part) -> bytes | None:
    head = head_at(file, offset)
    headers = [header for _, header in headers_of(file, head)]
    before, header = headers[: seq - head.prefix.first], headers[seq - head.prefix.first]
    start = head.offset + head.prefix.payload_at
    start += sum(one.details_size + one.content_size for one in before)
    size, commitment = header.details_size, header.details_commitment
    if part is Part.CONTENT:
        start += size
        size, commitment = header.content_size, header.content_commitment
    if not size:
        return None
    found = file.opener().whitening.apply(file.pread(start, size), start)
    return found if parts.commitment(found) == commitment else None
