"""A following engine: it answers reads itself, and sends commands to the leader."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import fields, replace
from functools import cache, partial
from typing import Any, Final, Protocol, TypeVar, cast, get_origin, get_type_hints

import trio

from retain import journal
from retain.engine import wire
from retain.engine.core.body import StoredBody
from retain.engine.core.clock import Clock, SystemClock
from retain.engine.core.command import Command
from retain.engine.core.errors import Invalid, StorageFailed, Unavailable
from retain.engine.core.event import Event
from retain.engine.core.made import note
from retain.engine.core.shortages import Shortages
from retain.engine.following.foreseen import is_long, long_event, preparing
from retain.engine.following.messages import Decided, Durable, Facts, Settle, Submit
from retain.engine.options import Options
from retain.engine.snapshots.load import load_snapshot, replay, replay_warily
from retain.engine.state import State
from retain.engine.statistics import Statistics
from retain.engine.writing.bodies import BodyLimits, Download, Upload, open_body
from retain.engine.writing.threads import in_thread

SLICE: Final = 200
"""Records applied before other tasks run, about 2 ms."""
MANY_PARTS: Final = 1000
"""A command whose list has more members than this is packed in a thread."""

Value = TypeVar("Value")


class Published(Protocol):
    """The numbers that a leader publishes: `board.Board` on one machine."""

    @property
    def durable(self) -> int:
        """Return the last record that is durable."""

    @property
    def run(self) -> bytes:
        """Return what the names of this run's payload files end with."""

    @property
    def skew(self) -> int:
        """Return the present minus the monotonic clock, nanoseconds."""


class Asks(Protocol):
    """A follower's connection to its leader: a `link.Link`."""

    async def ask(self, message: Any, *, long: bool = False) -> Any:
        """Send a request and return its answer; `long`: packing it takes long."""


