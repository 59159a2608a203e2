"""Put Blob from top to bottom, and the steps of it that other writes of a body share.

That is: length and limit, stored headers, metadata, tags and tier, the early refusal, the body with its
checksums. See docs/wire/blobs.md, section 5.1.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple

from retain.api.blobs.request.call import Call, written
from retain.api.blobs.sas.permissions import Operation
from retain.api.blobs.wire import crc64, structured_body
from retain.api.blobs.wire.errors import AzureError, invalid_header, missing_header
from retain.api.blobs.wire.names import decode_base64, parse_metadata
from retain.api.blobs.wire.structured_body import StructuredBody
from retain.api.blobs.wire.tags import parse_tags_header
from retain.api.http.message import Response
from retain.engine import Body, EngineError, State, Upload
from retain.engine.blobs.commands import PutBlob
from retain.engine.blobs.conditions import Conditions
from retain.engine.blobs.decide_blobs import admit_write
from retain.engine.blobs.entries import ContentHeaders, Pairs
from retain.engine.blobs.state import required

ENCRYPTED: Final = ("x-ms-request-server-encrypted", "true")
DEFAULT_TYPE: Final = "application/octet-stream"
MEBIBYTE: Final = 1 << 20
MAX_STORED_MD5: Final = 64

TIERS: Final = {tier.lower(): tier for tier in ("Hot", "Cool", "Cold", "Archive", "Smart")}
"""The tiers of block blobs in an account of the kind that Get Account Information names (StorageV2)."""

_OTHER_TIER: Final = (
    "A block blob of a StorageV2 account is Hot, Cool, Cold, Archive or Smart. "
    "Premium is the tier of other accounts, P4 to P80 are tiers of page blobs."
)


@dataclass(frozen=True, slots=True)
class Sums:
    """The checksums in a request: 16 bytes of MD5, a CRC-64, and whether the body is framed."""

    md5: bytes | None
    crc64: int | None
    framed: bool
    plain_length: int | None
    answers_crc64: bool = True
    """Whether the answer contains a CRC-64: if the client sent one, or if computing it costs little."""


class Stored(NamedTuple):
    """What a write stores beside the body."""

    headers: ContentHeaders
    metadata: Pairs
    tags: Pairs
    tier: str | None


@dataclass(frozen=True, slots=True)
class Received:
    """A body that arrived completely and matched its checksums.

    `md5` of its bytes, empty where nobody needs it; `crc64` if it was sent or costs little.
    """

    body: Body
    md5: bytes
    crc64: int | None
    framed: bool

    def answer_headers(self) -> list[tuple[str, str]]:
        """Return the response headers about a write's body: its checksums, and the form that was decoded."""
        headers = sum_headers(self.md5, self.crc64)
        if self.framed:
            headers.append(("x-ms-structured-body", structured_body.HEADER_VALUE))
        return headers


def sum_headers(md5: bytes, checksum: int | None) -> list[tuple[str, str]]:
    """Return the headers of the sums that were computed; `md5` is empty if there is none."""
    headers = [("Content-MD5", b64encode(md5).decode("ascii"))] if md5 else []
    if checksum is not None:
        headers.append(("x-ms-content-crc64", crc64.encode(checksum)))
    return headers


async def put_blob(call: Call) -> Response:
    """Put Blob: the body becomes the blob, whole; a broken upload leaves nothing."""
    length = require_length(call)
    require_block_blob(call)
    stored = stored_fields(call, plain=True)
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
                headers=stored.headers,
                md5=received.md5,
                metadata=stored.metadata,
                tags=stored.tags,
                tier=stored.tier,
                may_overwrite=call.may_overwrite,
            )
        )
    return Response(201, [*written(result.etag, result.modified), *received.answer_headers(), ENCRYPTED])


def require_length(call: Call) -> int:
    """Return the declared Content-Length. Raises AzureError MissingContentLengthHeader (411)."""
    length = call.request.body.declared
    if length is None:
        if call.request.body.finished:
            return 0
        raise AzureError("MissingContentLengthHeader")
    return length


def require_block_blob(call: Call) -> None:
    """Refuse a missing or unknown type of blob, with AzureError; Azure's other two have been refused."""
    kind = call.header("x-ms-blob-type")
    if kind is None:
        raise missing_header("x-ms-blob-type")
    if kind.lower() != "blockblob":
        raise invalid_header("x-ms-blob-type", kind)


