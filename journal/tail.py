"""Follows a journal's segment files beside the process that writes them: no lock, nothing changed.

Unlike `scan`, it keeps its place between two calls, and reads only up to a given record: the last durable
one, which the writer publishes. So it never reads a half-written frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from retain.journal.disk.interface import Disk
from retain.journal.errors import Corrupt, PositionMismatch
from retain.journal.format.codec import Decoder
from retain.journal.format.frame import Damage, Frame, parse_prefix
from retain.journal.format.limits import PREFIX_BYTES
from retain.journal.format.record import Head, Position, Record
from retain.journal.log import Committed
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import Segment, find_segments, segment_for
from retain.journal.segments.reader import SegmentReader

LEAST_READ: Final = 8 << 10
MOST_READ: Final = 1 << 20
RECORD_GUESS: Final = 512
"""Bytes read at once for a record; more if many records follow."""


class FileTail:
    """A place in the segment files, between two frames.

    Args:
        disk: The data folder.
        after: The position to start after; None for the beginning.

    Raises:
        PositionMismatch: The journal was never at `after`.
        Corrupt, UnknownVersion, OSError: It cannot be read.

    """

    def __init__(self, disk: Disk, after: Position | None = None) -> None:
        self._disk = disk
        segments = find_segments(disk)[0]
        if not segments:
            raise Corrupt("there is no segment to follow", file="journal")
        start = after or Position(0, b"")
        reader = self._begin(segments[segment_for(segments, start.seq)])
        for _ in reader.skip(start.seq):
            pass  # over the heads, up to the position's segment's last frame but one
        self._resume(reader)
        try:
            self._reach(start, checked=after is not None)
        except BaseException:
            self.close()
            raise

    @property
    def identity(self) -> bytes:
        """Return the journal's identity."""
        return self._reader.opener.identity

    @property
    def head(self) -> Head:
        """Return the end of the last frame that was taken."""
        chain, decoder = self._decoder.chain, self._decoder
        return Head(chain.frontier.size, chain.time, decoder.root, self._file.segment.number, decoder.offset)

    def frames(self, until: int) -> Iterator[tuple[Committed, list[Record]]]:
        """Yield the frames up to record `until`; see `retain.journal.log.Tail`."""
        data, at = b"", 0
        while (seq := self._decoder.chain.frontier.size) < until:
            offset, number = self._decoder.offset, self._file.segment.number
            extent = _extent(data, at)
            if extent is None or len(data) - at < extent:
                wish = min(MOST_READ, max(LEAST_READ, (until - seq) * RECORD_GUESS))
                data, at = self._file.pread(offset, wish), 0
                extent = _extent(data, at)
                if extent is not None and len(data) < extent:
                    data = self._file.pread(offset, extent)
            if extent is None:
                self._turn(seq)
                data = b""
                continue
            frame = self._decoded(data[at : at + extent], seq)
            yield Committed(number, offset, seq + len(frame.records), data[at : at + extent]), frame.records
            at += extent

    def close(self) -> None:
        """Close the segment's file."""
        self._file.close()

    def _decoded(self, data: bytes, seq: int) -> Frame:
        self._decoder.feed(data)
        try:
            frame = self._decoder.next()
        except Damage as damage:
            raise self._corrupt(seq, str(damage)) from damage
        if not isinstance(frame, Frame):
            raise self._corrupt(seq, frame.value)
        return frame

    def _begin(self, segment: Segment) -> SegmentReader:
        self._file = SegmentFile(self._disk, segment)
        return SegmentReader(self._file)

    def _resume(self, reader: SegmentReader) -> None:
        self._reader = reader
        number, whitening = reader.segment.number, reader.opener.whitening
        self._decoder = Decoder(reader.chain, segment=number, offset=reader.offset, whitening=whitening)

    def _reach(self, start: Position, *, checked: bool) -> None:
        """Advance to the end of record `start.seq`. Raises `PositionMismatch` if it never had that root."""
        try:
            for _ in self.frames(start.seq):
                pass
        except Corrupt as error:
            raise PositionMismatch(str(error), seq=start.seq) from error
        head = self.head
        if checked and (head.seq != start.seq or head.root != start.root):
            raise PositionMismatch(f"the journal never had that root at record {start.seq}", seq=start.seq)

    def _turn(self, seq: int) -> None:
        """Continue in the next segment. Raises `Corrupt` if there is none, or it does not follow."""
        old, number = self._reader, self._file.segment.number
        following = next((one for one in find_segments(self._disk)[0] if one.number == number + 1), None)
        if following is None:
            raise self._corrupt(seq, "it was reported durable, but no frame is there")
        with SegmentFile(self._disk, following) as looked_at:
            reader = SegmentReader(looked_at)
        old.chain = self._decoder.chain
        reader.follow(old)
        self._file.close()
        self._resume(self._begin(following))

    def _corrupt(self, seq: int, why: str) -> Corrupt:
        file, offset = self._file.segment.file, self._decoder.offset
        return Corrupt(
            f"{file}, offset {offset}, record {seq + 1}: {why}", file=file, offset=offset, seq=seq + 1
        )


def _extent(data: bytes, at: int) -> int | None:
    """Return the length of the frame that starts at `at` of `data`; None if none starts there."""
    if len(data) - at < PREFIX_BYTES:
        return None
    prefix = parse_prefix(data[at : at + PREFIX_BYTES])
    return None if prefix is None else prefix.extent
