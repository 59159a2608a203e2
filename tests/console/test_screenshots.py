"""The pictures of README and docs: taken here, so that they show what the pages are (`make screenshots`).

A run of the tests only looks whether each picture can be taken and is shown. With
`RETAIN_SCREENSHOTS=1` it writes them.
"""

from __future__ import annotations

import json
import os
import urllib.request
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.console.conftest import ADMINISTRATOR, AUDITOR, Open
from tests.kit.chromium import Watched, screenshots
from tests.kit.server import ROOT
from tests.kit.site import Site

WRITES = os.environ.get("RETAIN_SCREENSHOTS") == "1"
NAMES = (
    *("home", "overview", "overview-dark", "tokens", "tokens-generated", "overview-phone"),
    *("containers", "settings", "audit", "audit-dark"),
)

#: A test's server lives in a folder for a few minutes; the pictures show an installed one's.
AS_INSTALLED = r"""() => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const text = texts.currentNode;
        const shown = text.data.replace(/\S*\/console\d+\/data\b/g, "/var/lib/retain");
        text.data = shown.replace(/(^|\s)\S*bin\/retain /g, "$1retain ");
    }
}"""


@pytest.fixture(scope="module", autouse=True)
def _filled(site: Site) -> None:
    """Something to be seen: recordings of some days, and areas that end one after the other."""
    key = site.key("harbour")
    for number in range(24):
        tags = {"RecordingType": "CALL", "StoredTime": "2026-11-22"}
        site.upload(
            "harbour", key, "recordings", f"8888/call-{number:03}.wav", bytes(40_000 + 997 * number), tags
        )
        if number % 4 == 0:
            site.upload("harbour", key, "voicemail", f"8888/message-{number:03}.wav", bytes(12_000), {})
    for number in range(120):
        ttl = 3600 + number * number * 150
        address = f"{site.server.url}/genesys/1/storage/{ttl}"
        urllib.request.urlopen(urllib.request.Request(address, b"Key1=Value1"), timeout=60).close()


def keep(seen: Watched, name: str, *, whole: bool = True) -> None:
    """Write the picture called `name`, or only take it.

    Args:
        seen: The page.
        name: The picture's name.
        whole: All of the page, and not what a window of 900 pixels shows: a list goes on and on.
    """
    assert name in NAMES
    seen.page.evaluate(AS_INSTALLED)
    taken = seen.page.screenshot(full_page=whole)
    assert taken.startswith(b"\x89PNG")
    if WRITES:
        screenshots().mkdir(exist_ok=True)
        (screenshots() / f"{name}.png").write_bytes(taken)


def test_the_home_page(page: Open) -> None:
    with page(width=1200) as seen:
        seen.open("/")
        keep(seen, "home")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("overview", {"width": 1280}),
        ("overview-dark", {"width": 1280, "color_scheme": "dark"}),
        ("overview-phone", {"width": 390}),
    ],
)
def test_the_overview(page: Open, name: str, options: dict[str, Any]) -> None:
    with page(user=ADMINISTRATOR, **options) as seen:
        seen.open("/console")
        keep(seen, name)


def test_the_tokens(page: Open) -> None:
    with page(user=ADMINISTRATOR, width=1280) as seen:
        seen.open("/console/tokens")
        keep(seen, "tokens")
        if not WRITES:  # other tests made some
            seen.page.get_by_label("Revoke existing tokens").check()
        seen.page.get_by_role("button", name="Generate new tokens").click()
        seen.page.wait_for_url("**/console/tokens/generated/*")
        keep(seen, "tokens-generated")


def test_a_container_by_its_tags(page: Open) -> None:
    where = "RecordingType = 'CALL' AND StoredTime >= '2026-11-01'"
    with page(user=ADMINISTRATOR, width=1280) as seen:
        seen.open(f"/console/containers/harbour/recordings?{urlencode({'prefix': '8888/', 'where': where})}")
        seen.page.get_by_role("link", name="Preview of 8888/call-001.wav").click()
        seen.page.get_by_role("complementary", name="Preview").wait_for()
        seen.page.evaluate("scrollTo(0, 0)")
        keep(seen, "containers", whole=False)


def test_the_settings_of_a_device(page: Open, site: Site) -> None:
    for level, document in (
        ("", {"appearance": {"theme": "light", "language": "en"}, "sync": {"minutes": 15, "photos": True}}),
        ("/users/uwe.lang", {"appearance": {"theme": "dark"}, "sync": {"minutes": 60}}),
    ):
        address = "/console/settings?application=com.example.harbour&user=uwe.lang"
        with page(user=ADMINISTRATOR) as seen:
            name = "user" if level else "application"
            seen.open(f"{address}&edit={name}")
            seen.page.get_by_label(f"JSON of the {name}").fill(json.dumps(document))
            seen.page.get_by_role("button", name="Save", exact=True).click()
            seen.page.get_by_role("status").get_by_text("Saved the settings").wait_for()
    with page(user=ADMINISTRATOR, width=1280) as seen:
        seen.open("/console/settings?application=com.example.harbour&user=uwe.lang")
        keep(seen, "settings")


@pytest.mark.parametrize(("name", "scheme"), [("audit", "light"), ("audit-dark", "dark")])
def test_the_audit(page: Open, name: str, scheme: str) -> None:
    with page(user=AUDITOR, width=1280, color_scheme=scheme) as seen:
        seen.open("/console/audit")
        seen.page.get_by_role("button", name="Verify").click()
        seen.page.get_by_text("All is there and unchanged").wait_for()
        seen.open("/console/audit")
        keep(seen, name, whole=False)


def test_every_picture_is_there_and_shown() -> None:
    pages = "\n".join(path.read_text() for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
    for name in NAMES:
        assert (screenshots() / f"{name}.png").exists(), "make screenshots takes it"
        assert f"images/{name}.png" in pages
    assert {path.stem for path in screenshots().glob("*.png")} <= set(NAMES) | other_pictures()


def other_pictures() -> set[str]:
    """Pictures that other modules of these tests take."""
    modules = (ROOT / "tests" / "console").glob("test_*.py")
    texts = "\n".join(module.read_text() for module in modules)
    return {path.stem for path in screenshots().glob("*.png") if f'"{path.stem}"' in texts}
