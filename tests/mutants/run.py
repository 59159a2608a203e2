"""Judge one change: copy the checkout, change the copy, run the tests that should notice."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.mutants.points import Point
from tests.mutants.selection import Selection, environment

FIRST_SECONDS = 8.0
"""The fastest tests of a change, together this long, run first: most changes are noticed by them."""
MOST_SECONDS = 180.0
"""Of the other tests of a change, only so much is run, as measured: a busy machine lengthens it."""
_START_SECONDS = 60.0
"""What a process of pytest may take to begin, on a machine that is busy."""
_SLOWER = 6.0
"""How much longer than measured tests may take before a change is taken to run for ever."""
_MEMORY = 4 << 30
"""Bytes of address space for one process of pytest."""
_NICE = 10
"""What `make mutants` begins with; more of it, and a busy machine leaves the tests no time at all."""
_FAILED, _INTERRUPTED, _INTERNAL, _USAGE = 1, 2, 3, 4


class Verdict(NamedTuple):
    """What became of a change.

    Attributes:
        killed: Whether a test noticed.
        how: The test that did, or why there is none.

    """

    killed: bool
    how: str


class Copy:
    """A copy of the checkout, for one change at a time.

    Args:
        top: The checkout.
        folder: Where to copy it, made here.

    """

    def __init__(self, top: Path, folder: Path) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=top,
            capture_output=True,
            check=True,
        ).stdout
        self.tree = folder / "tree"
        self._argfile = folder / "tests.txt"
        self._output = folder / "output.txt"
        self._top = top
        for name in filter(None, listed.decode().split("\0")):
            target = self.tree / name
            if (top / name).exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(top / name, target, follow_symlinks=False)

    def judge(self, point: Point, selection: Selection, more: Sequence[str] = ()) -> Verdict:
        """Change the copy, run the tests of the change and those of `more`, and change it back."""
        tests = selection.tests(point)
        first, rest = _by_budget(tests, selection)
        rounds = [names for names in ([*more, *first], rest) if names]
        if not rounds:
            return Verdict(False, "no test runs it")
        target = self.tree / point.path
        source = (self._top / point.path).read_bytes()
        target.write_bytes(point.changed(source))
        try:
            for names in rounds:
                verdict = self.run(names, sum(map(selection.seconds, names)))
                if verdict.killed:
                    return verdict
        finally:
            target.write_bytes(source)
        return Verdict(False, f"{sum(map(len, rounds))} tests pass")

    def run(self, tests: Sequence[str], seconds: float) -> Verdict:
        """Run tests in the copy until one fails. `seconds`: how long they should take."""
        self._argfile.write_text("\n".join(tests) + "\n")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "--no-header",
            "--tb=no",
            "-rfE",
            f"@{self._argfile}",
        ]
        with self._output.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=self.tree,
                env=environment(self.tree),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_bound,
            )
            try:
                process.wait(_START_SECONDS + _SLOWER * seconds)
            except subprocess.TimeoutExpired:
                return Verdict(True, "runs for ever")
            finally:
                _end(process)
        printed = self._output.read_text(errors="replace")
        if process.returncode == 0:
            return Verdict(False, "")
        if process.returncode == _USAGE and (missing := _missing(printed, self.tree)):
            # A change to a table renames the tests that are made from it; that alone notices nothing. All of
            # them are run instead; a test that is not there at all is left out.
            left = {name.partition("[")[0] if name.partition("[")[0] in missing else name for name in tests}
            left -= missing & set(tests)
            return self.run(sorted(left), seconds) if left and left != set(tests) else Verdict(False, "")
        return Verdict(True, _culprit(printed, process.returncode))


def _by_budget(tests: Sequence[str], selection: Selection) -> tuple[list[str], list[str]]:
    """Divide tests, the fastest first, into those that run first, those that run then, and those left out."""
    first: list[str] = []
    rest: list[str] = []
    spent = 0.0
    for name in tests:
        spent += selection.seconds(name)
        if spent <= FIRST_SECONDS or not first:
            first.append(name)
        elif spent <= FIRST_SECONDS + MOST_SECONDS:
            rest.append(name)
    # Tests of one module stand together, so that what they share is made once.
    return sorted(first), sorted(rest)


def _bound() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    os.nice(max(0, _NICE - os.nice(0)))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process with all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _missing(printed: str, tree: Path) -> set[str]:
    """Return the tests that pytest says it did not find."""
    prefix = f"ERROR: not found: {tree}/"
    return {line.removeprefix(prefix) for line in printed.splitlines() if line.startswith(prefix)}


def _culprit(printed: str, code: int) -> str:
    lines = [line for line in printed.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    if lines:
        return lines[0].split(" ", 1)[1].split(" - ")[0]
    return "does not import" if code in (_INTERRUPTED, _INTERNAL, _USAGE) else f"pytest ended with {code}"
