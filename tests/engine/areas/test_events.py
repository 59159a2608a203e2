"""Events of areas: what the audit shows of them, and that nothing of the data is in their details."""

from __future__ import annotations

import pytest

from retain.engine.areas.events import AreaCreated, AreaDeleted, AreaUpdated, FileStored, KeysExpired
from retain.engine.core.body import Inline
from retain.engine.core.event import Cause, Stamp
from retain.engine.state import State

WHO = {"resource": b"r" * 16, "actor": "anonymous", "cause": Cause.REQUEST}
EVENTS = [
    AreaCreated(**WHO, name="a", user=None, until=1, base=0, keys=("k",), values=("secret",)),
    AreaCreated(**WHO, name="a", user="ann", until=1, base=1, keys=(), values=()),
    AreaUpdated(**WHO, name="a", user="ann", until=1, base=0, whole=True, keys=("k",), values=("secret",)),
    FileStored(
        **WHO,
        name="a",
        user=None,
        until=1,
        key="k",
        filename="f",
        media_type=None,
        body=Inline(b"secret", b"m"),
    ),
    KeysExpired(**WHO, name="a", user=None, keys=("k",)),
    AreaDeleted(**WHO, name="a", user="ann"),
]


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_comes_back_from_its_parts(event):
    parts = {"details": event.details(), "content": event.content()}
    assert (
        type(event).restore(resource=event.resource, actor=event.actor, cause=event.cause, **parts) == event
    )


@pytest.mark.parametrize("event", EVENTS)
def test_details_hold_no_value(event):
    assert "secret" not in repr(event.details())


@pytest.mark.parametrize("event", EVENTS)
def test_the_subject_names_customer_and_id(event):
    assert event.subject(event.details()) == ("a" if event.user is None else "ann/a")


def test_one_that_is_made_while_an_older_one_has_its_name_takes_its_place():
    """A replay meets that where the record of the older one's end was erased, and its own is kept."""
    state = State()
    for seq, key in enumerate("ab", 1):
        facts = {**WHO, "resource": key.encode() * 16}
        texts = {"keys": (key,), "values": (key * seq,)}
        event = AreaCreated(**facts, name="a", user="ann", until=seq, base=0, **texts)
        state.apply(event, Stamp(seq, seq, -1, 0))
    [area] = state.areas.areas.values()
    assert area == (b"b" * 16, 0, ("b",), ("bb",), 2)
    assert [at for at, _, _ in state.deadlines.entries()] == [2]
    state.check()


@pytest.mark.parametrize("resource", [b"r" * 16, b"x" * 16], ids=["gone", "another"])
def test_the_rest_of_a_restatement_of_what_is_gone_changes_nothing(resource):
    state = State()
    if resource != WHO["resource"]:
        facts = {**WHO, "resource": resource}
        made = AreaCreated(**facts, name="a", user=None, until=9, base=0, keys=("k",), values=("v",))
        state.apply(made, Stamp(1, 1, -1, 0))
    before = dict(state.areas.areas)
    facts = {**WHO, "cause": Cause.RESTATED}
    texts = {"keys": ("k",), "values": ("w",)}
    event = AreaUpdated(**facts, name="a", user=None, until=0, base=0, whole=False, **texts)
    state.apply(event, Stamp(state.seq + 1, 2, -1, 0))
    assert dict(state.areas.areas) == before
    state.check()
