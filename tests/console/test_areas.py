"""The areas in a real browser: listed, found, and opened by those who may."""

from __future__ import annotations

import urllib.request

import pytest

from tests.console.conftest import Open
from tests.kit.chromium import SCHEMES, WIDTHS
from tests.kit.site import PASSWORD, Site


def make(site: Site, form: bytes) -> None:
    request = urllib.request.Request(f"{site.server.url}/genesys/1/storage/3600", form)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200


def test_an_administrator_opens_an_area_and_an_auditor_cannot(page: Open, site: Site) -> None:
    make(site, b"Phone=0170&Reason=callback")
    with page() as seen:
        seen.sign_in("ann.keller", PASSWORD, "/console/areas")
        seen.page.get_by_role("row").nth(1).get_by_role("link").click()
        assert seen.page.get_by_role("cell", name="0170").is_visible()
        assert seen.findings() == []
    with page() as seen:
        seen.sign_in("otto.weiss", PASSWORD, "/console/areas")
        assert seen.page.get_by_role("row").nth(1).inner_text().startswith("area ")
        assert seen.page.get_by_role("row").nth(1).get_by_role("link").count() == 0


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_list_fits_and_moves_nothing(page: Open, site: Site, width: int, scheme: str) -> None:
    make(site, b"Key1=Value1&Key2=Value2")
    with page(width=width, color_scheme=scheme, reduced_motion="reduce") as seen:
        seen.sign_in("ann.keller", PASSWORD, "/console/areas")
        for opened in (False, True):
            if opened:
                seen.page.get_by_role("row").nth(1).get_by_role("link").click()
            box = seen.page.locator(".scroll").first
            assert box.evaluate("(box) => box.scrollWidth <= box.clientWidth"), "no column is cut off"
            assert seen.width() == width
            assert seen.shifted() < 0.001
            assert seen.findings() == []
