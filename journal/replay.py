"""Reads and checks a journal, from its first segment or from a position, to its end. Changes nothing.

`open_journal` turns the result into a journal that can be appended to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn

from retain.journal.disk.interface import Disk
from retain.journal.erasure.ledger import Ledger
from retain.journal.errors import Corrupt, PositionMismatch
from retain.journal.format.frame import Frame
from retain.journal.format.record import Position, Record
from retain.journal.segments.anchor import Anchor
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import ANCHOR_FILE, Segment, segment_for
from retain.journal.segments.reader import SegmentReader
from retain.journal.segments.verdict import SegmentVerdict
from retain.journal.verified.pool import verifiers


class Replay:
    """One reading of a journal. After `run`, `last` is the reader of the last segment, at the journal's end.

    `ledger` then knows which parts are missing and which erasures were interrupted.
    """

    last: SegmentReader

    def __init__(
        self,
        disk: Disk,
        segments: Sequence[Segment],
        replay: Callable[[Record], None],
        *,
        after: Position | None,
        anchor: Anchor | None,
        children: int | None = 0,
    ) -> None:
        """Read nothing yet. `children`: processes that verify sealed segments; None: as it is worth it."""
        self.ledger = Ledger()
        self.notices: list[str] = []
        self._disk = disk
        self._segments = segments
        self._replay = replay
        self._after = after or Position(0, b"")
        self._matched = after is None
        self._anchor = anchor
        self._children = children

    def run(self) -> None:
        """Pass every record after the position to the replay function.

        Raises `Corrupt`, `UnknownVersion`; raises `PositionMismatch` before the first record was passed.
        """
        start = segment_for(self._segments, self._after.seq)
        segments = self._segments[start:]
        reader: SegmentReader | None = None
        with verifiers(self._disk, segments, self._children) as self._verifiers:
            self._verifiers.begin(segments[1:-1])
            for segment in segments:
                reader = self._read(segment, reader)
        self.notices += self._verifiers.notices
        assert reader is not None, "a journal has a segment"
        self.last = reader
        self._finish()

    def _read(self, segment: Segment, before: SegmentReader | None) -> SegmentReader:
        with SegmentFile(self._disk, segment) as file:
            reader = SegmentReader(file)
            if before is not None:
                reader.follow(before)
            frontier = reader.chain.frontier
            if before is None and self._anchor is not None and frontier.size > self._anchor.seq:
                self._anchor = None
            self._passed(frontier.size, frontier.root(), segment.number, reader.offset)
            if not self._matched:
                self._skip(reader)
            if segment is self._segments[-1]:
                for frame in reader.last_frames():
                    self._take(frame, segment)
            elif (verdict := self._verdict(segment, file)) is None:
                for frame in reader.sealed_frames():
                    self._take(frame, segment)
            else:
                for frame in reader.verified_frames(verdict):
                    self._pass_on(frame, segment, frame.records)
        return reader

    def _verdict(self, segment: Segment, file: SegmentFile) -> SegmentVerdict | None:
        """Return another process's verdict on a sealed segment, if the roots in it need not be compared."""
        verdict = self._verifiers.verdict(segment, file.size())
        later = self._anchor is None or self._anchor.segment > segment.number
        return verdict if self._matched and later else None

    def _skip(self, reader: SegmentReader) -> None:
        """Skip the records before the position: the heads contain its place, and the erasures."""
        at = reader.offset
        for own in reader.skip(self._after.seq):
            self._note(own, reader.segment, at)
            at, frontier = reader.offset, reader.chain.frontier
            compared = frontier.size in (self._after.seq, self._anchor.seq if self._anchor else 0)
            self._passed(frontier.size, frontier.root() if compared else b"", reader.segment.number, at)

    def _take(self, frame: Frame, segment: Segment) -> None:
        matched, last = self._matched, frame.records[-1].header.seq
        if not matched and last > self._after.seq:
            self._mismatch()
        if self._anchor is not None or not matched:
            self._passed(last, frame.root, segment.number, frame.offset + frame.extent)
        self._pass_on(frame, segment, frame.records if matched else ())

    def _pass_on(self, frame: Frame, segment: Segment, records: Sequence[Record]) -> None:
        replay = self._replay
        for record in records:
            replay(record)
        if frame.holes:
            self.ledger.add_holes(segment.number, frame.holes)
        self._note(frame.own, segment, frame.offset)

    def _note(self, own: Sequence[Record], segment: Segment, offset: int) -> None:
        """Add the journal's own records in a frame at `offset` to the ledger."""
        try:
            self.ledger.add_records(own)
        except ValueError as error:
            file, seq = segment.file, own[0].header.seq
            raise Corrupt(f"{file}: {error}", file=file, offset=offset, seq=seq) from error

    def _passed(self, seq: int, root: bytes, segment: int, offset: int) -> None:
        """Compare the end of a frame or opener, after record `seq`, with the known position and anchor."""
        if not self._matched and seq == self._after.seq:
            if root != self._after.root:
                self._mismatch()
            self._matched = True
        anchor = self._anchor
        if anchor is None or seq < anchor.seq:
            return
        if seq == anchor.seq:
            if root != anchor.root or (segment == anchor.segment and offset != anchor.offset):
                raise _unanchored(anchor, "the journal has another content there")
            if segment >= anchor.segment:
                self._anchor = None
        else:
            raise _unanchored(anchor, "no frame ends there")

    def _finish(self) -> None:
        end, anchor = self.last.chain.frontier.size, self._anchor
        if anchor is not None:
            raise _unanchored(anchor, f"the journal ends earlier, at record {end}")
        if not self._matched:
            self._mismatch()
        self.ledger.judge({segment.number: segment.file for segment in self._segments})

    def _mismatch(self) -> NoReturn:
        seq = self._after.seq
        raise PositionMismatch(f"the journal never had that root at record {seq}", seq=seq)


def _unanchored(anchor: Anchor, why: str) -> Corrupt:
    text = (
        f"the anchor says record {anchor.seq} ended at offset {anchor.offset} of segment {anchor.segment:08x}"
    )
    return Corrupt(f"{text}, but {why}", file=ANCHOR_FILE, offset=0, seq=anchor.seq)
