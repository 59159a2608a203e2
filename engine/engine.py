"""Open, read, change and close a data folder, from any Trio program and without HTTP."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TypeVar

import trio

from retain import journal
from retain.engine.core.body import StoredBody
from retain.engine.core.clock import Clock, Horizon, SystemClock
from retain.engine.core.command import Command
from retain.engine.core.errors import EngineError, StorageFailed, Unavailable
from retain.engine.core.shortages import DISK, Shortages
from retain.engine.core.time import SECOND
from retain.engine.erasure.eraser import Eraser
from retain.engine.erasure.orphans import Orphans
from retain.engine.erasure.reaper import Reaper, expiry_lag
from retain.engine.erasure.steps import ErasureSteps
from retain.engine.history.slice import RecordChange, RecordClock
from retain.engine.losses.accept import acceptances
from retain.engine.losses.search import Lost, live_bodies, lost_among
from retain.engine.options import Options
from retain.engine.snapshots.load import Loaded, load, rebuilt
from retain.engine.snapshots.schedule import Snapshots
from retain.engine.state import State
from retain.engine.statistics import Statistics
from retain.engine.writing.bodies import BodyLimits, Download, Upload, open_body
from retain.engine.writing.sightings import Sightings
from retain.engine.writing.threads import in_thread
from retain.engine.writing.writer import Writer
from retain.journal.backup.create import Moment
from retain.journal.mended import forget_mended, read_mended

_LOG = logging.getLogger("retain.engine")

Value = TypeVar("Value")


class Engine:
    """An open data folder, returned by `open_engine`.

    Attributes:
        state: Live state, for queries inside `read` only.
        shortages: The machine's shortages.
        notices: Findings and repairs of the opening, for the log.
        decides: Whether commands are decided here; false at a node that follows another.
        erasing: The lock that a round of the eraser holds; see `Eraser.rounds`.

    """

    decides = True

    def __init__(
        self,
        disk: journal.Disk,
        loaded: Loaded,
        *,
        options: Options,
        clock: Clock,
        entropy: Callable[[int], bytes],
    ) -> None:
        log, state, notices, covered, sighting = loaded
        self.disk = disk
        self.state = state
        self.options = options
        self._log = log
        self._payloads = journal.PayloadStore(disk, entropy=entropy)
        self.shortages = Shortages()
        self._limits = BodyLimits(self.shortages)
        self._horizon = Horizon(clock, state.time, sighting)
        self._vouched = self._horizon.vouched
        self._sightings = Sightings(disk, self._horizon, state)
        self.notices = notices
        room = options.journal().batch_room
        interval = options.anchor_interval_s
        self._writer = Writer(log, state, self._horizon, self._sightings, interval, room, self.shortages)
        self._reaper = Reaper(self._writer, state, self._payloads, self._horizon, options)
        self._orphans = Orphans(self._writer, state, self._payloads, self._limits)
        self._snapshots = Snapshots(self._writer, state, log, disk, covered)
        self._erasing = ErasureSteps(self._writer, state, log, self._horizon)
        self._eraser = Eraser(
            self._writer,
            state,
            log,
            disk,
            self._horizon,
            options,
            erase=self._erasing.erase,
            renew=self._snapshots.renew,
        )
        self.erasing = self._eraser.rounds
        self._entropy = entropy

    def lead(
        self,
        durable: Callable[[int], None],
        skew: Callable[[int], None],
        settle: Callable[[int], Awaitable[None]],
    ) -> None:
        """Publish each durable record and the clock's skew; `settle` waits until followers applied one."""
        self._writer.publish(durable)
        self._horizon.publish(skew)
        self._erasing.settle = settle

    @property
    def run(self) -> bytes:
        """Return what the names of the payload files of this run end with: see `journal.PayloadStore`."""
        return self._payloads.run

    @property
    def durable(self) -> int:
        """Return the last record that is durable."""
        return self._writer.durable

    def now(self) -> int:
        """Return the present, nanoseconds since the epoch. It never decreases."""
        return self._horizon.now()

    def wall(self) -> int:
        """Return the machine's clock, right or not: for comparison with dates from other clocks."""
        return self._horizon.wall()

    def entropy(self, size: int) -> bytes:
        """Return random bytes from the injected source."""
        return self._entropy(size)

    async def submit(self, command: Command[Value]) -> Value:
        """Decide a command, make it durable, and return its result.

        See `engine.writing.writer.Writer.submit` for the errors.
        """
        return await self._writer.submit(command)

    async def read(self, query: Callable[[State, int], Value]) -> Value:
        """Return `query(state, now)` once all it could see is durable.

        So no reader sees what a crash could revert.

        Raises:
            EngineError: Whatever the query raised.
            StorageFailed: What it saw will never be durable.

        """
        refusal: EngineError | None = None
        value: Value | None = None
        try:
            value = query(self.state, self._horizon.now())
        except EngineError as error:
            refusal = error
        if self.state.seq > self._writer.durable:
            await self._writer.wait_durable(self.state.seq)
        if refusal is not None:
            raise refusal
        return value  # type: ignore[return-value]

    async def compute(self, work: Callable[[], Value]) -> Value:
        """Run `work`, which keeps a processor busy for long, in a thread: one such work at a time, in order.

        It must not look at the state: only at what `read` returned.
        """
        async with self._writer.computing:
            return await in_thread(work, shortages=self.shortages)

    def glance(self, query: Callable[[State], Value]) -> Value:
        """Return `query(state)` at once, whether or not what it saw is durable.

        Only for checks inside this process, as long as they permit: a caller that learns of one, a refusal
        for instance, could see what a crash reverts. Call `read` then.

        Raises:
            EngineError: Whatever the query raised.

        """
        return query(self.state)

    def upload(self, *, md5: bool = True) -> Upload:
        """Return a body to be received: `async with engine.upload() as upload`. An MD5 doubles its cost."""
        inline = self.options.inline_bytes
        return Upload(self._payloads, self.state.shared, inline, self._limits, md5=md5)

    async def open_body(self, held: StoredBody) -> Download:
        """Return a body to be sent.

        Raises:
            NotFound: It has been erased.
            Exhausted: The machine is short of a resource for the moment.

        """
        return await open_body(held, self._log, self._payloads, self.state.shared, self._limits)

    def on_commit(self, callback: Callable[[int], None]) -> None:
        """Call `callback(seq)` after every durable batch, from the engine's task; it must not block."""
        self._writer.on_commit(callback)

    def on_sync(self, callback: Callable[[float], None]) -> None:
        """Call `callback(seconds)` after every batch, with the time it took to be durable; as `on_commit`."""
        self._writer.on_sync(callback)

    async def sweep(self) -> int:
        """End all due entries, without waiting for the reaper; return the number of their deadlines."""
        return await self._reaper.sweep()

    def statistics(self) -> Statistics:
        """Return the statistics of this moment."""
        vouched = self._vouched()
        short = self.shortages.present(trio.current_time())
        return Statistics(
            seq=self.state.seq,
            durable=self._writer.durable,
            waiting=self._writer.waiting,
            deadlines=len(self.state.deadlines),
            overdue_ns=expiry_lag(self.state, vouched),
            full=self._writer.full or DISK in short,
            short=tuple(kind for kind in short if kind != DISK),
            shortages=dict(self.shortages.met),
            failure=self._writer.failure,
            payload_files=len(self.state.shared.payloads),
            payloads_lost=sum(name in self.state.shared.payloads for name in self._limits.lost),
            to_erase=self.state.records.waiting,
            erasure_lag_ns=self._eraser.lag(vouched),
            clock=self._horizon.state(),
            records_ahead_ns=max(0, self.state.time - self._horizon.wall()),
            durability_lag_ns=round(self._writer.lag * SECOND),
        )

    async def sweep_orphans(self) -> list[str]:
        """Remove payload files that a crash left, without waiting for the search after the start.

        Missing files that events refer to are logged and counted. Return the names of the removed files. Not
        for a node of a cluster: another node may have made a file whose event has not arrived here yet.

        Raises:
            StorageFailed: Writing has ended until a restart.
            OSError: The disk cannot be read.
        """
        return await self._orphans.sweep()

    async def erase(self, targets: Sequence[tuple[int, journal.Part]], cause: int) -> None:
        """Erase parts of records physically: event, zeros in place, closing event (FORMAT.md, section 6).

        Other requests wait only for the two events. When cancelled, it stops after the part in progress.

        Raises:
            journal.BadTarget: There is no such record to be erased.
            StorageFull: No space for the two events.
            StorageFailed: Writing has ended until a restart; the next start finishes the erasure in progress.
            Unavailable: The journal cannot be read.
        """
        await self._erasing.erase(targets, cause)

    async def lost_bodies(self, *, read: bool = False) -> list[Lost]:
        """Return the bodies whose payload files are missing or have the wrong length.

        Args:
            read: Read the files as well, and return also those that hold wrong bytes.

        Raises:
            Exhausted: The machine is short of something.
            StorageFailed: Writing has ended until a restart.
            Unavailable: The disk cannot be read.
        """
        bodies = await self._writer.between_batches(lambda: list(live_bodies(self.state)))
        try:
            lost = await in_thread(partial(lost_among, bodies, self._payloads, read=read))
        except OSError as error:
            raise Unavailable(f"the payload files cannot be read: {error}", reason="disk") from error
        self._limits.note_lost({one.body.payload.name for one in lost}, read=read)
        # An entry may have been deleted, with its file, while the files were examined.
        return [one for one in lost if one.body.payload.name in self.state.shared.payloads]

    async def accept_lost(self, lost: Sequence[Lost], actor: str) -> int:
        """Record the loss of bodies, and end the entries that held them; return the number of bodies.

        Raises:
            Unavailable: The storage refuses.
        """
        bodies = [one.body for one in lost]
        return sum([await self.submit(one) for one in acceptances(bodies, actor, self._entropy)])

    async def erase_due(self) -> int:
        """Erase all that is due now, without waiting for the eraser; return the number of records.

        Data under a legal hold stays.

        Raises:
            Unavailable: The storage refuses.
        """
        return await self._eraser.drain()

    async def moment(self) -> Moment:
        """Return the durable end of the journal and the payload files in use: the content of a backup.

        Raises:
            StorageFailed: Writing has ended until a restart.

        """
        return await self._writer.between_batches(self._moment)

    def _moment(self) -> Moment:
        self._writer.check()
        return Moment(self._log.head, frozenset(self.state.shared.payloads))

    async def accept_clock(self, actor: str) -> None:
        """Accept the machine's clock as correct, because an operator has checked it.

        A jump is no longer in doubt, a present ahead of the clock returns to it, and the action is recorded.

        Args:
            actor: The operator who accepts it.

        Raises:
            Unavailable: It could not be recorded, so the next start will not know it.

        """
        horizon = self._horizon
        wall, now, vouched, number = horizon.wall(), horizon.now(), horizon.vouched(), self._entropy(16)
        command = RecordClock(actor=actor, resource=number, clock=wall, present=now, vouched=vouched)
        # Before the record, which would else be dated by the time that is given up, perhaps years ahead.
        horizon.accept()
        try:
            await self.submit(command)
            await self._writer.between_batches(self._sightings.write)
        except (Unavailable, journal.NoSpace, OSError) as error:
            raise Unavailable(
                f"the clock is accepted, but only until a restart: {error}", reason="disk"
            ) from error

    async def take_snapshot(self) -> None:
        """Make a snapshot of the present state durable, beside requests.

        Raises:
            NoSpace: The disk is full; an older snapshot is untouched.
            OSError: It could not be written.
            StorageFailed: Writing has ended until a restart, so the state may contain what the journal does
                not.

        """
        await self._snapshots.take()

    async def _housekeeping(self) -> None:
        while True:
            await trio.sleep(self.options.sweep_interval_s)
            self.shortages.present(trio.current_time())
            if self._writer.failure:
                try:
                    await in_thread(self._rewind)
                except (journal.JournalError, OSError):
                    continue  # retry until the disk can be read
                return
            await self._snapshots.take_if_grown(self.options.snapshot_records)

    def _rewind(self) -> None:
        """Restore the durable state, so that reads stay correct after writing has ended."""
        self.state = self.replayed()

    def replayed(self) -> State:
        """Return a fresh state from every durable record, independent of live state. Blocking."""
        durable = self._writer.durable
        return rebuilt(lambda: takewhile(lambda one: one.header.seq <= durable, journal.scan(self.disk)))

    async def between_batches(self, work: Callable[[], Value]) -> Value:
        """Run blocking `work` in a thread while journal and state do not change. For checks and backups."""
        return await self._writer.between_batches(work)

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        """Run the engine's own tasks; on leaving, drain the queue and write everything to disk.

        An exception of the caller's block passes unwrapped, and so do the failures to begin and to close the
        journal.
        """
        raised: Exception | None = None
        unclosed: StorageFailed | None = None
        written = trio.Event()

        async def write() -> None:
            try:
                await self._writer.run()
            finally:
                written.set()

        try:
            async with trio.open_nursery() as writing:
                writing.start_soon(write)
                try:
                    async with trio.open_nursery() as background:
                        try:
                            await self._begin(background)
                            yield
                        except Exception as error:
                            raised = error
                        finally:
                            with trio.CancelScope(shield=True):
                                await self._leave()
                            background.cancel_scope.cancel()
                finally:
                    self._writer.stop()
                    with trio.CancelScope(shield=True):
                        await written.wait()
                        unclosed = await in_thread(self._shut)
        finally:
            if raised is None and unclosed is not None:  # also where the block was left by cancellation
                raise unclosed
        if raised is not None:
            if unclosed is not None:
                raised.add_note(unclosed.message)
            raise raised

    async def _begin(self, background: trio.Nursery) -> None:
        await self._record_changes()
        background.start_soon(self._reaper.run)
        background.start_soon(self._eraser.run)
        background.start_soon(self._housekeeping)
        background.start_soon(self._orphans.run, self.options.sweep_interval_s)

    async def _leave(self) -> None:
        """Do what must be done before the engine's own tasks end: nothing, in a process of its own."""

    async def _record_changes(self) -> None:
        """Record what a restore or repair did to the journal, before any read or write."""
        for mended in await trio.to_thread.run_sync(read_mended, self.disk):
            await self._writer.submit(
                RecordChange(actor=mended.actor, mended=mended, random=self._entropy(8))
            )
        await trio.to_thread.run_sync(forget_mended, self.disk)

    def _shut(self) -> StorageFailed | None:
        """Close all files; return the error if the journal could not be closed cleanly, else None."""
        try:
            if not self._writer.failure:
                released = self.state.shared.take_released()
                for name in released if self.decides else ():
                    self._payloads.unlink(name)
                self._sightings.write()
                self._snapshots.take_at_stop()
        except (journal.NoSpace, OSError) as error:
            self.notices = (*self.notices, f"no snapshot was taken at the stop: {error}")
        finally:
            unclosed = _closed(self._log)
            self._payloads.close()
        return unclosed


