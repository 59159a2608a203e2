"""Events as record parts: every code once, older shapes upcast, newer ones refused."""

from __future__ import annotations

import inspect
from typing import Any

import msgpack
import pytest

from retain.engine import wire
from retain.engine.blobs.container_events import ContainerCreated
from retain.engine.core.event import Cause, Event, Interface
from retain.engine.core.role import Data, OnHold
from retain.engine.holds.target import HoldKind
from retain.engine.persons.find import INTERFACES
from retain.journal import Header, Record, Verb
from tests.kit import toy
from tests.kit.toy import Noted, inline

pytestmark = pytest.mark.usefixtures("toys")
NOTED = Noted(
    resource=toy.RESOURCE, actor="user:a", cause=Cause.REQUEST, name="n", until=7, body=inline(b"data")
)


def record(event: Event, **changes: Any) -> Record:
    """The record that an event is read back from."""
    draft = wire.to_draft(event)
    header = Header(
        1, 2, draft.verb, draft.interface, draft.resource, draft.cause, 64, 64, bytes(32), bytes(32)
    )
    values = {"header": header, "details": draft.details, "content": draft.content, "content_at": 64}
    return Record(**{**values, **changes})


def all_events(kind: type[Event]) -> set[type[Event]]:
    found = {one for child in kind.__subclasses__() for one in all_events(child)}
    return found if inspect.isabstract(kind) else found | {kind}


@pytest.mark.parametrize("unsaid", ["ON_HOLD", "VALUES", "DATA", "INTERFACE"])
def test_an_event_that_does_not_say_what_it_means_to_holds_and_persons_does_not_import(unsaid: str) -> None:
    said = {"VERB": Verb.PUT, "ON_HOLD": OnHold.HARMLESS, "VALUES": "", "DATA": Data.NONE}
    said["INTERFACE"] = Interface.ENGINE
    type("Saying", (Event,), said)
    del said[unsaid]
    with pytest.raises(TypeError, match=f"Silent must declare {unsaid}"):
        type("Silent", (Event,), said)


def test_a_base_may_say_what_data_its_events_are_about_and_nothing_else() -> None:
    base = type("Base", (Event,), {"DATA": Data.BLOB, "INTERFACE": Interface.BLOBS})
    said = {"VERB": Verb.PUT, "ON_HOLD": OnHold.HARMLESS, "VALUES": ""}
    assert type("Saying", (base,), said).DATA is Data.BLOB  # type: ignore[attr-defined]
    louder = type("Louder", (base,), said)
    with pytest.raises(TypeError, match="ON_HOLD, VALUES"):
        type("Silent", (louder,), {"VERB": Verb.PATCH})


def test_each_kind_of_data_is_one_that_persons_can_ask_for_and_holds_can_keep() -> None:
    assert {HoldKind(one) for one in Data if one} == INTERFACES.keys()


@pytest.mark.parametrize("event", sorted(set(wire.CODES.values()), key=lambda event: event.__name__))
def test_the_values_that_an_export_shows_are_a_field(event: type[Event]) -> None:
    assert not event.VALUES or event.VALUES in event.__dataclass_fields__ or hasattr(event, event.VALUES)


def test_what_is_written_is_read_back() -> None:
    assert wire.from_record(record(NOTED)) == NOTED


@pytest.mark.parametrize("erased", [{"details": None}, {"content": None}])
def test_a_record_with_an_erased_part_is_no_event_any_more(erased: dict[str, Any]) -> None:
    assert wire.from_record(record(NOTED, **erased)) is None


def test_the_journals_own_records_are_no_events() -> None:
    own = record(NOTED, details=b"", content=b"\x90")
    assert wire.from_record(own) is None
    assert wire.about(own) is None


def test_details_are_told_although_the_content_is_gone() -> None:
    about = wire.about(record(NOTED, content=None))
    assert about is not None
    assert (about.code, about.kind, about.actor) == (901, Noted, "user:a")
    assert about.details == {"name": "n", "until": 7}


@pytest.mark.parametrize(("code", "version"), [(999, 1), (901, 2)])
def test_what_a_newer_version_wrote_is_refused(code: int, version: int) -> None:
    details = msgpack.packb([code, version, "a", {}])
    with pytest.raises(wire.UnknownEvent, match="record 1 "):
        wire.from_record(record(NOTED, details=details))


def test_an_unknown_cause_is_refused() -> None:
    header = record(NOTED).header._replace(cause=9999)
    with pytest.raises(wire.UnknownEvent):
        wire.from_record(record(NOTED, header=header))


def test_older_shapes_are_upcast_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    old = record(NOTED, details=msgpack.packb([901, 1, "user:a", {"title": "n"}]))
    monkeypatch.setattr(Noted, "VERSION", 3)
    monkeypatch.setitem(
        wire.UPCASTS, (901, 1), lambda details, content: ({"name": details["title"]}, content)
    )
    monkeypatch.setitem(wire.UPCASTS, (901, 2), lambda details, content: ({**details, "until": 7}, content))
    assert wire.from_record(old) == NOTED


def test_every_event_has_one_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    ours = {kind for kind in all_events(Event) if kind.__module__.startswith("retain.engine.")}
    ours = {kind for kind in ours if not kind.__subclasses__()}
    assert ours == set(wire.CODES.values())
    assert len(set(wire.CODES.values())) == len(wire.CODES)


def test_a_field_that_an_older_record_does_not_have_has_its_default() -> None:
    facts = {"account": "acc", "container": "box", "created": 1, "modified": 1, "public_access": None}
    made = ContainerCreated.restore(toy.RESOURCE, "user:a", Cause.REQUEST, dict(facts), {"metadata": []})
    assert (made.policies, made.days, made.ended) == ((), None, -1)
    with pytest.raises(ValueError, match="the record lacks the fields metadata"):
        ContainerCreated.restore(toy.RESOURCE, "user:a", Cause.REQUEST, dict(facts), {})
