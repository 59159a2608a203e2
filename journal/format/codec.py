"""Encodes batches as frames, and decodes them. FORMAT.md sections 3 to 6. Sans-IO.

Encoding is one call. Decoding is a `Decoder` per segment: `feed` it the file from the opener's end on, in
pieces of any size, and take frames with `next`, until that returns `Want.MORE` (feed again; at the end of the
file: it is incomplete), `Want.NOTHING` (zeros where a frame should start), or raises `Damage`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from hashlib import blake2b
from typing import NamedTuple

import msgpack

from retain.journal.format import parts
from retain.journal.format.frame import (
    MALFORMED,
    Chain,
    Damage,
    Frame,
    Hole,
    Prefix,
    layout,
    pack_prefix,
    parse_head,
    parse_prefix,
)
from retain.journal.format.limits import (
    BATCH_BYTES,
    BATCH_RECORDS,
    PART_ALIGN,
    PART_BYTES,
    PART_OVERHEAD,
    PREFIX_BYTES,
    SALT_BYTES,
)
from retain.journal.format.merkle import leaf_hash
from retain.journal.format.record import (
    NO_COMMITMENT,
    RESOURCE_BYTES,
    Draft,
    Header,
    Part,
    Record,
    Verb,
    address,
)
from retain.journal.format.whitening import Whitening

_BLANK = bytes(PREFIX_BYTES)
_LENGTH_AT, _BODY_AT = 4, PART_OVERHEAD - SALT_BYTES  # in a part, counted from the end of its salt
_NEVER_IN_SIZE = ~(2 * PART_BYTES - PART_ALIGN)
_FIRST_OWN_VERB = int(Verb.ERASE)


class Want(Enum):
    """The result of `Decoder.next` without a frame."""

    MORE = "the bytes end inside a frame, or where a frame should start"
    NOTHING = "zeros where a frame should start"


class Batch(NamedTuple):
    """A frame to be written: its bytes, its records' Merkle leaves, each content's address (-1: none)."""

    data: bytes
    leaves: list[bytes]
    addresses: list[int]


def salts_needed(drafts: Sequence[Draft]) -> int:
    """Return how many random bytes `encode_batch` uses for these drafts."""
    return SALT_BYTES * sum((draft.details != b"") + (draft.content != b"") for draft in drafts)


def encode_batch(
    drafts: Sequence[Draft],
    chain: Chain,
    root: bytes,
    *,
    segment: int,
    offset: int,
    whitening: Whitening,
    salts: bytes,
) -> Batch:
    """Return the frame that appends `drafts` at `offset` of a segment.

    `chain` is the tree before it, with `root`, and the time that all its records get. `salts` holds 32 random
    bytes for each part that is not empty, in order. Raises `ValueError` if a part or the frame would be too
    large, with nothing changed.
    """
    assert 0 < len(drafts) <= BATCH_RECORDS, f"a batch has 1 to {BATCH_RECORDS} records, not {len(drafts)}"
    size, time = chain.frontier.size, chain.time
    pack = msgpack.Packer().pack
    headers: list[bytes] = []
    payload: list[bytes] = []
    contents: list[int] = []
    end = salt = 0
    for seq, draft in enumerate(drafts, size + 1):
        details = content = b""
        details_proof = content_proof = NO_COMMITMENT
        if draft.details:
            details, details_proof = parts.seal(draft.details, salts[salt : salt + SALT_BYTES])
            salt += SALT_BYTES
        if draft.content:
            content, content_proof = parts.seal(draft.content, salts[salt : salt + SALT_BYTES])
            salt += SALT_BYTES
        contents.append(end + len(details) if content else -1)
        end += len(details) + len(content)
        payload += (details, content)
        assert len(draft.resource) == RESOURCE_BYTES, "a resource is 16 bytes"
        what = (draft.verb, draft.interface, draft.resource, draft.cause)
        headers.append(pack((seq, time, *what, len(details), len(content), details_proof, content_proof)))
    head = pack((size, root, *headers))
    payload_at, extent = layout(len(head), end)
    if extent > BATCH_BYTES or any(len(part) > PART_BYTES for part in payload):
        raise ValueError(f"a batch of {extent} bytes, or a part in it, is larger than the format allows")
    prefix = pack_prefix(len(drafts), size + 1, head, end)
    gap = bytes(payload_at - PREFIX_BYTES - len(head))
    area = b"".join((gap, *payload, bytes(extent - payload_at - end)))
    data = b"".join((prefix, head, whitening.apply(area, offset + PREFIX_BYTES + len(head))))
    base = address(segment, offset + payload_at)
    return Batch(
        data,
        [leaf_hash(header) for header in headers],
        [base + content if content >= 0 else -1 for content in contents],
    )


class Decoder:
    """Frames of one segment, from the end of its opener, or any place between two frames, on.

    `chain` is what the first frame must continue; it follows the frames. A bad part does not stop it: the
    frame then has holes, whose legality depends on later records.
    """

    def __init__(self, chain: Chain, *, segment: int, offset: int, whitening: Whitening) -> None:
        self.chain = chain
        self._root = chain.frontier.root()
        self._segment = segment
        self._stream = whitening.stream(offset)
        self._raw = self._plain = b""
        self._base = offset
        self._at = 0
        self._needed = PREFIX_BYTES

    @property
    def offset(self) -> int:
        """Where the next frame starts, in the file."""
        return self._base + self._at

    @property
    def root(self) -> bytes:
        """The tree's root after the last frame."""
        return self._root

    @property
    def extent(self) -> int | None:
        """The length of the frame that `Want.MORE` waits for, None where its prefix is not there yet."""
        return self._needed if self._needed > PREFIX_BYTES else None

    def feed(self, data: bytes) -> None:
        """Continue with `data`, which follows the bytes fed before."""
        self._raw = self._raw[self._at :] + data
        self._plain = self._plain[self._at :] + self._stream.update(data)
        self._base += self._at
        self._at = 0

    def next(self) -> Frame | Want:
        """Return the next frame. Raises `Damage`, and then does not advance."""
        if len(self._raw) - self._at < self._needed:
            return Want.MORE
        start = self._raw[self._at : self._at + PREFIX_BYTES]
        if start == _BLANK:
            return Want.NOTHING
        prefix = parse_prefix(start)
        if prefix is None:
            raise self._damage("no frame starts here")
        if prefix.first != self.chain.frontier.size + 1:
            raise self._damage(f"the frame starts with record {prefix.first}")
        if len(self._raw) - self._at < prefix.extent:
            self._needed = prefix.extent
            return Want.MORE
        frame = self._decode(prefix)
        self._at += prefix.extent
        self._needed = PREFIX_BYTES
        return frame

    def _decode(self, prefix: Prefix) -> Frame:
        at = self._at + PREFIX_BYTES
        head = self._raw[at : at + prefix.head_length]
        if not prefix.covers(head):
            raise self._damage("the head's checksum is wrong", prefix.extent)
        self._compare_zeros(prefix)
        try:
            size, root, headers = parse_head(head)
            if len(headers) != prefix.records:
                raise ValueError(f"{len(headers)} headers instead of {prefix.records}")
            if size != self.chain.frontier.size or root != self._root:
                raise ValueError("the frame does not continue the tree")
            records, own, holes, time = self._records(headers, prefix)
        except MALFORMED as error:
            raise self._damage(str(error)) from error
        before = self.chain.copy() if holes else None
        frontier = self.chain.frontier
        frontier.extend(headers)
        self._root = frontier.root()
        self.chain = Chain(frontier, time)
        return Frame(self.offset, prefix.extent, self._root, records, own, holes, before)

    def _records(
        self, headers: list[bytes], prefix: Prefix
    ) -> tuple[list[Record], list[Record], list[Hole], int]:
        """Decode records in the innermost loop of every start-up: few calls, no attribute looked up twice."""
        plain, unpack, hashed, number = self._plain, msgpack.unpackb, blake2b, int.from_bytes
        make = tuple.__new__
        records: list[Record] = []
        own: list[Record] = []
        holes: list[Hole] = []
        at = first = self._at + prefix.payload_at
        base = address(self._segment, self._base)
        last = self.chain.time
        for due, packed in enumerate(headers, prefix.first):
            fields = unpack(packed, use_list=False)
            seq, time, verb, _, resource, _, details_size, content_size, details_proof, content_proof = fields
            if (
                seq != due
                or time < last
                or (details_size | content_size) & _NEVER_IN_SIZE
                or len(resource) != 16
            ):
                raise ValueError(f"the header of record {due} is out of order or range")
            last = time
            details: bytes | None = b""
            content: bytes | None = b""
            if details_size:
                salt, part = plain[at : at + SALT_BYTES], plain[at + SALT_BYTES : at + details_size]
                if hashed(part, digest_size=32, key=salt).digest() == details_proof:
                    details = part[_BODY_AT : _BODY_AT + number(part[_LENGTH_AT:_BODY_AT])]
                else:
                    details = None
                    holes.append(self._hole(due, Part.DETAILS, at, details_size))
                at += details_size
            elif details_proof != NO_COMMITMENT:
                raise ValueError(f"record {due} commits to details it does not have")
            content_at = -1
            if content_size:
                content_at = base + at
                salt, part = plain[at : at + SALT_BYTES], plain[at + SALT_BYTES : at + content_size]
                if hashed(part, digest_size=32, key=salt).digest() == content_proof:
                    content = part[_BODY_AT : _BODY_AT + number(part[_LENGTH_AT:_BODY_AT])]
                else:
                    content = None
                    holes.append(self._hole(due, Part.CONTENT, at, content_size))
                at += content_size
            elif content_proof != NO_COMMITMENT:
                raise ValueError(f"record {due} commits to content it does not have")
            record = make(Record, (make(Header, fields), details, content, content_at))
            records.append(record)
            if verb >= _FIRST_OWN_VERB:
                own.append(record)
        if at - first != prefix.payload_length:
            raise ValueError("the parts do not fill the payload area")
        return records, own, holes, last

    def _hole(self, seq: int, part: Part, at: int, size: int) -> Hole:
        return Hole(seq, part, self._base + at, size, self._raw.count(0, at, at + size) == size)

    def _compare_zeros(self, prefix: Prefix) -> None:
        plain, start = self._plain, self._at
        gap = plain[start + PREFIX_BYTES + prefix.head_length : start + prefix.payload_at]
        rest = plain[start + prefix.payload_at + prefix.payload_length : start + prefix.extent]
        if gap.count(0) != len(gap) or rest.count(0) != len(rest):
            raise self._damage("the padding is not zero", prefix.extent)

    def _damage(self, reason: str, extent: int | None = None) -> Damage:
        return Damage(reason, offset=self.offset, seq=self.chain.frontier.size + 1, extent=extent)
