"""Addresses of peers: which are listed in a configuration, and which count as one client."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

Networks: TypeAlias = tuple[IPv4Network | IPv6Network, ...]


@lru_cache(maxsize=4096)
def is_listed(address: str, networks: Networks) -> bool:
    """Return whether `address` is in one of the networks; what is not an IP address is in none."""
    parsed = parse_address(address)
    return parsed is not None and any(
        parsed in network for network in networks if network.version == parsed.version
    )


def parse_address(address: str) -> IPv4Address | IPv6Address | None:
    """Return an IP address, an IPv4 address in IPv6 form as the IPv4 address; None for other text."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed


@lru_cache(maxsize=4096)
def counted_address(address: str) -> str:
    """Return the address that limits count by; for IPv6 the /64 network, which one host owns as a whole.

    An IPv4 address in IPv6 form is the IPv4 address; other text is returned unchanged.
    """
    parsed = parse_address(address)
    if parsed is None:
        return address
    return str(IPv6Address(int(parsed) >> 64 << 64) if isinstance(parsed, IPv6Address) else parsed)


def counted_networks(networks: Networks) -> Networks:
    """Return networks that list the counted address of each address that `networks` lists."""
    return tuple(
        network.supernet(new_prefix=64)
        if isinstance(network, IPv6Network) and network.prefixlen > 64
        else network
        for network in networks
    )
