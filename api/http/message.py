"""HTTP requests and responses, common to all interfaces.

An interface is `async def handle(request: Request) -> Response`. This module implements the wire (RFC 9110,
RFC 3986) and is independent of any interface; `api.server.app` builds the requests, sends the responses, and
selects the interface.

The rule that keeps names unambiguous (`Request.segments`): the *raw* path is split on `/` first, then each
segment is percent-decoded exactly once, as strict UTF-8. A bad escape, bad UTF-8 or a NUL is refused, never
guessed at.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from retain.api.http.body import Body, Message, Receive, Scope, Send
from retain.api.http.errors import (
    BadRequest,
    BodyTooLarge,
    BodyTooSlow,
    ClientGone,
    HeadersTooLarge,
    RequestError,
    UnexpectedError,
)
from retain.api.http.percent import unescape
from retain.api.http.plain_head import PlainHead

__all__ = [
    "BadRequest",
    "Body",
    "BodyTooLarge",
    "BodyTooSlow",
    "ClientGone",
    "ErrorMapper",
    "FixedFields",
    "Handler",
    "HeaderFields",
    "HeadersTooLarge",
    "Message",
    "Mounted",
    "Receive",
    "Request",
    "RequestError",
    "Response",
    "Scope",
    "Send",
    "UnexpectedError",
    "decode_segment",
    "plain_error",
    "render_fields",
    "start_message",
]

_ABSOLUTE_FORM = re.compile(rb"(?i)https?://([^/?#]*)")
_UNSAFE_IN_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LENGTH = re.compile(rb"[0-9]{1,19}")

CASED_HEADERS = "retain.cased_headers"
"""Key in the ASGI scope's state: a callable that returns the headers, names as the client wrote them."""
BAD_TARGET = "retain.bad_target"
"""Key in the ASGI scope's state: the target had bytes beyond ASCII, which appear as `~` in `raw_path`."""


MAX_QUERY_FIELDS = 500
"""Fields of a query; no operation has more than two dozen."""


