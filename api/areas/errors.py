"""Errors in the form of the interface: `{"exception": …, "message": …}` on every refusal.

See docs/wire/areas.md, section 10. `exception` is a class name in the style of Genesys Mobile Services;
clients print it, and branch on the status. The example client parses a body as JSON before it looks at the
status, so there is no error without such a body.
"""

from __future__ import annotations

from retain.api.areas.answers import json_answer
from retain.api.http.message import Request, RequestError, Response
from retain.api.refusals import worded

PACKAGE = "com.genesyslab.gsg.services.storage.exceptions"

EXCEPTION: dict[int, str] = {
    400: "StorageExceptionBadRequest",
    401: "StorageExceptionUnauthorized",
    403: "StorageExceptionForbidden",
    404: "StorageExceptionNotFound",
    405: "StorageExceptionMethodNotAllowed",
    408: "StorageExceptionTimeout",
    409: "StorageExceptionConflict",
    412: "StorageExceptionPreconditionFailed",
    413: "StorageExceptionTooLarge",
    415: "StorageExceptionUnsupportedType",
    416: "StorageExceptionRange",
    429: "StorageExceptionTooManyRequests",
    431: "StorageExceptionHeadersTooLarge",
    500: "StorageException",
    503: "StorageExceptionUnavailable",
    507: "StorageExceptionFull",
}
"""The class name of each status."""


class UnsupportedBody(RequestError):
    """The body is no form, is compressed, or holds a file of a type that is not taken."""

    status = 415


class CrossSite(RequestError):
    """The sample page's form was sent by another site's page."""

    status = 403


class OverLimit(RequestError):
    """A value, or all of them together, exceed a bound of the configuration."""

    status = 413


class BadRange(RequestError):
    """No byte of the file lies in the Range asked for."""

    status = 416

    def __init__(self, size: int) -> None:
        super().__init__("the range lies outside the file")
        self.headers = [("Content-Range", f"bytes */{size}")]


def error_answer(request: Request, error: Exception) -> Response:
    """Return the response to any error that a request may end in."""
    status, message, headers = worded(error)
    name = EXCEPTION.get(status, EXCEPTION[500])
    return json_answer({"exception": f"{PACKAGE}.{name}", "message": message}, status=status, headers=headers)
