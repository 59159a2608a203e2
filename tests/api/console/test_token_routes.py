"""``/console/api/tokens``: who may, what goes in, what comes out."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from retain.api.admin.actions import Administration
from retain.api.cli.assemble import assembled
from retain.api.config.load import Config, SettingsConfig, UserConfig
from retain.engine.testing import open_memory_engine
from tests.kit.engines import LightOptions
from tests.kit.passwords import cheap_hash

PATH = "/console/api/tokens"
USERS = (
    UserConfig(name="operator", password=cheap_hash("right"), roles=("admin",)),
    UserConfig(name="agent", password=cheap_hash("right"), roles=("Role1",)),
)
ASKED = {"tenant": "mytenant", "expiry": "2060-05-13", "timezone": "UTC-08:00"}


def basic(name: str = "operator", password: str = "right") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@asynccontextmanager
async def console(**settings: Any) -> AsyncIterator[Any]:
    config = Config(users=USERS, settings=SettingsConfig(**settings))
    async with open_memory_engine(options=LightOptions()) as engine:
        office = await Administration.open(engine, config)
        await office.add_tenant(actor="cli", name="mytenant")
        yield (await assembled(engine, config, office).pages()).test_client()


async def test_one_action_makes_three_tokens() -> None:
    async with console() as client:
        made = await client.post(PATH, json=ASKED, headers=basic())
        tokens = (await made.get_json())["tokens"]
        assert made.status_code == 201
        assert made.headers["Cache-Control"] == "no-store"
        assert [token["container"] for token in tokens] == [None, "recordings", "gim-export"]
        assert [token["permissions"] for token in tokens] == ["f", "rl", "rl"]
        assert tokens[0]["expiry"] == "2060-05-13T08:00:00Z"
        assert tokens[0]["policy_id"] is None
        assert all("sig=" in token["token"] for token in tokens)
        assert tokens[1]["url"] == "http://localhost/mytenant/recordings"


async def test_listing_shows_no_token_and_revoking_ends_them() -> None:
    async with console() as client:
        made = (await (await client.post(PATH, json=ASKED, headers=basic())).get_json())["tokens"]
        listed = await client.get(f"{PATH}?tenant=mytenant", headers=basic())
        assert "sig=" not in await listed.get_data(as_text=True)
        first = {"tenant": "mytenant", "ids": [made[1]["id"]]}
        ended = await client.post(f"{PATH}/revoke", json=first, headers=basic())
        assert [token["state"] for token in (await ended.get_json())["tokens"]] == ["revoked"]
        rest = await client.post(f"{PATH}/revoke", json={"tenant": "mytenant"}, headers=basic())
        assert len((await rest.get_json())["tokens"]) == 1


async def test_who_asks_stands_with_the_token() -> None:
    async with console() as client:
        made = await client.post(PATH, json={**ASKED, "revoke_existing": True}, headers=basic())
        assert {token["issuer"] for token in (await made.get_json())["tokens"]} == {"user:operator"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), (basic(password="wrong"), 401), (basic("agent"), 403)],
    ids=["nobody", "wrong password", "no administrator"],
)
async def test_others_are_turned_away(headers: dict[str, str], status: int) -> None:
    async with console() as client:
        for answer in (
            await client.post(PATH, json=ASKED, headers=headers),
            await client.get(f"{PATH}?tenant=mytenant", headers=headers),
        ):
            assert answer.status_code == status
            assert "error" in await answer.get_json()
            assert ("WWW-Authenticate" in answer.headers) is (status == 401)
            error = (await answer.get_json())["error"]
            known = {401: ("unauthenticated", "credentials"), 403: ("forbidden", "admin")}
            assert (error["code"], error["reason"]) == known[status]


async def test_administrators_are_who_the_configuration_says() -> None:
    async with console(admin_roles=("Role1",)) as client:
        assert (await client.post(PATH, json=ASKED, headers=basic("agent"))).status_code == 201
        assert (await client.post(PATH, json=ASKED, headers=basic())).status_code == 403


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({**ASKED, "tenant": "nobody"}, 404, "tenant"),
        ({**ASKED, "containers": ["nowhere"]}, 404, "container"),
        ({**ASKED, "containers": ["recordings"] * 2}, 400, "container"),
        ({**ASKED, "containers": [1]}, 400, "body"),
        ({**ASKED, "timezone": "Mars/Base"}, 400, "timezone"),
        ({**ASKED, "expiry": "tomorrow"}, 400, "date"),
        ({**ASKED, "expiry": "2000-01-01"}, 400, "token-times"),
        ({**ASKED, "revoke_existing": "yes"}, 400, "body"),
        ({**ASKED, "actor": "someone else"}, 400, "body"),
        ({"tenant": "mytenant"}, 400, "body"),
        ([], 400, "body"),
    ],
)
async def test_what_is_wrong_is_refused(body: Any, status: int, reason: str) -> None:
    async with console() as client:
        answer = await client.post(PATH, json=body, headers=basic())
        assert (answer.status_code, (await answer.get_json())["error"]["reason"]) == (status, reason)


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 60_000, b'{"tenant": "' + b"x" * 70_000 + b'"}', b"\xff"])
async def test_bodies_that_are_no_json_are_refused(data: bytes) -> None:
    async with console() as client:
        headers = {**basic(), "Content-Type": "application/json"}
        answer = await client.post(PATH, data=data, headers=headers)
        assert answer.status_code == 400


async def test_a_form_of_another_site_is_refused() -> None:
    async with console() as client:
        headers = {**basic(), "Content-Type": "text/plain"}
        answer = await client.post(PATH, data=b'{"tenant": "mytenant"}', headers=headers)
        assert answer.status_code == 415


async def test_a_full_container_of_policies_is_a_conflict() -> None:
    async with console() as client:
        for _ in range(5):
            assert (await client.post(PATH, json=ASKED, headers=basic())).status_code == 201
        answer = await client.post(PATH, json=ASKED, headers=basic())
        assert answer.status_code == 409
        error = (await answer.get_json())["error"]
        assert error["reason"] == "policy-limit"
        assert "the container " in error["message"]
        assert "--revoke-existing" in error["message"]
        again = await client.post(PATH, json={**ASKED, "revoke_existing": True}, headers=basic())
        assert again.status_code == 201
