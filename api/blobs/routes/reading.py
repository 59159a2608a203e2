"""Reading a blob: Get Blob whole and by range, its properties, metadata and tags.

See docs/wire/blobs.md, section 5.3.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Final, cast

import trio

from retain.api.blobs.request.call import Call, written, xml_response
from retain.api.blobs.request.conditions import check_read
from retain.api.blobs.request.views import HeaderList, blob_headers, md5_text, override
from retain.api.blobs.sas.permissions import Operation
from retain.api.blobs.wire import crc64, structured_body
from retain.api.blobs.wire.errors import invalid_header
from retain.api.blobs.wire.names import metadata_headers
from retain.api.blobs.wire.ranges import content_range, parse_range
from retain.api.blobs.wire.tags import tags_document
from retain.api.http.message import Response
from retain.engine import Download, EngineAccess
from retain.engine.blobs import queries
from retain.engine.blobs.conditions import UNCONDITIONAL
from retain.engine.blobs.entries import BlobEntry, Composite, pieces
from retain.engine.core.body import Inline, OnDisk, StoredBody

MAX_SUMMED_RANGE: Final = 4 * 1024 * 1024
"""Largest range whose own checksum a client may ask for, in bytes."""

_AT_ONCE: Final = 64
"""Blocks that are read at once, before other tasks run."""
_BLOCKS_AT_ONCE: Final = 5_000
"""Blocks of a blob that are searched in the event loop, 2 ms."""

_GUARDS: Final = [
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "sandbox"),
    ("Referrer-Policy", "no-referrer"),
]
"""A browser runs no script in a blob, and sends its URL, which may contain a token, to no other site."""


async def find_blob(call: Call, *, prefix: str = "") -> tuple[BlobEntry, int]:
    """Return the blob of a read, checked against its conditions, and the instant of the read.

    Raises as the engine.
    """
    call.require_no_version()
    conditions = call.conditions(prefix=prefix)
    entry, now = await call.engine.read(
        lambda state, now: (
            queries.get_blob(
                state.blobs, call.account, call.container, call.blob, now, lease=conditions.lease
            ),
            now,
        )
    )
    if conditions is not UNCONDITIONAL:
        check_read(conditions, entry.etag, entry.modified, dict(entry.tags))
    return entry, now


async def get_blob(call: Call) -> Response:
    """Get Blob."""
    entry, now = await find_blob(call)
    part = parse_range(call.headers.get("range"), call.headers.get("x-ms-range"), entry.size)
    headers = blob_headers(entry, now)
    start, stop = part or (0, entry.size)
    if part is not None:
        headers.append(("Content-Range", content_range(start, stop, entry.size)))
    if entry.md5 is not None:
        name = "Content-MD5" if part is None else "x-ms-blob-content-md5"
        headers.append((name, md5_text(entry.md5)))
    headers = override(headers, call.grant.overrides) if call.grant.overrides else headers
    headers += _GUARDS
    status = 200 if part is None else 206
    wants_sum = _summed(call, part)
    if wants_sum is not None:
        async with aclosing(read_blob(call.engine, entry, start, stop)) as chunks:
            data = b"".join([chunk async for chunk in chunks])
        sum_header = await crc64.worked(partial(_sum_header, wants_sum, data), len(data))
        return Response(status, [*headers, sum_header], data)
    return await _answer(call, status, headers, entry, start, stop)


async def _answer(
    call: Call, status: int, headers: HeaderList, entry: BlobEntry, start: int, stop: int
) -> Response:
    held = await _pieces(call.engine, entry, start, stop)
    framed = call.header("x-ms-structured-body")
    if framed is None and len(held) == 1 and isinstance(held[0][0], Inline | OnDisk):
        body, first, last = held[0]
        data = await (await call.engine.open_body(body)).read()
        return Response(status, headers, data if last - first == len(data) else data[first:last])
    if framed is not None and framed.replace(" ", "") != structured_body.HEADER_VALUE.replace(" ", ""):
        raise invalid_header("x-ms-structured-body", framed)
    stretches = await _opened(call.engine, held)
    if framed is None:
        return Response(status, headers, BlobBody(stretches.chunks(), stretches), length=stop - start)
    headers += [
        ("x-ms-structured-body", structured_body.HEADER_VALUE),
        ("x-ms-structured-content-length", str(stop - start)),
    ]
    framing = BlobBody(structured_body.frame(stretches.chunks(), stop - start), stretches)
    return Response(status, headers, framing, length=structured_body.framed_length(stop - start))


async def _pieces(
    engine: EngineAccess, entry: BlobEntry, start: int, stop: int
) -> list[tuple[StoredBody, int, int]]:
    """Return what `pieces` does; for very many blocks in a thread."""
    work = partial(pieces, entry, start, stop)
    if isinstance(entry.body, Composite) and len(entry.body.blocks) > _BLOCKS_AT_ONCE:
        return await engine.compute(work)
    return work()


class _Stretches:
    """Stretches of stored bodies, read one after the other; at most one of their files is open."""

    def __init__(
        self, engine: EngineAccess, held: list[tuple[StoredBody, int, int]], first: Download | None = None
    ) -> None:
        self._engine = engine
        self._held = held
        self._open = first

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes. The first stretch may have been opened before the response began."""
        for number, (body, start, stop) in enumerate(self._held):
            if number % _AT_ONCE == _AT_ONCE - 1:
                # Small blocks are read without waiting: a blob has up to 50,000, and other tasks run in
                # between.
                await trio.lowlevel.checkpoint()
            if self._open is None:
                self._open = await self._engine.open_body(body)
            chunks = cast("AsyncGenerator[bytes, None]", self._open.chunks(start, stop))
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield chunk
            await self.aclose()

    async def aclose(self) -> None:
        """Close the open file."""
        download, self._open = self._open, None
        if download is not None:
            await download.aclose()


