"""Requests from pages of other origins (Fetch standard, CORS protocol; docs/wire/areas.md, section 12).

Off without configured origins.
"""

from __future__ import annotations

from collections.abc import Iterable

from retain.api.http.message import Request, Response

#: The headers of this interface that a page may read beside those that the Fetch standard always allows.
_EXPOSED = (
    "Access-Control-Expose-Headers",
    "Accept-Ranges, Content-Disposition, Content-Range, Retry-After, X-Request-Id",
)
_PREFLIGHT = [
    ("Access-Control-Allow-Methods", "GET,POST,DELETE,OPTIONS"),
    ("Access-Control-Allow-Headers", "gms_user, content-type, authorization"),
    ("Access-Control-Max-Age", "600"),
]


class Cors:
    """Decides which origins may read the answers.

    Args:
        origins: As browsers send them (`https://app.example.org`), or `*` for every one.

    """

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origin.rstrip("/") for origin in origins)

    def grant(self, request: Request, response: Response) -> None:
        """Add the headers that the caller's origin needs to read `response`; none for other origins."""
        if not self._origins:
            return
        if "*" in self._origins:
            response.headers += [("Access-Control-Allow-Origin", "*"), _EXPOSED]
            return
        response.headers.append(("Vary", "Origin"))
        origin = request.header("origin")
        if origin in self._origins:
            response.headers += [("Access-Control-Allow-Origin", origin), _EXPOSED]

    def preflight(self, request: Request, response: Response) -> None:
        """Add the headers that a preflight needs before a request with `gms_user`."""
        origin = request.header("origin")
        if origin in self._origins or (origin and "*" in self._origins):
            response.headers += _PREFLIGHT
