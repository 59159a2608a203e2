"""The page at `/`: what this server is, where its interfaces are, and a first command line for each.

It discloses what `/readyz` discloses, and otherwise only what the documentation says: no tenant, user,
version or number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
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
"""The pages of the documentation: titles, and their addresses below `docs/`."""
_WITH_KEYS = 'RETAIN_BLOBS="$(retain tenant show ACCOUNT --keys | grep BlobEndpoint)"'
_WITH_LOGIN = "RETAIN_URL={base} RETAIN_USER=NAME RETAIN_PASSWORD=…"
PROGRAMS: Mapping[str, Sequence[tuple[str, str]]] = {
    "areas": (
        ("curl/areas.sh", "RETAIN_URL={base} sh examples/curl/areas.sh"),
        ("javascript/form.html", "form.html?server={base}"),
    ),
    "settings": (
        (
            "python/areas_and_settings.py",
            f"{_WITH_LOGIN} python3 examples/python/areas_and_settings.py",
        ),
        (
            "java/AreasAndSettings.java",
            f"{_WITH_LOGIN} java examples/java/AreasAndSettings.java",
        ),
    ),
    "blobs": (
        ("python/recordings.py", f"{_WITH_KEYS} python3 examples/python/recordings.py"),
        ("python/test_recordings.py", "pytest -q examples/python/test_recordings.py"),
        ("javascript/recordings.mjs", f"{_WITH_KEYS} node examples/javascript/recordings.mjs"),
        ("python/metadata.py", f"{_WITH_KEYS} python3 examples/python/metadata.py"),
        ("python/parquet.py", f"{_WITH_KEYS} python3 examples/python/parquet.py"),
        (
            "rclone/copy.sh",
            "RETAIN_URL={base} RETAIN_ACCOUNT=ACCOUNT RETAIN_TOKEN='…' sh examples/rclone/copy.sh FOLDER",
        ),
    ),
}
"""The complete programs in `examples`, by interface: the file, and its command."""
EXAMPLES = "docs/beside/examples/"


def programs_of(interface: str, base: str) -> list[tuple[str, str, str]]:
    """Return the programs for an interface: (file, anchor on the page of examples, command)."""
    return [
        (name, re.sub(r"[^a-z0-9]+", "-", name.lower()), command.replace("{base}", base))
        for name, command in PROGRAMS.get(interface, ())
    ]


class NotHere(RequestError):
    """The path is not `/`: it begins with an empty segment."""

    status = 404


class NotAllowed(RequestError):
    """A method other than GET and HEAD."""

    status = 405


class Landing:
    """The page at `/`.

    Args:
        interfaces: The mounted interfaces; those with an example are shown, in this order.
        pages: Further (path, label) to link to, below `/`.
        external: Returns the URL by which clients reach this server.
        state: Returns whether requests are accepted, and the reason, as `readiness` does.
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
        from retain.api.html.rendering import (
            environment,
        )  # imported here, so that a start need not wait for Jinja

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
            examples=EXAMPLES,
            programs=programs_of,
            health=("broken" if not ready else "live" if why == "ok" else "due", why),
        )
        return Response(200, [("Content-Type", "text/html;charset=utf-8"), *HEADERS.items()], text.encode())


def _error(request: Request, error: Exception) -> Response:
    response = plain_error(request, error)
    if response.status == 405:
        response.headers.append(("Allow", "GET, HEAD"))
    return response
