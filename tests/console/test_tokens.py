"""The story of a token in a real browser: made, copied, used, gone from the page, revoked."""

from __future__ import annotations

import subprocess
from typing import Any

from tests.console.conftest import ADMINISTRATOR, Open
from tests.kit.chromium import WIDTHS, Watched
from tests.kit.site import PASSWORD, Site

CLIPBOARD = ["clipboard-read", "clipboard-write"]
COPIED = "navigator.clipboard.readText()"
FOCUSED = """(() => {
  const element = document.activeElement;
  return (element.labels?.[0] ?? element).textContent.trim();
})()"""


def curl(line: str) -> tuple[int, str]:
    """Run a line as it was copied; (status, body)."""
    done = subprocess.run(
        ["sh", "-c", f"{line} --silent --show-error --write-out '\\n%{{http_code}}'"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def generate(seen: Watched) -> Any:
    """Generate tokens with what the form proposes, in place of earlier ones: a container has 5 at most."""
    seen.open("/console/tokens")
    assert seen.page.get_by_text("No tokens generated yet").is_visible()
    seen.page.get_by_label("Revoke existing tokens").check()
    seen.page.get_by_role("button", name="Generate new tokens").click()
    seen.page.wait_for_url("**/console/tokens/generated/*")
    return seen.page


def copied(page: Any, button: str) -> str:
    """Press a button, and read back what the clipboard holds."""
    found = page.get_by_role("button", name=button, exact=True).element_handle()
    found.click()
    page.wait_for_function("(button) => button.firstChild.nodeValue === 'Copied'", arg=found)
    return str(page.evaluate(COPIED))


def test_a_token_is_generated_copied_used_and_revoked(page: Open, site: Site) -> None:
    site.put("8888/call.wav", b"RIFF", {"RecordingType": "CALL"})
    with page(user=ADMINISTRATOR, permissions=CLIPBOARD) as seen:
        tab = generate(seen)
        assert seen.page.evaluate("document.activeElement.textContent").startswith("Copy these URLs now")
        url = copied(tab, "Copy URL of RECORDINGS CONTAINER URL")
        assert url == tab.get_by_label("RECORDINGS CONTAINER URL", exact=True).input_value()
        status, body = curl(copied(tab, "Copy the line: List what is there"))
        assert (status, "8888/call.wav" in body) == (200, True)
        download = f'curl "{url.replace("?", "/8888/call.wav?", 1)}"'
        assert curl(download) == (200, "RIFF")
        assert curl(copied(tab, "Copy the line: Find the calls stored since " + since(tab)))[0] == 200

        tab.goto(f"{seen.base}/console")
        tab.go_back()
        tab.wait_for_url("**/console/tokens")
        assert "sig=" not in tab.content()
        assert tab.get_by_text("No tokens generated yet").is_visible()

        row = tab.get_by_role("button", name="Revoke the token for recordings").first
        row.click()
        tab.get_by_text("Revoked the token for recordings").wait_for()
        assert curl(download)[0] == 403


def since(tab: Any) -> str:
    """The first day of the month, as the page's example has it."""
    return str(tab.get_by_text("Find the calls stored since").first.inner_text()).rpartition(" ")[2]


def test_the_keyboard_is_enough(page: Open) -> None:
    with page(user=ADMINISTRATOR, permissions=CLIPBOARD) as seen:
        seen.open("/console")
        tab = seen.page
        reach(tab, "SAS tokens")
        tab.keyboard.press("Enter")
        tab.wait_for_url("**/console/tokens")
        reach(tab, "Revoke existing tokens")
        tab.keyboard.press("Space")
        assert tab.get_by_label("Revoke existing tokens").is_checked()
        reach(tab, "Generate new tokens")
        tab.keyboard.press("Enter")
        tab.wait_for_url("**/console/tokens/generated/*")
        reach(tab, "Copy URL of RECORDINGS CONTAINER URL")
        tab.keyboard.press("Enter")
        tab.get_by_text("Copied").wait_for()
        assert "/harbour/recordings?" in tab.evaluate(COPIED)


def reach(tab: Any, name: str) -> None:
    """Press Tab until what is called `name` has the focus, which must be seen."""
    for _ in range(60):
        tab.keyboard.press("Tab")
        said = tab.evaluate(FOCUSED)
        if said.startswith(name):
            assert tab.evaluate("document.activeElement.matches(':focus-visible')")
            return
    raise AssertionError(f"{name} was not reached")


def test_without_a_script_everything_but_copying_works(page: Open) -> None:
    with page(user=ADMINISTRATOR, java_script_enabled=False) as seen:
        tab = generate(seen)
        assert "sig=" in tab.get_by_label("RECORDINGS CONTAINER URL", exact=True).input_value()
        tab.reload()
        tab.wait_for_url("**/console/tokens")
        assert "sig=" not in tab.content()
        tab.get_by_role("link", name="Revoke all container tokens…").click()
        tab.get_by_role("button", name="Revoke").click()
        tab.get_by_text("their next requests are refused").wait_for()


def test_a_reload_shows_the_form_and_makes_nothing(page: Open, site: Site) -> None:
    with page(user=ADMINISTRATOR) as seen:
        tab = generate(seen)
        before = len(site.retain("token", "list", "harbour"))
        tab.reload()
        tab.wait_for_url("**/console/tokens")
        assert "sig=" not in tab.content()
        assert len(site.retain("token", "list", "harbour")) == before


def test_a_page_kept_for_the_back_button_is_empty(page: Open) -> None:
    """Browsers may keep a page as it was (bfcache): it empties itself when it is left."""
    with page(user=ADMINISTRATOR) as seen:
        tab = generate(seen)
        tab.evaluate("window.dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
        assert "sig=" not in tab.content()
        assert tab.evaluate("[...document.querySelectorAll('input')].every((i) => !i.value.includes('sig='))")


def test_all_tokens_are_revoked_on_a_page_that_says_what_ends(page: Open, site: Site) -> None:
    with page(user=ADMINISTRATOR) as seen:
        generate(seen)
        seen.page.get_by_role("link", name="Revoke all container tokens…").click()
        seen.page.get_by_role("button", name="Revoke").click()
        seen.page.get_by_role("status").get_by_text("their next requests are refused").wait_for()
        left = [token for token in site.retain("token", "list", "harbour") if token["state"] == "valid"]
        assert {token["container"] for token in left} == {None}


def test_the_browsers_zone_is_chosen_already(page: Open) -> None:
    with page(timezone_id="America/Los_Angeles") as seen:
        seen.sign_in(ADMINISTRATOR, PASSWORD, "/console/tokens")
        assert seen.page.locator("#timezone option:checked").inner_text() == "UTC(-08:00) Pacific Time"


def test_both_pages_fit_and_move_nothing(page: Open) -> None:
    with page(user=ADMINISTRATOR, reduced_motion="reduce") as seen:
        for width in WIDTHS:
            seen.page.set_viewport_size({"width": width, "height": 900})
            seen.open("/console/tokens")
            seen.fits_here(width)
            generate(seen)
            seen.fits_here(width)
