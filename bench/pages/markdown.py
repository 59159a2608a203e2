"""Results as Markdown tables, alone or in the marked places of a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from retain.bench.metrics import METRICS
from retain.bench.pages.pivots import pivoted
from retain.bench.result import Ratio, RunResult, cells, number

TARGETS: Final = "targets"
"""The place of the table of all goals."""

_COMMAND: Final = re.compile(r"^`retain bench run ([a-z-]+)")
_PLACE: Final = re.compile(r"(<!-- bench ([a-z-]+)( in full)? -->\n).*?(<!-- end -->)", re.DOTALL)


def tables(results: Sequence[RunResult]) -> str:
    """Return a section for each result."""
    return "\n".join(f"## {result.scenario}\n\n{section(result)}" for result in results)


def section(result: RunResult) -> str:
    """Return the command, the ratios, the figures and the notes of one result."""
    lines = [_circumstances(result), ""]
    if result.ratios:
        rows = [(one.name, number(one.value), _goal(one)) for one in result.ratios]
        lines += [*_table(("figure", "median", "goal"), rows), ""]
    columns = result.columns()
    head = ("case", "server", *(METRICS[name].title for name in columns))
    lines += _table(head, [(row.case, row.server, *cells(row, columns)) for row in result.rows])
    lines += [line for note in result.notes for line in ("", f"{note[0].upper()}{note[1:]}.")]
    return "\n".join(lines) + "\n"


def _circumstances(result: RunResult) -> str:
    machine = result.machine
    return (
        f"`{result.command}`, version {machine['version']}, {machine['processors']} processors,"
        f" Python {machine['python']}, load {machine['load']} at the start, {result.time[:10]}."
    )


def _placed(result: RunResult) -> str:
    """Return the text for a result's place in a page: by size, or with a column for each server."""
    table = pivoted(result) or _beside(result)
    if table is None:
        return section(result)
    notes = [line for note in result.notes for line in ("", f"{note[0].upper()}{note[1:]}.")]
    return "\n".join((_circumstances(result), "", *_table(*table), *notes)) + "\n"


def _beside(result: RunResult) -> tuple[Sequence[str], list[Sequence[str]]] | None:
    """Return titles and rows where several servers were measured: rates, costs and sizes, no latencies."""
    servers = list(dict.fromkeys(row.server for row in result.rows))
    if len(servers) < 2:
        return None
    found = {(row.case, row.server): row for row in result.rows}
    rows: list[Sequence[str]] = []
    for case in dict.fromkeys(row.case for row in result.rows):
        beside = [found.get((case, server)) for server in servers]
        for metric in result.columns():
            there = [row is not None and metric in row.figures for row in beside]
            if any(there) and not metric.endswith("_ms"):
                figures = [
                    number(row.median(metric)) if row and metric in row.figures else "" for row in beside
                ]
                rows.append((case, METRICS[metric].title, *figures))
    return ("case", "", *servers), rows


def updated(text: str, results: Iterable[RunResult]) -> tuple[str, list[str]]:
    """Return a page with the results in their places, and the names of those that had one.

    A place is between `<!-- bench SCENARIO -->` and `<!-- end -->`, each on a line of its own. With the mark
    `<!-- bench SCENARIO in full -->` it gets all ratios and figures of every server, latencies included. The
    place `targets` gets all figures that have a goal.
    """
    known = {result.scenario: result for result in results}
    changed: list[str] = []

    def filled(place: re.Match[str]) -> str:
        if place[2] == TARGETS:
            changed.append(TARGETS)
            return f"{place[1]}\n{_targets(place[0], known.values())}\n\n{place[4]}"
        result = known.get(place[2])
        if result is None:
            return place[0]
        changed.append(place[2])
        return f"{place[1]}\n{section(result) if place[3] else _placed(result)}\n{place[4]}"

    return _PLACE.sub(filled, text), changed


def _goal(ratio: Ratio) -> str:
    return ratio.wanted and f"{ratio.wanted}, {'met' if ratio.is_met else 'not met'}"


def _targets(old: str, results: Iterable[RunResult]) -> str:
    """Return a table of all figures that have a goal; rows of scenarios without a result stay as they are."""
    rows: dict[str, list[tuple[str, ...]]] = {}
    for line in old.splitlines():
        kept = tuple(cell.strip() for cell in line.strip("|").split(" | "))
        if found := _COMMAND.search(kept[-1]):
            rows.setdefault(found[1], []).append(kept)
    for result in results:
        aims = [one for one in result.ratios if one.goal is not None]
        rows[result.scenario] = [
            (one.name, one.wanted, number(one.value), "yes" if one.is_met else "no", f"`{result.command}`")
            for one in aims
        ]
    head = ("figure", "target", "measured", "met", "command")
    return "\n".join(_table(head, [row for name in sorted(rows) for row in rows[name]]))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    # No alignment: MkDocs would write inline styles, which the policy of the served pages forbids.
    aligned = ["---"] * len(head)
    return [f"| {' | '.join(line)} |" for line in (head, aligned, *rows)]
