"""A container's retention, with a preview of a change; and emptying or removing the container."""

from __future__ import annotations

import json
from typing import Any, Final

from quart import Response
from werkzeug.datastructures import MultiDict

from retain.api.admin.actions import FOREVER
from retain.api.console.containers.addresses import CONTAINERS, container_address, steps
from retain.api.console.containers.emptying import Emptying
from retain.api.console.routing.call import PageCall
from retain.api.console.routing.route import Route
from retain.api.console.sessions import Notice
from retain.api.html.filters import counted
from retain.api.identity.roles import ADMINISTRATORS
from retain.api.refusals import status_of
from retain.engine import Conflict, EngineError
from retain.engine.blobs.container_commands import DeleteContainer
from retain.engine.blobs.queries import ContainerTotals, Shortening, shortening, totals_of

AT: Final = f"{CONTAINERS}/<tenant>/<container>"
MAX_DAYS: Final = 36_500


async def show_retention(call: PageCall, tenant: str, container: str) -> Response:
    """Return the form, and a preview of the requested change."""
    keep = call.args.get("keep", "")
    if not keep:
        return await _retention(call, tenant, container)
    return await _asked(call, tenant, container, call.args)


async def _asked(
    call: PageCall, tenant: str, container: str, fields: MultiDict[str, str], sure_fault: str = ""
) -> Response:
    keep, text = fields.get("keep", ""), fields.get("days", "").strip()
    days = _days(keep, text)
    if days is None:
        fault = "Write a number of days from 1 to 36500."
        return await _retention(call, tenant, container, keep, text, fault=fault, status=400)
    preview = await _preview(call, tenant, container, days)
    status = 400 if sure_fault else 200
    return await _retention(
        call, tenant, container, keep, text, preview=preview, sure_fault=sure_fault, status=status
    )


async def set_retention(call: PageCall, tenant: str, container: str) -> Response:
    """Change it; if the change ends blobs, the container's name must be typed."""
    sent = await call.form()
    days = _days(sent.get("keep", ""), sent.get("days", "").strip())
    if days is None:
        return await _asked(call, tenant, container, sent)
    preview = await _preview(call, tenant, container, days)
    if preview.ends and sent.get("sure", "") != f"{tenant}/{container}":
        fault = "This is not the container’s name. Nothing was changed."
        return await _asked(call, tenant, container, sent, fault)
    await call.desk.administration.set_retention(
        actor=call.actor, name=tenant, container=container, days=None if days == "default" else days
    )
    ended = f" {counted(preview.ends, 'blob')} ended." if preview.ends else " No blob ended."
    kept = counted(preview.next_days, "day") if preview.next_days else "for ever"
    note = Notice(f"{tenant}/{container} keeps a blob {kept}.{ended}", "hidden" if preview.ends else "live")
    return call.go(container_address(tenant, container), note)


def _days(keep: str, text: str) -> int | str | None:
    """Return the requested days in the action's form, or `default`; None for a malformed number."""
    if keep in (FOREVER, "default"):
        return keep
    plain = text.isascii() and text.isdigit() and len(text) <= 5
    return int(text) if plain and 1 <= int(text) <= MAX_DAYS else None


async def _preview(call: PageCall, tenant: str, container: str, days: int | str) -> Shortening:
    call.desk.administration.tenants.required(tenant)
    wanted = None if days == "default" else 0 if days == FOREVER else int(days)
    return await call.desk.engine.read(
        lambda state, now: shortening(state.blobs, tenant, container, wanted, now)
    )


async def _retention(
    call: PageCall,
    tenant: str,
    container: str,
    keep: str = "",
    days: str = "",
    *,
    preview: Shortening | None = None,
    fault: str = "",
    sure_fault: str = "",
    status: int = 200,
) -> Response:
    found = await _held(call, tenant, container)
    chosen = keep or _chosen(found)
    return call.page(
        "container-retention.html",
        status=status,
        here=CONTAINERS,
        **_names(tenant, container),
        found=found,
        keep=chosen,
        days=days or str(found.days or ""),
        default=await call.desk.engine.read(lambda state, _: state.blobs.default_days),
        preview=preview,
        fault=fault,
        sure_fault=sure_fault,
    )


