"""Operations on the account: its containers, its service properties, its kind.

See docs/wire/blobs.md, section 5.
"""

from __future__ import annotations

import logging

import trio

from retain.api.blobs.request.call import AT_ONCE, MAX_RESULTS, Call, xml_response
from retain.api.blobs.request.views import lease_of
from retain.api.blobs.routes.upload import read_small
from retain.api.blobs.sas.permissions import Operation
from retain.api.blobs.wire import markers
from retain.api.blobs.wire.errors import invalid_parameter
from retain.api.blobs.xml import write as xml_lists
from retain.api.blobs.xml.read import MAX_SMALL_BYTES
from retain.api.blobs.xml.service_properties import ServiceProperties, parse_properties
from retain.api.http.external import client_address
from retain.api.http.message import Response
from retain.engine.blobs import queries
from retain.engine.blobs.container_commands import SetServiceProperties

LOG = logging.getLogger("retain.blobs")

_INCLUDES = frozenset({"metadata", "deleted", "system"})


async def list_containers(call: Call) -> Response:
    """List Containers."""
    prefix, marker, size = call.query.filled("prefix"), call.query.filled("marker"), call.max_results()
    include = {part.strip().lower() for part in (call.query.filled("include") or "").split(",")} - {""}
    if not include <= _INCLUDES:
        raise invalid_parameter("include", call.query.get("include") or "", "Unknown value.")
    start = markers.read_container_marker(call.account, marker) if marker else ""
    page, held, now = await call.engine.read(
        lambda state, now: (
            page := queries.list_containers(
                state.blobs, call.account, prefix=prefix or "", start=start, limit=size or MAX_RESULTS
            ),
            {item.name for item in page.items if state.shared.held.container(call.account, item.name)},
            now,
        )
    )
    items: list[bytes] = []
    for at in range(0, len(page.items), AT_ONCE):
        some = [
            xml_lists.container_element(
                item.name,
                item.entry,
                lease_of(item.entry.lease, now),
                metadata="metadata" in include,
                held=item.name in held,
            )
            for item in page.items[at : at + AT_ONCE]
        ]
        items.append(xml_lists.joined(some))
        await trio.lowlevel.checkpoint()
    asked = xml_lists.ListingParameters(prefix=prefix, marker=marker, max_results=size)
    following = markers.container_marker(call.account, page.next) if page.next is not None else None
    return xml_response(xml_lists.containers_page(call.endpoint, asked, items, following))


async def get_service_properties(call: Call) -> Response:
    """Get Blob Service Properties."""
    document = await call.engine.read(lambda state, _: queries.service_properties(state.blobs, call.account))
    return xml_response(ServiceProperties.stored(document).to_xml())


async def set_service_properties(call: Call) -> Response:
    """Set Blob Service Properties: what its body leaves out stays as it is."""
    document = parse_properties(await read_small(call, MAX_SMALL_BYTES))
    await call.engine.submit(
        SetServiceProperties(
            actor=call.actor,
            account=call.account,
            document=document,
            resource=call.engine.entropy(16),
        )
    )
    if ServiceProperties.stored(document).asks_soft_delete:
        address = client_address(call.request, call.site.origin.proxies)
        facts = {"account": call.account, "actor": call.actor, "address": address}
        LOG.warning("a client turned on soft delete, which has no effect", extra={"facts": facts})
    return Response(202)


async def get_account_information(_call: Call) -> Response:
    """Get Account Information, which any container or blob URL answers as well."""
    return Response(
        200,
        [
            ("x-ms-sku-name", "Standard_LRS"),
            ("x-ms-account-kind", "StorageV2"),
            ("x-ms-is-hns-enabled", "false"),
        ],
    )


HANDLERS = {
    Operation.LIST_CONTAINERS: list_containers,
    Operation.GET_SERVICE_PROPERTIES: get_service_properties,
    Operation.SET_SERVICE_PROPERTIES: set_service_properties,
    Operation.GET_ACCOUNT_INFORMATION: get_account_information,
}
