"""The background work of an open journal on its sealed segments: rewriting sparse ones, writing indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from threading import Lock

from retain.journal.compaction.rewrite import is_sparse, put_in_place, wipe_superseded, write_aside
from retain.journal.disk.interface import Disk
from retain.journal.erasure.locate import Spot
from retain.journal.erasure.zero import wipe
from retain.journal.errors import Corrupt
from retain.journal.lookup.index import read_index, write_index
from retain.journal.segments.files import FOLDER, Segment


class Compaction:
    """Caches facts about sealed segments, and the parts erased from a segment while it is copied.

    Callers that open segments' files by name, outside of a change, hold the lock `settled`: no file is
    replaced meanwhile. It is taken before the journal's own lock, never inside it.
    """

    def __init__(
        self,
        disk: Disk,
        changing: Callable[[str], AbstractContextManager[None]],
        replaced: Callable[[Segment, Segment], None],
    ) -> None:
        """Take what the open journal shares: `changing` blocks changes, `replaced` receives both segments."""
        self._disk = disk
        self._changing = changing
        self._replaced = replaced
        self.settled = Lock()
        self._turn = Lock()
        self._dense: set[int] = set()
        self._sparse: set[int] = set()
        self._indexed: set[int] = set()
        self._copied = 0
        self._erased: list[Spot] = []

    def note(self, spots: Iterable[Spot]) -> None:
        """Note that these parts will be zeroed. Called while the journal is paused."""
        for spot in spots:
            self._dense.discard(spot.segment)
            if spot.segment == self._copied:
                self._erased.append(spot)

    def sparse(self, sealed: Sequence[Segment], most: int) -> list[int]:
        """Return the sealed segments worth rewriting; examine at most `most` of them anew."""
        unknown = [one for one in sealed if one.number not in self._dense | self._sparse]
        for segment in unknown[:most]:
            # Noted first: an erasure during the reading makes the segment unknown again.
            self._dense.add(segment.number)
            if is_sparse(self._disk, segment):
                self._sparse.add(segment.number)
        return sorted(self._sparse)

    def rewrite(self, segment: Segment) -> int:
        """Rewrite a sealed segment; see `Journal.rewrite`."""
        with self._turn:
            with self._changing("rewriting a segment"):
                self._copied, self._erased = segment.number, []
            wipe_superseded(self._disk)
            before = self._size(segment)
            try:
                aside = write_aside(self._disk, segment, self._erased)
                with self.settled, self._changing("rewriting a segment"):
                    new = put_in_place(self._disk, segment, aside, self._erased)
                    self._replaced(segment, new)
            except Corrupt:
                self._sparse.discard(segment.number)  # verification reports it, not every attempt
                raise
            finally:
                self._copied = 0
            wipe(self._disk, segment.file)
            self._disk.sync_folder(FOLDER)
            self._sparse.discard(segment.number)
            return before - self._size(new)

    def build_index(self, sealed: Sequence[Segment]) -> bool:
        """Write the index of one sealed segment; see `Journal.build_index`."""
        for segment in sealed:
            if segment.number in self._indexed:
                continue
            self._indexed.add(segment.number)
            if read_index(self._disk, segment) is None:
                write_index(self._disk, segment)
                return True
        return False

    def _size(self, segment: Segment) -> int:
        with self._disk.open(segment.file) as file:
            return file.size()
