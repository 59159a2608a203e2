"""Finds frames in a segment, and single records in frames, by reading heads only.

For code that needs a few records of a long journal: `index.py`, `history.py`, `proofs.py`. Heads are checked
with their CRC and parts against their commitments; that the frames continue the tree, `index.py` checks.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

from retain.journal.errors import Corrupt
from retain.journal.format import parts
from retain.journal.format.codec import Decoder
from retain.journal.format.frame import Chain, Damage, Frame, Prefix, parse_head, parse_header, parse_prefix
from retain.journal.format.limits import PREFIX_BYTES, READ_CHUNK
from retain.journal.format.merkle import Believed
from retain.journal.format.record import Header, Record, address
from retain.journal.format.whitening import Whitening
from retain.journal.segments.file import SegmentFile


class FrameHead(NamedTuple):
    """A frame's start: where it is, its prefix, and its head's bytes, whose CRC holds."""

    offset: int
    prefix: Prefix
    data: bytes

    @property
    def stop(self) -> int:
        """Where the next frame starts."""
        return self.offset + self.prefix.extent

    def headers(self) -> list[bytes]:
        """Return its records' headers as stored on disk. Raises `ValueError`."""
        headers = parse_head(self.data)[2]
        if len(headers) != self.prefix.records:
            raise ValueError(f"{len(headers)} headers instead of {self.prefix.records}")
        return headers


def heads(file: SegmentFile, start: int) -> Iterator[FrameHead]:
    """Yield the heads of all frames from `start` on, until no valid one follows."""
    data, base, at, ahead = b"", start, start, READ_CHUNK
    while True:
        rest = data[at - base : at - base + PREFIX_BYTES]
        if len(rest) < PREFIX_BYTES:
            data, base = file.pread(at, ahead), at
            rest = data[:PREFIX_BYTES]
        prefix = parse_prefix(rest) if len(rest) == PREFIX_BYTES else None
        if prefix is None:
            return
        first, last = at - base + PREFIX_BYTES, at - base + PREFIX_BYTES + prefix.head_length
        if last > len(data):
            data, base = file.pread(at, max(ahead, PREFIX_BYTES + prefix.head_length)), at
            first, last = PREFIX_BYTES, PREFIX_BYTES + prefix.head_length
        head = data[first:last]
        if not prefix.covers(head):
            return
        yield FrameHead(at, prefix, head)
        # If frames are long, reading ahead beyond the next head is not worth it.
        ahead = READ_CHUNK if prefix.extent < READ_CHUNK // 16 else PREFIX_BYTES + prefix.head_length * 5 // 4
        at += prefix.extent


def good_heads(file: SegmentFile, start: int, *, growing: bool) -> Iterator[FrameHead]:
    """Yield the heads from `start` on; of a growing segment, the last frame only if it is whole."""
    held: FrameHead | None = None
    for head in heads(file, start):
        if held is not None:
            yield held
        held = head
    if held is not None and (not growing or is_whole(file, held)):
        yield held


def head_at(file: SegmentFile, offset: int) -> FrameHead:
    """Return the head of the frame at `offset`. Raises `Corrupt` if it is not valid."""
    data = file.pread(offset, PREFIX_BYTES)
    prefix = parse_prefix(data) if len(data) == PREFIX_BYTES else None
    if prefix is not None:
        head = file.pread(offset + PREFIX_BYTES, prefix.head_length)
        if prefix.covers(head):
            return FrameHead(offset, prefix, head)
    raise Corrupt(f"{file.name}, offset {offset}: no frame starts here", file=file.name, offset=offset)


def headers_of(file: SegmentFile, head: FrameHead) -> list[tuple[bytes, Header]]:
    """Return a frame's headers, each as stored on disk and parsed. Raises `Corrupt`."""
    try:
        return [(packed, parse_header(packed)) for packed in head.headers()]
    except ValueError as error:
        text = f"{file.name}, offset {head.offset}: {error}"
        raise Corrupt(text, file=file.name, offset=head.offset, seq=head.prefix.first) from error


def packed_headers(file: SegmentFile, head: FrameHead, seqs: Iterable[int]) -> dict[int, bytes]:
    """Return the headers of some of a frame's records as stored on disk; only these are parsed.

    Raises `Corrupt`.
    """
    first, found = head.prefix.first, {}
    try:
        headers = head.headers()
        for seq in seqs:
            packed = headers[seq - first]
            if parse_header(packed).seq != seq:
                raise ValueError(f"the header of record {seq} belongs to another record")
            found[seq] = packed
    except ValueError as error:
        text = f"{file.name}, offset {head.offset}: {error}"
        raise Corrupt(text, file=file.name, offset=head.offset, seq=first) from error
    return found


def records_in(file: SegmentFile, head: FrameHead, wanted: Container[int]) -> Iterator[Record]:
    """Yield the records of a frame with these sequence numbers; a missing part is None.

    Raises `Corrupt`.
    """
    whitening = file.opener().whitening
    for header, at in placed(head, (header for _, header in headers_of(file, head))):
        if header.seq in wanted:
            yield record_at(file, header, at, whitening)


def placed(head: FrameHead, headers: Iterable[Header]) -> Iterator[tuple[Header, int]]:
    """Yield all headers of a frame, each with the offset of its record's parts."""
    at = head.offset + head.prefix.payload_at
    for header in headers:
        yield header, at
        at += header.details_size + header.content_size


def record_at(file: SegmentFile, header: Header, at: int, whitening: Whitening) -> Record:
    """Return the record whose parts are at `at`; a missing part is None."""
    middle = at + header.details_size
    end = middle + header.content_size
    area = whitening.apply(file.pread(at, end - at), at) if end > at else b""
    details = _body(area[: middle - at], header.details_size, header.details_commitment)
    content = _body(area[middle - at :], header.content_size, header.content_commitment)
    content_at = address(file.segment.number, middle) if header.content_size else -1
    return Record(header, details, content, content_at)


def is_whole(file: SegmentFile, head: FrameHead) -> bool:
    """Return whether a frame is complete: the last one of a growing segment may be half written."""
    prefix = head.prefix
    root = parse_head(head.data)[1]
    whitening = Whitening(file.opener().identity, file.segment.number)
    decoder = Decoder(
        Chain(Believed(prefix.first - 1, root), 0),
        segment=file.segment.number,
        offset=head.offset,
        whitening=whitening,
    )
    decoder.feed(file.pread(head.offset, prefix.extent))
    try:
        frame = decoder.next()
    except Damage:
        return False
    return isinstance(frame, Frame) and not frame.holes


def details_at(file: SegmentFile, header: Header, at: int, whitening: Whitening) -> bytes | None:
    """Return the details of the record whose parts are at `at`; None if they are missing."""
    size = header.details_size
    return _body(whitening.apply(file.pread(at, size), at), size, header.details_commitment) if size else b""


def _body(part: bytes, size: int, commitment: bytes) -> bytes | None:
    if not size:
        return b""
    whole = len(part) == size and parts.commitment(part) == commitment
    return parts.body(part) if whole else None
