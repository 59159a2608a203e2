"""`python -m tests.mutants [--count 200] [--seed 1] [--minutes 60] [--only ID …]`: change, test, tell."""

from __future__ import annotations

import argparse
import random
import re
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

from tests.mutants.points import Point, points_of
from tests.mutants.run import Copy, Verdict
from tests.mutants.selection import Selection, measure

TOP = Path(__file__).resolve().parents[2]
KEPT = TOP / ".mutants"
ROOMS = ("api/blobs", "api/identity", "api/settings", "engine")
"""What is measured; the changed modules are in these."""
DECIDING = ("decide*.py", "conditions.py", "leases.py", "admit.py", "value.py", "json_patch.py", "roles.py")
"""The modules of the engine that decide. The rest of it, nodes included, has campaigns of its own."""
TESTS = (
    *(
        f"tests/engine/{room}"
        for room in ("areas", "blobs", "core", "holds", "persons", "settings", "tokens")
    ),
    *(f"tests/api/{room}" for room in ("admin", "areas", "blobs", "cli", "console", "identity", "settings")),
    "tests/api/server/test_app.py",
)
"""The tests that may notice: those of the changed rooms and of what stands on them."""
READERS = {"engine/": ["tests/engine/test_reasons.py"]}
"""Tests that read the sources of a room and run none of their lines."""


class Judged(NamedTuple):
    """A change that was examined and makes no difference that anyone could see: `judged.toml`."""

    path: str
    line: str
    before: str
    after: str


def modules() -> list[Path]:
    """Return the modules that are changed."""
    found = {path for room in ROOMS[:3] for path in (TOP / room).rglob("*.py")}
    found |= {path for pattern in DECIDING for path in (TOP / "engine").rglob(pattern)}
    return sorted(path for path in found if path.parent != TOP / "engine/nodes")


class Harmless:
    """The changes that count neither as noticed nor as missed: `judged.toml`.

    Attributes:
        changes: Those that were examined one by one.
        constants: Module and name of each constant whose exact value no answer tells.

    """

    def __init__(self) -> None:
        entries = tomllib.loads((Path(__file__).parent / "judged.toml").read_text())
        self.changes = {
            Judged(entry["path"], entry["line"], entry["before"], entry["after"])
            for entry in entries["change"]
        }
        self.constants = {(entry["path"], entry["name"]) for entry in entries["constant"]}

    def __contains__(self, point: Point) -> bool:
        change = described(point)
        return change in self.changes or self.constant_of(point, change.line) is not None

    def constant_of(self, point: Point, line: str) -> tuple[str, str] | None:
        """Return the constant whose definition a change moves, or whose boundary it moves by one."""
        for path, name in self.constants:
            if point.kind == "number moved":
                if point.path == path and re.match(rf"{name}\b.* = ", line):
                    return path, name
            elif point.kind == "comparison" and point.after.strip("<>") in ("", "="):
                # Such a name means the same wherever it is imported; a private one stays in its module.
                near = (
                    point.path == path if name[0] == "_" else point.path.startswith(path.rpartition("/")[0])
                )
                if near and re.search(rf"\b{name}\b", line):
                    return path, name
        return None


def name_of(point: Point) -> str:
    """Return how `--only` names a change."""
    return f"{point.path}:{point.line}:{point.start}:{point.after}"


def described(point: Point) -> Judged:
    """Return a change as `judged.toml` writes it: by its line's text, which moves with the code."""
    source = (TOP / point.path).read_bytes()
    line = source.splitlines()[point.line - 1].decode().strip()
    return Judged(point.path, line, point.before(source), point.after)


def main() -> None:
    """Run it and print the figure."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--count", type=int, default=200, help="how many changes, chosen at random")
    parser.add_argument("--seed", type=int, default=1, help="which ones")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no change after this long")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    parser.add_argument("--only", action="append", default=[], metavar="ID", help="these changes, as printed")
    parser.add_argument(
        "--tests", action="append", default=[], metavar="PATH", help="tests to run in addition"
    )
    parser.add_argument(
        "--measure",
        nargs="*",
        metavar="PATH",
        help="find out again which tests run which lines; with PATHs for these tests only, beside the others",
    )
    asked = parser.parse_args()
    every = [point for path in modules() for point in points_of(path, TOP)]
    if asked.only:
        chosen = [point for point in every if name_of(point) in asked.only]
    else:
        chosen = sample(every, asked.count, asked.seed)
    chosen = [point for point in chosen if point.compiles((TOP / point.path).read_bytes())]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        adding = bool(asked.measure) and (KEPT / "measured.json").exists()
        if asked.measure is not None or not (KEPT / "measured.json").exists():
            print("Measuring which tests run which lines; this takes as long as the tests.", flush=True)
            tree, tests = Copy(TOP, Path(folder) / "measure").tree, asked.measure if adding else TESTS
            measure(tree, ROOMS, tests, KEPT, asked.jobs, adding=adding)
        print(f"{len(chosen)} of {len(every)} changes, seed {asked.seed}", flush=True)
        _judge_all(chosen, Path(folder), asked.jobs, asked.minutes, asked.tests)


def sample(every: list[Point], count: int, seed: int) -> list[Point]:
    """Return changes at random, a fifth of them texts: more places are, but few of those are rules."""
    chance = random.Random(seed)
    texts = [point for point in every if point.kind == "text changed"]
    rules = [point for point in every if point.kind != "text changed"]
    few = min(count // 5, len(texts))
    return chance.sample(texts, few) + chance.sample(rules, min(count - few, len(rules)))


def _judge_all(chosen: list[Point], folder: Path, jobs: int, minutes: float, more: list[str]) -> None:
    selection, harmless = Selection(TOP, KEPT), Harmless()
    copies: Queue[Copy] = Queue()
    for number in range(jobs):
        copies.put(Copy(TOP, folder / str(number)))
    end = time.monotonic() + 60 * minutes

    def judge(point: Point) -> tuple[Point, Verdict] | None:
        if time.monotonic() > end or point in harmless:
            return None
        copy = copies.get()
        try:
            readers = [
                name for room, names in READERS.items() if point.path.startswith(room) for name in names
            ]
            verdict = copy.judge(point, selection, [*readers, *more])
        finally:
            copies.put(copy)
        print(f"{'noticed' if verdict.killed else 'MISSED ':8}{_shown(point)}  [{verdict.how}]", flush=True)
        return point, verdict

    with ThreadPoolExecutor(jobs) as pool:
        results = [result for result in pool.map(judge, chosen) if result is not None]
    missed = [point for point, verdict in results if not verdict.killed]
    skipped = sum(point in harmless for point in chosen)
    late = len(chosen) - skipped - len(results)
    print(f"\nSeen to change nothing (judged.toml): {skipped}. Not begun in time: {late}.")
    for point in missed:
        print(f"MISSED {name_of(point)}\n       {_shown(point)}")
    noticed = len(results) - len(missed)
    print(f"{noticed} of {len(results)} changes noticed: {100 * noticed / max(1, len(results)):.1f} %")


def _shown(point: Point) -> str:
    change = described(point)
    return f"{point.path}:{point.line} {point.kind}: {change.before!r} -> {change.after!r} in: {change.line}"


if __name__ == "__main__":
    main()
