"""The identities of a configuration."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

from retain.api.config.load import Config, IdentityConfig
from retain.api.http.addresses import Networks
from retain.api.identity.options import BearerOptions, IdentityOptions, ProxyOptions, User


def identity_options(config: Config) -> IdentityOptions:
    """Return the users, tokens and proxies that `config` describes.

    Users without a password are left out: they cannot log in.

    Raises:
        ValueError: An invalid value that only this step detects, such as a hash that is not argon2id.
    """
    proxies = tuple(ip_network(item, strict=False) for item in config.server.trusted_proxies)
    return IdentityOptions(
        realm=config.identity.realm,
        users=tuple(
            User(user.name, user.password, frozenset(user.roles)) for user in config.users if user.password
        ),
        bearer=_bearer(config.identity),
        proxy=_proxy(config.identity, proxies),
        trusted_proxies=proxies,
        anonymous=config.identity.anonymous,
    )


def areas_identity_options(config: Config) -> IdentityOptions | None:
    """Return the one user of the areas interface, without roles; None if that interface needs no login."""
    if config.areas.username is None or config.areas.password is None:
        return None
    return IdentityOptions(
        realm=config.identity.realm,
        users=(User(config.areas.username, config.areas.password),),
        trusted_proxies=tuple(ip_network(item, strict=False) for item in config.server.trusted_proxies),
    )


def _bearer(identity: IdentityConfig) -> BearerOptions | None:
    keys, secret = identity.jwt_jwks, identity.jwt_secret
    if keys is None and secret is None:
        return None
    remote = keys is not None and "://" in keys
    return BearerOptions(
        jwks_file=Path(keys) if keys is not None and not remote else None,
        jwks_url=keys if remote else None,
        secret=None if secret is None else secret.encode(),
        issuer=identity.jwt_issuer,
        audiences=() if identity.jwt_audience is None else (identity.jwt_audience,),
        algorithms=tuple(name for name in identity.jwt_algorithms if name != "HS256"),
        leeway_s=identity.jwt_leeway,
        name_claims=identity.jwt_user_claims,
        role_claims=identity.jwt_role_claims,
    )


def _proxy(identity: IdentityConfig, peers: Networks) -> ProxyOptions | None:
    if identity.proxy_user_header is None:
        return None
    return ProxyOptions(peers, identity.proxy_user_header, identity.proxy_roles_header)
