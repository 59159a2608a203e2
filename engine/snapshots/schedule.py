"""When snapshots of a running engine are taken, and when they have to go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import trio

from retain import journal
from retain.engine.core.errors import Unavailable
from retain.engine.core.snapshot_table import TableView
from retain.engine.snapshots import file as snapshot
from retain.engine.state import State
from retain.engine.writing.threads import in_spare_thread
from retain.engine.writing.writer import Writer
from retain.journal.uncollected import uncollected


class Snapshots:
    """Takes snapshots while requests go on.

    Args:
        writer: For the moment between two batches in which a copy is taken.
        state: What is copied.
        log: Tells where the journal ends then.
        disk: Where snapshots are.
        covered: The last record that the snapshot in use covers, 0 without one.
    """

    def __init__(
        self, writer: Writer, state: State, log: journal.Journal, disk: journal.Disk, covered: int
    ) -> None:
        self._writer = writer
        self._state = state
        self._log = log
        self._disk = disk
        self._covered = covered
        self._oldest: tuple[int, int] | None = None
        self._turn = trio.Lock()

    def sweep(self) -> None:
        """Removes what a crash left of an unfinished one. Blocking; once, before the engine runs."""
        snapshot.sweep(self._disk)
        self._oldest = snapshot.oldest(self._disk)

    async def take(self) -> None:
        """Makes a snapshot of the present state durable. See :meth:`engine.engine.Engine.take_snapshot`."""
        async with self._turn:
            write, views = await self._writer.between_batches(self._freeze)
            for view in views:
                with uncollected():
                    await self._writer.between_batches(view.list_keys)
                    await in_spare_thread(view.pack_keys)
            await in_spare_thread(write)

    async def take_if_grown(self, records: int) -> None:
        """Takes one if as many records, 0 for never, came since the last."""
        if records and self._writer.durable - self._covered >= records:
            try:
                await self.take()
            except (journal.NoSpace, OSError, Unavailable):
                # A snapshot is a cache: without it only the next start takes longer. Full or failing
                # storage shows in readiness by itself; another attempt is made after as many records
                # again.
                self._covered = self._writer.durable

    def take_at_stop(self) -> None:
        """Takes one if the last does not cover everything. Blocking; nothing else runs any more.

        Raises:
            NoSpace, OSError, StorageFailed: As :meth:`take`.
        """
        if self._log.head.seq > self._covered:
            write, _ = self._freeze()
            write()

    async def renew(self, before: int) -> None:
        """Replaces a snapshot taken at or before the moment ``before`` if something in it was left behind
        since; if there is no room for a new one, goes without."""
        if self._oldest is None:
            return
        seq, time = self._oldest
        if seq >= self._state.records.last_left or time > before:
            return
        try:
            await self.take()
        except (journal.NoSpace, OSError):
            await in_spare_thread(snapshot.discard, self._disk)
            self._oldest = None

    def _freeze(self) -> tuple[Callable[[], None], Sequence[TableView[Any, Any]]]:
        self._writer.check()
        position, time, frozen = self._log.head.position, self._state.time, self._state.freeze()

        def write() -> None:
            snapshot.write(self._disk, position, time, frozen.rows)
            self._covered = position.seq
            self._oldest = position.seq, time

        return write, frozen.views
