"""A segment's file by logical offsets, in either format, even while it is being replaced.

FORMAT.md section 10. If a segment is replaced by a rewritten file while it is read, the reader finds the old
opener zeroed and continues in the new file: its bytes have the same logical offsets.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from retain.journal.disk.interface import Disk, File
from retain.journal.errors import JournalError
from retain.journal.format.gaps import GapTable
from retain.journal.segments.files import Opener, Segment, find_segments, read_opener

_MAGIC_BYTES = 8
_BLANK = bytes(_MAGIC_BYTES)


class SegmentFile(File):
    """An open segment.

    Reads and writes use logical offsets; omitted bytes read as the zeros that they replace.
    """

    def __init__(self, disk: Disk, segment: Segment, *, write: bool = False) -> None:
        """Open the file. Raises `OSError`; only `opener` reports a bad opener."""
        self.segment = segment
        self._disk = disk
        self._write = write
        self._replaced: list[File] = []
        try:
            self._open(segment)
        except FileNotFoundError:
            self._follow(closing=False)

    @property
    def name(self) -> str:
        return self.segment.file

    @property
    def table(self) -> GapTable | None:
        """Return the places of a rewritten segment's bytes; None if they are at their logical offsets."""
        return self._table

    def opener(self) -> Opener:
        """Return the segment's opener. Raises `Corrupt`, `UnknownVersion`."""
        if self._error is not None:
            raise self._error
        assert self._opener is not None, "an opener was read, or an error kept"
        return self._opener

    def size(self) -> int:
        table, size = self._table, self._file.size()
        return size if table is None else size - table.actual(table.end) + table.end

    def pread(self, offset: int, length: int) -> bytes:
        while True:
            data = self._read(offset, length)
            # A segment is replaced by blanking the old file's opener before anything else in it.
            if self._file.pread(0, _MAGIC_BYTES) != _BLANK or not self._follow():
                return data

    def pwrite(self, offset: int, data: bytes | memoryview) -> None:
        if self._table is None:
            self._file.pwrite(offset, data)
            return
        at, stop = offset, offset + len(data)
        for run in [*self._table.runs(offset, stop), None]:
            until = run.offset if run is not None else stop
            if at < until:
                self._file.pwrite(self._table.actual(at), data[at - offset : until - offset])
            if run is not None:
                assert not any(data[run.offset - offset : run.stop - offset]), "only zeros can be left out"
                at = run.stop

    def sync(self) -> None:
        self._file.sync()

    def truncate(self, size: int) -> None:
        assert self._table is None, "a rewritten segment has its final size"
        self._file.truncate(size)

    def allocate(self, offset: int, length: int) -> None:
        assert self._table is None, "a rewritten segment has its final size"
        self._file.allocate(offset, length)

    def close(self) -> None:
        self._file.close()
        for file in self._replaced:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, segment: Segment) -> None:
        self._file = self._disk.open(segment.file, write=self._write)
        self.segment = segment
        self._opener: Opener | None = None
        self._error: JournalError | None = None
        try:
            self._opener = read_opener(self._file, segment)
        except JournalError as error:
            self._error = error
        self._table = self._opener.table if self._opener is not None else None
        if self._error is not None and self._file.pread(0, _MAGIC_BYTES) == _BLANK:
            self._follow()

    def _follow(self, *, closing: bool = True) -> bool:
        """Open the file that replaced this one. False if there is none: the opener is damaged."""
        for segment in find_segments(self._disk)[0]:
            if segment[:2] == self.segment[:2] and segment.file != self.segment.file:
                if closing:
                    self._replaced.append(self._file)  # another thread may be reading from it
                self._open(segment)
                return True
        if not closing:
            raise FileNotFoundError(self.segment.file)
        return False

    def _read(self, offset: int, length: int) -> bytes:
        table = self._table
        if table is None:
            return self._file.pread(offset, length)
        assert offset >= table.start, "frames only are at logical offsets"
        stop = offset + length
        first = table.actual(offset)
        kept = self._file.pread(first, table.actual(stop) - first)
        pieces: list[bytes] = []
        at, taken, stream = offset, 0, b""
        for run in table.runs(offset, stop):
            piece = kept[taken : taken + run.offset - at]
            if len(piece) < run.offset - at:
                return b"".join((*pieces, piece))
            if run.whitened and not stream:
                stream = self.opener().whitening.apply(bytes(length), offset)
            gap = stream[run.offset - offset : run.stop - offset] if run.whitened else bytes(run.length)
            pieces += (piece, gap)
            at, taken = run.stop, taken + len(piece)
        pieces.append(kept[taken:])
        return b"".join(pieces)
