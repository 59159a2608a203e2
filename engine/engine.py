"""Opening, reading, changing and closing a data folder, from any Trio program and without HTTP."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
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
from retain.engine.core.policy import lag as erasure_lag
from retain.engine.core.shortages import DISK, Shortages
from retain.engine.erasure.erase import Erasing
from retain.engine.erasure.eraser import Eraser
from retain.engine.erasure.reaper import Reaper, lag
from retain.engine.history.slice import RecordChange
from retain.engine.losses.accept import MOST_AT_ONCE, AcceptLost
from retain.engine.losses.search import Lost, lost_among, standing_bodies
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
    """An open data folder. Made by :func:`open_engine`.

    Attributes:
        state: Live state, for queries inside :meth:`read` only.
        shortages: What the machine ran short of.
        notices: What opening found and mended, for the log.
    """

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
        self._haste = BodyLimits(self.shortages)
        self._horizon = Horizon(clock, state.time, sighting)
        self._sightings = Sightings(disk, self._horizon, state)
        self.notices = notices
        room = options.journal().batch_room
        interval = options.anchor_interval_s
        self._writer = Writer(log, state, self._horizon, self._sightings, interval, room, self.shortages)
        self._reaper = Reaper(self._writer, state, self._payloads, self._horizon, options)
        self._snapshots = Snapshots(self._writer, state, log, disk, covered)
        self._erasing = Erasing(self._writer, state, log, self._horizon)
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
        self._entropy = entropy

    def now(self) -> int:
        """The present, nanoseconds since the epoch; never back over what it once passed."""
        return self._horizon.now()

    def wall(self) -> int:
        """What the machine's clock says, right or not: for what others date by their own clocks."""
        return self._horizon.wall()

    def entropy(self, size: int) -> bytes:
        """Random bytes, from the injected source."""
        return self._entropy(size)

    async def submit(self, command: Command[Value]) -> Value:
        """Has a command decided, made durable and answered. See :meth:`engine.writer.Writer.submit`."""
        return await self._writer.submit(command)

    async def read(self, query: Callable[[State, int], Value]) -> Value:
        """``query(state, now)``, answered once all it could see is durable: no reader sees what a crash
        could take back.

        Raises:
            EngineError: Whatever the query refused with.
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

    def glance(self, query: Callable[[State, int], Value]) -> Value:
        """Return `query(state, now)` at once, whether or not what it saw is durable.

        Only for verdicts that go no further than this process as long as they permit: a caller that learns
        of one, a refusal for instance, could see what a crash takes back. Ask again with `read` then.

        Raises:
            EngineError: Whatever the query refused with.
        """
        return query(self.state, self._horizon.now())

    def upload(self) -> Upload:
        """A body to be received: ``async with engine.upload() as upload``."""
        return Upload(self._payloads, self.state.ground, self.options.inline_bytes, self._haste)

    async def open_body(self, held: StoredBody) -> Download:
        """A body to be sent.

        Raises:
            NotFound: It has been erased.
            Exhausted: The machine is short of something for the moment.
        """
        return await open_body(held, self._log, self._payloads, self.state.ground, self._haste)

    def on_commit(self, callback: Callable[[int], None]) -> None:
        """Calls ``callback(seq)`` after every durable batch, from the engine's task; it must not block."""
        self._writer.on_commit(callback)

    async def sweep(self) -> int:
        """Ends all that is due now, without waiting for the reaper; answers how many deadlines that were."""
        return await self._reaper.sweep()

    def statistics(self) -> Statistics:
        """A picture of the moment."""
        vouched = self._horizon.vouched()
        short = self.shortages.present(trio.current_time())
        return Statistics(
            seq=self.state.seq,
            durable=self._writer.durable,
            waiting=self._writer.waiting,
            deadlines=len(self.state.deadlines),
            overdue_ns=lag(self.state, vouched),
            full=self._writer.full or DISK in short,
            short=tuple(kind for kind in short if kind != DISK),
            shortages=dict(self.shortages.met),
            failure=self._writer.failure,
            payload_files=len(self.state.ground.payloads),
            payloads_lost=sum(name in self.state.ground.payloads for name in self._haste.lost),
            to_erase=self.state.records.waiting,
            erasure_lag_ns=erasure_lag(
                self.state.records, vouched, self.options.retention(), self._eraser.kept
            ),
            clock=self._horizon.state(),
            records_ahead_ns=max(0, self.state.time - self._horizon.wall()),
        )

    def sweep_orphans(self) -> list[str]:
        """Removes what a crash left: payload files that no event names, half a snapshot. Blocking.

        Done once, before the engine runs. What was released in all of history is gone with that. Files that
        events name and that are missing become a notice.
        """
        self.state.ground.take_released()
        self._snapshots.sweep()
        swept = self._payloads.sweep(self.state.ground.payloads)
        self._haste.lost.update(swept.missing)
        if swept.missing:
            count, first = len(swept.missing), ", ".join(swept.missing[:3])
            lost = (
                f"payload files are missing ({count}: {first}…): what they held is answered as not found; "
                "`retain journal lost` lists it and can write the loss down; a backup may hold it"
            )
            self.notices = (*self.notices, lost)
            _LOG.error("payload files are missing", extra={"facts": {"count": count, "first": first}})
        return swept.removed

    async def erase(self, targets: Sequence[tuple[int, journal.Part]], cause: int) -> None:
        """Physically erases parts of records: event, zeros in place, closing event (FORMAT.md, section 6).

        Other requests go on meanwhile: they wait for the two events only. Cancelled, it stops after the part
        that was begun.

        Raises:
            journal.BadTarget: A record is not there to be erased.
            StorageFull: No room for the two events.
            StorageFailed: Writing has ended for good; the next start finishes what was begun.
            Unavailable: The journal cannot be read.
        """
        await self._erasing.erase(targets, cause)

    async def lost_bodies(self, *, read: bool = False) -> list[Lost]:
        """Return the bodies whose payload files are missing or have the wrong length.

        Args:
            read: Read the files as well, and return also those that hold wrong bytes.

        Raises:
            Exhausted: The machine is short of something.
            StorageFailed: Writing has ended for good.
            Unavailable: The disk cannot be read.
        """
        standing = await self._writer.between_batches(lambda: list(standing_bodies(self.state)))
        try:
            lost = await in_thread(partial(lost_among, standing, self._payloads, read=read))
        except OSError as error:
            raise Unavailable(f"the payload files cannot be read: {error}", reason="disk") from error
        self._haste.lost = {one.standing.payload.name for one in lost}
        # Something may have been deleted, with its file, while the files were looked at.
        return [one for one in lost if one.standing.payload.name in self.state.ground.payloads]

    async def accept_lost(self, lost: Sequence[Lost], actor: str) -> int:
        """Write the loss of bodies down and end what held them; return how many there were.

        Raises:
            Unavailable: The storage refuses.
        """
        bodies = [one.standing for one in lost]
        given_up = 0
        for at in range(0, len(bodies), MOST_AT_ONCE):
            batch = bodies[at : at + MOST_AT_ONCE]
            number = self._entropy(16)
            given_up += await self.submit(AcceptLost(actor=actor, lost=batch, number=number))
        return given_up

    async def erase_due(self) -> int:
        """Erases all that is due now, without waiting for the eraser's next round; answers how many records
        that were. What is under a legal hold stays.

        Raises:
            Unavailable: The storage refuses.
        """
        return await self._eraser.drain()

    async def moment(self) -> Moment:
        """Where the journal durably ends now, and the payload files that the state stands on: what a backup
        is of.

        Raises:
            StorageFailed: Writing has ended for good.
        """
        return await self._writer.between_batches(self._moment)

    def _moment(self) -> Moment:
        self._writer.check()
        return Moment(self._log.head, frozenset(self.state.ground.payloads))

    async def accept_clock(self) -> None:
        """Take the machine's clock for right, as an operator who has looked at it says: a jump is in doubt no
        longer, and a present ahead of the clock goes back to it. The next start knows of it.

        Raises:
            Unavailable: It could not be written down, so the next start will not know.
        """
        self._horizon.accept()
        try:
            await self._writer.between_batches(self._sightings.write)
        except (journal.NoSpace, OSError) as error:
            raise Unavailable(
                f"the clock is accepted until a restart only: {error}", reason="disk"
            ) from error

    async def take_snapshot(self) -> None:
        """Makes a snapshot of the present state durable, while requests go on.

        Raises:
            NoSpace: The disk is full; an older snapshot is untouched.
            OSError: It could not be written.
            StorageFailed: Writing has ended for good, so the state may hold what the journal does not.
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
                    continue  # as long as the disk cannot be read, neither can what was not made durable
                return
            await self._snapshots.take_if_grown(self.options.snapshot_records)

    def _rewind(self) -> None:
        """Goes back to what is truly on disk, so that reading goes on after writing has ended for good."""
        self.state = self.replayed()

    def replayed(self) -> State:
        """A fresh state from every durable record, whatever live state says. Blocking."""
        durable = self._writer.durable
        return rebuilt(
            lambda: takewhile(lambda record: record.header.seq <= durable, journal.scan(self.disk))
        )

    async def between_batches(self, work: Callable[[], Value]) -> Value:
        """Runs blocking ``work`` in a thread while journal and state stand still. For checks and backups."""
        return await self._writer.between_batches(work)

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        """The engine's own tasks; on leaving, the queue drains and everything is written down.

        What the caller's block raises goes through unwrapped, and so does that the journal was not closed."""
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
                        await self._record_changes()
                        background.start_soon(self._reaper.run)
                        background.start_soon(self._eraser.run)
                        background.start_soon(self._housekeeping)
                        try:
                            yield
                        except Exception as error:
                            raised = error
                        finally:
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

    async def _record_changes(self) -> None:
        """Record what a restore or repair did to the journal, before anybody reads or writes."""
        for mended in await trio.to_thread.run_sync(read_mended, self.disk):
            await self._writer.submit(
                RecordChange(actor=mended.actor, mended=mended, random=self._entropy(8))
            )
        await trio.to_thread.run_sync(forget_mended, self.disk)

    def _shut(self) -> StorageFailed | None:
        """Answers why the journal could not be closed in order."""
        try:
            if not self._writer.failure:
                for name in self.state.ground.take_released():
                    self._payloads.unlink(name)
                self._sightings.write()
                self._snapshots.take_at_stop()
        except (journal.NoSpace, OSError) as error:
            self.notices = (*self.notices, f"no snapshot at the stop: {error}")
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
    """Opens a data folder, replays what it holds, and runs the engine until the block is left.

    On leaving, also by an exception or cancellation, waiting commands are finished, the journal is synced, a
    snapshot and the anchor are written, and the folder is unlocked.

    Args:
        where: The folder, made if missing; or a disk, such as a memory disk in tests.
        options: Storage and housekeeping.
        clock: Where time comes from.
        entropy: Where ids, salts and keys come from.

    Raises:
        journal.Locked: Another process has the folder.
        journal.Corrupt: It is damaged; ``retain journal repair`` makes the choice explicit.
        StorageFailed: A write or sync failed at opening, or at closing. What was answered is on disk.
    """
    options = options or Options()
    disk = journal.RealDisk(Path(where)) if isinstance(where, str | Path) else where
    try:
        loaded = await trio.to_thread.run_sync(load, disk, options, entropy)
    except journal.WriteFailed as error:
        raise StorageFailed(str(error)) from error
    engine = Engine(disk, loaded, options=options, clock=clock or SystemClock(), entropy=entropy)
    try:
        await trio.to_thread.run_sync(engine.sweep_orphans)
    except BaseException:
        _closed(loaded.log)
        raise
    async with engine._running():
        yield engine
