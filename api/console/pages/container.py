"""`/console/containers/TENANT/CONTAINER`: a container by folders, searched by name prefix and by tags.

The cost of a page depends on its length: folders are skipped by one seek, and a search reads a bounded number
of blobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from quart import Response

from retain.api.blobs.routes.find import tag_query
from retain.api.blobs.tagquery.where import Where, read_where
from retain.api.blobs.tagquery.words import QueryError
from retain.api.console.containers.addresses import CONTAINERS, blob_address, container_address, steps
from retain.api.console.containers.previews import icon_of
from retain.api.console.containers.search import QueryFault, built, fault_of
from retain.api.console.containers.shown import Preview, ShownBlob, find_blob, preview
from retain.api.console.routing.call import PageCall
from retain.api.console.routing.route import Route
from retain.api.identity.roles import ADMINISTRATORS
from retain.engine import NotFound, State
from retain.engine.blobs.entries import BlobEntry, ContainerEntry, Pairs
from retain.engine.blobs.listing import (
    LOOK_AT,
    count_names,
    find_before,
    find_blobs,
    list_blobs,
    page_before,
)
from retain.engine.blobs.queries import get_container
from retain.engine.blobs.state import BlobsState
from retain.engine.holds import HoldKind, HoldTarget

PER_PAGE: Final = 50


Listed: TypeAlias = tuple[Sequence[tuple[str, BlobEntry | None]], str | None, str | None]
"""Names with their blobs, None for a folder; the names that the next page and the one before begin with."""


@dataclass(frozen=True, slots=True)
class ListRow:
    """A folder or a blob in the list.

    Attributes:
        name: Its whole name.
        label: The part of its name that is shown.
        address: Its link.
        icon: The icon in front of it.
        count: Blobs in a folder; None for a blob.
        size: Bytes of a blob.
        type: The content type of a blob; empty if none is stored.
        written: When it was written last.
        ends: Its deadline; None for never.
        holds: The reasons of the legal holds on it, the oldest first.
        tags: Its tags.
    """

    name: str
    label: str
    address: str
    icon: str
    count: int | None = None
    size: int = 0
    type: str = ""
    written: int = 0
    ends: int | None = None
    holds: tuple[str, ...] = ()
    tags: Pairs = ()


@dataclass(frozen=True, slots=True)
class ContainerSummary:
    """The contents of a page of the list.

    Attributes:
        entry: The container.
        blobs: How many blobs it holds.
        size: Their bytes.
        days: For how many days it keeps one, 0 for ever.
        held: Under a legal hold as a whole.
        under_hold: How many of its blobs are under a legal hold of their own.
        rows: The folders and blobs.
        next: The name that the next page begins with; None if this is the last.
        before: The name that the page before begins with, empty for the first; None if there is none.
    """

    entry: ContainerEntry
    blobs: int
    size: int
    days: int
    held: bool
    under_hold: int
    rows: tuple[ListRow, ...]
    next: str | None
    before: str | None


async def show(call: PageCall, tenant: str, container: str) -> Response:
    """Return a page of the list, or of a search's results."""
    names = ("prefix", "where", "after", "selected")
    prefix, where, after, selected = (call.args.get(name, "") for name in names)
    fields = {name: call.args.get(name, "") for name in ("kind", "stored_from", "stored_to")}
    call.desk.administration.tenants.required(tenant)
    if any(fields.values()):
        return call.go(container_address(tenant, container, prefix=prefix, where=built(fields)))
    fault: QueryFault | None = None
    query: Where | None = None
    if where.strip():
        try:
            query = read_where(where, in_container=True)
        except QueryError as error:
            fault = fault_of(where, error)
    found = await call.desk.engine.read(
        lambda state, now: _shown(
            state, now, tenant, container, prefix, query, after, empty=fault is not None
        )
    )
    chosen = await _chosen(call, tenant, container, selected) if selected else None
    return call.page(
        "container.html",
        status=400 if fault else 200,
        here=CONTAINERS,
        tenant=tenant,
        container=container,
        prefix=prefix,
        folder=prefix if not prefix or prefix.endswith("/") else "",
        where=where,
        fault=fault,
        after=after,
        selected=selected,
        chosen=chosen,
        steps=steps(tenant, container, prefix),
        found=found,
        address=container_address,
        blob_address=blob_address,
        look_at=LOOK_AT,
    )


