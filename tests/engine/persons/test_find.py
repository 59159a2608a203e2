"""What is kept about whom: found in live state and in history, ended on request, and nothing else touched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from retain import journal
from retain.engine import Cause, Engine
from retain.engine.areas import CreateArea, DeleteArea, NewFile, UpdateArea
from retain.engine.blobs.commands import PutBlob, SetBlobTags, StageBlock
from retain.engine.blobs.container_commands import CreateContainer
from retain.engine.blobs.entries import ContentHeaders
from retain.engine.core.pattern import Pattern
from retain.engine.holds import HoldKind, HoldTarget, SetHold
from retain.engine.persons.end import ENDED, HELD, LIVING, Ended, EndSubjects, status_of
from retain.engine.persons.find import FEW, Selection, kind_of, recorded, remains
from retain.engine.settings import DeleteValue, MergeValue, PutValue
from retain.engine.settings.model import Asker, Level, Place, SettingsPolicy
from retain.engine.settings.value import EncodedValue
from retain.engine.testing import SteppedClock, open_memory_engine
from retain.engine.wire import About
from retain.journal import Part
from tests.kit.engines import LightOptions
from tests.kit.slices import inline

ANN = Place("app", Level.USER, user="ann")
QUIET = LightOptions(sweep_interval_s=3600.0)


class Store:
    """An engine with short forms for what is kept in it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def area(self, name: str, user: str | None = None, *, actor: str = "anonymous") -> None:
        await self.engine.submit(
            CreateArea(
                actor=actor,
                name=name,
                user=user,
                resource=self.engine.entropy(16),
                values={"phone": "+49", "scan": NewFile("scan.pdf", "application/pdf", inline(b"pdf"))},
                ttl=1000,
            )
        )

    async def document(
        self, place: Place, command: type[Any] = PutValue, value: Any = None, actor: str = "user:ann"
    ) -> None:
        fields = (
            {} if command is DeleteValue else {"body": EncodedValue.of(value or {"theme": {"dark": True}})}
        )
        await self.engine.submit(
            command(
                actor=actor,
                asker=Asker(place.user or "root", admin=True),
                place=place,
                path=(),
                policy=SettingsPolicy(put_creates=True),
                resource=self.engine.entropy(16),
                **fields,
            )
        )

    async def blob(self, name: str, *, account: str = "mytenant", **fields: Any) -> None:
        body = inline(b"voice of " + name.encode())
        await self.engine.submit(
            PutBlob(
                actor="sas",
                account=account,
                container="recordings",
                name=name,
                resource=self.engine.entropy(16),
                body=body,
                headers=ContentHeaders("audio/opus"),
                md5=body.md5,
                **fields,
            )
        )

    async def container(self, account: str = "mytenant") -> None:
        await self.engine.submit(
            CreateContainer(
                actor="retain", account=account, container="recordings", resource=self.engine.entropy(16)
            )
        )

    async def block(self, name: str) -> None:
        await self.engine.submit(
            StageBlock(
                actor="sas",
                account="mytenant",
                container="recordings",
                name=name,
                resource=self.engine.entropy(16),
                block_id=b"1",
                body=inline(b"block"),
            )
        )

    def found(self, **asked: Any) -> list[str]:
        return [one.target.subject for one in recorded(self.engine.disk, Selection(**asked))]

    def targets(self, **asked: Any) -> list[HoldTarget]:
        return [one.target for one in recorded(self.engine.disk, Selection(**asked))]

    async def end(self, *targets: HoldTarget) -> list[str]:
        results = await self.engine.submit(EndSubjects(actor="cli:dpo", targets=targets))
        assert tuple(one.target for one in results) == targets
        return [one.status for one in results]


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    """Data of ann, of the customer bob, and of others."""
    async with open_memory_engine(clock=SteppedClock(), options=QUIET) as engine:
        store = Store(engine)
        await store.area("cart", "bob")
        await store.area("plain")
        await store.area("cart", "carol", actor="user:ann")
        await store.document(ANN)
        await store.document(ANN, MergeValue, {"theme": {"dark": False}})
        await store.document(Place("app", Level.DEVICE, "phone", "ann"))
        await store.document(Place("app", Level.GLOBAL), actor="user:root")
        await store.document(Place("app", Level.USER, user="bob"), actor="user:bob")
        await store.container()
        await store.container("other")
        await store.blob("4711/call.opus", tags=(("customer", "4711"), ("kind", "call")))
        await store.blob("4712/call.opus", tags=(("customer", "4712"),))
        await store.blob("4711/call.opus", account="other")
        await store.block("staged")
        yield store


