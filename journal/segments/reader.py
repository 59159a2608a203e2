"""Reads one segment from its opener to its end, frame by frame, for opening and scanning."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from retain.journal.errors import Corrupt
from retain.journal.format.codec import Decoder, Want
from retain.journal.format.frame import Chain, Damage, Frame
from retain.journal.format.limits import READ_CHUNK
from retain.journal.format.record import Header, Record, Verb
from retain.journal.format.verified import VerifiedDecoder, chunk_sum
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import Opener
from retain.journal.segments.heads import FrameHead, headers_of, heads, records_in
from retain.journal.segments.tail import Tear, corrupt, judge, last_byte
from retain.journal.segments.verdict import SegmentVerdict


class SegmentReader:
    """Frames of one segment, read in one of four ways: sealed, verified, last, or growing.

    Afterwards, `chain` and `offset` are the end of the good frames, `last_frame_at` is the start of the last
    one (-1: there is none), and `tear` the torn write after them.
    """

    def __init__(self, file: SegmentFile) -> None:
        """Read the opener. Raises `Corrupt`, `UnknownVersion`."""
        self.segment = file.segment
        self.opener: Opener = file.opener()
        self.chain: Chain = self.opener.chain.copy()
        self.offset = self.opener.size
        self.tear: Tear | None = None
        self.last_frame_at = -1
        self._file = file

    def follow(self, before: SegmentReader) -> None:
        """Check that this segment continues where the one before it ended. Raises `Corrupt`."""
        file, end, start = self.segment.file, before.chain, self.opener.chain
        if self.opener.identity != before.opener.identity:
            raise Corrupt(f"{file} belongs to another journal", file=file, offset=0)
        if (start.frontier.size, start.frontier.peaks, start.time) != (
            end.frontier.size,
            end.frontier.peaks,
            end.time,
        ):
            seq = end.frontier.size
            text = f"{file} does not go on where the segment before it ends, at record {seq}"
            raise Corrupt(text, file=file, offset=0, seq=seq)

    def skip(self, last: int) -> Iterator[list[Record]]:
        """Skip the frames up to record `last` by their heads; yield the journal's own records in each.

        `chain` and `offset` are set after each frame. Stops early before a frame that cannot be skipped, and
        before the segment's last one: reading on reports the reason. That the frames continue the tree is
        checked against its root after the last of them.
        """
        for head, following in pairwise(heads(self._file, self.offset)):
            if following.prefix.first > last + 1 or (found := self._headers_of(head)) is None:
                return
            own = {header.seq for _, header in found if header.verb >= Verb.ERASE}
            records = list(records_in(self._file, head, own)) if own else []
            if any(record.content is None for record in records):
                return
            self.chain.frontier.extend(packed for packed, _ in found)
            self.chain = self.chain._replace(time=found[-1][1].time)
            self.offset = head.stop
            yield records

    def _headers_of(self, head: FrameHead) -> list[tuple[bytes, Header]] | None:
        """Return the headers of the next frame, None if another frame is there."""
        try:
            found = headers_of(self._file, head)
        except Corrupt:
            return None
        due = self.chain.frontier.size + 1
        times = [self.chain.time, *(header.time for _, header in found)]
        in_order = all(header.seq == seq for seq, (_, header) in enumerate(found, due))
        return found if in_order and times == sorted(times) else None

    def sealed_frames(self) -> Iterator[Frame]:
        """Yield the frames of a segment that is not the last one. Raises `Corrupt` for anything else."""
        self._restart()
        while isinstance(found := self._next(), Frame):
            yield found
        if found.offset != self._file.size():
            raise corrupt(self.segment.file, found)
        self._stop()

    def verified_frames(self, verdict: SegmentVerdict) -> Iterator[Frame]:
        """Yield the frames of a sealed segment that another process has read and verified.

        Their `root` is empty. Raises `Corrupt` if this reading finds other bytes; no frame of those was
        yielded.
        """
        decoder = VerifiedDecoder(
            self.chain,
            verdict.holes,
            segment=self.segment.number,
            offset=self.offset,
            whitening=self.opener.whitening,
        )
        at = self.offset
        for known in verdict.sums:
            data = self._file.pread(at, READ_CHUNK)
            if chunk_sum(data) != known:
                raise self._changed(at, decoder.chain.frontier.size + 1)
            decoder.feed(data)
            at += len(data)
            try:
                while isinstance(found := decoder.next(), Frame):
                    self.last_frame_at = found.offset
                    yield found
            except Damage as damage:
                raise corrupt(self.segment.file, damage) from damage
        size = decoder.chain.frontier.size
        if (decoder.offset, size) != (verdict.offset, verdict.chain.frontier.size):
            raise self._changed(decoder.offset, size + 1)
        self.chain, self.offset = verdict.chain, verdict.offset

    def _changed(self, offset: int, seq: int) -> Corrupt:
        file = self.segment.file
        text = f"{file}, offset {offset}, record {seq}: two readings differ; check the disk and the memory"
        return Corrupt(text, file=file, offset=offset, seq=seq)

    def last_frames(self) -> Iterator[Frame]:
        """Yield the frames of the last segment, up to a torn write. Raises `Corrupt`."""
        yield from self._settled_frames()
        self.tear = judge(self._file, self._ending)

    def growing_frames(self) -> Iterator[Frame]:
        """Yield the complete frames of a segment that may still grow; called again, those added since.

        Raises `Corrupt` for damage found twice: the first time it may be a half-written frame.
        """
        suspicious = False
        while True:
            start = self.offset
            yield from self._settled_frames()
            try:
                judge(self._file, self._ending)
            except Corrupt:
                if suspicious and self.offset == start:
                    raise
                suspicious = True
            else:
                return

    def _settled_frames(self) -> Iterator[Frame]:
        """Yield the frames up to a bad one; `_ending` judges that, as it does the zeros after the last frame.

        A frame with holes at the end counts as bad too: without a good frame after it, no erase record can
        name the holes.
        """
        self._restart()
        held: Frame | None = None
        while isinstance(found := self._next(), Frame):
            if held is not None:
                yield held
            held = found if found.holes else None
            if held is None:
                yield found
        self._stop()
        if held is not None and last_byte(self._file, found.offset) > found.offset:
            yield held
        elif held is not None and held.before is not None:
            self.chain, self.offset = held.before, held.offset
            found = _unopened(held)
        self._ending = found

    def _restart(self) -> None:
        self._read = self.offset
        self._decoder = Decoder(
            self.chain,
            segment=self.segment.number,
            offset=self.offset,
            whitening=self.opener.whitening,
        )

    def _stop(self) -> None:
        self.chain, self.offset = self._decoder.chain, self._decoder.offset

    def _next(self) -> Frame | Damage:
        decoder = self._decoder
        try:
            while not isinstance(found := decoder.next(), Frame):
                data = self._file.pread(self._read, READ_CHUNK) if found is Want.MORE else b""
                if not data:
                    return self._end_of(found)
                self._read += len(data)
                decoder.feed(data)
        except Damage as damage:
            return damage
        self.last_frame_at = found.offset
        return found

    def _end_of(self, want: Want) -> Damage:
        decoder = self._decoder
        seq = decoder.chain.frontier.size + 1
        return Damage(f"{want.value}", offset=decoder.offset, seq=seq, extent=decoder.extent)


def _unopened(frame: Frame) -> Damage:
    reason = f"a part of record {frame.holes[0].seq} does not open its commitment"
    return Damage(reason, offset=frame.offset, seq=frame.records[0].header.seq, extent=frame.extent)
