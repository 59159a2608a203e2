"""Verification of a shared access signature: signature, policy, times, protocol, address.

See docs/wire/blobs.md, sections 2 and 3. Pure: the inputs are the token, the names in the URL, the account's
keys, the facts of the request and a look-up of stored access policies; the result is a Grant or an
AzureError. Rights are checked after that, by `permissions`, so a forged token learns nothing about them.
Existence of the resource is checked last.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from retain.api.blobs.sas import fields as fields
from retain.api.blobs.sas.token import AccountToken, ServiceToken, Token, TokenLimits
from retain.api.blobs.wire.errors import AzureError, authentication_failed, invalid_parameter
from retain.api.blobs.wire.times import http_date


class SignedResource(NamedTuple):
    """The decoded names in the URL: container and blob are None at the account's root or at a container."""

    account: str
    container: str | None = None
    blob: str | None = None
    snapshot: str = ""


class SasFacts(NamedTuple):
    """The facts that a token is checked against: instant in nanoseconds, caller's address, and use of TLS."""

    now: int
    peer: str
    secure: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """A stored access policy: times in nanoseconds and letters, None where a field is left to the token."""

    start: int | None = None
    expiry: int | None = None
    permissions: str | None = None


PolicyLookup = Callable[[str, str], Policy | None]
"""The policy of a container (first argument) by its id (second), None if there is none."""


class GrantKind(Enum):
    """The kinds of authorization."""

    KEY = "shared key"
    ACCOUNT = "account SAS"
    CONTAINER = "service SAS for a container"
    BLOB = "service SAS for a blob"


@dataclass(frozen=True, slots=True)
class Grant:
    """The rights of a verified request.

    Letters, for an account SAS the services and resource types too, and the response headers a service SAS
    overrides (parameter, value). `policy` names the stored policy, for the audit.
    """

    kind: GrantKind
    letters: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    overrides: tuple[tuple[str, str], ...] = ()
    policy: str | None = None


KEY_GRANT: Final = Grant(GrantKind.KEY)

_NO_POLICY: Final = Policy()
_VERIFIED_MAX: Final = 16


def verify(
    token: Token, target: SignedResource, keys: tuple[bytes, ...], facts: SasFacts, policy_of: PolicyLookup
) -> Grant:
    """Verify a token in the order of the service: signature, times, protocol, address.

    Both of an account's keys are tried. Raises AzureError: AuthenticationFailed,
    AuthorizationProtocolMismatch, AuthorizationSourceIPMismatch, or InvalidQueryParameterValue where token
    and policy both give a field.
    """
    names = _signed_names(token, target)
    if token.verified.get(names) != keys:
        _require_signature(token.signature, _signed_text(token, target), keys)
        _remember(token, names, keys)
    if isinstance(token, AccountToken):
        assert token.bounds.expiry is not None, "parse_token requires it"
        start, expiry = token.bounds.start, token.bounds.expiry
        grant = Grant(GrantKind.ACCOUNT, frozenset(token.permissions), token.services, token.types)
    else:
        policy = _NO_POLICY if token.policy is None else policy_of(_container(target), token.policy)
        if policy is None:
            raise authentication_failed("SAS identifier cannot be found for specified signed identifier")
        start, expiry, permissions = _merge(token, policy)
        kind = GrantKind.CONTAINER if token.resource == "c" else GrantKind.BLOB
        grant = Grant(kind, frozenset(permissions), overrides=token.overrides, policy=token.policy)
    _check_times(start, expiry, facts.now)
    _check_origin(token.bounds, facts)
    return grant


def _signed_names(token: Token, target: SignedResource) -> tuple[str | None, ...]:
    """Return the names of a target that are part of the signed text."""
    if isinstance(token, AccountToken):
        return (target.account,)
    blob = None if token.resource == "c" else target.blob
    return (target.account, _container(target), blob, target.snapshot)


def _signed_text(token: Token, target: SignedResource) -> str:
    if isinstance(token, AccountToken):
        return fields.account_string(token.signed, {**token.values, "account": target.account})
    blob = None if token.resource == "c" else target.blob
    resource = fields.canonical_resource(token.version, target.account, _container(target), blob)
    values = {**token.values, "cr": resource}
    if token.resource in ("bs", "bv"):
        values["snapshot"] = target.snapshot
    return fields.service_string(token.signed, values)


def _container(target: SignedResource) -> str:
    """Return the container of a service SAS; at the account's root the real service takes $root."""
    return target.container or "$root"


def _merge(token: ServiceToken, policy: Policy) -> tuple[int | None, int, str]:
    """Return start, expiry and permissions, each from the one side that sets it.

    See docs/wire/blobs.md, section 2.3.
    """
    both = (
        ("st", token.bounds.start, policy.start),
        ("se", token.bounds.expiry, policy.expiry),
        ("sp", token.permissions, policy.permissions or None),
    )
    for name, ours, stored in both:
        if ours is not None and stored is not None:
            raise invalid_parameter(
                name, token.values.get(name, ""), "The stored access policy already gives this field."
            )
    start = token.bounds.start if policy.start is None else policy.start
    expiry = token.bounds.expiry if policy.expiry is None else policy.expiry
    permissions = token.permissions or policy.permissions
    if expiry is None:
        raise authentication_failed("se is mandatory. Cannot be empty")
    if not permissions:
        raise authentication_failed("sp is mandatory. Cannot be empty")
    return start, expiry, permissions


def _require_signature(signature: bytes, text: str, keys: tuple[bytes, ...]) -> None:
    if not fields.is_signed_by(signature, text, keys):
        raise authentication_failed(f"Signature did not match. String to sign used was {text}")


def _remember(token: Token, names: tuple[str | None, ...], keys: tuple[bytes, ...]) -> None:
    """Cache that the signature is valid for these names under these keys, which stays true.

    Times, origin, policy and rights are checked at every request; for another set of keys, the signature is
    verified again.
    """
    if len(token.verified) >= _VERIFIED_MAX:
        token.verified.clear()
    token.verified[names] = keys


def _check_times(start: int | None, expiry: int, now: int) -> None:
    """Refuse times outside the validity: from the start on, until just before the expiry."""
    if start is not None and start >= expiry:
        raise authentication_failed(
            f"Signed expiry time [{http_date(expiry)}] has to be after signed start time [{http_date(start)}]"
        )
    if now >= expiry or (start is not None and now < start):
        begins = "" if start is None else f"Start [{http_date(start)}] - "
        raise authentication_failed(
            "Signature not valid in the specified time frame: "
            f"{begins}Expiry [{http_date(expiry)}] - Current [{http_date(now)}]"
        )


def _check_origin(bounds: TokenLimits, facts: SasFacts) -> None:
    if bounds.https_only and not facts.secure:
        raise AzureError("AuthorizationProtocolMismatch")
    if bounds.addresses is None:
        return
    low, high = bounds.addresses
    address = _ipv4(facts.peer)
    if address is None or not low <= address <= high:
        raise AzureError(
            "AuthorizationSourceIPMismatch",
            message="This request is not authorized to perform this operation using this source IP "
            f"{facts.peer}.",
            extras=(("SourceIP", facts.peer),),
        )


def _ipv4(peer: str) -> int | None:
    """Return an IPv4 address as a number; None for all others.

    An IPv4-mapped IPv6 address counts as the one inside.
    """
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return None if address.ipv4_mapped is None else int(address.ipv4_mapped)
    return int(address)
