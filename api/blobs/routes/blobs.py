"""Writing a blob: Put Blob, its properties, metadata, tags and tier, delete.

See docs/wire/blobs.md, sections 5.1 and 5.5.
"""

from __future__ import annotations

from typing import Final

from retain.api.blobs.call import Call, written
from retain.api.blobs.routes.upload import (
    MEBIBYTE,
    content_headers,
    md5_header,
    metadata_of,
    precheck,
    read_small,
    receive,
    require_length,
    size_limit,
    stored_md5,
    tags_of,
    tier_of,
)
from retain.api.blobs.sas.permissions import Operation
from retain.api.blobs.wire.errors import AzureError, invalid_header, missing_header
from retain.api.blobs.xml.read import MAX_SMALL_BYTES, parse_tag_set
from retain.api.http.message import Response
from retain.engine.blobs.commands import (
    DeleteBlob,
    PutBlob,
    SetBlobHeaders,
    SetBlobMetadata,
    SetBlobTags,
    SetBlobTier,
)

ENCRYPTED: Final = ("x-ms-request-server-encrypted", "true")

_OTHER_TYPES: Final = frozenset({"pageblob", "appendblob"})
_DELETE_SNAPSHOTS: Final = frozenset({"include", "only"})


def require_block_blob(call: Call) -> None:
    """Refuse other types than block blobs.

    Raises AzureError: missing, unknown, or NotImplemented for the other two.
    """
    kind = call.header("x-ms-blob-type")
    if kind is None:
        raise missing_header("x-ms-blob-type")
    if kind.lower() in _OTHER_TYPES:
        raise AzureError("NotImplemented")
    if kind.lower() != "blockblob":
        raise invalid_header("x-ms-blob-type", kind)


async def put_blob(call: Call) -> Response:
    """Put Blob: the body becomes the blob, whole; a broken upload leaves nothing."""
    length = require_length(call)
    require_block_blob(call)
    headers, metadata, tags, tier = (
        content_headers(call, plain=True),
        metadata_of(call),
        tags_of(call),
        tier_of(call),
    )
    blob_md5 = md5_header(call, "x-ms-blob-content-md5")
    conditions = call.conditions(write=True)
    limit = size_limit(call.version, 64 * MEBIBYTE, 256 * MEBIBYTE, 5000 * MEBIBYTE)
    if 0 < length <= limit:
        await precheck(call, conditions)
    async with call.engine.upload() as upload:
        received = await receive(call, upload, limit, blob_md5=blob_md5)
        result = await call.engine.submit(
            PutBlob(
                actor=call.actor,
                account=call.account,
                container=call.container,
                name=call.blob,
                conditions=conditions,
                resource=call.engine.entropy(16),
                body=received.body,
                headers=headers,
                md5=received.md5,
                metadata=metadata,
                tags=tags,
                tier=tier,
                may_overwrite=call.may_overwrite,
            )
        )
    return Response(201, [*written(result.etag, result.modified), *received.sum_headers(), ENCRYPTED])


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
    Operation.PUT_BLOB: put_blob,
    Operation.SET_BLOB_PROPERTIES: set_blob_properties,
    Operation.SET_BLOB_METADATA: set_blob_metadata,
    Operation.SET_BLOB_TAGS: set_blob_tags,
    Operation.SET_BLOB_TIER: set_blob_tier,
    Operation.DELETE_BLOB: delete_blob,
}
