"""Tables of scenarios that measure the same of many things: a row for each, columns of figures."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from retain.bench.result import ResultRow, RunResult, number
from retain.bench.scenarios.short_path import LONG_PATH, SHORT_PATH


@dataclass(frozen=True, slots=True)
class PivotColumn:
    """One figure.

    Attributes:
        title: Its title, with the unit.
        case: The case that has it, a pattern in which `{}` stands for what the row is about.
        metric: The metric.
        server: The server.
        beside: Another server, by whose figure it is divided, round by round; empty for none.

    """

    title: str
    case: str
    metric: str
    server: str = "retain"
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Pivot:
    """A table.

    Attributes:
        title: What the rows are.
        columns: The figures.
        row: A pattern of what a row is about; rows of numbers are sorted, others are in the order measured.

    """

    title: str
    columns: tuple[PivotColumn, ...]
    row: str = r"\d+(?:,\d{3})*"


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
            PivotColumn("written a second", r"write {} blobs", "per_second"),
            PivotColumn("memory, MiB", r"memory with {}", "mib"),
            PivotColumn(
                "first answer after a clean stop, s", r"first answer of {} after a clean stop", "seconds"
            ),
            PivotColumn("after SIGKILL, s", r"first answer of {} after SIGKILL", "seconds"),
            PivotColumn("page of 5,000, p50 ms", r"page of 5,000 of {}", "p50_ms"),
            PivotColumn("p99 ms", r"page of 5,000 of {}", "p99_ms"),
            PivotColumn("find 20 by tags, p50 ms", r"find 20 of {}", "p50_ms"),
            PivotColumn("p99 ms", r"find 20 of {}", "p99_ms"),
            PivotColumn("GET 1 KiB, p50 ms", r"GET of {}", "p50_ms"),
            PivotColumn("p99 ms", r"GET of {}", "p99_ms"),
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
    "console": Pivot(
        "page",
        (PivotColumn("p50, ms", "{}", "p50_ms"), PivotColumn("slowest, ms", "{}", "worst_ms")),
        row=".+",
    ),
    "short-path": Pivot(
        "request",
        (
            PivotColumn("CPU µs each, `fast_http1 = false`", "{}", "cpu_us", LONG_PATH),
            PivotColumn("short path", "{}", "cpu_us", SHORT_PATH),
            PivotColumn("ratio", "{}", "cpu_us", SHORT_PATH, beside=LONG_PATH),
            PivotColumn("a second, `fast_http1 = false`", "{}", "per_second", LONG_PATH),
            PivotColumn("short path", "{}", "per_second", SHORT_PATH),
        ),
        row=".+",
    ),
}
"""By scenario."""


def pivoted(result: RunResult) -> tuple[Sequence[str], Iterable[Sequence[str]]] | None:
    """Return the titles and rows of a result's table; None if its scenario has none."""
    pivot = PIVOTS.get(result.scenario)
    if pivot is None:
        return None
    rows: dict[str, list[str]] = {}
    for at, column in enumerate(pivot.columns):
        pattern = re.compile(column.case.replace("{}", f"({pivot.row})"))
        for row in result.rows:
            found = pattern.fullmatch(row.case)
            if found is not None and row.server == column.server and column.metric in row.figures:
                cells = rows.setdefault(found[1], [""] * len(pivot.columns))
                cells[at] = number(_figure(result, row, column))
    ordered = sorted(rows.items(), key=lambda one: _size(one[0]))
    return (pivot.title, *(one.title for one in pivot.columns)), [(size, *cells) for size, cells in ordered]


def _figure(result: RunResult, row: ResultRow, column: PivotColumn) -> float:
    if not column.beside:
        return row.median(column.metric)
    other = result.row(row.case, column.beside)
    return statistics.median(
        a / b for a, b in zip(row.figures[column.metric], other.figures[column.metric], strict=True)
    )


def _size(row: str) -> int:
    digits = row.replace(",", "")
    return int(digits) if digits.isdecimal() else 0
