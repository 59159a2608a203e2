"""`/console/audit`: the log, newest first, a page at a time."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from quart import Response

from retain.api.admin.log_rows import write_csv
from retain.api.console.evidence.lines import days
from retain.api.console.forms.audit import FilterForm
from retain.api.console.pages.audit_panels import panels
from retain.api.console.routing.call import PageCall
from retain.api.console.routing.route import Nav, Route
from retain.api.identity.roles import EVIDENCE, Role
from retain.engine.audit.log import INTERFACES, VERBS, Filter
from retain.engine.audit.timeline import TimelinePage, page

AUDIT: Final = "/console/audit"
CSV_ROWS: Final = 10_000
CSV_LOOKED_AT: Final = 200_000
_FIELDS: Final = ("interface", "resource", "actor", "verb", "from", "to")


async def show(call: PageCall) -> Response:
    """Return the timeline, narrowed by the filters in the address."""
    form = FilterForm(call.args)
    wanted = form.wanted(call.zone)
    evidence = call.desk.evidence
    found = TimelinePage((), (), 0, None, None, None)
    if wanted is not None:
        before, after = (_seq(call.args.get(name, "")) for name in ("before", "after"))
        found = await evidence.read(lambda: page(evidence.trail, wanted, before=before, after=after))
    erased = await evidence.read(evidence.erasures.of, [one.seq for one in found.entries if one.erased])
    return call.page(
        "audit.html",
        status=200 if wanted is not None else 400,
        here=AUDIT,
        form=form,
        interfaces=list(INTERFACES),
        verbs=list(VERBS),
        found=found,
        days=days(found.entries, erased, call.zone),
        records=call.desk.engine.statistics().seq,
        narrowed=_narrowed(call),
        link=lambda **more: _link(call, more),
        audit_days=call.desk.config.retention.audit_days,
        **await panels(call),
    )


async def as_csv(call: PageCall) -> Response:
    """Return the newest matching entries as CSV; never with values.

    For an auditor, details are left out, because they contain tags.
    """
    wanted = FilterForm(call.args).wanted(call.zone) or Filter()
    evidence = call.desk.evidence
    found = await evidence.read(
        lambda: page(evidence.trail, wanted, rows=CSV_ROWS, most=CSV_LOOKED_AT, seconds=None)
    )
    entries = found.entries
    if call.role is not Role.ADMINISTRATOR:
        entries = tuple(replace(one, details=None) for one in entries)
    out = io.StringIO()
    write_csv(entries, out, await evidence.read(evidence.erasures.of, [e.seq for e in entries if e.erased]))
    name = {"Content-Disposition": 'attachment; filename="audit.csv"'}
    return call.answer(out.getvalue(), 200, "text/csv;charset=utf-8", name)


def _seq(text: str) -> int | None:
    """Return a place in the log from the address; None if it is malformed."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _narrowed(call: PageCall) -> dict[str, str]:
    return {name: value for name in _FIELDS if (value := call.args.get(name, "").strip())}


def _link(call: PageCall, more: Mapping[str, Any]) -> str:
    query = urlencode({**_narrowed(call), **more})
    return call.url(AUDIT) + (f"?{query}" if query else "")


ROUTES: Final = (
    Route(path=AUDIT, view=show, roles=EVIDENCE, nav=Nav("Audit", "audit", "Evidence")),
    Route(path="/console/audit/csv", view=as_csv, roles=EVIDENCE),
)
