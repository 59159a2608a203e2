"""What the writer looks after between two batches: room on the disk, and the anchor."""

from __future__ import annotations

from typing import Any

from retain import journal
from retain.engine.core.clock import Horizon
from retain.engine.core.command import Command
from retain.engine.core.time import SECOND


class Room:
    """Room on the disk, found before a batch is decided: so a full disk refuses it before it has changed
    anything.

    Args:
        log: The open journal.

    Attributes:
        for_all: There is room for any change.
        full: There was none when last looked for.
        short: Descriptors or memory ran out when it was last looked for: it passes by itself.
    """

    def __init__(self, log: journal.Journal) -> None:
        self._log = log
        self.for_all = False
        self._for_frees = False
        self.full = False
        self.short: journal.Shortage | None = None

    def find(self) -> None:
        """Looks for room; where there is none, gives up the ballast, for what frees space. Blocking.

        Raises:
            JournalError: The journal cannot be written any more.
        """
        self.short = None
        try:
            self._find()
        except journal.Shortage as error:
            # Not a full disk: the ballast stays, and the next batch looks again.
            self.short = error
            self.for_all = self._for_frees = False
        else:
            self.full = not self.for_all

    def _find(self) -> None:
        try:
            self._log.reserve()
            self.for_all, self._for_frees = self._log.restore_ballast(), True
        except journal.Shortage:
            raise
        except journal.NoSpace:
            self._log.release_ballast()
            self.for_all, self._for_frees = False, self._reserved()

    def find_again(self) -> None:
        """Looks for room for the next batch after one was written. Blocking.

        Raises:
            JournalError: The journal cannot be written any more.
        """
        self.for_all = self.for_all and self._reserved()

    def allows(self, command: Command[Any]) -> bool:
        """Whether ``command`` may be decided."""
        return self.for_all or (command.FREES_SPACE and self._for_frees)

    def _reserved(self) -> bool:
        try:
            self._log.reserve()
        except journal.NoSpace:
            return False
        return True


class Anchors:
    """Writes the anchor now and then while the journal grows.

    Args:
        log: The open journal.
        horizon: For its monotonic clock.
        interval_s: Seconds between two anchors.
    """

    def __init__(self, log: journal.Journal, horizon: Horizon, interval_s: float) -> None:
        self._log = log
        self._horizon = horizon
        self._interval = int(interval_s * SECOND)
        self._seq = log.head.seq
        self._at = horizon.elapsed()

    def write_if_due(self) -> None:
        """Writes it if there is something new and the last one is old enough. Blocking.

        Raises:
            JournalError: The journal cannot be written any more; a full disk is not that.
        """
        elapsed = self._horizon.elapsed()
        if self._log.head.seq == self._seq or elapsed - self._at < self._interval:
            return
        try:
            self._log.write_anchor()
        except journal.NoSpace:
            return  # the last one still stands; the next batch tries again
        self._seq = self._log.head.seq
        self._at = elapsed
