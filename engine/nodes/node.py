"""An engine that is a node: it follows the leader, or leads, and answers only while its lease allows."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import inf
from typing import Final, TypeVar

import trio

from retain import journal
from retain.engine.core.clock import Clock, Horizon
from retain.engine.core.command import Command
from retain.engine.core.errors import EngineError, NodeNotReady, StorageFailed, Unavailable
from retain.engine.core.event import Event
from retain.engine.engine import Engine
from retain.engine.following.codec import BadMessage
from retain.engine.following.foreseen import foresee, short_runs
from retain.engine.nodes.causes import in_words, leaves, with_lag
from retain.engine.nodes.connection import Connection, portions, refuse_other_log, same_name
from retain.engine.nodes.follower import NodeFollower
from retain.engine.nodes.former_leaders import FormerLeaders
from retain.engine.nodes.leader import Leader
from retain.engine.nodes.leases import OtherLease
from retain.engine.nodes.options import Cluster, SteppedDown
from retain.engine.nodes.present import Present
from retain.engine.nodes.reports import Reports
from retain.engine.nodes.roles import watch_role
from retain.engine.nodes.sharing import FileSharing
from retain.engine.options import Options
from retain.engine.snapshots.load import Loaded, replay
from retain.engine.state import State
from retain.engine.statistics import Statistics
from retain.engine.writing.threads import in_thread
from retain.journal import Position, Verb
from retain.journal.log import Committed
from retain.journal.shared.interface import NodeReport, Shared, SharedHead, Term
from retain.journal.shared.leadership import Leadership, take_leadership

LOG = logging.getLogger("retain.nodes")

LOOK_S: Final = 0.2
"""Seconds between two checks which node leads, while this node neither leads nor follows."""
RETRIED = (journal.Unsettled, journal.Fenced, journal.NoSpace, OSError, Unavailable, BadMessage)
"""Failures that end without an operator's help, or with an upgrade of the other node."""
_LEASE_ENDED = "its lease ended, because the shared log did not answer; this node's own log has the reason"

_Received = tuple[Sequence[journal.Record], Mapping[int, Event]]
"""Records, and the events of those that were prepared, by record."""

Value = TypeVar("Value")


