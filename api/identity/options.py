"""The operator's settings for identities: plain frozen values, built by `api.config` and by tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from retain.api.identity.caller import is_user_name

NAME_CLAIMS = ("user_name", "preferred_username", "email", "sub")
"""Claims that may hold a token's user name: the first that is present counts (docs/wire/settings.md, section
9)."""

ROLE_CLAIMS = (
    "roles",
    "groups",
    "scope",
    "realm_access.roles",
    "xs.system.attributes.xs.rolecollections",
)
"""Claims that hold a token's roles: all of these together. A dot steps into an object, or is part of a
member's name."""

SECRET_BYTES_MIN = 32
"""Shortest HS256 secret: as long as the hash (RFC 7518 section 3.2)."""


@dataclass(frozen=True, slots=True)
class User:
    """A configured user.

    Attributes:
        name: As typed at login, compared exactly.
        password_hash: Argon2id in PHC form, as `retain user hash` prints it.
        roles: Role names.

    """

    name: str
    password_hash: str = field(repr=False)
    roles: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not is_user_name(self.name) or ":" in self.name:
            raise ValueError(
                f"{self.name!r} cannot be a user name: RFC 7617 allows no colon, no control character"
            )
        if not self.password_hash.startswith("$argon2id$"):
            raise ValueError(
                f"the password of {self.name!r} must be an argon2id hash: see `retain user hash`"
            )


@dataclass(frozen=True, slots=True)
class BearerOptions:
    """How signed tokens (JWT, RFC 7519) are verified.

    Attributes:
        jwks_file: A JSON Web Key Set with public keys on disk.
        jwks_url: The same behind a URL: https, or http to this machine only.
        secret: Shared secret for HS256, at least 32 bytes.
        issuer: What `iss` must be; None accepts any issuer whose key is in the set.
        audiences: One of these must be in `aud`. Without any, a token that names an audience is refused.
        algorithms: Signature algorithms taken from keys of the set; each key is still for one only.
        leeway_s: Seconds that clocks may differ, 0 to 300.
        name_claims: See `NAME_CLAIMS`.
        role_claims: See `ROLE_CLAIMS`.
        refresh_s: Seconds after which a key set is read again.
        unknown_key_pause_s: Least seconds between two readings that unknown key ids ask for.

    """

    jwks_file: Path | None = None
    jwks_url: str | None = None
    secret: bytes | None = field(default=None, repr=False)
    issuer: str | None = None
    audiences: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    leeway_s: float = 60.0
    name_claims: tuple[str, ...] = NAME_CLAIMS
    role_claims: tuple[str, ...] = ROLE_CLAIMS
    refresh_s: float = 3600.0
    unknown_key_pause_s: float = 30.0

    def __post_init__(self) -> None:
        if self.jwks_file is not None and self.jwks_url is not None:
            raise ValueError("give the key set as a file or as a URL, not both")
        if self.jwks_file is None and self.jwks_url is None and self.secret is None:
            raise ValueError("bearer tokens need a key: jwt_jwks or jwt_secret")
        if self.secret is not None and len(self.secret) < SECRET_BYTES_MIN:
            raise ValueError(f"the secret for HS256 needs at least {SECRET_BYTES_MIN} bytes")
        if not 0 <= self.leeway_s <= 300:
            raise ValueError("leeway must be 0 to 300 seconds")
        if {name[:2] for name in self.algorithms} & {"HS", "no"}:
            raise ValueError(
                "algorithms must not contain HS… or none: anyone could sign with the public keys of a set"
            )
        if not self.name_claims:
            raise ValueError("at least one claim must name the user")


@dataclass(frozen=True, slots=True)
class ProxyOptions:
    """A reverse proxy that has authenticated the caller already.

    Attributes:
        peers: The proxy's addresses or networks. Its headers are ignored when they come from anywhere else.
        user_header: Header with the user's name.
        groups_header: Header with the roles, separated by commas. None accepts no roles: the proxy passes on
            a header that it does not set itself from any client.

    """

    peers: tuple[IPv4Network | IPv6Network, ...]
    user_header: str = "X-Forwarded-User"
    groups_header: str | None = None


@dataclass(frozen=True, slots=True)
class ThrottleOptions:
    """How failed logins are slowed.

    Attributes:
        free: Failures of an address, or for a name, before anything is slowed.
        base_s: The first delay in seconds; each further failure doubles it.
        max_s: The longest delay between two attempts.
        queue_s: Longest an attempt may wait for its turn; beyond that it is refused at once with 429.
        forget_s: Seconds without an attempt after which the failures are forgotten.

    """

    free: int = 5
    base_s: float = 0.5
    max_s: float = 30.0
    queue_s: float = 10.0
    forget_s: float = 900.0


@dataclass(frozen=True, slots=True)
class IdentityOptions:
    """Everything about identities.

    Attributes:
        realm: Shown by a browser's login dialogue.
        users: Users for HTTP Basic.
        bearer: How tokens are judged; None refuses them.
        proxy: Which proxy may name its users; None ignores such headers.
        trusted_proxies: Peers whose `X-Forwarded-For` is trusted when failed logins are counted per address.
        anonymous: Whether a call without credentials is accepted, as `anonymous` without roles.
        remember_s: Seconds for which a verified credential is not verified again.
        throttle: How failed logins are slowed.

    """

    realm: str = "Retain"
    users: tuple[User, ...] = ()
    bearer: BearerOptions | None = None
    proxy: ProxyOptions | None = None
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    anonymous: bool = False
    remember_s: float = 300.0
    throttle: ThrottleOptions = ThrottleOptions()

    def __post_init__(self) -> None:
        if not self.realm.isascii() or not self.realm.isprintable() or set(self.realm) & set('"\\'):
            raise ValueError("the realm must be printable ASCII without quotes and backslashes")
        names = [user.name for user in self.users]
        if len(set(names)) != len(names):
            raise ValueError("two users have the same name")
