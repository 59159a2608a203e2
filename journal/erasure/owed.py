"""Erasures in a folder that follows a shared log: what to overwrite here, and what to close there.

Each node overwrites what an erase record names in its own folder. The leader closes the erasure with its
erased record once the other nodes have done so. A folder never holds the erased record of an erasure that it
has not carried out: a restart would take it as done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from threading import Lock

from retain.journal.erasure.ledger import Ledger, Range
from retain.journal.format.record import Record


class OwedErasures:
    """Erase records without their erased record, and those not carried out here. From any thread."""

    def __init__(self) -> None:
        self._ledger = Ledger()
        self._here: dict[int, list[Range]] = {}
        self._lock = Lock()

    def interrupted(self, erasures: Mapping[int, list[Range]]) -> None:
        """Take over what a start found, and has carried out here."""
        with self._lock:
            self._ledger.interrupted.update(erasures)

    def note(self, records: Iterable[Record]) -> None:
        """Note the journal's own records among these, once they are durable.

        Raises:
            ValueError: One cannot be read.

        """
        with self._lock:
            known = set(self._ledger.interrupted)
            self._ledger.add_records(records)
            for seq, ranges in self._ledger.interrupted.items():
                if seq not in known:
                    self._here[seq] = ranges

    @property
    def open(self) -> list[int]:
        """Return the erase records that have no erased record yet, in order."""
        with self._lock:
            return sorted(self._ledger.interrupted)

    @property
    def here(self) -> list[tuple[int, list[Range]]]:
        """Return the erase records that were not carried out here, with what they name, in order."""
        with self._lock:
            return sorted(self._here.items())

    def begun(self, seq: int, ranges: Iterable[Range]) -> None:
        """Note an erasure of this node's own."""
        with self._lock:
            self._here[seq] = self._ledger.interrupted[seq] = list(ranges)

    def done_here(self, seq: int) -> None:
        """Note that what an erase record names is overwritten."""
        with self._lock:
            self._here.pop(seq, None)

    def closed(self, seqs: Iterable[int]) -> None:
        """Note that erasures have their erased record."""
        with self._lock:
            for seq in seqs:
                self._ledger.interrupted.pop(seq, None)
