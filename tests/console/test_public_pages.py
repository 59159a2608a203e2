"""The pages that need no sign-in: the home page, the sample form, a receipt."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.console.conftest import Open
from tests.kit.chromium import WIDTHS
from tests.kit.server import ROOT
from tests.kit.site import Site

SAMPLE = "/genesys/resources/storagetest.html"
FITS = "(field) => field.scrollWidth <= field.clientWidth"


@pytest.fixture(scope="module")
def receipt(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A receipt of an area that was deleted and is erased."""
    request = urllib.request.Request(f"{site.server.url}/genesys/1/storage/3600", b"Key1=Value1")
    with urllib.request.urlopen(request, timeout=60) as answer:
        name = answer.read().decode().split('"')[3]
    file = tmp_path_factory.mktemp("receipt") / "receipt.html"
    config = ["--config", str(site.server.folder / "retain.toml"), "--data", str(site.server.data)]
    command = [sys.executable, "-m", "retain", "audit", "receipt", name, "--html", "--output", str(file)]
    subprocess.run([*command, *config], cwd=ROOT, check=True, timeout=120)
    return file


def test_they_fit_and_move_nothing(page: Open, receipt: Path) -> None:
    with page() as seen:
        for address in (f"{seen.base}/", f"{seen.base}{SAMPLE}", receipt.as_uri()):
            seen.page.goto(address)
            seen.fits()


def test_a_line_of_the_home_page_is_copied_and_works(page: Open) -> None:
    with page(permissions=["clipboard-read", "clipboard-write"]) as seen:
        seen.open("/")
        assert seen.page.locator(".hero .state").is_visible()
        seen.page.get_by_role("button", name="Copy the first line for areas").click()
        line: Any = seen.page.evaluate("navigator.clipboard.readText()")
        done = subprocess.run(
            ["sh", "-c", f"{line} -s"], capture_output=True, text=True, timeout=60, check=True
        )
        assert done.stdout.startswith('{"id":"')
        seen.page.get_by_role("link", name="Sign in").click()
        seen.page.wait_for_url("**/console/sign-in")


def test_an_id_fits_its_field(page: Open) -> None:
    with page() as seen:
        seen.open(SAMPLE)
        seen.page.get_by_role("button", name="Create", exact=True).click()
        seen.page.get_by_text("Create: HTTP 200").wait_for()
        for width in WIDTHS:
            seen.page.set_viewport_size({"width": width, "height": 900})
            for field in seen.page.get_by_label("Id", exact=True).all():
                assert len(field.input_value()) == 36
                assert field.evaluate(FITS)


def test_a_receipt_prints_on_one_page(page: Open, receipt: Path, tmp_path: Path) -> None:
    with page() as seen:
        seen.page.goto(receipt.as_uri())
        printed = seen.page.pdf(path=tmp_path / "receipt.pdf", format="A4")
        assert printed.count(b"/Type /Page\n") == 1
