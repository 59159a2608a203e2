"""Events of areas: what the audit shows of them, and that nothing of the data is in their details."""

import pytest

from engine.areas.events import AreaCreated, AreaDeleted, AreaUpdated, FileStored, KeysExpired
from engine.body import Inline
from engine.event import Cause

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
