"""Find Blobs by Tags, for the account and for a container (docs/wire/blobs.md, section 6)."""

from __future__ import annotations

import trio

from retain.api.blobs.request.call import AT_ONCE, MAX_RESULTS, Call, xml_response
from retain.api.blobs.sas.permissions import Operation
from retain.api.blobs.tagquery.where import Interval, Where, parse_where
from retain.api.blobs.wire import markers
from retain.api.blobs.xml.write import ListingParameters, found_element, found_page, joined
from retain.api.http.message import Response
from retain.engine import State
from retain.engine.blobs.listing import FoundPage
from retain.engine.blobs.listing import find_blobs as query
from retain.engine.blobs.tagindex import TagQuery, TagRange


async def find_in_account(call: Call) -> Response:
    """Find Blobs by Tags."""
    return await _find(call, None)


async def find_in_container(call: Call) -> Response:
    """Find Blobs by Tags in Container."""
    return await _find(call, call.container)


async def _find(call: Call, container: str | None) -> Response:
    text = call.query.get("where")
    where = parse_where(text, in_container=container is not None)
    marker, size = call.query.filled("marker"), call.max_results()
    start = markers.read_find_marker(marker) if marker else ("", "")

    def search(state: State, now: int) -> tuple[FoundPage, int]:
        page = query(
            state.blobs,
            call.account,
            tag_query(where),
            now,
            container=container,
            start=start,
            limit=size or MAX_RESULTS,
        )
        following = state.blobs.find(call.account, page.next[0]) if page.next is not None else None
        return page, following.entry.created if following is not None else 0

    page, created = await call.engine.read(search)
    items: list[bytes] = []
    for at in range(0, len(page.items), AT_ONCE):
        some = [
            found_element(found.name, found.container, where.named(dict(found.entry.tags)), call.version)
            for found in page.items[at : at + AT_ONCE]
        ]
        items.append(joined(some))
        await trio.lowlevel.checkpoint()
    next_marker = None if page.next is None else markers.find_marker(page.next[0], created, page.next[1])
    asked = ListingParameters(marker=marker, max_results=size)
    return xml_response(found_page(call.endpoint, text or "", asked, items, next_marker))


def tag_query(where: Where) -> TagQuery:
    """Return the query for the engine."""
    return TagQuery({key: _range(interval) for key, interval in where.intervals.items()}, where.container)


def _range(interval: Interval) -> TagRange:
    return TagRange.between(
        interval.low,
        interval.high,
        with_lower=interval.low_closed,
        with_upper=interval.high_closed,
    )


HANDLERS = {
    Operation.FIND_BLOBS: find_in_account,
    Operation.FIND_BLOBS_IN_CONTAINER: find_in_container,
}
