"""Shared access signatures as values: parse the query string into a typed token, before anything is trusted.

Parsing depends on nothing but the query, so the routes may cache it by the raw bytes. What it refuses, it
refuses as AuthenticationFailed with the detail texts of the real service (docs/wire/blobs.md, section 8).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from retain.api.blobs.sas import fields as fields
from retain.api.blobs.wire.errors import authentication_failed
from retain.api.blobs.wire.query import Query, parse_query
from retain.api.blobs.wire.times import parse_sas_time

_CACHED_BYTES: Final = 2048
_MALFORMED: Final = "Signature fields not well formed."
_CONTROL_CEILING: Final = " "


Verified = dict[tuple[str | None, ...], tuple[bytes, ...]]
"""The targets for which a token's signature was verified: the signed part of the target, and the account's
keys then.
"""


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """The limits of both kinds of token: times in nanoseconds, the caller's address, the protocol."""

    start: int | None
    expiry: int | None
    addresses: tuple[int, int] | None
    https_only: bool


@dataclass(frozen=True, slots=True)
class ServiceToken:
    """A service SAS, parsed and not yet verified.

    `resource` is `c`, `b`, `bs` or `bv`; `permissions` is None where the token leaves them to its policy;
    `values` are the signed parameters as received.
    """

    version: str
    resource: str
    permissions: str | None
    policy: str | None
    bounds: TokenLimits
    overrides: tuple[tuple[str, str], ...]
    signed: tuple[str, ...]
    values: Mapping[str, str] = field(repr=False)
    signature: bytes = field(repr=False)
    verified: Verified = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class AccountToken:
    """An account SAS, parsed and not yet verified.

    `services` and `types` are the letters of `ss` and `srt`.
    """

    version: str
    services: frozenset[str]
    types: frozenset[str]
    permissions: str
    bounds: TokenLimits
    signed: tuple[str, ...]
    values: Mapping[str, str] = field(repr=False)
    signature: bytes = field(repr=False)
    verified: Verified = field(default_factory=dict, repr=False, compare=False)


Token = ServiceToken | AccountToken


def parse_token(raw: bytes) -> Token | None:
    """Return the token in a raw query string; None if it has none.

    Only this pure step is cached (bounded, by the raw bytes): the meaning of a query cannot change. The
    result of verification can, with the clock, a policy or a key, so signature and rights are checked for
    every request.

    Raises AzureError AuthenticationFailed for a token that is malformed, or 400 for a broken query.
    """
    return _cached(raw) if len(raw) <= _CACHED_BYTES else _parse(raw)


def _parse(raw: bytes) -> Token | None:
    query = parse_query(raw)
    if not any(name in query for name in ("sig", "sr", "ss", "srt")):
        return None
    values = _signed_values(query)
    if "ss" in values or "srt" in values:
        return _account_token(values)
    return _service_token(values)


_cached = lru_cache(maxsize=1024)(_parse)


def _signed_values(query: Query) -> dict[str, str]:
    """Return the parameters that belong to the signature.

    Refuses doubled ones, other spellings, and control characters.
    """
    if not query.doubled.isdisjoint(fields.ALL):
        raise authentication_failed(f"{_MALFORMED} A parameter of the signature is given twice.")
    values = {}
    for name, value in query.pairs:
        if name in fields.ALL:
            if any(character < _CONTROL_CEILING or character == "\x7f" for character in value):
                raise authentication_failed(_MALFORMED)
            values[name] = value
        elif name.lower() in fields.ALL:
            raise authentication_failed(f"{_MALFORMED} Parameter names are lower-case.")
    if not fields.USER_DELEGATION.isdisjoint(values):
        raise authentication_failed("User delegation signatures are not supported by this account.")
    return values