class Follower:
    """The state, kept at what the leader has made durable.

    Linearizable with the leader and with every other follower: a request sees everything that any of them
    answered before the request began. A request reads the published number first, and applies the journal's
    tail up to it; everything that it then sees is durable, and its time is the leader's.

    Args:
        disk: The data folder.
        loaded: The result of `load_follower`.
        board: The leader's published numbers.
        leader: The connection for commands.
        options: As the leader's.
        clock: The machine's; only its monotonic part counts.
        entropy: The source of ids, salts and keys.
        bodies: Downloads that may hold whole chunks at once.

    Attributes:
        failure: Why this follower cannot continue and must be replaced; empty if it can.

    """

    def __init__(
        self,
        disk: journal.Disk,
        loaded: tuple[State, journal.FollowedJournal],
        board: Published,
        leader: Asks,
        *,
        options: Options,
        clock: Clock | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
        bodies: int | None = None,
    ) -> None:
        self.disk = disk
        self.state, self._log = loaded
        self.options = options
        self.shortages = Shortages()
        self.failure = ""
        self._board = board
        self._leader = leader
        self._clock = clock or SystemClock()
        self._entropy = entropy
        # Of the leader's run: it removes what other runs have left.
        self._payloads = journal.PayloadStore(disk, entropy=entropy, run=board.run)
        self._limits = BodyLimits(self.shortages) if bodies is None else BodyLimits(self.shortages, bodies)
        self._committed: list[Callable[[int], None]] = []
        self._facts: Statistics | None = None
        self._computing = trio.Lock()
        self._preparing = trio.Lock()
        self._read: deque[journal.Record] = deque()
        self._foreseen: dict[int, Event] = {}

    def now(self) -> int:
        """Return the present as the leader judges it, nanoseconds since the epoch."""
        return self._clock.monotonic() + self._board.skew

    def wall(self) -> int:
        """Return the machine's clock, whether or not it is right."""
        return self._clock.wall()

    def entropy(self, size: int) -> bytes:
        """Return random bytes from the injected source."""
        return self._entropy(size)

    async def submit(self, command: Command[Value]) -> Value:
        """Let the leader decide a command and make it durable; return its result.

        Cancelled before it is sent, it did not happen; from then on the wait is shielded. When this returns
        or raises a refusal, this follower has applied the command's effects.

        Raises:
            StorageFailed: Also if the leader has ended: whether the command happened is unknown.
            EngineError: See `engine.writing.writer.Writer.submit`.

        """
        if not isinstance(command, Command):
            raise Invalid(f"{type(command).__name__} is not a command", reason="command", field="")
        try:
            long = self.state.ahead(command) is not None or _has_many_parts(command)
            decided = await self._leader.ask(Submit(command), long=long)
        except StorageFailed:
            # An event may refer to its staged files; otherwise the next start removes them.
            self.state.shared.disown()
            raise
        assert isinstance(decided, Decided)
        with trio.CancelScope(shield=True):
            await self._follow(decided.seq)
        if decided.refusal is not None:
            if isinstance(decided.refusal, StorageFailed):
                self.state.shared.disown()  # as above: the frame may be on disk
            raise decided.refusal
        note(decided.records)
        return cast("Value", decided.result)

    async def read(self, query: Callable[[State, int], Value]) -> Value:
        """Return `query(state, now)` of a state with everything that was answered before.

        Raises:
            EngineError: Whatever the query raised.
            StorageFailed: This follower cannot continue.
            Exhausted: The machine is short of a resource.

        """
        await self._follow(self._board.durable)
        return query(self.state, self.now())

    async def compute(self, work: Callable[[], Value]) -> Value:
        """Run `work`, which keeps a processor busy for long, in a thread: one such work at a time."""
        async with self._computing:
            return await in_thread(work, shortages=self.shortages)

    def glance(self, query: Callable[[State], Value]) -> Value:
        """Return `query(state)` of the present state: all that a follower sees is durable."""
        return query(self._present())

    def _present(self) -> State:
        if self._board.durable > self.state.seq:
            self.catch_up(self._board.durable)
        return self.state

    def upload(self, *, md5: bool = True) -> Upload:
        """Return a body to be received; its file is in the shared data folder before its command is sent."""
        inline = self.options.inline_bytes
        return Upload(self._payloads, self.state.shared, inline, self._limits, md5=md5)

    async def open_body(self, held: StoredBody) -> Download:
        """Return a body to be sent.

        Raises:
            NotFound: It has been erased.
            Exhausted: The machine is short of a resource for the moment.

        """
        return await open_body(
            held, self._log, self._payloads, self.state.shared, self._limits, self._look_again
        )

    def on_commit(self, callback: Callable[[int], None]) -> None:
        """Call `callback(seq)` after each time that records were applied; it must not block."""
        self._committed.append(callback)

    def on_sync(self, callback: Callable[[float], None]) -> None:
        """Do nothing: a follower syncs no journal."""

    def statistics(self) -> Statistics:
        """Return the leader's last statistics, with this process' own shortages."""
        own = self.shortages
        short = own.present(trio.current_time())
        seq = self.state.seq
        facts = self._facts
        if facts is None:
            facts = Statistics(seq, seq, 0, len(self.state.deadlines), 0, False, "", 0)
        met = {kind: facts.shortages.get(kind, 0) + own.met[kind] for kind in {*facts.shortages, *own.met}}
        return replace(
            facts,
            seq=seq,
            durable=seq,
            failure=facts.failure or self.failure,
            payloads_lost=max(facts.payloads_lost, self._lost()),
            short=tuple(sorted({*facts.short, *short})),
            shortages=met,
        )

    def catch_up(self, until: int) -> None:
        """Apply the journal's tail up to the durable record `until`.

        Raises:
            StorageFailed: It cannot be read: this follower must be replaced.
            Exhausted: The machine is short of a resource; the next call continues.

        """
        state = self.state
        if state.seq >= until:
            return
        try:
            with self._reading():
                while self._read and state.seq < until:
                    self._replay(self._read.popleft())
                for records in self._log.records(until) if state.seq < until else ():
                    for record in records:
                        self._replay(record)
        finally:
            state.shared.take_released()  # the leader removes the files
        for callback in self._committed:
            callback(state.seq)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Raise what goes wrong with the journal as `catch_up` does."""
        if self.failure:
            raise StorageFailed(self.failure)
        try:
            yield
        except Exception as error:
            refusal = self.shortages.refusal(error, trio.current_time())
            if refusal is not None:
                raise refusal from error
            self.failure = f"the journal cannot be followed beyond record {self.state.seq}: {error}"
            raise StorageFailed(self.failure) from error

    def _replay(self, record: journal.Record) -> None:
        replay(self.state, record, self._foreseen.pop(record.header.seq, None))

    async def receive(self, message: Any) -> Any:
        """Handle a message from the leader.

        Raises:
            EngineError: It could not be followed.

        """
        if isinstance(message, Durable):
            with suppress(Unavailable):  # `failure` has the reason, and the next request raises it
                await self._follow(message.seq)
        elif isinstance(message, Settle):
            await self._follow(message.seq)
            return True
        elif isinstance(message, Facts):
            self._facts = message.statistics
        return None

    async def _follow(self, seq: int) -> None:
        """Apply the tail up to record `seq`; other tasks run after each slice but the last."""
        while self.state.seq < seq:
            until = min(seq, self.state.seq + SLICE)
            long = self._next_long(until)
            if long is not None and long.header.seq > self.state.seq + 1:
                until = min(until, long.header.seq - 1)  # it depends on those before
            elif long is not None:
                until = long.header.seq
                await self._prepare(long)
            self.catch_up(until)
            if self.state.seq < seq:
                await trio.lowlevel.checkpoint()
        while self.state.shared.buried:
            self.state.shared.free_some()
            await trio.lowlevel.checkpoint()

    def _next_long(self, until: int) -> journal.Record | None:
        """Return the next record up to `until` that takes long to apply.

        Raises:
            StorageFailed, Exhausted: See `catch_up`.

        """
        if not self._read or self._read[-1].header.seq < until:
            with self._reading():
                for records in self._log.records(until):
                    self._read += records
        return next((one for one in self._read if is_long(one)), None)

    async def _prepare(self, record: journal.Record) -> None:
        """Find what the next record comes to, unless it is applied meanwhile."""
        before = self.state.seq
        with suppress(Unavailable):  # then it is applied as it is
            async with self._preparing:
                if self.state.seq != before or record.header.seq in self._foreseen:
                    return
                event = await in_thread(partial(long_event, record), shortages=self.shortages)
                prepare = None
                if event is not None and self.state.seq == before:
                    prepare = preparing(self.state, event)
                made = None if prepare is None else await in_thread(prepare, shortages=self.shortages)
                if made is not None and self.state.seq == before:
                    self._foreseen[record.header.seq] = made

    def close(self) -> None:
        """Close all files, drop all cached contents."""
        self._log.close()
        self._payloads.close()

    def _look_again(self) -> None:
        self.catch_up(self._board.durable)

    def _lost(self) -> int:
        return sum(name in self.state.shared.payloads for name in self._limits.lost)


def _has_many_parts(command: Command[Any]) -> bool:
    """Return whether packing the command would hold the event loop: a list of 50,000 blocks takes 0.1 s."""
    kind: Any = type(command)
    return any(len(getattr(command, name)) > MANY_PARTS for name in _lists(kind))


@cache
def _lists(kind: Any) -> tuple[str, ...]:
    """Return the names of a command's fields that are lists or mappings of something."""
    origins = {name: get_origin(hint) for name, hint in get_type_hints(kind).items()}
    return tuple(
        field.name
        for field in fields(kind)
        if isinstance(origin := origins[field.name], type) and issubclass(origin, Mapping | Sequence)
    )


def load_follower(disk: journal.Disk, until: int) -> tuple[State, journal.FollowedJournal]:
    """Return the state at record `until`, which is durable, and the journal's files at that place. Blocking.

    As at a start, it comes from the newest snapshot and the records after it, or from all records. The
    process that holds the lock has already handled missing records.

    Raises:
        journal.Corrupt: The journal is damaged.
        OSError: It cannot be read.

    """
    state, position = load_snapshot(disk)
    try:
        return _followed(disk, state, position, until, replay)
    except (journal.PositionMismatch, wire.OddRecord):
        pass
    try:
        return _followed(disk, State(), None, until, replay)
    except wire.OddRecord:
        return _followed(disk, State(), None, until, partial(replay_warily, []))


def _followed(
    disk: journal.Disk,
    state: State,
    after: journal.Position | None,
    until: int,
    take: Callable[[State, journal.Record], None],
) -> tuple[State, journal.FollowedJournal]:
    log = journal.FollowedJournal(disk, after)
    try:
        with state.deadlines.in_bulk() if after is None else nullcontext():
            for records in log.records(until):
                for record in records:
                    take(state, record)
    except BaseException:
        log.close()
        raise
    state.shared.take_released()
    return state, log
