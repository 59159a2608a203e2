"""Drives a state without journal, disk or Trio: decide, through the wire form, apply, place; then replay and
compare.
"""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar

import msgpack

from retain.engine import wire
from retain.engine.areas.events import KeysExpired
from retain.engine.core.body import Inline
from retain.engine.core.command import Command, Decision
from retain.engine.core.common_commands import ExpireDue
from retain.engine.core.event import Event, Stamp
from retain.engine.core.ledger import RecordLedger, marks_of, seq_of
from retain.engine.core.typed import wrong_field
from retain.engine.state import State
from retain.engine.testing import EPOCH
from retain.engine.tokens.events import KeyRotated
from retain.journal import Draft, Header, Payload, Record, Verb
from retain.journal.format.limits import part_size

Value = TypeVar("Value")
SECOND = 1_000_000_000
DAY = 86_400 * SECOND


def chain_rows(records: RecordLedger) -> dict[bytes, tuple[int, ...]]:
    """Each resource with the sequence numbers of its chain."""
    return {
        resource: tuple(seq_of(mark) for mark in marks_of(chain))
        for resource, chain in records.chains.items()
    }


class Desk:
    """A state and its records.

    Attributes:
        state: Live state.
        now: The present; a test moves it.
        history: Every event and its stamp, with the address that its content got.
    """

    def __init__(self, now: int = EPOCH) -> None:
        self.state = State()
        self.now = now
        self.history: list[tuple[Draft, Stamp]] = []
        self._ids = 0

    def fresh(self) -> bytes:
        """Sixteen bytes not given before."""
        self._ids += 1
        return self._ids.to_bytes(16, "big")

    def do(self, command: Command[Value], *, placed: bool = True) -> Value:
        """Decides and applies one command as a batch of its own."""
        return self.batch(command, placed=placed)[0]

    def batch(self, *commands: Command[Any], placed: bool = True) -> list[Any]:
        """Decides and applies several commands in one batch, so none of their bodies has an address before
        the end.
        """
        results: list[Any] = []
        first = len(self.history)
        for command in commands:
            decision = self.decide(command)
            for event in decision.events:
                self._apply(event)
            results.append(decision.result)
        if placed:
            self.place(first)
        return results

    def decide(self, command: Command[Value]) -> Decision[Value]:
        """Decides one command."""
        return self.state.decide(command, self.now)

    def _apply(self, event: Event) -> None:
        draft = wire.to_draft(event)
        seq = self.state.seq + 1
        read = wire.from_record(_record(draft, Stamp(seq, self.now, -1)))
        assert read == event
        assert wrong_field(read) is None, "a start that looks at each event would pass this one over"
        size = part_size(len(draft.content))
        self.state.apply(event, Stamp(seq, self.now, -1, size))
        self.history.append((draft, Stamp(seq, self.now, seq << 10 if draft.content else -1, size)))

    def place(self, first: int = 0) -> None:
        """Sets the addresses of all records from the `first` on."""
        for _draft, stamp in self.history[first:]:
            if stamp.address >= 0:
                self.state.place(stamp.seq, stamp.address)

    def sweep(self) -> int:
        """Ends all due entries; returns the number of events."""
        before = len(self.history)
        while (due := self.state.deadlines.next()) is not None and due <= self.now:
            self.do(ExpireDue(actor="retain", limit=128))
        return len(self.history) - before

    def events(self, first: int = 0) -> list[Event]:
        """What happened from the `first` record on."""
        found = [wire.from_record(_record(draft, stamp)) for draft, stamp in self.history[first:]]
        return [event for event in found if event is not None]

    def replayed(
        self, erased: frozenset[int] = frozenset(), forgotten: frozenset[int] = frozenset()
    ) -> State:
        """A fresh state from the records, the contents of those in `erased` being gone, and of those in
        `forgotten` both parts."""
        state = State()
        for draft, stamp in self.history:
            gone = stamp.seq in forgotten or (stamp.seq in erased and bool(draft.content))
            event = None if gone else wire.from_record(_record(draft, stamp))
            if event is None:
                state.skip(stamp.seq, stamp.time)
            else:
                state.apply(event, stamp)
        return state

    def needless(self) -> frozenset[int]:
        """The records that live state does not reference."""
        state = self.state
        needed = {seq for chain in chain_rows(state.records).values() for seq in chain}
        revoked = {(record.key, record.revoked) for record in state.tokens.records.values()}
        for event, (_draft, stamp) in zip(self.events(), self.history, strict=True):
            locator = event.locator()
            if locator and stamp.seq in state.restaters[locator[0]].apart(locator, event.resource):
                needed.add(stamp.seq)
            # These change what older records say, and are erased after them.
            if isinstance(event, KeysExpired) and event.resource in state.records.chains:
                needed.add(stamp.seq)
            if isinstance(event, KeyRotated) and (event.key, event.rotated) in revoked:
                needed.add(stamp.seq)
        return frozenset(stamp.seq for _, stamp in self.history) - needed

    def standing(self, state: State) -> list[Any]:
        """The contents of a state and the records it references, without garbage."""
        rows = [(part.name, row) for part in state.slices for row in part.freeze().rows()]
        return [*rows, sorted(state.records.chains.items()), sorted(state.records.partly_dead)]

    def verify(self) -> None:
        """Asserts that the indexes agree, and that replay and a snapshot give the same state; so does replay
        without the unreferenced records, erased in part or completely.
        """
        self.state.check()
        replayed = self.replayed()
        replayed.check()
        assert replayed.digest() == self.state.digest()
        needless = self.needless()
        for erased in (
            self.replayed(erased=needless),
            self.replayed(forgotten=needless),
        ):
            erased.check()
            assert self.standing(erased) == self.standing(self.state), "a record was needed"
        rows = msgpack.unpackb(msgpack.packb(list(self.state.freeze().rows())), use_list=False)
        loaded = State()
        loaded.load((name, [row]) for name, row in rows)
        loaded.check()
        assert loaded.digest() == self.state.digest()
        assert loaded.shared.payloads == self.state.shared.payloads
        assert loaded.deadlines.entries() == self.state.deadlines.entries()


def _record(draft: Draft, stamp: Stamp) -> Record:
    header = Header(
        seq=stamp.seq,
        time=stamp.time,
        verb=Verb(draft.verb),
        interface=draft.interface,
        resource=draft.resource,
        cause=draft.cause,
        details_size=0,
        content_size=0,
        details_commitment=bytes(32),
        content_commitment=bytes(32),
    )
    return Record(header, draft.details, draft.content, stamp.address)


def inline(data: bytes) -> Inline:
    """A small body."""
    return Inline(data, hashlib.md5(data).digest())


def payload(name: str, size: int = 100_000) -> Payload:
    """A large body, as if in a file."""
    digest = hashlib.sha256(name.encode()).digest()
    return Payload(name=name, key=digest, size=size, md5=digest[:16], sha256=digest)
