"""Errors in the form of the interface: `{"code": …, "message": …}` on every refusal.

SAP documents statuses only (docs/wire/settings.md, section 11.28); codes are Retain's own and stable.
"""

from __future__ import annotations

from retain.api.http.message import HeaderFields, Request, RequestError, Response
from retain.api.refusals import worded

CODE: dict[int, str] = {
    400: "invalid",
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    408: "timeout",
    409: "conflict",
    412: "precondition-failed",
    413: "too-large",
    415: "unsupported",
    417: "expectation-failed",
    429: "too-many-requests",
    431: "headers-too-large",
    500: "internal",
    503: "unavailable",
    505: "version-not-supported",
    507: "full",
}
"""The code of each status."""

COMMON: HeaderFields = (("Cache-Control", "no-cache"), ("X-Content-Type-Options", "nosniff"))
"""On every answer: settings may be kept by a client, who must ask again before using them."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ALLOW = ("Allow", ", ".join(METHODS))
ACCEPT_PATCH = ("Accept-Patch", "application/merge-patch+json, application/json-patch+json, application/json")


class OverLimit(RequestError):
    """A name is longer than the configuration allows."""

    status = 413


class UnsupportedBody(RequestError):
    """The body is no JSON by its type, in another charset, or compressed."""

    status = 415

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.headers = [ACCEPT_PATCH]


class TooManyWaiting(RequestError):
    """More requests wait for changes, or read history, than the server holds."""

    status = 429

    def __init__(self) -> None:
        super().__init__("too many requests of this kind at once")
        self.headers = [("Retry-After", "5")]


def error_answer(request: Request, error: Exception) -> Response:
    """Return the response to any error that a request may end in."""
    status, message, headers = worded(error)
    body = {"code": CODE.get(status, CODE[500]), "message": message}
    return Response.json(status, body, [*COMMON, *headers])
