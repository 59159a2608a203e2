"""One blob: its facts, preview and bytes, tags, holds, and deletion."""

from __future__ import annotations

from typing import Any, Final

from quart import Response
from quart import request as quart_request

from retain.api.blobs.routes.reading import open_blob
from retain.api.blobs.wire.errors import AzureError
from retain.api.blobs.wire.ranges import content_range, parse_range
from retain.api.console.containers.addresses import (
    CONTAINERS,
    blob_address,
    container_address,
    folder_of,
    steps,
)
from retain.api.console.containers.previews import UNKNOWN, content_headers, type_of
from retain.api.console.containers.shown import ShownBlob, find_blob, preview
from retain.api.console.forms.containers import ReasonForm, TagsForm
from retain.api.console.routing.call import PageCall
from retain.api.console.routing.route import Route
from retain.api.console.sessions import Notice
from retain.api.identity.roles import ADMINISTRATORS
from retain.api.refusals import status_of
from retain.engine import EngineError, NotFound, PreconditionFailed
from retain.engine.blobs.commands import DeleteBlob, SetBlobTags
from retain.engine.blobs.conditions import Conditions, ETags
from retain.engine.blobs.tag_condition import SameTags
from retain.engine.holds import HoldKind, LiftHold, SetHold

BLOB: Final = f"{CONTAINERS}/<tenant>/<container>/blob"


async def find(call: PageCall, tenant: str, container: str, name: str) -> ShownBlob:
    """Return a blob. Raises NotFound."""
    call.desk.administration.tenants.required(tenant)
    return await find_blob(call.desk.engine, tenant, container, name)


async def show(call: PageCall, tenant: str, container: str) -> Response:
    """Return its page."""
    return await _page(call, tenant, container, call.args.get("name", ""))


async def _page(
    call: PageCall,
    tenant: str,
    container: str,
    name: str,
    *,
    status: int = 200,
    tags: TagsForm | None = None,
    hold: ReasonForm | None = None,
) -> Response:
    found = await find(call, tenant, container, name)
    return call.page(
        "blob.html",
        status=status,
        here=CONTAINERS,
        **_names(tenant, container, name),
        found=found,
        preview=await preview(call.desk.engine, found.entry, name),
        tags=tags or TagsForm(data={"tags": found.tags}),
        hold=hold or ReasonForm(),
    )


def _names(tenant: str, container: str, name: str) -> dict[str, Any]:
    """Return the location of a blob, for both pages about it."""
    folder = folder_of(name)
    return {
        "tenant": tenant,
        "container": container,
        "name": name,
        "last": name[len(folder) :],
        "folder": container_address(tenant, container, prefix=folder),
        "steps": steps(tenant, container, folder),
        "address": blob_address,
        "container_address": container_address,
    }


async def content(call: PageCall, tenant: str, container: str) -> Response:
    """Return its bytes, all or a range, so that a player can seek."""
    name = call.args.get("name", "")
    entry = (await find(call, tenant, container, name)).entry
    headers = content_headers(entry, name, download="download" in call.args)
    try:
        part = parse_range(quart_request.headers.get("Range"), None, entry.size)
    except AzureError as error:
        return call.answer("", 416, "text/plain;charset=utf-8", dict(error.headers))
    start, stop = part or (0, entry.size)
    if part is not None:
        headers["Content-Range"] = content_range(start, stop, entry.size)
    shown = type_of(entry, name) if headers["Content-Disposition"] == "inline" else UNKNOWN
    body = await open_blob(call.desk.engine, entry, start, stop)
    return call.stream(body, stop - start, 200 if part is None else 206, shown, headers)


async def set_tags(call: PageCall, tenant: str, container: str) -> Response:
    """Replace its tags, if they are still those that the page showed."""
    sent = await call.form()
    name, form = sent.get("name", ""), TagsForm(sent)
    pairs = form.pairs() if form.validate() else None
    if pairs is None:
        return await _page(call, tenant, container, name, status=400, tags=form)
    before = sent.get("before", "").replace("\r\n", "\n")
    command = SetBlobTags(
        actor=call.actor,
        account=tenant,
        container=container,
        name=name,
        tags=pairs,
        conditions=Conditions(tags=SameTags(before)),
    )
    try:
        await call.desk.engine.submit(command)
    except PreconditionFailed as error:
        words = "Somebody changed the tags meanwhile. Your text is still here; save again to replace theirs."
        form.refuse("tags", words if error.reason == "tag-condition" else _sentence(error))
        return await _page(call, tenant, container, name, status=412, tags=form)
    return call.go(blob_address(tenant, container, name), Notice("Saved the tags."))


