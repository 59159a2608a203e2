"""A process that reads and verifies sealed segments for the one that opens the journal.

It reads requests from its standard input and answers each on standard output, until the input ends. It writes
nothing and holds no lock.
"""

from __future__ import annotations

import signal
import sys
from typing import IO

import msgpack

from retain.journal.disk.interface import Disk
from retain.journal.disk.real import RealDisk
from retain.journal.errors import JournalError
from retain.journal.format.frame import Hole
from retain.journal.format.verified import chunk_sum
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import Segment
from retain.journal.segments.reader import SegmentReader
from retain.journal.segments.verdict import SegmentVerdict, pack_holes
from retain.journal.uncollected import uncollected

LENGTH_BYTES = 4
GOOD, BAD = b"+", b"-"
"""The first byte of an answer: a verdict follows, or the reason why there is none."""


class _SummedFile(SegmentFile):
    """A segment that notes the checksum of everything read from it."""

    def __init__(self, disk: Disk, segment: Segment) -> None:
        super().__init__(disk, segment)
        self.sums: list[int] = []

    def pread(self, offset: int, length: int) -> bytes:
        data = super().pread(offset, length)
        if data:
            self.sums.append(chunk_sum(data))
        return data


def verdict_on(disk: Disk, segment: Segment) -> SegmentVerdict:
    """Read a sealed segment and verify all of it. Raises `Corrupt`, `UnknownVersion`, `OSError`."""
    holes: list[Hole] = []
    with _SummedFile(disk, segment) as file:
        reader = SegmentReader(file)
        for frame in reader.sealed_frames():
            holes += frame.holes
    return SegmentVerdict(tuple(file.sums), reader.chain, reader.offset, pack_holes(holes))


def send(stream: IO[bytes], data: bytes) -> None:
    """Write one message."""
    stream.write(len(data).to_bytes(LENGTH_BYTES, "big") + data)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes:
    """Read one message. Raises `EOFError` if the other side ended."""
    length = int.from_bytes(_exactly(stream, LENGTH_BYTES), "big")
    return _exactly(stream, length)


def _exactly(stream: IO[bytes], length: int) -> bytes:
    pieces: list[bytes] = []
    while length:
        piece = stream.read(length)
        if not piece:
            raise EOFError("the other side ended")
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def answer(disk: Disk, request: bytes) -> bytes:
    """Return the answer to a request that names a segment."""
    segment = Segment(*msgpack.unpackb(request))
    try:
        return GOOD + verdict_on(disk, segment).pack()
    except (JournalError, OSError) as error:
        return BAD + str(error).encode(errors="replace")


def main(folder: str) -> None:
    """Answer requests until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process
    disk = RealDisk(folder, create=False)
    with uncollected():
        while True:
            try:
                request = receive(sys.stdin.buffer)
            except EOFError:
                return
            send(sys.stdout.buffer, answer(disk, request))


if __name__ == "__main__":
    main(sys.argv[1])
