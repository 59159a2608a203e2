"""The file `clock`: the last times of a run, with which the next start checks its clock."""

from __future__ import annotations

import json

from retain import journal
from retain.engine.core.clock import SIGHTING_INTERVAL, Horizon, Sighting
from retain.engine.state import State

CLOCK_FILE = "clock"


class Sightings:
    """Writes the file `clock` periodically.

    Args:
        disk: The data folder.
        horizon: The source of the times.
        state: Has the time of the journal's last record.

    """

    def __init__(self, disk: journal.Disk, horizon: Horizon, state: State) -> None:
        self._disk = disk
        self._horizon = horizon
        self._state = state
        self._at: int | None = None

    def write_if_due(self) -> None:
        """Write the file if the last one is old enough. Blocking. A full disk is not an error.

        Raises:
            OSError: It could not be written.

        """
        elapsed = self._horizon.elapsed()
        if self._at is not None and elapsed - self._at < SIGHTING_INTERVAL:
            return
        try:
            self.write()
        except journal.NoSpace:
            return  # the previous file is still better than none

    def write(self) -> None:
        """Write the file. Blocking.

        Raises:
            NoSpace: The disk is full.
            OSError: It could not be written.

        """
        sighting = self._horizon.sighting(self._state.time)
        self._disk.write_atomic(CLOCK_FILE, json.dumps(sighting._asdict()).encode() + b"\n")
        self._at = self._horizon.elapsed()


def read_sighting(disk: journal.Disk) -> Sighting | None:
    """Return the last times of the previous run; None if the file is missing or unreadable. Blocking.

    Without it the journal alone shows how much time has passed.

    Raises:
        OSError: The disk could not be read.

    """
    if not disk.exists(CLOCK_FILE):
        return None
    try:
        found = Sighting(**json.loads(disk.read(CLOCK_FILE)))
    except (ValueError, TypeError):
        return None
    return found if all(isinstance(one, int) for one in found) else None
