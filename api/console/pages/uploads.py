"""The requests of the upload script: small files whole, large ones in blocks that a retry continues.

Blocks are those of the blob interface (Put Block, Put Block List). Their ids identify the file, so that the
same file, chosen again, continues where it was interrupted.
"""

from __future__ import annotations

import json
from typing import Any, Final

from quart import Response
from quart import request as quart_request

from retain.api.blobs.wire.errors import AzureError
from retain.api.blobs.wire.names import check_blob
from retain.api.console.containers.addresses import CONTAINERS
from retain.api.console.containers.previews import type_to_store
from retain.api.console.routing.call import PageCall
from retain.api.console.routing.route import Route
from retain.api.identity.roles import ADMINISTRATORS
from retain.api.refusals import status_of
from retain.engine import EngineError, Invalid, NotFound
from retain.engine.blobs.commands import BlockSource, CommitBlocks, PutBlob, StageBlock
from retain.engine.blobs.conditions import UNCONDITIONAL, Conditions, ETags
from retain.engine.blobs.entries import ContentHeaders
from retain.engine.blobs.queries import block_list, get_container

UPLOAD: Final = f"{CONTAINERS}/<tenant>/<container>/upload"
BLOCKS: Final = f"{CONTAINERS}/<tenant>/<container>/blocks"
BLOCK_BYTES: Final = 1 << 20
"""Size of each block but the last: what the server takes in one request of the console."""
MAX_BLOCKS: Final = 50_000
_DIGITS: Final = 15


async def put(call: PageCall, tenant: str, container: str) -> Response:
    """Store a small file as a whole."""
    return await _answered(call, _put(call, tenant, container))


async def staged(call: PageCall, tenant: str, container: str) -> Response:
    """Return which blocks of a file are staged already, and whether its name is taken."""
    return await _answered(call, _staged(call, tenant, container))


async def stage(call: PageCall, tenant: str, container: str) -> Response:
    """Stage one block of a large file."""
    return await _answered(call, _stage(call, tenant, container))


async def commit(call: PageCall, tenant: str, container: str) -> Response:
    """Commit the blob from its blocks."""
    return await _answered(call, _commit(call, tenant, container))


async def _answered(call: PageCall, work: Any) -> Response:
    """Answer a script with the result or the refusal, as JSON."""
    try:
        return _json(call, await work, 200)
    except EngineError as error:
        message = f"{error.message[:1].upper()}{error.message[1:]}."
        return _json(call, {"error": message, "reason": error.reason}, status_of(error))


def _json(call: PageCall, value: dict[str, Any], status: int) -> Response:
    return call.answer(json.dumps(value), status, "application/json")


async def _put(call: PageCall, tenant: str, container: str) -> dict[str, Any]:
    facts = _facts(call, tenant, container)
    engine = call.desk.engine
    async with engine.upload() as upload:
        await upload.write(await quart_request.body)
        body = await upload.finish()
        await engine.submit(PutBlob(body=body, md5=body.md5, **facts, **_new(call)))
    return {"size": body.size}


async def _staged(call: PageCall, tenant: str, container: str) -> dict[str, Any]:
    name, size, modified = _name(call), _whole(call, "size"), _whole(call, "modified")
    call.desk.administration.tenants.required(tenant)

    def look(state: Any, now: int) -> dict[str, Any]:
        get_container(state.blobs, tenant, container, now)
        try:
            found = block_list(state.blobs, tenant, container, name, now)
        except NotFound:
            return {"exists": False, "blocks": []}
        start = _id(size, modified, 0)[:-_DIGITS]
        ids = [one.block_id for one in found.uncommitted if one.block_id.startswith(start)]
        numbers = [int(one[len(start) :]) for one in ids if one[len(start) :].isdigit()]
        return {"exists": found.entry is not None, "blocks": numbers}

    return await call.desk.engine.read(look)


async def _stage(call: PageCall, tenant: str, container: str) -> dict[str, Any]:
    facts = _facts(call, tenant, container)
    number, size, modified = (_whole(call, name) for name in ("block", "size", "modified"))
    _check_blocks(number + 1)
    engine = call.desk.engine
    async with engine.upload(md5=False) as upload:
        await upload.write(await quart_request.body)
        body = await upload.finish()
        if body.size == 0:
            raise Invalid("a block must not be empty", reason="block")
        facts["conditions"] = UNCONDITIONAL
        block_id = _id(size, modified, number)
        await engine.submit(StageBlock(body=body, block_id=block_id, **facts))
    return {"size": body.size}


async def _commit(call: PageCall, tenant: str, container: str) -> dict[str, Any]:
    facts = _facts(call, tenant, container)
    size, modified = _whole(call, "size"), _whole(call, "modified")
    count = -(-size // BLOCK_BYTES)
    _check_blocks(count)
    blocks = tuple((BlockSource.UNCOMMITTED, _id(size, modified, number)) for number in range(count))
    await call.desk.engine.submit(CommitBlocks(blocks=blocks, md5=None, **facts, **_new(call)))
    return {"size": size}


def _facts(call: PageCall, tenant: str, container: str) -> dict[str, Any]:
    """Return the fields of each write. Without `replace` nothing is overwritten."""
    call.desk.administration.tenants.required(tenant)
    replaces = call.args.get("replace") == "1"
    return {
        "actor": call.actor,
        "account": tenant,
        "container": container,
        "name": _name(call),
        "resource": call.desk.engine.entropy(16),
        "conditions": UNCONDITIONAL if replaces else Conditions(if_none_match=ETags(any=True)),
    }


def _new(call: PageCall) -> dict[str, Any]:
    return {"headers": ContentHeaders(content_type=type_to_store(call.args.get("type", ""), _name(call)))}


def _name(call: PageCall) -> str:
    name = call.args.get("name", "")
    try:
        check_blob(name)
    except AzureError:
        words = "a blob's name has 1 to 1,024 characters, at most 254 parts and no control characters"
        raise Invalid(words, reason="blob-name") from None
    return name


def _whole(call: PageCall, name: str) -> int:
    text = call.args.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise Invalid(f"{name} must be a whole number", reason=name)
    return int(text)


def _check_blocks(count: int) -> None:
    if not 1 <= count <= MAX_BLOCKS:
        words = "a file of this size cannot be uploaded here; use a client with larger blocks"
        raise Invalid(words, reason="size")


def _id(size: int, modified: int, number: int) -> bytes:
    """Return a block's id, which identifies file and block. All ids of a blob must be equally long."""
    return f"console-{size:0{_DIGITS}}-{modified:0{_DIGITS}}-{number:0{_DIGITS}}".encode()


ROUTES: Final = (
    Route(path=UPLOAD, view=put, methods=("PUT",), roles=ADMINISTRATORS),
    Route(path=BLOCKS, view=staged, roles=ADMINISTRATORS),
    Route(path=BLOCKS, view=stage, methods=("PUT",), roles=ADMINISTRATORS),
    Route(path=BLOCKS, view=commit, methods=("POST",), roles=ADMINISTRATORS),
)
