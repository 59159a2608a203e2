"""The page at ``/``: what this server is, where its interfaces are, and a first line to try each with.

It tells a stranger nothing that the documentation does not: no tenant, no user, no version, no number.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from retain.api.http.external import ExternalUrl
from retain.api.http.message import Request, RequestError, Response, Surface, plain_error

if TYPE_CHECKING:
    import jinja2

TEMPLATE = "landing.html"


class NotHere(RequestError):
    """A path that merely begins with an empty segment."""

    status = 404


class NotAllowed(RequestError):
    """Neither a look at the page nor at its head."""

    status = 405


class Landing:
    """Answers ``/``.

    Args:
        surfaces: What is mounted; those with an example are shown, in this order.
        pages: Further (path, label) to link to, relative to ``/``.
        external: Says how clients reach this server.
    """

    def __init__(
        self, surfaces: Sequence[Surface], pages: Sequence[tuple[str, str]], external: ExternalUrl
    ) -> None:
        self._interfaces = [surface for surface in surfaces if surface.example is not None]
        self._pages = list(pages)
        self._external = external

    @cached_property
    def _page(self) -> tuple[jinja2.Template, list[tuple[str, str]]]:
        """The template, and the headers that go with it."""
        import jinja2  # no start has to wait for it

        loader = jinja2.PackageLoader("retain.api.web")
        environment = jinja2.Environment(
            loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
        )
        source, _, _ = loader.get_source(environment, TEMPLATE)
        style = re.search(r"<style>(.*?)</style>", source, re.DOTALL)
        assert style is not None
        digest = b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
        return environment.get_template(TEMPLATE), [
            ("Content-Type", "text/html;charset=utf-8"),
            ("Cache-Control", "no-store"),
            (
                "Content-Security-Policy",
                f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
                "form-action 'none'; frame-ancestors 'none'",
            ),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
        ]

    def mount(self) -> Surface:
        """As the application mounts it."""
        return Surface(name="landing", handle=self.handle, error=_error, prefixes=("",))

    async def handle(self, request: Request) -> Response:
        """The page. Raises NotHere, NotAllowed."""
        if request.raw_path != b"/":
            raise NotHere("Not Found")
        if request.method not in ("GET", "HEAD"):
            raise NotAllowed("Method Not Allowed")
        template, headers = self._page
        text = template.render(
            base=self._external.base(request), interfaces=self._interfaces, pages=self._pages
        )
        return Response(200, list(headers), text.encode())


def _error(request: Request, error: Exception) -> Response:
    response = plain_error(request, error)
    if response.status == 405:
        response.headers.append(("Allow", "GET, HEAD"))
    return response
