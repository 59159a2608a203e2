"""A new user's way: from a server that knows nobody to a downloaded recording, by what the pages say."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.kit.chromium import watched
from tests.kit.server import ROOT, Server, running
from tests.kit.site import Site


def paste(line: str, server: Server, typed: str = "") -> str:
    """Run a line that a page shows, as its reader would, in the folder of the checkout."""
    command = shlex.split(line)
    assert Path(command[0]).name == "retain"
    where = ["--config", str(server.folder / "retain.toml"), "--data", str(server.data)]
    done = subprocess.run(
        [sys.executable, "-m", "retain", *command[1:], *where],
        cwd=ROOT,
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_from_nothing_to_a_recording(browser: Any, tmp_path: Path) -> None:
    with running(tmp_path) as server, watched(browser, server.url) as seen:
        page = seen.page
        assert any("/console" in line for line in server.output), "the first screen names the console"
        seen.open("/")
        page.get_by_role("link", name="Sign in").click()
        page.get_by_role("heading", name="Nobody can sign in yet").wait_for()
        paste(page.locator("#line").inner_text(), server, typed="a long password\n")

        page.get_by_role("link", name="I have done that: sign in").click()
        page.get_by_label("User name").fill("operator")
        page.get_by_label("Password").fill("a long password")
        page.keyboard.press("Enter")
        page.get_by_role("link", name="SAS tokens").click()
        page.get_by_text("There is no tenant yet").wait_for()
        page.get_by_role("link", name="Add one on the page Containers").click()
        page.get_by_label("Name of the tenant").fill("mytenant")
        page.get_by_role("button", name="Add tenant").click()
        page.get_by_text("Added the tenant mytenant").wait_for()
        page.get_by_role("link", name="recordings").click()
        page.get_by_label("Files to upload").set_input_files(
            {"name": "by-hand.txt", "mimeType": "text/plain", "buffer": b"by hand"}
        )
        page.get_by_role("link", name="Open", exact=True).click()
        with page.expect_download() as started:
            page.get_by_role("link", name="Download, 7").click()
        assert started.value.path().read_bytes() == b"by hand"
        page.get_by_role("link", name="SAS tokens").click()

        key = json.loads(paste(".venv/bin/retain tenant show mytenant --keys --json", server))["keys"][0]
        Site(server).upload("mytenant", key, "recordings", "call.mp3", b"sound", {"RecordingType": "CALL"})
        page.get_by_role("button", name="Generate new tokens").click()
        page.wait_for_url("**/console/tokens/generated/*")
        line = page.locator("code", has_text="/recordings/NAME?").inner_text()
        download = line.replace("NAME", "call.mp3")
        subprocess.run(["sh", "-c", f"{download} -sf"], cwd=tmp_path, timeout=60, check=True)
        assert (tmp_path / "call.mp3").read_bytes() == b"sound"
        assert "sig=" not in server.log()
        assert "a long password" not in server.log()
