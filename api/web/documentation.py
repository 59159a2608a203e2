"""`/docs`: the documentation, as `make docs` builds it; and the OpenAPI documents beside it.

The site is files in the package's folder `site`. Its names are read once, and a request is looked up among
them: no path of a request ever reaches the file system. Nothing here needs a login, because it discloses no
    more than the published documentation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

import retain
from retain.api.http.external import ExternalUrl
from retain.api.http.message import HeaderFields, Mounted, Request, RequestError, Response, plain_error
from retain.api.importing import importing

SITE: Final = Path(retain.__file__).parent / "site"
"""Where the built site is, if it was built."""
HOME: Final = "docs/"
API: Final = "docs/api/"
"""The paths of the documentation and of the page that shows the OpenAPI documents, below `/`."""
NOT_BUILT: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Documentation - Retain</title>
<h1>The documentation is not built here</h1>
<p>In a checkout, this command builds it; this page then shows it, without a restart:</p>
<pre>make docs</pre>
<p>The same pages are in the folder <code>docs</code>, as Markdown. The interfaces are described in
<a href="{up}openapi.json">openapi.json</a>.</p>
</html>
"""
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css;charset=utf-8",
    ".html": "text/html;charset=utf-8",
    ".js": "text/javascript;charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain;charset=utf-8",
}
"""Files of other types are not served."""


class _NotHere(RequestError):
    status = 404


class _NotAllowed(RequestError):
    status = 405


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the site: where it is, its type, and a tag that changes with it."""

    path: Path
    content_type: str
    tag: str


class Documentation:
    """Answers `/docs…`, `/openapi.json` and `/openapi/NAME.json`.

    Args:
        interfaces: Names of the interfaces that are switched on.
        external: Returns the URL by which clients reach this server.
        site: The folder of the built site.

    """

    def __init__(self, interfaces: Sequence[str], external: ExternalUrl, site: Path = SITE) -> None:
        self._interfaces = (*interfaces, "console")
        self._external = external
        self._site = site
        self._files: dict[str, _File] = {}
        self._read_at = -1

    def mount(self) -> Mounted:
        """As the application mounts it."""
        prefixes = ("docs", "openapi", "openapi.json")
        return Mounted(name="documentation", handle=self.handle, error=_error, prefixes=prefixes)

    async def handle(self, request: Request) -> Response:
        """Answer a request. Raises RequestError."""
        if request.method not in ("GET", "HEAD"):
            raise _NotAllowed("Method Not Allowed")
        first, *rest = request.segments()
        if first == "docs":
            return await self._page(request, rest)
        if first == "openapi.json" and not rest:
            return await self._description(request, None)
        if first == "openapi" and len(rest) == 1 and rest[0].endswith(".json"):
            return await self._description(request, rest[0].removesuffix(".json"))
        raise _NotHere("Not Found")

    async def _description(self, request: Request, name: str | None) -> Response:
        if name is not None and name not in self._interfaces:
            raise _NotHere("Not Found")
        body = await trio.to_thread.run_sync(self._described, name, self._external.base(request))
        return Response(200, [("Content-Type", "application/json"), *_open_headers()], body)

    def _described(self, name: str | None, base: str) -> bytes:
        with importing():
            from retain.api.openapi import document_of, whole  # no start has to wait for these tables
        found = whole(self._interfaces, base) if name is None else document_of(name, base)
        return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()

    async def _page(self, request: Request, rest: list[str]) -> Response:
        files = await trio.to_thread.run_sync(self._known)
        if not files:
            page = NOT_BUILT.format(up="../" * len(rest))
            return Response(404, [("Content-Type", TYPES[".html"]), *_headers()], page.encode())
        name = "/".join(rest)
        found = files.get(f"{name}index.html" if name.endswith("/") or rest == [""] else name)
        if found is None and (not rest or f"{name}/index.html" in files):
            # A page's links are relative to its folder. So is this address, below any prefix of a proxy.
            return Response(308, [("Location", f"{rest[-1] if rest else 'docs'}/"), *_headers()])
        if found is None:
            raise _NotHere("Not Found")
        headers = [("Content-Type", found.content_type), ("ETag", found.tag), *_headers()]
        if found.tag in (request.header("If-None-Match") or ""):
            return Response(304, headers[1:])
        return Response(200, headers, await trio.to_thread.run_sync(found.path.read_bytes))

    def _known(self) -> dict[str, _File]:
        """Every file by its path in the site; read again when the site was built again."""
        try:
            built_at = self._site.stat().st_mtime_ns
        except FileNotFoundError:
            return {}
        if built_at != self._read_at:
            self._files = dict(self._listed())
            self._read_at = built_at
        return self._files

    def _listed(self) -> list[tuple[str, _File]]:
        found = []
        for path in self._site.rglob("*"):
            if path.suffix in TYPES and path.is_file():
                seen = path.stat()
                tag = f'"{seen.st_mtime_ns:x}-{seen.st_size:x}"'
                name = path.relative_to(self._site).as_posix()
                found.append((name, _File(path, TYPES[path.suffix], tag)))
        return found


def _headers() -> HeaderFields:
    return list(HEADERS.items())


def _open_headers() -> HeaderFields:
    """Return the headers of documents that pages of any origin may read."""
    kept = [(name, value) for name, value in HEADERS.items() if name != "Cross-Origin-Resource-Policy"]
    return [*kept, ("Access-Control-Allow-Origin", "*")]


def _error(request: Request, error: Exception) -> Response:
    response = plain_error(request, error)
    if response.status == 405:
        response.headers.append(("Allow", "GET, HEAD"))
    return response
