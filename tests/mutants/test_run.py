"""A change is noticed by a test that fails, by one that never ends, and by nothing else."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from coverage import CoverageData

from tests.mutants import run as running
from tests.mutants.points import Point, points_of
from tests.mutants.run import Copy, Verdict
from tests.mutants.selection import Selection, keep, measure

PRODUCT = b"""
TABLE = {"known": 5}


def least(values):
    at = 0
    while at < len(values) - 1:
        at += 1
    return values[at] if at > 100 else TABLE["known"]
"""
TESTS = """
import pytest
from room.part.product import TABLE, least

@pytest.mark.parametrize("name", list(TABLE))
def test_named(name):
    assert least([1, 2]) == TABLE[name]

def test_table():
    assert TABLE["known"] == 5
"""
NAMED, TABLED = (
    "tests/room/part/test_product.py::test_named[known]",
    "tests/room/part/test_product.py::test_table",
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    top = tmp_path / "top"
    for name, text in (
        ("room/part/product.py", PRODUCT.decode()),
        ("tests/room/part/test_product.py", TESTS),
        (
            "pyproject.toml",
            '[tool.pytest.ini_options]\naddopts = "--import-mode=importlib"\npythonpath = ["."]\n',
        ),
    ):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    subprocess.run(["git", "init", "-q", str(top)], check=True)
    data = CoverageData(str(tmp_path / "coverage"))
    data.set_context(f"{NAMED}|run")
    data.add_lines({"room/part/product.py": {6, 7, 8, 9}})
    data.set_context("")
    data.add_lines({"room/part/product.py": {2, 5}})
    data.write()
    printed = f"0.01s call     {NAMED}\n0.02s call     {TABLED}\n0.01s setup    {TABLED}\n"
    keep(top, ["room"], tmp_path, printed)
    return top


def point(top: Path, kind: str, before: str) -> Point:
    path = top / "room/part/product.py"
    [found] = [
        one for one in points_of(path, top) if (one.kind, one.before(path.read_bytes())) == (kind, before)
    ]
    return found


def test_tests_are_chosen_by_the_lines_they_run_and_by_their_room(project: Path, tmp_path: Path) -> None:
    selection = Selection(project, tmp_path)
    assert selection.tests(point(project, "comparison", "<")) == [NAMED]
    assert selection.tests(point(project, "number moved", "5")) == [NAMED, TABLED]
    assert selection.seconds(TABLED) == pytest.approx(0.03)
    changed = project / "room/part/product.py"
    changed.write_bytes(b"\n" + changed.read_bytes())
    assert selection.tests(point(project, "number moved", "100")) == [NAMED, TABLED], "lines have moved"


def test_what_one_test_imports_by_itself_is_seen_by_the_others_too(project: Path, tmp_path: Path) -> None:
    data = CoverageData(str(tmp_path / "coverage"))
    data.read()
    data.set_context(f"{NAMED}|run")
    data.add_lines({"room/part/product.py": {2, 5}})
    data.write()
    assert Selection(project, tmp_path).tests(point(project, "number moved", "5")) == [NAMED, TABLED]


def test_a_test_that_failed_while_it_was_measured_judges_nothing(project: Path, tmp_path: Path) -> None:
    keep(
        project,
        ["room"],
        tmp_path,
        f"0.01s call     {NAMED}\nFAILED {NAMED} - assert 1\n0.01s call     {TABLED}\n",
    )
    assert json.loads((tmp_path / "measured.json").read_text())["seconds"] == {TABLED: 0.01}


def test_what_is_measured_is_seen_by_processes_that_begin_later(project: Path, tmp_path: Path) -> None:
    """Coverage, when it begins, removes files beside its own: the workers' configuration is none of them."""
    kept = tmp_path / "kept"
    measure(project, ["room"], ["tests/room"], kept, 1)
    assert set(json.loads((kept / "measured.json").read_text())["seconds"]) == {NAMED, TABLED}
    assert Selection(project, kept).tests(point(project, "comparison", "<")) == [NAMED]


def test_tests_that_are_new_are_measured_beside_the_others(project: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    measure(project, ["room"], ["tests/room"], kept, 1)
    new = project / "tests/room/part/test_new.py"
    new.write_text("from room.part.product import least\n\ndef test_new():\n    assert least([1, 2]) == 5\n")
    measure(project, ["room"], ["tests/room/part/test_new.py"], kept, 1, adding=True)
    name = "tests/room/part/test_new.py::test_new"
    assert set(json.loads((kept / "measured.json").read_text())["seconds"]) == {NAMED, TABLED, name}
    found = Selection(project, kept).tests(point(project, "comparison", "<"))
    assert set(found) == {NAMED, name}


def test_verdicts(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy, selection = Copy(project, tmp_path / "copy"), Selection(project, tmp_path)
    for kind, before, verdict in (
        ("number moved", "100", Verdict(False, "1 tests pass")),
        ("number moved", "5", Verdict(True, TABLED)),
        ("arithmetic", "-", Verdict(False, "1 tests pass")),
        ("choice turned", "at > 100", Verdict(True, NAMED)),
    ):
        assert copy.judge(point(project, kind, before), selection) == verdict
    places = points_of(project / "room/part/product.py", project)
    text = next(one for one in places if one.kind == "text changed")
    assert copy.judge(text, selection).killed, "also where a change renames the tests that are made from it"
    assert (copy.tree / "room/part/product.py").read_bytes() == PRODUCT
    monkeypatch.setattr(running, "_START_SECONDS", 3.0)
    endless = point(project, "number moved", "0")._replace(after="-10**12")
    assert copy.judge(endless, selection) == Verdict(True, "runs for ever")