async def _chosen(call: PageCall, tenant: str, container: str, name: str) -> tuple[ShownBlob, Preview] | None:
    """Return the blob that is previewed beside the list; None if there is none of that name any more."""
    try:
        found = await find_blob(call.desk.engine, tenant, container, name)
        return found, await preview(call.desk.engine, found.entry, name)
    except NotFound:
        return None


def _shown(
    state: State,
    now: int,
    tenant: str,
    container: str,
    prefix: str,
    query: Where | None,
    after: str,
    *,
    empty: bool,
) -> ContainerSummary:
    blobs = state.blobs
    entry = get_container(blobs, tenant, container, now)
    found = blobs.find(tenant, container)
    assert found is not None, "its entry was found"
    held = state.shared.held.container(tenant, container)
    listed: Listed = ([], None, None)
    if query is not None:
        listed = _search(blobs, tenant, container, now, prefix, query, after)
    elif not empty:
        listed = _list(blobs, tenant, container, now, prefix, after)
    entries, following, before = listed
    cut = 0 if query is not None else prefix.rfind("/") + 1
    reasons = _reasons(state, tenant, container, entries)
    rows = [
        _folder(state, tenant, container, name, cut)
        if one is None
        else ListRow(
            name=name,
            label=name[cut:],
            address=blob_address(tenant, container, name),
            icon=icon_of(one, name),
            size=one.size,
            type=one.headers.content_type or "",
            written=one.modified,
            ends=found.ends(one),
            holds=reasons.get(name, ()),
            tags=one.tags,
        )
        for name, one in entries
    ]
    days = blobs.default_days if entry.days is None else entry.days
    hidden = found.ages.bisect_left((found.alive_after(now) + 1, ""))
    return ContainerSummary(
        entry=entry,
        blobs=len(found.ages) - hidden,
        size=found.size,
        days=days,
        held=held,
        under_hold=len(state.shared.held.blobs_in(tenant, container)),
        rows=tuple(rows),
        next=following,
        before=before,
    )


def _reasons(
    state: State, tenant: str, container: str, listed: Sequence[tuple[str, BlobEntry | None]]
) -> dict[str, tuple[str, ...]]:
    """Return the reasons of the holds on each blob that is under one."""
    whole = state.shared.held.container(tenant, container)
    alone = state.shared.held.blobs_in(tenant, container)
    targets = [
        HoldTarget(HoldKind.BLOB, one.resource, (tenant, container, name))
        for name, one in listed
        if one is not None and (whole or name in alone)
    ]
    holds = state.holds.on(targets) if targets else []
    return {
        target.names[2]: tuple(hold.reason for hold in on) for target, on in zip(targets, holds, strict=True)
    }


def _list(blobs: BlobsState, tenant: str, container: str, now: int, prefix: str, after: str) -> Listed:
    """Return a page of the list by folders."""
    part = list_blobs(
        blobs, tenant, container, now, prefix=prefix, delimiter="/", start=after, limit=PER_PAGE
    )
    entries = [(name, one if isinstance(one, BlobEntry) else None) for name, one, _ in part.items]
    return entries, part.next, _before(blobs, tenant, container, now, prefix, after)


def _search(
    blobs: BlobsState, tenant: str, container: str, now: int, prefix: str, query: Where, after: str
) -> Listed:
    """Return a page of a search."""
    start, tags = max(prefix, after), tag_query(query)
    page = find_blobs(blobs, tenant, tags, now, container=container, start=(container, start), limit=PER_PAGE)
    following: str | None = None
    if page.next is not None and (page.next[1].startswith(prefix) or page.next[1] < prefix):
        following = page.next[1]
    before = find_before(
        blobs, tenant, tags, now, container=container, low=prefix, start=start, limit=PER_PAGE
    )
    entries = [(one.name, one.entry) for one in page.items if one.name.startswith(prefix)]
    return entries, following, before


def _before(blobs: BlobsState, tenant: str, container: str, now: int, prefix: str, after: str) -> str | None:
    """Return the name that the page before begins with; None on the first page."""
    if after <= prefix:
        return None
    return page_before(
        blobs, tenant, container, now, prefix=prefix, delimiter="/", start=after, limit=PER_PAGE
    )


def _folder(state: State, tenant: str, container: str, name: str, cut: int) -> ListRow:
    return ListRow(
        name=name,
        label=name[cut:],
        address=container_address(tenant, container, prefix=name),
        icon="folder",
        count=count_names(state.blobs, tenant, container, name),
    )


ROUTES: Final = (Route(path=f"{CONTAINERS}/<tenant>/<container>", view=show, roles=ADMINISTRATORS),)
