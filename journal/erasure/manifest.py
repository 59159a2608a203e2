"""The list of all erasures, kept apart from the journal for the restore of a backup.

It contains sequence numbers, causes and times, nothing personal. FORMAT.md section 12.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice, zip_longest
from typing import NamedTuple

import msgpack

from retain.journal.disk.interface import Disk
from retain.journal.erasure.ledger import unpack_ranges
from retain.journal.errors import Corrupt
from retain.journal.format.record import NO_RESOURCE, Part, Verb
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import IDENTITY_BYTES, find_segments
from retain.journal.segments.heads import FrameHead, good_heads, headers_of, records_in

FORMAT = "retain erasures 1"
_ERASE = msgpack.packb((0, 0, Verb.ERASE, 0, NO_RESOURCE))[3:]
"""The bytes of verb, interface and resource in the header of each erase record, FORMAT.md sections 4 and 6.

A frame whose head does not contain them has no erase record.
"""


class Erasure(NamedTuple):
    """An erasure: parts (a `Part` value) of records `first` to `last`, ordered by record `seq` at `time`."""

    seq: int
    time: int
    cause: int
    parts: int
    first: int
    last: int


class Erasures(NamedTuple):
    """All erasures of the journal `identity` up to record `seq`."""

    identity: bytes
    seq: int
    entries: tuple[Erasure, ...]

    def pack(self) -> bytes:
        """Return it as JSON, one erasure in a line."""
        head = {"format": FORMAT, "journal": self.identity.hex(), "seq": self.seq, "count": len(self.entries)}
        lines = [json.dumps(head), *(json.dumps(entry) for entry in self.entries)]
        return "".join(f"{line}\n" for line in lines).encode()

    @classmethod
    def unpack(cls, data: bytes) -> Erasures:
        """Return the list that `pack` wrote.

        Raises `Corrupt`, also for an incomplete list: using it would bring back erased data.
        """
        try:
            head, *lines = data.decode().split("\n")
            facts = json.loads(head)
            identity, seq = bytes.fromhex(facts["journal"]), int(facts["seq"])
            if facts["format"] != FORMAT or len(identity) != IDENTITY_BYTES or lines.pop():
                raise ValueError("its first or last line is not valid")
            entries = tuple(Erasure(*map(int, json.loads(line))) for line in lines)
            if len(entries) != facts["count"]:
                raise ValueError(f"it has {len(entries)} erasures of {facts['count']}")
            if any(
                not (0 < one.parts <= 3 and 0 < one.first <= one.last < one.seq <= seq) for one in entries
            ):
                raise ValueError("an erasure is out of range")
        except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
            raise Corrupt(f"this is not a list of erasures: {error}") from error
        return cls(identity, seq, entries)

    def merged(self, others: Iterable[Erasure]) -> Erasures:
        """Return it merged with other erasures, without duplicates."""
        return self._replace(entries=tuple(sorted({*self.entries, *others})))


class ErasureSearch:
    """Reads all erasures from a journal's heads, beside a running server too. Not for two threads.

    It continues where it stopped, so a second search reads only what was appended since.

    Args:
        disk: The data folder.
        every: Parse every header, and refuse one that makes no sense, also where no erase record is.
    """

    def __init__(self, disk: Disk, *, every: bool = False) -> None:
        self._disk = disk
        self._every = every
        self._identity = bytes(IDENTITY_BYTES)
        self._seq = 0
        self._entries: list[Erasure] = []
        self._segment, self._offset = -1, 0

    @property
    def found(self) -> Erasures:
        """Return the erasures that were read so far."""
        return Erasures(self._identity, self._seq, tuple(self._entries))

    def read(self, most: int | None = None) -> bool:
        """Continue to read, to the journal's end.

        Args:
            most: Only that many frames.

        Returns:
            Whether there may be more.

        Raises:
            Corrupt, UnknownVersion, OSError: The journal cannot be read.
        """
        left = most
        segments = find_segments(self._disk)[0]
        for segment, after in zip_longest(segments, segments[1:]):
            if segment.number < self._segment or (after is not None and after.first - 1 <= self._seq):
                continue
            with SegmentFile(self._disk, segment) as file:
                read = self._read_segment(file, left, growing=after is None)
            if left is not None:
                left -= read
                if not left:
                    return True
        return False

    def _read_segment(self, file: SegmentFile, most: int | None, *, growing: bool) -> int:
        """Continue in one segment; return how many frames were read."""
        opener = file.opener()
        self._identity = opener.identity
        if file.segment.number != self._segment:
            self._segment, self._offset = file.segment.number, opener.size
        read = 0
        for head in islice(good_heads(file, self._offset, growing=growing), most):
            if self._every or _ERASE in head.data:
                self._entries += _erasures_in(file, head)
            self._seq, self._offset = head.prefix.first + head.prefix.records - 1, head.stop
            read += 1
        return read


def export_erasures(disk: Disk) -> Erasures:
    """Return all erasures of a journal; see `ErasureSearch`. Raises what its `read` raises."""
    search = ErasureSearch(disk, every=True)
    search.read()
    return search.found


def _erasures_in(file: SegmentFile, head: FrameHead) -> list[Erasure]:
    wanted = {header.seq for _, header in headers_of(file, head) if header.verb == Verb.ERASE}
    found: list[Erasure] = []
    for record in records_in(file, head, wanted):
        _, time, _, _, _, cause, *_ = record.header
        for parts, first, last in unpack_ranges(record):
            found.append(Erasure(record.header.seq, time, cause, parts, first, last))
    return found


def targets_of(entries: Iterable[Erasure], last: int) -> dict[int, Part]:
    """Return the parts that these name among the first `last` records, by sequence number."""
    targets: dict[int, Part] = {}
    for entry in entries:
        for seq in range(entry.first, min(entry.last, last) + 1):
            targets[seq] = targets.get(seq, Part(0)) | Part(entry.parts)
    return targets
