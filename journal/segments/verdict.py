"""What a process that read and verified a sealed segment tells the one that opens the journal."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Self

import msgpack

from retain.journal.format.frame import MALFORMED, Chain, Hole
from retain.journal.format.merkle import Frontier
from retain.journal.format.record import Part

_HOLE = struct.Struct(">QBQIB")


class SegmentVerdict(NamedTuple):
    """Every frame of a segment is good: its place, its parts, and that it continues the tree.

    `sums` has the CRC-32C of each `READ_CHUNK` of its frames, so that a second reading is known to have found
    the same bytes. `chain` and `offset` are its end, `holes` the parts that do not open their commitments.
    """

    sums: tuple[int, ...]
    chain: Chain
    offset: int
    packed_holes: bytes

    @property
    def holes(self) -> Iterator[Hole]:
        """Yield the holes by their places. Millions may be erased, so they stay packed until then."""
        for seq, part, offset, size, blank in _HOLE.iter_unpack(self.packed_holes):
            yield Hole(seq, Part(part), offset, size, bool(blank))

    def pack(self) -> bytes:
        """Return the verdict as bytes."""
        frontier, time = self.chain
        end = (frontier.size, frontier.peaks, time)
        data: bytes = msgpack.packb((self.sums, *end, self.offset, self.packed_holes))
        return data

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the verdict in these bytes. Raises `ValueError`."""
        try:
            sums, size, peaks, time, offset, holes = msgpack.unpackb(data)
            if len(holes) % _HOLE.size:
                raise ValueError("a hole is cut short")
            return cls(tuple(sums), Chain(Frontier(size, peaks), time), offset, holes)
        except MALFORMED as error:
            raise ValueError(f"not a verdict: {error}") from error


def pack_holes(holes: Iterable[Hole]) -> bytes:
    """Return the holes as a verdict has them."""
    return b"".join(_HOLE.pack(*hole) for hole in holes)
