"""The page at `/`: what this server is, where its interfaces are, and a first command line for each.

It reveals what `/readyz` reveals, and otherwise only what the documentation says: no tenant, no user, no
version, no number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from retain.api.http.external import ExternalUrl
from retain.api.http.message import Mounted, Request, RequestError, Response, plain_error

if TYPE_CHECKING:
    import jinja2

TEMPLATE = "landing.html"
DOCUMENTS = (
    ("Areas", "areas"),
    ("Settings", "settings"),
    ("Blobs", "blobs"),
    ("Tenants and tokens", "tenants"),
    ("The console", "console"),
    ("Users and sign-in", "identity"),
    ("Operating", "operating"),
    ("Retention and erasure", "retention"),
    ("For data-protection officers", "data-protection"),
    ("For auditors", "auditors-guide"),
)
"""The pages of the documentation: titles, and the names of their files in the folder docs."""


class NotHere(RequestError):
    """A path that merely begins with an empty segment."""

    status = 404


class NotAllowed(RequestError):
    """Neither a look at the page nor at its head."""

    status = 405


class Landing:
    """The page at `/`.

    Args:
        interfaces: The mounted interfaces; those with an example are shown, in this order.
        pages: Further (path, label) to link to, below `/`.
        external: Knows how clients reach this server.
        state: Returns whether requests are accepted, and a word on why, as `readiness` does.
    """

    def __init__(
        self,
        interfaces: Sequence[Mounted],
        pages: Sequence[tuple[str, str]],
        external: ExternalUrl,
        state: Callable[[], tuple[bool, str]],
    ) -> None:
        self._interfaces = [interface for interface in interfaces if interface.example is not None]
        self._pages = list(pages)
        self._external = external
        self._state = state

    @cached_property
    def _templates(self) -> jinja2.Environment:
        from retain.api.html.rendering import environment  # no start has to wait for Jinja

        return environment("retain.api.web")

    def mount(self) -> Mounted:
        """Return the page as the application mounts it."""
        return Mounted(name="landing", handle=self.handle, error=_error, prefixes=("",))

    async def handle(self, request: Request) -> Response:
        """Return the page. Raises NotHere, NotAllowed."""
        if request.raw_path != b"/":
            raise NotHere("Not Found")
        if request.method not in ("GET", "HEAD"):
            raise NotAllowed("Method Not Allowed")
        from retain.api.html.rendering import HEADERS

        base = self._external.base(request)
        ready, why = self._state()
        text = self._templates.get_template(TEMPLATE).render(
            base=base,
            prefix=urlsplit(base).path,
            interfaces=self._interfaces,
            pages=self._pages,
            documents=DOCUMENTS,
            health=("broken" if not ready else "live" if why == "ok" else "due", why),
        )
        return Response(200, [("Content-Type", "text/html;charset=utf-8"), *HEADERS.items()], text.encode())


def _error(request: Request, error: Exception) -> Response:
    response = plain_error(request, error)
    if response.status == 405:
        response.headers.append(("Allow", "GET, HEAD"))
    return response
