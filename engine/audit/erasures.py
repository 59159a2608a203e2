"""When and why parts of records were erased, for the audit log."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import NamedTuple

from retain.engine.audit.log import CAUSES
from retain.journal import Disk, Part
from retain.journal.erasure.manifest import Erasure, Erasures, ErasureSearch

_CAUSES = {int(number): name for name, number in CAUSES.items()}


class ErasedPart(NamedTuple):
    """An erased part of a record.

    Attributes:
        part: `details` or `content`.
        time: When the erase record was written, nanoseconds since the epoch.
        cause: A key of `engine.audit.CAUSES`, or the number.
        by: The erase record's number.

    """

    part: str
    time: int
    cause: str
    by: int


class KnownErasures:
    """All erasures of a journal, read once, and then only new ones. Blocking; for any thread.

    Args:
        disk: The data folder.

    """

    def __init__(self, disk: Disk) -> None:
        self._lock = Lock()
        self._search = ErasureSearch(disk)

    def refresh(self, most: int) -> bool:
        """Read `most` more frames, so that the next query need not; return whether there may be more.

        Raises what `of` raises.
        """
        with self._lock:
            return self._search.read(most)

    def entries(self) -> tuple[Erasure, ...]:
        """Return all erasures, in order. Raises what `of` raises."""
        return self._now().entries

    def of(self, seqs: Iterable[int]) -> dict[int, tuple[ErasedPart, ...]]:
        """Return the erasures that name any of these records; see `erasures_of`."""
        wanted = sorted(set(seqs))
        return _named(self._now(), wanted) if wanted else {}

    def _now(self) -> Erasures:
        with self._lock:
            self._search.read()
            return self._search.found


def erasures_of(disk: Disk, seqs: Iterable[int]) -> dict[int, tuple[ErasedPart, ...]]:
    """Return the erasures that name any of these records: each part once, by the first that names it.

    Reads the heads of the whole journal, beside a running server too.

    Raises:
        journal.Corrupt: The journal is damaged.
        OSError: It cannot be read.

    """
    return KnownErasures(disk).of(seqs)


def _named(known: Erasures, wanted: Sequence[int]) -> dict[int, tuple[ErasedPart, ...]]:
    found: dict[int, dict[str, ErasedPart]] = {}
    for erasure in known.entries:
        named = wanted[bisect_left(wanted, erasure.first) : bisect_right(wanted, erasure.last)]
        cause = _CAUSES.get(erasure.cause, str(erasure.cause))
        for part in Part(erasure.parts):
            name = str(part.name).lower()
            erased = ErasedPart(name, erasure.time, cause, erasure.seq)
            for seq in named:
                found.setdefault(seq, {}).setdefault(name, erased)
    return {seq: tuple(parts.values()) for seq, parts in found.items()}
