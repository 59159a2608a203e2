"""The query string, parsed once from the raw bytes (docs/wire/blobs.md, section 1).

`+` means a space, except in `sig`, where it is kept: Base64 has pluses and no spaces, and some clients forget
to encode them. Names are looked up in lower case, as Azure does; two spellings of one name are one name given
twice. `pairs` keeps them as sent, for tokens, whose names have one spelling only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from retain.api.blobs.wire.errors import AzureError
from retain.api.http.message import MAX_QUERY_FIELDS
from retain.api.http.percent import unescape

_CACHED_BYTES: Final = 2048
"""Longer queries are parsed anew each time, which bounds the cache to a few MiB."""


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of a request.

    `pairs` in the order sent, decoded; `values` by lower-case names; `doubled` the names sent repeatedly.
    """

    pairs: tuple[tuple[str, str], ...] = field(repr=False)
    doubled: frozenset[str]
    values: dict[str, str] = field(repr=False)

    def get(self, name: str) -> str | None:
        """Return the value of a parameter, None if absent; the first one, if it was sent repeatedly."""
        return self.values.get(name)

    def filled(self, name: str) -> str | None:
        """Return the value of a parameter; an empty one counts as absent (rclone and adlfs send such)."""
        return self.values.get(name) or None

    def __contains__(self, name: str) -> bool:
        return name in self.values


def parse_query(raw: bytes) -> Query:
    """Parse a raw query string (without the question mark).

    Raises AzureError InvalidUri for a broken percent escape, for bytes that are not UTF-8, and for more than
    `MAX_QUERY_FIELDS` parameters.
    """
    if raw.count(b"&") > MAX_QUERY_FIELDS:
        raise AzureError("InvalidUri")
    return _cached(raw) if len(raw) <= _CACHED_BYTES else _parse(raw)


def _parse(raw: bytes) -> Query:
    pairs: list[tuple[str, str]] = []
    values: dict[str, str] = {}
    doubled: set[str] = set()
    for piece in raw.split(b"&"):
        if not piece:
            continue
        raw_name, _, raw_value = piece.partition(b"=")
        name = _decode(raw_name.replace(b"+", b" "))
        value = _decode(raw_value if name == "sig" else raw_value.replace(b"+", b" "))
        folded = name.lower()
        if folded in values:
            doubled.add(folded)
        else:
            values[folded] = value
        pairs.append((name, value))
    return Query(tuple(pairs), frozenset(doubled), values)


def parameter_name(piece: bytes) -> str:
    """Return the name in one raw `name=value` of a query, decoded and in lower case."""
    raw = piece.partition(b"=")[0].replace(b"+", b" ")
    return unquote_to_bytes(raw).decode("utf-8", "replace").lower()


_cached = lru_cache(maxsize=1024)(_parse)


def _decode(raw: bytes) -> str:
    try:
        return unescape(raw).decode("utf-8")
    except ValueError:  # a broken escape, or bytes that are not UTF-8
        raise AzureError("InvalidUri") from None
