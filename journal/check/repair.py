"""Repair a damaged journal by discarding the damaged data; only on request.

`open_journal` repairs effects of a crash automatically. Any other damage may be a loss of acknowledged
records, and needs a person's decision: `repair(disk)` reports what would be lost,
`repair(disk, accept_loss=True)` carries it out.

- If frames are damaged, the journal is cut after the last good one. The bytes from there on, and whole later
  segments, are kept beside it as `*.broken`.
- If only parts are damaged, nothing is cut: an erase record with cause 0 names them. The same applies to
  erased parts whose erase record was cut off.
- The anchor is set to the new end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from retain.journal.check.verify import segment_files
from retain.journal.compaction.rewrite import expand
from retain.journal.disk.interface import Disk, File
from retain.journal.erasure.ledger import Ledger, Range, ranges_of, unpack_ranges
from retain.journal.erasure.offline import mark_erased
from retain.journal.errors import Corrupt
from retain.journal.format.frame import Chain, Damage, Frame, Hole
from retain.journal.format.merkle import Frontier
from retain.journal.format.record import Part, Verb, place
from retain.journal.mended import NOBODY, NUMBER_BYTES, Mended, Ordered, leave_mended
from retain.journal.segments.anchor import Anchor, read_anchor, write_anchor
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import ANCHOR_FILE, FOLDER, Opener, Segment, broken_file
from retain.journal.segments.salvage import Survey
from retain.journal.segments.tail import Tear, last_byte

REPAIR_CAUSE: Final = 0
"""The cause in an erase record that a repair wrote: the bytes were damaged, no client asked for it."""


NONE_ODD: Final[Mapping[int, Part]] = {}


@dataclass(frozen=True, slots=True)
class Loss:
    """One loss: `length` bytes at `offset` of `file`, records `first` to `last`.

    `offset` is -1 if the bytes are intact, and only the record cannot be used. `last` is the last record that
    was read, or that the anchor names; there may have been more.
    """

    file: str
    offset: int
    length: int
    first: int
    last: int
    text: str


@dataclass(frozen=True, slots=True)
class RepairReport:
    """The damage; `done` tells whether it was discarded.

    `kept`: files with the bytes that were cut off. `seq` is the last record that remains, or would.
    """

    losses: tuple[Loss, ...]
    done: bool
    kept: tuple[str, ...]
    seq: int

    @property
    def needed(self) -> bool:
        """Return whether the journal cannot be opened as it is."""
        return bool(self.losses)


class _Good(NamedTuple):
    """The last segment with a good start, and the end of its good part."""

    segment: Segment
    opener: Opener
    border: int
    chain: Chain


def repair(
    disk: Disk,
    *,
    accept_loss: bool = False,
    ordered: Ordered = NOBODY,
    odd: Mapping[int, Part] = NONE_ODD,
    entropy: Callable[[int], bytes] = os.urandom,
) -> RepairReport:
    """Report the damage; with `accept_loss` discard it, so that the journal opens again.

    A note in the folder, with `ordered`, lets the next opener record the loss. May be repeated after a crash.
    `odd`: sound records that the engine cannot use, each with the part to erase. Raises `UnknownVersion`,
    `OSError`; with `accept_loss` `Locked`, `NoSpace`.
    """
    if not accept_loss:
        return _Damages(disk, odd).report(done=False)
    disk.lock()
    try:
        damages = _Damages(disk, odd)
        if damages.losses:
            leave_mended(disk, _mended(damages, ordered, entropy))
        kept = _Repair(disk, damages, entropy).run() if damages.losses else []
        return damages.report(done=True, kept=kept)
    finally:
        disk.unlock()


def _mended(damages: _Damages, ordered: Ordered, entropy: Callable[[int], bytes]) -> Mended:
    report = damages.report(done=False)
    return Mended(
        number=entropy(NUMBER_BYTES),
        change="repaired",
        actor=ordered.actor,
        time=ordered.time,
        kept=damages.seq,
        root=damages.root,
        lost=max(damages.seq, *(loss.last for loss in report.losses)),
        losses=tuple(f"{loss.file}: {loss.text}" for loss in report.losses),
    )


class _Damages:
    """Reads the journal up to the first bad frame, and determines the loss from there on. Changes nothing."""

    def __init__(self, disk: Disk, odd: Mapping[int, Part]) -> None:
        self.losses: list[Loss] = []
        self.good: _Good | None = None
        self.behind: list[Segment] = []
        self.missing: list[tuple[int, Part]] = []
        self._disk = disk
        self._ledger = Ledger()
        self._whole = bytearray(1)
        self._erasures: list[tuple[int, list[Range]]] = []
        self._unblanked: list[tuple[int, Hole]] = []
        self._cut = False
        self._last_seen = 0
        self._anchor, self._anchor_text = _read_anchor(disk)
        segments = segment_files(disk)
        for segment in segments:
            self._read(segment, last=segment is segments[-1])
        self._judge_parts({segment.number: segment.file for segment in segments})
        self._judge_erasures(segments)
        self._judge_odd(odd, segments)
        self._judge_anchor()

    @property
    def seq(self) -> int:
        """The last good record."""
        return self.good.chain.frontier.size if self.good is not None else 0

    @property
    def root(self) -> bytes:
        """The tree's root there."""
        return (self.good.chain.frontier if self.good is not None else Frontier()).root()

    def report(self, *, done: bool, kept: Sequence[str] = ()) -> RepairReport:
        """Return the findings, and whether they were accepted as lost."""
        last = max(self._last_seen, self._anchor.seq if self._anchor is not None else 0)
        losses = [replace(loss, last=max(loss.last, last)) if loss.last < 0 else loss for loss in self.losses]
        return RepairReport(tuple(losses), done, tuple(kept), self.seq)

    def _read(self, segment: Segment, *, last: bool) -> None:
        with SegmentFile(self._disk, segment) as file:
            opener: Opener | None = None
            try:
                opener = file.opener()
                if not self._cut:
                    self._must_follow(segment, opener)
            except Corrupt as error:
                self._lose(segment, 0, file.size(), error.message)
            if self._cut:
                self.behind.append(segment)
            identity = opener.identity if opener is not None else b""
            survey = Survey(file, segment, identity, opener, last=last)
            border, chain = survey.border, survey.chain
            for found in survey:
                self._take(segment, found, file.size())
                if not self._cut:
                    border, chain = survey.border, survey.chain
            if last and opener is not None and opener.table is not None:
                self._lose(
                    segment, file.size(), 0, "the segment was rewritten, so another one must have followed it"
                )
            if not self.behind and opener is not None and chain is not None:
                self.good = _Good(segment, opener, border, chain)

    def _must_follow(self, segment: Segment, opener: Opener) -> None:
        good, own = self.good, opener.chain
        number, identity, end = 1, opener.identity, Chain(Frontier(), 0)
        if good is not None:
            number, identity, end = good.segment.number + 1, good.opener.identity, good.chain
        if (segment.number, opener.identity, own.time, own.frontier.size, own.frontier.peaks) != (
            number,
            identity,
            end.time,
            end.frontier.size,
            end.frontier.peaks,
        ):
            raise Corrupt(f"the segment does not go on where record {self.seq} ends", file=segment.file)
        self._pass_anchor(own.frontier.size, own.frontier.root())

    def _take(self, segment: Segment, found: Frame | Damage | Tear, size: int) -> None:
        if isinstance(found, Damage):
            self._lose(segment, found.offset, size - found.offset, found.reason)
        elif isinstance(found, Frame):
            if any(record.content is None for record in found.own):
                text = "the list of erasures in a record is missing or changed"
                self._lose(segment, found.offset, size - found.offset, text)
            self._last_seen = max(self._last_seen, found.records[-1].header.seq)
            if not self._cut:
                self._pass_anchor(self._last_seen, found.root)
                self._ledger.add_holes(segment.number, found.holes)
                self._ledger.add_records(found.own)
                self._unblanked += [(segment.number, hole) for hole in found.holes if not hole.blank]
                self._whole += bytes(
                    (Part.DETAILS if record.details else 0) | (Part.CONTENT if record.content else 0)
                    for record in found.records
                )
                self._erasures += [
                    (record.header.seq, unpack_ranges(record))
                    for record in found.own
                    if record.header.verb == Verb.ERASE
                ]

    def _lose(self, segment: Segment, offset: int, length: int, text: str) -> None:
        """Report the first such place only: everything from there on is lost."""
        if not self._cut:
            first = max(self.seq, self._last_seen) + 1
            self.losses.append(Loss(segment.file, offset, length, first, -1, text))
        self._cut = True

    def _pass_anchor(self, seq: int, root: bytes) -> None:
        if self._anchor is not None and seq == self._anchor.seq and root != self._anchor.root:
            self._anchor_text = f"the tree's root at record {seq} is not the anchored one"

    def _judge_parts(self, files: Mapping[int, str]) -> None:
        for seq, part, at in self._ledger.unexplained():
            number, offset = place(at)
            name = "details" if part is Part.DETAILS else "content"
            text = f"{name} of record {seq} are missing or changed"
            self.losses.append(Loss(files[number], offset, 0, seq, seq, text))
            self.missing.append((seq, part))

    def _judge_erasures(self, segments: Sequence[Segment]) -> None:
        """Find erased parts whose bytes are back, for example in a file restored from before the erasure."""
        known = set(self.missing)
        for number, hole in self._unblanked:
            if (hole.seq, hole.part) not in known and not self._ledger.interrupted:
                file = next(segment.file for segment in segments if segment.number == number)
                text = f"an erased part of record {hole.seq} is not all zero"
                self.losses.append(Loss(file, hole.offset, hole.size, hole.seq, hole.seq, text))
                self.missing.append((hole.seq, hole.part))
        for seq, ranges in self._erasures:
            if seq in self._ledger.interrupted:
                continue  # the next start carries it out
            for parts, first, last in ranges:
                for named in range(first, min(last + 1, len(self._whole))):
                    if again := self._whole[named] & parts:
                        file = [segment.file for segment in segments if segment.first <= named][-1]
                        text = f"record {named} has parts again that record {seq} says are erased"
                        self.losses.append(Loss(file, -1, 0, named, named, text))
                        self.missing.append((named, Part(again)))

    def _judge_odd(self, odd: Mapping[int, Part], segments: Sequence[Segment]) -> None:
        known = {seq for seq, _ in self.missing}
        for seq, part in odd.items():
            if seq <= self.seq and seq not in known:
                file = [segment.file for segment in segments if segment.first <= seq][-1]
                text = f"the event of record {seq} does not replay and has no effect"
                self.losses.append(Loss(file, -1, 0, seq, seq, text))
                self.missing.append((seq, part))

    def _judge_anchor(self) -> None:
        anchor = self._anchor
        if self._anchor_text:
            self.losses.append(Loss(ANCHOR_FILE, 0, 0, -1, -1, self._anchor_text))
        elif anchor is not None and anchor.seq > self.seq and not self._cut:
            text = f"the journal ends with record {self.seq}, its anchor was at {anchor.seq}"
            self.losses.append(Loss(ANCHOR_FILE, 0, 0, self.seq + 1, anchor.seq, text))