class NodeEngine(Engine):
    """One node of a cluster, returned by `open_node`."""

    decides = False

    def __init__(
        self,
        disk: journal.Disk,
        loaded: Loaded,
        *,
        options: Options,
        clock: Clock,
        entropy: Callable[[int], bytes],
        cluster: Cluster,
    ) -> None:
        super().__init__(disk, loaded, options=options, clock=clock, entropy=entropy)
        self.node = cluster.node
        self.files = cluster.files
        self.why = "this node has just started"
        self._cause = ""
        self.since = clock.wall()
        self._cluster = cluster
        self._holder = entropy(16)
        self._other_lease = OtherLease(self.elapsed, cluster.node.lease_seconds)
        self._role: Leader | NodeFollower | None = None
        self._connection = Connection(cluster.connect)
        self.reports = Reports(self._connection, self._horizon, self._own_report, self._excuse)
        self._sharing = FileSharing(cluster.files, self._answering, self.with_shared)
        self._takes_part = trio.Event()
        self.present = Present(self._horizon)
        self.former_leaders = FormerLeaders(cluster.transport, cluster.node)
        self._vouched = lambda: self._horizon.vouched() if self.decides else self.present.vouched()
        self._leader = ""
        self._leadership: Leadership | None = None
        self._on_lead: list[Callable[[], Awaitable[None]]] = []
        self._while_leading: list[Callable[[], Awaitable[None]]] = []

    # --- the engine's operations -------------------------------------------------------------------------

    def now(self) -> int:
        """Return the present, as the leader judges it."""
        role = self._role
        return self.present.at_least(self._horizon.now() if role is None else role.now())

    async def submit(self, command: Command[Value]) -> Value:
        """Have the leader decide a command; return its result when every node that may answer has applied it.

        Raises:
            NodeNotReady: This node may not answer; nothing was changed.
            StorageFailed: Whether the command happened is unknown.
            EngineError: See `engine.writing.writer.Writer.submit`.

        """
        return await self._answering().submit(command)

    async def read(self, query: Callable[[State, int], Value]) -> Value:
        """Return `query(state, now)` once every node that may answer has applied what it could see.

        Raises:
            NodeNotReady: This node may not answer.
            EngineError: Whatever the query raised.

        """
        role = self._answering()
        refusal: EngineError | None = None
        value: Value | None = None
        try:
            value = query(self.state, self.now())
        except EngineError as error:
            refusal = error
        await role.settle(self.state.seq)
        if refusal is not None:
            raise refusal
        return value  # type: ignore[return-value]

    def glance(self, query: Callable[[State], Value]) -> Value:
        """Return `query(state)`; see `Engine.glance`.

        Raises:
            NodeNotReady: This node may not answer.

        """
        self._answering()
        return query(self.state)

    async def erase(self, targets: Sequence[tuple[int, journal.Part]], cause: int) -> None:
        """Erase parts of records from disk, on the leader only."""
        self._check_leads()
        await super().erase(targets, cause)

    async def erase_due(self) -> int:
        """Erase everything that is due now, on the leader only."""
        self._check_leads()
        return await super().erase_due()

    async def sweep(self) -> int:
        """Expire everything that is due now, on the leader only."""
        self._check_leads()
        return await super().sweep()

    async def sweep_orphans(self) -> list[str]:
        """Refuse: another node may have made a file whose event is not here yet. See `StoreOrphans`."""
        raise Unavailable("a node of a cluster does not search for payload files without an event")

    def statistics(self) -> Statistics:
        """Return the statistics of this moment."""
        waits = with_lag(self.why, self.reports.behind(self.durable)) if self.role == "waiting" else ""
        found = replace(super().statistics(), standby=waits)
        if self.decides:
            return found
        return self.present.compare(found, self._horizon.wall() if self._role is None else self._role.now())

    def _check_leads(self) -> None:
        if not self.decides:
            raise Unavailable(
                f"only the leading node, {self.leader or 'unknown'}, does this; run the command there"
            )

    def _answering(self) -> Leader | NodeFollower:
        role = self._role
        if role is None or not role.answers():
            raise NodeNotReady(f"node {self.node.name} cannot answer at the moment; try again")
        return role

    # --- what the roles need -----------------------------------------------------------------------------

    @property
    def horizon(self) -> Horizon:
        """Return this machine's judgement of the present."""
        return self._horizon

    @property
    def identity(self) -> bytes:
        """Return the journal's identity."""
        return self._log.identity

    @property
    def overwritten(self) -> int:
        """Return the record up to which this folder has overwritten all erased bytes."""
        return self._log.overwritten

    @property
    def failure(self) -> str:
        """Return why writing has ended; empty while all is well."""
        return self._writer.failure

    def elapsed(self) -> int:
        """Return the monotonic clock, nanoseconds."""
        return self._horizon.elapsed()

    async def decide(self, command: Command[Value]) -> Value:
        """Decide a command here and make it durable."""
        return await self._writer.submit(command)

    async def wait_durable(self, seq: int) -> None:
        """Return once record `seq` is durable here."""
        if seq > self._writer.durable:
            await self._writer.wait_durable(seq)

    async def with_shared(self, work: Callable[[Shared], Value]) -> Value:
        """Return `work(connection)`, run in a thread, one call at a time.

        Raises:
            Unsettled: The shared log does not answer.

        """
        return await self._connection.run(work)

    async def receive(self, frames: Sequence[Committed]) -> None:
        """Write committed frames to this folder, and apply them.

        Raises:
            Corrupt: They do not continue this folder's journal.
            NoSpace, WriteFailed: They cannot be written.

        """
        if not frames:
            return
        for run in short_runs(frames):
            received, _ = await self._writer.between_batches(partial(self._receive, run), self._apply)
            if any(record.header.verb == Verb.ERASE for record in received):
                await in_thread(self._log.overwrite_owed)

    def _receive(self, frames: Sequence[Committed]) -> _Received:
        """Write frames to this folder; return what is to be applied. Blocking."""
        records = [record for frame in frames for record in self._log.receive(frame)]
        return records, foresee(self.state, records)

    def _apply(self, received: _Received) -> None:
        records, foreseen = received
        for record in records:
            replay(self.state, record, foreseen.get(record.header.seq))
        if not self.decides:
            self.state.shared.take_released()  # the leader removes the files
        self._writer.announce(self.state.seq)

    async def fetch(self, until: int, term: Term) -> None:
        """Receive from the shared log what is missing here, up to the durable record `until`.

        Raises:
            TooFarBehind: The shared log no longer keeps the records.
            Fenced: `term` has ended.
            Corrupt: The records do not continue this folder's journal.

        """
        while self.state.seq < until:
            seq = self.state.seq
            frames = await self.with_shared(lambda shared, seq=seq: shared.after(seq, until, term))  # type: ignore[misc]
            if not frames:
                raise journal.Corrupt(f"the shared log has no record {seq + 1}", seq=seq + 1)
            for portion in portions(frames):
                await self.receive(portion)

    async def end_old_segment(self) -> None:
        """Begin a new segment if the last one is old, because the shared log drops whole segments only."""
        await self._writer.between_batches(self._end_old_segment, self._skip)

    def _end_old_segment(self) -> journal.Head:
        self._log.end_segment(max(self._horizon.record_time(), self.state.time))
        self._writer.find_room()
        return self._log.head

    def _skip(self, head: journal.Head) -> None:
        if head.seq > self.state.seq:
            self.state.skip(head.seq, head.time)
            self._writer.announce(head.seq)

    # --- the small files that all nodes have -------------------------------------------------------------

    async def shared_head(self) -> SharedHead:
        """Return where the shared log ends, and who leads it."""
        head = await self.with_shared(lambda shared: shared.head())
        self._other_lease.saw(head)
        return head

    async def load_files(self) -> None:
        """Replace the small files by those in the shared log."""
        await self._sharing.load()

    async def keep_files(self) -> None:
        """Store this folder's small files in the shared log; see `FileSharing.keep`."""
        await self._sharing.keep()

    async def share_files(self) -> None:
        """Give this folder's small files to all nodes; see `FileSharing.share`."""
        await self._sharing.share()

    # --- a node's life -----------------------------------------------------------------------------------

    def take_part(self) -> None:
        """Begin to follow or to lead; until then this node answers nobody."""
        self._takes_part.set()

    def while_leading(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work`, which does not end by itself, for as long as this node leads."""
        self._while_leading.append(work)

    def on_lead(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work`, which may be repeated, whenever this node begins to lead."""
        self._on_lead.append(work)

    @property
    def role(self) -> str:
        """Return `leader`, `follower` or, while this node may not answer, `waiting`."""
        role = self._role
        return "waiting" if role is None or not role.answers() else role.role

    @property
    def leader(self) -> str:
        """Return the name of the node that led at the last look; empty if unknown."""
        return self._leader

    @property
    def epoch(self) -> int:
        """Return the epoch of the present term, 0 if unknown."""
        return 0 if self._role is None else self._role.term.epoch

    async def _begin(self, background: trio.Nursery) -> None:
        for work in (self._housekeeping, self._tidy, self.reports.run, self._sharing.run, self._live):
            background.start_soon(work)
        background.start_soon(watch_role, self)

    async def _leave(self) -> None:
        if self._role is not None:
            await self._role.leave()
            self._role = None

    def _shut(self) -> StorageFailed | None:
        if self._leadership is not None:
            # Before the snapshot: that of a large state takes seconds, and another node can lead meanwhile.
            # Until it led, nobody waited for the grants of this node's former life.
            if self.decides and not self._writer.failure:
                with suppress(journal.Fenced, journal.Unsettled):  # it ends by itself then
                    self._leadership.release()
            self._leadership.close()
        self._connection.close()
        return super()._shut()

    async def _live(self) -> None:
        await self._takes_part.wait()
        while True:
            try:
                head = await self.shared_head()
                self._leader = head.leader
                self.former_leaders.saw(head)
                refuse_other_log(head, self.identity, self._log.head)
                own = (head.leader, head.url) == (self.node.name, self.node.url)
                is_over = self._other_lease.is_over(head)
                if is_over or own:
                    await self._lead(head)
                elif head.remaining <= 0:
                    self.why = f"the lease of the former leader, node {head.leader}, may not have ended yet"
                elif head.leader == self.node.name:
                    raise journal.BadTarget(same_name(head.leader, head.url))
                else:
                    await self._follow(head)
            except Exception as error:  # each kind of failure decides what this node does next
                causes = leaves(error)
                final = [one for one in causes if not isinstance(one, RETRIED)]
                if self.decides:
                    raise SteppedDown(in_words(causes)) from error
                if final:
                    raise final[0] from error
                self._excuse(causes)
            await trio.sleep(LOOK_S)

    def _excuse(self, errors: Sequence[BaseException]) -> None:
        """Log why this node waits, each cause once. Readiness is public, so it names no address."""
        cause = in_words(errors)
        if cause != self._cause:
            LOG.warning("this node waits", extra={"facts": {"why": cause}})
        self._cause = cause
        if any(isinstance(one, journal.Unsettled) for one in errors):
            self.why = "the shared log does not answer; this node's own log has the reason"

    async def _follow(self, head: SharedHead) -> None:
        self.why = f"the leader, node {head.leader}, does not answer"
        with trio.move_on_after(self.node.lease_seconds) as dialling:
            stream = await self._cluster.transport.dial(head.url)
        if dialling.cancelled_caught:
            raise TimeoutError(self.why)  # its machine may have lost its power
        role = self._role = NodeFollower(self, stream, self.node)
        self.why = f"it waits for the leader, node {head.leader}"
        LOG.info("following", extra={"facts": {"leader": head.leader, "epoch": head.term.epoch}})
        await role.run()

    async def _lead(self, before: SharedHead) -> None:
        node = self.node
        own = before.leader == node.name and before.remaining > -inf
        leadership = await in_thread(self._take)
        if leadership is None:
            return
        self._role = None
        former, self._leadership = self._leadership, leadership
        if former is not None:
            former.close()
        role = Leader(self, leadership, node)
        if own:
            role.assume_former_life()
        self._leader, self.why = node.name, "it is about to lead"
        facts = {"epoch": leadership.term.epoch, "record": leadership.head.seq}
        LOG.info("taking over", extra={"facts": facts})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(role.run)
            nursery.start_soon(self.former_leaders.tell, role.news())
            await self.fetch(leadership.head.seq, leadership.term)
            await self.load_files()
            self._horizon.pass_over(self.present.vouched())
            await self._writer.between_batches(partial(self._begin_to_lead, role))
            self.decides, self._role = True, role
            self.why = _LEASE_ENDED  # readiness shows it only then
            self._writer.publish(role.durable)
            self._erasing.settle, self._erasing.overwritten = role.settle, role.overwritten
            nursery.start_soon(self._cluster.transport.serve, role.serve)
            await self._close_erasures(role)
            await self._record_changes()
            for work in self._on_lead:
                await role.do(work)
            LOG.info("leading", extra={"facts": {"epoch": leadership.term.epoch}})
            for background in (self._reaper.run, self._eraser.run, *self._while_leading):
                nursery.start_soon(background)

    def _take(self) -> Leadership | None:
        """Take the shared log over a connection of its own; return None if another node leads. Blocking."""
        node, leadership = self.node, None
        shared = self._cluster.connect()
        try:
            leadership = take_leadership(
                shared,
                node.name,
                node.url,
                lease=node.lease_seconds,
                clock=self.elapsed,
                pause=self._cluster.pause,
                entropy=self._entropy,
                holder=self._holder,
            )
        finally:
            if leadership is None:
                shared.close()
        return leadership

    def _begin_to_lead(self, role: Leader) -> None:
        head = role.leadership.head
        self._log.lead(role.commit, Position(head.seq, head.root), head.segment)
        self._log.reserve()

    async def _close_erasures(self, role: Leader) -> None:
        """Close what a former leader began to erase, once every node that may answer has overwritten it."""
        await in_thread(self._log.overwrite_owed)
        seqs = self._log.open_erasures
        if not seqs:
            return
        await role.overwritten(max(seqs))

        def close() -> journal.Head:
            self._log.close_erasures(seqs, max(self._horizon.record_time(), self.state.time))
            self._writer.find_room()
            return self._log.head

        await self._writer.between_batches(close, self._skip)

    async def _tidy(self) -> None:
        """Do what each node does for its own folder; while it leads, reaper and eraser do."""
        while True:
            await trio.sleep(self.options.erase_interval_s)
            if self.decides:
                continue
            try:
                await in_thread(self._log.overwrite_owed)
                await self._writer.upkeep()
                await self._eraser.tidy()
            except (EngineError, journal.JournalError, OSError):
                continue  # shown by readiness; the next round tries again

    def _own_report(self) -> NodeReport:
        node = self.node
        return NodeReport(node.name, node.url, node.release, self.durable, self.overwritten)