def decode_segment(raw: bytes) -> str:
    """Decode one path segment or query field exactly once as strict UTF-8; `+` stays a plus.

    Raises BadRequest on a bad escape, on bad UTF-8 (overlong forms and surrogates included) and on NUL.
    """
    try:
        text = unescape(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("a name is not UTF-8") from None
    except ValueError as error:
        raise BadRequest(str(error)) from None
    if "\0" in text:
        raise BadRequest("a name holds a NUL")
    return text


class Request:
    """One request, built from an ASGI http scope. Headers are decoded only when asked for.

    `raw_path` and `raw_query` are as they came (an absolute-form target is reduced to its path, RFC 9112
    section 3.2.2, its authority kept), `peer` is the address of the TCP peer, never a forwarded one, and
    `raw_headers` have names in lower case. The interface sets three fields for metrics and log: `operation`
    is one of its operations, `id` the request's id in the answer, and `waits` whether the answer waits for
    something by design. `records` are the numbers of the records it wrote, if they are logged. Raises
    BadRequest on a Content-Length that is not one number.
    """

    __slots__ = (
        "_cased",
        "_fields",
        "_segments",
        "authority",
        "body",
        "http_version",
        "id",
        "is_target_bad",
        "method",
        "operation",
        "peer",
        "raw_headers",
        "raw_path",
        "raw_query",
        "records",
        "scheme",
        "server",
        "waits",
    )

    def __init__(self, scope: Scope, receive: Receive) -> None:
        raw_path: bytes = scope["raw_path"]
        self.authority: bytes | None = None
        if not raw_path.startswith(b"/") and (absolute := _ABSOLUTE_FORM.match(raw_path)):
            self.authority = absolute.group(1)
            raw_path = raw_path[absolute.end() :] or b"/"
        self.method: str = scope["method"]
        self.scheme: str = scope["scheme"]
        self.server: tuple[str, int | None] | None = scope.get("server")
        self.raw_path = raw_path
        self.raw_query: bytes = scope.get("query_string", b"")
        self.raw_headers: list[tuple[bytes, bytes]] = scope["headers"]
        self.http_version: str = scope.get("http_version", "1.1")
        client = scope.get("client")
        self.peer: str = client[0] if client else ""
        declared, framed = self._framing()
        self.body = Body(receive, declared, empty=not framed and self.http_version != "2")
        self.operation = ""
        self.id = ""
        self.waits = False
        self.records: list[int] | None = None
        self._segments: list[str] | None = None
        self._fields: dict[bytes, bytes] | None = None
        state = scope.get("state", {})
        self._cased: Callable[[], list[tuple[bytes, bytes]]] | None = state.get(CASED_HEADERS)
        self.is_target_bad: bool = state.get(BAD_TARGET, False)

    @classmethod
    def of_plain_head(cls, head: PlainHead, receive: Receive, peer: str, server: tuple[str, int]) -> Request:
        """Return the request of a checked head: no name twice, one Host, one length at most."""
        request = cls.__new__(cls)
        request.authority = None
        request.is_target_bad = False
        request.method = head.method
        request.scheme = "http"
        request.server = server
        request.raw_path, _, request.raw_query = head.target.partition(b"?")
        request.raw_headers = head.headers
        request.http_version = "1.1"
        request.peer = peer
        request.body = Body(receive, head.length, empty=head.length is None)
        request.operation = request.id = ""
        request.waits = False
        request.records = None
        request._segments = None
        request._fields = head.fields
        request._cased = head.cased
        return request

    def _framing(self) -> tuple[int | None, bool]:
        """Return (declared length, whether a body is announced)."""
        declared: int | None = None
        framed = False
        for name, value in self.raw_headers:
            if name == b"content-length":
                if not _LENGTH.fullmatch(value) or (declared is not None and declared != int(value)):
                    raise BadRequest("bad Content-Length")
                declared, framed = int(value), True
            elif name == b"transfer-encoding":
                framed = True
        return declared, framed

    def header(self, name: str) -> str | None:
        """Return the first header of that name (any case), outer blanks trimmed; None if there is none."""
        wanted = name.lower().encode("latin-1")
        if self._fields is not None:
            found_value = self._fields.get(wanted)
            return None if found_value is None else found_value.decode("latin-1")
        for found, value in self.raw_headers:
            if found == wanted:
                return value.decode("latin-1").strip(" \t")
        return None

    def header_values(self, name: str) -> list[str]:
        """Return every header of that name, in order, blanks trimmed; for callers that refuse doubles."""
        wanted = name.lower().encode("latin-1")
        return [value.decode("latin-1").strip(" \t") for found, value in self.raw_headers if found == wanted]

    def joined_headers(self) -> dict[str, str]:
        """Return the headers by lower-case names; repeated ones joined by commas (RFC 9110, section 5.3)."""
        if self._fields is not None:
            return {name.decode("latin-1"): value.decode("latin-1") for name, value in self._fields.items()}
        headers: dict[str, str] = {}
        for raw_name, raw_value in self.raw_headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip(" \t")
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        return headers

    def cased_headers(self) -> list[tuple[str, str]]:
        """Return all headers in order, blanks trimmed, names in the case sent; HTTP/2 has lower case only."""
        pairs = self.raw_headers if self._cased is None else self._cased()
        return [(name.decode("latin-1"), value.decode("latin-1").strip(" \t")) for name, value in pairs]

    def segments(self) -> list[str]:
        """Return the path's segments after the leading slash, each decoded exactly once.

        Doubled slashes give empty ones: `/a%2Fb//c%20d/` → `["a/b", "", "c d", ""]`; `/` → `[""]`. Raises
        BadRequest (see `decode_segment`).
        """
        if self._segments is None:
            raw = self.raw_path
            parts = raw[raw.startswith(b"/") :]
            if b"%" in parts:
                self._segments = [decode_segment(part) for part in parts.split(b"/")]
            else:
                self._segments = decode_segment(parts).split("/")
        return self._segments

    def query_pairs(self) -> list[tuple[str, str]]:
        """Return the query's fields in order, decoded once; `+` is a plus, a field without `=` is empty.

        Raises BadRequest (see `decode_segment`), also for more than `MAX_QUERY_FIELDS` fields.
        """
        pairs = []
        if self.raw_query.count(b"&") > MAX_QUERY_FIELDS:
            raise BadRequest(f"the query has more than {MAX_QUERY_FIELDS} fields")
        for field in self.raw_query.split(b"&"):
            if field:
                name, _, value = field.partition(b"=")
                pairs.append((decode_segment(name), decode_segment(value)))
        return pairs

    async def read_body(self, limit: int) -> bytes:
        """Return the whole body. Raises BodyTooLarge above `limit` bytes, BodyTooSlow, ClientGone."""
        self.body.limit = limit
        return b"".join([chunk async for chunk in self.body])


HeaderFields: TypeAlias = Sequence[tuple[str, str]]
"""Header fields of an answer: names in the case that is sent, in the order in which they are sent."""


class FixedFields:
    """The header fields that all responses of one kind begin with, checked and rendered once.

    Attributes:
        fields: The fields.
        lines: The same as lines of HTTP/1.1.

    Raises:
        ValueError: A field would break out of its line.
    """

    __slots__ = ("fields", "lines")

    def __init__(self, fields: HeaderFields) -> None:
        self.fields = list(fields)
        self.lines = render_fields(_checked(self.fields))


def render_fields(fields: HeaderFields) -> str:
    """Return header fields as lines of HTTP/1.1."""
    return "".join([f"{name}: {value}\r\n" for name, value in fields])


def _checked(fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
    if _UNSAFE_IN_HEADER.search("".join([value for _, value in fields])):
        name = next(name for name, value in fields if _UNSAFE_IN_HEADER.search(value))
        raise ValueError(f"control character in the response header {name}")
    return fields


class Response:
    """A status, headers (order and case are preserved on the wire), and bytes or an async iterator of bytes.

    `length` announces a Content-Length for an iterator, or for a HEAD response with no body at hand; bytes
    are counted. An iterator of unknown length is sent chunked. An interface sets its own headers only: Date
    and the framing are the server's. The iterator is closed (`aclose`) whatever happens to the client.

    `fixed` are the fields that `headers` begin with, where these are the same for many responses. It has no
    effect if `headers` begin with others after all.
    """

    __slots__ = ("body", "fixed", "headers", "length", "status")

    def __init__(
        self,
        status: int,
        headers: HeaderFields = (),
        body: bytes | AsyncIterator[bytes] = b"",
        *,
        length: int | None = None,
        fixed: FixedFields | None = None,
    ) -> None:
        self.status = status
        self.fixed = fixed
        self.headers = list(headers)
        self.body = body
        self.length = length

    @classmethod
    def text(cls, status: int, text: str, headers: HeaderFields = ()) -> Response:
        """Return a plain text response."""
        return cls(status, [("Content-Type", "text/plain;charset=utf-8"), *headers], text.encode())

    @classmethod
    def json(cls, status: int, value: object, headers: HeaderFields = ()) -> Response:
        """Return a JSON response. Raises ValueError on NaN and infinities."""
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return cls(status, [("Content-Type", "application/json"), *headers], text.encode())

    def head_message(self) -> Message:
        """Return the ASGI start message. Raises ValueError on a header that would break out of its line."""
        return start_message(self.status, self.fields())

    def fields(self) -> list[tuple[str, str]]:
        """Return the response's own header fields. Raises ValueError on one that breaks out of its line."""
        fields = _checked(self.headers)
        length = self._announced()
        return fields if length is None else [*fields, ("Content-Length", str(length))]

    def lines(self) -> tuple[FixedFields | None, str]:
        """Return the same fields for HTTP/1.1: those that are fixed, and the others as lines.

        Raises ValueError as `fields`.
        """
        fixed, own = self.fixed, self.headers
        if fixed is not None and own[: len(fixed.fields)] == fixed.fields:
            own = own[len(fixed.fields) :]
        else:
            fixed = None
        rendered = render_fields(_checked(own)) if own else ""
        length = self._announced()
        return fixed, rendered if length is None else f"{rendered}Content-Length: {length}\r\n"

    def _announced(self) -> int | None:
        length = self.length
        if length is None and isinstance(self.body, bytes):
            length = len(self.body)
        # RFC 9110 section 8.6: never with a 204; a 304 stays silent unless the length is known.
        return None if self.status == 204 or (self.status == 304 and self.length is None) else length


def start_message(status: int, fields: HeaderFields) -> Message:
    """Return the ASGI message that begins a response."""
    encoded = [(name.encode("ascii"), value.encode("latin-1")) for name, value in fields]
    return {"type": "http.response.start", "status": status, "headers": encoded}


Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
"""The function that handles the requests of an interface."""
ErrorMapper: TypeAlias = Callable[[Request, Exception], Response]
"""Returns an interface's response to an error: a RequestError, an engine error, or an UnexpectedError (a bug,
logged).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounted:
    """One interface, ready to be mounted.

    Attributes:
        name: Short name for logs and metrics.
        handle: Returns the response to a request, or raises RequestError, an engine error, or anything
            unexpected.
        error: Returns the response to what `handle` raised; must not raise.
        prefixes: First path segments (decoded) that are this interface's.
        claims: Returns whether another first path segment belongs to it, such as an account's name.
        host_suffixes: Host name endings under which every path is its own.
        about: One sentence for the landing page: what it stores, for which clients.
        root: Where its addresses begin, after the server's base URL.
        example: A first curl command, given the server's base URL.
        page: A page for people: (path without its leading slash, label).
        id_header: The header of every answer that has the request's id; empty if it has none.
    """

    name: str
    handle: Handler
    error: ErrorMapper
    prefixes: tuple[str, ...] = ()
    claims: Callable[[str], bool] | None = None
    host_suffixes: tuple[str, ...] = ()
    about: str = ""
    root: str = ""
    example: Callable[[str], str] | None = None
    page: tuple[str, str] | None = None
    id_header: str = ""


def plain_error(request: Request, error: Exception) -> Response:
    """Return the response to an error that belongs to no interface: one line of text."""
    status: int = getattr(error, "status", 500)
    message: str = getattr(error, "message", "internal error")
    return Response.text(status, f"{message}\n", [("Cache-Control", "no-store")])
