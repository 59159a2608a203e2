"""Plots as SVG that uses the page's text colour, for light and dark."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import StringIO
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from retain.bench.metrics import METRICS
from retain.bench.result import ResultRow, RunResult

_INK: Final = "#010203"
"""Replaced by the colour of the page's text."""

_COLOURS: Final = ("#2f7de1", "#d9822b", "#3d9a5f", "#a05bc4", "#c8415b", "#6b7785")
"""Readable on white and on near-black."""

_STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "retain",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}

_RATES: Final = ("per_second", "mib_per_second")
_TICKS: Final = (50.0, 90.0, 99.0, 99.9, 99.99)


def rates(result: RunResult) -> str | None:
    """Return bars of each server's rate in each case; None if no rates were measured."""
    metric = next((name for name in _RATES if any(name in row.figures for row in result.rows)), None)
    if metric is None:
        return None
    rows = [row for row in result.rows if metric in row.figures]
    cases = list(dict.fromkeys(row.case for row in rows))
    servers = list(dict.fromkeys(row.server for row in rows))
    height = 0.8 / len(servers)
    with mpl.rc_context(_STYLE):
        figure = Figure((7.2, 0.9 + 0.34 * len(cases) * max(1, len(servers) * 0.7)))
        axes = figure.subplots()
        for number, server in enumerate(servers):
            own = [row for row in rows if row.server == server]
            places = [cases.index(row.case) + (number - (len(servers) - 1) / 2) * height for row in own]
            axes.barh(
                places, [row.median(metric) for row in own], height * 0.9, color=_colour(number), label=server
            )
        axes.set_yticks(range(len(cases)), cases)
        axes.invert_yaxis()
        axes.set_xlabel(METRICS[metric].title)
        return _drawn(figure, axes, legend=len(servers) > 1)


def latencies(result: RunResult) -> str | None:
    """Return the curves of latencies by percentile; None if there are none."""
    rows = [row for row in result.rows if row.curves]
    if not rows:
        return None
    with mpl.rc_context(_STYLE):
        figure = Figure((7.2, 4.2 + 0.16 * len(rows)))
        axes = figure.subplots()
        for number, row in enumerate(rows[: 2 * len(_COLOURS)]):
            points = [(1 / (1 - quantile / 100), ms) for quantile, ms in row.curve() if quantile < 100]
            style = "-" if number < len(_COLOURS) else "--"
            axes.plot(*zip(*points, strict=True), style, color=_colour(number), label=_label(row, rows))
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks([1 / (1 - tick / 100) for tick in _TICKS], [f"{tick:g}" for tick in _TICKS])
        axes.minorticks_off()
        axes.set_xlabel("percentile")
        axes.set_ylabel("milliseconds")
        axes.grid(alpha=0.25)
        return _drawn(figure, axes, legend=True)


def _label(row: ResultRow, rows: Sequence[ResultRow]) -> str:
    return row.case if len({one.server for one in rows}) == 1 else f"{row.case}, {row.server}"


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _drawn(figure: Figure, axes: Any, *, legend: bool) -> str:
    if legend:
        axes.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.4, -0.18), ncols=2)
    out = StringIO()
    figure.savefig(out, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    # Its own width and height would be wider than a phone.
    return re.sub(
        r'(<svg[^>]*?) width="[^"]*"',
        r"\1",
        re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1),
        count=1,
    )