def _closed(log: journal.Journal) -> StorageFailed | None:
    try:
        log.close()
    except journal.WriteFailed as error:
        return StorageFailed(str(error))
    return None


@asynccontextmanager
async def open_engine(
    where: str | Path | journal.Disk,
    *,
    options: Options | None = None,
    clock: Clock | None = None,
    entropy: Callable[[int], bytes] = os.urandom,
) -> AsyncIterator[Engine]:
    """Open a data folder, replay it, and run the engine until the block is left.

    On leaving, also by an exception or cancellation, waiting commands are finished, the journal is synced, a
    snapshot and the anchor are written, and the folder is unlocked.

    Args:
        where: The folder, created if missing; or a disk, such as a memory disk in tests.
        options: Storage and housekeeping.
        clock: The source of time.
        entropy: The source of ids, salts and keys.

    Raises:
        journal.Locked: Another process uses the folder.
        journal.Corrupt: It is damaged; `retain journal repair` makes the choice explicit.
        StorageFailed: A write or sync failed at opening, or at closing. Acknowledged changes are on disk.

    """
    options = options or Options()
    disk = journal.RealDisk(Path(where)) if isinstance(where, str | Path) else where
    try:
        loaded = await trio.to_thread.run_sync(load, disk, options, entropy)
    except journal.WriteFailed as error:
        raise StorageFailed(str(error)) from error
    engine = Engine(disk, loaded, options=options, clock=clock or SystemClock(), entropy=entropy)
    try:
        engine.state.shared.take_released()  # those of all history; `Orphans` removes the ones still there
        await trio.to_thread.run_sync(engine._snapshots.sweep)
    except BaseException:
        _closed(loaded.log)
        raise
    async with engine._running():
        yield engine
