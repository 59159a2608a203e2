"""Opens a journal: from a folder of files to an object that can be appended to.

Each step is durable before the next one begins, so a crash at any moment is repaired by the next start:

1. Check that the folder contains no foreign files, and lock it.
2. Remove files that a dead process was still writing.
3. Find the segments and the anchor; an empty folder gets its first segment.
4. Read every record after the given position, check it, and pass it on (`journal.replay`).
5. Cut off a torn write at the end, keeping a copy. Sync the rest again. Remove segments that were rewritten.
6. Carry out the erasures that a crash interrupted (`Journal.finish_erasures`).
7. Reserve the ballast, and write the anchor if it is missing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from retain.journal.compaction.rewrite import wipe_superseded
from retain.journal.disk.interface import Disk, File
from retain.journal.erasure.zero import wipe
from retain.journal.errors import Corrupt, NoSpace, WriteFailed
from retain.journal.format.frame import Chain
from retain.journal.format.merkle import Frontier
from retain.journal.format.record import Position, Record
from retain.journal.journal import Journal
from retain.journal.options import JournalOptions
from retain.journal.replay import Replay
from retain.journal.segments.anchor import read_anchor
from retain.journal.segments.files import (
    FOLDER,
    IDENTITY_BYTES,
    check_folder,
    create_segment,
    leftovers,
    list_segments,
)
from retain.journal.segments.reader import SegmentReader
from retain.journal.segments.tail import cut
from retain.journal.uncollected import uncollected


def open_journal(
    disk: Disk,
    replay: Callable[[Record], None],
    *,
    after: Position | None = None,
    options: JournalOptions | None = None,
    entropy: Callable[[int], bytes] = os.urandom,
) -> Journal:
    """Lock the data folder, check its journal, repair the effects of a crash; return it ready to append.

    Every record after `after` (all of them without it) is passed to `replay`, in order, each part checked
    against its commitment. An empty folder gets a journal. Repairs are in the journal's `notices`.

    Raises `ForeignFolder` for a folder of other files, which stays as it is; `Locked`, `Corrupt`,
    `UnknownVersion`, `NoSpace`, `WriteFailed`; `PositionMismatch` if the journal was never at
    `after`, before `replay` was called; what `replay` raises; and `OSError` where the disk cannot be read.
    """
    check_folder(disk)  # 1
    disk.lock()
    try:
        with uncollected():
            return _open(disk, replay, after, options or JournalOptions(), entropy)
    except BaseException:
        disk.unlock()
        raise


def _open(
    disk: Disk,
    replay: Callable[[Record], None],
    after: Position | None,
    options: JournalOptions,
    entropy: Callable[[int], bytes],
) -> Journal:
    # 2: files that a dead process was still writing were never part of the journal.
    notices: list[str] = []
    with _failing("preparing the journal's folder"):
        disk.make_folder(FOLDER)
        for name in leftovers(disk):
            wipe(disk, name)
            notices.append(f"{name} was being written when the last process died; removed")
    # 3: the segments, and their end as the last process recorded it.
    segments, anchor = list_segments(disk), read_anchor(disk)
    if not segments:
        if anchor is not None:
            raise Corrupt(f"{anchor.seq} records are anchored, but no segment is there", file=FOLDER)
        identity = options.identity or entropy(IDENTITY_BYTES)
        with _failing("creating the first segment"):
            segment, _ = create_segment(disk, identity, 1, Chain(Frontier(), 0))
        segments = [segment]
    # 4: read and check; this changes nothing on disk.
    reading = Replay(disk, segments, replay, after=after, anchor=anchor, children=options.verifiers)
    reading.run()
    notices += reading.notices
    if reading.last.opener.table is not None:
        file = reading.last.segment.file
        raise Corrupt(f"{file} was rewritten, so another segment must follow it", file=file)
    # 5: the records that were read become durable before anything depends on them.
    with _failing("securing what the last process wrote"):
        notices += _cut_tear(disk, reading.last)
        _make_durable(disk, reading.last)
        for name in wipe_superseded(disk):
            notices.append(f"{name} had been superseded by a rewrite when the last process died; removed")
    journal = Journal(disk, segments, reading.last, options, entropy)
    try:
        # 6 and 7: from here on the journal itself writes.
        finished = journal.finish_erasures(reading.ledger)
        if finished is not None:
            notices.append(f"an erasure that a crash interrupted was carried out again: {finished} parts")
        if options.ballast_bytes and not journal.restore_ballast():
            notices.append("the disk is too full to set room aside for deletes")
        if anchor is None:
            notices += _anchor_anew(journal)
    except BaseException:
        journal.abandon()
        raise
    journal.notices = tuple(notices)
    return journal


def _anchor_anew(journal: Journal) -> list[str]:
    """Write the anchor that is missing; return warnings. Raises `WriteFailed`, and `NoSpace` if it is new."""
    seq = journal.head.seq
    try:
        journal.write_anchor()
    except NoSpace:
        if not seq:
            raise
    return [f"the anchor was missing: whether records after {seq} were lost is unknown"] if seq else []


def _cut_tear(disk: Disk, last: SegmentReader) -> list[str]:
    """Cut off a torn write; return warnings for the operator."""
    tear = last.tear
    if tear is None:
        return []
    with disk.open(last.segment.file, write=True) as file:
        copy = cut(disk, file, tear)
    return [
        f"{tear.file}: cut off {tear.length} bytes from offset {tear.offset} on, an unfinished batch "
        f"before record {tear.seq}: {tear.reason}; a copy is in {copy}"
    ]


def _make_durable(disk: Disk, last: SegmentReader) -> None:
    """Sync data that a killed process may have left only in the page cache."""
    with disk.open(last.segment.file, write=True) as file:
        _rewrite(file, last)
        file.sync()
    disk.sync_folder(FOLDER)
    disk.sync_folder()


def _rewrite(file: File, last: SegmentReader) -> None:
    """Overwrite the last frame with itself, so that the following sync writes it.

    If its own sync failed, the page cache has it marked clean, and the disk may not have it. Earlier frames
    are durable: none is written before the sync of its predecessor returned.
    """
    if 0 <= last.last_frame_at < last.offset:
        file.pwrite(last.last_frame_at, file.pread(last.last_frame_at, last.offset - last.last_frame_at))


@contextmanager
def _failing(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WriteFailed(f"{doing} failed: {error}") from error
