"""The smallest domain there can be: notes under names, each with a deadline. For tests of the engine's core.

Notes are bodies, so that records, payload files, addresses and deadlines all take part; ``Broken`` events and
commands stand for bugs in a domain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import pytest

from retain.engine import wire
from retain.engine.core.body import Body, Inline, OnDisk, StoredBody, pack_body, unpack_body
from retain.engine.core.command import Command, Decision
from retain.engine.core.common_commands import ExpireDue
from retain.engine.core.deadlines import DeadlineKind
from retain.engine.core.domain import Apply, Decide, Expire, Expiry, Restater, SharedState
from retain.engine.core.errors import NotFound
from retain.engine.core.event import Cause, Event, Interface, Stamp, fact
from retain.engine.core.fields import datum
from retain.engine.core.role import Data, OnHold
from retain.engine.core.snapshot_table import Frozen
from retain.engine.history.actions import DataExported, NodeForgotten, UserAdded, UserRemoved
from retain.engine.history.events import ClockAccepted, ErasureOrdered, HistoryChanged
from retain.engine.snapshots import file, load
from retain.engine.state import State
from retain.journal import Payload, Verb

RESOURCE = b"toy-resource-016"
NEVER = 1 << 62
Note = tuple[int, StoredBody]


@fact
class Noted(Event):
    VERB: ClassVar[Verb] = Verb.PUT
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""
    DATA: ClassVar[Data] = Data.NONE
    INTERFACE: ClassVar[Interface] = Interface.AREAS

    name: str
    until: int
    body: Body = datum(unpack_body, pack_body, spread=True)


@fact
class Dropped(Event):
    VERB: ClassVar[Verb] = Verb.DELETE
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""
    DATA: ClassVar[Data] = Data.NONE
    INTERFACE: ClassVar[Interface] = Interface.AREAS

    name: str


@fact
class Broken(Dropped):
    """An event whose apply handler has a bug."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Put(Command[int]):
    """Stores the same note `count` times; returns the count."""

    actor: str = "tester"
    name: str = "a"
    until: int = NEVER
    body: Body = Inline(b"", b"")  # noqa: RUF009 - immutable
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Urgent(Put):
    """The same, also on a full disk."""

    FREES_SPACE: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop(Command[None]):
    FREES_SPACE: ClassVar[bool] = True

    actor: str = "tester"
    name: str = "a"


@dataclass(frozen=True, slots=True, kw_only=True)
class Break(Command[None]):
    """Fails in decide with `error`, or in apply if there is none."""

    actor: str = "tester"
    error: Exception | None = None


