"""`/console/audit/resources/NUMBER`: the history of one resource, with what each record changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from quart import Response

from retain.api.admin.moments import instant
from retain.api.console.evidence.lines import days
from retain.api.console.evidence.receipt_page import page as receipt_page
from retain.api.console.evidence.secrets import shown_to
from retain.api.console.forms.audit import BAD_MOMENT, NUMBER
from retain.api.console.pages.audit import AUDIT
from retain.api.console.pages.audit_panels import slider
from retain.api.console.routing.call import PageCall
from retain.api.console.routing.route import Route
from retain.api.identity.roles import EVIDENCE, Role
from retain.engine import Invalid, NotFound
from retain.engine.audit.changes import changes
from retain.engine.audit.checkpoints import Verifier
from retain.engine.audit.log import AuditEntry, Filter, entry_of
from retain.engine.audit.receipts import BadReceipt, check, receipt
from retain.engine.audit.timeline import Trail, page
from retain.engine.audit.timeline import before as records_before

RESOURCE: Final = "/console/audit/resources/<number>"
CONTEXT: Final = 450
"""Earlier records that are read to show changes of older values."""


async def show(call: PageCall, number: str) -> Response:
    """Return the history; with `at`, also the resource's state at that moment."""
    resource = _resource(number)
    evidence = call.desk.evidence
    before = call.args.get("before", "")
    bound = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
    at, fault = _moment(call)
    found = await evidence.read(lambda: page(evidence.trail, Filter(number=number), before=bound))
    if not found.entries:
        raise NotFound("the log has no record of this resource", reason="resource")
    earlier = await evidence.read(
        lambda: records_before(evidence.trail, resource, found.entries[-1].seq, count=CONTEXT)
    )
    changed = changes([*earlier, *reversed(found.records)])
    entries = shown_to(call.role, found.entries)
    erased = await evidence.read(evidence.erasures.of, [one.seq for one in entries if one.erased])
    first = entry_of(earlier[0]) if earlier else found.entries[-1]
    then = None if at is None else await evidence.read(_then, evidence.trail, resource, at)
    return call.page(
        "audit-resource.html",
        status=400 if fault else 200,
        here=AUDIT,
        number=number,
        name=next((one.subject for one in entries if one.subject), ""),
        found=found,
        days=days(entries, erased, call.zone, changed),
        values=call.role is Role.ADMINISTRATOR,
        at=call.args.get("at", ""),
        fault=fault,
        then=then,
        slider=slider(call, first.time),
    )


async def prove(call: PageCall, number: str) -> Response:
    """Return a receipt for the resource under a checkpoint of this moment: a page, or JSON."""
    resource = _resource(number)
    made = await call.desk.administration.checkpoints.show(actor=call.actor)
    key, note = Verifier.parse(made["key"]), made["checkpoint"].encode()
    as_json = call.args.get("format") == "json"
    disk, evidence = call.desk.engine.disk, call.desk.evidence

    def proven() -> str:
        found = receipt(disk, resource, note, key, trail=evidence.trail, known=evidence.erasures)
        return json.dumps(found, indent=1) + "\n" if as_json else receipt_page(found, check(found, key))

    try:
        text = await call.desk.evidence.read(proven)
    except BadReceipt as error:
        raise NotFound(str(error), reason="resource") from None
    kind, ending = ("application/json", "json") if as_json else ("text/html;charset=utf-8", "html")
    name = f'attachment; filename="receipt-{number}.{ending}"'
    return call.answer(text, 200, kind, {"Content-Disposition": name})


def _resource(number: str) -> bytes:
    if NUMBER.fullmatch(number) is None or not int(number, 16):
        raise NotFound("the number of a resource must be 32 hexadecimal digits", reason="resource")
    return bytes.fromhex(number)


def _moment(call: PageCall) -> tuple[int | None, str]:
    text = call.args.get("at", "").strip()
    if not text:
        return None, ""
    try:
        return instant(text, call.zone), ""
    except Invalid:
        return None, BAD_MOMENT


def _then(trail: Trail, resource: bytes, at: int) -> Mapping[str, Any]:
    """Return the resource's state at a moment, as far as its records still exist."""
    records = records_before(trail, resource, None, count=CONTEXT, stop=at + 1)
    entry: AuditEntry | None = entry_of(records[-1]) if records else None
    found = changes(records)
    newest = next((found[one.header.seq] for one in reversed(records) if one.header.seq in found), None)
    after = None if newest is None else newest.after
    return {
        "at": at,
        "entry": entry,
        "written": None if after is None else json.dumps(after, ensure_ascii=False, indent=2),
        "fields": sorted(after) if isinstance(after, dict) else [],
    }


ROUTES: Final = (
    Route(path=RESOURCE, view=show, roles=EVIDENCE),
    Route(path=f"{RESOURCE}/receipt", view=prove, roles=EVIDENCE),
)
