"""The parts of a frame: prefix, head, headers, holes. FORMAT.md sections 3 and 4. Sans-IO.

`codec.py` turns batches into frames and back; code that only locates records uses this module alone.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import msgpack
from crc32c import crc32c

from retain.journal.format.limits import (
    BATCH_BYTES,
    BATCH_RECORDS,
    HEAD_BYTES,
    PART_ALIGN,
    PREFIX_BYTES,
    SECTOR,
)
from retain.journal.format.merkle import Frontier
from retain.journal.format.record import Header, Part, Record

FRAME_MAGIC = b"RETF"

MALFORMED = (ValueError, TypeError, msgpack.UnpackException)
"""The errors that msgpack and unpacking raise on malformed bytes."""

_PREFIX = struct.Struct(">4sIQIIII")
_CRC_AT = PREFIX_BYTES - 4


class Damage(Exception):
    """No good frame starts at `offset`, where record `seq` was due.

    `extent` is the length of the bad frame where its prefix is good and a torn write could explain the rest,
    else None. `tail.py` judges the damage.
    """

    def __init__(self, reason: str, *, offset: int, seq: int, extent: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset
        self.seq = seq
        self.extent = extent


class Prefix(NamedTuple):
    """The fixed start of a frame. `payload_at` and `extent` count from the frame's start."""

    records: int
    first: int
    head_length: int
    payload_length: int
    head_crc: int
    payload_at: int
    extent: int

    def covers(self, head: bytes) -> bool:
        """Return whether `head` has the checksum that the prefix gives for it."""
        return crc32c(head) == self.head_crc


class Hole(NamedTuple):
    """A part that does not open its commitment. `blank`: it is all zero on disk. `offset` is in the file."""

    seq: int
    part: Part
    offset: int
    size: int
    blank: bool


class Chain(NamedTuple):
    """What the next frame must continue: the tree over all records so far, and the last one's time."""

    frontier: Frontier
    time: int

    def copy(self) -> Chain:
        """Return a copy that later frames do not change."""
        return Chain(self.frontier.copy(), self.time)


class Frame(NamedTuple):
    """One good frame. `root` is the tree's after it; `own` are the journal's own among its records.

    If it has holes, `before` is the chain without it: as the last frame, it may turn out to be torn.
    """

    offset: int
    extent: int
    root: bytes
    records: list[Record]
    own: list[Record]
    holes: list[Hole]
    before: Chain | None


def layout(head_length: int, payload_length: int) -> tuple[int, int]:
    """Return where a frame's payload area starts, from the frame's start, and the frame's length."""
    payload_at = (PREFIX_BYTES + head_length + PART_ALIGN - 1) // PART_ALIGN * PART_ALIGN
    return payload_at, (payload_at + payload_length + SECTOR - 1) // SECTOR * SECTOR


def pack_prefix(count: int, first: int, head: bytes, payload_length: int) -> bytes:
    """Return the 32 bytes before `head`."""
    data = _PREFIX.pack(FRAME_MAGIC, count, first, len(head), payload_length, crc32c(head), 0)[:_CRC_AT]
    return data + crc32c(data).to_bytes(4, "big")


def parse_prefix(data: bytes) -> Prefix | None:
    """Return the prefix in these 32 bytes, or None if they contain none."""
    magic, count, first, head_length, payload_length, head_crc, own_crc = _PREFIX.unpack(data)
    if magic != FRAME_MAGIC or crc32c(data[:_CRC_AT]) != own_crc:
        return None
    payload_at, extent = layout(head_length, payload_length)
    if (
        0 < count <= BATCH_RECORDS
        and head_length <= HEAD_BYTES
        and payload_length % PART_ALIGN == 0
        and extent <= BATCH_BYTES
    ):
        return Prefix(count, first, head_length, payload_length, head_crc, payload_at, extent)
    return None


def parse_head(head: bytes) -> tuple[int, bytes, list[bytes]]:
    """Return tree size and root before the frame, and the headers' bytes. Raises `ValueError`."""
    try:
        size, root, *headers = msgpack.unpackb(head)
    except MALFORMED as error:
        raise ValueError(f"the head is not a list of headers: {error}") from error
    return size, root, headers


def parse_header(data: bytes) -> Header:
    """Return one header from its bytes. Raises `ValueError`."""
    try:
        return Header(*msgpack.unpackb(data))
    except MALFORMED as error:
        raise ValueError(f"not a header: {error}") from error
