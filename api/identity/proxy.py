"""Read a trusted reverse proxy's headers about the caller: user and roles."""

from __future__ import annotations

from collections.abc import Sequence

from retain.api.http.addresses import is_listed
from retain.api.http.message import Request
from retain.api.identity.caller import Caller, Method, Unauthenticated, is_user_name
from retain.api.identity.options import ProxyOptions


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
