"""A page of the containers of all tenants, for the containers page and the overview."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final
from urllib.parse import quote, urlencode

from retain.api.blobs.xml.service_properties import ServiceProperties
from retain.engine import Engine, State
from retain.engine.blobs.container_pages import Position, page_of_containers
from retain.engine.blobs.queries import service_properties
from retain.engine.outlook import ContainerOutlook, container_outlook

PER_PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class TenantRows:
    """A tenant on the page.

    Attributes:
        name: Its name.
        rows: Those of its containers that are on the page.
        count: How many it has in all.
        asks_soft_delete: Whether a client asked that its deleted blobs be kept, which is not done.
    """

    name: str
    rows: tuple[ContainerOutlook, ...]
    count: int
    asks_soft_delete: bool = False


@dataclass(frozen=True, slots=True)
class ListedContainers:
    """The contents of a page.

    Attributes:
        tenants: The tenants on it, in order.
        query: The query of this page's address without its position; empty for none.
        next: The query of the page after it; None if this is the last.
        before: The query of the page before it; None if this is the first.
    """

    tenants: tuple[TenantRows, ...]
    query: str
    next: str | None
    before: str | None


async def listed(
    engine: Engine, asked: str, tenants: Callable[[State], Sequence[str]], prefix: str = ""
) -> ListedContainers:
    """Return a page of the list.

    Args:
        engine: The engine with the containers.
        asked: The parameter `from` of the address: a tenant or `tenant/container` that the page begins with;
            empty for the first page.
        tenants: Returns the tenants, sorted.
        prefix: The beginning of the containers' names.
    """
    account, _, name = asked.partition("/")

    def look(state: State, now: int) -> ListedContainers:
        found = page_of_containers(
            state.blobs, tenants(state), prefix=prefix, start=(account, name), limit=PER_PAGE
        )
        shown = []
        for tenant, items in groupby(found.items, key=lambda item: item[0]):
            rows = tuple(container_outlook(state, one, now) for _, one in items if one is not None)
            properties = ServiceProperties.stored(service_properties(state.blobs, tenant))
            count = len(state.blobs.accounts.get(tenant, ()))
            shown.append(TenantRows(tenant, rows, count, properties.asks_soft_delete))
        following, before = (None if at is None else _query(prefix, at) for at in (found.next, found.before))
        return ListedContainers(tuple(shown), _query(prefix), following, before)

    return await engine.read(look)


def _query(prefix: str, at: Position | None = None) -> str:
    place = "/".join(filter(None, at)) if at is not None else ""
    filled = {name: value for name, value in (("prefix", prefix), ("from", place)) if value}
    return f"?{urlencode(filled, quote_via=quote)}" if filled else ""
