"""`/console`: stored data, deadlines, and problems.

Every figure comes from an index or a counter: the page costs the same with a million entries as with ten. The
list of containers has pages; only their totals are added up over all of them, in steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from heapq import nsmallest
from typing import Any, Final

import trio
from quart import Response

from retain.api.console.containers.listed import PER_PAGE, listed
from retain.api.console.figures.charts import Bar, bars
from retain.api.console.routing.call import HOME, PageCall
from retain.api.console.routing.route import Nav, Route
from retain.api.html.filters import counted, size
from retain.api.identity.roles import EVERYBODY, EVIDENCE, Role
from retain.api.web.readiness import OVERDUE_WARNING_S
from retain.engine import State
from retain.engine.blobs.container_pages import START, Position
from retain.engine.core.time import DAY, SECOND
from retain.engine.outlook import DAYS, BlobTotals, Outlook, add_containers, outlook

LABELS: Final = (0, 7, 14, 21, DAYS - 1)
"""The days that are labelled under a chart."""


@dataclass(frozen=True, slots=True)
class Chart:
    """The deadlines of one interface.

    Attributes:
        name: The interface.
        path: The page about it, if the user may see one.
        held: How much is stored.
        more: A second line about it.
        under_hold: How many of them are under a legal hold.
        unit: The unit, in the singular.
        top: The number at the top.
        bars: One for each day.
        counts: One for each day.
    """

    name: str
    path: str | None
    held: str
    more: str
    under_hold: int
    unit: str
    top: int
    bars: list[Bar]
    counts: tuple[int, ...]

    def within(self, days: int) -> int:
        """Return how many become due within this number of days."""
        return sum(self.counts[:days])


async def show(call: PageCall) -> Response:
    """Return the page; for users without a role for it, their name and what they may do."""
    if call.role not in EVIDENCE:
        return call.page("own.html", here=HOME, settings_path=_path(call, "/console/settings"))
    engine = call.desk.engine
    free = await trio.to_thread.run_sync(engine.disk.free_bytes)
    history = call.desk.config.settings.history_days
    found = await engine.read(lambda state, _: outlook(state, call.now, history * DAY))
    totals = await _totals(call)
    shown = await listed(engine, call.args.get("from", ""), lambda state: sorted(state.blobs.accounts))
    applications: list[tuple[str, int]] = []
    if shown.next is None:  # they come after the containers
        applications = await engine.read(lambda state, _: nsmallest(PER_PAGE, state.settings.usage.items()))
    charts = [_blobs(call, totals), _areas(call, found), _settings(call, found, history)]
    return call.page(
        "overview.html",
        here=HOME,
        statistics=engine.statistics(),
        erasing_late=engine.statistics().erasure_lag_ns > OVERDUE_WARNING_S * SECOND,
        free=free,
        disk_total=await trio.to_thread.run_sync(engine.disk.total_bytes),
        within_ns=round(call.desk.config.retention.erase_within_hours * 3600e9),
        backup=call.desk.administration.backups.last,
        checkpoint=call.desk.administration.checkpoints.last,
        checkpoints_wanted=call.desk.administration.checkpoints.wanted,
        charts=charts,
        days=[
            (bar.day, [chart.counts[index] for chart in charts]) for index, bar in enumerate(charts[0].bars)
        ],
        labels=[charts[0].bars[day].day for day in LABELS],
        rates=call.desk.traffic.rates(),
        found=found,
        totals=totals,
        listed=shown,
        applications=applications,
        container_path=_path(call, "/console/containers"),
        settings_path=_path(call, "/console/settings"),
        may_act=call.role is Role.ADMINISTRATOR,
    )


async def _totals(call: PageCall) -> BlobTotals:
    """Return the totals of all containers; requests are answered between its steps."""
    totals = BlobTotals()
    at: Position | None = START
    while at is not None:
        at = await call.desk.engine.read(partial(_add, totals, call.now, at))
        await trio.lowlevel.checkpoint()
    return totals


def _add(totals: BlobTotals, now: int, at: Position, state: State, _: int) -> Position | None:
    return add_containers(totals, state, now, at)


def _blobs(call: PageCall, totals: BlobTotals) -> Chart:
    held = counted(totals.blobs, "blob")
    more = f"{size(totals.size)} in {counted(totals.containers, 'container')}"
    due = tuple(totals.due)
    return _chart(call, "Blobs", "/console/containers", held, more, totals.held, "blob", due)


def _areas(call: PageCall, found: Outlook) -> Chart:
    held = counted(found.areas, "area")
    more = "counted when their next key ends"
    return _chart(call, "Areas", "/console/areas", held, more, found.areas_held, "area", found.areas_due)


def _settings(call: PageCall, found: Outlook, days: int) -> Chart:
    held = counted(found.documents, "document")
    more = f"{size(found.settings_size)}; no end. Earlier versions are kept for {counted(days, 'day')}"
    kept = sum(found.documents_held.values())
    due = found.versions_due
    return _chart(call, "Settings", "/console/settings", held, more, kept, "earlier version", due)


def _chart(call: PageCall, name: str, path: str, *words: Any) -> Chart:
    held, more, under_hold, unit, counts = words
    top, drawn = bars(counts, call.now, DAY)
    return Chart(name, _path(call, path), held, more, under_hold, unit, top, drawn, counts)


def _path(call: PageCall, path: str) -> str | None:
    """Return a page that the user's rail has; None if it does not."""
    shown = (entry for _, entries in call.rail() for entry, _ in entries)
    return path if path in shown else None


ROUTES: Final = (Route(path=HOME, view=show, roles=EVERYBODY, nav=Nav("Overview", "overview")),)
