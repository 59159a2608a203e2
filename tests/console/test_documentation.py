"""The documentation site in Chromium: every page, its search, both schemes, the page of the interfaces."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.console.conftest import Open
from tests.kit.manual import built

MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def manual() -> Path:
    return built()


def addresses(manual: Path) -> list[str]:
    return sorted(
        f"/docs/{path.parent.relative_to(manual).as_posix()}/" for path in manual.rglob("index.html")
    )


def test_the_site_is_small_and_has_no_inline_script_or_style(manual: Path) -> None:
    files = [path for path in manual.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 8 * MEBIBYTE
    for page in manual.rglob("*.html"):
        text = page.read_text()
        for script in re.findall(r"<script[^>]*>", text):
            assert "src=" in script or 'type="application/json"' in script, (page, script)
        assert "<style" not in text, page
        assert not re.search(r'<[^>]+\sstyle="', text), page
        assert not re.search(r"<[^>]+\son\w+=", text), page
        outside = re.findall(r'<(?:script|img|link|iframe)[^>]+(?:src|href)="(https?://[^"]+)"', text)
        assert outside == [], page


def without_search(page: Any, manual: Path) -> None:
    """Give the page an empty index: each page that is opened builds its own, a quarter of what it costs."""
    index = json.loads((manual / "search" / "search_index.json").read_text())
    page.route("**/search_index.json", lambda route: route.fulfill(json={**index, "docs": []}))


def titles(manual: Path) -> dict[str, str]:
    """The title of each page by its address."""
    found = {}
    for page in manual.rglob("index.html"):
        place = page.parent.relative_to(manual).as_posix()
        title = re.search(r"<h1[^>]*>(.*?)(?:<a class=\"headerlink\"|</h1>)", page.read_text(), re.DOTALL)
        if place != "api":
            assert title is not None, page
            address = "/docs/" if place == "." else f"/docs/{place}/"
            found[address] = unescape(re.sub(r"<[^>]+>", "", title[1])).strip()
    return found


def test_every_page_opens_without_a_fault_and_asks_nobody_else(manual: Path, page: Open) -> None:
    with page() as seen:
        without_search(seen.page, manual)
        for address in addresses(manual):
            assert seen.open(address).status == 200
            seen.page.wait_for_load_state("load")
            assert seen.faults == [], address


def test_the_search_finds_every_page_by_its_title(manual: Path, page: Open) -> None:
    """Among the first results, in the browser, from a page two folders down."""
    known = titles(manual)
    assert len(known) > 20
    assert len(set(known.values())) == len(known), "two pages have one title"
    with page() as seen:
        seen.open("/docs/wire/areas/")
        query = seen.page.locator("[data-md-component=search-query]")
        query.click()
        for address, title in known.items():
            query.fill(title)
            query.press("End")  # the search listens to keys
            seen.page.wait_for_function(
                "(address) => [...document.querySelectorAll('.md-search-result__link')].slice(0, 12)"
                ".some((link) => new URL(link.href).pathname === address)",
                arg=address,
            )


def test_light_and_dark_can_be_read(manual: Path, page: Open) -> None:
    for scheme in ("light", "dark"):
        with page(color_scheme=scheme) as seen:
            without_search(seen.page, manual)
            for name in ("operating", "how-to/behind-a-proxy", "beside/examples"):
                seen.open(f"/docs/{name}/")
                ground = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
                assert (ground == "rgb(255, 255, 255)") is (scheme == "light")
                assert seen.findings(("color-contrast",)) == [], (scheme, name)


def test_the_interfaces_can_be_browsed(manual: Path, page: Open) -> None:
    with page() as seen:
        seen.open("/docs/api/")
        for name, operation in (
            ("areas", "Create an area"),
            ("blobs", "List Blobs"),
            ("console", "Generate tokens"),
        ):
            seen.page.get_by_label("Interface").select_option(name)
            seen.page.locator(".opblock-summary-description", has_text=operation).first.wait_for()
            assert seen.faults == []
        seen.page.locator(".opblock-summary-description", has_text="Generate tokens").click()
        seen.page.get_by_role("button", name="Try it out").click()
        assert seen.faults == []
