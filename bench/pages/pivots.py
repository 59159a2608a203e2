"""Tables of scenarios that measure the same at several sizes: a row for each size, columns of figures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from retain.bench.result import RunResult, number


@dataclass(frozen=True, slots=True)
class PivotColumn:
    """One figure.

    Attributes:
        title: Its title, with the unit.
        case: The case that has it, a pattern in which `{}` stands for the size.
        metric: The metric.
        factor: Multiplies the figure, for its unit.

    """

    title: str
    case: str
    metric: str
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Pivot:
    """A table.

    Attributes:
        title: What the sizes are.
        columns: The figures.

    """

    title: str
    columns: tuple[PivotColumn, ...]


_FIRST: Final = "first answer of {}"

PIVOTS: Final[Mapping[str, Pivot]] = {
    "commit": Pivot(
        "clients",
        (
            PivotColumn("commits of 1 KiB a second", r"1,024 B, {} clients?", "per_second"),
            PivotColumn("p50, ms", r"1,024 B, {} clients?", "p50_ms"),
            PivotColumn("p99, ms", r"1,024 B, {} clients?", "p99_ms"),
            PivotColumn("CPU µs each", r"1,024 B, {} clients?", "cpu_us"),
        ),
    ),
    "capacity": Pivot(
        "blobs",
        (
            PivotColumn("memory, MiB", r"memory with {}", "mib"),
            PivotColumn(
                "first answer after a clean stop, s", r"first answer of {} after a clean stop", "seconds"
            ),
            PivotColumn("of the processor, s", r"first answer of {} after a clean stop", "cpu_seconds"),
            PivotColumn("after SIGKILL, s", r"first answer of {} after SIGKILL", "seconds"),
            PivotColumn("of the processor, s", r"first answer of {} after SIGKILL", "cpu_seconds"),
            PivotColumn("page of 5,000, CPU ms", r"page of 5,000 of {}", "cpu_us", 1e-3),
            PivotColumn("find 20 by tags, CPU µs", r"find 20 of {}", "cpu_us"),
        ),
    ),
    "connections": Pivot(
        "connections",
        (
            PivotColumn("GET 1 KiB, a second", r"GET 1 KiB, {} connections?", "per_second"),
            PivotColumn("CPU µs each", r"GET 1 KiB, {} connections?", "cpu_us"),
            PivotColumn("PUT 1 KiB, a second", r"PUT 1 KiB, {} connections?", "per_second"),
            PivotColumn("CPU µs each", r"PUT 1 KiB, {} connections?", "cpu_us"),
        ),
    ),
}
"""By scenario."""

_SIZE: Final = r"(\d+(?:,\d{3})*)"


def pivoted(result: RunResult) -> tuple[Sequence[str], Iterable[Sequence[str]]] | None:
    """Return the titles and rows of a result's table; None if its scenario has none."""
    pivot = PIVOTS.get(result.scenario)
    if pivot is None:
        return None
    rows: dict[str, list[str]] = {}
    for at, column in enumerate(pivot.columns):
        pattern = re.compile(column.case.replace("{}", _SIZE))
        for row in result.rows:
            found = pattern.fullmatch(row.case)
            if found is not None and row.server == "retain" and column.metric in row.figures:
                cells = rows.setdefault(found[1], [""] * len(pivot.columns))
                cells[at] = number(row.median(column.metric) * column.factor)
    ordered = sorted(rows.items(), key=lambda one: int(one[0].replace(",", "")))
    return (pivot.title, *(one.title for one in pivot.columns)), [(size, *cells) for size, cells in ordered]
