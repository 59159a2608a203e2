"""The answers of the interface."""

from __future__ import annotations

from urllib.parse import quote

from retain.api.http.message import HeaderFields, Request, Response
from retain.api.settings.conditions import quoted
from retain.api.settings.errors import ACCEPT_PATCH, ALLOW, COMMON

JSON_TYPE = ("Content-Type", "application/json")
VARY = ("Vary", "Authorization")


def value_answer(text: bytes, tag: str, headers: HeaderFields = ()) -> Response:
    """Return the JSON text of a value with its tag."""
    return Response(200, [JSON_TYPE, ("ETag", quoted(tag)), VARY, *COMMON, *headers], text)


def unchanged_answer(tag: str, headers: HeaderFields = ()) -> Response:
    """Return 304: the client has the value already."""
    return Response(304, [("ETag", quoted(tag)), VARY, *COMMON, *headers])


def created_answer(request: Request, tag: str) -> Response:
    """Return 201 without a body, with the address and the tag of the new value."""
    location = quote(request.raw_path, safe="/%:@!$&'()*+,;=~-._")
    return Response(201, [("Location", location), ("ETag", quoted(tag)), *COMMON])


def done_answer(tag: str) -> Response:
    """Return 204, with the tag of the present value, if there is one."""
    return Response(204, [*([("ETag", quoted(tag))] if tag else []), *COMMON])


def options_answer() -> Response:
    """Return the methods of the resource."""
    return Response(204, [ALLOW, ACCEPT_PATCH, *COMMON])
