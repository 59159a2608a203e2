"""The programs of examples/ print what examples/README.md shows."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from retain.api.blobs.sas.issue import issue_account_sas
from tests.kit.chromium import chromium, watched
from tests.kit.passwords import cheap_hash
from tests.kit.server import ROOT, Server, running

EXAMPLES = ROOT / "examples"
PAGE = (EXAMPLES / "README.md").read_text()
KEY = "dGhlIGtleSBvZiB0aGUgZXhhbXBsZXM="
CONFIG = """
[areas]
cors_allowed_origins = ["{origin}"]

[[tenants]]
name = "mytenant"
containers = ["recordings", "gim-export"]
key = "{key}"

[[users]]
name = "ann"
password = "{password}"
"""
NODE = ROOT / "tests" / "clients" / "js" / "node_modules"
#: What each program needs besides the standard library: commands, and Python packages.
NEEDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "curl/areas.sh": (("curl",), ()),
    "java/AreasAndSettings.java": (("java",), ()),
    "javascript/recordings.mjs": (("node",), ()),
    "python/areas_and_settings.py": ((), ("requests",)),
    "python/metadata.py": ((), ("duckdb",)),
    "python/parquet.py": ((), ("pyarrow", "pandas")),
    "python/recordings.py": ((), ()),
    "rclone/copy.sh": (("rclone",), ()),
}
UNIT_TEST = "python/test_recordings.py"
RECEIVER = "python/webhook_receiver.py"
"""Run by tests/test_webhook_receiver.py."""
RUNS = {".sh": "sh", ".py": sys.executable, ".mjs": "node", ".java": "java"}

pytestmark = pytest.mark.slow


@contextmanager
def web(folder: Path) -> Iterator[str]:
    """The origin of a web server of the reader's own, which shows a folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder)
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with web(EXAMPLES / "javascript") as found:
        yield found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, origin: str) -> Iterator[Server]:
    config = CONFIG.format(key=KEY, password=cheap_hash("secret"), origin=origin)
    with running(tmp_path_factory.mktemp("examples"), config) as found:
        yield found
        assert "unhandled exception" not in found.log()


def shown(name: str) -> str:
    """What the page says that a program prints."""
    section = PAGE.partition(f"### [{name}]({name})\n")[2].partition("\n### ")[0]
    return re.findall(r"```text\n(.*?)```", section, re.DOTALL)[0]


def test_every_program_is_on_the_page_and_is_run() -> None:
    found = {
        path.relative_to(EXAMPLES).as_posix()
        for path in EXAMPLES.rglob("*")
        if path.is_file() and path.suffix not in (".md", ".pyc")
    }
    assert found == {*NEEDS, "javascript/form.html", UNIT_TEST, RECEIVER}
    assert found == set(re.findall(r"^### \[([^\]]+)\]\(\1\)$", PAGE, re.MULTILINE))


def test_the_unit_test_starts_its_own_server_and_passes(tmp_path: Path) -> None:
    program = shutil.copy(EXAMPLES / UNIT_TEST, tmp_path)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", program],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert shown(UNIT_TEST).partition(" in ")[0] in done.stdout


@pytest.mark.parametrize("name", NEEDS)
def test_the_program_prints_what_the_page_shows(name: str, server: Server, tmp_path: Path) -> None:
    commands, packages = NEEDS[name]
    for command in commands:
        if shutil.which(command) is None:
            pytest.skip(f"{command} is not installed")
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install -e '.[examples]'")
    program = EXAMPLES / name
    if program.suffix == ".mjs":
        if not NODE.is_dir():
            pytest.skip("@azure/storage-blob is not installed: npm install --prefix tests/clients/js")
        (tmp_path / "node_modules").symlink_to(NODE.resolve())
        program = Path(shutil.copy(program, tmp_path))
    files = tmp_path / "files"
    files.mkdir()
    for file in ("one.txt", "two.txt"):
        (files / file).write_text(file)
    token = issue_account_sas(
        KEY_BYTES, account="mytenant", permissions="rwdlac", expiry=4_000_000_000 * 10**9
    )
    environ = {
        **os.environ,
        "RETAIN_URL": server.url,
        "RETAIN_USER": "ann",
        "RETAIN_PASSWORD": "secret",
        "RETAIN_BLOBS": f"DefaultEndpointsProtocol=http;BlobEndpoint={server.url}/mytenant;"
        f"AccountName=mytenant;AccountKey={KEY};",
        "RETAIN_TOKEN": token,
    }
    arguments = [str(files)] if name == "rclone/copy.sh" else []
    done = subprocess.run(
        [RUNS[program.suffix], str(program), *arguments],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == shown(name)


KEY_BYTES = b"the key of the examples"


def test_the_form_keeps_what_was_typed_in_a_browser(server: Server, origin: str) -> None:
    with chromium() as browser:
        context = browser.new_context()
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{origin}/form.html?server={server.url}")
        page.get_by_label("Phone").fill("49301234")
        page.get_by_label("File").set_input_files(
            [{"name": "a.txt", "mimeType": "text/plain", "buffer": b"hello"}]
        )
        page.get_by_role("button", name="Keep").click()
        page.wait_for_function("document.getElementById('kept').textContent.includes('49301234')")
        text = page.locator("#kept").inner_text()
        assert f"{server.url}/genesys/1/storage/binary/" in text
        assert faults == []
        context.close()


def test_a_page_of_another_origin_is_told_that_nothing_was_kept(server: Server) -> None:
    with web(EXAMPLES / "javascript") as other, chromium() as browser, watched(browser, other) as seen:
        seen.page.goto(f"{other}/form.html?server={server.url}")
        seen.page.get_by_label("Phone").fill("1")
        seen.page.get_by_role("button", name="Keep").click()
        seen.page.wait_for_function("document.getElementById('kept').textContent.startsWith('Not kept')")
        seen.faults.clear()
