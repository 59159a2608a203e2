"""Copies: Copy Blob, Copy Blob From URL, Put Blob From URL, Put Block From URL (docs/wire/blobs.md, section
5.2).

All finish inline. The bytes are read and stored anew, because every body has a key of its own that dies
with it.
"""

import hmac
from contextlib import aclosing
from dataclasses import replace
from typing import Final
from uuid import UUID

from retain.api.blobs.call import Call, written
from retain.api.blobs.routes.reading import read_blob
from retain.api.blobs.routes.source import Source, find_source
from retain.api.blobs.routes.upload import (
    MEBIBYTE,
    content_headers,
    md5_header,
    md5_mismatch,
    metadata_of,
    tags_of,
    tier_of,
)
from retain.api.blobs.sas.permissions import Operation
from retain.api.blobs.views import md5_text
from retain.api.blobs.wire.errors import AzureError, invalid_header
from retain.api.blobs.wire.names import check_blob, lease_id
from retain.api.blobs.wire.ranges import parse_range
from retain.api.http.message import Response
from retain.engine import PreconditionFailed
from retain.engine.blobs.answers import Written
from retain.engine.blobs.commands import PutBlob, StageBlock
from retain.engine.blobs.conditions import Conditions
from retain.engine.blobs.entries import CopyInfo, Pairs
from retain.engine.core.body import Body
from retain.engine.writing.bodies import Upload

MAX_SYNC: Final = 256 * MEBIBYTE
"""Largest source of Copy Blob From URL, in bytes."""

_TAG_OPTIONS: Final = frozenset({"REPLACE", "COPY"})


async def copy_blob(call: Call) -> Response:
    """Copy Blob, or one of its two synchronous kinds: `x-ms-requires-sync`, or a blob type (Put Blob From
    URL)."""
    check_blob(call.blob)
    is_put = call.header("x-ms-blob-type") is not None
    is_sync = call.flag("x-ms-requires-sync")
    copies_tags = _copies_tags(call)
    conditions = call.conditions(write=True)
    source = await find_source(call, with_tags=copies_tags)
    if is_sync and source.entry.size > MAX_SYNC:
        raise AzureError("RequestBodyTooLarge", extras=(("MaxLimit", str(MAX_SYNC)),))
    identity = str(UUID(bytes=call.engine.entropy(16), version=4))
    async with call.engine.upload() as upload:
        body = await _fetch(call, upload, source, 0, source.entry.size)
        command = _put(call, source, body, conditions, source.entry.tags if copies_tags else tags_of(call))
        if not is_put:
            copy = CopyInfo(identity, source.url, call.engine.now(), source.entry.size)
            command = _as_copy(command, copy)
        result = await _submit(call, command, is_put=is_put)
    headers = written(result.etag, result.modified)
    if is_put:
        return Response(
            201, [*headers, ("Content-MD5", md5_text(body.md5)), ("x-ms-request-server-encrypted", "true")]
        )
    headers += [("x-ms-copy-id", identity), ("x-ms-copy-status", "success")]
    if is_sync and call.header("x-ms-source-content-md5"):
        headers.append(("Content-MD5", md5_text(body.md5)))
    return Response(202, headers)


async def put_block_from_url(call: Call, identity: bytes) -> Response:
    """Put Block From URL: a part of the source, or all of it, becomes a block."""
    source = await find_source(call)
    asked = call.header("x-ms-source-range")
    part = parse_range(None, asked, source.entry.size)
    if asked is not None and part is None:
        raise invalid_header("x-ms-source-range", asked)
    start, stop = part or (0, source.entry.size)
    async with call.engine.upload() as upload:
        body = await _fetch(call, upload, source, start, stop)
        await call.engine.submit(
            StageBlock(
                actor=call.actor,
                account=call.account,
                container=call.container,
                name=call.blob,
                conditions=Conditions(lease=lease_id(call.header)),
                resource=call.engine.entropy(16),
                block_id=identity,
                body=body,
            )
        )
    return Response(201, [("Content-MD5", md5_text(body.md5)), ("x-ms-request-server-encrypted", "true")])


async def abort_copy(call: Call) -> Response:
    """Abort Copy Blob: every copy here has finished before it was answered."""
    raise AzureError("NoPendingCopyOperation")


async def _fetch(call: Call, upload: Upload, source: Source, start: int, stop: int) -> Body:
    """The source's bytes as a body of their own, held against `x-ms-source-content-md5`."""
    async with aclosing(read_blob(call.engine, source.entry, start, stop)) as chunks:
        async for chunk in chunks:
            await upload.write(chunk)
    body = await upload.finish()
    expected = md5_header(call, "x-ms-source-content-md5")
    if expected is not None and not hmac.compare_digest(expected, body.md5):
        raise md5_mismatch(expected, body.md5)
    return body


def _put(call: Call, source: Source, body: Body, conditions: Conditions, tags: Pairs) -> PutBlob:
    """What is written: content headers and MD5 of the source; its metadata only if the request brings
    none."""
    named = call.header("x-ms-blob-type") is not None and any(
        name.startswith("x-ms-blob-content-") or name == "x-ms-blob-cache-control" for name in call.headers
    )
    return PutBlob(
        actor=call.actor,
        account=call.account,
        container=call.container,
        name=call.blob,
        conditions=conditions,
        resource=call.engine.entropy(16),
        body=body,
        headers=content_headers(call, plain=False) if named else source.entry.headers,
        md5=body.md5 if call.header("x-ms-blob-type") else source.entry.md5,
        metadata=metadata_of(call) or source.entry.metadata,
        tags=tags,
        tier=tier_of(call),
        may_overwrite=call.may_overwrite,
    )


def _as_copy(command: PutBlob, copy: CopyInfo) -> PutBlob:
    return replace(command, copy=copy)


async def _submit(call: Call, command: PutBlob, *, is_put: bool) -> Written:
    try:
        return await call.engine.submit(command)
    except PreconditionFailed as error:
        if error.reason == "condition" and not is_put:
            raise AzureError("TargetConditionNotMet") from None
        raise


def _copies_tags(call: Call) -> bool:
    option = call.header("x-ms-copy-source-tag-option")
    if option is None:
        return False
    if option.upper() not in _TAG_OPTIONS or (option.upper() == "COPY" and call.header("x-ms-tags")):
        raise invalid_header("x-ms-copy-source-tag-option", option)
    return option.upper() == "COPY"


HANDLERS = {Operation.COPY_BLOB: copy_blob, Operation.ABORT_COPY: abort_copy}
