"""The overview in a real browser."""

from __future__ import annotations

from tests.console.conftest import ADMINISTRATOR, USER, Open
from tests.kit.chromium import WIDTHS


def test_it_fits_and_moves_nothing(page: Open) -> None:
    with page(user=ADMINISTRATOR) as seen:
        seen.open("/console")
        seen.fits()
        seen.page.get_by_text("The same as a table").click()
        for width in WIDTHS:
            seen.page.set_viewport_size({"width": width, "height": 900})
            seen.fits_here(width, shift=1)


def test_the_rail_is_a_menu_on_a_phone(page: Open) -> None:
    with page(user=ADMINISTRATOR, width=390) as seen:
        seen.open("/console")
        link = seen.page.get_by_role("link", name="SAS tokens")
        assert not link.is_visible()
        seen.page.get_by_role("button", name="Menu").click()
        link.click()
        seen.page.wait_for_url("**/console/tokens")


def test_a_user_without_a_role_finds_no_way_to_the_rest(page: Open) -> None:
    with page(user=USER) as seen:
        seen.expected.add(403)
        seen.open("/console")
        assert seen.page.get_by_role("link", name="SAS tokens").count() == 0
        seen.open("/console/tokens")
        assert seen.page.get_by_role("heading", name="Your role does not allow this page").is_visible()
        assert seen.findings() == []
