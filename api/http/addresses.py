"""Which addresses count as one client."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address


@lru_cache(4096)
def counted_address(address: str) -> str:
    """Return the address that limits count by; for IPv6 the /64 network, which one host owns as a whole.

    An IPv4 address in IPv6 form is the IPv4 address; other text is returned unchanged.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)