class ToySlice:
    """See `engine.slice.Slice`."""

    name = "toy"

    def __init__(self, shared: SharedState) -> None:
        self.shared = shared
        self.notes: dict[str, Note] = {}
        self.unplaced: dict[int, str] = {}
        self.decided = 0

    def handlers(self) -> Mapping[type[Event], Apply]:
        return {Noted: self._noted, Dropped: self._dropped, Broken: self._broken}

    def deciders(self) -> Mapping[type[Command[Any]], Decide]:
        return {Put: self._put, Urgent: self._put, Drop: self._drop, Break: self._break}

    def expirers(self) -> Mapping[DeadlineKind, Expire]:
        return {DeadlineKind.AREA: self._expire}

    def restaters(self) -> Mapping[str, Restater]:
        return {}

    def resources(self) -> Iterable[bytes]:
        return ()

    def place(self, seq: int, address: int) -> None:
        name = self.unplaced.pop(seq, "")
        if name:
            until, held = self.notes[name]
            assert isinstance(held, Inline)
            self.notes[name] = (until, OnDisk(address, held.size))

    def freeze(self) -> Frozen:
        notes = dict(self.notes)
        return Frozen(lambda: ([name, until, _packed(held)] for name, (until, held) in notes.items()))

    def load(self, rows: Iterable[Any]) -> None:
        for name, until, held in rows:
            self._keep(name, (until, OnDisk(*held) if len(held) == 2 else Payload(*held)))

    def check(self) -> None:
        armed = sorted((until, name) for name, (until, _) in self.notes.items())
        assert [(at, key) for at, _, key in self.shared.deadlines.entries()] == armed
        assert self.shared.payloads == {
            held.name for _, held in self.notes.values() if isinstance(held, Payload)
        }

    def _put(self, command: Put, now: int) -> Decision[int]:
        self.decided += 1
        event = Noted(
            resource=resource_of(command.name),
            actor=command.actor,
            cause=Cause.REQUEST,
            name=command.name,
            until=command.until,
            body=command.body,
        )
        return Decision((event,) * command.count, command.count)

    def _drop(self, command: Drop, now: int) -> Decision[None]:
        if self.find(command.name, now) is None:
            raise NotFound("no such note")
        event = Dropped(
            resource=resource_of(command.name), actor=command.actor, cause=Cause.REQUEST, name=command.name
        )
        return Decision((event,), None)

    def _break(self, command: Break, now: int) -> Decision[None]:
        if command.error is not None:
            raise command.error
        event = Broken(resource=bytes(16), actor=command.actor, cause=Cause.REQUEST, name="")
        return Decision((event,), None)

    def _expire(self, key: str, now: int) -> Expiry:
        return Expiry((Dropped(resource=resource_of(key), actor="retain", cause=Cause.EXPIRED, name=key),), 1)

    def find(self, name: str, now: int) -> StoredBody | None:
        until, held = self.notes.get(name, (0, None))
        return held if until > now else None

    def _noted(self, event: Noted, stamp: Stamp) -> None:
        held: StoredBody = event.body
        if isinstance(held, Inline) and stamp.address >= 0:
            held = OnDisk(stamp.address, held.size)
        self._keep(event.name, (event.until, held))
        if isinstance(held, Inline):
            self.unplaced[stamp.seq] = event.name

    def _dropped(self, event: Dropped, stamp: Stamp) -> None:
        self._keep(event.name, None)

    def _broken(self, event: Broken, stamp: Stamp) -> None:
        raise ZeroDivisionError("a bug in apply")

    def _keep(self, name: str, note: Note | None) -> None:
        if name in self.notes:
            self.unplaced = {seq: one for seq, one in self.unplaced.items() if one != name}
            until, held = self.notes.pop(name)
            self.shared.deadlines.disarm(until, DeadlineKind.AREA, name)
            if isinstance(held, Payload):
                self.shared.release(held.name)
        if note is not None:
            self.notes[name] = note
            self.shared.deadlines.arm(note[0], DeadlineKind.AREA, name)
            if isinstance(note[1], Payload):
                self.shared.keep(note[1].name)


def _packed(held: StoredBody) -> list[Any]:
    if isinstance(held, OnDisk):
        return [held.address, held.size]
    assert isinstance(held, Payload), "placed by now"
    return [held.name, held.key, held.size, held.md5, held.sha256]


class ToyState(State):
    """The engine's state with the toy as its only domain, beside the changes of history."""

    def __init__(self) -> None:
        super().__init__()
        self.toy = ToySlice(self.shared)
        self.slices = (self.toy, self.history)
        self._apply = {**self.toy.handlers(), **self.history.handlers()}
        self._decide = {
            **self.toy.deciders(),
            **self.history.deciders(),
            ExpireDue: self._expire_due,
        }
        self._expire = dict(self.toy.expirers())

    def place(self, seq: int, address: int) -> None:
        self.toy.place(seq, address)


CODES: dict[int, type[Event]] = {
    901: Noted,
    902: Dropped,
    903: Broken,
    601: HistoryChanged,
    602: ErasureOrdered,
    603: ClockAccepted,
    604: UserAdded,
    605: UserRemoved,
    606: DataExported,
    607: NodeForgotten,
}


def install(patch: pytest.MonkeyPatch) -> None:
    """Makes engines opened from here on store notes and nothing else."""
    patch.setattr(load, "State", ToyState)
    patch.setattr(file, "State", ToyState)
    patch.setattr(wire, "CODES", CODES)
    patch.setattr(wire, "_CODE_OF", {event: code for code, event in CODES.items()})


def held(name: str = "a") -> Callable[[Any, int], StoredBody | None]:
    """A query: what is noted under `name`."""
    return partial(_held, name)


def _held(name: str, state: Any, now: int) -> StoredBody | None:
    return state.toy.find(name, now)  # type: ignore[no-any-return]


def resource_of(name: str) -> bytes:
    """What a note's records are about. Real resources are random; these need not be."""
    return hashlib.md5(name.encode()).digest()


def inline(data: bytes) -> Inline:
    """A small body; its digest plays no part here."""
    return Inline(data, bytes(16))
