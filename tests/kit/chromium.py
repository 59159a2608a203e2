"""Debian's Chromium, driven by Playwright, and checks that apply to every page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.kit.server import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = ROOT / "tests" / "clients" / "js" / "node_modules" / "axe-core" / "axe.min.js"
ZONE = "Europe/Berlin"
WIDTHS = (390, 768, 1440)
SCHEMES = ("light", "dark")
#: The rules of axe-core that a colour scheme can break.
COLOURS = ("color-contrast", "link-in-text-block")

#: What a page moves after its first picture, in Chromium's measure; 0.1 counts as good elsewhere.
SHIFT_SCRIPT = """
window.shifted = 0;
const count = (list) => {
  for (const entry of list) if (!entry.hadRecentInput) window.shifted += entry.value;
};
window.shifts = new PerformanceObserver((list) => count(list.getEntries()));
window.shifts.observe({ type: "layout-shift", buffered: true });
window.settled = async () => {
  if (document.readyState !== "complete") await new Promise((done) => addEventListener("load", done));
  await document.fonts.ready;
  for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
  count(window.shifts.takeRecords());
  return window.shifted;
};
"""


@dataclass
class Watched:
    """A page, with the errors in it.

    Attributes:
        page: Playwright's.
        base: The server's URL.
        faults: Errors in the browser's console, and requests to another origin.
    """

    page: Any
    base: str
    faults: list[str] = field(default_factory=list)
    #: Statuses that the test asks for on purpose: the browser reports each as an error.
    expected: set[int] = field(default_factory=set)

    def open(self, path: str) -> Any:
        """Go to a path of the server."""
        return self.page.goto(f"{self.base}{path}")

    def sign_in(self, name: str, password: str, next_path: str = "/console") -> None:
        """Sign in as a user would, and end on `next_path`."""
        self.open(f"/console/sign-in?next={next_path}")
        self.page.get_by_label("User name").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.wait_for_url(f"{self.base}{next_path}")

    def sign_out(self) -> None:
        """Forget who is signed in, in this browser only."""
        self.page.context.clear_cookies()

    def shifted(self) -> float:
        """How much the page moved by itself until all of it was there and drawn."""
        return float(self.page.evaluate("window.settled()"))

    def fits(self, *, shift: float = 0.001) -> None:
        """Look at the page as it is at every width and in both schemes.

        At each width it is loaded anew: it must be as wide as its window and move nothing. axe-core looks at
        it as a phone and as a wide screen show it, at its colours in both schemes; between the two stand no
        parts of their own.

        Args:
            shift: How much may move: a player moves in itself.
        """
        address = self.page.url
        self.page.emulate_media(color_scheme="light", reduced_motion="reduce")
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 900})
            self.page.goto(address)
            self.fits_here(width, shift=shift)

    def fits_here(self, width: int, *, shift: float = 0.001) -> None:
        """Look at the page as it stands, at one width, in both schemes."""
        address = self.page.url
        assert self.shifted() <= shift, f"{address} moves at {width}"
        for scheme in SCHEMES:
            self.page.emulate_media(color_scheme=scheme)
            assert self.width() == width, f"{address} at {width}, {scheme}"
            if width in (WIDTHS[0], WIDTHS[-1]):
                rules = () if scheme == "light" else COLOURS
                assert self.findings(rules) == [], f"{address} at {width}, {scheme}"
        self.page.emulate_media(color_scheme="light")

    def width(self) -> int:
        """How wide the page is: more than its window, if it scrolls sideways."""
        return int(self.page.evaluate("document.documentElement.scrollWidth"))

    def cut_times(self) -> list[str]:
        """The places of times that reach beyond their cell: cut off there, or over something else."""
        found: list[str] = self.page.evaluate("""[...document.querySelectorAll("time")].filter((time) => {
            const cell = time.closest("td, dd, .line > *") ?? time;
            const text = document.createRange();
            text.selectNodeContents(time);
            return text.getBoundingClientRect().right > cell.getBoundingClientRect().right + 1;
        }).map((time) => time.parentElement.outerHTML.slice(0, 200))""")
        return found

    def findings(self, rules: tuple[str, ...] = ()) -> list[str]:
        """What axe-core finds that is serious or critical.

        Args:
            rules: Only these; all of them by default.
        """
        if not AXE.exists():
            pytest.skip("axe-core is not installed: npm install --prefix tests/clients/js")
        # The page's policy forbids scripts of others; Playwright's evaluate is not bound by it.
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(_axe())
        options: dict[str, Any] = {"resultTypes": ["violations"]}
        if rules:
            options["runOnly"] = {"type": "rule", "values": list(rules)}
        found = self.page.evaluate("(options) => axe.run(document, options)", options)
        return [
            f"{rule['id']}: {node['html'][:120]}"
            for rule in found["violations"]
            if rule["impact"] in ("serious", "critical")
            for node in rule["nodes"]
        ]


@cache
def _axe() -> str:
    return AXE.read_text()


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; the test is skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with playwright.sync_playwright() as driver:
        # Without a sandbox because tests run as root in containers; the pages are our own.
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def watched(browser: Any, base: str, **options: Any) -> Iterator[Watched]:
    """A page in a context of its own. At its end nothing may have gone wrong.

    Args:
        browser: From `chromium`.
        base: The server's URL.
        options: Of Playwright's `new_context`, such as `color_scheme`; `width` for the window's width.
    """
    width = options.pop("width", 1440)
    settings = {"viewport": {"width": width, "height": 900}, "timezone_id": ZONE, **options}
    context = browser.new_context(**settings)
    context.set_default_timeout(30_000)
    context.add_init_script(SHIFT_SCRIPT)
    page = context.new_page()
    seen = Watched(page, base)

    def said(message: Any) -> None:
        if message.type == "error" and not any(f"status of {code}" in message.text for code in seen.expected):
            seen.faults.append(message.text)

    def asked(request: Any) -> None:
        if urlsplit(request.url).scheme in ("http", "https") and not request.url.startswith(f"{base}/"):
            seen.faults.append(f"asked {request.url}")

    page.on("console", said)
    page.on("pageerror", lambda error: seen.faults.append(str(error)))
    context.on("request", asked)
    try:
        yield seen
        assert seen.faults == []
    finally:
        context.close()


def screenshots() -> Path:
    """Where the pictures of README and docs are."""
    return ROOT / "docs" / "images"
