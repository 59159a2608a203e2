"""Holds and the eraser: nothing held is erased, whether it ended before the hold or is kept by it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from retain import journal
from retain.engine.areas import DeleteArea
from retain.engine.blobs.commands import DeleteBlob
from retain.engine.blobs.container_commands import DeleteContainer
from retain.engine.blobs.expiry import FREED
from retain.engine.core.pattern import Pattern
from retain.engine.holds import Hold, HoldKind, LiftHold, SetHold
from retain.engine.persons.find import Selection, recorded
from retain.engine.settings import MergeValue
from retain.engine.testing import SteppedClock, open_memory_engine, verify
from retain.journal.testing.memory import MemoryDisk
from tests.engine.persons.test_find import ANN, Store
from tests.kit.engines import LightOptions

SECONDS_A_DAY = 86_400
QUIET = replace(LightOptions(), sweep_interval_s=3600.0)


class Kept(Store):
    """A store with short forms for holds and what is left."""

    async def hold(self, kind: HoldKind, *names: Any, resource: bytes = b"") -> Hold:
        command = SetHold(
            actor="x",
            hold_id=self.engine.entropy(16),
            kind=kind,
            names=names,
            resource=resource,
            reason="case 7",
        )
        return await self.engine.submit(command)

    async def lift(self, hold: Hold) -> None:
        await self.engine.submit(LiftHold(actor="x", hold_id=hold.hold_id))

    async def erase_due(self) -> None:
        await self.engine.sweep()
        await self.engine.erase_due()

    def left(self, **asked: Any) -> dict[str, int]:
        """Names, and how many records of each still have their content."""
        return {one.target.subject: one.kept for one in recorded(self.engine.disk, Selection(**asked))}


@pytest.fixture
async def kept() -> AsyncIterator[tuple[Kept, SteppedClock]]:
    clock = SteppedClock()
    async with open_memory_engine(MemoryDisk(), clock=clock, options=QUIET) as engine:
        yield Kept(engine), clock


Fixture = tuple[Kept, SteppedClock]


async def test_what_a_hold_keeps_beyond_its_deadline_is_not_erased(kept: Fixture) -> None:
    store, clock = kept
    await store.area("cart", "bob")
    await store.area("other", "bob")
    hold = await store.hold(HoldKind.AREA, "cart", "bob")
    clock.advance(SECONDS_A_DAY)
    await store.erase_due()
    assert store.left(customers=frozenset({"bob"})) == {"bob/cart": 2, "bob/other": 0}
    await store.lift(hold)
    await store.erase_due()
    assert store.left(customers=frozenset({"bob"})) == {"bob/cart": 0, "bob/other": 0}
    assert journal.verify(store.engine.disk).sound


async def test_what_ended_before_the_hold_is_not_erased(kept: Fixture) -> None:
    store, _ = kept
    await store.area("cart", "bob")
    number = store.engine.state.areas.areas["\0bob\0cart"][0]
    await store.engine.submit(DeleteArea(actor="x", name="cart", user="bob"))
    hold = await store.hold(HoldKind.AREA, "cart", "bob", resource=number)
    assert hold.target.kind is HoldKind.RESOURCE
    await store.erase_due()
    assert store.left(customers=frozenset({"bob"})) == {"bob/cart": 2}
    await store.lift(hold)
    await store.erase_due()
    assert store.left(customers=frozenset({"bob"})) == {"bob/cart": 0}


@pytest.mark.parametrize("kind", [HoldKind.CONTAINER, HoldKind.TENANT])
async def test_what_ended_in_a_container_before_its_hold_is_not_erased(kept: Fixture, kind: HoldKind) -> None:
    store, _ = kept
    await store.container()
    await store.container("other")
    for account in ("mytenant", "other"):
        await store.blob("a", account=account)
        await store.engine.submit(DeleteBlob(actor="x", account=account, container="recordings", name="a"))
    hold = await store.hold(kind, *("mytenant", "recordings")[: 2 if kind is HoldKind.CONTAINER else 1])
    await store.erase_due()
    assert store.left(names=(Pattern("*"),)) == {"mytenant/recordings/a": 1, "other/recordings/a": 0}
    await store.lift(hold)
    await store.erase_due()
    assert store.left(names=(Pattern("*"),)) == {"mytenant/recordings/a": 0, "other/recordings/a": 0}


async def test_every_version_of_a_held_document_stays(kept: Fixture) -> None:
    store, clock = kept
    await store.document(ANN)
    hold = await store.hold(HoldKind.DOCUMENT, *ANN)
    for dark in (False, True, False):
        await store.document(ANN, MergeValue, {"theme": {"dark": dark}})
    clock.advance(1000 * SECONDS_A_DAY)
    await store.erase_due()
    assert store.left(users=frozenset({"ann"}))["app/user:ann"] >= 4
    await store.lift(hold)
    await store.erase_due()
    assert store.left(users=frozenset({"ann"})) == {"app/user:ann": 1}


async def test_names_and_the_hold_itself_outlast_the_audit_period(kept: Fixture) -> None:
    store, clock = kept
    await store.area("cart", "bob")
    hold = await store.hold(HoldKind.AREA, "cart", "bob")
    for _ in range(3):
        clock.advance(400 * SECONDS_A_DAY)
        await store.erase_due()
    assert list(store.engine.state.holds.holds.values()) == [hold]
    assert store.left(customers=frozenset({"bob"}))["bob/cart"] >= 2
    await store.lift(hold)
    await store.erase_due()
    clock.advance(400 * SECONDS_A_DAY)
    await store.erase_due()
    assert store.left(customers=frozenset({"bob"})) == {}


async def test_what_ended_a_held_blob_stays_for_as_long_as_its_record() -> None:
    clock, disk = SteppedClock(), MemoryDisk()
    options = replace(QUIET, audit_days=40.0, history_days=10.0, snapshot_records=0)
    async with open_memory_engine(disk, clock=clock, options=options) as engine:
        store = Kept(engine)
        await store.container()
        await store.blob("film")
        blob = engine.state.blobs.accounts["mytenant"]["recordings"].blobs["film"].resource
        await engine.submit(DeleteContainer(actor="x", account="mytenant", container="recordings"))
        hold = await store.hold(HoldKind.RESOURCE, resource=blob)
        clock.advance(60 * SECONDS_A_DAY)
        await store.area("later", "bob")
        await store.erase_due()
        assert not engine.replayed().blobs.accounts, "a replay would bring it back"
        await store.lift(hold)
        await store.erase_due()
        assert not store.left(tenants=frozenset({"mytenant"}))
        assert not engine.replayed().blobs.accounts


async def test_what_let_a_held_blob_go_from_a_closed_container_stays_as_well() -> None:
    """Large containers are removed in parts: these events name no blob, and end many."""
    clock, disk = SteppedClock(), MemoryDisk()
    options = replace(QUIET, audit_days=40.0, history_days=10.0, snapshot_records=0)
    async with open_memory_engine(disk, clock=clock, options=options) as engine:
        store = Kept(engine)
        await store.container()
        for number in range(FREED + 2):
            await store.blob(f"{number:04}")
        blob = engine.state.blobs.accounts["mytenant"]["recordings"].blobs["0001"].resource
        await engine.submit(DeleteContainer(actor="x", account="mytenant", container="recordings"))
        assert engine.state.blobs.closed
        await engine.sweep()
        assert not engine.state.blobs.closed
        hold = await store.hold(HoldKind.RESOURCE, resource=blob)
        for _ in range(2):
            clock.advance(60 * SECONDS_A_DAY)
            await store.area("later", "bob")
            await store.erase_due()
            assert not engine.replayed().blobs.accounts, "a replay would bring it back"
            assert not engine.replayed().blobs.closed
        await store.lift(hold)
        await store.erase_due()
        await verify(engine)