async def _opened(engine: EngineAccess, held: list[tuple[StoredBody, int, int]]) -> _Stretches:
    return _Stretches(engine, held, await engine.open_body(held[0][0]) if held else None)


async def open_blob(engine: EngineAccess, entry: BlobEntry, start: int, stop: int) -> BlobBody:
    """Return the bytes of a blob from `start` up to, not including, `stop`, opened already.

    Raises NotFound if they were erased meanwhile, so that the answer can be a refusal.
    """
    stretches = await _opened(engine, await _pieces(engine, entry, start, stop))
    return BlobBody(stretches.chunks(), stretches)


class BlobBody:
    """A response's body; `aclose` closes the file even if nothing was read.

    A generator that never began would not do that.
    """

    def __init__(self, chunks: AsyncGenerator[bytes, None], stretches: _Stretches) -> None:
        self._chunks = chunks
        self._stretches = stretches

    def __aiter__(self) -> BlobBody:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._chunks)

    async def aclose(self) -> None:
        """End reading."""
        await self._chunks.aclose()
        await self._stretches.aclose()


async def read_blob(
    engine: EngineAccess, entry: BlobEntry, start: int, stop: int
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of a blob from `start` up to, not including, `stop`, as they come from the disk."""
    stretches = _Stretches(engine, await _pieces(engine, entry, start, stop))
    try:
        async with aclosing(stretches.chunks()) as chunks:
            async for chunk in chunks:
                yield chunk
    finally:
        await stretches.aclose()


def _summed(call: Call, part: tuple[int, int] | None) -> str | None:
    """Return the requested checksum of the range: `md5`, `crc64` or none. Raises AzureError."""
    names = [kind for kind in ("md5", "crc64") if call.flag(f"x-ms-range-get-content-{kind}")]
    if not names:
        return None
    name = f"x-ms-range-get-content-{names[0]}"
    if len(names) > 1 or part is None or part[1] - part[0] > MAX_SUMMED_RANGE:
        raise invalid_header(name, "true")
    return names[0]


def _sum_header(kind: str, data: bytes) -> tuple[str, str]:
    if kind == "md5":
        return "Content-MD5", md5_text(hashlib.md5(data, usedforsecurity=False).digest())
    return "x-ms-content-crc64", crc64.encode(crc64.crc64(data))


async def get_blob_properties(call: Call) -> Response:
    """Get Blob Properties: HEAD."""
    entry, now = await find_blob(call)
    headers = blob_headers(entry, now)
    if entry.md5 is not None:
        headers.append(("Content-MD5", md5_text(entry.md5)))
    headers = override(headers, call.grant.overrides) if call.grant.overrides else headers
    return Response(200, headers, length=entry.size)


async def get_blob_metadata(call: Call) -> Response:
    """Get Blob Metadata."""
    entry, _ = await find_blob(call)
    return Response(200, written(entry.etag, entry.modified) + metadata_headers(dict(entry.metadata)))


async def get_blob_tags(call: Call) -> Response:
    """Get Blob Tags."""
    entry, _ = await find_blob(call, prefix="x-ms-blob-")
    return xml_response(tags_document(dict(entry.tags)))


HANDLERS = {
    Operation.GET_BLOB: get_blob,
    Operation.GET_BLOB_PROPERTIES: get_blob_properties,
    Operation.GET_BLOB_METADATA: get_blob_metadata,
    Operation.GET_BLOB_TAGS: get_blob_tags,
}
