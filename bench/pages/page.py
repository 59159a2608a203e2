"""The report as one HTML page: it loads nothing, is light or dark, and fits a phone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from retain.bench.metrics import METRICS
from retain.bench.pages import plots
from retain.bench.result import RunResult, cells, number
from retain.bench.scenario import scenarios


def report_page(results: Sequence[RunResult]) -> str:
    """Return the page of some results."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    known = scenarios()
    sections = [
        {
            "name": result.scenario,
            "about": known[result.scenario].about if result.scenario in known else "",
            "command": result.command,
            "machine": result.machine,
            "time": result.time,
            "ratios": [
                {
                    "name": one.name,
                    "value": number(one.value),
                    "goal": one.wanted,
                    "met": one.is_met,
                }
                for one in result.ratios
            ],
            "columns": [METRICS[name].title for name in result.columns()],
            "rows": [(row.case, row.server, cells(row, result.columns())) for row in result.rows],
            "notes": result.notes,
            "plots": [svg for svg in (plots.rates(result), plots.latencies(result)) if svg is not None],
        }
        for result in results
    ]
    return environment.get_template("report.html.jinja").render(sections=sections)
