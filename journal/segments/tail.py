"""Torn writes: distinguish the end of a crash, which may be cut off, from damage. FORMAT.md section 7."""

from __future__ import annotations

from typing import NamedTuple

from retain.journal.disk.interface import Disk, File
from retain.journal.errors import Corrupt
from retain.journal.format.frame import Damage, parse_prefix
from retain.journal.format.limits import BATCH_BYTES, PREFIX_BYTES, READ_CHUNK, SECTOR
from retain.journal.segments.files import broken_file

_SECTOR_OF_ZEROS = bytes(SECTOR)


_ZEROS = bytes(READ_CHUNK)


class Tear(NamedTuple):
    """The torn write of an unacknowledged batch: `length` bytes at `offset`, before record `seq`."""

    file: str
    offset: int
    length: int
    seq: int
    reason: str


def last_byte(file: File, start: int) -> int:
    """Return the offset after the last byte from `start` on that is not zero; `start` if all are."""
    end = start
    at = start
    while chunk := file.pread(at, READ_CHUNK):
        # Reserved space is megabytes of zeros: comparing costs a thirtieth of stripping.
        if chunk != _ZEROS and (content := chunk.rstrip(b"\x00")):
            end = at + len(content)
        at += len(chunk)
    return end


def judge(file: File, damage: Damage) -> Tear | None:
    """Judge whether the bad frame at the end of the last segment is a torn write; None if there is no frame.

    Raises `Corrupt` for damage that a crash cannot explain.
    """
    start = damage.offset
    end = last_byte(file, start)
    if end == start:
        return None
    reason = _why_torn(file, damage, end)
    if reason is None:
        raise corrupt(file.name, damage)
    return Tear(file.name, start, end - start, damage.seq, reason)


def corrupt(file: str, damage: Damage) -> Corrupt:
    """Return the damage as an error that names its place."""
    text = f"{file}, offset {damage.offset}, record {damage.seq}: {damage.reason}"
    return Corrupt(text, file=file, offset=damage.offset, seq=damage.seq)


def cut(disk: Disk, file: File, tear: Tear) -> str:
    """Keep a copy of the tear, then cut the file to its good part, durably. Returns the copy's name."""
    copy = broken_file(tear.file, tear.offset)
    disk.write_atomic(copy, file.pread(tear.offset, tear.length))
    file.truncate(tear.offset)
    file.sync()
    return copy


def _why_torn(file: File, damage: Damage, end: int) -> str | None:
    start, left = damage.offset, file.size() - damage.offset
    if left < PREFIX_BYTES:
        return "the file ends in a frame's first bytes"
    if damage.extent is not None:
        if damage.extent > left:
            return "the file ends inside the frame"
        if end > start + damage.extent or not _has_zero_sector(file, start, damage.extent):
            return None
        return "a sector of the frame was never written"
    if file.pread(start, SECTOR).strip(b"\x00") or end - start > BATCH_BYTES:
        return None
    if _good_prefix_follows(file, start, end, damage.seq):
        return None
    return "the frame's first sector was never written"


def _has_zero_sector(file: File, start: int, length: int) -> bool:
    data = file.pread(start, length)
    return any(data[at : at + SECTOR] == _SECTOR_OF_ZEROS for at in range(0, length, SECTOR))


def _good_prefix_follows(file: File, start: int, end: int, seq: int) -> bool:
    data = file.pread(start, end - start + PREFIX_BYTES)
    prefixes = (
        parse_prefix(data[at : at + PREFIX_BYTES])
        for at in range(SECTOR, len(data) - PREFIX_BYTES + 1, SECTOR)
    )
    return any(prefix is not None and prefix.first >= seq for prefix in prefixes)
