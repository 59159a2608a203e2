"""Signing in, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.console.conftest import ADMINISTRATOR, CONFIG, Open, signed_in
from tests.kit.certificates import certified
from tests.kit.chromium import watched
from tests.kit.server import running
from tests.kit.site import PASSWORD, Site


def test_the_form_is_enough_without_a_browser(site: Site) -> None:
    """The server passes on what a form sends; this runs where there is no Chromium, too."""
    kept = signed_in.__wrapped__(site.server.url, ADMINISTRATOR)
    assert {one["name"] for one in kept["cookies"]} >= {"retain-session"}


def test_a_wrong_password_is_told_beside_the_field_and_the_right_one_lets_in(page: Open) -> None:
    with page() as seen:
        seen.expected.add(403)
        seen.open("/console?from=here")
        seen.page.get_by_label("User name").fill("ann.keller")
        seen.page.get_by_label("Password").fill("wrong")
        seen.page.get_by_role("button", name="Sign in", exact=True).click()
        assert seen.page.get_by_role("alert").inner_text() == "User name or password is wrong."
        assert seen.page.evaluate("document.activeElement.id") == "password"
        seen.page.get_by_label("Password").fill(PASSWORD)
        seen.page.keyboard.press("Enter")
        seen.page.wait_for_url("**/console?from=here")
        seen.page.get_by_role("button", name="Sign out").click()
        seen.page.wait_for_url("**/console/sign-in")
        seen.open("/console")
        assert "/console/sign-in" in seen.page.url


def test_the_keyboard_is_enough(page: Open) -> None:
    with page() as seen:
        seen.open("/console/sign-in")
        seen.page.keyboard.type("ann.keller")  # the field has the focus
        seen.page.keyboard.press("Tab")
        seen.page.keyboard.type(PASSWORD)
        seen.page.keyboard.press("Tab")
        seen.page.keyboard.press("Enter")
        seen.page.wait_for_url("**/console")
        seen.page.keyboard.press("Tab")
        assert seen.page.evaluate("document.activeElement.textContent") == "Skip to the page"
        seen.page.keyboard.press("Enter")
        assert seen.page.evaluate("document.activeElement.id") == "main"


def test_times_are_the_browsers(page: Open) -> None:
    with page(timezone_id="Asia/Kolkata") as seen:
        seen.sign_in("ann.keller", PASSWORD)
        moment = seen.page.locator("main time").first
        shown = seen.page.evaluate(
            "(e) => new Date(e.dateTime).toLocaleTimeString('en-GB')", moment.element_handle()
        )
        assert moment.inner_text().endswith(shown)
        assert (moment.get_attribute("title") or "").endswith("Z")


def test_a_link_from_elsewhere_finds_the_session(page: Open) -> None:
    with page() as seen:
        seen.sign_in("ann.keller", PASSWORD)
        seen.page.goto(f"data:text/html,<a href='{seen.base}/console?from=mail'>open</a>")
        seen.page.click("a")
        seen.page.wait_for_url("**/console?from=mail")
        assert seen.page.get_by_role("heading", name="Overview").is_visible()


def test_it_fits_and_moves_nothing(page: Open) -> None:
    with page() as seen:
        seen.open("/console/sign-in")
        seen.fits(shift=0)


def test_over_tls_the_cookie_is_the_hosts_own(browser: Any, tmp_path: Path) -> None:
    certificate, key = certified(tmp_path)
    config = f'[server]\ntls_certificate = "{certificate}"\ntls_key = "{key}"\n{CONFIG}'
    with (
        running(tmp_path / "server", config) as server,
        watched(browser, server.url, ignore_https_errors=True) as seen,
    ):
        seen.sign_in("ann.keller", PASSWORD)
        cookies = {cookie["name"]: cookie for cookie in seen.page.context.cookies()}
        session = cookies["__Host-retain-session"]
        assert (session["secure"], session["httpOnly"], session["sameSite"]) == (True, True, "Strict")
        assert (session["path"], session["expires"]) == ("/", -1)


def test_refusals_fit_and_can_be_read(page: Open) -> None:
    with page() as seen:
        seen.expected |= {403, 404, 405}
        for path in ("/console/nothing-here", "/console/sign-out"):
            seen.open(path)
            seen.fits()
        seen.sign_in("uwe.lang", PASSWORD)
        for path in ("/console/nothing-here", "/console/tokens"):
            seen.open(path)
            seen.fits()


def test_the_way_out_is_on_every_page(page: Open) -> None:
    with page(width=390) as seen:
        seen.sign_in("uwe.lang", PASSWORD)
        seen.page.get_by_role("button", name="Menu").click()
        seen.page.get_by_role("button", name="Sign out").click()
        seen.page.wait_for_url("**/console/sign-in")


def test_the_first_page_of_a_server_without_users_can_be_read(browser: Any, tmp_path: Path) -> None:
    with running(tmp_path) as server, watched(browser, server.url, width=390) as seen:
        seen.open("/console")
        seen.page.get_by_role("heading", name="Nobody can sign in yet").wait_for()
        assert seen.width() == 390
        assert seen.findings() == []