def _service_token(values: dict[str, str]) -> ServiceToken:
    resource = _required(values, "sr")
    version = _required(values, "sv")
    signed = fields.signed_fields(fields.SERVICE_FIELDS, version) if fields.is_version(version) else None
    if signed is None:
        raise authentication_failed(f"{_MALFORMED} sv is not a version that signs.")
    if resource not in ("c", "b") and not (resource in ("bs", "bv") and version >= "2018-11-09"):
        raise authentication_failed(f"{_MALFORMED} sr names no resource of this account.")
    _refuse_unsigned(values, signed)
    policy = values.get("si")
    if policy is not None and not 1 <= len(policy) <= 64:
        raise authentication_failed(f"{_MALFORMED} si has 1 to 64 characters.")
    permissions = values.get("sp") or None
    if permissions is not None:
        _check_letters(permissions, fields.SERVICE_LETTERS)
    if policy is None:
        _required(values, "sp")
        _required(values, "se")
    return ServiceToken(
        version=version,
        resource=resource,
        permissions=permissions,
        policy=policy,
        bounds=_bounds(values),
        overrides=tuple((name, values[name]) for name in fields.OVERRIDES if values.get(name)),
        signed=signed,
        values=values,
        signature=_signature(values),
    )


def _account_token(values: dict[str, str]) -> AccountToken:
    if "sr" in values or "si" in values:
        raise authentication_failed(f"{_MALFORMED} An account signature has neither sr nor si.")
    version = _required(values, "sv")
    signed = fields.signed_fields(fields.ACCOUNT_FIELDS, version) if fields.is_version(version) else None
    if signed is None:
        raise authentication_failed(f"{_MALFORMED} sv is not a version that signs.")
    if "ses" in values and "ses" not in signed:
        raise authentication_failed(f"{_MALFORMED} ses needs a later sv.")
    services = _required(values, "ss")
    types = _required(values, "srt")
    permissions = _required(values, "sp")
    _required(values, "se")
    _check_letters(services, frozenset("bqtf"))
    _check_letters(types, frozenset("sco"))
    _check_letters(permissions, fields.ACCOUNT_LETTERS)
    return AccountToken(
        version=version,
        services=frozenset(services),
        types=frozenset(types),
        permissions=permissions,
        bounds=_bounds(values),
        signed=signed,
        values=values,
        signature=_signature(values),
    )


def _required(values: Mapping[str, str], name: str) -> str:
    value = values.get(name)
    if not value:
        raise authentication_failed(f"{name} is mandatory. Cannot be empty")
    return value


def _refuse_unsigned(values: Mapping[str, str], signed: tuple[str, ...]) -> None:
    """Refuse a parameter that this version does not sign: it must not limit or widen anything."""
    for name in ("sip", "spr", "ses", "sdd", *fields.OVERRIDES):
        if name in values and name not in signed:
            raise authentication_failed(f"{_MALFORMED} {name} is not part of this version.")


def _check_letters(letters: str, known: frozenset[str]) -> None:
    """Check letters: in any order (SDKs differ), each once, and none unknown."""
    if len(set(letters)) != len(letters) or not known.issuperset(letters):
        raise authentication_failed(_MALFORMED)


def _signature(values: Mapping[str, str]) -> bytes:
    signature = fields.decode_signature(_required(values, "sig"))
    if signature is None:
        raise authentication_failed(f"{_MALFORMED} sig is not a signature.")
    return signature


def _bounds(values: Mapping[str, str]) -> TokenLimits:
    if values.get("ses"):
        raise authentication_failed("Encryption scopes are not supported by this account.")
    protocol = values.get("spr") or "https,http"
    if protocol not in ("https", "https,http"):
        raise authentication_failed(f"{_MALFORMED} spr is https or https,http.")
    try:
        start = parse_sas_time(values["st"]) if values.get("st") else None
        expiry = parse_sas_time(values["se"]) if values.get("se") else None
        addresses = _addresses(values["sip"]) if values.get("sip") else None
    except ValueError:
        raise authentication_failed(_MALFORMED) from None
    return TokenLimits(start, expiry, addresses, protocol == "https")


def _addresses(text: str) -> tuple[int, int]:
    """Return an IPv4 address or an inclusive range of them. Raises ValueError."""
    first, dash, last = text.partition("-")
    low = int(ipaddress.IPv4Address(first))
    high = int(ipaddress.IPv4Address(last)) if dash else low
    if low > high:
        raise ValueError("an address range that ends before it starts")
    return low, high
