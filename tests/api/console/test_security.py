"""What somebody may try against the console: markup in names, forged cookies, odd paths, large bodies."""

from __future__ import annotations

import re

import jwt
import pytest

from retain.api.config.load import Config, IdentityConfig
from retain.api.console.routes import ROUTES
from retain.api.console.routing.route import Route
from retain.engine.settings import Asker, EncodedValue, Place, PutValue, SettingsPolicy
from tests.kit.console import USERS, Console, console

SECRET = "a secret of at least thirty-two characters"
MARKUP = "<img src=x onerror=alert(1)>\"'"
ESCAPED = "&lt;img src=x onerror=alert(1)&gt;&#34;&#39;"
FORMS = [route for route in ROUTES if "POST" in route.methods]
SHOWN = [route.path for route in ROUTES if route.nav]


async def put_setting(server: Console, application: str) -> None:
    """Keep a settings document of an application."""
    await server.engine.submit(
        PutValue(
            actor=f"user:{MARKUP}",
            asker=Asker("ann", admin=True),
            place=Place(application, 0),
            path=(),
            resource=server.engine.entropy(16),
            policy=SettingsPolicy(put_creates=True),
            body=EncodedValue.of({MARKUP: {MARKUP: MARKUP}}),
        )
    )


async def test_what_others_wrote_is_shown_and_never_run() -> None:
    """The user's own name comes from a token's issuer, an application's name from any client."""
    async with console(Config(users=USERS, identity=IdentityConfig(jwt_secret=SECRET))) as server:
        await put_setting(server, MARKUP)
        claims = {"sub": MARKUP, "exp": server.engine.now() // 10**9 + 600, "roles": ["Administrator"]}
        browser = server.browser()
        sent = {"way": "bearer", "bearer": jwt.encode(claims, SECRET, algorithm="HS256")}
        assert (await browser.send("/console/sign-in", sent)).status == 303
        generated = {"tenant": "mytenant", "start": "2024-05-08", "expiry": "2060-05-13", "timezone": "UTC"}
        await browser.send("/console/tokens", generated)
        for path in SHOWN:
            text = (await browser.get(path)).text
            assert "<img src=x" not in text, path
            assert ESCAPED in text, path
        assert text.count(ESCAPED) >= 1


@pytest.mark.parametrize("field", ["user", "next", "zone"])
async def test_what_was_typed_comes_back_as_text(field: str) -> None:
    async with console() as server:
        answer = await server.browser().send(
            "/console/sign-in", {"user": "x", "password": "x", field: MARKUP}
        )
        assert "<img src=x" not in answer.text


@pytest.mark.parametrize("path", ["/console/sign-in?next={}", "/console/tokens?tenant={}", "/console/{}"])
async def test_what_stands_in_the_address_is_no_markup(path: str) -> None:
    async with console() as server:
        browser = await server.signed_in()
        for who in (browser, server.browser()):
            answer = await who.get(path.format("%3Cimg%20src=x%20onerror=alert(1)%3E"))
            assert "<img src=x" not in answer.text


async def test_a_cookie_that_was_forged_or_changed_is_none() -> None:
    async with console() as server:
        real = (await server.signed_in()).cookies()["retain-session"].value
        head, dot, signature = real.rpartition(".")
        forged = [
            "",
            "x",
            head,
            f"{head}{dot}{signature[:-2]}AA",
            f"x{real}",
            real.swapcase(),
            "." * 1000,
            "é" * 40,
        ]
        for value in forged:
            answer = await server.browser().get("/console", Cookie=f"retain-session={value}")
            assert answer.status == 303, value


async def test_one_servers_cookie_is_worth_nothing_at_another() -> None:
    async with console() as first:
        kept = (await first.signed_in()).cookies()["retain-session"].value
    async with console() as second:
        await second.signed_in()
        assert (await second.browser().get("/console", Cookie=f"retain-session={kept}")).status == 303


@pytest.mark.parametrize(
    "path",
    [
        "/console/../console/tokens",
        "/console/./tokens",
        "/console//tokens",
        "/console/tokens/",
        "/console/tokens%2f",
        "/console/tokens;a=b",
        "/console/%2e%2e/console/tokens",
        "/console/tokens/generated/../../tokens",
        "/console/tokens/generated/" + "0" * 5000,
    ],
)
async def test_no_path_goes_around_the_guard(path: str) -> None:
    async with console() as server:
        for browser in (server.browser(), await server.signed_in("User")):
            answer = await browser.get(path)
            assert answer.status in (303, 403, 404)
            assert "Generate new tokens" not in answer.text
            assert answer.location is None or answer.location.startswith("/console/sign-in")


@pytest.mark.parametrize("route", FORMS, ids=lambda route: route.path)
async def test_a_form_without_end_is_refused(route: Route) -> None:
    path = re.sub(r"<(?:[a-z]+:)?[a-z_]+>", "x", route.path)
    async with console() as server:
        browser = await server.signed_in()
        token = (await browser.get("/console")).csrf
        answer = await browser.ask("POST", path, form={"csrf_token": token, "user": "x" * (2 << 20)})
        assert (answer.status, "That is too large" in answer.text) == (413, True)
        assert (await browser.get("/console")).status == 200


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"\xff=\xfe&%%%&csrf_token"),
        ("multipart/form-data; boundary=x", b"--x\r\nbroken"),
        ("multipart/form-data", b"--x"),
        ("application/json", b"{"),
        ("text/plain", b"csrf_token=1"),
    ],
)
async def test_a_body_of_another_kind_is_no_form(content_type: str, body: bytes) -> None:
    async with console() as server:
        browser = await server.signed_in()
        answer = await browser.ask("POST", "/console/tokens", {"Content-Type": content_type}, data=body)
        assert answer.status == 400
        assert await server.administration.list_tokens(actor="cli", tenant="mytenant") == []


async def test_methods_cannot_be_smuggled_into_a_form() -> None:
    async with console() as server:
        browser = await server.signed_in()
        answer = await browser.send(
            "/console/sign-out", {"_method": "GET"}, page="/console", X_HTTP_Method_Override="GET"
        )
        assert answer.status == 303
        assert (await browser.get("/console")).status == 303


async def test_the_token_page_names_no_secret_in_its_addresses() -> None:
    async with console() as server:
        browser = await server.signed_in()
        sent = await browser.send(
            "/console/tokens",
            {"tenant": "mytenant", "start": "2024-05-08", "expiry": "2060-05-13", "timezone": "UTC"},
        )
        assert re.fullmatch(r"/console/tokens/generated/[0-9a-f]{32}", sent.location or "")
