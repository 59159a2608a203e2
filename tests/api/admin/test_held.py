"""The refusals for held resources, as each interface words them."""

from __future__ import annotations

from typing import Any

from retain.engine import Engine
from retain.engine.holds import Hold, HoldKind, LiftHold, SetHold
from retain.engine.settings.model import Level
from tests.kit.areas import areas_client
from tests.kit.blob_client import ACCOUNT, blob_client
from tests.kit.settings import settings_client


async def hold(engine: Engine, kind: HoldKind, *names: Any) -> Hold:
    command = SetHold(actor="cli:dpo", hold_id=engine.entropy(16), kind=kind, names=names, reason="case 7")
    return await engine.submit(command)


async def lift(engine: Engine, held: Hold) -> None:
    await engine.submit(LiftHold(actor="cli:dpo", hold_id=held.hold_id))


async def test_areas_answer_conflict_and_stay_as_they_are() -> None:
    async with areas_client() as client:
        name = await client.create({"a": "1"})
        held = await hold(client.engine, HoldKind.AREA, name, None)
        for answer in (await client.delete(f"/{name}"), await client.post(f"/{name}/60", {"a": "2"})):
            assert answer.status == 409
            assert answer.json()["exception"].endswith("StorageExceptionConflict")
            assert answer.json()["message"] == f"the area {name} is under a legal hold and cannot be changed"
        assert (await client.get(f"/{name}/a")).text == "1"
        await lift(client.engine, held)
        assert (await client.delete(f"/{name}")).status == 200


async def test_a_held_area_past_its_deadline_is_hidden() -> None:
    async with areas_client() as client:
        name = await client.create({"a": "1"}, 60)
        await hold(client.engine, HoldKind.AREA, name, None)
        client.clock.advance(60)
        assert (await client.get(f"/{name}")).status == 404
        await client.engine.sweep()
        assert (await client.delete(f"/{name}")).status == 404
        assert name in client.engine.state.areas.areas


async def test_settings_change_but_are_not_deleted() -> None:
    async with settings_client() as client:
        assert (await client.call("PUT", "device/phone", {"colours": {"menu": "red"}})).status in (200, 201)
        held = await hold(client.engine, HoldKind.DOCUMENT, "app", Level.DEVICE, "phone", "ann")
        refused = await client.call("DELETE", "device/phone")
        assert (refused.status, refused.json()["code"]) == (409, "conflict")
        assert (
            refused.json()["message"]
            == "the device document of app is under a legal hold and cannot be deleted"
        )
        changed = await client.call("PUT", "device/phone/colours", {"menu": "blue"})
        assert changed.status in (200, 204)
        assert (await client.call("GET", "device/phone")).json() == {"colours": {"menu": "blue"}}
        await lift(client.engine, held)
        assert (await client.call("DELETE", "device/phone")).status in (200, 204)


async def test_blobs_are_immutable_in_azures_terms() -> None:
    async with blob_client() as client:
        await client.create()
        await client.put("call.opus", b"one")
        held = await hold(client.engine, HoldKind.BLOB, ACCOUNT, "recordings", "call.opus")
        for answer in (
            await client.put("call.opus", b"two"),
            await client.send("DELETE", "/recordings/call.opus"),
        ):
            assert (answer.status, answer.code) == (409, "BlobImmutableDueToPolicy")
        refused = await client.send("DELETE", "/recordings?restype=container")
        assert (refused.status, refused.code) == (409, "ContainerImmutableDueToPolicy")
        assert (await client.get("call.opus")).body == b"one"
        await lift(client.engine, held)
        assert (await client.put("call.opus", b"two")).status == 201


async def test_a_container_says_that_it_is_held() -> None:
    async with blob_client() as client:
        await client.create()
        await client.create("exports")
        await hold(client.engine, HoldKind.CONTAINER, ACCOUNT, "recordings")
        shown = {
            name: (await client.send("GET", f"/{name}?restype=container")).headers["x-ms-has-legal-hold"]
            for name in ("recordings", "exports")
        }
        assert shown == {"recordings": "true", "exports": "false"}
        listed = await client.send("GET", "/?comp=list")
        assert listed.texts("Containers/Container/Name") == ["exports", "recordings"]
        assert listed.texts("Containers/Container/Properties/HasLegalHold") == ["false", "true"]