# --- finding ----------


async def test_a_user_of_the_settings_is_found_at_user_and_device_level(store: Store) -> None:
    assert store.found(users=frozenset({"ann"})) == ["app/user:ann", "app/device:phone"]


async def test_a_customer_of_the_areas_is_found(store: Store) -> None:
    assert store.found(customers=frozenset({"bob"})) == ["bob/cart"]


async def test_a_tenant_is_everything_in_its_containers_without_them(store: Store) -> None:
    assert store.found(tenants=frozenset({"mytenant"})) == [
        "mytenant/recordings/4711/call.opus",
        "mytenant/recordings/4712/call.opus",
        "mytenant/recordings/staged",
    ]


async def test_a_query_is_names_and_tags_that_narrow_each_other(store: Store) -> None:
    assert store.found(names=(Pattern("*4711*"),)) == [
        "mytenant/recordings/4711/call.opus",
        "other/recordings/4711/call.opus",
    ]
    assert store.found(names=(Pattern("*.opus"),), tags={"customer": "4712"}) == [
        "mytenant/recordings/4712/call.opus"
    ]
    assert store.found(tags={"customer": "4711", "kind": "call"}) == ["mytenant/recordings/4711/call.opus"]
    assert store.found(tags={"customer": "4711", "kind": "mail"}) == []


async def test_an_actor_is_found_by_what_it_did(store: Store) -> None:
    assert store.found(actors=frozenset({Pattern("user:a*")})) == [
        "carol/cart",
        "app/user:ann",
        "app/device:phone",
    ]


async def test_what_is_asked_for_adds_up(store: Store) -> None:
    assert store.found(users=frozenset({"ann"}), customers=frozenset({"bob"})) == [
        "bob/cart",
        "app/user:ann",
        "app/device:phone",
    ]


async def test_a_number_is_looked_up(store: Store) -> None:
    (target,) = store.targets(customers=frozenset({"bob"}))
    asked = Selection(resources=frozenset({target.resource}))
    assert asked
    assert asked.by_number
    assert not Selection()
    assert [one.target for one in recorded(store.engine.disk, asked)] == [target]
    with_name = Selection(resources=frozenset({target.resource}), users=frozenset({"nobody"}))
    assert [one.target for one in recorded(store.engine.disk, with_name)] == [target]


async def test_what_is_found_is_counted(store: Store) -> None:
    seen: list[int] = []
    (one,) = recorded(store.engine.disk, Selection(customers=frozenset({"bob"})), seen.append)
    assert seen == list(range(1, store.engine.state.seq + 1))
    assert (one.interface, one.records, one.kept) == ("areas", 2, 2)
    assert one.first == one.last == store.engine.state.time
    assert one.size == len("+49") + len(b"pdf")


async def test_a_body_in_a_file_counts_with_its_length(store: Store) -> None:
    async with store.engine.upload() as upload:
        await upload.write(bytes(100_000))
        file = NewFile("big.bin", "application/pdf", await upload.finish())
        await store.engine.submit(
            CreateArea(actor="x", name="big", user="dan", resource=bytes(16), values={"file": file}, ttl=1000)
        )
    (one,) = recorded(store.engine.disk, Selection(customers=frozenset({"dan"})))
    assert one.size == 100_000


async def test_what_is_deleted_and_not_yet_erased_is_found(store: Store) -> None:
    await store.engine.submit(DeleteArea(actor="x", name="cart", user="bob"))
    await store.document(ANN, DeleteValue)
    found = recorded(store.engine.disk, Selection(customers=frozenset({"bob"}), users=frozenset({"ann"})))
    assert [(one.target.subject, one.kept) for one in found] == [
        ("bob/cart", 2),
        ("app/user:ann", 2),
        ("app/device:phone", 1),
    ]