def _chosen(found: ContainerTotals) -> str:
    if found.entry.days is None:
        return "default"
    return "days" if found.entry.days else FOREVER


def _names(tenant: str, container: str) -> dict[str, Any]:
    return {
        "tenant": tenant,
        "container": container,
        "steps": steps(tenant, container, ""),
        "address": container_address,
    }


async def _held(call: PageCall, tenant: str, container: str) -> ContainerTotals:
    call.desk.administration.tenants.required(tenant)
    return await call.desk.engine.read(lambda state, _: totals_of(state.blobs, tenant, container))


async def show_remove(call: PageCall, tenant: str, container: str) -> Response:
    """Return the page for emptying and removing."""
    return await _remove(call, tenant, container)


async def _remove(
    call: PageCall, tenant: str, container: str, status: int = 200, *, fault: str = "", empties: bool = False
) -> Response:
    return call.page(
        "container-remove.html",
        status=status,
        here=CONTAINERS,
        **_names(tenant, container),
        found=await _held(call, tenant, container),
        work=call.desk.emptyings.of(tenant, container),
        fault=fault,
        empties=empties,
    )


async def remove(call: PageCall, tenant: str, container: str) -> Response:
    """Remove a container with its contents."""
    if (await call.form()).get("sure", "") != f"{tenant}/{container}":
        fault = "This is not the container’s name. Nothing was changed."
        return await _remove(call, tenant, container, 400, fault=fault)
    call.desk.administration.tenants.required(tenant)
    command = DeleteContainer(actor=call.actor, account=tenant, container=container)
    try:
        await call.desk.engine.submit(command)
    except EngineError as error:
        if status_of(error) not in (409, 412):
            raise
        fault = f"{error.message[:1].upper()}{error.message[1:]}. Nothing was changed."
        return await _remove(call, tenant, container, status_of(error), fault=fault)
    return call.go(CONTAINERS, Notice(f"Removed the container {container} of {tenant}.", "hidden"))


async def empty(call: PageCall, tenant: str, container: str) -> Response:
    """Begin to delete the blobs of a container; held or leased ones remain."""
    if (await call.form()).get("sure", "") != f"{tenant}/{container}":
        fault = "This is not the container’s name. Nothing was changed."
        return await _remove(call, tenant, container, 400, fault=fault, empties=True)
    call.desk.administration.tenants.required(tenant)
    try:
        await call.desk.emptyings.start(tenant, container, by=call.caller.name, actor=call.actor)
    except Conflict as error:
        fault = f"{error.message}. Nothing was changed."
        return await _remove(call, tenant, container, status_of(error), fault=fault, empties=True)
    return call.go(f"{container_address(tenant, container, 'remove')}#emptying")


async def stop(call: PageCall, tenant: str, container: str) -> Response:
    """Stop emptying; blobs deleted so far are not restored."""
    stopped = call.desk.emptyings.stop(tenant, container)
    words = "Stopped. Blobs deleted before are not restored." if stopped else "It had already ended."
    return call.go(
        container_address(tenant, container, "remove"), Notice(words, "due" if stopped else "live")
    )


async def follow(call: PageCall, tenant: str, container: str) -> Response:
    """Return the progress, for the page's script."""
    work = call.desk.emptyings.of(tenant, container)
    facts = {"id": None} if work is None or work.done else progress(work)
    return call.answer(json.dumps(facts), 200, "application/json")


def progress(work: Emptying) -> dict[str, Any]:
    """Return the values that the script shows."""
    return {"id": work.id, "percent": work.percent, "words": work.words}


ROUTES: Final = (
    Route(path=f"{AT}/retention", view=show_retention, roles=ADMINISTRATORS),
    Route(path=f"{AT}/retention", view=set_retention, methods=("POST",), roles=ADMINISTRATORS),
    Route(path=f"{AT}/remove", view=show_remove, roles=ADMINISTRATORS),
    Route(path=f"{AT}/remove", view=remove, methods=("POST",), roles=ADMINISTRATORS),
    Route(path=f"{AT}/empty", view=empty, methods=("POST",), roles=ADMINISTRATORS),
    Route(path=f"{AT}/empty/stop", view=stop, methods=("POST",), roles=ADMINISTRATORS),
    Route(path=f"{AT}/empty/work", view=follow, roles=ADMINISTRATORS, live=True),
)
