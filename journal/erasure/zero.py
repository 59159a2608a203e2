"""Overwrites parts with zeros, in place. FORMAT.md section 6.

The caller makes this safe: the erase record is durable before, the erased record follows after.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from retain.journal.disk.interface import Disk
from retain.journal.erasure.ledger import Range
from retain.journal.erasure.locate import Spot
from retain.journal.format.limits import READ_CHUNK
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import Segment


@dataclass(slots=True)
class ErasurePlan:
    """An erasure in progress: the parts its erase record names, their places on disk, and the cause.

    `seq` is the erase record's number, 0 until it is written.
    """

    ranges: Sequence[Range]
    spots: Sequence[Spot]
    cause: int
    seq: int = 0


def blank(disk: Disk, spots: Iterable[Spot], segments: Mapping[int, Segment]) -> None:
    """Write zeros over all these parts, with one sync for each segment. Raises `OSError`."""
    by_segment: dict[int, list[Spot]] = {}
    for spot in spots:
        by_segment.setdefault(spot.segment, []).append(spot)
    for number, parts in sorted(by_segment.items()):
        with SegmentFile(disk, segments[number], write=True) as file:
            for offset, size in _joined(parts):
                file.pwrite(offset, bytes(size))
            file.sync()


def wipe(disk: Disk, name: str) -> None:
    """Overwrite a file with zeros from its start on, durably, and remove its name.

    So the freed blocks contain no data that a later erasure could not reach. The folder is not synced. Raises
    `NoSpace` (only if overwriting needs space), `OSError`.
    """
    with disk.open(name, write=True) as file:
        size = file.size()
        for at in range(0, size, READ_CHUNK):
            file.pwrite(at, bytes(min(READ_CHUNK, size - at)))
        file.sync()
    disk.unlink(name)


def _joined(spots: Iterable[Spot]) -> list[tuple[int, int]]:
    """Return offsets and sizes, with neighbours merged."""
    joined: list[tuple[int, int]] = []
    for _, offset, size in sorted(spots):
        if joined and sum(joined[-1]) == offset:
            joined[-1] = (joined[-1][0], joined[-1][1] + size)
        else:
            joined.append((offset, size))
    return joined
