"""The reaper: ends due entries, to free space. Readers never depend on it."""

from __future__ import annotations

from typing import Any

import trio

from retain import journal
from retain.engine.core.clock import Horizon
from retain.engine.core.command import KEEPER
from retain.engine.core.common_commands import ExpireDue
from retain.engine.core.errors import Unavailable
from retain.engine.options import Options
from retain.engine.state import State
from retain.engine.writing.threads import in_thread
from retain.engine.writing.writer import Writer

UNLINKS = 64
"""Payload files removed in one call to a worker thread."""


class Reaper:
    """Expires due entries and removes unused payload files, in bounded slices.

    Args:
        writer: Expiries are ordinary commands, so other requests are served between two slices.
        state: Read for the next deadline; never changed here.
        payloads: Where released files are unlinked, after the event that released them is durable.
        horizon: Only what is due by its vouched time is deleted.
        options: Interval and size of a slice.

    """

    def __init__(
        self,
        writer: Writer,
        state: State,
        payloads: journal.PayloadStore,
        horizon: Horizon,
        options: Options,
    ) -> None:
        self._writer = writer
        self._state = state
        self._payloads = payloads
        self._horizon = horizon
        self._options = options

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await trio.sleep(self._options.sweep_interval_s)
            try:
                await self.sweep()
                await self._writer.upkeep()
            except (Unavailable, OSError):
                # Full or failed storage shows in readiness and metrics; due data stays hidden, and the next
                # sweep tries again.
                continue

    async def sweep(self) -> int:
        """End all due entries; return the number of their deadlines.

        Raises:
            Unavailable: The storage refuses.

        """
        ended = 0
        while self._is_due(until := self._horizon.vouched()):
            expiry = ExpireDue(actor=KEEPER, limit=self._options.sweep_records, until=until)
            ended += await self._writer.submit(expiry)
            await self.unlink_released()
        await self.unlink_released()
        return ended

    def _is_due(self, until: int) -> bool:
        earliest = self._state.deadlines.next()
        return earliest is not None and earliest <= until

    async def unlink_released(self) -> None:
        """Remove the payload files that durable events released.

        `Orphans` removes what a crash or cancellation leaves, in the next run.
        """
        # Taken first: while this task waits, the next batch may release more, and is not durable yet.
        released = self._state.shared.take_released()
        await self._writer.wait_durable(self._state.seq)
        for start in range(0, len(released), UNLINKS):
            await in_thread(self._unlink, released[start : start + UNLINKS])

    def _unlink(self, names: list[str]) -> None:
        for name in names:
            self._payloads.unlink(name)


def expiry_lag(state: State, now: int) -> int:
    """Return the nanoseconds by which the earliest deadline is overdue, 0 if none is."""
    earliest: Any = state.deadlines.next()
    return 0 if earliest is None else max(0, now - earliest)
