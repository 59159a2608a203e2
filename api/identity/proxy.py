"""Read a trusted reverse proxy's headers about the caller: user, roles, address."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from retain.api.http.message import Request
from retain.api.identity.caller import Caller, Method, Unauthenticated, is_user_name
from retain.api.identity.options import ProxyOptions

Networks = tuple[IPv4Network | IPv6Network, ...]


@lru_cache(maxsize=4096)
def is_listed(address: str, networks: Networks) -> bool:
    """Return whether `address` is in one of the networks; what is not an IP address is in none."""
    parsed = _parse(address)
    return parsed is not None and any(
        parsed in network for network in networks if network.version == parsed.version
    )


def _parse(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed


def client_address(request: Request, trusted: Networks) -> str:
    """Return the address of the caller itself: the peer, or the nearest hop that is no trusted proxy.

    `X-Forwarded-For` is read from the right, because everything further left may be forged by the client.
    """
    address = request.peer
    if not trusted or not is_listed(address, trusted):
        return address
    hops = [hop.strip() for value in request.header_values("X-Forwarded-For") for hop in value.split(",")]
    for hop in reversed(hops):
        if _parse(hop) is None:
            break
        address = hop
        if not is_listed(hop, trusted):
            break
    return address


def proxied_caller(request: Request, options: ProxyOptions) -> Caller | None:
    """Return the caller that the proxy names; None if this peer is not listed or names nobody.

    Raises:
        Unauthenticated: The peer is trusted and its headers do not name one single user.
    """
    if not is_listed(request.peer, options.peers):
        return None
    users = request.header_values(options.user_header)
    if not users:
        return None
    if len(users) != 1:
        raise Unauthenticated("the proxy names more than one user")
    name = _utf8(users[0])
    if not is_user_name(name):
        raise Unauthenticated("the proxy names no valid user")
    listed = () if options.groups_header is None else request.header_values(options.groups_header)
    groups = _split([_utf8(value) for value in listed])
    return Caller(name, groups, Method.PROXY)


def _utf8(value: str) -> str:
    """Decode UTF-8: header values arrive as Latin-1, but proxies send names in UTF-8."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise Unauthenticated("the proxy's headers are not UTF-8") from None


def _split(values: Sequence[str]) -> frozenset[str]:
    return frozenset(part.strip() for value in values for part in value.split(",") if part.strip())
