"""The list of all erasures, kept apart from the journal for the restore of a backup.

It contains sequence numbers, causes and times, nothing personal. FORMAT.md section 12.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import zip_longest
from typing import NamedTuple

from retain.journal.disk.interface import Disk
from retain.journal.erasure.ledger import unpack_ranges
from retain.journal.errors import Corrupt
from retain.journal.format.record import Part, Verb
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import IDENTITY_BYTES, find_segments
from retain.journal.segments.heads import headers_of, heads, records_in

FORMAT = "retain erasures 1"


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


def export_erasures(disk: Disk, known: Erasures | None = None) -> Erasures:
    """Return all erasures of a journal, read from its heads, beside a running server too.

    Args:
        disk: The data folder.
        known: An earlier result for the same journal: only later records are read.

    Raises:
        Corrupt, UnknownVersion, OSError: The journal cannot be read.
    """
    segments = find_segments(disk)[0]
    identity, seq, so_far = known or Erasures(bytes(IDENTITY_BYTES), 0, ())
    entries: list[Erasure] = [*so_far]
    for segment, after in zip_longest(segments, segments[1:]):
        if after is not None and after.first - 1 <= seq:
            continue
        with SegmentFile(disk, segment) as file:
            opener = file.opener()
            identity = opener.identity
            for head in heads(file, opener.size):
                if head.prefix.first + head.prefix.records - 1 <= seq:
                    continue
                found = {header.seq for _, header in headers_of(file, head) if header.verb == Verb.ERASE}
                for record in records_in(file, head, found):
                    if record.content is None:
                        break  # the last frame of a growing segment, half written
                    _, time, _, _, _, cause, *_ = record.header
                    for parts, first, last in unpack_ranges(record):
                        entries.append(Erasure(record.header.seq, time, cause, parts, first, last))
                seq = head.prefix.first + head.prefix.records - 1
    return Erasures(identity, seq, tuple(entries))


def targets_of(entries: Iterable[Erasure], last: int) -> dict[int, Part]:
    """Return the parts that these name among the first `last` records, by sequence number."""
    targets: dict[int, Part] = {}
    for entry in entries:
        for seq in range(entry.first, min(entry.last, last) + 1):
            targets[seq] = targets.get(seq, Part(0)) | Part(entry.parts)
    return targets
