"""Records: drafts to be appended, headers, parts, positions, addresses. FORMAT.md sections 4 and 5.

The values are named tuples, not dataclasses: equally immutable, and six times as cheap to create, which
dominates the replay of a long history.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import NamedTuple

RESOURCE_BYTES = 16
NO_RESOURCE = bytes(RESOURCE_BYTES)
NO_COMMITMENT = bytes(32)


class Verb(IntEnum):
    """The kind of a record. FORMAT.md section 4: numbers never change, 0 is never used."""

    PUT = 1
    PATCH = 2
    DELETE = 3
    TOKEN = 4
    ERASE = 5
    ERASED = 6
    CHECKPOINT = 7


class Part(IntFlag):
    """The two parts of a record that can be erased. FORMAT.md section 6."""

    DETAILS = 1
    CONTENT = 2


@dataclass(frozen=True, slots=True)
class Draft:
    """A record to be appended. `details` and `content` are msgpack; b"" means the record has none.

    `resource` is 16 opaque bytes. `interface` and `cause` are the engine's numbers, 0 to 2**32 - 1.
    """

    verb: int
    interface: int
    resource: bytes
    cause: int
    details: bytes
    content: bytes


class Header(NamedTuple):
    """The part of a record that stays for ever; nothing personal in it. FORMAT.md section 4.

    `time` is in nanoseconds since 1970 UTC and never decreases. Sizes are those on disk, 0: absent.
    """

    seq: int
    time: int
    verb: int
    interface: int
    resource: bytes
    cause: int
    details_size: int
    content_size: int
    details_commitment: bytes
    content_commitment: bytes


class Record(NamedTuple):
    """One record as stored on disk.

    A part is None where it was erased, or was about to be: a later erase record names it. It is b"" where
    there never was one. `content_at` is the content part's address for `Journal.content`, -1 without one.
    """

    header: Header
    details: bytes | None
    content: bytes | None
    content_at: int


class Position(NamedTuple):
    """A place between two frames: the last record before it, and the Merkle root over all up to it."""

    seq: int
    root: bytes


class Head(NamedTuple):
    """Where the journal ends, durably. `offset` is the end of the last frame in segment number `segment`."""

    seq: int
    time: int
    root: bytes
    segment: int
    offset: int

    @property
    def position(self) -> Position:
        """The position that a snapshot of the state at this point is bound to."""
        return Position(self.seq, self.root)


def address(segment: int, offset: int) -> int:
    """Return the address of a part in the journal (FORMAT.md section 5)."""
    return segment << 32 | offset


def place(address: int) -> tuple[int, int]:
    """Return the segment number and offset of an address."""
    return address >> 32, address & 0xFFFFFFFF
