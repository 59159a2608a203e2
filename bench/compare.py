"""Measure two versions in turn, and find what changed beyond noise."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from retain.bench.metrics import METRICS
from retain.bench.result import RunResult
from retain.bench.scenario import RunSettings, Scenario

COMPARED: Final = (
    "per_second",
    "mib_per_second",
    "cpu_us",
    "p99_ms",
    "seconds",
    "bytes_each",
    "journal_bytes",
)
"""Metrics whose changes are reported."""

_T95: Final = (
    12.71,
    4.303,
    3.182,
    2.776,
    2.571,
    2.447,
    2.365,
    2.306,
    2.262,
    2.228,
    2.201,
    2.179,
    2.160,
    2.145,
)
"""Student's t for 95 %, two-sided, by degrees of freedom from 1."""
_NORMAL95: Final = 1.96


class NotComparable(Exception):
    """Two versions cannot be compared; the text gives the reason and the next step."""


@dataclass(frozen=True, slots=True)
class VersionComparison:
    """One figure at both versions.

    Attributes:
        scenario: The scenario.
        case: The case.
        metric: The metric.
        base: The median at the base.
        head: The median at the head.
        ratio: Head to base: the geometric mean of the rounds' ratios.
        low: The lower end of the 95 % confidence interval of the ratio.
        high: Its upper end.

    """

    scenario: str
    case: str
    metric: str
    base: float
    head: float
    ratio: float
    low: float
    high: float

    @property
    def is_real(self) -> bool:
        """Whether the interval excludes a ratio of 1."""
        return not self.low <= 1 <= self.high

    @property
    def is_worse(self) -> bool:
        """Whether the change is real and for the worse."""
        return self.is_real and (self.ratio < 1) == METRICS[self.metric].more


def interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """Return (mean, low, high) of ratios: their geometric mean and its 95 % confidence interval.

    The rounds were interleaved, so each ratio is of two neighbours in time; their logarithms are assumed to
    be normally distributed (Student's t). A single round gives no information about noise: its interval is
    unbounded.
    """
    logs = [math.log(ratio) for ratio in ratios]
    middle = statistics.fmean(logs)
    if len(logs) < 2:
        return math.exp(middle), 0.0, math.inf
    freedom = len(logs) - 1
    factor = _T95[freedom - 1] if freedom <= len(_T95) else _NORMAL95
    reach = factor * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(middle), math.exp(middle - reach), math.exp(middle + reach)


def changes(base: RunResult, head: RunResult) -> list[VersionComparison]:
    """Return the changes of all figures that both results have for the same number of rounds."""
    found = []
    theirs = {(row.case, row.server): row for row in base.rows}
    for row in head.rows:
        other = theirs.get((row.case, row.server))
        if other is None:
            continue
        for metric in COMPARED:
            pairs = list(zip(row.figures.get(metric, ()), other.figures.get(metric, ()), strict=False))
            ratios = [new / old for new, old in pairs if new > 0 and old > 0]
            if ratios:
                middle, low, high = interval(ratios)
                medians = other.median(metric), row.median(metric)
                found.append(VersionComparison(head.scenario, row.case, metric, *medians, middle, low, high))
    return found


@contextmanager
def checkout(revision: str, repository: Path) -> Iterator[Path]:
    """Give the folder of a version: `revision` itself if it is a folder, else a checkout of that commit.

    Raises:
        NotComparable: There is no such folder or commit.

    """
    folder = Path(revision).resolve()
    if folder.is_dir() and (folder / "retain").is_dir():
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name:
        at = Path(name) / "checkout"
        done = subprocess.run(
            ["git", "-C", str(repository), "worktree", "add", "--detach", "--quiet", str(at), revision],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NotComparable(
                f"{revision} is neither a checkout's folder nor a commit: {done.stderr.strip()}"
            )
        try:
            for part in ("api", "bench", "engine", "journal"):
                if not (at / "retain" / part).exists():
                    (at / "retain" / part).symlink_to(f"../{part}")
            yield at
        finally:
            remove = ["git", "-C", str(repository), "worktree", "remove", "--force", str(at)]
            subprocess.run(remove, capture_output=True, check=False)


def compare(
    scenario: Scenario, settings: RunSettings, base: Path, head: Path
) -> Iterator[tuple[int, list[VersionComparison]]]:
    """Run a scenario at both versions in turn; after each round, give its number and the changes so far.

    Raises:
        NotComparable: A version has no such scenario, or it failed there.

    """
    kept: dict[Path, RunResult] = {}
    for turn in range(settings.rounds):
        for version in (base, head) if turn % 2 == 0 else (head, base):
            one = _round(scenario, settings, version)
            known = kept.get(version)
            if known is None:
                kept[version] = one
                continue
            for row in one.rows:
                merged = next((r for r in known.rows if (r.case, r.server) == (row.case, row.server)), None)
                if merged is not None:
                    for metric, values in row.figures.items():
                        merged.figures.setdefault(metric, []).extend(values)
        yield turn + 1, changes(kept[base], kept[head])


def _round(scenario: Scenario, settings: RunSettings, version: Path) -> RunResult:
    """Run one round in a process of its own.

    A server of any version is measured by this harness; code that runs inside the harness is measured by that
    version's harness.
    """
    options = [f"--seconds={settings.seconds}", f"--scale={settings.scale}", f"--seed={settings.seed}"]
    command = [sys.executable, "-P", "-m", "retain.bench", "run", scenario.name, *options]
    command += ["--rounds=1", f"--connections={settings.connections}", "--no-peers", "--json"]
    environment = dict(os.environ)
    if scenario.over_http:
        command.append(f"--checkout={version}")
    else:
        if not (version / "bench" / "scenario.py").exists():
            raise NotComparable(
                f"{version} has no `retain bench run {scenario.name}`; "
                "with versions before it, compare scenarios over HTTP"
            )
        environment["PYTHONPATH"] = str(version)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotComparable(f"{scenario.name} failed at {version}: {done.stderr.strip()[-1000:]}")
    return RunResult.load(json.loads(done.stdout)[0])
