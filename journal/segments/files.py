"""Segment files: their names, their order, their openers. FORMAT.md sections 1 and 2.

The only place that builds or parses the names of the journal's files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from retain.journal.disk.interface import FILE_SYSTEM_NAMES, LOCK_FILE, TEMPORARY_SUFFIX, Disk, File
from retain.journal.errors import Corrupt, ForeignFolder
from retain.journal.format.envelope import (
    FORMAT_VERSION,
    OPENER_MAGIC,
    REWRITTEN_VERSION,
    unwrap,
    version_and_length,
    wrap,
)
from retain.journal.format.frame import MALFORMED, Chain
from retain.journal.format.gaps import GapTable
from retain.journal.format.limits import ENVELOPE_BYTES, SECTOR, WIDE_ENVELOPE_BYTES
from retain.journal.format.merkle import Frontier
from retain.journal.format.whitening import Whitening
from retain.journal.mended import MENDED_FILE

FOLDER = "journal"
ANCHOR_FILE = f"{FOLDER}/anchor"
BALLAST_FILE = f"{FOLDER}/ballast"
IDENTITY_BYTES = 16

_NAME = re.compile(r"([0-9a-f]{8})-([0-9a-f]{16})(?:\.([0-9a-f]{4}))?\.journal")
_BROKEN_SUFFIX = ".broken"
_OWN = re.compile(
    r"(?:[0-9a-f]{8}-[0-9a-f]{16}(?:\.[0-9a-f]{4})?\.(?:journal|index)|anchor|ballast)(?:\.[0-9a-f]{8}\.broken)?"
)
"""Names of the journal's files, without the suffix of a file being written."""
_SHOWN = 3


class Segment(NamedTuple):
    """A segment as its file's name describes it: number, sequence number of its first record, the file."""

    number: int
    first: int
    file: str


class Opener(NamedTuple):
    """The start of a segment.

    Its first frame continues `chain`, and `size` is that frame's logical offset; `table` is present if the
    segment was rewritten.
    """

    identity: bytes
    number: int
    first: int
    chain: Chain
    size: int
    table: GapTable | None = None

    @property
    def whitening(self) -> Whitening:
        """The keystream over this segment."""
        return Whitening(self.identity, self.number)


def segment_file(number: int, first: int, generation: int = 0) -> str:
    """Return the name of a segment's file. `generation` counts its rewrites."""
    again = f".{generation:04x}" if generation else ""
    return f"{FOLDER}/{number:08x}-{first:016x}{again}.journal"


def generation(file: str) -> int:
    """Return how often the segment in this file was rewritten."""
    match = _NAME.fullmatch(file.rpartition("/")[2])
    return int(match[3] or "0", 16) if match is not None else 0


def index_file(segment: Segment) -> str:
    """Return the name of a segment's index (FORMAT.md section 11)."""
    return f"{FOLDER}/{segment.number:08x}-{segment.first:016x}.index"


def broken_file(file: str, offset: int) -> str:
    """Return where the bytes cut off a segment's file at `offset` are kept."""
    return f"{file}.{offset:08x}{_BROKEN_SUFFIX}"


def broken_files(disk: Disk) -> list[str]:
    """Return the copies of cut-off bytes that still exist."""
    return [f"{FOLDER}/{name}" for name in disk.names(FOLDER) if name.endswith(_BROKEN_SUFFIX)]


def leftovers(disk: Disk) -> list[str]:
    """Return the files that a dead process was still writing."""
    return [f"{FOLDER}/{name}" for name in disk.names(FOLDER) if _is_leftover(name)]


def _is_leftover(name: str) -> bool:
    return name.endswith(TEMPORARY_SUFFIX) and _OWN.fullmatch(name.removesuffix(TEMPORARY_SUFFIX)) is not None


def has_journal(disk: Disk) -> bool:
    """Return whether the folder contains a journal, or the rest of one after a repair."""
    names = disk.names(FOLDER) if disk.exists(FOLDER) else []
    return any(_OWN.fullmatch(name) is not None for name in names)


def foreign_names(disk: Disk) -> list[str]:
    """Return the names that prevent a folder without a journal from being taken for a new one.

    That is everything in it, except files that a killed first start or first restore may leave.
    """
    names = [
        name for name in disk.names() if name not in (FOLDER, LOCK_FILE, MENDED_FILE, *FILE_SYSTEM_NAMES)
    ]
    inner = disk.names(FOLDER) if disk.exists(FOLDER) else []
    return [*names, *(f"{FOLDER}/{name}" for name in inner if not _is_leftover(name))]


