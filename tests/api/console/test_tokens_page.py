"""The page *Generate SAS Tokens*: what it makes, shows once, lists and ends."""

from __future__ import annotations

import html
import re
from typing import Any
from zoneinfo import available_timezones

import pytest

from retain.api.admin.command_line import command_line
from retain.api.admin.zones import zone_groups
from retain.api.config.load import Config, TenantConfig
from retain.api.html.filters import moment_of
from tests.kit.console import USERS, Browser, Console, console

TOKENS = "/console/tokens"
ASKED = {
    "tenant": "mytenant",
    "start": "2024-05-08",
    "expiry": "2060-05-13",
    "expiry_time": "12:30",
    "timezone": "America/Los_Angeles",
}
LABELS = (
    "Initiation Date",
    "Expiration Date",
    "Timezone",
    "Revoke existing tokens",
    "Generate new tokens",
    "No tokens generated yet",
)


async def generate(browser: Browser, **changes: str) -> Any:
    """Send the form, and follow to the page that shows the tokens."""
    answer = await browser.send(TOKENS, {**ASKED, **changes})
    assert answer.status == 303, answer.text
    assert answer.location is not None
    return await browser.get(answer.location)


def urls(text: str) -> dict[str, str]:
    """What the page shows under each label."""
    found = re.findall(r'<label for="u\d+">([^<]+)</label>.*?value="([^"]+)"', text, re.DOTALL)
    return {label: html.unescape(url) for label, url in found}


async def test_the_form_has_the_labels_of_the_original() -> None:
    async with console() as server:
        page = await (await server.signed_in(zone="America/Los_Angeles")).get(TOKENS)
        for label in LABELS:
            assert label in page.text
        assert ">UTC(-08:00) Pacific Time</option>" in page.text
        assert '<option value="America/Los_Angeles" selected>UTC(-08:00) Pacific Time<' in page.text
        assert "sig=" not in page.text


async def test_a_tenant_of_many_containers_chooses_some_of_them() -> None:
    config = Config(
        users=USERS,
        tenants=(TenantConfig(name="mine", containers=tuple(f"team-{number:03}" for number in range(201))),),
    )
    field = "Only these containers"
    async with console(config) as server:
        browser = await server.signed_in()
        assert field in (await browser.get(f"{TOKENS}?tenant=mine")).text
        assert field not in (await browser.get(f"{TOKENS}?tenant=mytenant")).text
        asked = {**ASKED, "tenant": "mine"}
        for containers, words in (
            ("", "These are 201 containers. Name those that get a token, at most 200 at once."),
            ("team-001 no-such", "mine has no container no-such."),
        ):
            refused = await browser.send(TOKENS, {**asked, "containers": containers})
            assert refused.status == 400
            assert words in refused.text
            assert "sig=" not in refused.text
        made = urls((await generate(browser, tenant="mine", containers="team-007, team-003")).text)
        assert list(made) == ["ACCOUNT CONTAINER URL", "TEAM-003 CONTAINER URL", "TEAM-007 CONTAINER URL"]


async def test_what_was_generated_is_shown_once() -> None:
    async with console() as server:
        browser = await server.signed_in()
        sent = await browser.send(TOKENS, ASKED)
        assert sent.location is not None
        assert "sig" not in sent.location + sent.text
        head = await browser.ask("HEAD", sent.location)
        assert head.status == 303, "asking for the head does not use it up"
        shown = await browser.get(sent.location)
        found = urls(shown.text)
        assert list(found) == [
            "ACCOUNT CONTAINER URL",
            "RECORDINGS CONTAINER URL",
            "GIM-EXPORT CONTAINER URL",
        ]
        assert all("sig=" in url for url in found.values())
        assert found["RECORDINGS CONTAINER URL"].startswith("http://localhost/mytenant/recordings?")
        assert shown.headers["Cache-Control"] == "no-store"
        assert "valid from 8 May 2024, 00:00 to 13 May 2060, 12:30, UTC(-08:00) Pacific Time" in shown.text
        again = await browser.get(sent.location)
        assert (again.status, again.location) == (303, TOKENS)
        assert "sig=" not in (await browser.get(TOKENS)).text


async def test_nobody_else_gets_to_see_them() -> None:
    async with console() as server:
        browser, other = await server.signed_in(), await server.signed_in()
        sent = await browser.send(TOKENS, ASKED)
        assert sent.location is not None
        assert (await other.get(sent.location)).status == 303
        assert "sig=" in (await browser.get(sent.location)).text


async def test_every_further_container_gets_a_token() -> None:
    tenant = TenantConfig(name="harbour", containers=("voicemail", "recordings", "faxes"))
    async with console(Config(users=USERS, tenants=(tenant,))) as server:
        shown = await generate(await server.signed_in(), tenant="harbour")
        names = [label.removesuffix(" CONTAINER URL") for label in urls(shown.text)]
        assert names == ["ACCOUNT", "RECORDINGS", "FAXES", "VOICEMAIL"]


async def test_it_is_the_action_of_the_command_line_by_that_user() -> None:
    async with console() as server:
        await generate(await server.signed_in())
        made = await server.administration.list_tokens(actor="cli", tenant="mytenant")
        assert [token["container"] for token in made] == [None, "recordings", "gim-export"]
        assert {token["issuer"] for token in made} == {"user:ann"}
        assert {token["start"] for token in made} == {"2024-05-08T07:00:00Z"}
        assert {token["expiry"] for token in made} == {"2060-05-13T19:30:00Z"}


async def test_existing_tokens_are_revoked_only_when_asked() -> None:
    async with console() as server:
        browser = await server.signed_in()
        await generate(browser)
        assert states(await issued(server)) == ["valid"] * 3
        await generate(browser)
        assert states(await issued(server)) == ["valid"] * 6
        shown = await generate(browser, revoke="y")
        assert "4\u00a0earlier container tokens were revoked." in shown.text
        assert sorted(states(await issued(server))) == ["revoked"] * 4 + ["valid"] * 5


