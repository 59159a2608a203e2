"""The live segment: its file, and the space reserved in it."""

from __future__ import annotations

from retain.journal.disk.interface import Disk, File
from retain.journal.errors import NoSpace
from retain.journal.segments.files import Segment


class LiveSegment:
    """The last segment, open for writing. Its owner keeps its end."""

    def __init__(self, disk: Disk, segment: Segment, end: int) -> None:
        self.segment = segment
        self.file: File = disk.open(segment.file, write=True)
        self._reserved = end

    def reserve(self, end: int, wish: int) -> None:
        """Reserve space for writing up to `end`; up to `wish` if there is space for it.

        What lies beyond the last frame on opening counts as not reserved: it may be a hole in a restored
        file. Raises `NoSpace`, with nothing changed but zeros after the last frame; raises `OSError`.
        """
        if end <= self._reserved:
            return
        try:
            self.file.allocate(self._reserved, max(end, wish) - self._reserved)
            self._reserved = max(end, wish)
        except NoSpace:
            if wish <= end:
                raise
            self.file.allocate(self._reserved, end - self._reserved)
            self._reserved = end

    def trim(self, end: int) -> None:
        """Free the space reserved after `end`, durably. Raises `OSError`."""
        if self.file.size() > end:
            self.file.truncate(end)
            self.file.sync()
        self._reserved = end
