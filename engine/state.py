"""The state: the slices of all domains, and the dispatch of events and commands to them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

import msgpack

from retain.engine.areas import AreasSlice
from retain.engine.blobs import BlobsSlice
from retain.engine.core.command import Command, Decision
from retain.engine.core.common_commands import ExpireDue, Restate
from retain.engine.core.deadlines import DeadlineKind, Deadlines
from retain.engine.core.domain import (
    ENDED_RECORDS,
    Ahead,
    Apply,
    Decide,
    Expire,
    LookAhead,
    Restater,
    SharedState,
    Slice,
)
from retain.engine.core.event import Cause, Event, Stamp
from retain.engine.core.ledger import WHOLE
from retain.engine.core.snapshot_table import Frozen
from retain.engine.history.slice import HistorySlice
from retain.engine.holds import HoldsSlice
from retain.engine.holds.decide import refuse_held
from retain.engine.losses.accept import AcceptLost, accept_lost
from retain.engine.persons.end import EndSubjects, end
from retain.engine.settings import SettingsSlice
from retain.engine.tokens import TokensSlice

RECORDS = "records"
"""The name of the snapshot rows of the record ledger."""


class State:
    """The result of replaying the journal up to `seq`.

    Only `apply`, `skip`, `erased` and `load` change it. They read no clock, no random source and no file, so
    the same events give the same state on any machine at any time.

    Attributes:
        seq: Sequence number of the last record applied, 0 before the first.
        time: Journal time of that record, nanoseconds since the epoch.
        shared: The state shared by the slices.
        records: The record ledger.

    """

    def __init__(self) -> None:
        self.seq = 0
        self.time = 0
        self.shared = SharedState()
        self.records = self.shared.records
        self.areas = AreasSlice(self.shared)
        self.blobs = BlobsSlice(self.shared)
        self.tokens = TokensSlice(self.shared, self.blobs)
        self.settings = SettingsSlice(self.shared)
        self.holds = HoldsSlice(self.shared, self.areas, self.settings, self.blobs)
        self.history = HistorySlice(self.shared)
        self.slices: Sequence[Slice] = (
            self.holds,
            self.areas,
            self.settings,
            self.blobs,
            self.tokens,
            self.history,
        )
        self._apply: dict[type[Event], Apply] = _merged(part.handlers() for part in self.slices)
        self._decide: dict[type[Command[Any]], Decide] = _merged(part.deciders() for part in self.slices)
        self._decide[ExpireDue] = self._expire_due
        self._decide[Restate] = self._restate
        self._decide[EndSubjects] = partial(end, self)
        self._decide[AcceptLost] = partial(accept_lost, self)
        self._ahead: dict[type[Command[Any]], LookAhead] = {
            **self.settings.looks_ahead(),
            **self.blobs.looks_ahead(),
            Restate: self._restate_ahead,
        }
        self._expire: dict[DeadlineKind, Expire] = _merged(part.expirers() for part in self.slices)
        self.restaters: Mapping[str, Restater] = _merged(part.restaters() for part in self.slices)

    @property
    def deadlines(self) -> Deadlines:
        """Return the deadline index."""
        return self.shared.deadlines

    def apply(self, event: Event, stamp: Stamp) -> None:
        """Apply `event`, which follows the last one."""
        if self.shared.buried:
            self.shared.free_some()
        seq, self.time, _, size = stamp
        assert seq == self.seq + 1
        kind = type(event)
        self._apply[kind](event, stamp)
        self.seq = seq
        records = self.records
        resource = event.resource
        if kind.ROLE is WHOLE and resource not in records.chains and not records.reported:
            # The effect of `follow` in the most frequent case: a new resource.
            records.chains[resource] = seq << 4 | (size + 4095 >> 12).bit_length()
        else:
            records.follow(event, stamp)

    def skip(self, seq: int, time: int) -> None:
        """Skip a record without effect: the journal's own, or one whose parts were erased."""
        self.seq = seq
        self.time = time

    def erased(self, ranges: Sequence[tuple[int, int, int]], cause: int) -> None:
        """Account for an erase record of `ranges`, each of parts, first and last sequence number."""
        for parts, first, last in ranges:
            self.records.erased(parts, first, last, audit=cause == Cause.RETENTION)

    def decide(self, command: Command[Any], now: int) -> Decision[Any]:
        """Return the decision on `command` at `now` (nanoseconds since the epoch). Change nothing.

        Raises:
            Refused: It cannot be done.

        """
        return self.permitted(self._decide[type(command)](command, now))

    def ahead(self, command: Command[Any]) -> Ahead | None:
        """Return the decision to be made for `command` ahead of its turn; None if deciding is fast."""
        look = self._ahead.get(type(command))
        return None if look is None else look(command)

    def permitted(self, decision: Decision[Any]) -> Decision[Any]:
        """Return a decision if no legal hold forbids it.

        Raises:
            Refused: One does.

        """
        if self.shared.held:
            refuse_held(self.holds, decision.events)
        return decision

    def _expire_due(self, command: ExpireDue, now: int) -> Decision[int]:
        events: list[Event] = []
        looked_at = records = 0
        now = now if command.until is None else min(now, command.until)
        for _at, kind, key in self.deadlines.due(now, command.limit):
            ended, more = self._expire[kind](key, now)
            if events and (len(events) + len(ended) > command.limit or records + more > ENDED_RECORDS):
                break
            events += ended
            records += more
            looked_at += 1
        return Decision(tuple(events), looked_at)

    def _restate_ahead(self, command: Restate) -> Ahead | None:
        return self.restaters[command.locator[0]].ahead(command)

    def _restate(self, command: Restate, now: int) -> Decision[bool]:
        restater = self.restaters[command.locator[0]]
        step = restater.restate(command.locator, command.resource, command.before, command.bodies)
        return Decision(tuple(step.events), step.more)

    def place(self, seq: int, address: int) -> None:
        """Record that the content of record `seq`, applied with address -1, was written at `address`.

        Only areas and blobs read content from records.
        """
        self.areas.place(seq, address)
        self.blobs.place(seq, address)

    def freeze(self) -> Frozen:
        """Return the state of this moment; its rows are (slice name, row)."""
        frozen = [(part.name, part.freeze()) for part in self.slices]
        frozen.append((RECORDS, self.records.freeze()))

        def rows() -> Iterator[tuple[str, Any]]:
            for name, part in frozen:
                for row in part.rows():
                    yield name, row

        return Frozen(rows, tuple(view for _, part in frozen for view in part.views))

    def load(self, blocks: Iterator[tuple[str, Sequence[Any]]]) -> None:
        """Fill an empty state from frozen rows in the order of `freeze`: (slice name, some rows)."""
        parts = {part.name: part for part in self.slices}
        for name, group in groupby(blocks, key=itemgetter(0)):
            rows = chain.from_iterable(map(itemgetter(1), group))
            if name == RECORDS:
                resources = chain.from_iterable(part.resources() for part in self.slices)
                self.records.load(rows, resources)
            else:
                parts[name].load(rows)

    def digest(self) -> bytes:
        """Return SHA-256 over all rows: equal states have equal digests."""
        digest = hashlib.sha256()
        for part in self.slices:
            for row in part.freeze().rows():
                digest.update(msgpack.packb((part.name, row)))
        for row in self.records.digest_rows():
            digest.update(msgpack.packb((RECORDS, row)))
        return digest.digest()

    def check(self) -> None:
        """Assert that every index agrees with the entries."""
        for part in self.slices:
            part.check()
        self.records.check()


def _merged(tables: Iterator[Mapping[Any, Any]]) -> dict[Any, Any]:
    merged: dict[Any, Any] = {}
    for table in tables:
        assert not merged.keys() & table.keys(), "two slices claim the same event or row"
        merged.update(table)
    return merged
