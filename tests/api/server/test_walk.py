"""How many files and functions of Retain a request passes through; docs/architecture.md names the numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.kit.walk import ROOMS, Walk, walks

ARCHITECTURE = Path(__file__).parents[3] / "docs" / "architecture.md"


@pytest.fixture(scope="module")
def documented() -> dict[tuple[str, str], tuple[int, int]]:
    """(request, path) → (files, calls), as docs/architecture.md has them."""
    row = re.compile(r"^\| (blob \w+) \| (short|long) \| (\d+) \| (\d+) \|$", re.MULTILINE)
    return {
        (name, path): (int(files), int(calls))
        for name, path, files, calls in row.findall(ARCHITECTURE.read_text())
    }


@pytest.mark.parametrize("path", ["short", "long"])
async def test_a_request_passes_as_many_files_and_calls_as_documented(
    path: str, tmp_path: Path, documented: dict[tuple[str, str], tuple[int, int]]
) -> None:
    found = await walks(tmp_path, short=path == "short")
    assert {name for name, _ in documented} == set(found)
    for name, walk in found.items():
        files, calls = documented[name, path]
        # A slow machine may put some work of the background into every round.
        assert len(walk.files) == pytest.approx(files, abs=3), walk.files
        assert walk.calls.total() == pytest.approx(calls, rel=0.08), walk.calls


async def test_a_read_imports_nothing_that_decides(tmp_path: Path) -> None:
    walk = (await walks(tmp_path, short=True))["blob GET"]
    assert [file for file in walk.files if "decide" in file or "apply" in file] == []
    assert {file.partition("/")[0] for file in walk.files} == set(ROOMS)


def test_a_task_that_goes_on_is_no_new_call() -> None:
    from retain.api.http.plain_head import PlainHeads

    heads, walk = PlainHeads(max_headers=9, max_header_bytes=999), Walk()
    data = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    with walk.watching():
        heads.read(data, len(data))
    heads.read(data, len(data))
    assert walk.calls["api/http/plain_head.py", "PlainHeads.read"] == 1
