"""The body of Blob Batch: requests in parts of `multipart/mixed`, and the responses to them.

Each part holds one HTTP request as text. It is parsed strictly, because an ambiguous request could delete
something that the client did not name: lines end with CRLF, names are tokens, no header is folded over two
lines, a request has no body, nothing precedes the first boundary or follows the last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from retain.api.blobs.wire.errors import AzureError, invalid_header, missing_header
from retain.api.http.message import Response

MAX_BYTES: Final = 4 * 1024 * 1024
"""Largest body of a batch, in bytes."""

MAX_PARTS: Final = 256

_BOUNDARY: Final = "[-0-9A-Za-z'()+_,./:=?{}]{{1,70}}"
_CONTENT_TYPE: Final = re.compile(
    rf'multipart/mixed[ \t]*;[ \t]*boundary=(?:"({_BOUNDARY.format(" ")})"|({_BOUNDARY.format("")}))',
    re.ASCII | re.IGNORECASE,
)
_REQUEST_LINE: Final = re.compile(rb"([A-Z]{1,16}) (/[\x21-\x7e]*) HTTP/1\.1")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\x21-\x7e\x80-\xff][ \t]*)*)")
_REQUIRED: Final = ((b"content-type", b"application/http"), (b"content-transfer-encoding", b"binary"))

Fields = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class BatchPart:
    """One request of a batch.

    `content_id` is what its answer repeats, None if the client named none. Header names are in lower case.
    """

    content_id: str | None
    method: str
    raw_path: bytes
    raw_query: bytes
    headers: Fields


def boundary_of(content_type: str | None) -> bytes:
    """Return the boundary that a Content-Type names.

    Raises AzureError MissingRequiredHeader, or InvalidHeaderValue for anything but `multipart/mixed` with one
    boundary as RFC 2046 allows it.
    """
    if not content_type:
        raise missing_header("Content-Type")
    match = _CONTENT_TYPE.fullmatch(content_type)
    boundary = (match[1] or match[2]) if match is not None else ""
    if not boundary or boundary.endswith(" "):
        raise invalid_header("Content-Type", content_type)
    return boundary.encode("ascii")


def parse_batch(body: bytes, boundary: bytes) -> list[BatchPart]:
    """Read the requests of a batch.

    Raises AzureError InvalidInput for a body that is not well-formed, ExceedsMaxBatchRequestCount for more
    than 256 requests.
    """
    delimiter = b"\r\n--" + boundary
    first, *pieces = (b"\r\n" + body).split(delimiter, MAX_PARTS + 2)
    if first or not pieces:
        raise _malformed("The body does not begin with the boundary of the Content-Type.")
    if len(pieces) > MAX_PARTS + 1:
        raise AzureError("ExceedsMaxBatchRequestCount")
    *requests, end = pieces
    if end not in (b"--", b"--\r\n"):
        raise _malformed("The body does not end with the boundary and two hyphens.")
    if not requests:
        raise _malformed("The batch holds no request.")
    return [_part(piece) for piece in requests]


def _part(piece: bytes) -> BatchPart:
    if not piece.startswith(b"\r\n"):
        raise _malformed("A line begins with the boundary, but has other characters after it.")
    head, blank, request = piece[2:].partition(b"\r\n\r\n")
    if not blank:
        raise _malformed("A part has no empty line after its headers.")
    fields = _fields(head)
    for name, value in _REQUIRED:
        if fields.get(name, b"").lower() != value:
            raise _malformed(f"A part needs the header {name.decode()}: {value.decode()}.")
    identity = fields.get(b"content-id")
    content_id = identity.decode("latin-1") if identity else None
    # Some clients end the headers with an empty line of its own, others let the boundary's serve for it.
    head, blank, rest = request.partition(b"\r\n\r\n")
    if rest not in (b"", b"\r\n"):
        raise _malformed("A request of a batch has no body.")
    line, _, lines = head.removesuffix(b"\r\n").partition(b"\r\n")
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise _malformed("A request line is not METHOD /path HTTP/1.1.")
    headers = _fields(lines)
    if headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers:
        raise _malformed("A request of a batch has no body.")
    raw_path, _, raw_query = match[2].partition(b"?")
    return BatchPart(content_id, match[1].decode(), raw_path, raw_query, list(headers.items()))


def _fields(lines: bytes) -> dict[bytes, bytes]:
    """Read header lines, names in lower case; refuse a name that comes twice."""
    found: dict[bytes, bytes] = {}
    for line in lines.split(b"\r\n") if lines else ():
        match = _FIELD.fullmatch(line)
        if match is None:
            raise _malformed("A header is not well-formed.")
        name = match[1].lower()
        if name in found:
            raise _malformed("A header occurs twice.")
        found[name] = match[2].rstrip(b" \t")
    return found


def _malformed(message: str) -> AzureError:
    return AzureError("InvalidInput", message=f"{message} {_GENERAL}")


_GENERAL: Final = "One of the request inputs is not valid."


def render_batch(boundary: str, answers: Iterable[tuple[str | None, Response]]) -> bytes:
    """Return the body that holds the answers, in order; each repeats the Content-ID of its request."""
    pieces: list[bytes] = []
    for content_id, response in answers:
        assert isinstance(response.body, bytes), "what a batch may hold is answered at once"
        lines = [f"--{boundary}", "Content-Type: application/http"]
        if content_id is not None:
            lines.append(f"Content-ID: {content_id}")
        lines += ["", f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        lines += [f"Content-Length: {len(response.body)}", "", ""]
        pieces += ["\r\n".join(lines).encode("latin-1"), response.body, b"\r\n"]
    return b"".join([*pieces, f"--{boundary}--\r\n".encode()])
