"""Disk-space reservation and anchor writes between batches."""

from __future__ import annotations

from typing import Any

from retain import journal
from retain.engine.core.clock import Horizon
from retain.engine.core.command import Command
from retain.engine.core.time import SECOND


class Room:
    """Disk space, reserved before a batch is decided.

    So a full disk refuses a batch before it changes anything.

    Args:
        log: The open journal.

    Attributes:
        for_all: There is space for any change.
        full: There was none at the last attempt.
        short: Descriptors or memory ran out at the last attempt; that is temporary.

    """

    def __init__(self, log: journal.Journal) -> None:
        self._log = log
        self.for_all = False
        self._for_frees = False
        self.full = False
        self.short: journal.Shortage | None = None

    def find(self) -> None:
        """Reserve space; if there is none, release the ballast, for commands that free space. Blocking.

        Raises:
            JournalError: The journal can no longer be written.

        """
        self.short = None
        try:
            self._find()
        except journal.Shortage as error:
            # Not a full disk: keep the ballast; the next batch tries again.
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
        """Reserve space for the next batch after one was written. Blocking.

        Raises:
            JournalError: The journal can no longer be written.

        """
        self.for_all = self.for_all and self._reserved()

    def allows(self, command: Command[Any]) -> bool:
        """Return whether `command` may be decided."""
        return self.for_all or (command.FREES_SPACE and self._for_frees)

    def _reserved(self) -> bool:
        try:
            self._log.reserve()
        except journal.NoSpace:
            return False
        return True


class Anchors:
    """Writes the anchor periodically while the journal grows.

    Args:
        log: The open journal.
        horizon: The horizon, for its monotonic clock.
        interval_s: Seconds between two anchors.

    """

    def __init__(self, log: journal.Journal, horizon: Horizon, interval_s: float) -> None:
        self._log = log
        self._horizon = horizon
        self._interval = int(interval_s * SECOND)
        self._seq = log.head.seq
        self._at = horizon.elapsed()

    def write_if_due(self) -> None:
        """Write the anchor if the journal has grown and the last one is old enough. Blocking.

        A full disk is not an error.

        Raises:
            JournalError: The journal can no longer be written.

        """
        elapsed = self._horizon.elapsed()
        if self._log.head.seq == self._seq or elapsed - self._at < self._interval:
            return
        try:
            self._log.write_anchor()
        except journal.NoSpace:
            return  # the previous anchor remains valid; the next batch tries again
        self._seq = self._log.head.seq
        self._at = elapsed
