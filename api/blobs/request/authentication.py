"""Authenticate a request: turn its token or its Shared Key into a grant.

See docs/wire/blobs.md, sections 1 to 4. Pure modules verify everything; this one supplies their inputs: the
keys, the clock, the stored policies, and the address and protocol as a trusted proxy reports them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from retain.api.blobs.sas import shared_key
from retain.api.blobs.sas import verify as sas
from retain.api.blobs.sas.fields import is_version
from retain.api.blobs.sas.token import Token, parse_token
from retain.api.blobs.wire.address import SECONDARY, Address
from retain.api.blobs.wire.errors import AzureError, invalid_header, missing_header
from retain.api.blobs.wire.query import Query
from retain.api.blobs.xml.service_properties import ServiceProperties
from retain.api.config.load import Config
from retain.api.http.addresses import Networks
from retain.api.http.external import ExternalUrl, client_address
from retain.api.http.message import Request
from retain.engine import EngineAccess, State
from retain.engine.blobs import queries

KeysOf = Callable[[str], tuple[bytes, ...] | None]
"""The decoded keys of an account, newest first; None if there is no such account."""

_CHALLENGE: Final = ("WWW-Authenticate", "SharedKey")


@dataclass(frozen=True, slots=True)
class Origin:
    """How requests reach the server: the trusted proxies and their headers."""

    proxies: Networks
    forwarded: ExternalUrl
    fixed_https: bool

    @classmethod
    def of(cls, config: Config, proxies: Networks) -> Origin:
        """Return the configured origin."""
        fixed = (config.server.external_url or "").startswith("https:")
        return cls(proxies, ExternalUrl(replace(config.server, external_url=None)), fixed)

    def facts(self, request: Request, now: int) -> sas.SasFacts:
        """Return what a token is checked against.

        A trusted proxy's headers decide address and protocol; all other headers are ignored.
        """
        secure = request.scheme == "https"
        if not secure and self.forwarded.is_trusted(request.peer):
            secure = self.fixed_https or self.forwarded.base(request).startswith("https:")
        return sas.SasFacts(now, client_address(request, self.proxies), secure)


class Authenticated(NamedTuple):
    """A request whose sender is known: the grant, the version that executes, the actor for the journal."""

    grant: sas.Grant
    version: str
    actor: str


async def authenticate(
    request: Request,
    headers: Mapping[str, str],
    address: Address,
    query: Query,
    *,
    engine: EngineAccess,
    origin: Origin,
    keys: tuple[bytes, ...],
    inherited: str | None = None,
) -> Authenticated:
    """Verify a request's credentials. Raises AzureError; never reads the resource itself.

    `inherited` is the version of the batch that a request belongs to.
    """
    token = parse_token(request.raw_query)
    authorization = headers.get("authorization")
    if token is not None:
        if authorization:
            raise AzureError(
                "InvalidAuthenticationInfo", message="Only one kind of authentication may be given."
            )
        facts = origin.facts(request, engine.now())
        grant = await verify_token(engine, token, _target(address, query), keys, facts)
        chosen = _version(headers) or _api_version(query) or inherited or token.version
        return Authenticated(grant, chosen, _actor(grant))
    if not authorization:
        raise AzureError("NoAuthenticationInformation", headers=(_CHALLENGE,))
    parsed = shared_key.parse_authorization(authorization)
    version = _version(headers) or inherited
    if version is None:
        version = await engine.read(lambda state, _: _default_version(state, address.account))
    if version is None:
        raise missing_header("x-ms-version")
    pairs = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in request.raw_headers]
    signed = shared_key.Signed(
        request.method, request.raw_path, request.raw_query, pairs, _primary_path(request, address)
    )
    shared_key.verify(parsed, signed, address.account, keys, version, engine.wall())
    return Authenticated(sas.KEY_GRANT, version, "shared key")


async def verify_token(
    engine: EngineAccess,
    token: Token,
    target: sas.SignedResource,
    keys: tuple[bytes, ...],
    facts: sas.SasFacts,
) -> sas.Grant:
    """Check a token against the account's keys and the stored policies as they are now. Raises AzureError.

    A refusal waits until the state it depends on is durable, like any response.
    """

    def judge(state: State) -> sas.Grant | AzureError:
        try:
            return sas.verify(
                token, target, keys, facts, lambda *names: _policy(state, target.account, *names)
            )
        except AzureError as error:
            return error

    verdict = engine.glance(judge)
    if isinstance(verdict, AzureError):
        verdict = await engine.read(lambda state, _: judge(state))
    if isinstance(verdict, AzureError):
        raise verdict
    return verdict


def request_version(headers: Mapping[str, str], fallback: str) -> str:
    """Return the version that a response names although the request was refused early."""
    version = headers.get("x-ms-version") or ""
    return version if is_version(version) else fallback


def _policy(state: State, account: str, container: str, name: str) -> sas.Policy | None:
    found = state.blobs.find(account, container)
    for policy in found.entry.policies if found is not None else ():
        if policy.policy_id == name:
            return sas.Policy(policy.start, policy.expiry, policy.permissions)
    return None


def _default_version(state: State, account: str) -> str | None:
    return ServiceProperties.stored(queries.service_properties(state.blobs, account)).default_version


def _primary_path(request: Request, address: Address) -> bytes | None:
    """Return the path of a read at the secondary as Azurite's clients sign it: the primary's.

    None if the path does not begin with the location as clients write it, unescaped: what a signature covers
    must not depend on what stands elsewhere in the path.
    """
    account = f"/{address.account}".encode()
    location = account + SECONDARY.encode()
    if not address.path_style or not address.secondary or not request.raw_path.startswith(location):
        return None
    return account + request.raw_path.removeprefix(location)


def _target(address: Address, query: Query) -> sas.SignedResource:
    snapshot = query.filled("snapshot") or query.filled("versionid") or ""
    return sas.SignedResource(address.account, address.container, address.blob, snapshot)


def _version(headers: Mapping[str, str]) -> str | None:
    version = headers.get("x-ms-version")
    if version and not is_version(version):
        raise invalid_header("x-ms-version", version)
    return version or None


def _api_version(query: Query) -> str | None:
    version = query.filled("api-version")
    if version and not is_version(version):
        raise invalid_header("x-ms-version", version)
    return version


def _actor(grant: sas.Grant) -> str:
    if grant.kind is sas.GrantKind.ACCOUNT:
        return "account token"
    return f"token of policy {grant.policy}" if grant.policy else "ad-hoc token"
