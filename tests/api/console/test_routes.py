"""Every route of the console for every role, and what all of them have in common."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from retain.api.config.load import Config, ServerConfig, SettingsConfig
from retain.api.console import READ_UNDER
from retain.api.console.routes import NODE_ROUTES, ROUTES
from retain.api.console.routing.route import Route
from retain.api.html import documentation
from retain.api.html.static import asset
from retain.api.identity.roles import EVERYBODY, Role
from tests.kit.console import USERS, console
from tests.kit.server import ROOT

SHOWN = ["/console/sign-in", *(route.path for route in ROUTES if route.nav)]
CHANGING = [route for route in ROUTES if route.changes]


def path_of(route: Route) -> str:
    """The route's path with something for each of its parts."""
    return re.sub(r"<(?:[a-z]+:)?([a-z_]+)>", "x", route.path)


def name_of(route: Route) -> str:
    return f"{'+'.join(route.methods)} {route.path}"


async def test_every_route_lets_in_the_roles_of_the_table_and_nobody_else() -> None:
    async with console() as server:
        browsers = {role: await server.signed_in(role) for role in Role}
        wrong = []
        for route in ROUTES:
            for method in route.methods:
                stranger = await server.browser().ask(method, path_of(route))
                turned_away = stranger.status == 303 and "/console/sign-in" in (stranger.location or "")
                if (route.roles is not None) is not turned_away:
                    wrong.append(f"{method} {route.path}: nobody got {stranger.status}")
                for role, browser in browsers.items():
                    answer = await browser.ask(method, path_of(route))
                    allowed = route.roles is None or role in route.roles
                    if (answer.status == 403) is allowed or answer.status >= 500:
                        wrong.append(f"{method} {route.path}: {role} got {answer.status}")
        assert wrong == []


def test_a_data_protection_officer_has_an_auditors_pages_and_those_of_persons_without_the_export() -> None:
    own = {(route.path, route.methods) for route in ROUTES if Role.DATA_PROTECTION in (route.roles or ())}
    auditors = {(route.path, route.methods) for route in ROUTES if Role.AUDITOR in (route.roles or ())}
    assert own >= auditors
    assert {path for path, _ in own - auditors} == {
        "/console/persons",
        *(f"/console/persons/{name}" for name in ("find", "erase", "hold", "lift")),
    }


def test_the_table_lets_nobody_in_but_to_sign_in() -> None:
    assert {route.path for route in ROUTES if route.roles is None} == {"/console/sign-in"}
    assert all(route.roles is None or route.roles <= EVERYBODY for route in ROUTES)


def test_every_page_that_reads_a_form_is_where_bodies_are_read() -> None:
    assert {route.path.split("/")[1] for route in (*CHANGING, *NODE_ROUTES)} <= set(READ_UNDER)


@pytest.mark.parametrize("route", CHANGING, ids=name_of)
async def test_an_action_needs_a_form_of_this_session(route: Route) -> None:
    role = min(route.roles or EVERYBODY)
    async with console() as server:
        browser, other = await server.signed_in(role), await server.signed_in(role)
        stolen = (await other.get("/console")).csrf
        own = (await browser.get("/console")).csrf
        method = route.methods[0]
        path = path_of(route)
        for fields in ({}, {"csrf_token": ""}, {"csrf_token": "##"}, {"csrf_token": stolen}):
            answer = await browser.ask(method, path, form=fields)
            assert (answer.status, "no longer valid" in answer.text) == (400, True), fields
        for site in ("cross-site", "same-site"):
            answer = await browser.ask(method, path, {"Sec-Fetch-Site": site}, form={"csrf_token": own})
            assert answer.status == 400
        assert (await browser.get("/console")).status == 200, "none of them was carried out"


async def test_pages_are_kept_by_nobody_and_framed_by_nobody() -> None:
    async with console() as server:
        browser = await server.signed_in()
        for path in ("/console", "/console/sign-in", "/console/nothing-here"):
            headers = (await browser.get(path)).headers
            assert headers["Cache-Control"] == "no-store"
            assert headers["X-Frame-Options"] == "DENY"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            policy = headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none';")
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy


async def test_no_page_holds_code_or_style() -> None:
    async with console() as server:
        browser = await server.signed_in()
        for path in SHOWN:
            text = (await browser.get(path)).text
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text), path
            assert not re.search(r"<script(?! src=\"/console/static/[a-z.0-9-]+\" defer></script>)", text), (
                path
            )
            assert not re.findall(r'(?:src|href|action)="(?!/|#)[^"]*"', text), path


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/console/nothing-here", 404, "There is nothing here"),
        ("GET", "/console/static/../pages/sign_in.py", 404, ""),
        ("DELETE", "/console", 405, "This page cannot do that"),
        ("OPTIONS", "/console", 405, "This page cannot do that"),
        ("GET", "/console/sign-out", 405, "This page cannot do that"),
    ],
)
async def test_refusals_are_pages_too(method: str, path: str, status: int, words: str) -> None:
    async with console() as server:
        for browser in (server.browser(), await server.signed_in()):
            answer = await browser.ask(method, path)
            assert answer.status == status
            assert words in answer.text
            assert answer.text.startswith("<!doctype html>") or not words
            assert ("Allow" in answer.headers) is (status == 405)


