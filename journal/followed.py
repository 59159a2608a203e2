"""Read a journal as a follower on the same machine: its tail, and single contents by address."""

from __future__ import annotations

from collections.abc import Iterator

from retain.journal.disk.interface import Disk
from retain.journal.errors import Corrupt
from retain.journal.format.limits import PART_ALIGN, READ_HANDLES
from retain.journal.format.record import Head, Position, Record, Verb, place
from retain.journal.lookup.contents import Contents
from retain.journal.segments.files import Segment, find_segments
from retain.journal.tail import FileTail


class FollowedJournal:
    """The files of a journal that another process writes. Used by one thread at a time.

    Args:
        disk: The data folder.
        after: The position to start after; None for the beginning.

    Raises:
        PositionMismatch: The journal was never at `after`.
        Corrupt, UnknownVersion, OSError: It cannot be read.

    """

    def __init__(self, disk: Disk, after: Position | None = None) -> None:
        self._disk = disk
        self._tail = FileTail(disk, after)
        self._segments: dict[int, Segment] = {}
        self._contents = Contents(disk, self._tail.identity, READ_HANDLES)

    @property
    def head(self) -> Head:
        """Return the end of the last frame that was returned."""
        return self._tail.head

    def records(self, until: int) -> Iterator[list[Record]]:
        """Yield the records that follow, a frame at a time, up to the durable record `until`.

        At an erase record, all contents in memory are dropped.

        Raises:
            Corrupt, OSError: They cannot be read. Those before were taken.

        """
        for _, records in self._tail.frames(until):
            if any(record.header.verb == Verb.ERASE for record in records):
                self._contents.forget_all()
            yield records

    def content(self, address: int) -> bytes | None:
        """Return the content at an address; None if it was erased.

        Raises:
            Corrupt: No sound part is at the address.
            OSError: It cannot be read.

        """
        number, offset = place(address)
        segment = self._segments.get(number)
        if segment is None:
            self._segments = {one.number: one for one in find_segments(self._disk)[0]}
            segment = self._segments.get(number)
        if segment is None or offset % PART_ALIGN:
            raise Corrupt(f"no content can be at address {address:#x}", offset=offset)
        return self._contents.read(segment, offset)

    def close(self) -> None:
        """Close all files, drop all cached contents."""
        self._tail.close()
        self._contents.close()
