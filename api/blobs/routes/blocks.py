"""Blobs made of blocks: Put Block, Put Block List, Get Block List (docs/wire/blobs.md, section 5.1)."""

from __future__ import annotations

from functools import partial
from typing import Final

from retain.api.blobs.request.call import Call, written, xml_response
from retain.api.blobs.request.conditions import check_read
from retain.api.blobs.routes.upload import (
    ENCRYPTED,
    MEBIBYTE,
    block_wants_md5,
    precheck,
    read_small,
    receive,
    require_length,
    size_limit,
    stored_fields,
    stored_md5,
    sums_of,
)
from retain.api.blobs.sas.permissions import Operation
from retain.api.blobs.wire.errors import invalid_parameter
from retain.api.blobs.wire.names import block_id, lease_id
from retain.api.blobs.xml import write as xml_lists
from retain.api.blobs.xml.read import MAX_BLOCK_LIST_BYTES, parse_block_list
from retain.api.http.message import Response
from retain.engine.blobs import queries
from retain.engine.blobs.commands import BlockSource, CommitBlocks, StageBlock
from retain.engine.blobs.conditions import UNCONDITIONAL, Conditions

BYTES_OF_A_BLOCK: Final = 32
"""Bytes of a block in a block list; less than any block takes."""

_SOURCES: Final = {
    "latest": BlockSource.LATEST,
    "committed": BlockSource.COMMITTED,
    "uncommitted": BlockSource.UNCOMMITTED,
}


async def put_block(call: Call) -> Response:
    """Put Block. A repeated id replaces the block."""
    identity = block_id(call.query.get("blockid"))
    length = require_length(call)
    conditions = Conditions(lease=lease_id(call.header))
    limit = size_limit(call.version, 4 * MEBIBYTE, 100 * MEBIBYTE, 4000 * MEBIBYTE)
    if 0 < length <= limit:
        await precheck(call, conditions)
    async with call.engine.upload(md5=block_wants_md5(call)) as upload:
        received = await receive(call, upload, limit)
        await call.engine.submit(
            StageBlock(
                actor=call.actor,
                account=call.account,
                container=call.container,
                name=call.blob,
                conditions=conditions,
                resource=call.engine.entropy(16),
                block_id=identity,
                body=received.body,
            )
        )
    return Response(201, [*received.answer_headers(), ENCRYPTED])


async def put_block_list(call: Call) -> Response:
    """Put Block List: the blocks named become the blob, in that order; an empty list makes an empty blob."""
    require_length(call)
    stored = stored_fields(call, plain=False)
    body = await read_small(call, MAX_BLOCK_LIST_BYTES)
    listed = await call.computed(partial(_listed, body), len(body) // BYTES_OF_A_BLOCK)
    result = await call.engine.submit(
        CommitBlocks(
            actor=call.actor,
            account=call.account,
            container=call.container,
            name=call.blob,
            conditions=call.conditions(write=True),
            resource=call.engine.entropy(16),
            blocks=listed,
            headers=stored.headers,
            md5=stored_md5(call),
            metadata=stored.metadata,
            tags=stored.tags,
            tier=stored.tier,
            may_overwrite=call.may_overwrite,
        )
    )
    return Response(201, [*written(result.etag, result.modified), *await sums_of(call, body), ENCRYPTED])


def _listed(body: bytes) -> tuple[tuple[BlockSource, bytes], ...]:
    return tuple((_SOURCES[kind], identity) for kind, identity in parse_block_list(body))


async def get_block_list(call: Call) -> Response:
    """Get Block List: committed (the default), uncommitted or all blocks."""
    call.require_no_version()
    kind = (call.query.filled("blocklisttype") or "committed").lower()
    if kind not in ("committed", "uncommitted", "all"):
        raise invalid_parameter("blocklisttype", kind, "Not committed, uncommitted or all.")
    conditions = call.conditions()
    found = await call.engine.read(
        lambda state, now: queries.block_list(state.blobs, call.account, call.container, call.blob, now)
    )
    headers: list[tuple[str, str]] = []
    if found.entry is not None:
        if conditions is not UNCONDITIONAL:
            check_read(conditions, found.entry.etag, found.entry.modified, dict(found.entry.tags))
        headers = written(found.entry.etag, found.entry.modified)
    headers.append(("x-ms-blob-content-length", str(found.entry.size if found.entry is not None else 0)))
    committed = found.committed if kind != "uncommitted" else None
    uncommitted = found.uncommitted if kind != "committed" else None
    work = partial(xml_lists.block_list, committed, uncommitted)
    return xml_response(await call.computed(work, len(committed or ()) + len(uncommitted or ())), headers)


HANDLERS = {
    Operation.PUT_BLOCK: put_block,
    Operation.PUT_BLOCK_LIST: put_block_list,
    Operation.GET_BLOCK_LIST: get_block_list,
}
