"""What requests look like when they arrive: from where, and what a proxy adds. `retain doctor` shows it."""

from __future__ import annotations

from typing import Any, Final

from retain.api.config.load import ServerConfig
from retain.api.http.addresses import Networks, parse_address
from retain.api.http.external import ExternalUrl, client_address, unusable
from retain.api.http.message import Request

FORWARDING: Final = (
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-real-ip",
    "via",
)
"""Headers by which proxies describe themselves and the request they received."""
PAUSE_S: Final = 1.0
"""Between two looks: a request in between costs nothing."""


class Seen:
    """Remembers one request of each kind: from a trusted proxy or not, with forwarding headers or without.

    Args:
        server: How the server is reached.
        trusted: `trusted_proxies`.

    Attributes:
        due: When the next request is looked at, on trio's clock.
    """

    def __init__(self, server: ServerConfig, trusted: Networks) -> None:
        self.due = 0.0
        self._url = ExternalUrl(server)
        self._trusted = trusted
        self._kinds: dict[tuple[bool, bool], dict[str, Any]] = {}

    def look(self, request: Request, now: float) -> None:
        """Remember what `request` looks like."""
        self.due = now + PAUSE_S
        headers = [name for name in FORWARDING if request.header_values(name)]
        trusted = self._url.is_trusted(request.peer)
        client = client_address(request, self._trusted)
        self._kinds[trusted, bool(headers)] = {
            "peer": str(parse_address(request.peer) or request.peer),
            "trusted": trusted,
            "headers": headers,
            "client": str(parse_address(client) or client),
            "base_url": self._url.base(request),
            "unusable": unusable(request) if trusted else [],
        }

    def shown(self) -> list[dict[str, Any]]:
        """Return the last request of each kind."""
        return list(self._kinds.values())
