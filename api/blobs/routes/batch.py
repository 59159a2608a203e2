"""Blob Batch: up to 256 deletions or changes of tier in one request.

Every request inside is handled as if it had been sent alone: it is authorized by its own credentials, refused
with its own response, and served by the same code. From the batch it inherits the version, the transport
(address, protocol, host), and the token of the batch's URL if it has no credentials.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import trio

from retain.api.blobs.request.call import Call
from retain.api.blobs.routes.upload import require_length
from retain.api.blobs.sas.fields import ALL as SAS_PARAMETERS
from retain.api.blobs.sas.permissions import Operation
from retain.api.blobs.wire import batch
from retain.api.blobs.wire.address import parse_in_batch
from retain.api.blobs.wire.errors import AzureError
from retain.api.blobs.wire.query import parameter_name
from retain.api.http.message import Request, RequestError, Response


async def submit_batch(call: Call) -> Response:
    """Execute a Blob Batch, for an account or for a container."""
    boundary = batch.boundary_of(call.header("content-type"))
    require_length(call)
    body = await call.request.read_body(batch.MAX_BYTES)
    answers: list[tuple[str | None, Response]]
    try:
        parts = batch.parse_batch(body, boundary)
    except AzureError as error:
        # As at Azure: the one answer, without a Content-ID, concerns the batch as a whole.
        answers = [(None, call.interface.refuse(error, call))]
    else:
        answers = await _answer_all(call, parts)
    name = f"batchresponse_{UUID(bytes=call.engine.entropy(16), version=4)}"
    content_type = ("Content-Type", f"multipart/mixed; boundary={name}")
    return Response(202, [content_type], batch.render_batch(name, answers))


async def _answer_all(call: Call, parts: list[batch.BatchPart]) -> list[tuple[str | None, Response]]:
    """Answer the requests together, so that they share a sync; those that name the same blob in turn."""
    answers: dict[int, Response] = {}

    async def answer(number: int) -> None:
        answers[number] = await call.interface.serve_part(_request(call, parts[number]), call)

    for numbers in _rounds(call, parts):
        async with trio.open_nursery() as nursery:
            for number in numbers:
                nursery.start_soon(answer, number)
    return [(part.content_id, answers[number]) for number, part in enumerate(parts)]


def _rounds(call: Call, parts: list[batch.BatchPart]) -> Iterator[list[int]]:
    """Yield the numbers of requests that may be answered together, in order: no two name the same blob."""
    numbers: list[int] = []
    named: set[object] = set()
    for number, part in enumerate(parts):
        blob = _named(call, part)
        if blob in named:
            yield numbers
            numbers, named = [], set()
        numbers.append(number)
        named.add(blob)
    yield numbers


def _named(call: Call, part: batch.BatchPart) -> object:
    """Return the resource of a request, however its path is written; the path itself if it is malformed."""
    try:
        segments = _bare(part.method, part.raw_path, b"", []).segments()
    except RequestError:
        return part.raw_path
    address = parse_in_batch(segments, call.address, None, None)
    return address.container, address.blob


def _request(call: Call, part: batch.BatchPart) -> Request:
    """Return a request of the batch for the interface, with the transport of the batch."""
    outer = call.request
    headers = [(name, value) for name, value in part.headers if not _tells_the_way(name)]
    headers += [(name, value) for name, value in outer.raw_headers if _tells_the_way(name)]
    request = _bare(part.method, part.raw_path, _with_token(outer.raw_query, part), headers)
    request.scheme, request.server, request.peer = outer.scheme, outer.server, outer.peer
    request.authority, request.http_version = outer.authority, outer.http_version
    return request


def _tells_the_way(name: bytes) -> bool:
    """Return whether a header describes the transport, which inside a batch would be forged."""
    return name in (b"host", b"forwarded") or name.startswith(b"x-forwarded-")


def _bare(method: str, raw_path: bytes, raw_query: bytes, headers: batch.Fields) -> Request:
    scope = {
        "method": method,
        "scheme": "http",
        "raw_path": raw_path,
        "query_string": raw_query,
        "headers": headers,
    }

    async def receive() -> dict[str, object]:
        raise AssertionError("a request of a batch has no body")

    return Request(scope, receive)


def _with_token(outer_query: bytes, part: batch.BatchPart) -> bytes:
    """Return the query of a request, with the batch's token if the request brings no credentials."""
    own = [piece for piece in part.raw_query.split(b"&") if piece]
    if any(parameter_name(piece) in SAS_PARAMETERS for piece in own):
        return part.raw_query
    if any(name == b"authorization" for name, _ in part.headers):
        return part.raw_query
    token = [piece for piece in outer_query.split(b"&") if parameter_name(piece) in SAS_PARAMETERS]
    return b"&".join(own + token)


HANDLERS = {Operation.SUBMIT_BATCH: submit_batch}