class _Repair:
    """Discards the damage in `_Damages`. Each step is durable before the next, and may be repeated."""

    def __init__(self, disk: Disk, damages: _Damages, entropy: Callable[[int], bytes]) -> None:
        self._disk = disk
        self._damages = damages
        self._entropy = entropy
        self._kept: list[str] = []

    def run(self) -> list[str]:
        """Return the names of the files that now contain the bytes cut off."""
        good = self._damages.good
        if good is not None and good.opener.table is not None:
            good = good._replace(segment=expand(self._disk, good.segment))
        # From the end: after a crash here, the same damage remains, with less data after it.
        for segment in reversed(self._damages.behind):
            self._set_aside(segment.file)
        if good is None:
            if self._disk.exists(ANCHOR_FILE):
                self._set_aside(ANCHOR_FILE)
            return self._kept
        with self._disk.open(good.segment.file, write=True) as file:
            self._cut(file, good.border)
            head = self._mark_erased(file, good)
        write_anchor(self._disk, head)
        return self._kept

    def _set_aside(self, name: str) -> None:
        aside = broken_file(name, 0)
        self._disk.replace(name, aside)
        self._disk.sync_folder(FOLDER)
        self._kept.append(aside)

    def _cut(self, file: File, border: int) -> None:
        end = last_byte(file, border)
        if end > border:
            aside = broken_file(file.name, border)
            self._disk.write_atomic(aside, file.pread(border, end - border))
            self._kept.append(aside)
        file.truncate(border)
        file.sync()

    def _mark_erased(self, file: File, good: _Good) -> Anchor:
        """Append erase records for the parts that are missing; the next start carries them out."""
        ranges = ranges_of(self._damages.missing)
        return mark_erased(
            file, good.opener, good.border, good.chain, [(REPAIR_CAUSE, ranges)], self._entropy
        )


def _read_anchor(disk: Disk) -> tuple[Anchor | None, str]:
    try:
        return read_anchor(disk), ""
    except Corrupt as error:
        return None, f"{error.message}; whether records are missing at the end is unknown"
