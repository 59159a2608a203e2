"""Read a journal beside the server that writes it: no lock, no change, up to its present end."""

from __future__ import annotations

from collections.abc import Iterator

from retain.journal.disk.interface import Disk
from retain.journal.erasure.ledger import Ledger
from retain.journal.errors import Corrupt
from retain.journal.format.frame import Frame
from retain.journal.format.record import Record
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import Segment, list_segments, segment_for
from retain.journal.segments.reader import SegmentReader


def scan(disk: Disk, *, start: int = 1) -> Iterator[Record]:
    """Yield every record from number `start` on, checked as on opening; stop at the growing tail.

    The last records may not be durable yet. A part blanked meanwhile is None. Raises `Corrupt` (for a missing
    part that no erase record names: at the end), `UnknownVersion`, `OSError`.
    """
    segments = list_segments(disk)
    if not segments:
        return
    ledger = Ledger()
    before: SegmentReader | None = None
    index = segment_for(segments, max(start - 1, 0))
    files: dict[int, str] = {}
    while index < len(segments):
        segment = segments[index]
        files[segment.number] = segment.file
        with SegmentFile(disk, segment) as file:
            reader = SegmentReader(file)
            if before is not None:
                reader.follow(before)
            if index + 1 == len(segments):
                yield from _records(reader.growing_frames(), segment, ledger, start)
                segments = list_segments(disk)
            if index + 1 < len(segments):
                yield from _records(reader.sealed_frames(), segment, ledger, start)
        before = reader
        index += 1
    ledger.judge(files)


def _records(frames: Iterator[Frame], segment: Segment, ledger: Ledger, start: int) -> Iterator[Record]:
    for frame in frames:
        ledger.add_holes(segment.number, frame.holes)
        try:
            ledger.add_records(frame.own)
        except ValueError as error:
            file, seq = segment.file, frame.records[0].header.seq
            raise Corrupt(f"{file}: {error}", file=file, offset=frame.offset, seq=seq) from error
        if frame.records[0].header.seq >= start:
            yield from frame.records
        else:
            yield from (record for record in frame.records if record.header.seq >= start)
