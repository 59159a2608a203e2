"""How many files and functions of Retain a request passes through; docs/architecture.md names the numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import trio

from tests.kit.walk import ROOMS, Walk, walks

ARCHITECTURE = Path(__file__).parents[3] / "docs" / "architecture.md"


@pytest.fixture(scope="module")
def documented() -> dict[tuple[str, str], tuple[int, int]]:
    """(request, path) → (files, calls), as docs/architecture.md has them."""
    row = re.compile(r"^\| (\w+ [A-Z]+) \| (short|long) \| (\d+) \| (\d+) \|$", re.MULTILINE)
    return {
        (name, path): (int(files), int(calls))
        for name, path, files, calls in row.findall(ARCHITECTURE.read_text())
    }


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Walk]]:
    """path → request → its walk."""

    async def walk(path: str) -> dict[str, Walk]:
        return await walks(tmp_path_factory.mktemp(path), short=path == "short")

    return {path: trio.run(walk, path) for path in ("short", "long")}


@pytest.mark.parametrize("path", ["short", "long"])
def test_a_request_passes_as_many_files_and_calls_as_documented(
    path: str, walked: dict[str, dict[str, Walk]], documented: dict[tuple[str, str], tuple[int, int]]
) -> None:
    found = walked[path]
    assert {name for name, _ in documented} == set(found)
    for name, walk in found.items():
        files, calls = documented[name, path]
        # A slow machine may put some work of the background into every round.
        assert len(walk.files) == pytest.approx(files, abs=3), walk.files
        assert walk.calls.total() == pytest.approx(calls, rel=0.08), walk.calls


def test_the_documented_way_is_the_way_of_these_requests(walked: dict[str, dict[str, Walk]]) -> None:
    """The journal appends in a thread of its own, which is not watched."""
    section = ARCHITECTURE.read_text().partition("## One write and one read, file by file\n")[2]
    files = re.findall(r"^\d+\. `([\w/.]+)`: ", section.partition("\n## ")[0], re.MULTILINE)
    found = walked["short"]
    assert set(files[:6]) <= set(found["area POST"].files)
    assert files[6] == "journal/journal.py"
    assert set(files[:3] + files[7:]) <= set(found["area GET"].files)
    settings = re.findall(r"`((?:api|engine)/settings/\w+\.py)`", section.partition("\n## ")[0])
    assert len(settings) == 6
    assert set(settings) <= set(found["settings PATCH"].files)


def test_a_read_passes_nothing_that_decides(walked: dict[str, dict[str, Walk]]) -> None:
    found = walked["short"]
    for name in ("area GET", "settings GET", "blob GET"):
        assert [file for file in found[name].files if "decide" in file or "apply" in file] == [], name
    assert {file.partition("/")[0] for file in found["blob GET"].files} == set(ROOMS)


def test_a_task_that_goes_on_is_no_new_call() -> None:
    from retain.api.http.plain_head import PlainHeads

    heads, walk = PlainHeads(max_headers=9, max_header_bytes=999), Walk()
    data = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    with walk.watching():
        heads.read(data, len(data))
    heads.read(data, len(data))
    assert walk.calls["api/http/plain_head.py", "PlainHeads.read"] == 1
