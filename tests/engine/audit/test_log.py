"""The audit log, the state at a moment, and verification, on journals of all interfaces."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from retain.engine import Inline, open_engine, wire
from retain.engine.areas import CreateArea, DeleteArea, NewFile, UpdateArea
from retain.engine.audit import contents as holdings
from retain.engine.audit.log import FEW, Filter, entry_of, log, newest, plain, state_at
from retain.engine.blobs.commands import PutBlob
from retain.engine.blobs.container_commands import CreateContainer
from retain.engine.blobs.entries import ContentHeaders
from retain.engine.core.event import Cause, Event, Interface
from retain.engine.core.pattern import Pattern
from retain.engine.core.time import DAY, SECOND, timestamp
from retain.engine.settings.commands import ImportDocument
from retain.engine.settings.model import Level, Place, SettingsPolicy
from retain.engine.testing import EPOCH, SteppedClock, open_memory_engine
from retain.engine.tokens.commands import IssueTokens, RevokeTokens, TokenGrant
from retain.journal import Part, Record, Verb, scan
from retain.journal.testing.memory import MemoryDisk
from tests.kit.engines import LightOptions

QUIET = LightOptions(sweep_interval_s=3600.0, inline_bytes=1000)
RESOURCE = bytes(range(16))
OTHER = bytes(range(16, 32))
PLAIN = "0b6ec7a3-1a1e-4d05-9b30-6a3c5d0f1f3e"


def create(name: str, user: str | None = None, *, resource: bytes = RESOURCE, **values: Any) -> CreateArea:
    return CreateArea(actor="user:alice", name=name, user=user, resource=resource, values=values, ttl=100)


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def disk(clock: SteppedClock) -> MemoryDisk:
    """Five records: a plain area, a custom one, an update, a deletion, an expiry."""
    disk = MemoryDisk()
    trio.run(_history, disk, clock)
    return disk


async def _history(disk: MemoryDisk, clock: SteppedClock) -> None:
    async with open_memory_engine(disk, clock=clock, options=QUIET) as engine:
        await engine.submit(create(PLAIN, phone="+49"))
        clock.advance(10)
        await engine.submit(create("cart", "bob", resource=OTHER, items="3", note="soon"))
        clock.advance(10)
        update = UpdateArea(
            actor="anonymous", name="cart", user="bob", resource=OTHER, values={"items": "4"}, ttl=50
        )
        await engine.submit(update)
        clock.advance(10)
        await engine.submit(DeleteArea(actor="user:operator", name="cart", user="bob"))
        clock.advance(100)
        await engine.sweep()


def seqs(disk: MemoryDisk, **wanted: Any) -> list[int]:
    return [entry.seq for entry in log(disk, Filter(**wanted))]


def test_tells_who_did_what_and_why(disk: MemoryDisk) -> None:
    entries = list(log(disk, Filter()))
    assert [(one.seq, one.event, one.subject, one.actor, one.cause) for one in entries] == [
        (1, "area-created", PLAIN, "user:alice", "request"),
        (2, "area-created", "bob/cart", "user:alice", "request"),
        (3, "area-updated", "bob/cart", "anonymous", "request"),
        (4, "area-deleted", "bob/cart", "user:operator", "request"),
        (5, "area-deleted", PLAIN, "retain", "expired"),
    ]
    assert entries[0].interface == "areas"
    assert entries[0].verb == "put"
    assert entries[0].resource == RESOURCE.hex()
    assert entries[0].time == EPOCH
    assert entries[0].details is not None
    assert "+49" not in json.dumps(entries[0].details)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"interface": "areas"}, [1, 2, 3, 4, 5]),
        ({"interface": "blobs"}, []),
        ({"verb": "delete"}, [4, 5]),
        ({"cause": "expired"}, [5]),
        ({"actor": "user:alice"}, [1, 2]),
        ({"actor": Pattern("user:*")}, [1, 2, 4]),
        ({"resource": "bob/cart"}, [2, 3, 4]),
        ({"resource": Pattern("bob/*"), "actor": "anonymous"}, [3]),
        ({"number": OTHER.hex()}, [2, 3, 4]),
        ({"number": OTHER.hex(), "resource": "plain"}, []),
        ({"resource": OTHER.hex()}, []),
        ({"resource": Pattern("bob/*"), "interface": "settings"}, []),
        ({"resource": "nobody"}, []),
        ({"since": EPOCH + 10 * SECOND}, [2, 3, 4, 5]),
        ({"until": EPOCH + 10 * SECOND}, [1]),
        ({"since": EPOCH + 10 * SECOND, "until": EPOCH + 30 * SECOND}, [2, 3]),
    ],
)
def test_filters(disk: MemoryDisk, wanted: dict[str, Any], expected: list[int]) -> None:
    assert seqs(disk, **wanted) == expected


def test_the_newest_are_the_last_ones(disk: MemoryDisk) -> None:
    assert [one.seq for one in newest(log(disk, Filter()), 2)] == [4, 5]
    assert len(newest(log(disk, Filter()), 0)) == 5


async def test_many_resources_of_one_name_are_found_in_one_reading(clock: SteppedClock) -> None:
    disk = MemoryDisk()
    async with open_memory_engine(disk, clock=clock, options=QUIET) as engine:
        for number in range(FEW + 1):
            await engine.submit(create(f"cart-{number}", "bob", resource=engine.entropy(16)))
            await engine.submit(create("other", f"eve-{number}", resource=engine.entropy(16)))
        found = [entry.subject for entry in log(disk, Filter(resource=Pattern("bob/*")))]
    assert found == [f"bob/cart-{number}" for number in range(FEW + 1)]


def test_tells_how_far_it_is(disk: MemoryDisk) -> None:
    seen: list[int] = []
    list(log(disk, Filter(resource="bob/cart"), seen.append))
    assert seen[:5] == [1, 2, 3, 4, 5]
    assert seen[5:] == sorted(set(seen[5:])), "then only those of the resource"
    seen.clear()
    state_at(disk, None, seen.append)
    assert seen == [1, 2, 3, 4, 5]


async def test_erased_records_stay_in_the_log_and_are_found_by_name(
    disk: MemoryDisk, clock: SteppedClock
) -> None:
    async with open_memory_engine(disk, clock=clock, options=QUIET) as engine:
        await engine.erase([(2, Part.DETAILS | Part.CONTENT), (3, Part.CONTENT)], Cause.ERASURE_REQUEST)
    entries = list(log(disk, Filter(resource="bob/cart")))
    assert [one.seq for one in entries] == [2, 3, 4]
    assert entries[0].erased == ("details", "content")
    assert (entries[0].event, entries[0].subject, entries[0].actor, entries[0].details) == ("", "", "", None)
    assert (entries[0].verb, entries[0].cause) == ("put", "request")
    assert entries[1].erased == ("content",)
    assert entries[1].subject == "bob/cart"
    own = list(log(disk, Filter(interface="journal")))
    assert [one.verb for one in own] == ["erase", "erased"]
    assert own[0].details == {
        "erases": [
            {"parts": ["details", "content"], "first": 2, "last": 2},
            {"parts": ["content"], "first": 3, "last": 3},
        ]
    }
    assert own[1].details == {"carried_out": [6]}
    assert own[0].resource == ""


def test_what_a_newer_version_wrote_is_told_by_number(disk: MemoryDisk) -> None:
    record = next(scan(disk))
    newer = wire._pack([9999, 7, "user:x", {"a": b"\x01"}])
    header = record.header._replace(verb=77, interface=9, cause=99)
    entry = entry_of(Record(header, newer, None, -1))
    assert (entry.event, entry.verb, entry.interface, entry.cause) == ("unknown-9999", "77", "9", "99")
    assert entry.details == {"a": "01"}
    assert entry.subject == ""
    checkpoint = header._replace(interface=Interface.ENGINE, verb=Verb.CHECKPOINT, cause=0)
    entry = entry_of(Record(checkpoint, b"", b"\x01", -1))
    assert (entry.verb, entry.cause, entry.details) == ("checkpoint", "", {"content": 1})


def test_values_become_plain_json() -> None:
    value = {b"\x01": (1, [b"\xff", None, {"a": True}])}
    assert plain(value) == {"01": [1, ["ff", None, {"a": True}]]}


def test_every_event_names_its_subject_from_its_details() -> None:
    assert Event.subject({}) == ""
    subjects = {kind.__name__: kind.subject for kind in wire.CODES.values()}
    place = {"application": "app", "level": 0, "device": "", "user": ""}
    assert subjects["DocumentChanged"](place) == "app"
    assert subjects["DocumentChanged"]({**place, "level": 1, "user": "eve"}) == "app/user:eve"
    assert subjects["DocumentSet"]({**place, "level": 2, "user": "eve", "device": "d"}) == "app/device:d"
    assert subjects["BlobPut"]({"account": "a", "container": "c", "blob": "b/d"}) == "a/c/b/d"
    assert subjects["ContainerDeleted"]({"account": "a", "container": "c"}) == "a/c"
    assert subjects["TokenIssued"]({"account": "a", "container": None}) == "a"
    assert subjects["TokenIssued"]({"account": "a", "container": "c"}) == "a/c"


# --- time travel -------------------------------------------------------------------------------------------


def held(disk: MemoryDisk, time: int, **wanted: Any) -> list[dict[str, Any]]:
    return list(holdings.holdings(state_at(disk, time), time, **wanted))


def test_travels_to_any_moment(disk: MemoryDisk) -> None:
    assert held(disk, EPOCH - 1) == []
    (area,) = held(disk, EPOCH)
    assert area == {
        "interface": "areas",
        "kind": "area",
        "resource": RESOURCE.hex(),
        "subject": PLAIN,
        "until": "2026-01-01T00:01:40.000000Z",
        "keys": {"phone": {"text": "+49", "until": "2026-01-01T00:01:40.000000Z"}},
    }
    at_10 = held(disk, EPOCH + 10 * SECOND)
    assert [one["subject"] for one in at_10] == [PLAIN, "bob/cart"]
    assert at_10[1]["keys"]["items"]["text"] == "3"
    (cart,) = held(disk, EPOCH + 20 * SECOND, resource=Pattern("bob/*"))
    assert cart["keys"]["items"]["text"] == "4"
    assert [one["subject"] for one in held(disk, EPOCH + 30 * SECOND)] == [PLAIN]


def test_what_was_past_its_deadline_is_not_shown_although_not_swept(disk: MemoryDisk) -> None:
    assert len(held(disk, EPOCH + 100 * SECOND - 1)) == 1
    assert held(disk, EPOCH + 100 * SECOND) == []
    assert state_at(disk, EPOCH + 100 * SECOND).seq == 4


def test_holdings_are_filtered(disk: MemoryDisk) -> None:
    moment = EPOCH + 10 * SECOND
    assert held(disk, moment, interface="settings") == []
    assert len(held(disk, moment, interface="areas")) == 2
    assert len(held(disk, moment, number=OTHER.hex())) == 1
    assert held(disk, moment, resource=OTHER.hex()) == []
    assert held(disk, moment, resource="nothing") == []


async def test_a_key_past_its_deadline_is_left_out_of_its_area(clock: SteppedClock) -> None:
    disk = MemoryDisk()
    async with open_memory_engine(disk, clock=clock, options=QUIET) as engine:
        file = NewFile("a.pdf", "application/pdf", Inline(b"%PDF", bytes(16)))
        text = NewFile("", None, Inline(b"long", bytes(16)))
        values = {"short": "1", "file": file, "long": text}
        await engine.submit(CreateArea(actor="a", name=PLAIN, resource=RESOURCE, values=values, ttl=100))
        later = UpdateArea(actor="a", name=PLAIN, resource=RESOURCE, values={"late": "2"}, ttl=200)
        await engine.submit(later)
    (area,) = held(disk, EPOCH)
    assert area["keys"]["file"] == {
        "file": "a.pdf",
        "type": "application/pdf",
        "size": 4,
        "until": "2026-01-01T00:01:40.000000Z",
    }
    assert area["keys"]["long"]["text_bytes"] == 4
    (area,) = held(disk, EPOCH + 150 * SECOND)
    assert set(area["keys"]) == {"late"}
    assert area["until"] == "2026-01-01T00:03:20.000000Z"


async def test_blobs_tokens_and_settings_are_told_as_well(clock: SteppedClock) -> None:
    disk = MemoryDisk()
    async with open_memory_engine(disk, clock=clock, options=QUIET) as engine:
        where = {"actor": "a", "account": "acc", "container": "rec"}
        await engine.submit(CreateContainer(**where, resource=RESOURCE))
        put = PutBlob(
            **where,
            name="x/y.opus",
            resource=OTHER,
            body=Inline(b"data", bytes(16)),
            md5=None,
            headers=ContentHeaders("audio/opus"),
            metadata=(("k", "v"),),
            tags=(("t", "1"),),
        )
        await engine.submit(put)
        grants = (
            TokenGrant(b"1" * 16, None, "r", EPOCH, EPOCH + 10 * SECOND, None),
            TokenGrant(b"2" * 16, "rec", "r", EPOCH, EPOCH + 20 * SECOND, "policy"),
        )
        await engine.submit(IssueTokens(actor="user:op", account="acc", grants=grants))
        await engine.submit(RevokeTokens(actor="user:op", account="acc", token_ids=(b"2" * 16,)))
        document = ImportDocument(
            actor="import",
            place=Place("app", Level.USER, "", "eve"),
            value={"theme": {"dark": True}},
            policy=SettingsPolicy(),
            resource=b"s" * 16,
        )
        await engine.submit(document)
    kinds = [(one["interface"], one["kind"], one["subject"]) for one in held(disk, EPOCH)]
    assert kinds == [
        ("settings", "user-document", "app/user:eve"),
        ("blobs", "container", "acc/rec"),
        ("blobs", "blob", "acc/rec/x/y.opus"),
        ("blobs", "token", "acc"),
        ("blobs", "token", "acc/rec"),
    ]
    by_kind = {one["kind"]: one for one in held(disk, EPOCH)}
    assert by_kind["user-document"]["document"] == {"theme": {"dark": True}}
    assert by_kind["blob"]["size"] == 4
    assert by_kind["blob"]["until"].startswith("2026-01-31T00:00:00")
    assert by_kind["blob"]["tags"] == {"t": "1"}
    assert by_kind["token"]["revoked"].startswith("2026-01-01T00:00:00")
    assert [one["subject"] for one in held(disk, EPOCH + 10 * SECOND) if one["kind"] == "token"] == [
        "acc/rec"
    ]
    assert [one["kind"] for one in held(disk, EPOCH + 31 * DAY, interface="blobs")] == ["container"]
    json.dumps(held(disk, EPOCH))


def test_times_are_rfc_3339_as_far_as_that_goes() -> None:
    assert timestamp(0) == "1970-01-01T00:00:00.000000Z"
    assert timestamp(EPOCH + 123_456_789) == "2026-01-01T00:00:00.123456Z"
    assert timestamp(1 << 62) == "2116-02-20T23:53:38.427387Z"
    assert timestamp(1 << 90).endswith(" ns")


async def test_works_beside_a_running_engine(clock: SteppedClock) -> None:
    disk = MemoryDisk()
    async with open_engine(disk, clock=clock, options=QUIET) as engine:
        for number in range(20):
            await engine.submit(create(str(number), a="b"))
            assert seqs(disk) == list(range(1, number + 2))
        assert len(held(disk, clock.wall())) == 20
