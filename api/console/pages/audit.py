"""`/console/audit`: the log, newest first, a page at a time."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from quart import Response

from retain.api.admin.log_rows import write_csv
from retain.api.console.evidence.lines import days
from retain.api.console.evidence.secrets import area_name, guarded, shown_to
from retain.api.console.forms.audit import FilterForm
from retain.api.console.pages.audit_panels import panels
from retain.api.console.routing.call import PageCall
from retain.api.console.routing.route import Nav, Route
from retain.api.html.rendering import HEADERS
from retain.api.identity.roles import EVIDENCE, Role
from retain.engine.audit.log import INTERFACES, VERBS, Filter
from retain.engine.audit.timeline import TimelinePage, page

AUDIT: Final = "/console/audit"
CSV_ROWS: Final = 500
"""Rows of a CSV file that are made at once."""
_FIELDS: Final = ("interface", "resource", "actor", "verb", "from", "to")


async def show(call: PageCall) -> Response:
    """Return the timeline, narrowed by the filters in the address."""
    form = FilterForm(call.args)
    wanted = form.wanted(call.zone, guarded(call.role))
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
        days=days(shown_to(call.role, found.entries), erased, call.zone),
        records=call.desk.engine.statistics().seq,
        narrowed=_narrowed(call),
        link=lambda **more: _link(call, more),
        area_name=partial(area_name, call.role),
        audit_days=call.desk.config.retention.audit_days,
        **await panels(call),
    )


async def as_csv(call: PageCall) -> Response:
    """Return all matching entries as CSV, newest first; never with values. It is made while it is sent.

    For an auditor, details are left out, because they contain tags, and generated ids of areas.
    """
    wanted = FilterForm(call.args).wanted(call.zone, guarded(call.role))
    if wanted is None:  # the page tells what is wrong with it
        return call.go(f"{AUDIT}?{urlencode(_narrowed(call))}")
    evidence = call.desk.evidence
    before = call.desk.engine.statistics().durable + 1
    text, following = await evidence.read(_csv, call, wanted, before)

    async def sent() -> AsyncIterator[bytes]:
        yield _head() + text
        older = following
        while older is not None:
            piece, older = await evidence.read(_csv, call, wanted, older)
            yield piece

    response = Response(sent(), content_type="text/csv;charset=utf-8")
    for name, value in {**HEADERS, "Content-Disposition": 'attachment; filename="audit.csv"'}.items():
        response.headers[name] = value
    response.timeout = None
    return response


def _csv(call: PageCall, wanted: Filter, before: int) -> tuple[bytes, int | None]:
    """Return rows before a record, as many as a page's time allows, and where to continue. Blocking."""
    evidence = call.desk.evidence
    found = page(evidence.trail, wanted, before=before, rows=CSV_ROWS)
    entries = shown_to(call.role, found.entries)
    if call.role is not Role.ADMINISTRATOR:
        entries = [replace(one, details=None) for one in entries]
    out = io.StringIO()
    erased = evidence.erasures.of([one.seq for one in entries if one.erased])
    write_csv(entries, out, erased, head=False)
    return out.getvalue().encode(), found.older


def _head() -> bytes:
    out = io.StringIO()
    write_csv((), out, {})
    return out.getvalue().encode()


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