async def test_a_tag_that_was_replaced_is_found(store: Store) -> None:
    await store.engine.submit(
        SetBlobTags(actor="x", account="mytenant", container="recordings", name="4712/call.opus", tags=())
    )
    assert store.found(tags={"customer": "4712"}) == ["mytenant/recordings/4712/call.opus"]


async def test_many_are_found_in_one_reading(store: Store) -> None:
    for number in range(FEW + 1):
        await store.area(f"area-{number}", "eve")
    found = recorded(store.engine.disk, Selection(customers=frozenset({"eve"})))
    assert [one.records for one in found] == [2] * (FEW + 1)


def test_other_records_are_about_no_data() -> None:
    assert kind_of(None) is None
    assert kind_of(About(9999, None, "x", {})) is None


# --- ending ----------


async def test_what_lives_ends_and_tells_why(store: Store) -> None:
    targets = [
        *store.targets(users=frozenset({"ann"})),
        *store.targets(customers=frozenset({"bob"})),
        *store.targets(tenants=frozenset({"mytenant"})),
    ]
    assert await store.end(*targets) == [LIVING] * 6
    ended = {target.resource for target in targets}
    causes = [
        record.header.cause
        for record in journal.scan(store.engine.disk)
        if record.header.resource in ended and record.header.verb == journal.Verb.DELETE
    ]
    assert causes == [Cause.ERASURE_REQUEST] * 6
    assert set(store.engine.state.areas.areas) == {"plain", "\0carol\0cart"}
    assert await store.end(*targets) == [ENDED] * 6


async def test_a_blob_goes_with_what_is_staged_under_its_name(store: Store) -> None:
    await store.block("4711/call.opus")
    (target,) = store.targets(tags={"customer": "4711"})
    assert await store.end(target) == [LIVING]
    container = store.engine.state.blobs.find("mytenant", "recordings")
    assert container is not None
    assert set(container.pending) == {"staged"}


async def test_a_name_that_means_something_else_by_now_is_passed_over(store: Store) -> None:
    targets = [
        *store.targets(customers=frozenset({"bob"})),
        *store.targets(users=frozenset({"ann"})),
        *store.targets(tags={"customer": "4711"}),
    ]
    assert await store.end(*targets) == [LIVING] * 4
    await store.area("cart", "bob")
    await store.document(ANN)
    await store.blob("4711/call.opus")
    assert await store.end(*targets) == [ENDED] * 4
    assert await store.end(HoldTarget(HoldKind.BLOB, bytes(16), ("nobody", "recordings", "x"))) == [ENDED]


async def test_what_is_held_stays(store: Store) -> None:
    area, blob = (
        *store.targets(customers=frozenset({"bob"})),
        *store.targets(tags={"customer": "4711"}),
    )
    for kind, names in ((HoldKind.AREA, area.names), (HoldKind.CONTAINER, ("mytenant", "recordings"))):
        await store.engine.submit(
            SetHold(actor="x", hold_id=store.engine.entropy(16), kind=kind, names=names, reason="case 7")
        )
    assert await store.end(area, blob) == [HELD, HELD]
    assert [status_of(store.engine.state, one) for one in (area, blob)] == [HELD, HELD]
    other = store.targets(customers=frozenset({"carol"}))
    assert await store.engine.submit(EndSubjects(actor="x", targets=other)) == (Ended(other[0], LIVING),)


# --- what is left of it ----------


async def test_all_content_is_named_for_erasure_and_then_gone(store: Store) -> None:
    await store.engine.submit(
        UpdateArea(actor="x", name="cart", user="bob", resource=bytes(16), values={"phone": "+43"}, ttl=1000)
    )
    (target,) = store.targets(customers=frozenset({"bob"}))
    await store.end(target)
    disk = store.engine.disk
    parts = remains(disk, [target.resource])
    assert [part for _, part in parts] == [Part.CONTENT] * 3
    await store.engine.erase(parts, Cause.ERASURE_REQUEST)
    assert remains(disk, [target.resource]) == []
    names = remains(disk, [target.resource], names=True)
    assert [part for _, part in names] == [Part.DETAILS] * 4
    await store.engine.erase(names, Cause.ERASURE_REQUEST)
    assert store.found(customers=frozenset({"bob"})) == []
    assert journal.verify(disk).sound
