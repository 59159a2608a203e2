"""Links to files (docs/wire/areas.md, section 7)."""

from __future__ import annotations

from urllib.parse import quote

from retain.api.http.external import ExternalUrl
from retain.api.http.message import Request


class Links:
    """Makes the links of the interface.

    Args:
        external: Returns the URL by which a client reaches this server.
        relative: Links are paths, without scheme and host (option `relative_url`).

    """

    def __init__(self, external: ExternalUrl, *, relative: bool) -> None:
        self._external = external
        self._relative = relative

    def base(self, request: Request) -> str:
        """Return what precedes `/genesys` in a link in the response to `request`."""
        return "" if self._relative else self._external.base(request)


def file_link(base: str, name: str, key: str) -> str:
    """Return the URL of a file, id and key percent-encoded as path segments."""
    return f"{base}/genesys/1/storage/binary/{quote(name, safe='')}/{quote(key, safe='')}"
