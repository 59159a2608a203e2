"""Read a whole journal and report everything that is wrong with it.

Changes nothing, and continues after damage.

It takes no lock and works beside a running server. A server's activity can look like damage for a moment, so
a finding is reported only if a second reading confirms it. After a damaged frame, the tree is unknown up to
the next segment, whose opener contains its state (FORMAT.md section 2). Frames in between are still checked
by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from retain.journal.check.findings import NOTES, Finding, FindingKind, Report
from retain.journal.disk.interface import Disk
from retain.journal.erasure.ledger import Ledger, Range, unpack_ranges
from retain.journal.errors import Corrupt, JournalError, UnknownVersion
from retain.journal.format.frame import Chain, Damage, Frame
from retain.journal.format.merkle import EMPTY_ROOT
from retain.journal.format.record import Part, Verb, place
from retain.journal.lookup.index import is_wrong
from retain.journal.payloads.store import PayloadStore, payload_path
from retain.journal.proofs.note import Checkpoint
from retain.journal.segments.anchor import Anchor, read_anchor
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import ANCHOR_FILE, FOLDER, Opener, Segment, find_segments, index_file
from retain.journal.segments.heads import head_at
from retain.journal.segments.salvage import Survey
from retain.journal.segments.tail import Tear

__all__ = ["NOTES", "Finding", "FindingKind", "Report", "segment_files", "verify"]

_DETAILS, _CONTENT = int(Part.DETAILS), int(Part.CONTENT)


def verify(
    disk: Disk,
    *,
    payloads: Iterable[str] | None = None,
    since: Checkpoint | None = None,
    indexes: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Check all that FORMAT.md demands. `payloads`: names that live records refer to; None leaves them out.

    `since`: a checkpoint of this journal, kept elsewhere; history must only have been extended since.
    `indexes`: compare them with their segments as well, which takes half as long again. Nothing else here
    relies on them. `progress`: called with the sequence number of the last record of each frame. Raises
    `OSError` only where the disk cannot be read.
    """
    reading = _Reading(disk, since, progress)
    reading.run()
    findings = reading.findings
    if findings:
        reading = _Reading(disk, since, progress)
        reading.run()
        earlier = set(findings)
        findings = [finding for finding in reading.findings if finding in earlier]
    if indexes:
        findings += _index_findings(disk)
    if payloads is not None:
        findings += _payload_findings(disk, set(payloads))
    return Report(
        tuple(findings), reading.records, reading.erased, reading.segments, reading.seq, reading.root
    )


def segment_files(disk: Disk) -> list[Segment]:
    """Return every segment, in order, with gaps or without."""
    return find_segments(disk)[0]