async def issued(server: Console) -> list[dict[str, Any]]:
    return await server.administration.list_tokens(actor="cli", tenant="mytenant")


def states(tokens: list[dict[str, Any]]) -> list[str]:
    return [token["state"] for token in tokens]


@pytest.mark.parametrize(
    ("changes", "words", "field"),
    [
        ({"tenant": "nobody"}, "There is no such tenant.", None),
        ({"tenant": ""}, "Choose a tenant.", None),
        ({"start": "yesterday"}, "Write the day as 2026-11-28.", "start"),
        ({"start": "2024-02-31"}, "This day does not exist", "expiry"),
        ({"expiry": ""}, "Choose a day.", "expiry"),
        ({"expiry": "2001-01-01"}, "must be in the future", "expiry"),
        ({"expiry": "2600-01-01"}, "after the year 2500", "expiry"),
        ({"start": "2061-01-01"}, "must be in the future, and after the initiation", "expiry"),
        ({"expiry_time": "noon"}, "Write the time as 18:00.", "expiry_time"),
        ({"timezone": "Mars/Base"}, "server does not know this time zone", "timezone"),
        ({"timezone": "../../etc/passwd"}, "server does not know this time zone", "timezone"),
    ],
)
async def test_a_mistake_is_told_and_changes_nothing(
    changes: dict[str, str], words: str, field: str | None
) -> None:
    async with console() as server:
        await server.administration.add_tenant(actor="cli", name="second")
        answer = await (await server.signed_in()).send(TOKENS, {**ASKED, **changes})
        assert answer.status in (400, 404)
        assert words in answer.text
        if field is not None:
            assert f'id="{field}-fault"' in answer.text
            assert re.search(
                rf'aria-invalid="true"[^>]*name="{field}"|name="{field}"[^>]*aria-invalid', answer.text
            )
        assert await issued(server) == []


async def test_a_container_full_of_tokens_is_told_beside_what_helps() -> None:
    async with console() as server:
        browser = await server.signed_in()
        for _ in range(5):
            await generate(browser)
        answer = await browser.send(TOKENS, ASKED)
        assert answer.status == 409
        assert "A container already has 5 valid tokens" in answer.text
        assert 'id="revoke-fault"' in answer.text


async def test_one_token_is_revoked_then_all() -> None:
    async with console() as server:
        browser = await server.signed_in()
        await generate(browser)
        await generate(browser)
        account, recordings = (await issued(server))[:2]
        sent = {"tenant": "mytenant", "id": recordings["id"]}
        answer = await browser.send(f"{TOKENS}/revoke", sent, page=TOKENS)
        assert answer.location == "/console/tokens?tenant=mytenant"
        page = await browser.get(answer.location)
        assert "Revoked the token for recordings" in page.text
        assert page.text.count('aria-label="Revoke the token') == 3
        refused = await browser.send(f"{TOKENS}/revoke", {**sent, "id": account["id"]}, page=TOKENS)
        assert refused.status == 409
        asks = await browser.get(f"{TOKENS}/revoke-all?tenant=mytenant")
        assert "Revoke 3\u00a0container tokens" in asks.text
        await browser.send(f"{TOKENS}/revoke-all", {"tenant": "mytenant"}, page=TOKENS)
        assert sorted(states(await issued(server))) == ["revoked"] * 4 + ["valid"] * 2


@pytest.mark.parametrize("token_id", ["", "zz", "00" * 16])
async def test_what_is_no_token_is_not_revoked(token_id: str) -> None:
    async with console() as server:
        browser = await server.signed_in()
        sent = {"tenant": "mytenant", "id": token_id}
        assert (await browser.send(f"{TOKENS}/revoke", sent, page=TOKENS)).status in (400, 404)


async def test_a_tenant_is_chosen_where_there_are_several() -> None:
    async with console() as server:
        browser = await server.signed_in()
        assert '<label for="tenant">' not in (await browser.get(TOKENS)).text
        await server.administration.add_tenant(actor="cli", name="second")
        page = await browser.get(f"{TOKENS}?tenant=second")
        assert '<label for="tenant">Tenant</label>' in page.text
        assert "<option selected>second</option>" in page.text
        assert "Issued tokens of second" in page.text
        assert (await browser.get(f"{TOKENS}?tenant=third")).status == 404


async def test_without_a_tenant_the_page_says_how_to_make_one() -> None:
    async with console() as server:
        await server.administration.remove_tenant(actor="cli", name="mytenant")
        page = await (await server.signed_in()).get(TOKENS)
        assert f"{command_line('tenant add mytenant', './retain-data')}</code>" in page.text


def test_every_zone_of_the_database_is_offered_with_its_offset() -> None:
    groups = zone_groups(2026)
    offered = {name for _, zones in groups for name, _ in zones}
    assert available_timezones() - {"localtime", "Factory", "posixrules"} <= offered
    labels = {name: label for _, zones in reversed(groups) for name, label in zones}
    assert labels["America/Los_Angeles"] == "UTC(-08:00) Pacific Time"
    assert labels["Asia/Kolkata"] == "UTC(+05:30) India"
    assert labels["Australia/Lord_Howe"] == "UTC(+10:30) Lord Howe"
    assert labels["America/Argentina/Ushuaia"] == "UTC(-03:00) Ushuaia, Argentina"
    assert labels["US/Pacific"] == "UTC(-08:00) US/Pacific"


def test_a_date_is_the_one_that_was_meant() -> None:
    assert moment_of("2060-05-13T19:30:00Z") == moment_of(2851702200 * 10**9)
