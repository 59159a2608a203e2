"""Checks of single configuration values: each returns the reason a value is impossible, or None."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

_HOST = re.compile(r"[A-Za-z0-9.\-]+")
_MIME = re.compile(r"[a-z0-9!#$&^_.+-]+/([a-z0-9!#$&^_.+-]+|\*)")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_CONTAINER = re.compile(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*")
_NAME = re.compile(r"[^\x00-\x20\x7f:]+")
_ARGON2ID = re.compile(r"\$argon2id\$v=19\$m=[0-9]+,t=[0-9]+,p=[0-9]+(\$[A-Za-z0-9+/]{11,}){2}")
_FIELD = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

RESERVED_ACCOUNTS = (
    "api",
    "console",
    "docs",
    "genesys",
    "healthz",
    "metrics",
    "mobileservices",
    "openapi",
    "readyz",
    "static",
    "storage",
)
"""First path segments that belong to other interfaces (path-style blob URLs put the account first)."""


def split_bind(bind: str) -> tuple[str, int]:
    """Split `host:port` or `[v6]:port` into (host, port). Raises ValueError."""
    host, colon, port = bind.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError("must be host:port, such as 127.0.0.1:8080 or [::1]:8080")
    if host.startswith("[") and host.endswith("]"):
        return str(ipaddress.IPv6Address(host[1:-1])), int(port)
    if not _HOST.fullmatch(host):
        raise ValueError("must be host:port, such as 127.0.0.1:8080 or [::1]:8080")
    return host, int(port)


def bind_address(value: str) -> str | None:
    """See `split_bind`."""
    try:
        split_bind(value)
    except ValueError as error:
        return str(error)
    return None


def base_url(value: str) -> str | None:
    """Check for an absolute http(s) URL without query, fragment or credentials."""
    try:
        parts = urlsplit(value)
        plain = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
    except ValueError:
        plain = None
    if not plain or parts.query or parts.fragment or any(c <= " " or c == "\x7f" for c in value):
        return "must be an absolute http:// or https:// URL without query, fragment or credentials"
    return None


def cannot_be_changed_underway(url: str) -> bool:
    """Return whether the content of `url` is protected in transit: https, or http to this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and local))


def key_set(value: str) -> str | None:
    """Check for a file, or for a URL whose keys cannot be replaced in transit."""
    if "://" not in value:
        return path(value)
    return None if cannot_be_changed_underway(value) else "must be a file, or a URL with https://"


def claims(values: tuple[str, ...]) -> str | None:
    """Check for at least one claim."""
    return None if values else "must name at least one claim"


def log_name(value: str) -> str | None:
    """Check for a name that a signed note can have as a key's name (C2SP signed-note)."""
    if not value or "+" in value or not value.isascii() or not value.isprintable() or " " in value:
        return "must be a name without spaces and plus signs, such as retain.example.org/log"
    return None


_MAPPED_BITS: Final = 96
"""Bits before the IPv4 address in an IPv6 one (RFC 4291, 2.5.5.2). Addresses are compared as IPv4 then."""


def networks(values: tuple[str, ...]) -> str | None:
    """Check for IP addresses or networks in CIDR form."""
    for value in values:
        try:
            network = ipaddress.ip_network(value)
        except ValueError:
            return f"{value!r} is not an IP address or network"
        mapped = network.network_address.ipv4_mapped if network.version == 6 else None
        if mapped is not None and network.prefixlen >= _MAPPED_BITS:
            return f"{value!r} is IPv4 in IPv6 form; write {mapped}/{network.prefixlen - _MAPPED_BITS}"
    return None


def origins(values: tuple[str, ...]) -> str | None:
    """Check for web origins (RFC 6454) as browsers send them, or `*`."""
    for value in values:
        if value != "*" and not re.fullmatch(r"https?://[a-z0-9.\-\[\]:]+", value):
            return f"{value!r} is not an origin such as https://app.example.org"
    return None


def mime_types(values: tuple[str, ...]) -> str | None:
    """Check for `type/subtype` or `type/*`, in lower case."""
    for value in values:
        if not _MIME.fullmatch(value):
            return f"{value!r} is not a MIME type such as image/png or image/*"
    return None


def path(value: str) -> str | None:
    """Check for the name of a file or folder."""
    if not value or any(c < " " or c == "\x7f" for c in value):
        return "must name a file or folder"
    return None


def password_hash(value: str) -> str | None:
    """Check for a whole argon2id hash in PHC form: a password in clear text does not belong in a file."""
    if not _ARGON2ID.fullmatch(value):
        return "must be an argon2id hash, complete as printed by `retain user hash`"
    return None


def user_name(value: str) -> str | None:
    """Check for a name that HTTP Basic can carry (RFC 7617: no colon), without blanks."""
    return None if _NAME.fullmatch(value) else "must be a name without spaces and colons"


def account_name(value: str) -> str | None:
    """Check for a storage account's name that is no other interface's first path segment."""
    if value in RESERVED_ACCOUNTS:
        return f"{value!r} is reserved for the address of another interface; choose another name"
    return None if _ACCOUNT.fullmatch(value) else "must be 3 to 24 lower-case letters and digits"


def container_names(values: tuple[str, ...]) -> str | None:
    """Check for container names: 3 to 63 lower-case letters, digits and single hyphens."""
    for value in values:
        if not _CONTAINER.fullmatch(value):
            return f"{value!r} is not a container name (3 to 63 lower-case letters, digits, single hyphens)"
    return None


def host_suffixes(values: tuple[str, ...]) -> str | None:
    """Check for host name endings such as `.blob.core.example.org`."""
    for value in values:
        if not re.fullmatch(r"(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+", value):
            return f"{value!r} is not a host suffix such as .blob.core.example.org"
    return None


def header_name(value: str) -> str | None:
    """Check for a header field's name (RFC 9110, token)."""
    return None if _FIELD.fullmatch(value) else "must be the name of a header field"


def algorithms(values: tuple[str, ...]) -> str | None:
    """Check for signature algorithms that are safe to accept; `none` is not one of them."""
    allowed = (
        "RS256",
        "RS384",
        "RS512",
        "PS256",
        "PS384",
        "PS512",
        "ES256",
        "ES384",
        "ES512",
        "EdDSA",
        "HS256",
    )
    unknown = [value for value in values if value not in allowed]
    if unknown or not values:
        return f"must contain only {', '.join(allowed)}"
    return None


def store_url(value: str) -> str | None:
    """Check for the URL of a store of objects."""
    if any(value.startswith(f"{scheme}://") for scheme in ("s3", "azure", "az", "abfs", "abfss")):
        return None
    if value.startswith("file:///"):
        return None
    return "must be s3://bucket/prefix, azure://container/prefix or file:///folder"