class _Reading:
    """One pass over all segments."""

    def __init__(self, disk: Disk, since: Checkpoint | None, progress: Callable[[int], None] | None) -> None:
        self.findings: list[Finding] = []
        self._since = since if since is not None and since.size else None
        self.records = self.erased = self.segments = self.seq = 0
        self.root = EMPTY_ROOT
        self._disk = disk
        self._progress = progress or (lambda _: None)
        self._ledger = Ledger()
        self._holes = 0
        # For each record, its intact parts: an erase record may name them later.
        self._whole = bytearray(1)
        self._erasures: list[tuple[int, list[Range]]] = []
        self._files: dict[int, str] = {}
        self._identity = b""
        self._chain: Chain | None = None
        self._anchor: Anchor | None = None
        self._anchored = True

    def run(self) -> None:
        """Read everything. The anchor is read first: it only moves forward, and never past the end."""
        try:
            self._anchor = read_anchor(self._disk)
        except JournalError as error:
            self._add(FindingKind.ANCHOR, error.file, error.message, offset=error.offset)
        self._anchored = self._anchor is None
        segments, superseded = find_segments(self._disk)
        for old in superseded:
            self._add(
                FindingKind.UNFINISHED, old.file, "the segment was rewritten, and this file is still there"
            )
        if not segments:
            self._add(FindingKind.SEGMENT, FOLDER, "there is no journal here")
        due = 1
        for segment in segments:
            if segment.number != due:
                self._add(FindingKind.SEGMENT, segment.file, f"segment {due:08x} is missing before this one")
            due = segment.number + 1
            self._segment(segment, last=segment is segments[-1])
        self._judge_parts()
        self._judge_erasures()
        if not self._anchored:
            assert self._anchor is not None, "only an anchor can be missed"
            text = f"the journal ends with record {self.seq}, its anchor was at {self._anchor.seq}"
            self._add(FindingKind.ANCHOR, ANCHOR_FILE, text, seq=self._anchor.seq)
        if self._since is not None:
            text = f"the journal ends with record {self.seq}, the checkpoint was at {self._since.size}"
            self._add(FindingKind.CHECKPOINT, FOLDER, text, seq=self._since.size)
        if self._anchor is None and self.seq and not self._disk.exists(ANCHOR_FILE):
            text = f"the anchor is missing: whether records after {self.seq} were lost is unknown"
            self._add(FindingKind.ANCHOR, ANCHOR_FILE, text, seq=self.seq)

    def _segment(self, segment: Segment, *, last: bool) -> None:
        self.segments += 1
        self._files[segment.number] = segment.file
        with SegmentFile(self._disk, segment) as file:
            opener = None
            try:
                opener = file.opener()
            except UnknownVersion as error:
                self._add(FindingKind.VERSION, segment.file, error.message, offset=0)
                self._chain, self.root = None, b""
                return
            except Corrupt as error:
                self._add(
                    FindingKind.SEGMENT, segment.file, error.message, offset=error.offset, seq=segment.first
                )
            else:
                self._follow(segment, opener)
            survey = Survey(file, segment, self._identity, opener, last=last)
            before = opener.chain if opener is not None else None
            for found in survey:
                self._take(segment, found, opener is None)
                if self._since is not None and isinstance(found, Frame):
                    self._pass_checkpoint(file, found, before)
                before = None if survey.lost else survey.chain
            self._chain = None if survey.lost else survey.chain
            self.root = self._chain.frontier.root() if self._chain is not None else b""

    def _follow(self, segment: Segment, opener: Opener) -> None:
        own, before = opener.chain, self._chain
        if self._identity not in (b"", opener.identity):
            self._add(FindingKind.SEGMENT, segment.file, "the segment belongs to another journal", offset=0)
        self._identity = opener.identity
        if opener.first > self.seq + 1:
            text = f"records {self.seq + 1} to {opener.first - 1} are lost"
            self._add(FindingKind.SEGMENT, segment.file, text, offset=0, seq=self.seq + 1)
        elif before is not None and (own.time, own.frontier.size, own.frontier.peaks) != (
            before.time,
            before.frontier.size,
            before.frontier.peaks,
        ):
            text = f"the segment does not go on where record {self.seq} ends"
            self._add(FindingKind.SEGMENT, segment.file, text, offset=0, seq=opener.first)
        self.seq = max(self.seq, opener.first - 1)
        self._pass_anchor(opener.first - 1, own.frontier.root())

    def _take(self, segment: Segment, found: Frame | Damage | Tear, bad_opener: bool) -> None:
        file = segment.file
        if isinstance(found, Tear):
            text = f"{found.length} bytes of an incomplete batch: {found.reason}"
            self._add(FindingKind.TEAR, file, text, offset=found.offset, seq=found.seq)
        elif isinstance(found, Damage):
            if not (bad_opener and found.offset == 0):
                self._add(FindingKind.FRAME, file, found.reason, offset=found.offset, seq=found.seq)
        else:
            self._take_frame(segment, found)

    def _take_frame(self, segment: Segment, frame: Frame) -> None:
        first = frame.records[0].header.seq
        if first > self.seq + 1:
            text = f"records {self.seq + 1} to {first - 1} are lost"
            self._add(FindingKind.FRAME, segment.file, text, offset=frame.offset, seq=self.seq + 1)
        self._whole.extend(bytes(max(0, first - len(self._whole))))
        self._whole[first : first + len(frame.records)] = bytes(
            [(_DETAILS if record[1] else 0) | (_CONTENT if record[2] else 0) for record in frame.records]
        )
        self.records += len(frame.records)
        self.seq = frame.records[-1].header.seq
        self._progress(self.seq)
        self._ledger.add_holes(segment.number, frame.holes)
        self._holes += len(frame.holes)
        for record in frame.own:
            try:
                if record.header.verb == Verb.ERASE:
                    self._erasures.append((record.header.seq, unpack_ranges(record)))
                self._ledger.add_records([record])
            except ValueError as error:
                self._add(
                    FindingKind.RECORD, segment.file, str(error), offset=frame.offset, seq=record.header.seq
                )
        self._pass_anchor(self.seq, frame.root)

    def _pass_anchor(self, seq: int, root: bytes) -> None:
        """Compare the tree at (`seq`, `root`) with the anchor, if the anchor names that record."""
        anchor = self._anchor
        if self._anchored or anchor is None or seq < anchor.seq:
            return
        self._anchored = True
        if seq > anchor.seq or (root and root != anchor.root):
            text = f"the journal never had the root in its anchor at record {anchor.seq}"
            self._add(FindingKind.ANCHOR, ANCHOR_FILE, text, seq=anchor.seq)

    def _pass_checkpoint(self, file: SegmentFile, frame: Frame, before: Chain | None) -> None:
        """Compare the checkpoint's root with the tree's, if it was made at this frame's end or inside it."""
        since, first = self._since, frame.records[0].header.seq
        if since is None or self.seq < since.size:
            return
        self._since = None
        root = b""
        if before is not None and before.frontier.size == first - 1 < since.size:
            frontier = before.frontier.copy()
            frontier.extend(head_at(file, frame.offset).headers()[: since.size - first + 1])
            root = frontier.root()
        if root != since.root:
            text = f"the first {since.size} records are not those of the checkpoint"
            if not root:
                text = f"damage hides whether the first {since.size} records are those of the checkpoint"
            self._add(FindingKind.CHECKPOINT, file.name, text, offset=frame.offset, seq=since.size)

    def _judge_parts(self) -> None:
        unexplained: set[int] = set()
        for seq, part, at in self._ledger.unexplained():
            number, offset = place(at)
            unexplained.add(at)
            name = "details" if part is Part.DETAILS else "content"
            text = f"{name} of record {seq} are missing or changed, and no erase record names them"
            self._add(FindingKind.PART, self._files[number], text, offset=offset, seq=seq)
        self.erased = self._holes - len(unexplained)
        if self._ledger.interrupted:
            return
        for remains in self._ledger.remains:
            if remains.address not in unexplained:
                number, offset = place(remains.address)
                text = f"{remains.size} bytes of an erased part are not all zero"
                self._add(FindingKind.ERASURE, self._files[number], text, offset=offset)

    def _judge_erasures(self) -> None:
        for seq, ranges in self._erasures:
            if seq in self._ledger.interrupted:
                text = f"the erasure ordered by record {seq} is not finished"
                self._add(FindingKind.UNFINISHED, FOLDER, text, seq=seq)
                continue
            for parts, first, last in ranges:
                for named in range(first, min(last + 1, len(self._whole))):
                    if self._whole[named] & parts:
                        text = (
                            f"record {seq} says parts of record {named} are erased, and they are still there"
                        )
                        self._add(FindingKind.ERASURE, FOLDER, text, seq=named)

    def _add(self, kind: FindingKind, file: str, text: str, *, offset: int = -1, seq: int = -1) -> None:
        self.findings.append(Finding(kind, file, offset, seq, text))


def _index_findings(disk: Disk) -> list[Finding]:
    found = []
    for segment in find_segments(disk)[0][:-1]:
        with suppress(JournalError):  # a damaged segment has its own findings
            if is_wrong(disk, segment):
                text = "the index omits or invents records; remove the file, and it is rebuilt"
                found.append(Finding(FindingKind.INDEX, index_file(segment), -1, segment.first, text))
    return found


def _payload_findings(disk: Disk, named: set[str]) -> list[Finding]:
    present = set(PayloadStore(disk).names())
    missing = [
        Finding(
            FindingKind.PAYLOAD, payload_path(name), -1, -1, "a payload file that a record names is missing"
        )
        for name in sorted(named - present)
    ]
    orphans = [
        Finding(FindingKind.ORPHAN, payload_path(name), -1, -1, "no record names this payload file")
        for name in sorted(present - named)
    ]
    return missing + orphans
