"""Which tests run a line, and how long each takes: measured once by coverage, kept in `.mutants`."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from coverage import CoverageData

from tests.mutants.points import Point

_DURATION = re.compile(r"^\s*([0-9.]+)s (?:call|setup|teardown)\s+(.+?)\s*$")
_UNKNOWN_SECONDS = 0.01


def measure(
    tree: Path,
    rooms: Iterable[str],
    tests: Iterable[str],
    folder: Path,
    processes: int,
    *,
    adding: bool = False,
) -> None:
    """Run the tests in a copy of the checkout and keep which line each runs, and for how long.

    A test that fails there is used for no judgement. `adding`: what was measured of other tests stays.
    Raises RuntimeError if pytest itself cannot run.
    """
    folder.mkdir(exist_ok=True)
    data = folder / ("added" if adding else "coverage")
    # Not "coverage.…": coverage removes each such file when it begins, and the workers read this one later.
    options = folder / "measure.ini"
    sources = "\n    ".join(rooms)
    options.write_text(f"[run]\ndata_file = {data}\nrelative_files = true\nsource =\n    {sources}\n")
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(processes), "--dist", "worksteal", "-rfE"]
    command += ["--cov", f"--cov-config={options}", "--cov-context=test", "--cov-report="]
    command += ["--durations=0", "--durations-min=0", "-o", "faulthandler_timeout=900", *tests]
    done = subprocess.run(
        command, cwd=tree, env=environment(tree), capture_output=True, text=True, check=False
    )
    (folder / "measured.log").write_text(done.stdout + done.stderr)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"pytest could not run: see {folder}/measured.log")
    if adding:
        found, known = (CoverageData(str(path)) for path in (data, folder / "coverage"))
        found.read()
        known.read()
        known.update(found)
        known.write()
        found.erase()
    keep(tree, rooms, folder, done.stdout, adding=adding)


def keep(tree: Path, rooms: Iterable[str], folder: Path, printed: str, *, adding: bool = False) -> None:
    """Keep what pytest printed: the seconds of each test that passed, and of which sources that holds.

    `adding`: of tests that were not run, and of a module that has changed since, the lines stay those of the
    first measurement.
    """
    before = json.loads((folder / "measured.json").read_text()) if adding else {}
    seconds: dict[str, float] = {}
    for line in printed.splitlines():
        if match := _DURATION.match(line):
            seconds[match[2]] = seconds.get(match[2], 0.0) + float(match[1])
    for line in printed.splitlines():
        if line.startswith(("FAILED ", "ERROR ")):
            seconds.pop(line.split(" ", 1)[1].split(" - ")[0], None)
    hashes = {
        str(path.relative_to(tree)): _digest(path)
        for room in rooms
        for path in sorted((tree / room).rglob("*.py"))
    }
    seconds = {**before.get("seconds", {}), **seconds}
    hashes |= before.get("sources", {})
    (folder / "measured.json").write_text(json.dumps({"seconds": seconds, "sources": hashes}))


def environment(tree: Path) -> dict[str, str]:
    """Return the environment in which `retain` is the copy's, also for processes that a test starts."""
    return {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Selection:
    """What was measured.

    Args:
        tree: The checkout as it is now. A module that changed since is looked up as a whole.
        folder: Where `measure` kept it.

    """

    def __init__(self, tree: Path, folder: Path) -> None:
        kept = json.loads((folder / "measured.json").read_text())
        self._seconds: dict[str, float] = kept["seconds"]
        self._sources: dict[str, str] = kept["sources"]
        self._tree = tree
        self._data = CoverageData(str(folder / "coverage"))
        self._data.read()

    def tests(self, point: Point) -> list[str]:
        """Return the tests that run a change, the fastest first.

        What runs only while modules are imported is seen by every test of its module, and by tests of its
        room that look at a table without running a line of it.
        """
        lines = self._data.contexts_by_lineno(point.path)
        fresh = self._sources.get(point.path) == _digest(self._tree / point.path)
        span = range(point.line, point.last + 1)
        contexts = {context for line in span for context in lines.get(line, ())} if fresh else set()
        names = {context.rsplit("|", 1)[0] for context in contexts - {""}}
        if not names or "" in contexts:
            # A test that imports it, too, is not the only one that sees it.
            names |= {context.rsplit("|", 1)[0] for there in lines.values() for context in there} - {""}
            room = "tests/" + "/".join(point.path.split("/")[:2]) + "/"
            names |= {name for name in self._seconds if name.startswith(room)}
        return sorted(
            (name for name in names if name in self._seconds), key=lambda name: (self.seconds(name), name)
        )

    def seconds(self, test: str) -> float:
        """Return how long a test took."""
        return self._seconds.get(test, _UNKNOWN_SECONDS)
