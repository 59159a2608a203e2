"""Decodes frames whose bytes were verified before: places and records, no hash. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgpack
from crc32c import crc32c

from retain.journal.format.codec import Decoder
from retain.journal.format.frame import MALFORMED, Chain, Frame, Hole, Prefix, parse_head
from retain.journal.format.limits import PART_OVERHEAD, PREFIX_BYTES, SALT_BYTES
from retain.journal.format.merkle import Believed
from retain.journal.format.record import Header, Part, Record, Verb, address
from retain.journal.format.whitening import Whitening

_LENGTH_AT = SALT_BYTES + 4
_FIRST_OWN_VERB = int(Verb.ERASE)


def chunk_sum(data: bytes) -> int:
    """Return the checksum by which two readings of the same bytes are compared."""
    return crc32c(data)


class VerifiedDecoder(Decoder):
    """Frames of a segment of which the holes are known, in order. Their `root` is empty.

    For bytes that a `Decoder` has accepted, and for no others.
    """

    def __init__(
        self, chain: Chain, holes: Iterable[Hole], *, segment: int, offset: int, whitening: Whitening
    ) -> None:
        counted = Chain(Believed(chain.frontier.size, b""), chain.time)
        super().__init__(counted, segment=segment, offset=offset, whitening=whitening)
        self._holes: Iterator[Hole] = iter(holes)
        self._missing = next(self._holes, None)

    def _decode(self, prefix: Prefix) -> Frame:
        at = self._at + PREFIX_BYTES
        try:
            headers = parse_head(self._raw[at : at + prefix.head_length])[2]
            records, own_at = self._plain_records(headers, prefix)
        except MALFORMED as error:
            raise self._damage(str(error)) from error
        last = prefix.first + len(headers) - 1
        holes: list[Hole] = []
        while (hole := self._missing) is not None and hole.seq <= last:
            index = hole.seq - prefix.first
            old = records[index]
            is_details = hole.part is Part.DETAILS
            records[index] = old._replace(details=None) if is_details else old._replace(content=None)
            holes.append(hole)
            self._missing = next(self._holes, None)
        own = [records[index] for index in own_at]
        self.chain.frontier.extend(headers)
        return Frame(self.offset, prefix.extent, b"", records, own, holes, None)

    def _plain_records(self, headers: list[bytes], prefix: Prefix) -> tuple[list[Record], list[int]]:
        """Return the records as `Decoder` does, without its checks, and which are the journal's own."""
        plain, unpack, number, make = self._plain, msgpack.unpackb, int.from_bytes, tuple.__new__
        records: list[Record] = []
        own_at: list[int] = []
        at = self._at + prefix.payload_at
        base = address(self._segment, self._base)
        for packed in headers:
            fields = unpack(packed, use_list=False)
            details = content = b""
            content_at = -1
            if size := fields[6]:
                body = at + PART_OVERHEAD
                details = plain[body : body + number(plain[at + _LENGTH_AT : body])]
                at += size
            if size := fields[7]:
                content_at = base + at
                body = at + PART_OVERHEAD
                content = plain[body : body + number(plain[at + _LENGTH_AT : body])]
                at += size
            if fields[2] >= _FIRST_OWN_VERB:
                own_at.append(len(records))
            records.append(make(Record, (make(Header, fields), details, content, content_at)))
        return records, own_at
