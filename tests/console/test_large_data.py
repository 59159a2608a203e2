"""Pages of long names, deep documents and many rows: none is wider than a phone.

With `RETAIN_PICTURES=FOLDER` it keeps a picture of each page, at both widths and in both schemes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.console.conftest import signed_in
from tests.kit import large
from tests.kit.chromium import SCHEMES, WIDTHS, Watched, watched
from tests.kit.server import running
from tests.kit.site import Site

PICTURES = os.environ.get("RETAIN_PICTURES")
WIDEST = (WIDTHS[0], WIDTHS[-1])

BEYOND = """[...document.querySelectorAll("main *")].filter((one) => {
    const box = one.getBoundingClientRect();
    if (!box.width || box.right <= innerWidth + 1) return false;
    for (let at = one; at; at = at.parentElement)
        if (getComputedStyle(at).overflowX !== "visible") return false;
    return true;
}).map((one) => one.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, str]]:
    """A server of its own, and the page of an area."""
    with running(tmp_path_factory.mktemp("large"), large.CONFIG) as server:
        site = Site(server)
        yield site, large.fill(site)
        assert "unhandled exception" not in server.log()


@pytest.fixture
def seen(browser: Any, filled: tuple[Site, str]) -> Iterator[Watched]:
    """The administrator's page."""
    base = filled[0].server.url
    with watched(browser, base, storage_state=signed_in(base, large.ADMINISTRATOR)) as page:
        yield page


def fits(seen: Watched, name: str) -> list[str]:
    """What of the page is beyond a phone or a wide window; keeps its pictures where they are wanted."""
    found: list[str] = []
    for width in WIDEST:
        seen.page.set_viewport_size({"width": width, "height": 900})
        found += [f"{name} at {width}: {one}" for one in seen.page.evaluate(BEYOND)]
        if seen.width() != width:
            found.append(f"{name} at {width} is {seen.width()} wide")
        for scheme in SCHEMES if PICTURES else ():
            seen.page.emulate_media(color_scheme=scheme)
            Path(PICTURES or "", f"{name}-{width}-{scheme}.png").write_bytes(
                seen.page.screenshot(full_page=True)
            )
    return found


def test_no_page_is_wider_than_its_window(seen: Watched, filled: tuple[Site, str]) -> None:
    found: list[str] = []
    seen.expected.add(400)
    for name, path in large.pages(filled[1]).items():
        answer = seen.open(path)
        assert answer.status == (400 if name == "search" else 200), name
        found += fits(seen, name)
    for resource in (f"*{large.CONTAINERS[0]}/x*", f"{large.APPLICATION}*"):
        seen.page.goto(f"{seen.base}/console/audit?resource={resource}")
        seen.page.locator(".line a").first.click()
        seen.page.get_by_role("heading", name="History").wait_for()
        found += fits(seen, f"history {resource[:3].strip('*')}")
    seen.open("/console/persons")
    seen.page.get_by_label("User of the settings").fill(large.PERSON)
    seen.page.get_by_label("In names of blobs").fill("*")
    seen.page.get_by_role("button", name="Find").click()
    seen.page.get_by_role("heading", name=re.compile("Found: [0-9]")).wait_for()
    found += fits(seen, "found things")
    seen.open("/console/tokens")
    seen.page.get_by_role("button", name="Generate new tokens").click()
    seen.page.wait_for_url("**/console/tokens/generated/*")
    found += fits(seen, "tokens, generated")
    assert found == []


def test_a_name_that_a_list_shortens_is_whole_on_its_page(seen: Watched) -> None:
    seen.open(large.CONTAINER)
    link = seen.page.get_by_role("link", name="xxx").first
    assert link.inner_text().count("x") < 200
    assert link.locator("span[title]").first.get_attribute("title") == large.NAMES[0]
    link.click()
    assert large.NAMES[0] in seen.page.get_by_role("heading", level=1).inner_text()


def test_a_name_cannot_pretend_to_be_another(seen: Watched) -> None:
    seen.open(large.CONTAINER)
    assert seen.page.get_by_role("link", name="evilU+202Egpj.wav", exact=True).count() == 1
