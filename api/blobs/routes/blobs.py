"""Changing a blob in place: its properties, metadata, tags and tier; and deleting it.

See docs/wire/blobs.md, section 5.5. Put Blob is in `upload`.
"""

from __future__ import annotations

from typing import Final

from retain.api.blobs.request.call import Call, written
from retain.api.blobs.routes.upload import (
    ENCRYPTED,
    content_headers,
    metadata_of,
    read_small,
    stored_md5,
    tier_of,
)
from retain.api.blobs.sas.permissions import Operation
from retain.api.blobs.wire.errors import AzureError, invalid_header, missing_header
from retain.api.blobs.xml.read import MAX_SMALL_BYTES, parse_tag_set
from retain.api.http.message import Response
from retain.engine.blobs.commands import (
    DeleteBlob,
    SetBlobHeaders,
    SetBlobMetadata,
    SetBlobTags,
    SetBlobTier,
)

_DELETE_SNAPSHOTS: Final = frozenset({"include", "only"})


async def set_blob_properties(call: Call) -> Response:
    """Set Blob Properties: all content headers at once; those not named are cleared, the MD5 too."""
    call.require_no_version()
    result = await call.engine.submit(
        SetBlobHeaders(
            actor=call.actor,
            account=call.account,
            container=call.container,
            name=call.blob,
            conditions=call.conditions(write=True),
            headers=content_headers(call, plain=False, default_type=None),
            md5=stored_md5(call),
        )
    )
    return Response(200, written(result.etag, result.modified))


async def set_blob_metadata(call: Call) -> Response:
    """Set Blob Metadata: replaces all of it."""
    call.require_no_version()
    result = await call.engine.submit(
        SetBlobMetadata(
            actor=call.actor,
            account=call.account,
            container=call.container,
            name=call.blob,
            conditions=call.conditions(write=True),
            metadata=metadata_of(call),
        )
    )
    return Response(200, [*written(result.etag, result.modified), ENCRYPTED])


async def set_blob_tags(call: Call) -> Response:
    """Set Blob Tags: replaces all of them; neither ETag nor Last-Modified change."""
    call.require_no_version()
    conditions = call.conditions(prefix="x-ms-blob-", write=True)
    body = await read_small(call, MAX_SMALL_BYTES)
    await call.engine.submit(
        SetBlobTags(
            actor=call.actor,
            account=call.account,
            container=call.container,
            name=call.blob,
            conditions=conditions,
            tags=tuple(parse_tag_set(body).items()),
        )
    )
    return Response(204)


async def set_blob_tier(call: Call) -> Response:
    """Set Blob Tier. The tier is kept and shown; all blobs are on the same disk."""
    call.require_no_version()
    tier = tier_of(call)
    if tier is None:
        raise missing_header("x-ms-access-tier")
    await call.engine.submit(
        SetBlobTier(
            actor=call.actor,
            account=call.account,
            container=call.container,
            name=call.blob,
            conditions=call.conditions(write=True),
            tier=tier,
        )
    )
    return Response(200)


async def delete_blob(call: Call) -> Response:
    """Delete Blob. There are no snapshots, so deleting only those finds nothing."""
    call.require_no_version()
    snapshots = call.header("x-ms-delete-snapshots")
    if snapshots is not None and snapshots.lower() not in _DELETE_SNAPSHOTS:
        raise invalid_header("x-ms-delete-snapshots", snapshots)
    if snapshots is not None and snapshots.lower() == "only":
        raise AzureError("BlobNotFound")
    await call.engine.submit(
        DeleteBlob(
            actor=call.actor,
            account=call.account,
            container=call.container,
            name=call.blob,
            conditions=call.conditions(write=True),
        )
    )
    return Response(202, [("x-ms-delete-type-permanent", "true")])


HANDLERS = {
    Operation.SET_BLOB_PROPERTIES: set_blob_properties,
    Operation.SET_BLOB_METADATA: set_blob_metadata,
    Operation.SET_BLOB_TAGS: set_blob_tags,
    Operation.SET_BLOB_TIER: set_blob_tier,
    Operation.DELETE_BLOB: delete_blob,
}
