"""Results as Markdown tables, alone or in the marked places of a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from retain.bench.metrics import METRICS
from retain.bench.pages.pivots import pivoted
from retain.bench.result import RunResult, cells, number

_PLACE: Final = re.compile(r"(<!-- bench ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def tables(results: Sequence[RunResult]) -> str:
    """Return a section for each result."""
    return "\n".join(f"## {result.scenario}\n\n{section(result)}" for result in results)


def section(result: RunResult) -> str:
    """Return the command, the ratios, the figures and the notes of one result."""
    lines = [_circumstances(result), ""]
    if result.ratios:
        rows = [(one.name, number(one.value), _goal(one.goal, one.value)) for one in result.ratios]
        lines += [*_table(("ratio", "median", "goal"), rows), ""]
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
    """Return the text for a result's place in a page: its table by size if it has one."""
    table = pivoted(result)
    if table is None:
        return section(result)
    return "\n".join((_circumstances(result), "", *_table(*table))) + "\n"


def updated(text: str, results: Iterable[RunResult]) -> tuple[str, list[str]]:
    """Return a page with the results in their places, and the names of those that had one.

    A place is between `<!-- bench SCENARIO -->` and `<!-- end -->`, each on a line of its own.
    """
    known = {result.scenario: result for result in results}
    changed: list[str] = []

    def filled(place: re.Match[str]) -> str:
        result = known.get(place[2])
        if result is None:
            return place[0]
        changed.append(place[2])
        return f"{place[1]}\n{_placed(result)}\n{place[3]}"

    return _PLACE.sub(filled, text), changed


def _goal(goal: float | None, value: float) -> str:
    if goal is None:
        return ""
    return f"{goal:g}, met" if value >= goal else f"{goal:g}, not met"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    # No alignment: MkDocs would write inline styles, which the policy of the served pages forbids.
    aligned = ["---"] * len(head)
    return [f"| {' | '.join(line)} |" for line in (head, aligned, *rows)]
