"""The writer: the one task that changes state and appends to the journal (group commit without a timer)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

import trio

from retain import journal
from retain.engine import wire
from retain.engine.core.clock import Horizon
from retain.engine.core.command import Command, Decision
from retain.engine.core.errors import (
    EngineClosed,
    Exhausted,
    Invalid,
    NodeNotReady,
    StorageFailed,
    StorageFull,
    TooLarge,
)
from retain.engine.core.event import Stamp
from retain.engine.core.made import note
from retain.engine.core.shortages import DISK, LOG, Shortages, shortage_in
from retain.engine.core.typed import wrong_field
from retain.engine.state import State
from retain.engine.writing.batch import CommandBatch, DecidedAhead, Job, Moved, PendingCommand
from retain.engine.writing.own_thread import OwnThread
from retain.engine.writing.room import Anchors, Room
from retain.engine.writing.sightings import Sightings
from retain.engine.writing.threads import in_thread
from retain.journal.format.limits import BATCH_RECORDS, FRAME_ROOM, PART_BYTES, draft_room, part_size

GATHER_BYTES = FRAME_ROOM // 4
"""A batch takes no further command after this size, to bound how long one sync delays the others."""
GATHER_RECORDS = 512
"""The same for records: beyond it a frame gains little more per record."""

AHEAD_TRIES = 3
"""How often a long command is decided beside the event loop before it gets the writer alone."""

FAILURES = (journal.JournalError, OSError)
"""Errors of work on the journal. One that is not handled separately ends writing until a restart."""

Value = TypeVar("Value")


class Writer:
    """The task that decides commands, appends their events, and returns their results.

    It decides and applies the waiting commands in order, appends them as one frame, syncs once, and answers
    all. While a batch is being synced the next one gathers. No command is answered before the sync, not even
    a refused one. Space for a whole batch is reserved before it is decided, so a full disk refuses a batch
    before it has changed anything.

    Attributes:
        computing: Work that keeps a processor busy for long is done in one thread at a time: more threads
            would keep the event loop waiting for its turn.

    Args:
        log: The open journal; from here on only the writer appends to it.
        state: The state after replaying it.
        horizon: The present.
        sightings: Written now and then, beside the anchor.
        anchor_interval_s: Seconds between two anchors while busy.
        room: Most bytes of a batch: what `log` reserves for one.
        shortages: Counts shortages.

    """

    def __init__(
        self,
        log: journal.Journal,
        state: State,
        horizon: Horizon,
        sightings: Sightings,
        anchor_interval_s: float = 1.0,
        room: int = FRAME_ROOM,
        shortages: Shortages | None = None,
    ) -> None:
        self._shortages = shortages or Shortages()
        self._log = log
        self._most = room
        self._state = state
        self._horizon = horizon
        self._queue: deque[PendingCommand] = deque()
        self._jobs: deque[Job] = deque()
        self._wake = trio.Event()
        self._durable = state.seq
        self._synced = trio.Event()
        self._stopping = False
        self._failure = ""
        self.computing = trio.CapacityLimiter(1)
        self._thread = OwnThread("retain-journal", self._shortages)
        self._room = Room(log)
        self._was_full = False
        self._anchors = Anchors(log, horizon, anchor_interval_s)
        self._sightings = sightings
        self._committed: list[Callable[[int], None]] = []
        self._publish: Callable[[int], None] = lambda seq: None
        self._timed: list[Callable[[float], None]] = []
        self._batch_since: float | None = None

    @property
    def durable(self) -> int:
        """Return the sequence number up to which everything is on disk."""
        return self._durable

    @property
    def failure(self) -> str:
        """Return why writing ended until a restart; empty while all is well."""
        return self._failure

    @property
    def full(self) -> bool:
        """Return whether the last attempt to reserve space failed."""
        return self._room.full

    @property
    def waiting(self) -> int:
        """Return how many commands no batch has taken yet."""
        return len(self._queue)

    @property
    def lag(self) -> float:
        """Return for how many seconds the oldest command that is not durable has waited; 0 without one."""
        since = self._batch_since
        if since is None:
            since = self._queue[0].queued if self._queue else None
        return 0.0 if since is None else trio.current_time() - since

    def on_sync(self, callback: Callable[[float], None]) -> None:
        """Call `callback(seconds)` after each batch, with the time that writing and syncing it took."""
        self._timed.append(callback)

    def on_commit(self, callback: Callable[[int], None]) -> None:
        """Call `callback(seq)` after each batch that changed something, once it is durable."""
        self._committed.append(callback)

    def publish(self, to: Callable[[int], None]) -> None:
        """Call `to(seq)` now and whenever records become durable, before anyone is answered."""
        self._publish = to
        to(self._durable)

    def check(self) -> None:
        """Return if writing works.

        Raises:
            StorageFailed: Writing has ended until a restart: the state may contain what the journal does not.

        """
        if self._failure:
            raise StorageFailed(self._failure)

    async def submit(self, command: Command[Value]) -> Value:
        """Decide `command`, make it durable, and return its result.

        Cancelled means that it did not happen: a command still queued is withdrawn; once a batch has taken
        it, the wait is shielded (bounded by one sync) and the result is returned.

        Raises:
            Invalid: A field of the command is not of its declared type (reason `command`).
            Refused: The command cannot be done; nothing changed.
            StorageFull: No space; nothing changed.
            Exhausted: The machine is short of descriptors or memory; nothing changed.
            NodeNotReady: Another node of the cluster leads; nothing changed.
            StorageFailed: Writing has ended until a restart; whether this command happened is unknown.
            EngineClosed: The engine is stopping.

        """
        self.check()
        if self._stopping:
            raise EngineClosed("the engine is stopping")
        if not isinstance(command, Command):
            raise Invalid(f"{type(command).__name__} is not a command", reason="command", field="")
        if (wrong := wrong_field(command)) is not None:
            kind = type(command).__name__
            raise Invalid(
                f"the field {wrong} of {kind} has a value of the wrong type", reason="command", field=wrong
            )
        for _ in range(AHEAD_TRIES):
            pending = await self._prepared(command)
            try:
                return cast("Value", await self._queued(pending))
            except Moved:
                continue
        return cast("Value", await self._decided_alone(command))

    async def _prepared(self, command: Command[Any]) -> PendingCommand:
        """Return the command as it enters the queue: decided already if that takes long."""
        if self._state.ahead(command) is None:
            return PendingCommand(command)
        async with self.computing:
            ahead = self._state.ahead(command)  # the state may have changed while other tasks ran
            if ahead is None:
                return PendingCommand(command)
            work = partial(DecidedAhead, ahead, self._horizon.now())
            return PendingCommand(command, await in_thread(work, shortages=self._shortages))

    async def _decided_alone(self, command: Command[Any]) -> Any:
        """Decide between two batches, where nothing can change, after earlier decisions became invalid."""
        taken: list[PendingCommand] = []

        def decide() -> DecidedAhead | None:
            ahead = self._state.ahead(command)
            return None if ahead is None else DecidedAhead(ahead, self._horizon.now())

        def queue(decided: DecidedAhead | None) -> None:
            taken.append(PendingCommand(command, decided))
            self._queue.appendleft(taken[0])

        await self.between_batches(decide, queue)
        return await self._queued(taken[0], queued=True)

    async def _queued(self, pending: PendingCommand, *, queued: bool = False) -> Any:
        if not queued:
            if self._stopping:
                raise EngineClosed("the engine is stopping")
            self._queue.append(pending)
        self._wake.set()
        try:
            await pending.answered.wait()
        except trio.Cancelled:
            if not pending.taken:
                pending.withdrawn = True
                raise
            with trio.CancelScope(shield=True):
                await pending.answered.wait()
        if pending.error is not None:
            raise pending.error
        note(pending.records)
        return pending.result

    async def wait_durable(self, seq: int) -> None:
        """Return once record `seq` is on disk.

        Raises:
            StorageFailed: It will never become durable.

        """
        while self._durable < seq:
            self.check()
            await self._synced.wait()

    async def between_batches(
        self, work: Callable[[], Value], follow: Callable[[Value], None] | None = None
    ) -> Value:
        """Run `work` in a worker thread while no batch is open: state and journal agree and do not change.

        Args:
            work: May read both, and write to the journal. A `WriteFailed` that it raises ends writing.
            follow: Changes the state as `work`, whose result it gets, changed the journal: before the next
                batch, and in the Trio thread, where no reader can see a half-changed state. Whatever it
                raises ends writing.

        Raises:
            EngineClosed: The engine is stopping.
            Exception: Whatever `work` or `follow` raised.

        """
        if self._stopping:
            raise EngineClosed("the engine is stopping")
        job = Job(work, follow)
        self._jobs.append(job)
        self._wake.set()
        with trio.CancelScope(shield=True):
            await job.done.wait()
        if job.error is not None:
            raise job.error
        return cast("Value", job.result)

    def find_room(self) -> None:
        """Reserve space for the next batch, after work between batches that appended something. Blocking.

        Raises:
            JournalError: The journal can no longer be written.

        """
        self._room.find_again()

    def advance(self, seq: int) -> None:
        """Announce to readers and watchers that the records up to `seq` are durable."""
        self._durable = seq
        self._publish(seq)
        synced, self._synced = self._synced, trio.Event()
        synced.set()

    def announce(self, seq: int) -> None:
        """Advance to `seq`, and tell who asked by `on_commit`."""
        self.advance(seq)
        for callback in self._committed:
            callback(seq)

    def stop(self) -> None:
        """End `run` once the queue is empty."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Process commands and jobs until `stop` was called and the queue is empty.

        Never cancelled from outside.
        """
        with trio.CancelScope(shield=True):
            self._thread.start()
            try:
                await self._reserve()
                while not (self._stopping and not self._queue and not self._jobs):
                    await self._wake.wait()
                    self._wake = trio.Event()
                    await self._drain()
            finally:
                self._abandon()
                self._thread.stop()

    async def _drain(self) -> None:
        while self._queue or self._jobs:
            if self._jobs:
                job = self._jobs.popleft()
                await self._in_thread(job.run)
                job.finish()
                if job.error is not None and (job.broken or isinstance(job.error, journal.WriteFailed)):
                    self.fail(job.error)
                job.done.set()
            if self._queue:
                await self._commit()
        while self._state.shared.buried and not (self._queue or self._jobs):
            self._state.shared.free_some()
            await trio.lowlevel.checkpoint()

    def _abandon(self) -> None:
        """Fail all waiters if the writer task ends, even because of a bug."""
        self._stopping = True
        while self._queue:
            self._queue[0].error = EngineClosed("the engine has stopped")
            self._queue.popleft().answered.set()
        while self._jobs:
            self._jobs[0].error = EngineClosed("the engine has stopped")
            self._jobs.popleft().done.set()

    async def _in_thread(self, work: Callable[..., Value], *args: Any) -> Value:
        return await self._thread.run_shielded(partial(work, *args))

    async def _reserve(self) -> None:
        try:
            await self._in_thread(self._room.find)
        except FAILURES as error:
            self.fail(error)
        self._tell_room()

    def _tell_room(self) -> None:
        room, now = self._room, trio.current_time()
        if room.short is not None:
            self._shortages.note(shortage_in(room.short), now)
        elif room.full:
            self._shortages.note(DISK, now)
        elif self._was_full:
            self._shortages.over(DISK)
        self._was_full = room.full

    async def _commit(self) -> None:
        if not self._room.for_all:
            await self._reserve()
        batch = CommandBatch()
        self._batch_since = self._queue[0].queued if self._queue else None
        try:
            self._gather(batch)
            if batch.drafts and not self._failure:
                await self._append(batch)
        except BaseException as error:  # a bug, or an interrupt: state and journal may differ
            self.fail(error)
            raise
        finally:
            self._batch_since = None
            self._answer(batch)

    def _gather(self, batch: CommandBatch) -> None:
        now = self._horizon.now()
        time = max(self._horizon.record_time(), self._state.time)
        while self._queue and len(batch.drafts) < GATHER_RECORDS and batch.size < GATHER_BYTES:
            pending = self._queue.popleft()
            if pending.withdrawn:
                continue
            pending.taken = True
            batch.answers.append(pending)
            try:
                decision, drafts, size = self._decide(pending, now)
            except (
                Exception
            ) as error:  # an error of the command: raised at the submitter, with the state untouched
                pending.error = error
                continue
            if batch.size + size > self._most or len(batch.drafts) + len(drafts) > BATCH_RECORDS:
                pending.taken = False
                batch.answers.pop()
                self._queue.appendleft(pending)
                break
            pending.records = range(self._state.seq + 1, self._state.seq + 1 + len(drafts))
            for event, draft in zip(decision.events, drafts, strict=True):
                stamp = Stamp(self._state.seq + 1, time, -1, part_size(len(draft.content)))
                self._state.apply(event, stamp)
            batch.drafts += drafts
            batch.size += size
            pending.result = decision.result

    def _decide(self, pending: PendingCommand, now: int) -> tuple[Decision[Any], list[journal.Draft], int]:
        command = pending.command
        self.check()
        if not self._room.allows(command):
            if self._room.short is not None:
                raise Exhausted("the server is short of resources for the moment; try again")
            raise StorageFull("the disk has no space for this change; deletes still work")
        if pending.ahead is None:
            decision = self._state.decide(command, now)
        else:
            decision = self._state.permitted(pending.ahead.decision(now))
        try:
            drafts = [wire.to_draft(event) for event in decision.events]
        except (TypeError, ValueError, OverflowError):
            # Values that `Any` admits: a set in a document, or an integer beyond 64 bits.
            kind = type(command).__name__
            raise Invalid(
                f"{kind} has a value that a record cannot store", reason="command", field=""
            ) from None
        size = sum(draft_room(len(draft.details), len(draft.content)) for draft in drafts)
        largest = max((part_size(max(len(draft.details), len(draft.content))) for draft in drafts), default=0)
        if size > self._most or largest > PART_BYTES or len(drafts) > BATCH_RECORDS:
            limit = min(PART_BYTES, self._most)
            raise TooLarge(
                f"the change is larger than {limit} bytes or has too many records; split it",
                reason="batch",
                limit=limit,
            )
        return decision, drafts, size

    async def _append(self, batch: CommandBatch) -> None:
        first = self._state.seq - len(batch.drafts) + 1
        began = trio.current_time()
        try:
            addresses = await self._in_thread(self._write, batch.drafts, self._state.time)
        except FAILURES as error:
            batch.never = isinstance(error, journal.Fenced)
            self.fail(error)
            return
        for timed in self._timed:
            timed(trio.current_time() - began)
        for offset, address in enumerate(addresses):
            if address >= 0:
                self._state.place(first + offset, address)
        self.announce(self._state.seq)

    def _write(self, drafts: list[journal.Draft], time: int) -> list[int]:
        addresses = self._log.append(drafts, time)
        self._room.find_again()
        self._anchors.write_if_due()
        self._sightings.write_if_due()
        return addresses

    async def upkeep(self) -> None:
        """Write the anchor if due, and look for space on a disk that was full.

        The reaper calls it when there may be no commands.

        Raises:
            EngineClosed: The engine is stopping.

        """
        try:
            await self.between_batches(self._look_after)
        except FAILURES as error:
            self.fail(error)
        self._tell_room()

    def _look_after(self) -> None:
        if self._failure:
            return
        if not self._room.for_all:
            self._room.find()
        self._anchors.write_if_due()
        self._sightings.write_if_due()

    def fail(self, error: BaseException) -> None:
        """End writing until a restart: state and journal may differ."""
        if not self._failure:
            self._failure = f"writing has ended until a restart: {error}"
            LOG.error("writing has ended until a restart", exc_info=error)
        self._synced.set()

    def _answer(self, batch: CommandBatch) -> None:
        for pending in batch.answers:
            if batch.never:
                pending.error = NodeNotReady("another node leads; nothing was changed, try again")
            elif self._failure and (pending.error is None or batch.drafts):
                pending.error = StorageFailed(self._failure)
            pending.answered.set()
