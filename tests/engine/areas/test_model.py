"""Areas against a model of plain dicts, with time as a rule: in any order, reads agree to the nanosecond."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
import msgpack
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from retain.engine import Inline, NotFound, OnDisk, Stamp
from retain.engine.areas import AreaFile, AreasPolicy, CreateArea, DeleteArea, NewFile, UpdateArea, queries
from retain.engine.core.common_commands import ExpireDue
from retain.engine.core.event import Event
from retain.engine.core.time import SECOND
from retain.engine.state import State
from retain.journal import Payload
from tests.kit.crash import SCALE

PLAIN = [str(UUID(int=number, version=4)) for number in range(4)]
CUSTOM = ["x", "60", PLAIN[0]]
NAMES = st.sampled_from([*PLAIN, *CUSTOM])
USERS = st.sampled_from([None, "ann", "bob"])
TTLS = st.sampled_from([1, 2, 3, 10])


@st.composite
def new_values(draw: st.DrawFn) -> dict[str, Any]:
    texts = st.text(max_size=3)
    small = st.binary(max_size=4).map(lambda data: NewFile("f", "t/t", Inline(data, bytes(16))))
    large = st.integers(0, 10**9).map(
        lambda number: NewFile("g", "t/t", Payload(f"{number:032x}", bytes(32), 70_000, bytes(16), bytes(32)))
    )
    return draw(st.dictionaries(st.sampled_from("abc"), texts | small | large, max_size=3))


@dataclass
class Model:
    """One area: its keys with value and end, and its own end if it was created without keys."""

    base: int
    keys: dict[str, tuple[Any, int]] = field(default_factory=dict)

    def living(self, now: int) -> dict[str, Any]:
        return {key: value for key, (value, end) in self.keys.items() if end > now}

    def lives(self, now: int) -> bool:
        return self.base > now or bool(self.living(now))


def comparable(value: Any) -> Any:
    """What a read shows of a value, wherever its bytes are."""
    if isinstance(value, str):
        return value
    return (value.filename, value.media_type, value.body.size, getattr(value.body, "name", None))


class AreasMachine(RuleBasedStateMachine):
    @initialize(whole=st.booleans(), upsert=st.booleans())
    def begin(self, whole: bool, upsert: bool) -> None:
        self.state = State()
        self.now = 1_800_000_000 * SECOND
        self.model: dict[tuple[str | None, str], Model] = {}
        self.policy = AreasPolicy(whole_area=whole, upsert=upsert)
        self.journal: list[tuple[Event, int]] = []
        self.resources = 0
        self.payloads = 0

    def do(self, command: Any) -> Any:
        decision = self.state.decide(command, self.now)
        first = self.state.seq + 1
        for event in decision.events:
            self.state.apply(event, Stamp(self.state.seq + 1, self.now, -1))
            self.journal.append((event, self.now))
        for seq in range(first, self.state.seq + 1):
            if self.journal[seq - 1][0].content() is not None:
                self.state.place(seq, seq * 100)
        return decision.result

    def resource(self) -> bytes:
        self.resources += 1
        return self.resources.to_bytes(16, "big")

    def write(self, values: dict[str, Any]) -> dict[str, Any]:
        """Payload files have names of their own, each used once."""
        fresh = {}
        for key, value in values.items():
            if isinstance(value, NewFile) and isinstance(value.body, Payload):
                self.payloads += 1
                body = Payload(f"{self.payloads:032x}", bytes(32), 70_000, bytes(16), bytes(32))
                value = NewFile(value.filename, value.media_type, body)
            fresh[key] = value
        return fresh

    def found(self, name: str, user: str | None) -> tuple[str | None, str] | None:
        for owner in [user, None]:
            area = self.model.get((owner, name))
            if area is not None and area.lives(self.now):
                return owner, name
        return None

    def merge(self, key: tuple[str | None, str], values: dict[str, Any], ttl: int) -> None:
        area, until = self.model[key], self.now + ttl * SECOND
        living = area.living(self.now)
        if (not living and not values) or (self.policy.whole_area and area.base):
            area.base = until
        ends = {k: until if self.policy.whole_area else area.keys[k][1] for k in living}
        area.keys = {k: (v, ends[k]) for k, v in living.items()} | {k: (v, until) for k, v in values.items()}

    def fresh(self, key: tuple[str | None, str], values: dict[str, Any], ttl: int) -> None:
        until = self.now + ttl * SECOND
        self.model[key] = Model(0 if values else until, {k: (v, until) for k, v in values.items()})

    @rule(name=st.sampled_from(PLAIN), values=new_values(), ttl=TTLS)
    def create_plain(self, name: str, values: dict[str, Any], ttl: int) -> None:
        values = self.write(values)
        area = self.model.get((None, name))
        if area is not None and area.lives(self.now):
            return
        self.do(CreateArea(actor="a", name=name, resource=self.resource(), values=values, ttl=ttl))
        self.fresh((None, name), values, ttl)

    @rule(name=st.sampled_from(CUSTOM), user=st.sampled_from(["ann", "bob"]), values=new_values(), ttl=TTLS)
    def create_custom(self, name: str, user: str, values: dict[str, Any], ttl: int) -> None:
        values = self.write(values)
        command = CreateArea(
            actor="a",
            name=name,
            user=user,
            resource=self.resource(),
            values=values,
            ttl=ttl,
            policy=self.policy,
        )
        assert self.do(command) == name
        area = self.model.get((user, name))
        if area is not None and area.lives(self.now):
            self.merge((user, name), values, ttl)
        else:
            self.fresh((user, name), values, ttl)

    @rule(name=NAMES, user=USERS, values=new_values(), ttl=TTLS)
    def update(self, name: str, user: str | None, values: dict[str, Any], ttl: int) -> None:
        values = self.write(values)
        command = UpdateArea(
            actor="a",
            name=name,
            user=user,
            resource=self.resource(),
            values=values,
            ttl=ttl,
            policy=self.policy,
        )
        key = self.found(name, user)
        if key is None and (user is None or not self.policy.upsert):
            with pytest.raises(NotFound):
                self.do(command)
        elif key is None:
            assert self.do(command) is True
            self.fresh((user, name), values, ttl)
        else:
            assert self.do(command) is False
            self.merge(key, values, ttl)

    @rule(name=NAMES, user=USERS)
    def delete(self, name: str, user: str | None) -> None:
        command = DeleteArea(actor="a", name=name, user=user)
        key = self.found(name, user)
        if key is None:
            with pytest.raises(NotFound):
                self.do(command)
        else:
            self.do(command)
            del self.model[key]

    @rule(step=st.sampled_from([1, SECOND - 1, SECOND, 2 * SECOND]))
    def pass_time(self, step: int) -> None:
        self.now += step

    @rule(limit=st.integers(1, 5))
    def sweep(self, limit: int) -> None:
        self.do(ExpireDue(actor="retain", limit=limit))

    @rule(name=NAMES, user=USERS, key=st.sampled_from("abc"))
    def read(self, name: str, user: str | None, key: str) -> None:
        found = self.found(name, user)
        areas = self.state.areas
        if found is None:
            with pytest.raises(NotFound):
                queries.listing(areas, name, user, self.now)
            with pytest.raises(NotFound):
                queries.value(areas, name, user, key, self.now)
            return
        living = self.model[found].living(self.now)
        listing = dict(queries.listing(areas, name, user, self.now))
        assert {k: comparable(v) for k, v in listing.items()} == {k: comparable(v) for k, v in living.items()}
        if key in living:
            assert comparable(queries.value(areas, name, user, key, self.now)) == comparable(living[key])
        else:
            with pytest.raises(NotFound):
                queries.value(areas, name, user, key, self.now)

    @invariant()
    def indexes_agree(self) -> None:
        if hasattr(self, "state"):
            self.state.check()
            assert all(
                not isinstance(value, AreaFile) or isinstance(value.body, OnDisk | Payload)
                for area in self.state.areas.areas.values()
                for value in area[3]
            )

    @rule()
    def replay(self) -> None:
        """The events, as they come back from the journal, and the frozen rows both give the same state."""
        replayed = State()
        for seq, (event, time) in enumerate(self.journal, 1):
            replayed.apply(restored(event), Stamp(seq, time, seq * 100))
        assert replayed.digest() == self.state.digest()
        assert replayed.deadlines.entries() == self.state.deadlines.entries()
        assert replayed.shared.payloads == self.state.shared.payloads
        rows = list(self.state.freeze().rows())
        loaded = State()
        loaded.load((name, [msgpack.unpackb(msgpack.packb(row), use_list=False)]) for name, row in rows)
        loaded.check()
        assert loaded.digest() == self.state.digest()

    def teardown(self) -> None:
        if hasattr(self, "state"):
            self.replay()


def restored(event: Event) -> Event:
    """The event after a way through its record's parts."""
    details = msgpack.unpackb(msgpack.packb(event.details()), use_list=False)
    packed = event.content()
    content = None if packed is None else msgpack.unpackb(msgpack.packb(packed), use_list=False)
    copy = type(event).restore(
        resource=event.resource, actor=event.actor, cause=event.cause, details=details, content=content
    )
    assert copy == event
    return copy


TestAreas = AreasMachine.TestCase
TestAreas.settings = settings(max_examples=40 * SCALE, stateful_step_count=40, deadline=None, database=None)
