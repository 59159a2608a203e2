"""Journals with much erased from them, for the tests of rewriting."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from retain.journal import Journal, JournalOptions, Part, scan
from retain.journal.disk.interface import Disk
from retain.journal.format.record import place
from retain.journal.segments.files import list_segments
from retain.journal.testing.memory import DiskOperation, MemoryDisk
from tests.kit.crash import SMALL, Workload
from tests.kit.crash import opened as opened_again
from tests.kit.journals import T0, append, draft, opened

OPTIONS = JournalOptions(segment_bytes=8 << 10, reserve_bytes=16 << 10, step_bytes=8 << 10, ballast_bytes=0)
BOTH = Part.DETAILS | Part.CONTENT


def marked(batches: int = 14, seed: int = 1) -> tuple[MemoryDisk, Journal]:
    """Records whose parts hold markers, over several segments; some bodies are all zero."""
    disk, rng = MemoryDisk(), Random(seed)
    log, _ = opened(disk, options=OPTIONS)
    for _ in range(batches):
        first = log.head.seq + 1
        append(
            log,
            *(
                draft(
                    b"who-%03d" % seq, b"what-%03d" % seq * rng.randrange(1, 90) + bytes(rng.randrange(300))
                )
                for seq in range(first, first + rng.randrange(1, 5))
            ),
            time=T0 + first,
        )
    return disk, log


def sparse(batches: int = 14, seed: int = 1, keep: int = 4) -> tuple[MemoryDisk, Journal]:
    """The same, with all but each `keep`-th record erased."""
    disk, log = marked(batches, seed)
    last = log.head.seq
    log.erase([(seq, BOTH) for seq in range(1, last + 1) if seq % keep], 7, T0 * 2)
    return disk, log


def assert_wiped(disk: MemoryDisk, operation: DiskOperation) -> None:
    """For `before_each`: no name of a segment goes while its bytes are still there, now or on the platter."""
    if operation.kind == "unlink" and ".journal" in operation.name:
        assert not any(disk.files()[operation.name]), f"{operation} with its bytes"
        assert not any(disk.crash("none").files().get(operation.name, b"")), f"{operation} unsynced"


def raw_details(disk: MemoryDisk) -> dict[int, bytes]:
    """Each record's details part as it stands on disk, whitened: the same bytes in every file that has it."""
    segments = {segment.number: disk.files()[segment.file] for segment in list_segments(disk)}
    found: dict[int, bytes] = {}
    for record in scan(disk):
        if record.details and record.content_at >= 0:
            number, offset = place(record.content_at)
            found[record.header.seq] = segments[number][offset - record.header.details_size : offset]
    return found


class RewritingWorkload(Workload):
    """Erases much, rewrites what became sparse, makes indexes; else as the one it is made from."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, replace(SMALL, segment_bytes=3 << 10))

    def run(self, disk: Disk, steps: int) -> None:
        journal, _ = opened_again(disk, self.options, self.seed)
        for _ in range(steps):
            choice = self._rng.randrange(12)
            if choice < 5:
                self.append(journal)
            elif choice < 8:
                self.erase(journal)
            elif choice < 10:
                for number in journal.sparse()[:2]:
                    journal.rewrite(number)
            elif choice == 10:
                journal.build_index()
            else:
                journal.close()
                journal, _ = opened_again(disk, self.options, self._rng.randrange(1 << 30))
