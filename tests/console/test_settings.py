"""The settings page in a real browser: edited by two at once, its history, and one version restored."""

from __future__ import annotations

from tests.console.conftest import ADMINISTRATOR, USER, Open
from tests.kit.chromium import WIDTHS, Watched
from tests.kit.site import PASSWORD, Site

PAGE = "/console/settings?application=agent-desktop&user=uwe.lang&device=wallboard-7"


def edit(seen: Watched, level: str, text: str) -> None:
    seen.open(f"{PAGE}&edit={level}")
    seen.page.get_by_label(f"JSON of the {level}").fill(text)
    seen.page.get_by_role("button", name="Save", exact=True).click()
    seen.page.get_by_role("status").get_by_text(f"Saved the settings of the {level}.").wait_for()


def test_two_edit_the_same_level_and_neither_loses_anything(page: Open) -> None:
    with page(user=ADMINISTRATOR) as ann, page(user=USER) as uwe:
        ann.expected |= {400, 412}
        edit(ann, "application", '{"ui": {"theme": "light", "size": 10}}')
        edit(ann, "user", '{"ui": {"theme": "dark"}}')

        ann.page.get_by_role("link", name="Edit User uwe.lang").click()
        field = ann.page.get_by_label("JSON of the user")
        field.fill('{"ui": {"theme": "dark"\n "size": 14}}')
        ann.page.get_by_role("button", name="Save", exact=True).click()
        ann.page.get_by_text("Line 2, column 2: a comma is missing").wait_for()
        assert ann.page.evaluate("document.activeElement.id") == "text"
        assert ann.findings() == []

        uwe.open("/console/settings")
        uwe.page.get_by_label("Application").fill("agent-desktop")
        uwe.page.get_by_role("button", name="Show").click()
        uwe.page.get_by_role("link", name="Edit User uwe.lang").click()
        uwe.page.get_by_label("JSON of the user").fill('{"ui": {"theme": "blue"}}')
        uwe.page.get_by_role("button", name="Save", exact=True).click()
        uwe.page.get_by_role("status").get_by_text("Saved the settings of the user.").wait_for()

        field.fill('{"ui": {"theme": "dark", "size": 14}}')
        ann.page.get_by_role("button", name="Save", exact=True).click()
        ann.page.get_by_text("Not saved: uwe.lang saved revision 2").wait_for()
        assert '"size": 14' in field.input_value()
        assert ann.findings() == []
        ann.page.get_by_role("button", name="Save over revision 2").click()
        ann.page.get_by_role("status").get_by_text("Saved the settings of the user.").wait_for()

        ann.page.get_by_role("button", name="Restore this version: revision 2").click()
        ann.page.get_by_role("status").get_by_text("Restored revision 2 of the user.").wait_for()
        assert '"theme": "blue"' in ann.page.get_by_label("JSON of the user").inner_text()


def test_times_in_a_zone_that_is_named_are_not_cut(page: Open, site: Site) -> None:
    """In UTC the zone stands behind each time, which makes it the longest."""
    site.put("zones/1.wav", b"RIFF a voice", {"Zone": "utc"})
    with page(timezone_id="UTC") as seen:
        seen.sign_in(ADMINISTRATOR, PASSWORD)
        edit(seen, "application", '{"ui": {"zone": "UTC"}}')
        for path in (
            f"{PAGE}&history=application",
            "/console/containers/harbour/recordings?where=Zone+%3D+%27utc%27",
            "/console/audit",
        ):
            for width in WIDTHS:
                seen.page.set_viewport_size({"width": width, "height": 900})
                seen.open(path)
                assert "UTC" in " ".join(seen.page.locator("time").all_inner_texts()) or "audit" in path
                assert seen.cut_times() == [], f"{path} at {width}"


def test_the_page_fits_and_moves_nothing(page: Open) -> None:
    with page(user=ADMINISTRATOR) as seen:
        seen.open("/console/settings")
        edit(seen, "application", '{"ui": {"theme": "light", "queues": ["claims"]}}')
        edit(seen, "device", '{"ui": {"size": 16}}')
        for path in ("/console/settings", PAGE, f"{PAGE}&edit=device", f"{PAGE}&delete=device"):
            seen.open(path)
            seen.fits()
