"""A quick check of a journal: every segment's opener, and the newest frames. Changes nothing."""

from __future__ import annotations

from itertools import islice
from typing import Final, NamedTuple

from retain.journal.disk.interface import Disk
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import find_segments
from retain.journal.segments.reader import SegmentReader

FRAMES: Final = 2000
"""How many frames of the newest segment are read."""


class Sample(NamedTuple):
    """The checked and intact parts of a journal.

    Attributes:
        segments: Openers that were read.
        frames: Frames of the newest segment that were checked.
        identity: The journal's; empty if there is none.
        last: The time of the last record among them, nanoseconds since the epoch; 0 if there is none.
    """

    segments: int
    frames: int
    identity: bytes
    last: int


def sample(disk: Disk) -> Sample:
    """Check the segments' openers and some frames of the newest one.

    Raises `Corrupt`, `UnknownVersion`, OSError.
    """
    segments = find_segments(disk)[0]
    if not segments:
        return Sample(0, 0, b"", 0)
    for segment in segments[:-1]:
        with SegmentFile(disk, segment) as file:
            file.opener()
    with SegmentFile(disk, segments[-1]) as file:
        reader = SegmentReader(file)
        identity = file.opener().identity
        frames = sum(1 for _ in islice(reader.growing_frames(), FRAMES))
    return Sample(len(segments), frames, identity, reader.chain.time)
