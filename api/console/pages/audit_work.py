"""The long work of the audit page, and its proofs: checkpoints, the key, receipts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final

from quart import Response
from quart import request as quart_request

from retain.api.admin.moments import instant
from retain.api.console.evidence.receipt_page import facts_of
from retain.api.console.evidence.secrets import guarded
from retain.api.console.forms.audit import BAD_MOMENT, FilterForm
from retain.api.console.pages.audit import AUDIT
from retain.api.console.routing.call import PageCall
from retain.api.console.routing.route import Route
from retain.api.console.sessions import Notice
from retain.api.html.filters import number
from retain.api.identity.roles import EVIDENCE, PERSONS, Role
from retain.engine import Invalid
from retain.engine.audit.checkpoints import BadNote, Checkpoint, open_signed, read_key
from retain.engine.audit.held import held_at
from retain.engine.audit.log import Progress
from retain.engine.audit.receipts import MOST_BYTES, BadReceipt, check, parse
from retain.engine.audit.verify import verification

PHASES: Final = ("Replaying the events", "Checking frames, the tree and all parts")
TEXT: Final = "text/plain;charset=utf-8"


async def verify(call: PageCall) -> Response:
    """Begin the verification."""
    disk = call.desk.engine.disk
    bodies = (await call.form()).get("bodies") == "yes"
    file = (await quart_request.files).get("since")
    since: Checkpoint | None = None
    if file is not None and file.filename:
        note = file.read(MOST_BYTES)
        trusted = (await call.desk.evidence.read(read_key, disk)).verifier
        try:
            since = open_signed(note, trusted)
        except BadNote as error:
            raise Invalid(f"the text is not a checkpoint of this log: {error}", reason="checkpoint") from None
    phases = (*PHASES, "Reading the files of large bodies") if bodies else PHASES
    asked = {"bodies": bodies, "since": None if since is None else since.size}
    return _started(
        call,
        "verify",
        lambda progress: verification(disk, progress, since=since, bodies=bodies),
        phases,
        asked,
    )


async def state(call: PageCall) -> Response:
    """Begin to replay the journal up to a moment."""
    sent = await call.form()
    form = FilterForm(sent)
    wanted = form.wanted(call.zone, guarded(call.role))
    try:
        at = instant(sent.get("at", "").strip(), call.zone)
    except Invalid:
        raise Invalid(BAD_MOMENT.rstrip("."), reason="date") from None
    if wanted is None:
        raise Invalid("; ".join(str(text) for found in form.errors.values() for text in found).rstrip("."))
    disk, resource = call.desk.engine.disk, wanted.resource
    asked = {"at": at, "resource": form.resource.data or ""}
    phases = ("Replaying the events",)
    return _started(call, "state", lambda progress: held_at(disk, at, resource, progress), phases, asked)


def _started(
    call: PageCall, kind: str, function: Callable[[Progress], object], phases: Sequence[str], asked: object
) -> Response:
    assert call.session is not None
    call.desk.evidence.bench.start(
        kind,
        function,
        by=call.caller.name,
        session=call.session.id,
        phases=phases,
        asked=asked,
    )
    return call.go(f"{AUDIT}#{kind}")


async def stop(call: PageCall) -> Response:
    """Stop the running long work: an administrator anyone's, others their own."""
    bench = call.desk.evidence.bench
    work = bench.now
    if work is None:
        return call.go(AUDIT, Notice("It had already ended.", "hidden"))
    if call.role is not Role.ADMINISTRATOR and work.by != call.caller.name:
        return call.go(AUDIT, Notice(f"{work.by} started this. An administrator can stop it.", "due"))
    bench.stop()
    back = "/console/persons" if work.session_only and call.role in PERSONS else AUDIT
    return call.go(back, Notice("Stopped. Nothing was changed.", "hidden"))


async def live(call: PageCall) -> Response:
    """Return the progress of the work, for the page's script."""
    work = call.desk.evidence.bench.now
    facts = {"id": None} if work is None else {"id": work.id, "percent": work.percent, "words": work.words}
    return call.answer(json.dumps(facts), 200, "application/json")


async def checkpoint(call: PageCall) -> Response:
    """Return a checkpoint of this moment, as a file."""
    made = await call.desk.administration.checkpoints.show(actor=call.actor)
    name = f'attachment; filename="{made["size"]:020}.checkpoint"'
    return call.answer(made["checkpoint"], 200, TEXT, {"Content-Disposition": name})


async def key(call: PageCall) -> Response:
    """Return the log's public key, as a file."""
    found = (await call.desk.evidence.read(read_key, call.desk.engine.disk)).verifier
    return call.answer(f"{found}\n", 200, TEXT, {"Content-Disposition": 'attachment; filename="log.key"'})


async def check_receipt(call: PageCall) -> Response:
    """Check a receipt that was chosen or dropped, with this log's key."""
    file = (await quart_request.files).get("receipt")
    data = b"" if file is None else file.read()
    if file is None or not file.filename:
        return call.go(
            f"{AUDIT}#checkpoints", Notice("No file was chosen. Choose a receipt, then check it.", "due")
        )
    trusted = (await call.desk.evidence.read(read_key, call.desk.engine.disk)).verifier
    facts, reason = None, ""
    try:
        facts = facts_of(await call.desk.evidence.read(lambda: check(parse(data), trusted)))
    except BadReceipt as error:
        reason = str(error)
    return call.page(
        "audit-receipt.html",
        here=AUDIT,
        name=file.filename,
        bytes=number(len(data)),
        facts=facts,
        reason=reason,
        key=str(trusted),
    )


ROUTES: Final = (
    Route(path="/console/audit/verify", view=verify, methods=("POST",), roles=EVIDENCE),
    Route(path="/console/audit/state", view=state, methods=("POST",), roles=EVIDENCE),
    Route(path="/console/audit/stop", view=stop, methods=("POST",), roles=EVIDENCE),
    Route(path="/console/audit/work", view=live, roles=EVIDENCE, live=True),
    Route(path="/console/audit/checkpoint", view=checkpoint, roles=EVIDENCE),
    Route(path="/console/audit/key", view=key, roles=EVIDENCE),
    Route(path="/console/audit/check-receipt", view=check_receipt, methods=("POST",), roles=EVIDENCE),
)