async def set_hold(call: PageCall, tenant: str, container: str) -> Response:
    """Set a legal hold."""
    sent = await call.form()
    name, form = sent.get("name", ""), ReasonForm(sent)
    if not form.validate():
        return await _page(call, tenant, container, name, status=400, hold=form)
    found = await find(call, tenant, container, name)
    await call.desk.engine.submit(
        SetHold(
            actor=call.actor,
            hold_id=call.desk.engine.entropy(16),
            kind=HoldKind.BLOB,
            names=(tenant, container, name),
            resource=found.entry.resource,
            reason=(form.reason.data or "").strip(),
        )
    )
    text = "Set the hold. Until it is lifted nobody can delete or overwrite this blob."
    return call.go(blob_address(tenant, container, name), Notice(text, "held"))


async def lift_hold(call: PageCall, tenant: str, container: str) -> Response:
    """Lift one of the holds on this blob alone."""
    sent = await call.form()
    name = sent.get("name", "")
    found = await find(call, tenant, container, name)
    wanted = next((one for one in found.holds if one.hold_id.hex() == sent.get("hold")), None)
    if wanted is None or wanted.target.kind is not HoldKind.BLOB:
        raise NotFound("this hold is already lifted, or belongs to another resource", reason="hold")
    await call.desk.engine.submit(LiftHold(actor=call.actor, hold_id=wanted.hold_id))
    return call.go(blob_address(tenant, container, name), Notice(f"Lifted the hold “{wanted.reason}”."))


async def ask_delete(call: PageCall, tenant: str, container: str) -> Response:
    """Return the page that asks for confirmation of the deletion."""
    name = call.args.get("name", "")
    found = await find(call, tenant, container, name)
    return call.page(
        "blob-delete.html", here=CONTAINERS, **_names(tenant, container, name), found=found, fault=""
    )


async def delete(call: PageCall, tenant: str, container: str) -> Response:
    """Delete it, if it is still the one that the page showed."""
    sent = await call.form()
    name, etag = sent.get("name", ""), sent.get("etag", "")
    found = await find(call, tenant, container, name)
    command = DeleteBlob(
        actor=call.actor,
        account=tenant,
        container=container,
        name=name,
        conditions=Conditions(if_match=ETags(values=frozenset({_number(etag)}))),
    )
    try:
        await call.desk.engine.submit(command)
    except EngineError as error:
        if status_of(error) not in (409, 412):
            raise
        changed = "It was overwritten since this page was opened. Check it before you delete it."
        return call.page(
            "blob-delete.html",
            status=status_of(error),
            here=CONTAINERS,
            **_names(tenant, container, name),
            found=found,
            fault=changed if error.reason == "condition" else _sentence(error),
        )
    note = Notice(f"Deleted {name}. Its bytes are erased within retention.erase_within_hours.", "hidden")
    return call.go(container_address(tenant, container, prefix=folder_of(name)), note)


def _number(etag: str) -> int:
    """Return the ETag that a form sends back; for anything else one that matches nothing."""
    try:
        return int(etag, 16)
    except ValueError:
        return -1


def _sentence(error: EngineError) -> str:
    return f"{error.message[:1].upper()}{error.message[1:]}. Nothing was changed."


ROUTES: Final = (
    Route(path=BLOB, view=show, roles=ADMINISTRATORS),
    Route(path=f"{BLOB}/content", view=content, roles=ADMINISTRATORS),
    Route(path=f"{BLOB}/delete", view=ask_delete, roles=ADMINISTRATORS),
    Route(path=f"{BLOB}/delete", view=delete, methods=("POST",), roles=ADMINISTRATORS),
    Route(path=f"{BLOB}/tags", view=set_tags, methods=("POST",), roles=ADMINISTRATORS),
    Route(path=f"{BLOB}/hold", view=set_hold, methods=("POST",), roles=ADMINISTRATORS),
    Route(path=f"{BLOB}/lift", view=lift_hold, methods=("POST",), roles=ADMINISTRATORS),
)
