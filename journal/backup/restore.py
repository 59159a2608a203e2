"""Restore a backup into an empty data folder, without data erased since. FORMAT.md section 12.

Meanwhile, the folder's anchor names a record that does not exist, so the journal cannot be opened. The right
anchor is written last, when no file contains erased data any more.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from retain.journal.backup.create import check_backup
from retain.journal.backup.manifest import Entry, Manifest, copy_file
from retain.journal.disk.interface import Disk, folder_of
from retain.journal.erasure.ledger import ranges_of
from retain.journal.erasure.locate import Places, Spot
from retain.journal.erasure.manifest import Erasures, export_erasures, targets_of
from retain.journal.erasure.offline import mark_erased
from retain.journal.erasure.zero import blank, wipe
from retain.journal.errors import BadTarget, Corrupt
from retain.journal.format.record import Head, Part
from retain.journal.mended import NOBODY, NUMBER_BYTES, Mended, Ordered, forget_mended, leave_mended
from retain.journal.replay import Replay
from retain.journal.segments.anchor import Anchor, anchor_at, read_anchor, write_anchor
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import FOLDER, find_segments, foreign_names, list_segments
from retain.journal.segments.reader import SegmentReader

_NO_ROOT = bytes(32)
"""In an anchor: a restore is in progress, or was interrupted."""


class RestoreReport(NamedTuple):
    """The result of a restore.

    `erased`: parts that the list of erasures named and the backup still contained. `seq` is the journal's
    last record now: the backup's, or an erase record if anything was erased.
    """

    manifest: Manifest
    files: int
    erased: int
    seq: int


def restore(
    source: Disk,
    target: Disk,
    erasures: Erasures | None,
    *,
    ordered: Ordered = NOBODY,
    entropy: Callable[[int], bytes] = os.urandom,
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> RestoreReport:
    """Restore the backup in `source` into the data folder `target`, which must have no journal.

    `erasures` is the list that was kept apart (`export_erasures`); the parts that it names are erased before
    the journal can be opened. None only if there is no such list: then data erased since the backup is back.
    The folder of an interrupted restore cannot be opened; call this again. A note in the folder, with
    `ordered`, lets the next opener record the restore. `on_done` is called with the bytes done and the total:
    each is read once, and copied once. Raises `Locked`; `BadTarget` for a folder in use or a list of another
    journal; `Corrupt` for a backup that is not complete; `NoSpace`, `UnknownVersion`, `OSError`.
    """
    manifest, wrong = check_backup(source, lambda done, total: on_done(done, 2 * total))
    if wrong:
        raise Corrupt(f"the backup lacks files or they are damaged: {', '.join(wrong)}", file=wrong[0])
    if erasures is not None and erasures.identity != manifest.identity:
        raise BadTarget("the list of erasures is of another journal")
    target.lock()
    try:
        _clear(target)
        return _Restoring(source, target, manifest, ordered, entropy).run(erasures, on_done)
    finally:
        target.unlock()


def _clear(target: Disk) -> None:
    """Remove the files of an interrupted restore. Raises `BadTarget` for any other file."""
    foreign = foreign_names(target)
    if not foreign:
        return
    found = [segment for segments in find_segments(target) for segment in segments]
    anchor = read_anchor(target)
    if anchor is None or anchor.root != _NO_ROOT:
        what = "a journal" if found else f"other files ({foreign[0]})"
        raise BadTarget(f"there is {what} in the folder already; name a new or an empty one")
    for segment in found:
        wipe(target, segment.file)
    target.sync_folder(FOLDER)


def _moment(time: int) -> str:
    try:
        return f"{datetime.fromtimestamp(time // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return f"{time} ns"  # beyond the year 9999


class _Restoring:
    def __init__(
        self,
        source: Disk,
        target: Disk,
        manifest: Manifest,
        ordered: Ordered,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._source = source
        self._target = target
        self._manifest = manifest
        self._ordered = ordered
        self._entropy = entropy

    def run(self, erasures: Erasures | None, on_done: Callable[[int, int], None]) -> RestoreReport:
        manifest, target = self._manifest, self._target
        target.make_folder(FOLDER)
        write_anchor(target, Anchor(manifest.seq + 1, manifest.segment, manifest.offset, _NO_ROOT))
        forget_mended(target)
        done = total = sum(entry.size for entry in manifest.entries)
        for entry in manifest.entries:
            self._copy(entry)
            done += entry.size
            on_done(done, 2 * total)
        for folder in sorted({folder_of(entry.name) for entry in manifest.entries}):
            target.sync_folder(folder)
        own = export_erasures(target)
        # Parts that the backup's own erase records name may still have their bytes: they were copied before
        # they were zeroed.
        self._blank(targets_of(own.entries, manifest.seq))
        last = self._read()
        anchor, erased = anchor_at(self._head(last)), 0
        if erasures is not None:
            anchor, erased = self._erase(own, erasures, last, anchor)
        leave_mended(target, self._mended(0 if erasures is None else erasures.seq))
        write_anchor(target, anchor)
        return RestoreReport(manifest, len(manifest.entries), erased, anchor.seq)

    def _mended(self, lost: int) -> Mended:
        manifest, ordered = self._manifest, self._ordered
        return Mended(
            number=self._entropy(NUMBER_BYTES),
            change="restored",
            actor=ordered.actor,
            time=ordered.time,
            kept=manifest.seq,
            root=manifest.root,
            lost=max(manifest.seq, lost),
            source=f"the backup of {_moment(manifest.time)}",
        )

    def _copy(self, entry: Entry) -> None:
        with self._source.open(entry.stored) as file:
            if copy_file(file, self._target, entry.name) != (entry.sha256, entry.size):
                raise Corrupt(f"{entry.stored} is not what the manifest says", file=entry.stored)

    def _read(self) -> SegmentReader:
        """Check the whole journal as a start does, and that it is the manifest's."""
        reading = Replay(self._target, list_segments(self._target), lambda _: None, after=None, anchor=None)
        reading.run()
        last, manifest = reading.last, self._manifest
        frontier = last.chain.frontier
        if (last.opener.identity, frontier.size, frontier.root(), last.segment.number, last.offset) != (
            manifest.identity,
            manifest.seq,
            manifest.root,
            manifest.segment,
            manifest.offset,
        ):
            raise Corrupt("the backup's journal is not the one in its manifest; verify the backup")
        return last

    def _head(self, last: SegmentReader) -> Head:
        frontier, time = last.chain.frontier, last.chain.time
        return Head(frontier.size, time, frontier.root(), last.segment.number, last.offset)

    def _erase(
        self, own: Erasures, later: Erasures, last: SegmentReader, anchor: Anchor
    ) -> tuple[Anchor, int]:
        """Write durable erase records for parts that the backup's journal still contains; zero them."""
        done = targets_of(own.entries, self._manifest.seq)
        orders: dict[int, dict[int, Part]] = {}
        for entry in later.entries:
            for seq, parts in targets_of([entry], self._manifest.seq).items():
                missing = parts & ~done.get(seq, Part(0))
                if missing:
                    done[seq] = done.get(seq, Part(0)) | missing
                    orders.setdefault(entry.cause, {})[seq] = missing
        if not orders:
            return anchor, 0
        spots = [spot for targets in orders.values() for spot in self._blankable(targets)]
        with SegmentFile(self._target, last.segment, write=True) as file:
            named = [(cause, ranges_of(targets.items())) for cause, targets in sorted(orders.items())]
            anchor = mark_erased(file, last.opener, last.offset, last.chain, named, self._entropy)
        blank(self._target, spots, {one.number: one for one in list_segments(self._target)})
        return anchor, len(spots)

    def _blank(self, targets: dict[int, Part]) -> None:
        blank(
            self._target,
            self._blankable(targets),
            {one.number: one for one in list_segments(self._target)},
        )

    def _blankable(self, targets: dict[int, Part]) -> list[Spot]:
        """Return the places of those of these parts that are not zero yet."""
        manifest, segments = self._manifest, list_segments(self._target)
        head = Head(manifest.seq, manifest.time, manifest.root, manifest.segment, manifest.offset)
        spots = Places(self._target).find(ranges_of(targets.items()), segments, head, own=True)
        found: list[Spot] = []
        by_number = {segment.number: segment for segment in segments}
        for number in sorted({spot.segment for spot in spots}):
            with SegmentFile(self._target, by_number[number]) as file:
                found += [
                    spot
                    for spot in spots
                    if spot.segment == number and any(file.pread(spot.offset, spot.size))
                ]
        return found
