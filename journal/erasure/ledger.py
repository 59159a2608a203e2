"""The ledger of erasures: missing parts compared with those that erase records name. FORMAT.md section 6.

A missing part precedes the erase record that names it, so holes are judged after everything was read. Missing
parts are stored in flat arrays: a history may have millions of erased parts.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgpack

from retain.journal.errors import Corrupt
from retain.journal.format.frame import MALFORMED, Hole
from retain.journal.format.limits import ERASE_RANGES
from retain.journal.format.record import Part, Record, Verb, address, place

Range = tuple[int, int, int]
"""Parts (a `Part` value), first and last sequence number, both included."""

_BOTH = Part.DETAILS | Part.CONTENT


class Remains(NamedTuple):
    """A part whose erasure was interrupted: some of it is still on disk. `address` is the part's."""

    address: int
    size: int


def ranges_of(targets: Iterable[tuple[int, Part]]) -> list[Range]:
    """Return the targets as ranges that ascend and do not overlap."""
    wanted: dict[int, int] = {}
    for seq, part in targets:
        wanted[seq] = wanted.get(seq, 0) | int(part)
    ranges: list[Range] = []
    for seq in sorted(wanted):
        parts = wanted[seq]
        if ranges and ranges[-1][0] == parts and ranges[-1][2] == seq - 1:
            ranges[-1] = (parts, ranges[-1][1], seq)
        else:
            ranges.append((parts, seq, seq))
    return ranges


def pack_ranges(ranges: Sequence[Range]) -> bytes:
    """Return the content of an erase record."""
    assert len(ranges) <= ERASE_RANGES, "an erase record names too many ranges"
    data: bytes = msgpack.packb(ranges)
    return data


def pack_seqs(seqs: Sequence[int]) -> bytes:
    """Return the content of an erased record."""
    data: bytes = msgpack.packb(seqs)
    return data


def unpack_ranges(record: Record) -> list[Range]:
    """Return the parts that an erase record names. Raises `ValueError`."""
    ranges: list[Range] = []
    before = 0
    try:
        for parts, first, last in msgpack.unpackb(record.content or b"\x90"):
            if not (0 < parts <= _BOTH and before < first <= last < record.header.seq):
                raise ValueError(f"a range from {first} to {last} is out of place")
            ranges.append((parts, first, last))
            before = last
    except MALFORMED as error:
        raise ValueError(f"erase record {record.header.seq} cannot be read: {error}") from error
    return ranges


class Ledger:
    """Collects holes and erase records while a journal is read, and checks them at the end."""

    def __init__(self) -> None:
        self._seqs = {Part.DETAILS: array("Q"), Part.CONTENT: array("Q")}
        self._places = {Part.DETAILS: array("Q"), Part.CONTENT: array("Q")}
        self._erased: dict[Part, list[tuple[int, int]]] = {Part.DETAILS: [], Part.CONTENT: []}
        self._open: dict[int, list[Range]] = {}
        self._remains: list[Remains] = []

    @property
    def interrupted(self) -> dict[int, list[Range]]:
        """Erase records without their erased record: by sequence number, what they name."""
        return self._open

    @property
    def remains(self) -> list[Remains]:
        """Parts that are neither whole nor all zero."""
        return self._remains

    def add_holes(self, segment: int, holes: Iterable[Hole]) -> None:
        """Note parts that do not open their commitments."""
        for hole in holes:
            at = address(segment, hole.offset)
            self._seqs[hole.part].append(hole.seq)
            self._places[hole.part].append(at)
            if not hole.blank:
                self._remains.append(Remains(at, hole.size))

    def add_records(self, records: Iterable[Record]) -> None:
        """Note the journal's own records. Raises `ValueError` for one that cannot be read."""
        for record in records:
            if record.header.verb == Verb.ERASE:
                ranges = unpack_ranges(record)
                self._open[record.header.seq] = ranges
                for parts, first, last in ranges:
                    for part in Part(parts):
                        self._erased[part].append((first, last))
            elif record.header.verb == Verb.ERASED:
                for seq in _unpack_seqs(record):
                    self._open.pop(seq, None)

    def unexplained(self) -> Iterator[tuple[int, Part, int]]:
        """Yield the holes that no erase record names: sequence number, part, address."""
        for part, seqs in self._seqs.items():
            ranges = sorted(self._erased[part])
            firsts = [first for first, _ in ranges]
            reach = _reach(ranges)
            for seq, at in zip(seqs, self._places[part], strict=True):
                index = bisect_right(firsts, seq) - 1
                if index < 0 or reach[index] < seq:
                    yield seq, part, at

    def judge(self, files: dict[int, str]) -> None:
        """Raise `Corrupt` for a hole that no erase record names. `files`: the segments' names by number."""
        for seq, part, at in self.unexplained():
            number, offset = place(at)
            file = files[number]
            name = "details" if part is Part.DETAILS else "content"
            text = f"{file}, offset {offset}: {name} of record {seq} damaged, and no erase record names them"
            raise Corrupt(text, file=file, offset=offset, seq=seq)


def _reach(ranges: Iterable[tuple[int, int]]) -> list[int]:
    """Return how far each range and the ones before it reach: ranges of several records may overlap."""
    reach: list[int] = []
    for _, last in ranges:
        reach.append(max(last, reach[-1]) if reach else last)
    return reach


def _unpack_seqs(record: Record) -> list[int]:
    try:
        return [int(seq) for seq in msgpack.unpackb(record.content or b"\x90")]
    except MALFORMED as error:
        raise ValueError(f"erased record {record.header.seq} cannot be read: {error}") from error