def size_limit(version: str, before_2016: int, before_2019: int, now: int) -> int:
    """Return the largest body of a write, in bytes, by version (docs/wire/blobs.md, section 5.1)."""
    if version < "2016-05-31":
        return before_2016
    return before_2019 if version < "2019-12-12" else now


def md5_header(call: Call, name: str) -> bytes | None:
    """Return the MD5 in a header. Raises AzureError InvalidMd5 unless it is Base64 of 16 bytes."""
    text = call.header(name)
    if text is None:
        return None
    digest = decode_base64(text)
    if digest is None or len(digest) != 16:
        raise AzureError("InvalidMd5", extras=(("HeaderName", name), ("HeaderValue", text)))
    return digest


def stored_md5(call: Call) -> bytes | None:
    """Return the MD5 to store with content that is not in the request, as sent and unchecked.

    Raises AzureError InvalidMd5 unless it is Base64 of at most 64 bytes.
    """
    name = "x-ms-blob-content-md5"
    text = call.header(name)
    if text is None:
        return None
    digest = decode_base64(text)
    if digest is None or len(digest) > MAX_STORED_MD5:
        raise AzureError("InvalidMd5", extras=(("HeaderName", name), ("HeaderValue", text)))
    return digest


def crc64_header(call: Call, name: str) -> int | None:
    """Return the CRC-64 in a header. Raises AzureError InvalidHeaderValue for anything else."""
    text = call.header(name)
    if text is None:
        return None
    checksum = crc64.decode(text)
    if checksum is None:
        raise invalid_header(name, text)
    return checksum


def sent_sums(call: Call) -> Sums:
    """Return the checksums of a request. Raises AzureError for a bad one, and for MD5 and CRC-64 at once."""
    md5 = md5_header(call, "content-md5")
    crc = crc64_header(call, "x-ms-content-crc64")
    if crc is not None and md5 is not None:
        raise AzureError("BothCrc64AndMd5HeaderPresent")
    framed = call.header("x-ms-structured-body")
    if framed is None:
        return Sums(md5, crc, False, None, crc is not None or answers_crc64(call))
    length = call.header("x-ms-structured-content-length") or ""
    if framed.replace(" ", "") != structured_body.HEADER_VALUE.replace(" ", ""):
        raise invalid_header("x-ms-structured-body", framed)
    if not length.isascii() or not length.isdigit() or len(length) > 18:
        raise invalid_header("x-ms-structured-content-length", length)
    return Sums(md5, crc, True, int(length))


def answers_crc64(call: Call) -> bool:
    """Return whether to answer a CRC-64 that was not sent: it costs little, and the version has it."""
    return crc64.IS_FAST and call.version >= "2019-02-02"


def block_wants_md5(call: Call) -> bool:
    """Return whether to compute a block's MD5: it is answered if sent, or without a CRC-64."""
    sums = sent_sums(call)
    return not sums.answers_crc64 or (sums.md5 is not None and not sums.framed)


async def precheck(call: Call, conditions: Conditions) -> None:
    """Refuse a write before its body is read, if the state already determines that.

    The engine checks again when it decides; this only avoids the transfer. Raises AzureError and engine
    errors.
    """
    may_overwrite = call.may_overwrite

    def look(state: State, now: int) -> None:
        found = required(state.blobs, call.account, call.container)
        admit_write(found.blob(call.blob, now), conditions, now, may_overwrite=may_overwrite)

    try:
        call.engine.glance(lambda state: look(state, call.engine.now()))
    except EngineError:
        await call.engine.read(look)


