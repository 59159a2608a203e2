"""When snapshots of a running engine are taken, and when they must be deleted."""

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
    """Takes snapshots beside requests.

    Args:
        writer: The writer, for the pause between two batches in which a copy is taken.
        state: Copied.
        log: Its end is the snapshot's position.
        disk: The data folder.
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
        """Remove an unfinished snapshot of a crash. Blocking; once, before the engine runs."""
        snapshot.sweep(self._disk)
        self._oldest = snapshot.oldest(self._disk)

    async def take(self) -> None:
        """Make a snapshot of the present state durable; see `engine.engine.Engine.take_snapshot`."""
        async with self._turn:
            write, views = await self._writer.between_batches(self._freeze)
            for view in views:
                with uncollected():
                    await self._writer.between_batches(view.list_keys)
                    await in_spare_thread(view.pack_keys)
            await in_spare_thread(write)

    async def take_if_grown(self, records: int) -> None:
        """Take a snapshot if this many records, 0 for never, were written since the last."""
        if records and self._writer.durable - self._covered >= records:
            try:
                await self.take()
            except (journal.NoSpace, OSError, Unavailable):
                # A snapshot is a cache: without it only the next start takes longer. Full or failing
                # storage shows in readiness by itself; retry after the same number of records.
                self._covered = self._writer.durable

    def take_at_stop(self) -> None:
        """Take a snapshot if the last does not cover everything. Blocking; nothing else may run.

        Raises:
            NoSpace: The disk is full.
            OSError: It could not be written.
            StorageFailed: Writing has ended until a restart.

        """
        if self._log.head.seq > self._covered:
            write, _ = self._freeze()
            write()

    async def renew(self, before: int) -> None:
        """Replace a snapshot taken at or before `before` if it contains garbage.

        Delete it if there is no space for a new one.
        """
        if self._oldest is None:
            return
        seq, time = self._oldest
        if seq >= self._state.records.last_garbage or time > before:
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
