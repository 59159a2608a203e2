"""Compaction: replaces a segment with much erased data by a file without it. FORMAT.md section 10.

The long part, reading and copying, runs beside a journal in use; only the change of names blocks it. Sealed
segments change only by erasures, which only write zeros. So bytes that were zero when the table was made are
still zero when they are copied, and a part erased after it was copied is also erased in the copy before the
copy becomes valid.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator
from heapq import nlargest

from retain.journal.disk.interface import TEMPORARY_SUFFIX, Disk
from retain.journal.erasure.locate import Spot
from retain.journal.erasure.zero import wipe
from retain.journal.errors import Corrupt, NoSpace
from retain.journal.format.gaps import GapTable, Run
from retain.journal.format.limits import LEFT_OUT_RUNS, PART_ALIGN, PREFIX_BYTES, READ_CHUNK
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import (
    FOLDER,
    Opener,
    Segment,
    find_segments,
    generation,
    pack_opener,
    segment_file,
)
from retain.journal.segments.heads import heads

SPARSE_PART = 4
"""A segment is sparse where more than one in this many bytes of its payload is an erased one."""

_WORTH = 32
"""Shorter runs cost about as much as they save."""

_ZEROS = bytes(PART_ALIGN)
_RUN_OF_ZEROS = re.compile(rb"\x00{%d,}" % PART_ALIGN)


def is_sparse(disk: Disk, segment: Segment) -> bool:
    """Return whether a sealed segment is worth rewriting. Reads all of it. Raises `Corrupt`, `OSError`."""
    with SegmentFile(disk, segment) as file:
        opener = file.opener()
        kept = sum(PREFIX_BYTES + head.prefix.head_length for head in heads(file, opener.size))
        start = opener.table.data_at if opener.table is not None else opener.size
    zeros = size = 0
    with disk.open(segment.file) as raw:
        while data := raw.pread(start + size, READ_CHUNK):
            zeros += data.count(_ZEROS) * len(_ZEROS)
            size += len(data)
    return zeros * SPARSE_PART > size - kept


def write_aside(disk: Disk, segment: Segment, erased: Iterable[Spot]) -> str:
    """Write a sealed segment without its zeros into a separate file, durably; returns its name.

    `erased` grows with the parts blanked meanwhile. Raises `Corrupt`: the segment is damaged; `NoSpace`:
    nothing has changed; `OSError`.
    """
    aside = segment.file + TEMPORARY_SUFFIX
    with SegmentFile(disk, segment) as old:
        opener = old.opener()
        table = GapTable.of(_runs(old, opener), start=opener.size, end=old.size(), data_at=0)
        data = pack_opener(opener.identity, opener.number, opener.chain, table)
        try:
            _write(disk, aside, data, _kept(old, table))
        except NoSpace:
            wipe(disk, aside)
            raise
        with SegmentFile(disk, segment._replace(file=aside)) as new:
            _compare(old, new, opener.size, erased)
    return aside


def put_in_place(disk: Disk, segment: Segment, aside: str, erased: Iterable[Spot]) -> Segment:
    """Let the file aside take the segment's place, durably. The old file is still there: `wipe` it next.

    Raises `OSError`.
    """
    spots = list(erased)
    if spots:
        with SegmentFile(disk, segment._replace(file=aside), write=True) as file:
            for _, offset, size in spots:
                file.pwrite(offset, bytes(size))
            file.sync()
    return _renamed(disk, segment, aside)


def wipe_superseded(disk: Disk) -> list[str]:
    """Wipe the superseded files of rewritten segments; returns their names.

    Raises `Corrupt` if the rewritten one is not good, with nothing changed; `NoSpace`, `OSError`.
    """
    segments, superseded = find_segments(disk)
    for old in superseded:
        new = next(segment for segment in segments if segment[:2] == old[:2])
        with SegmentFile(disk, new) as file:
            _last_stop(file, file.opener())
    for old in superseded:
        wipe(disk, old.file)
    if superseded:
        disk.sync_folder(FOLDER)
    return [old.file for old in superseded]


def expand(disk: Disk, segment: Segment) -> Segment:
    """Convert a rewritten segment back to format 1, so that it can be appended to. For `repair`.

    Raises `Corrupt`, `NoSpace`, `OSError`.
    """
    aside = segment.file + TEMPORARY_SUFFIX
    with SegmentFile(disk, segment) as old:
        opener = old.opener()
        data = pack_opener(opener.identity, opener.number, opener.chain)
        assert len(data) == opener.size, "the opener must keep its length"
        _write(disk, aside, data, (piece for _, piece in _pieces(old, opener.size)))
    new = _renamed(disk, segment, aside)
    wipe(disk, segment.file)
    disk.sync_folder(FOLDER)
    return new


def _renamed(disk: Disk, segment: Segment, aside: str) -> Segment:
    name = segment_file(segment.number, segment.first, generation(segment.file) + 1)
    disk.replace(aside, name)
    disk.sync_folder(FOLDER)
    return segment._replace(file=name)


def _write(disk: Disk, name: str, start: bytes, rest: Iterable[bytes]) -> None:
    with disk.open(name, create=True) as file:
        file.pwrite(0, start)
        at = len(start)
        for piece in rest:
            file.pwrite(at, piece)
            at += len(piece)
        file.sync()


def _pieces(file: SegmentFile, start: int) -> Iterator[tuple[int, bytes]]:
    """Yield the segment from `start` on, in pieces with their offsets."""
    for at in range(start, file.size(), READ_CHUNK):
        yield at, file.pread(at, min(READ_CHUNK, file.size() - at))


def _kept(file: SegmentFile, table: GapTable) -> Iterator[bytes]:
    for start, data in _pieces(file, table.start):
        pieces: list[bytes] = []
        at = start
        for run in table.runs(start, start + len(data)):
            pieces.append(data[at - start : run.offset - start])
            at = run.stop
        pieces.append(data[at - start :])
        yield b"".join(pieces)


def _runs(file: SegmentFile, opener: Opener) -> list[Run]:
    """Return the runs that can be left out. Raises `Corrupt`."""
    runs: list[Run] = []
    for head in heads(file, opener.size):
        gap = head.offset + PREFIX_BYTES + head.prefix.head_length
        area = head.offset + head.prefix.payload_at
        end = area + head.prefix.payload_length
        if area - gap >= _WORTH:
            runs.append(Run(gap, area - gap, True))
        runs += _zero_runs(file.pread(area, end - area), area)
        if head.stop - end >= _WORTH:
            runs.append(Run(end, head.stop - end, True))
    _last_stop(file, opener)
    if len(runs) > LEFT_OUT_RUNS:
        runs = sorted(nlargest(LEFT_OUT_RUNS, runs, key=lambda run: run.length))
    return runs


def _zero_runs(data: bytes, base: int) -> Iterator[Run]:
    for run in _RUN_OF_ZEROS.finditer(data):
        yield Run(base + run.start(), run.end() - run.start(), False)


def _last_stop(file: SegmentFile, opener: Opener) -> None:
    """Check that good frames fill the segment. Raises `Corrupt`."""
    end = opener.size
    for head in heads(file, end):
        end = head.stop
    if end != file.size():
        text = f"{file.name}, offset {end}: no frame starts here"
        raise Corrupt(text, file=file.name, offset=end)


def _compare(old: SegmentFile, new: SegmentFile, start: int, erased: Iterable[Spot]) -> None:
    """Read the new file back. Raises `OSError`: the disk does not contain what was written to it."""
    for at, data in _pieces(old, start):
        copy = new.pread(at, len(data))
        if copy == data:
            continue
        one, other = bytearray(data), bytearray(copy)
        for _, offset, size in list(erased):
            first, last = max(offset, at), min(offset + size, at + len(data))
            if first < last:
                one[first - at : last - at] = other[first - at : last - at] = bytes(last - first)
        if one != other:
            raise OSError(errno.EIO, f"{new.name} does not contain what was written to it")
    if old.size() != new.size():
        raise OSError(errno.EIO, f"{new.name} does not contain everything that was written to it")