async def receive(call: Call, upload: Upload, limit: int, *, blob_md5: bytes | None = None) -> Received:
    """Stream the body into an upload and compare it with its checksums.

    `blob_md5` is the MD5 to store with it, which takes precedence over that of the request, as at Azure. A
    body that does not match is discarded.

    Raises AzureError Md5Mismatch, Crc64Mismatch, InvalidInput for a broken frame; RequestError for a body
    that is too long, too slow or incomplete.
    """
    sums = sent_sums(call)
    if blob_md5 is not None and not sums.framed:
        sums = replace(sums, md5=None)
    call.request.body.limit = limit
    call.request.body.streams()
    unframe = StructuredBody(sums.plain_length) if sums.framed else None
    # A framed body's MD5 covers the frame, so it cannot be the one of what is stored.
    outer: Any = hashlib.md5(usedforsecurity=False) if unframe and sums.md5 is not None else None
    running = 0
    async for chunk in call.request.body:
        if outer is not None:
            outer.update(chunk)
        content = chunk
        if unframe is not None:
            content = await crc64.worked(partial(unframe.feed, chunk), len(chunk))
        if unframe is None and sums.answers_crc64:
            running = await crc64.crc64_beside(content, running)
        await upload.write(content)
    if unframe is not None:
        unframe.close()
        running = unframe.checksum
    body = await upload.finish()
    computed = body.md5 if outer is None else outer.digest()
    if sums.md5 is not None:
        check_md5(sums.md5, computed)
    if blob_md5 is not None:
        check_md5(blob_md5, body.md5)
    if sums.crc64 is not None:
        check_crc64(sums.crc64, running)
    return Received(body, body.md5, running if sums.answers_crc64 else None, sums.framed)


async def read_small(call: Call, limit: int) -> bytes:
    """Read a whole body and compare it with its checksums. Raises as `receive`."""
    sums = sent_sums(call)
    body = await call.request.read_body(limit)
    if sums.md5 is not None:
        check_md5(sums.md5, hashlib.md5(body, usedforsecurity=False).digest())
    if sums.crc64 is not None:
        check_crc64(sums.crc64, await crc64.crc64_beside(body))
    return body


async def sums_of(call: Call, body: bytes) -> list[tuple[str, str]]:
    """Return the headers that answer the checksums of a whole body, which `read_small` has compared."""
    sums = sent_sums(call)
    checksum = sums.crc64
    if checksum is None and sums.answers_crc64:
        checksum = await crc64.crc64_beside(body)
    return sum_headers(hashlib.md5(body, usedforsecurity=False).digest(), checksum)


def check_crc64(sent: int, computed: int) -> None:
    """Compare a checksum with the one in the request. Raises AzureError Crc64Mismatch."""
    if sent != computed:
        extras = (
            ("UserSpecifiedCrc", crc64.encode(sent)),
            ("ServerCalculatedCrc", crc64.encode(computed)),
        )
        raise AzureError("Crc64Mismatch", extras=extras)


def check_md5(sent: bytes, computed: bytes) -> None:
    """Compare an MD5 with the one in the request. Raises AzureError Md5Mismatch."""
    if not hmac.compare_digest(sent, computed):
        extras = (
            ("UserSpecifiedMd5", b64encode(sent).decode("ascii")),
            ("ServerCalculatedMd5", b64encode(computed).decode("ascii")),
        )
        raise AzureError("Md5Mismatch", extras=extras)


def stored_fields(call: Call, *, plain: bool) -> Stored:
    """Return what a write stores beside the body; `plain` as for `content_headers`. Raises AzureError."""
    return Stored(content_headers(call, plain=plain), metadata_of(call), tags_of(call), tier_of(call))


def content_headers(call: Call, *, plain: bool, default_type: str | None = DEFAULT_TYPE) -> ContentHeaders:
    """Return the content headers to store: `x-ms-blob-*`, then (if `plain`) those of the request itself."""

    def pick(name: str) -> str | None:
        return call.header(f"x-ms-blob-{name}") or (call.header(name) if plain else None)

    return ContentHeaders(
        content_type=pick("content-type") or default_type,
        encoding=pick("content-encoding"),
        language=pick("content-language"),
        disposition=call.header("x-ms-blob-content-disposition"),
        cache_control=pick("cache-control"),
    )


def metadata_of(call: Call) -> Pairs:
    """Return the metadata of a request, in the case sent. Raises AzureError."""
    return tuple(parse_metadata(call.request.cased_headers()).items())


def tags_of(call: Call) -> Pairs:
    """Return the tags of `x-ms-tags`. Raises AzureError."""
    return tuple(parse_tags_header(call.header("x-ms-tags") or "").items())


def tier_of(call: Call) -> str | None:
    """Return the requested access tier. Raises AzureError InvalidHeaderValue for an unknown one."""
    text = call.header("x-ms-access-tier")
    if text is None:
        return None
    tier = TIERS.get(text.lower())
    if tier is None:
        raise invalid_header("x-ms-access-tier", text, reason=_OTHER_TIER)
    return tier


HANDLERS = {Operation.PUT_BLOB: put_blob}
