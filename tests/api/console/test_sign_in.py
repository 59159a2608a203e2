"""Signing in and out, and what a session is worth."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
import trio

from retain.api.admin.command_line import command_line
from retain.api.config.load import Config, ConsoleConfig, IdentityConfig, ServerConfig
from tests.kit.console import USERS, Answer, Console, console
from tests.kit.serving import eventually

SIGN_IN = "/console/sign-in"
SECRET = "a secret of at least thirty-two characters"


async def test_a_user_signs_in_and_out() -> None:
    async with console() as server:
        browser = server.browser()
        form = await browser.get(SIGN_IN)
        for label in ("User name", "Password", "Sign in"):
            assert f">{label}<" in form.text
        answer = await browser.sign_in("ann")
        assert (answer.status, answer.location) == (303, "/console")
        page = await browser.get("/console")
        assert "<b>ann</b>" in page.text
        assert "Administrator" in page.text
        left = await browser.send("/console/sign-out", {}, page="/console")
        assert (left.status, left.location) == (303, SIGN_IN)
        assert (await browser.get("/console")).location == SIGN_IN


async def test_a_session_that_was_left_is_worth_nothing_to_whoever_kept_its_cookie() -> None:
    async with console() as server:
        browser = await server.signed_in()
        kept = browser.cookies()["retain-session"].value
        await browser.send("/console/sign-out", {}, page="/console")
        thief = server.browser()
        answer = await thief.get("/console", Cookie=f"retain-session={kept}")
        assert answer.location == SIGN_IN


@pytest.mark.parametrize("name", ["ann", "nobody"])
async def test_a_wrong_password_and_an_unknown_name_read_alike(name: str) -> None:
    async with console() as server:
        answer = await server.browser().sign_in(name, "wrong")
        assert answer.status == 403
        assert "User name or password is wrong." in answer.text
        assert "wrong&#34;" not in answer.text
        assert 'value="wrong"' not in answer.text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"user": "", "password": "x"}, "Type your user name."),
        ({"user": "ann", "password": ""}, "Type your password."),
        ({"user": "n" * 300, "password": "x"}, "Longer than 255 bytes."),
        ({"user": "ann", "password": "x" * 5000}, "Longer than 3840 bytes."),
        ({"way": "bearer", "bearer": "x"}, "expired, not signed for this server, or incomplete"),
        ({"way": "proxy"}, "No proxy that this server trusts names a user."),
    ],
)
async def test_a_mistake_stands_beside_its_field(fields: dict[str, str], words: str) -> None:
    async with console(Config(users=USERS, identity=IdentityConfig(jwt_secret=SECRET))) as server:
        answer = await server.browser().send(SIGN_IN, fields)
        assert answer.status in (400, 403)
        assert words in answer.text
        assert 'aria-invalid="true"' in answer.text


async def test_guesses_are_slowed_as_those_of_the_interfaces(mock_clock: Any) -> None:
    """The clock stands, so that guesses wait for their turn, until one of them would wait too long."""
    answers: list[Answer] = []

    async def guess(server: Console, number: int) -> None:
        answers.append(await server.browser().sign_in("ann", f"guess {number}"))

    async with console() as server:
        async with trio.open_nursery() as nursery:
            for number in range(14):
                nursery.start_soon(guess, server, number)
            await eventually(lambda: any(answer.status == 429 for answer in answers))
            mock_clock.rate = 1000
        refused = [answer for answer in answers if answer.status == 429]
        assert 0 < len(refused) < len(answers)
        assert all(int(answer.headers["Retry-After"]) > 10 for answer in refused)
        assert all("Too many failed sign-ins" in answer.text for answer in refused)
        assert {answer.status for answer in answers} == {403, 429}


async def test_a_session_ends_when_nobody_clicks(mock_clock: Any) -> None:
    async with console(Config(users=USERS, console=ConsoleConfig(idle_minutes=10))) as server:
        browser = await server.signed_in()
        for _ in range(3):
            mock_clock.jump(9 * 60)
            assert (await browser.get("/console")).status == 200
        mock_clock.jump(10 * 60)
        assert (await browser.get("/console")).status == 303


async def test_a_session_ends_in_any_case(mock_clock: Any) -> None:
    async with console(Config(users=USERS, console=ConsoleConfig(session_hours=1))) as server:
        browser = await server.signed_in()
        for _ in range(3):
            mock_clock.jump(19 * 60)
            assert (await browser.get("/console")).status == 200
        mock_clock.jump(4 * 60)
        assert (await browser.get("/console")).status == 303


async def test_a_session_is_new_at_each_sign_in() -> None:
    async with console() as server:
        browser = await server.signed_in()
        first = browser.cookies()["retain-session"].value
        await browser.send("/console/sign-out", {}, page="/console")
        # What somebody else put into the browser does not become the session.
        planted = server.browser()
        form = await planted.get(SIGN_IN)
        planted_id = planted.cookies()["retain-form"].value
        sent = {"csrf_token": form.csrf, "user": "ann", "password": "right"}
        answer = await planted.ask("POST", SIGN_IN, form=sent)
        second = planted.cookies()["retain-session"].value
        assert answer.status == 303
        assert len({first, second, planted_id}) == 3
        stranger = server.browser()
        for value in (first, planted_id):
            assert (await stranger.get("/console", Cookie=f"retain-session={value}")).status == 303


@pytest.mark.parametrize(
    ("server_config", "name", "secure"),
    [
        (ServerConfig(), "retain-session", False),
        (ServerConfig(behind_proxy=True, trusted_proxies=("10.0.0.1",)), "__Host-retain-session", True),
        (ServerConfig(external_url="https://retain.example.org/x"), "__Host-retain-session", True),
    ],
)
async def test_cookies_are_for_this_server_and_no_script(
    server_config: ServerConfig, name: str, secure: bool
) -> None:
    async with console(Config(users=USERS, server=server_config)) as server:
        browser = server.browser(scheme="https")
        form = await browser.ask("GET", SIGN_IN)
        guest = form.headers["Set-Cookie"].partition(";")[0]
        sent = {"csrf_token": form.csrf, "user": "ann", "password": "right"}
        answer = await server.browser().ask("POST", SIGN_IN, {"Cookie": guest}, form=sent)
        assert answer.status == 303
        set_session = next(c for c in answer.headers.getlist("Set-Cookie") if "session" in c)
        assert set_session.startswith(f"{name}=")
        parts = {part.strip().lower() for part in set_session.split(";")[1:]}
        assert {"httponly", "samesite=strict", "path=/"} <= parts
        assert ("secure" in parts) is secure
        assert not any(part.startswith(("domain", "expires", "max-age")) for part in parts)


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example/console",
        "/\\evil.example",
        "/console/../..//evil.example",
        "/console//evil.example",
        "/console/x\r\nSet-Cookie: a=b",
        "/consolex",
        "javascript:alert(1)",
        "/console/sign-in?next=/console",
        "/console/" + "x" * 3000,
    ],
)
async def test_nobody_is_sent_elsewhere(wanted: str) -> None:
    async with console() as server:
        answer = await server.browser().sign_in("ann", next=wanted)
        assert answer.location == "/console"


async def test_the_page_that_was_asked_for_comes_after_signing_in() -> None:
    async with console() as server:
        browser = server.browser()
        turned = await browser.get("/console?from=2026-11-01&verb=erase%20all")
        assert turned.location is not None
        form = await browser.get(turned.location)
        sent = {"csrf_token": form.csrf, "user": "ann", "password": "right"}
        wanted = form.text.partition('name="next" type="hidden" value="')[2].partition('"')[0]
        answer = await browser.ask("POST", SIGN_IN, form={**sent, "next": wanted.replace("&amp;", "&")})
        assert answer.location == "/console?from=2026-11-01&verb=erase%20all"


async def test_without_a_user_the_page_says_how_to_make_one() -> None:
    async with console(Config()) as server:
        page = await server.browser().get(SIGN_IN)
        assert page.status == 200
        assert (
            f"{command_line('user add operator --role Administrator', './retain-data')}</code>" in page.text
        )
        assert "<form" not in page.text


async def test_a_bearer_token_signs_in_for_as_long_as_it_is_valid(mock_clock: Any) -> None:
    async with console(Config(identity=IdentityConfig(jwt_secret=SECRET, jwt_leeway=0))) as server:
        browser = server.browser()
        claims = {"sub": "tess", "exp": server.engine.now() // 10**9 + 600, "roles": ["Auditor"]}
        bearer = jwt.encode(claims, SECRET, algorithm="HS256")
        answer = await browser.send(SIGN_IN, {"way": "bearer", "bearer": bearer})
        assert answer.status == 303
        page = await browser.get("/console")
        assert "<b>tess</b>" in page.text
        assert "Auditor" in page.text
        mock_clock.jump(599)
        assert (await browser.get("/console")).status == 200
        mock_clock.jump(2)
        assert (await browser.get("/console")).status == 303


@pytest.mark.parametrize("before", ["Bearer ", "bearer  ", "Authorization: Bearer ", "\n"])
async def test_a_token_is_taken_with_what_was_copied_around_it(before: str) -> None:
    async with console(Config(identity=IdentityConfig(jwt_secret=SECRET))) as server:
        claims = {"sub": "tess", "exp": server.engine.now() // 10**9 + 600}
        bearer = jwt.encode(claims, SECRET, algorithm="HS256")
        browser = server.browser()
        answer = await browser.send(SIGN_IN, {"way": "bearer", "bearer": f"{before}{bearer}\n"})
        assert answer.status == 303


@pytest.mark.parametrize("wrong", ["expired", "of another issuer", "signed by another"])
async def test_a_token_that_is_not_good_is_refused_beside_its_field(wrong: str) -> None:
    identity = IdentityConfig(jwt_secret=SECRET, jwt_issuer="https://login.example.org", jwt_leeway=0)
    async with console(Config(identity=identity)) as server:
        claims = {
            "sub": "tess",
            "iss": "https://login.example.org",
            "exp": server.engine.now() // 10**9 + 600,
        }
        if wrong == "expired":
            claims["exp"] = server.engine.now() // 10**9 - 1
        if wrong == "of another issuer":
            claims["iss"] = "https://elsewhere.example.org"
        bearer = jwt.encode(claims, SECRET[::-1] + "x" if "signed" in wrong else SECRET, algorithm="HS256")
        answer = await server.browser().send(SIGN_IN, {"way": "bearer", "bearer": bearer})
        assert (answer.status, "This token is expired" in answer.text) == (403, True)
        assert bearer not in answer.text


async def test_a_bearers_session_ends_when_nobody_clicks(mock_clock: Any) -> None:
    config = Config(identity=IdentityConfig(jwt_secret=SECRET), console=ConsoleConfig(idle_minutes=10))
    async with console(config) as server:
        browser = server.browser()
        claims = {"sub": "tess", "exp": server.engine.now() // 10**9 + 86_400}
        bearer = jwt.encode(claims, SECRET, algorithm="HS256")
        await browser.send(SIGN_IN, {"way": "bearer", "bearer": bearer})
        mock_clock.jump(9 * 60)
        assert (await browser.get("/console")).status == 200
        mock_clock.jump(10 * 60)
        assert (await browser.get("/console")).status == 303


async def test_the_sign_in_page_says_that_a_session_has_ended(mock_clock: Any) -> None:
    ended = "Your session has ended"
    async with console() as server:
        browser = await server.signed_in()
        await browser.send("/console/sign-out", {}, "/console")
        assert ended not in (await browser.get(SIGN_IN)).text
        await browser.sign_in("ann")
        mock_clock.jump(3600)
        assert (await browser.get("/console")).status == 303
        assert ended in (await browser.get(SIGN_IN)).text
        assert ended not in (await browser.sign_in("ann", "wrong")).text


async def test_a_proxy_that_is_trusted_names_the_user() -> None:
    identity = IdentityConfig(proxy_user_header="X-User", proxy_roles_header="X-Roles")
    config = Config(identity=identity, server=ServerConfig(trusted_proxies=("10.1.2.3",)))
    async with console(config) as server:
        browser = server.browser(client=("10.1.2.3", 4711))
        named = {"X_User": "paul", "X_Roles": "Administrator"}
        form = await browser.get(SIGN_IN, **named)
        assert "Sign in as paul" in form.text
        sent = {"csrf_token": form.csrf, "way": "proxy"}
        answer = await browser.ask("POST", SIGN_IN, {"X-User": "paul", "X-Roles": "Administrator"}, form=sent)
        assert answer.status == 303
        assert "<b>paul</b>" in (await browser.get("/console")).text
        stranger = server.browser(client=("10.9.9.9", 4711))
        assert "paul" not in (await stranger.get(SIGN_IN, **named)).text


async def test_a_link_from_elsewhere_does_not_end_the_session() -> None:
    """A browser asks without the session's cookie then (SameSite=Strict); the answer must not replace it."""
    async with console() as server:
        answer = await server.browser().get(SIGN_IN, Sec_Fetch_Site="cross-site")
        assert '<meta http-equiv="refresh" content="0">' in answer.text
        assert not any("session" in cookie for cookie in answer.headers.getlist("Set-Cookie"))
        again = await server.browser().get(SIGN_IN, Sec_Fetch_Site="same-origin")
        assert "refresh" not in again.text


async def test_times_are_read_in_the_zone_of_the_browser() -> None:
    async with console() as server:
        browser = await server.signed_in(zone="Asia/Kolkata")
        assert " UTC</time>" not in (await browser.get("/console")).text
        unknown = await server.signed_in(zone="Mars/Base")
        assert "\u00a0UTC</time>" in (await unknown.get("/console")).text
