"""The sizes of the journal, in bytes unless a name says otherwise, and their relations.

The ones marked FORMAT are written in FORMAT.md and may never shrink: journals on disk use them to the full.
"""

from __future__ import annotations

KIB = 1 << 10
MIB = 1 << 20

SECTOR = 512
"""FORMAT. The unit that a disk writes completely or not at all; every frame starts and ends at one."""

PART_ALIGN = 64
"""FORMAT. Parts are padded to this, so that a size on disk reveals little about the data."""

PREFIX_BYTES = 32
"""FORMAT. The fixed start of a frame."""

SALT_BYTES = 32
"""FORMAT. New for every part, and erased with it."""

PART_OVERHEAD = SALT_BYTES + 8
"""FORMAT. Salt, CRC and length before a part's bytes."""

PART_BYTES = 1 * MIB
"""FORMAT. Largest part on disk, salt and padding included. Larger content belongs into payload files."""

BATCH_BYTES = 4 * MIB
"""FORMAT. Largest frame on disk, padding included; so also the largest torn tail."""

BATCH_RECORDS = 4096
"""FORMAT. Most records in a frame."""

HEAD_BYTES = 1 * MIB
"""FORMAT. Largest head of a frame."""

HEADER_BYTES = 160
"""Largest header with its length field in the head: ten numbers and hashes in msgpack's widest forms."""

HEAD_OVERHEAD = 64
"""A head's bytes besides the headers: array, tree size and root in msgpack's widest forms."""

ENVELOPE_BYTES = 64 * KIB
"""FORMAT. Largest opener or anchor; one that declares more is damaged."""

WIDE_ENVELOPE_BYTES = 2 * MIB
"""FORMAT. Largest opener of a rewritten segment, which holds a table."""

LEFT_OUT_RUNS = 1 << 17
"""Most runs that a rewritten segment leaves out; if there are more, the smaller ones are kept."""

SEGMENT_BYTES = 64 * MIB
"""Default size from which on a segment is full. It may end up to one batch later."""

OFFSET_LIMIT = 1 << 32
"""FORMAT. Addresses give 32 bits to the offset within a segment."""

STEP_BYTES = 8 * MIB
"""Space is reserved ahead in steps of this size, so that most batches need no call for it."""

BALLAST_BYTES = 8 * MIB
"""Kept on disk and released when the disk is full: space for deletes, which free far more."""

READ_CHUNK = 1 * MIB
"""A segment is read, and its whitening undone, in pieces of this."""

READ_HANDLES = 64
"""Segments kept open for reading single parts; bounds the descriptors used."""

CONTENT_READ = 4 * KIB
"""First read of a single part; only longer ones need a second."""

ERASE_RANGES = 8192
"""Most ranges named by one erase record; more are split over several."""


def part_size(length: int) -> int:
    """Return the size on disk of a part that holds `length` bytes; 0 for none."""
    return (length + PART_OVERHEAD + PART_ALIGN - 1) // PART_ALIGN * PART_ALIGN if length else 0


def draft_room(details: int, content: int) -> int:
    """Return the most that a record with parts of these lengths adds to a frame.

    The budget of a batch is counted with it.
    """
    return HEADER_BYTES + part_size(details) + part_size(content)


def frame_room(content: int) -> int:
    """Return the maximum size on disk of a frame with one record of this much content and no details."""
    return PREFIX_BYTES + HEAD_OVERHEAD + PART_ALIGN + SECTOR + draft_room(0, content)


FRAME_ROOM = BATCH_BYTES - PREFIX_BYTES - HEAD_OVERHEAD - PART_ALIGN - SECTOR
"""Sum of `draft_room` that always fits into one frame."""

assert SECTOR % PART_ALIGN == 0
assert PART_ALIGN % 16 == 0
assert READ_CHUNK % 16 == 0
assert PREFIX_BYTES < SECTOR
assert BATCH_RECORDS * HEADER_BYTES + HEAD_OVERHEAD <= HEAD_BYTES
assert 2 * PART_BYTES + HEADER_BYTES <= FRAME_ROOM
assert SEGMENT_BYTES + BATCH_BYTES < OFFSET_LIMIT
assert STEP_BYTES >= BATCH_BYTES
assert 8 * LEFT_OUT_RUNS + ENVELOPE_BYTES <= WIDE_ENVELOPE_BYTES
assert PART_OVERHEAD + ERASE_RANGES * 24 <= PART_BYTES
