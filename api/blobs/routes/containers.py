"""Operations on a container: create, properties, metadata, access policies, delete.

See docs/wire/blobs.md, sections 2.3 and 5.
"""

from __future__ import annotations

from retain.api.blobs.request.call import Call, written, xml_response
from retain.api.blobs.request.views import container_headers
from retain.api.blobs.routes.upload import metadata_of, read_small
from retain.api.blobs.sas.permissions import Operation
from retain.api.blobs.wire.errors import invalid_header
from retain.api.blobs.wire.names import lease_id, metadata_headers
from retain.api.blobs.xml.policies import parse_policies, policies_document
from retain.api.blobs.xml.read import MAX_SMALL_BYTES
from retain.api.http.message import Response
from retain.engine.blobs import queries
from retain.engine.blobs.container_commands import (
    CreateContainer,
    DeleteContainer,
    SetContainerAccess,
    SetContainerMetadata,
)
from retain.engine.blobs.entries import ContainerEntry

_ACCESS_LEVELS = frozenset({"container", "blob"})


async def create_container(call: Call) -> Response:
    """Create Container."""
    result = await call.engine.submit(
        CreateContainer(
            actor=call.actor,
            account=call.account,
            container=call.container,
            resource=call.engine.entropy(16),
            metadata=metadata_of(call),
            public_access=_public_access(call),
        )
    )
    return Response(201, written(result.etag, result.modified))


async def get_container_properties(call: Call) -> Response:
    """Get Container Properties, or only the metadata of it with comp=metadata."""
    entry, now = await _entry(call)
    headers = written(entry.etag, entry.modified) + metadata_headers(dict(entry.metadata))
    if call.query.filled("comp") != "metadata":
        held = await call.engine.read(
            lambda state, _: state.shared.held.container(call.account, call.container)
        )
        headers += container_headers(entry, now, held=held)
    return Response(200, headers)


async def set_container_metadata(call: Call) -> Response:
    """Set Container Metadata: replaces all of it."""
    result = await call.engine.submit(
        SetContainerMetadata(
            actor=call.actor,
            account=call.account,
            container=call.container,
            metadata=metadata_of(call),
            conditions=call.conditions(write=True),
        )
    )
    return Response(200, written(result.etag, result.modified))


async def get_container_acl(call: Call) -> Response:
    """Get Container ACL."""
    entry, _ = await _entry(call)
    headers = written(entry.etag, entry.modified)
    if entry.public_access:
        headers.append(("x-ms-blob-public-access", entry.public_access))
    return xml_response(policies_document(entry.policies), headers)


async def set_container_acl(call: Call) -> Response:
    """Set Container ACL: replaces every stored access policy; an empty body removes them all."""
    access = _public_access(call)
    policies = parse_policies(await read_small(call, MAX_SMALL_BYTES))
    result = await call.engine.submit(
        SetContainerAccess(
            actor=call.actor,
            account=call.account,
            container=call.container,
            policies=policies,
            public_access=access,
            conditions=call.conditions(write=True),
        )
    )
    return Response(200, written(result.etag, result.modified))


async def delete_container(call: Call) -> Response:
    """Delete Container, with all it holds."""
    await call.engine.submit(
        DeleteContainer(
            actor=call.actor,
            account=call.account,
            container=call.container,
            conditions=call.conditions(write=True),
        )
    )
    return Response(202)


async def _entry(call: Call) -> tuple[ContainerEntry, int]:
    lease = lease_id(call.header)
    return await call.engine.read(
        lambda state, now: (
            queries.get_container(state.blobs, call.account, call.container, now, lease=lease),
            now,
        )
    )


def _public_access(call: Call) -> str | None:
    """Return the requested level. It is stored and shown; anonymous requests are refused all the same."""
    level = call.header("x-ms-blob-public-access")
    if level is not None and level not in _ACCESS_LEVELS:
        raise invalid_header("x-ms-blob-public-access", level)
    return level


HANDLERS = {
    Operation.CREATE_CONTAINER: create_container,
    Operation.GET_CONTAINER_PROPERTIES: get_container_properties,
    Operation.SET_CONTAINER_METADATA: set_container_metadata,
    Operation.GET_CONTAINER_ACL: get_container_acl,
    Operation.SET_CONTAINER_ACL: set_container_acl,
    Operation.DELETE_CONTAINER: delete_container,
}
