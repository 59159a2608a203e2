"""Small journals for the journal's own tests: fixed random bytes, few words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count

import msgpack

from retain.journal import Draft, Journal, JournalOptions, Position, Record, Verb, open_journal
from retain.journal.disk.interface import Disk
from retain.journal.format.envelope import ANCHOR_MAGIC, wrap
from retain.journal.format.merkle import EMPTY_ROOT
from retain.journal.testing.memory import MemoryDisk

SMALL = JournalOptions(segment_bytes=4096, reserve_bytes=16384, step_bytes=8192, ballast_bytes=0)
"""Segments of a few batches, and no ballast."""

FIRST_ANCHOR = wrap(ANCHOR_MAGIC, [0, 1, 512, EMPTY_ROOT])
"""What a journal's anchor holds until it is written again."""

T0 = 1_800_000_000_000_000_000


def counting_entropy() -> Callable[[int], bytes]:
    """Random bytes that are 00, 01, 02, … ff, 00, …: the ones of FORMAT.md's example."""
    numbers = count()

    def draw(length: int) -> bytes:
        return bytes(next(numbers) & 0xFF for _ in range(length))

    return draw


def draft(
    details: bytes = b"\x81\xa1a\x01",
    content: bytes = b"\xa2hi",
    *,
    verb: int = Verb.PUT,
    resource: bytes = b"R" * 16,
) -> Draft:
    """A record of interface 1 and cause 1."""
    return Draft(verb, 1, resource, 1, details, content)


def opened(
    disk: Disk, *, after: Position | None = None, options: JournalOptions = SMALL
) -> tuple[Journal, list[Record]]:
    """An open journal and what it replayed."""
    records: list[Record] = []
    journal = open_journal(disk, records.append, after=after, options=options, entropy=counting_entropy())
    return journal, records


def append(journal: Journal, *drafts: Draft, time: int = T0) -> list[int]:
    """One batch, as the engine's writer does it."""
    journal.reserve()
    return journal.append(drafts or (draft(),), time)


def fill(journal: Journal, batches: int, records: int = 2, size: int = 100) -> None:
    """Batches whose parts name their record."""
    for _ in range(batches):
        first = journal.head.seq + 1
        append(
            journal,
            *(
                draft(msgpack.packb(f"details {seq}"), msgpack.packb(bytes([seq & 0xFF]) * size))
                for seq in range(first, first + records)
            ),
            time=T0 + first,
        )


def damaged(files: Mapping[str, bytes], name: str, change: Callable[[bytearray], object]) -> MemoryDisk:
    """Return a disk with these files, of which `change` has damaged one."""
    raw = bytearray(files[name])
    change(raw)
    return MemoryDisk({**files, name: bytes(raw)})


def flip(place: int) -> Callable[[bytearray], None]:
    """Return a change of one bit of the byte at `place`."""

    def change(raw: bytearray) -> None:
        raw[place] ^= 1

    return change
