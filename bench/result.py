"""The result of a scenario: rows, ratios and notes, as JSON for machines and as a table for people."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.table import Table

from retain.bench.metrics import METRICS, Measurement

FORMAT = 1
"""The version of the JSON document."""


@dataclass(slots=True)
class ResultRow:
    """What was measured of one case at one server.

    Attributes:
        case: The case.
        server: The server.
        figures: Values by metric, one a round.
        curves: Latencies, (percentile, milliseconds), one list a round.

    """

    case: str
    server: str
    figures: dict[str, list[float]] = field(default_factory=dict)
    curves: list[list[tuple[float, float]]] = field(default_factory=list)

    def add(self, sample: Measurement) -> None:
        """Add the measurement of one round."""
        for name, value in sample.figures.items():
            self.figures.setdefault(name, []).append(value)
        if sample.curve:
            self.curves.append(list(sample.curve))

    def median(self, metric: str) -> float:
        """Return the median over the rounds: on a shared machine outliers pull a mean away."""
        return statistics.median(self.figures[metric])

    def curve(self) -> list[tuple[float, float]]:
        """Return the median curve of latencies over the rounds."""
        if not self.curves:
            return []
        return [
            (points[0][0], statistics.median(point[1] for point in points))
            for points in zip(*self.curves, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Ratio:
    """What counts: mostly one figure divided by another of the same rounds; a single figure if it has a goal.

    Attributes:
        name: The two figures, or the one with its unit.
        rounds: One value a round.
        goal: At least this, if there is a goal.
        is_most: The goal is the most, instead of the least, that the ratio may be.

    """

    name: str
    rounds: tuple[float, ...]
    goal: float | None = None
    is_most: bool = False

    @property
    def value(self) -> float:
        """Return the median."""
        return statistics.median(self.rounds)

    @property
    def is_met(self) -> bool:
        """Whether the goal is met, if there is one."""
        return self.goal is None or (self.value <= self.goal if self.is_most else self.value >= self.goal)

    @property
    def wanted(self) -> str:
        """Return the goal as text; empty if there is none."""
        return "" if self.goal is None else f"{'at most ' if self.is_most else ''}{self.goal:g}"


@dataclass(slots=True)
class RunResult:
    """One scenario's result. `command` repeats it; `notes` are circumstances that a reader must know."""

    scenario: str
    command: str
    rows: list[ResultRow] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=lambda: machine())
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def add(self, case: str, sample: Measurement, server: str = "retain") -> None:
        """Add one measurement of a case at a server."""
        for row in self.rows:
            if (row.case, row.server) == (case, server):
                row.add(sample)
                return
        self.rows.append(ResultRow(case, server))
        self.rows[-1].add(sample)

    def row(self, case: str, server: str = "retain") -> ResultRow:
        """Return a row.

        Raises:
            KeyError: There is none.

        """
        for row in self.rows:
            if (row.case, row.server) == (case, server):
                return row
        raise KeyError((case, server))

    def ratio(
        self,
        name: str,
        of: ResultRow,
        to: ResultRow,
        metric: str = "per_second",
        *,
        goal: float | None = None,
    ) -> None:
        """Add the ratio of two rows' figures, round by round. If less is better, it is turned round."""
        pairs = zip(of.figures[metric], to.figures[metric], strict=True)
        turned = not METRICS[metric].more
        rounds = [b / a if turned else a / b for a, b in pairs if a and b]
        if rounds:
            self.ratios.append(Ratio(name, tuple(rounds), goal))

    def at_most(self, name: str, of: ResultRow, metrics: tuple[str, str], goal: float) -> None:
        """Add the ratio of two figures of one row, which may be `goal` at most, round by round."""
        above, below = (of.figures[metric] for metric in metrics)
        rounds = tuple(a / b for a, b in zip(above, below, strict=True) if b)
        if rounds:
            self.ratios.append(Ratio(name, rounds, goal, is_most=True))

    def limit(self, name: str, of: ResultRow, metric: str, goal: float) -> None:
        """Add one figure of a row, which may be `goal` at most."""
        self.ratios.append(Ratio(name, tuple(of.figures[metric]), goal, is_most=True))

    def show(self, console: Console) -> None:
        """Print the ratios, then the table."""
        console.print(f"[bold]{self.scenario}[/]  {self.command}")
        for ratio in self.ratios:
            goal = f"  (goal {ratio.wanted})" if ratio.wanted else ""
            console.print(f"  {ratio.name}: [bold]{ratio.value:.2f}[/]{goal}")
        if self.rows:
            table = Table("case", "server", pad_edge=False)
            columns = [name for name in self.columns() if name not in ("p999_ms", "worst_ms")]
            for column in columns:
                table.add_column(METRICS[column].title, justify="right")
            for row in self.rows:
                table.add_row(row.case, row.server, *cells(row, columns))
            console.print(table)
        for note in self.notes:
            console.print(f"  {note}", markup=False)

    def columns(self) -> list[str]:
        """Return the metrics that any row has, in the order of `METRICS`."""
        found = {name for row in self.rows for name in row.figures}
        return [name for name in METRICS if name in found]

    def document(self) -> dict[str, Any]:
        """Return the result as JSON has it."""
        return {"format": FORMAT, **asdict(self)}

    def save(self, folder: Path) -> Path:
        """Write the JSON beside earlier results, and return its path."""
        folder.mkdir(parents=True, exist_ok=True)
        stamp = self.time.replace("-", "").replace(":", "").partition("+")[0]
        path = folder / f"{self.scenario}-{stamp}.json"
        path.write_text(json.dumps(self.document(), indent=2) + "\n")
        return path

    @classmethod
    def load(cls, document: Mapping[str, Any]) -> Self:
        """Return the result in a document.

        Raises:
            ValueError: It is none, or of another format.

        """
        if document.get("format") != FORMAT:
            raise ValueError(f"a result of format {document.get('format')!r} is not known here")
        rows = [
            ResultRow(
                one["case"],
                one["server"],
                one["figures"],
                [[(point[0], point[1]) for point in curve] for curve in one["curves"]],
            )
            for one in document["rows"]
        ]
        ratios = [
            Ratio(one["name"], tuple(one["rounds"]), one["goal"], one.get("is_most", False))
            for one in document["ratios"]
        ]
        return cls(
            document["scenario"],
            document["command"],
            rows,
            ratios,
            list(document["notes"]),
            dict(document["machine"]),
            document["time"],
        )


def latest(folder: Path) -> list[RunResult]:
    """Return the newest result of each scenario in a folder, by scenario.

    Raises:
        ValueError: A file in it is no result.

    """
    newest: dict[str, RunResult] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            result = RunResult.load(json.loads(path.read_text()))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is no result of a benchmark: {error}") from error
        known = newest.get(result.scenario)
        if known is None or known.time <= result.time:
            newest[result.scenario] = result
    return [newest[name] for name in sorted(newest)]


def cells(row: ResultRow, columns: list[str]) -> list[str]:
    """Return a row's medians as texts."""
    return [number(row.median(name)) if name in row.figures else "" for name in columns]


def number(value: float) -> str:
    """Return a figure with as many digits as it deserves."""
    if value and abs(value) < 10:
        return f"{value:,.2f}"
    return f"{value:,.1f}" if abs(value) < 100 else f"{value:,.0f}"


def machine() -> dict[str, Any]:
    """Describe the machine and the version that is measured."""
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "processors": os.cpu_count(),
        "architecture": platform.machine(),
        "load": round(os.getloadavg()[0], 1),
        "version": _version(),
    }


def _version() -> str:
    """Return the commit of a checkout, else the installed version."""
    from importlib.metadata import version

    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).resolve().parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or version("retain")
