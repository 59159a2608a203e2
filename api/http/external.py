"""What trusted proxies say about a request: the URL that its client used, and the client's address.

Links in answers begin with the URL. Order: `external_url`; what a trusted proxy forwarded (`Forwarded`,
RFC 7239, else `X-Forwarded-*`); the request's Host; the address the request came in by. A Host that is no
host name is never repeated.
"""

from __future__ import annotations

import re
from ipaddress import ip_network

from retain.api.config.load import ServerConfig
from retain.api.http.addresses import Networks, is_listed, parse_address
from retain.api.http.message import Request

_HOST = re.compile(r"[A-Za-z0-9.\-\[\]:]{1,255}")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~\-]+)*/?")
_PAIR = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"([^"]*)"|([^\s;,"]*))\s*')


class ExternalUrl:
    """Returns `base` for each request."""

    def __init__(self, server: ServerConfig) -> None:
        self._fixed = server.external_url.rstrip("/") if server.external_url else None
        self._trusted = tuple(ip_network(entry) for entry in server.trusted_proxies)

    def base(self, request: Request) -> str:
        """Return scheme, host and path prefix without a trailing slash: `https://retain.example.org/x`."""
        if self._fixed is not None:
            return self._fixed
        scheme, host, prefix = request.scheme, _host(request), ""
        if self.is_trusted(request.peer):
            said = _forwarded(request)
            scheme = said.get("proto", scheme)
            host = said.get("host", host)
            prefix = said.get("prefix", "").rstrip("/")
        return f"{scheme}://{host}{prefix}"

    def is_trusted(self, peer: str) -> bool:
        """Return whether `peer` is one of `trusted_proxies`."""
        return bool(self._trusted) and is_listed(peer, self._trusted)


def _host(request: Request) -> str:
    host = request.authority.decode("latin-1") if request.authority else request.header("host") or ""
    if _HOST.fullmatch(host):
        return host
    address, port = request.server or ("localhost", None)
    if ":" in address:
        address = f"[{address}]"
    return f"{address}:{port}" if port else address


_CHECKS = {"proto": re.compile(r"https?"), "host": _HOST, "prefix": _PREFIX}
"""Valid values of forwarded fields; a prefix is a path whose characters need no escape."""


def unusable(request: Request) -> list[str]:
    """Return which forwarded fields of a trusted proxy are unusable in links: `proto`, `host`, `prefix`."""
    said = _said(request)
    wrong = [name for name, check in _CHECKS.items() if name in said and not check.fullmatch(said[name])]
    if request.header_values("forwarded") and request.header_values("x-forwarded-prefix"):
        # if Forwarded is present, no other header counts: it may be forged by the client
        wrong.append("prefix")
    return wrong


def _forwarded(request: Request) -> dict[str, str]:
    """Return proto, host and prefix, as far as the nearest proxy sent them in a usable form."""
    said = _said(request)
    return {
        name: said[name] for name, check in _CHECKS.items() if name in said and check.fullmatch(said[name])
    }


def _said(request: Request) -> dict[str, str]:
    """Return the value that the nearest proxy sent."""
    said: dict[str, str] = {}
    if forwarded := request.header_values("forwarded"):
        # The last element is the nearest proxy's; earlier elements may be forged by the client.
        for pair in forwarded[-1].rpartition(",")[2].split(";"):
            if match := _PAIR.fullmatch(pair):
                said[match[1].lower()] = match[2] if match[2] is not None else match[3]
    else:
        for name in ("proto", "host", "port", "prefix"):
            if values := request.header_values(f"x-forwarded-{name}"):
                said[name] = values[-1].rpartition(",")[2].strip()
        host, port = said.get("host", ""), said.get("port", "")
        if host and re.fullmatch(r"[0-9]{1,5}", port) and not re.search(r":[0-9]+$", host):
            default = {"http": "80", "https": "443"}.get(said.get("proto", request.scheme))
            said["host"] = host if port == default else f"{host}:{port}"
    return said


def client_address(request: Request, trusted: Networks) -> str:
    """Return the address of the caller itself: the peer, or the nearest hop that is no trusted proxy.

    `X-Forwarded-For` is read from the right, because everything further left may be forged by the client.
    """
    address = request.peer
    if not trusted or not is_listed(address, trusted):
        return address
    hops = [hop.strip() for value in request.header_values("X-Forwarded-For") for hop in value.split(",")]
    for hop in reversed(hops):
        if parse_address(hop) is None:
            break
        address = hop
        if not is_listed(hop, trusted):
            break
    return address
