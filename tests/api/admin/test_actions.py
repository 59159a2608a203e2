"""What operators do: tenants and tokens, held against the verification that requests go through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from retain.api.admin.actions import Administration
from retain.api.blobs.sas import verify as sas
from retain.api.blobs.sas.token import parse_token
from retain.api.blobs.wire.errors import AzureError
from retain.api.config.load import BlobsConfig, Config, RetentionConfig, ServerConfig, TenantConfig
from retain.engine import Conflict, Engine, Invalid, NotFound
from retain.engine.blobs import queries
from retain.engine.testing import open_memory_engine
from retain.journal import scan
from retain.journal.testing.memory import MemoryDisk
from tests.kit.engines import LightOptions

ACTOR = "user:operator"
EXPIRY = "2060-02-01"


@asynccontextmanager
async def opened(config: Config | None = None) -> AsyncIterator[tuple[Engine, Administration]]:
    async with open_memory_engine(options=LightOptions()) as engine:
        yield engine, await Administration.open(engine, config or Config())


def verdict(engine: Engine, office: Administration, token: dict[str, Any]) -> sas.Grant:
    """What the interface makes of a token now."""

    def policy_of(container: str, name: str) -> sas.Policy | None:
        found = engine.state.blobs.find("mytenant", container)
        assert found is not None
        for policy in found.entry.policies:
            if policy.policy_id == name:
                return sas.Policy(policy.start, policy.expiry, policy.permissions)
        return None

    parsed = parse_token(token["token"].encode())
    assert parsed is not None
    target = sas.SignedResource("mytenant", token["container"])
    facts = sas.SasFacts(engine.now(), "127.0.0.1", secure=False)
    return sas.verify(parsed, target, office.tenants.required("mytenant"), facts, policy_of)


async def test_a_tenant_has_keys_and_its_containers() -> None:
    async with opened() as (_, office):
        made = await office.add_tenant(actor=ACTOR, name="mytenant")
        assert [one["name"] for one in made["containers"]] == ["gim-export", "recordings"]
        assert "keys" not in made
        shown = await office.show_tenant(actor=ACTOR, name="mytenant", with_keys=True)
        assert len(shown["keys"]) == 2
        assert await office.list_tenants(actor=ACTOR) == [made]


async def test_bad_containers_make_no_tenant() -> None:
    async with opened() as (_, office):
        with pytest.raises(Invalid) as refused:
            await office.add_tenant(actor=ACTOR, name="mytenant", containers=["UPPER"])
        assert refused.value.reason == "container-name"
        assert await office.list_tenants(actor=ACTOR) == []


async def test_opening_makes_what_the_configuration_names() -> None:
    config = Config(
        tenants=(TenantConfig(name="mytenant", containers=("recordings",)), TenantConfig(name="bare")),
        retention=RetentionConfig(recordings_days=7),
    )
    async with opened(config) as (engine, office):
        assert office.tenants.names() == ("bare", "mytenant")
        (container,) = (await office.show_tenant(actor=ACTOR, name="mytenant"))["containers"]
        assert (container["name"], container["keeps_days"]) == ("recordings", 7)
        before = engine.state.seq
        await Administration.open(engine, config)
        assert engine.state.seq == before, "a second start changes nothing"


async def test_three_tokens_are_what_the_page_says() -> None:
    async with opened() as (engine, office):
        await office.add_tenant(actor=ACTOR, name="mytenant")
        account, recordings, exports = await office.create_tokens(
            actor=ACTOR, tenant="mytenant", expiry=EXPIRY, timezone="UTC-08:00"
        )
        assert account["container"] is None
        assert verdict(engine, office, account).letters == {"f"}
        for token, container in ((recordings, "recordings"), (exports, "gim-export")):
            assert token["container"] == container
            assert token["url"] == f"http://127.0.0.1:8080/mytenant/{container}"
            grant = verdict(engine, office, token)
            assert grant.letters == {"r", "l"}
            assert grant.policy == token["policy_id"]
        assert recordings["expiry"] == "2060-02-01T08:00:00Z"
        listed = await office.list_tokens(actor=ACTOR, tenant="mytenant")
        assert [token["id"] for token in listed] == [t["id"] for t in (account, recordings, exports)]
        assert all("token" not in token for token in listed)


async def test_revoking_existing_ends_earlier_container_tokens_at_once() -> None:
    async with opened() as (engine, office):
        await office.add_tenant(actor=ACTOR, name="mytenant")
        account, old, _ = await office.create_tokens(actor=ACTOR, tenant="mytenant", expiry=EXPIRY)
        _, new, _ = await office.create_tokens(
            actor=ACTOR, tenant="mytenant", expiry=EXPIRY, revoke_existing=True
        )
        with pytest.raises(AzureError) as refused:
            verdict(engine, office, old)
        assert refused.value.code == "AuthenticationFailed"
        assert verdict(engine, office, new).letters == {"r", "l"}
        assert verdict(engine, office, account).letters == {"f"}, "an account token names no policy"
        listed = await office.list_tokens(actor=ACTOR, tenant="mytenant")
        assert [token["state"] for token in listed] == [
            "valid",
            "revoked",
            "revoked",
            "valid",
            "valid",
            "valid",
        ]


async def test_actions_on_keys_at_once_leave_what_the_records_say() -> None:
    """Two new keys stay two; a token of the listing works, and one that ended does not."""
    async with opened() as (engine, office):
        await office.add_tenant(actor=ACTOR, name="mytenant")
        before = office.tenants.required("mytenant")
        made: list[dict[str, Any]] = []

        async def make() -> None:
            made.extend(
                await office.create_tokens(actor=ACTOR, tenant="mytenant", expiry=EXPIRY, containers=())
            )

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(make)
                nursery.start_soon(partial(office.rotate_key, actor=ACTOR, name="mytenant", key=1))
                nursery.start_soon(partial(office.rotate_key, actor=ACTOR, name="mytenant", key=2))
        assert not set(before) & set(office.tenants.required("mytenant"))
        states = {one["id"]: one["state"] for one in await office.list_tokens(actor=ACTOR, tenant="mytenant")}
        for token in made:
            try:
                verdict(engine, office, token)
            except AzureError:
                assert states[token["id"]] == "revoked"
            else:
                assert states[token["id"]] == "valid"


async def test_tokens_begin_at_their_start() -> None:
    async with opened() as (engine, office):
        await office.add_tenant(actor=ACTOR, name="mytenant")
        tokens = await office.create_tokens(
            actor=ACTOR, tenant="mytenant", start="2060-01-02", expiry="2060-01-03"
        )
        for token in tokens:
            assert token["start"] == "2060-01-02T00:00:00Z"
            with pytest.raises(AzureError):
                verdict(engine, office, token)
        listed = await office.list_tokens(actor=ACTOR, tenant="mytenant")
        assert {token["state"] for token in listed} == {"not yet valid"}


async def test_one_or_all_container_tokens_are_revoked() -> None:
    async with opened() as (engine, office):
        await office.add_tenant(actor=ACTOR, name="mytenant")
        account, recordings, exports = await office.create_tokens(
            actor=ACTOR, tenant="mytenant", expiry=EXPIRY
        )
        ended = await office.revoke_tokens(actor=ACTOR, tenant="mytenant", ids=[recordings["id"]])
        assert [token["state"] for token in ended] == ["revoked"]
        with pytest.raises(AzureError):
            verdict(engine, office, recordings)
        assert verdict(engine, office, exports)
        assert len(await office.revoke_tokens(actor=ACTOR, tenant="mytenant")) == 1
        for bad, error in (("xyz", Invalid), ("00" * 16, NotFound), (account["id"], Conflict)):
            with pytest.raises(error):
                await office.revoke_tokens(actor=ACTOR, tenant="mytenant", ids=[bad])


async def test_a_rotated_key_ends_all_tokens() -> None:
    async with opened() as (engine, office):
        await office.add_tenant(actor=ACTOR, name="mytenant")
        tokens = await office.create_tokens(actor=ACTOR, tenant="mytenant", expiry=EXPIRY)
        result = await office.rotate_key(actor=ACTOR, name="mytenant", key=1)
        assert result["tokens_ended"] == 3
        for token in tokens:
            with pytest.raises(AzureError):
                verdict(engine, office, token)


async def test_nothing_issued_is_found_in_the_data_folder() -> None:
    disk = MemoryDisk()
    async with open_memory_engine(disk) as engine:
        office = await Administration.open(engine, Config())
        await office.add_tenant(actor=ACTOR, name="mytenant")
        tokens = await office.create_tokens(actor=ACTOR, tenant="mytenant", expiry=EXPIRY)
        keys = office.tenants.required("mytenant")
        secrets = [token["token"].rpartition("sig=")[2][:20].encode() for token in tokens] + list(keys)
        await engine.take_snapshot()
        snapshots = [disk.read(name) for name in disk.names("") if name.startswith("snapshot")]
        assert snapshots
        parts = [part for record in scan(disk) for part in (record.details, record.content) if part]
        assert any(b"recordings" in part for part in parts)
        for secret in secrets:
            assert not any(secret in part for part in [*parts, *snapshots])


async def test_removing_takes_data_tokens_and_keys() -> None:
    async with opened() as (engine, office):
        await office.add_tenant(actor=ACTOR, name="mytenant")
        await office.create_tokens(actor=ACTOR, tenant="mytenant", expiry=EXPIRY)
        assert (await office.remove_tenant(actor=ACTOR, name="mytenant"))["containers"] == 2
        assert queries.container_totals(engine.state.blobs, "mytenant") == ()
        for action in (office.show_tenant, office.remove_tenant):
            with pytest.raises(NotFound):
                await action(actor=ACTOR, name="mytenant")
        await office.add_tenant(actor=ACTOR, name="mytenant")
        assert {token["state"] for token in await office.list_tokens(actor=ACTOR, tenant="mytenant")} == {
            "revoked"
        }


async def test_a_container_keeps_as_long_as_told() -> None:
    async with opened() as (_, office):
        await office.add_tenant(actor=ACTOR, name="mytenant")
        common = {"actor": ACTOR, "name": "mytenant"}
        for days, kept in ((90, 90), ("forever", 0), (None, 30)):
            tenant = await office.set_retention(**common, container="recordings", days=days)
            assert tenant["containers"][1]["keeps_days"] == kept
        for days in (0, -1, 36_501, "", "for ever"):
            with pytest.raises(Invalid):
                await office.set_retention(**common, container="recordings", days=days)
        with pytest.raises(NotFound):
            await office.set_retention(**common, container="nowhere", days=1)


@pytest.mark.parametrize(
    ("server", "suffixes", "url"),
    [
        (ServerConfig(), (), "http://127.0.0.1:8080/mytenant"),
        (
            ServerConfig(external_url="https://retain.example.org/x/"),
            (),
            "https://retain.example.org/x/mytenant",
        ),
        (
            ServerConfig(external_url="https://retain.example.org:8443"),
            (".blob.core.example.org",),
            "https://mytenant.blob.core.example.org:8443",
        ),
    ],
)
async def test_urls(server: ServerConfig, suffixes: tuple[str, ...], url: str) -> None:
    config = Config(server=server, blobs=BlobsConfig(host_suffixes=suffixes))
    async with opened(config) as (_, office):
        assert office.url_of("mytenant") == url


PROXIED = ServerConfig(behind_proxy=True, trusted_proxies=("10.0.0.1",))


@pytest.mark.parametrize(
    ("server", "base", "refused"),
    [
        (PROXIED, None, True),
        (PROXIED, "http://retain.example.org", True),
        (PROXIED, "https://retain.example.org", False),
        (replace(PROXIED, external_url="https://retain.example.org"), None, False),
        (ServerConfig(), None, False),
    ],
)
async def test_no_token_is_made_for_an_address_behind_a_proxy(
    server: ServerConfig, base: str | None, refused: bool
) -> None:
    async with opened(Config(server=server)) as (_, office):
        office.listens_at = "http://127.0.0.1:8080"
        tenant = await office.add_tenant(actor=ACTOR, name="mytenant")
        assert (tenant["notice"] is not None) is (server is PROXIED)
        asked = {"actor": ACTOR, "tenant": "mytenant", "expiry": "2100-01-01", "base": base}
        if refused:
            with pytest.raises(Invalid, match="external_url") as why:
                await office.create_tokens(**asked)
            assert why.value.reason == "external-url"
            assert await office.list_tokens(actor=ACTOR, tenant="mytenant") == []
        else:
            for token in await office.create_tokens(**asked):
                assert ("spr=https" in token["token"]) is token["url"].startswith("https:")


@pytest.mark.parametrize(
    ("bind", "listens_at", "url"),
    [
        ("0.0.0.0:8080", None, "http://127.0.0.1:8080/mytenant"),
        ("[::]:8080", None, "http://[::1]:8080/mytenant"),
        ("0.0.0.0:0", "http://0.0.0.0:4711", "http://127.0.0.1:4711/mytenant"),
        ("127.0.0.1:8080", "https://[::]:443", "https://[::1]:443/mytenant"),  # a socket from systemd
    ],
)
async def test_nobody_is_sent_to_a_wildcard(bind: str, listens_at: str | None, url: str) -> None:
    """The URL opens on this machine, and the notice says that it opens nowhere else."""
    server = ServerConfig(bind=bind, insecure_bind=True)
    async with opened(Config(server=server)) as (_, office):
        office.listens_at = listens_at
        tenant = await office.add_tenant(actor=ACTOR, name="mytenant")
        assert tenant["url"] == url
        assert f"{url} opens on this machine only" in tenant["notice"]
        asked = {"actor": ACTOR, "tenant": "mytenant", "expiry": EXPIRY}
        for token in await office.create_tokens(**asked):
            assert token["url"].startswith(url)
            assert "opens on this machine only" in token["notice"]
        for token in await office.create_tokens(**asked, base="http://retain.example.org:8080"):
            assert token["url"].startswith("http://retain.example.org:8080/mytenant")
            assert token["notice"] is None


async def test_a_wildcard_with_an_external_url_needs_no_notice() -> None:
    server = ServerConfig(bind="0.0.0.0:8080", insecure_bind=True, external_url="https://retain.example.org")
    async with opened(Config(server=server)) as (_, office):
        tenant = await office.add_tenant(actor=ACTOR, name="mytenant")
        assert (tenant["url"], tenant["notice"]) == ("https://retain.example.org/mytenant", None)


async def test_a_port_of_the_kernels_choice_is_named_once_it_is_taken() -> None:
    """Without a server there is no such port, which is said; beside a starting one, the command waits."""
    config = Config(server=ServerConfig(bind="127.0.0.1:0"))
    async with opened(config) as (_, office):
        tenant = await office.add_tenant(actor=ACTOR, name="mytenant")
        assert "takes any free one, and no server listens" in tenant["notice"]
        [*made] = await office.create_tokens(actor=ACTOR, tenant="mytenant", expiry=EXPIRY)
        assert {token["notice"] for token in made} != {None}
    async with opened(config) as (_, office):
        office.listening = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_listen, office)
            tenant = await office.add_tenant(actor=ACTOR, name="mytenant")
            made = await office.create_tokens(actor=ACTOR, tenant="mytenant", expiry=EXPIRY)
        assert (tenant["url"], tenant["notice"]) == ("http://127.0.0.1:4711/mytenant", None)
        assert {token["url"].partition("/mytenant")[0] for token in made} == {"http://127.0.0.1:4711"}
        assert {token["notice"] for token in made} == {None}


async def _listen(office: Administration) -> None:
    """Do what a server does when it listens, after everything else had its turn."""
    await trio.testing.wait_all_tasks_blocked()
    office.listens("http://127.0.0.1:4711")