async def test_a_refusal_leads_back_to_the_page_it_came_from() -> None:
    async with console() as server:
        browser = await server.signed_in()
        for path, back in (
            ("/console/containers/mytenant/nothing", '<a class="button primary" href="/console/containers">'),
            ("/console/audit/resources/x", 'href="/console/audit">Back to Audit</a>'),
        ):
            answer = await browser.get(path)
            assert (answer.status, back in answer.text) == (404, True), answer.text
        assert "Back to" not in (await browser.get("/console/nothing-here")).text


async def test_help_leads_into_the_documentation_where_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    for built, wanted in ((frozenset(), "<code>docs/console.md</code>"), ({"console"}, '"/docs/console/"')):
        monkeypatch.setattr("retain.api.html.rendering.help_pages", lambda built=built: built)
        async with console() as server:
            assert wanted in (await (await server.signed_in()).get("/console/tokens")).text


def test_each_help_leads_to_a_page_of_the_documentation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages may lie in a folder, which the built documentation has, too."""
    named = {
        name
        for path in (ROOT / "api" / "console" / "templates").glob("*.html")
        for name in re.findall(r"m\.help\('([^']+)'", path.read_text())
    }
    assert len(named) > 3
    for name in named:
        assert (ROOT / "docs" / f"{name}.md").is_file(), name
        page = tmp_path / "site" / name / "index.html"
        page.parent.mkdir(parents=True)
        page.touch()
    monkeypatch.setattr(documentation, "files", lambda _: tmp_path)
    assert documentation.help_pages() == named


async def test_what_is_no_page_is_refused_in_a_line_of_text() -> None:
    async with console() as server:
        for path in ("/nothing-here", "/console/api/nothing-here"):
            answer = await server.browser().get(path)
            assert (answer.status, answer.text) == (404, "Not Found\n")


@pytest.mark.parametrize("name", ["retain.css", "console.js", "mark.svg"])
async def test_files_are_kept_for_good_under_a_name_of_their_content(name: str) -> None:
    async with console() as server:
        found = await server.browser().get(asset(name).address)
        assert found.status == 200
        assert found.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert found.headers["Content-Type"] == asset(name).content_type
        stem, _, ending = name.partition(".")
        assert (await server.browser().get(f"/console/static/{stem}.{'0' * 16}.{ending}")).status == 404


@pytest.mark.parametrize(
    "name",
    ["retain.css", "__init__.py", "..%2f__init__.py", "%2e%2e/routes.py", "x.0123456789abcdef.css", ""],
)
async def test_nothing_else_is_served_as_a_file(name: str) -> None:
    async with console() as server:
        assert (await server.browser().get(f"/console/static/{name}")).status == 404


async def test_behind_a_prefix_every_address_has_it() -> None:
    server_config = ServerConfig(external_url="https://retain.example.org/x")
    async with console(Config(users=USERS, server=server_config)) as server:
        browser = server.browser(scheme="https")
        form = await browser.ask("GET", "/console/sign-in")
        cookie = form.headers["Set-Cookie"].partition(";")[0]
        sent = {"csrf_token": form.csrf, "user": "ann", "password": "right"}
        answer = await server.browser().ask("POST", "/console/sign-in", {"Cookie": cookie}, form=sent)
        assert answer.location == "/x/console"
        session = next(c for c in answer.headers.getlist("Set-Cookie") if "session" in c).partition(";")[0]
        for path in SHOWN[1:]:
            text = (await server.browser().get(path, Cookie=session)).text
            addresses = re.findall(r'(?:src|href|action)="([^"#][^"]*)"', text)
            assert len(addresses) > 8
            assert all(address.startswith("/x/") for address in addresses), addresses


async def test_administrators_of_the_settings_are_administrators_here() -> None:
    config = Config(users=USERS, settings=SettingsConfig(admin_roles=("Role1",)))
    async with console(config) as server:
        assert "Administrator" in (await (await server.signed_in("User")).get("/console")).text


async def test_a_fault_of_ours_is_a_page_and_a_line_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with console() as server:
        browser = await server.signed_in()
        monkeypatch.setattr("retain.api.console.pages.overview.EVIDENCE", None)
        answer = await browser.get("/console")
        assert answer.status == 500
        assert "Internal error" in answer.text
        assert "TypeError" not in answer.text
        assert "unhandled exception in a page" in caplog.text


def test_every_route_is_documented() -> None:
    text = (ROOT / "docs" / "console.md").read_text()
    for route in ROUTES:
        assert f"`{re.sub(r'<(?:[a-z]+:)?([a-z_]+)>', lambda part: part[1].upper(), route.path)}`" in text