def check_folder(disk: Disk) -> None:
    """Refuse a folder that is neither empty nor holds a journal. Changes nothing.

    Raises `ForeignFolder`, `OSError`.
    """
    # In this order: a process that creates the journal meanwhile creates it before anything else.
    foreign = foreign_names(disk)
    if foreign and not has_journal(disk):
        more = f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else ""
        reason = f"it is not empty ({', '.join(foreign[:_SHOWN])}{more}) and holds no journal"
        raise ForeignFolder(f"{reason}; name a new or an empty folder", file=foreign[0])


def find_segments(disk: Disk) -> tuple[list[Segment], list[Segment]]:
    """Return every file that has a segment's name, in order, with gaps or without; and the superseded ones.

    A file is superseded if a later file of the same segment exists.
    """
    current: dict[tuple[int, int], tuple[int, Segment]] = {}
    superseded: list[Segment] = []
    for name in disk.names(FOLDER) if disk.exists(FOLDER) else []:
        match = _NAME.fullmatch(name)
        if match is None or match[3] == "0000":
            continue
        segment = Segment(int(match[1], 16), int(match[2], 16), f"{FOLDER}/{name}")
        found = (int(match[3] or "0", 16), segment)
        other = current.setdefault(segment[:2], found)
        if other is not found:
            current[segment[:2]] = max(found, other)
            superseded.append(min(found, other)[1])
    return [segment for _, (_, segment) in sorted(current.items())], superseded


def list_segments(disk: Disk) -> list[Segment]:
    """Return the journal's segments, in order. Raises `Corrupt` if one is missing."""
    segments: list[Segment] = []
    for segment in find_segments(disk)[0]:
        due = segments[-1].number + 1 if segments else 1
        least = segments[-1].first + 1 if segments else 1
        if segment.number != due or segment.first < least or (not segments and segment.first != 1):
            name = segment.file.rpartition("/")[2]
            reason = f"segment {due:08x} is missing, or has a wrong name: {name} is there instead"
            raise Corrupt(reason, file=segment.file, seq=least)
        segments.append(segment)
    return segments


def segment_for(segments: Sequence[Segment], seq: int) -> int:
    """Index of the last segment that may start right after record `seq`, or holds it."""
    return max(index for index, segment in enumerate(segments) if segment.first <= seq + 1)


def pack_opener(identity: bytes, number: int, chain: Chain, table: GapTable | None = None) -> bytes:
    """Return an opener's bytes, in whole sectors."""
    body: dict[str, Any] = {
        "journal": identity,
        "segment": number,
        "first": chain.frontier.size + 1,
        "time": chain.time,
        "peaks": list(chain.frontier.peaks),
    }
    if table is None:
        data = wrap(OPENER_MAGIC, body)
    else:
        body |= {"start": table.start, "end": table.end, "left out": table.packed()}
        data = wrap(OPENER_MAGIC, body, REWRITTEN_VERSION)
    return data + bytes(-len(data) % SECTOR)


def create_segment(disk: Disk, identity: bytes, number: int, chain: Chain) -> tuple[Segment, int]:
    """Create a segment that continues `chain`, durable with its name; return it and its opener's size.

    Raises `NoSpace` and changes nothing; raises `OSError`.
    """
    first = chain.frontier.size + 1
    segment = Segment(number, first, segment_file(number, first))
    data = pack_opener(identity, number, chain)
    disk.write_atomic(segment.file, data)
    return segment, len(data)


def read_opener(file: File, segment: Segment) -> Opener:
    """Read the opener of a segment's file. Raises `Corrupt`, `UnknownVersion`."""
    data = file.pread(0, ENVELOPE_BYTES)
    version, length = version_and_length(data)
    if version == REWRITTEN_VERSION and length > len(data) - SECTOR:
        data = file.pread(0, min(length, WIDE_ENVELOPE_BYTES) + SECTOR)
    body, end = unwrap(OPENER_MAGIC, data, file=segment.file, versions=(FORMAT_VERSION, REWRITTEN_VERSION))
    size = end + -end % SECTOR
    rest = data[end:size]
    try:
        identity, first = bytes(body["journal"]), body["first"]
        chain = Chain(Frontier(first - 1, body["peaks"]), body["time"])
        opener = Opener(identity, body["segment"], first, chain, size)
        if version == REWRITTEN_VERSION:
            table = GapTable.unpack(body["left out"], start=body["start"], end=body["end"], data_at=size)
            opener = opener._replace(size=table.start, table=table)
    except (KeyError, *MALFORMED) as error:
        raise Corrupt(f"{segment.file}: the opener lacks {error}", file=segment.file, offset=0) from error
    if (opener.number, opener.first) != segment[:2] or len(identity) != IDENTITY_BYTES:
        raise Corrupt(
            f"{segment.file} contains another segment than its name says", file=segment.file, offset=0
        )
    if rest != bytes(size - end):
        raise Corrupt(f"{segment.file}: the opener's padding is not zero", file=segment.file, offset=end)
    return opener
