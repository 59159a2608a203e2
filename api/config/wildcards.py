"""The addresses 0.0.0.0 and [::]: a server listens on all addresses with them, and nobody can open them."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_wildcard(host: str) -> bool:
    """Return whether `host` stands for all addresses of a machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False  # a name


def listens_everywhere(url: str) -> bool:
    """Return whether a server whose base URL is `url` listens on all addresses."""
    return is_wildcard(urlsplit(url).hostname or "")


def openable(url: str) -> str:
    """Return the base URL `url` of a server with loopback instead of a wildcard.

    It opens on the machine of the server, and outside its container if the port is published under the same
    number.
    """
    if not listens_everywhere(url):
        return url
    parts = urlsplit(url)
    loopback = "[::1]" if ":" in (parts.hostname or "") else "127.0.0.1"
    port = "" if parts.port is None else f":{parts.port}"
    return parts._replace(netloc=f"{loopback}{port}").geturl()
