"""List Blobs, flat and by hierarchy (docs/wire/blobs.md, section 5.4)."""

from __future__ import annotations

from typing import Final

import trio

from retain.api.blobs.request.call import AT_ONCE, MAX_RESULTS, Call, xml_response
from retain.api.blobs.request.views import lease_of
from retain.api.blobs.sas.permissions import Operation
from retain.api.blobs.wire import markers
from retain.api.blobs.wire.errors import AzureError, invalid_parameter
from retain.api.blobs.wire.query import Query
from retain.api.blobs.xml.write import (
    Include,
    ListingParameters,
    blob_element,
    blobs_page,
    joined,
    pending_element,
    prefix_element,
)
from retain.api.http.message import Response
from retain.engine.blobs.entries import BlobEntry
from retain.engine.blobs.listing import Listed
from retain.engine.blobs.listing import list_blobs as search

INCLUDES: Final = frozenset(
    {
        *("snapshots", "metadata", "uncommittedblobs", "copy", "deleted", "tags", "versions"),
        *("deletedwithversions", "immutabilitypolicy", "legalhold", "permissions"),
    }
)


def included(query: Query) -> frozenset[str]:
    """Return the words of `include`. Raises AzureError InvalidQueryParameterValue for an unknown one."""
    text = query.filled("include") or ""
    words = frozenset(word.strip().lower() for word in text.split(",")) - {""}
    if not words <= INCLUDES:
        raise invalid_parameter("include", text, "Unknown value.")
    return words


async def list_blobs(call: Call) -> Response:
    """List Blobs. An empty prefix, delimiter or marker counts as absent, as some clients send them.

    `startFrom` names the first blob to list, before names are folded by the delimiter; on the next pages the
    marker is further on.
    """
    include = included(call.query)
    prefix, delimiter = call.query.filled("prefix"), call.query.filled("delimiter")
    marker, size = call.query.filled("marker"), call.max_results()
    if delimiter is not None and "snapshots" in include:
        raise AzureError("InvalidQueryParameterValue", extras=(("QueryParameterName", "include"),))
    start = max(markers.read_blob_marker(marker) if marker else "", call.query.filled("startfrom") or "")
    page, now = await call.engine.read(
        lambda state, now: (
            search(
                state.blobs,
                call.account,
                call.container,
                now,
                prefix=prefix or "",
                delimiter=delimiter or "",
                start=start,
                limit=size or MAX_RESULTS,
                uncommitted="uncommittedblobs" in include,
            ),
            now,
        )
    )
    shown = Include("metadata" in include, "tags" in include, "copy" in include)
    asked = ListingParameters(prefix=prefix, marker=marker, max_results=size, delimiter=delimiter)
    following = markers.blob_marker(page.next) if page.next is not None else None
    items: list[bytes] = []
    for at in range(0, len(page.items), AT_ONCE):
        items.append(joined([_element(item, now, shown) for item in page.items[at : at + AT_ONCE]]))
        await trio.lowlevel.checkpoint()
    return xml_response(blobs_page(call.endpoint, call.container, asked, items, following))


def _element(item: Listed, now: int, include: Include) -> str:
    if item.entry is None:
        return prefix_element(item.name)
    if isinstance(item.entry, BlobEntry):
        return blob_element(item.name, item.entry, lease_of(item.entry.lease, now), include)
    return pending_element(item.name, item.entry)


HANDLERS = {Operation.LIST_BLOBS: list_blobs}
