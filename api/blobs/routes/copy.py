"""Copies: Copy Blob, Copy Blob From URL, Put Blob From URL, Put Block From URL.

See docs/wire/blobs.md, section 5.2. All finish inline. The bytes are read and stored anew, because every body
has its own key, which is destroyed with it.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import Final
from uuid import UUID

from retain.api.blobs.request.call import Call, written
from retain.api.blobs.routes.reading import read_blob
from retain.api.blobs.routes.source import Source, find_source
from retain.api.blobs.routes.upload import (
    DEFAULT_TYPE,
    ENCRYPTED,
    MEBIBYTE,
    answers_crc64,
    check_crc64,
    check_md5,
    content_headers,
    crc64_header,
    md5_header,
    metadata_of,
    require_block_blob,
    sum_headers,
    tags_of,
    tier_of,
)
from retain.api.blobs.sas.permissions import Operation
from retain.api.blobs.wire import crc64
from retain.api.blobs.wire.errors import AzureError, invalid_header
from retain.api.blobs.wire.names import block_id, lease_id
from retain.api.blobs.wire.ranges import parse_range
from retain.api.http.message import Response
from retain.engine import PreconditionFailed
from retain.engine.blobs.commands import PutBlob, StageBlock
from retain.engine.blobs.conditions import Conditions
from retain.engine.blobs.entries import ContentHeaders, CopyInfo
from retain.engine.core.body import Body
from retain.engine.writing.bodies import Upload

MAX_SYNC: Final = 256 * MEBIBYTE
"""Largest source of Copy Blob From URL, in bytes."""

_TAG_OPTIONS: Final = frozenset({"REPLACE", "COPY"})


async def copy_blob(call: Call) -> Response:
    """Copy Blob, or Copy Blob From URL with `x-ms-requires-sync`.

    Copies content, headers and MD5 of the source.
    """
    is_sync = call.flag("x-ms-requires-sync")
    conditions, copies_tags = call.conditions(write=True), _copies_tags(call)
    source = await find_source(call, with_tags=copies_tags)
    if is_sync and source.entry.size > MAX_SYNC:
        raise AzureError("RequestBodyTooLarge", extras=(("MaxLimit", str(MAX_SYNC)),))
    identity = str(UUID(bytes=call.engine.entropy(16), version=4))
    async with call.engine.upload() as upload:
        body, checksum = await _fetch(call, upload, source, 0, source.entry.size, answers=is_sync)
        command = replace(
            _put(call, source, body, conditions, copies_tags=copies_tags),
            headers=source.entry.headers,
            md5=source.entry.md5,
            copy=CopyInfo(identity, source.url, call.engine.now(), source.entry.size),
        )
        try:
            result = await call.engine.submit(command)
        except PreconditionFailed as error:
            if error.reason == "condition":
                raise AzureError("TargetConditionNotMet") from None
            raise
    headers = [
        *written(result.etag, result.modified),
        ("x-ms-copy-id", identity),
        ("x-ms-copy-status", "success"),
    ]
    if is_sync:
        headers += sum_headers(body.md5 if call.header("x-ms-source-content-md5") else b"", checksum)
    return Response(202, headers)


async def put_blob_from_url(call: Call) -> Response:
    """Put Blob From URL: store a new blob with the source's content.

    Headers in the request replace the source's.
    """
    require_block_blob(call)
    conditions, copies_tags = call.conditions(write=True), _copies_tags(call)
    named = content_headers(call, plain=False, default_type=None)
    stored_md5 = md5_header(call, "x-ms-blob-content-md5")
    keeps_own = _copies_properties(call)
    source = await find_source(call, with_tags=copies_tags, fetched=True)
    below = source.entry.headers if keeps_own else ContentHeaders(DEFAULT_TYPE)
    async with call.engine.upload() as upload:
        body, checksum = await _fetch(call, upload, source, 0, source.entry.size)
        if stored_md5 is not None:
            check_md5(stored_md5, body.md5)
        command = replace(
            _put(call, source, body, conditions, copies_tags=copies_tags),
            headers=ContentHeaders(*(own or other for own, other in zip(named, below, strict=True))),
        )
        result = await call.engine.submit(command)
    sums = sum_headers(body.md5, checksum)
    return Response(201, [*written(result.etag, result.modified), *sums, ENCRYPTED])


async def put_block_from_url(call: Call) -> Response:
    """Put Block From URL: a part of the source, or all of it, becomes a block."""
    identity = block_id(call.query.get("blockid"))
    source = await find_source(call, fetched=True)
    asked = call.header("x-ms-source-range")
    part = parse_range(None, asked, source.entry.size)
    if asked is not None and part is None:
        raise invalid_header("x-ms-source-range", asked)
    start, stop = part or (0, source.entry.size)
    async with call.engine.upload() as upload:
        body, checksum = await _fetch(call, upload, source, start, stop)
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
    with_md5 = checksum is None or call.header("x-ms-source-content-md5") is not None
    return Response(201, [*sum_headers(body.md5 if with_md5 else b"", checksum), ENCRYPTED])


async def abort_copy(call: Call) -> Response:
    """Abort Copy Blob: every copy here has finished before it was answered."""
    raise AzureError("NoPendingCopyOperation")


async def _fetch(
    call: Call, upload: Upload, source: Source, start: int, stop: int, *, answers: bool = True
) -> tuple[Body, int | None]:
    """Return the source's bytes as a new body, checked against the checksums in the request.

    Also return their CRC-64 if the client sent one, or if the operation `answers` one and it costs little.
    """
    md5 = md5_header(call, "x-ms-source-content-md5")
    crc = crc64_header(call, "x-ms-source-content-crc64")
    if md5 is not None and crc is not None:
        raise AzureError("BothCrc64AndMd5HeaderPresent")
    running = 0 if crc is not None or (answers and answers_crc64(call)) else None
    async with aclosing(read_blob(call.engine, source.entry, start, stop)) as chunks:
        async for chunk in chunks:
            if running is not None:
                running = await crc64.crc64_beside(chunk, running)
            await upload.write(chunk)
    body = await upload.finish()
    if md5 is not None:
        check_md5(md5, body.md5)
    if crc is not None and running is not None:
        check_crc64(crc, running)
    return body, running


def _put(call: Call, source: Source, body: Body, conditions: Conditions, *, copies_tags: bool) -> PutBlob:
    """Return the command of every copy: the source's metadata unless the request has some, tags, tier."""
    return PutBlob(
        actor=call.actor,
        account=call.account,
        container=call.container,
        name=call.blob,
        conditions=conditions,
        resource=call.engine.entropy(16),
        body=body,
        headers=ContentHeaders(),
        md5=body.md5,
        metadata=metadata_of(call) or source.entry.metadata,
        tags=source.entry.tags if copies_tags else tags_of(call),
        tier=tier_of(call),
        may_overwrite=call.may_overwrite,
    )


def _copies_properties(call: Call) -> bool:
    text = (call.header("x-ms-copy-source-blob-properties") or "true").lower()
    if text not in ("true", "false"):
        raise invalid_header("x-ms-copy-source-blob-properties", text)
    return text == "true"


def _copies_tags(call: Call) -> bool:
    option = call.header("x-ms-copy-source-tag-option")
    if option is None:
        return False
    if option.upper() not in _TAG_OPTIONS:
        raise invalid_header("x-ms-copy-source-tag-option", option)
    if option.upper() == "COPY" and call.header("x-ms-tags"):
        raise AzureError("BothUserTagsAndSourceTagsCopyPresentException")
    return option.upper() == "COPY"


HANDLERS = {
    Operation.COPY_BLOB: copy_blob,
    Operation.PUT_BLOB_FROM_URL: put_blob_from_url,
    Operation.PUT_BLOCK_FROM_URL: put_block_from_url,
    Operation.ABORT_COPY: abort_copy,
}
