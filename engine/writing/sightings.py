"""The file ``clock``: what a run last saw of time, for the next start to judge its own clock by."""

from __future__ import annotations

import json

from retain import journal
from retain.engine.core.clock import SIGHTING_INTERVAL, Horizon, Sighting
from retain.engine.state import State

CLOCK_FILE = "clock"


class Sightings:
    """Writes the file now and then.

    Args:
        disk: The data folder.
        horizon: What is written.
        state: Knows the time of the journal's last record.
    """

    def __init__(self, disk: journal.Disk, horizon: Horizon, state: State) -> None:
        self._disk = disk
        self._horizon = horizon
        self._state = state
        self._at: int | None = None

    def write_if_due(self) -> None:
        """Write it if the last one is old enough. Blocking. Raises `OSError`; a full disk is not that."""
        elapsed = self._horizon.elapsed()
        if self._at is not None and elapsed - self._at < SIGHTING_INTERVAL:
            return
        try:
            self.write()
        except journal.NoSpace:
            return  # the one before still tells the next start more than none

    def write(self) -> None:
        """Write it. Blocking. Raises `NoSpace`, `OSError`."""
        sighting = self._horizon.sighting(self._state.time)
        self._disk.write_atomic(CLOCK_FILE, json.dumps(sighting._asdict()).encode() + b"\n")
        self._at = self._horizon.elapsed()


def read_sighting(disk: journal.Disk) -> Sighting | None:
    """What the run before last saw; None if there is no such file, or none that can be read: then the
    journal alone tells what has passed. Blocking. Raises `OSError`."""
    if not disk.exists(CLOCK_FILE):
        return None
    try:
        found = Sighting(**json.loads(disk.read(CLOCK_FILE)))
    except (ValueError, TypeError):
        return None
    return found if all(isinstance(one, int) for one in found) else None
