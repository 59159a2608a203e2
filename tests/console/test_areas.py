"""The areas in a real browser: listed, found, and opened by those who may."""

from __future__ import annotations

import json
import urllib.request

from tests.console.conftest import ADMINISTRATOR, AUDITOR, Open
from tests.kit.chromium import WIDTHS
from tests.kit.site import Site


def make(site: Site, form: bytes) -> str:
    """Make an area that ends before those of other tests; its id."""
    request = urllib.request.Request(f"{site.server.url}/genesys/1/storage/1800", form)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(json.load(answer)["id"])


def test_an_administrator_opens_an_area_and_an_auditor_cannot(page: Open, site: Site) -> None:
    name = make(site, b"Phone=0170&Reason=callback")
    with page(user=ADMINISTRATOR) as seen:
        seen.open("/console/areas")
        seen.page.get_by_role("link", name=name).click()
        assert seen.page.get_by_role("cell", name="0170").is_visible()
        assert seen.findings() == []
    with page(user=AUDITOR) as seen:
        seen.open("/console/areas")
        assert seen.page.get_by_role("row").nth(1).inner_text().startswith("area ")
        assert seen.page.get_by_role("row").nth(1).get_by_role("link").count() == 0


def test_the_pages_fit_and_move_nothing(page: Open, site: Site) -> None:
    make(site, b"Key1=Value1&Key2=Value2")
    with page(user=ADMINISTRATOR) as seen:
        seen.open("/console/areas")
        for opened in (False, True):
            if opened:
                seen.page.get_by_role("row").nth(1).get_by_role("link").click()
            seen.fits()
            for width in WIDTHS:
                seen.page.set_viewport_size({"width": width, "height": 900})
                box = seen.page.locator(".scroll").first
                assert box.evaluate("(box) => box.scrollWidth <= box.clientWidth"), "no column is cut off"
