"""The slice: events and back, snapshots, sizes, what is recorded, and what erasure leaves."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain import journal
from retain.engine import (
    Cause,
    Conflict,
    Engine,
    Forbidden,
    Invalid,
    QuotaExceeded,
    Stamp,
    TooLarge,
    wire,
)
from retain.engine.areas.events import AreaDeleted
from retain.engine.audit.settings_versions import kept_events, versions
from retain.engine.core.domain import SharedState
from retain.engine.settings import (
    MISSING,
    Asker,
    DeleteValue,
    EncodedValue,
    ImportDocument,
    Level,
    MergeValue,
    Place,
    PostValue,
    PutValue,
    RestateDocument,
    RestoreValue,
    SettingsPolicy,
    SettingsSlice,
)
from retain.engine.settings.commands import SettingsWrite
from retain.engine.settings.events import (
    Change,
    ChangeContinued,
    Content,
    DocumentDeleted,
    Op,
    Result,
    changed,
    pack_changes,
    stated,
    unpack_changes,
)
from retain.engine.settings.queries import places_of_application, read_value, seen_by
from retain.engine.settings.value import to_text
from retain.engine.state import State
from retain.engine.testing import open_memory_engine, verify
from retain.journal.lookup.trail import Trail
from retain.journal.testing.memory import MemoryDisk
from tests.engine.settings.strategies import OBJECTS, PATHS, VALUES

ANN = Asker("ann")
POLICY = SettingsPolicy()
GLOBAL = Place("app", Level.GLOBAL)
DEVICE = Place("app", Level.DEVICE, "d", "ann")


def facts(place: Place, path: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    return {
        "actor": "user:ann",
        "asker": ANN,
        "place": place,
        "path": path,
        "policy": POLICY,
        "resource": os.urandom(16),
        **more,
    }


async def put(engine: Engine, place: Place, value: Any, path: tuple[str, ...] = ()) -> None:
    exists = place in engine.state.settings.documents or place.level == Level.DEVICE
    command = PutValue if exists else PostValue
    await engine.submit(command(body=EncodedValue.of(value), **facts(place, path)))


def roundtrip(event: Any) -> Any:
    draft = wire.to_draft(event)
    header = journal.Header(
        seq=1, time=1, verb=draft.verb, interface=draft.interface, resource=draft.resource, cause=draft.cause,
        details_size=64, content_size=64, details_commitment=bytes(32), content_commitment=bytes(32),
    )  # fmt: skip
    return wire.from_record(journal.Record(header, draft.details, draft.content, -1))


EVENT = {"resource": bytes(16), "actor": "user:a", "cause": Cause.REQUEST, "place": DEVICE, "revision": 3,
         "method": "PUT", "path": ("a", "b")}  # fmt: skip


@given(OBJECTS)
def test_a_stated_document_comes_back(value: Any) -> None:
    events = list(stated(to_text(value), value, born=5, first=7, **EVENT))
    assert events
    for event in events:
        assert roundtrip(event) == event


@given(st.lists(st.tuples(st.sampled_from(Op), PATHS, VALUES), max_size=3))
def test_changes_come_back(rows: list[Any]) -> None:
    changes = [
        Change(op, path) if op is Op.REMOVE else Change(op, path, value, to_text(value))
        for op, path, value in rows
    ]
    for event in changed(changes, Result({}, 2), **EVENT):
        assert roundtrip(event) == event
    again = unpack_changes(pack_changes(changes))
    assert [(c.op, c.path, repr(c.value)) for c in again] == [(c.op, c.path, repr(c.value)) for c in changes]


def test_other_events_come_back() -> None:
    for event in [ChangeContinued(piece=b"\x00\xff", **EVENT), DocumentDeleted(**EVENT)]:
        assert roundtrip(event) == event


def test_no_value_stands_in_details() -> None:
    [event] = stated(to_text({"c": "secret"}), {"c": "secret"}, **EVENT)
    assert b"secret" not in wire.to_draft(event).details


@pytest.mark.parametrize("size", [0, 1000, 65535, 65536, 800_000, 3_000_000])
def test_content_is_cut_and_joined(size: int) -> None:
    text = to_text(os.urandom(size // 2).hex())
    content, further = Content.of(text)
    assert content.pieces == len(further) + 1
    assert content.text(further) == text
    assert all(len(piece) < 1 << 20 for piece in [content.first, *further])


async def test_the_largest_document_can_be_stated_and_restated() -> None:
    """Even one that hardly deflates, and one of characters that take four bytes each."""
    import random

    chars = "".join(
        random.Random(1).choices([chr(code) for code in range(35, 127) if code != 92], k=4_100_000)
    )
    wide = "".join(chr(code) for code in random.Random(2).choices(range(0x10000, 0x10FFFF), k=1_040_000))
    async with open_memory_engine() as engine:
        for value in [{"c": chars}, {"c": wide}]:
            await put(engine, DEVICE, value)
            assert await engine.submit(RestateDocument(actor="retain", place=DEVICE))
            assert engine.state.settings.documents[DEVICE].value == value
        with pytest.raises(TooLarge):
            await put(engine, Place("app", 2, "d" * 1_100_000, "ann"), {})


@pytest.mark.parametrize("name", ["", ".", "..", "a\0b"])
async def test_a_configuration_that_no_address_names_is_made_at_no_depth(name: str) -> None:
    async with open_memory_engine() as engine:
        for command, body, path in (
            (PostValue, {"good": {}, name: {}}, ()),
            (PutValue, {name: {}}, ()),
            (MergeValue, {name: {}}, ()),
            (PutValue, {}, (name,)),
        ):
            with pytest.raises(Invalid) as refused:
                await engine.submit(command(body=EncodedValue.of(body), **facts(DEVICE, path)))
            assert refused.value.reason == "name"
        assert DEVICE not in engine.state.settings.documents


@pytest.mark.parametrize("value", [5, "x", [], None])
@pytest.mark.parametrize("path", [(), ("c",)])
async def test_what_an_import_brought_is_restored_only_if_it_may_be_written(
    value: object, path: tuple[str, ...]
) -> None:
    """An import may hold any value; at global level a configuration is an object."""
    async with open_memory_engine() as engine:
        await put(engine, GLOBAL, {"c": {}})
        whose = engine.state.settings.documents[GLOBAL].resource
        body = EncodedValue.of(value if path else {"c": value})
        with pytest.raises(Invalid) as refused:
            await engine.submit(RestoreValue(body=body, whose=whose, **facts(GLOBAL, path)))
        assert refused.value.reason == "object"
        assert engine.state.settings.documents[GLOBAL].value == {"c": {}}


async def test_a_patch_of_a_large_document_costs_what_a_patch_of_a_small_one_costs() -> None:
    """In memory as many bytes as in the journal."""
    costs = []
    for members in (1, 10_000):
        async with open_memory_engine() as engine:
            value = {f"name{number}": "x" * 90 for number in range(members)}
            await put(engine, DEVICE, {"c": value})
            seq = engine.state.seq
            await engine.submit(MergeValue(body=EncodedValue.of({"name0": "y"}), **facts(DEVICE, ("c",))))
            await engine.submit(PutValue(body=EncodedValue.of("z"), **facts(DEVICE, ("c", "name0"))))
            records = list(journal.scan(engine.disk, start=seq + 1))
            costs.append(sum(r.header.details_size + r.header.content_size for r in records))
    assert costs[0] == costs[1]


async def test_a_snapshot_gives_the_same_state() -> None:
    disk = MemoryDisk()
    async with open_memory_engine(disk) as engine:
        await put(engine, GLOBAL, {"b": {"x": 10**30, "f": 1.0}, "a": {"n": None}})
        await put(engine, DEVICE, {"c": {"x": 1}})
        await put(engine, Place("app", Level.DEVICE, "e", "ann"), {})
        await put(engine, GLOBAL, {"x": 2}, ("b",))
        await engine.take_snapshot()
        digest = engine.state.digest()
    async with open_memory_engine(disk) as engine:
        assert engine.state.digest() == digest
        assert list(engine.state.settings.documents[GLOBAL].value) == ["b", "a"]
        await put(engine, GLOBAL, {"y": 3}, ("b",))
        assert engine.state.settings.documents[GLOBAL].revision == 3


async def test_older_records_can_be_erased_once_a_document_is_restated() -> None:
    """The live document, its tag and its start stay as they are; only history shortens."""
    disk = MemoryDisk()
    async with open_memory_engine(disk) as engine:
        await put(engine, GLOBAL, {"c": {"x": 1}})
        await put(engine, DEVICE, {"c": {"x": 1}})
        await put(engine, GLOBAL, {"x": 2}, ("c",))
        document = engine.state.settings.documents[GLOBAL]
        last = engine.state.seq
        assert await engine.submit(RestateDocument(actor="retain", place=GLOBAL))
        assert engine.state.settings.documents[GLOBAL] == document
        older = [
            r.header.seq
            for r in journal.scan(disk)
            if r.header.resource == document.resource and r.header.seq <= last
        ]
        await engine.erase(
            [(seq, journal.Part.CONTENT | journal.Part.DETAILS) for seq in older], Cause.RETENTION
        )
        await verify(engine)
        kept = versions(kept_events(Trail(disk), document, engine.state.seq))
        assert [(version.revision, version.value) for version in kept] == [(2, {"c": {"x": 2}})]
    async with open_memory_engine(disk) as engine:
        assert engine.state.settings.documents[GLOBAL] == document


async def test_time_travel_tells_what_a_device_saw() -> None:
    """What did ann's device see before bob's change? The answer comes from an earlier state."""
    disk = MemoryDisk()
    async with open_memory_engine(disk) as engine:
        await put(engine, GLOBAL, {"c": {"x": 1}})
        await put(engine, DEVICE, {"c": {"y": 1}})
        then = engine.state.seq
        await put(engine, GLOBAL, {"x": 2}, ("c",))
        earlier = State()
        for record in journal.scan(disk):
            if record.header.seq <= then:
                event = wire.from_record(record)
                assert event is not None
                earlier.apply(event, Stamp(record.header.seq, record.header.time, record.content_at))
        assert seen_by(earlier.settings, ANN, "app", "d") == {"c": {"x": 1, "y": 1}}
        assert seen_by(engine.state.settings, ANN, "app", "d") == {"c": {"x": 2, "y": 1}}
        assert seen_by(earlier.settings, ANN, "none") is MISSING


async def test_import_states_a_document_past_the_rules_and_twice_is_once() -> None:
    async with open_memory_engine() as engine:
        managed = {
            "mobileservices": {"list": [{"name": "x"}], "__metadata": {"writeRoles": ["Administrator"]}}
        }

        def command(place: Place, value: Any) -> ImportDocument:
            return ImportDocument(
                actor="cli", place=place, value=value, policy=POLICY, resource=os.urandom(16)
            )

        assert await engine.submit(command(GLOBAL, managed))
        assert not await engine.submit(command(GLOBAL, managed))
        assert await engine.submit(command(DEVICE, managed))
        assert engine.state.settings.documents[DEVICE].value == {"mobileservices": {"list": [{"name": "x"}]}}
        assert places_of_application(engine.state.settings, "app") == [GLOBAL, DEVICE]
        assert await engine.submit(command(DEVICE, None))
        assert not await engine.submit(command(DEVICE, None))
        assert list(engine.state.settings.documents) == [GLOBAL]


async def test_what_is_not_there_is_not_restated() -> None:
    async with open_memory_engine() as engine:
        assert not await engine.submit(RestateDocument(actor="retain", place=GLOBAL))
        assert engine.state.seq == 0


def test_a_change_without_its_document_changes_nothing() -> None:
    """Its put was erased: replay passes over what stood on it."""
    part = SettingsSlice(SharedState())
    [change] = changed([Change(Op.SET, ("c",), 1, b"1")], Result({"c": 1}, 7), **EVENT)
    part.changed(change, Stamp(1, 1, -1))
    part.continued(ChangeContinued(piece=b"x", **EVENT), Stamp(2, 1, -1))
    part.deleted(DocumentDeleted(**EVENT), Stamp(3, 1, -1))
    assert part.documents == {}
    part.check()


async def test_what_a_change_does_not_touch_is_shared() -> None:
    async with open_memory_engine() as engine:
        await put(engine, GLOBAL, {"a": {"deep": {"x": 1}}, "b": {"y": 1}})
        before = engine.state.settings.documents[GLOBAL].value
        await put(engine, GLOBAL, 2, ("b", "y"))
        after = engine.state.settings.documents[GLOBAL].value
        assert after["a"] is before["a"]
        assert before["b"] == {"y": 1}


async def test_a_deletion_works_on_a_full_disk() -> None:
    assert DeleteValue.FREES_SPACE
    assert not SettingsWrite.FREES_SPACE


async def test_reading_needs_no_write() -> None:
    async with open_memory_engine() as engine:
        await put(engine, GLOBAL, {"c": {"x": 1}})
        found = await engine.read(
            lambda state, _: read_value(state.settings, ANN, GLOBAL, ("c", "x"), POLICY)
        )
        assert found.value == 1
        assert engine.state.seq == 1


def test_the_audit_names_documents_by_level() -> None:
    places = {GLOBAL: "app", Place("app", Level.USER, user="ann"): "app/user:ann", DEVICE: "app/device:d"}
    for place, subject in places.items():
        event = DocumentDeleted(**{**EVENT, "place": place})
        assert DocumentDeleted.subject(event.details()) == subject


async def test_imports_have_bounds() -> None:
    async with open_memory_engine() as engine:
        deep: Any = 1
        for _ in range(70):
            deep = {"a": deep}
        for value, refusal in [
            ({"__metadata": {}}, Invalid),
            ({"c": deep}, Invalid),
            ({"c": "x" * (5 << 20)}, QuotaExceeded),
        ]:
            with pytest.raises(refusal):
                await engine.submit(
                    ImportDocument(
                        actor="cli", place=GLOBAL, value=value, policy=POLICY, resource=os.urandom(16)
                    )
                )
        assert engine.state.seq == 0


async def test_lists_that_an_import_brought_and_that_are_none_let_nobody_in_but_admins() -> None:
    async with open_memory_engine() as engine:
        for metadata in [5, [], {"readRoles": "everyone"}, {"readRoles": {"R": 1}}]:
            value = {"c": {"x": 1, "__metadata": metadata}}
            await engine.submit(
                ImportDocument(actor="cli", place=GLOBAL, value=value, policy=POLICY, resource=os.urandom(16))
            )
            settings = engine.state.settings
            with pytest.raises(Forbidden):
                read_value(settings, Asker("ann", frozenset({"everyone"})), GLOBAL, ("c",), POLICY)
            assert read_value(settings, Asker("root", admin=True), GLOBAL, ("c", "x"), POLICY).value == 1


async def test_what_was_deleted_meanwhile_is_not_put_back() -> None:
    async with open_memory_engine() as engine:
        await put(engine, GLOBAL, {"c": {}})
        with pytest.raises(Conflict):
            await engine.submit(RestoreValue(body=EncodedValue.of({}), whose=bytes(16), **facts(GLOBAL)))


def test_a_history_that_lost_its_beginning_starts_where_the_document_is_stated() -> None:
    lost = changed([Change(Op.SET, ("c",), 1, b"1")], Result({"c": 1}, 7), **EVENT)
    kept = stated(b'{"c":2}', {"c": 2}, **{**EVENT, "revision": 4})
    ended = DocumentDeleted(**{**EVENT, "revision": 5})
    other = AreaDeleted(resource=bytes(16), actor="a", cause=Cause.REQUEST, name="x", user=None)
    events = [other, *lost, *kept, ended]
    found = versions([(event, Stamp(seq, seq, -1)) for seq, event in enumerate(events, 1)])
    assert [(version.revision, version.value) for version in found] == [(4, {"c": 2}), (5, MISSING)]
