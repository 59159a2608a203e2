"""The overview in a real browser."""

from __future__ import annotations

import pytest

from tests.console.conftest import Open
from tests.kit.chromium import SCHEMES, WIDTHS
from tests.kit.site import PASSWORD


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_fits_and_moves_nothing(page: Open, width: int, scheme: str) -> None:
    with page(width=width, color_scheme=scheme, reduced_motion="reduce") as seen:
        seen.sign_in("ann.keller", PASSWORD)
        assert seen.width() == width
        assert seen.shifted() < 0.001
        seen.page.get_by_text("The same as a table").click()
        assert seen.width() == width
        assert seen.findings() == []


def test_the_rail_is_a_menu_on_a_phone(page: Open) -> None:
    with page(width=390) as seen:
        seen.sign_in("ann.keller", PASSWORD)
        link = seen.page.get_by_role("link", name="SAS tokens")
        assert not link.is_visible()
        seen.page.get_by_role("button", name="Menu").click()
        link.click()
        seen.page.wait_for_url("**/console/tokens")


def test_a_user_without_a_role_finds_no_way_to_the_rest(page: Open) -> None:
    with page() as seen:
        seen.expected.add(403)
        seen.sign_in("uwe.lang", PASSWORD)
        assert seen.page.get_by_role("link", name="SAS tokens").count() == 0
        seen.open("/console/tokens")
        assert seen.page.get_by_role("heading", name="Your role does not allow this page").is_visible()
        assert seen.findings() == []
