"""Identities as the configuration describes them."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from retain.api.config.load import AreasConfig, Config, IdentityConfig, ServerConfig, UserConfig
from retain.api.identity import ProxyOptions, User, areas_identity_options, identity_options


def test_nothing_configured_offers_nothing() -> None:
    options = identity_options(Config())
    assert (options.users, options.bearer, options.proxy, options.anonymous) == ((), None, None, False)
    assert areas_identity_options(Config()) is None


def test_users_with_a_password_can_log_in() -> None:
    users = (UserConfig(name="ann", password="$argon2id$x", roles=("Role1",)), UserConfig(name="bob"))
    assert identity_options(Config(users=users)).users == (User("ann", "$argon2id$x", frozenset({"Role1"})),)
    with pytest.raises(ValueError, match="argon2id"):
        identity_options(Config(users=(UserConfig(name="ann", password="$argon2i$x"),)))


@pytest.mark.parametrize("keys", ["https://issuer/keys", "/etc/retain/keys.json", None])
def test_tokens(keys: str | None) -> None:
    section = IdentityConfig(
        jwt_jwks=keys,
        jwt_secret="s" * 32,
        jwt_audience="retain",
        jwt_algorithms=("ES256", "HS256"),
        jwt_leeway=5,
    )
    bearer = identity_options(Config(identity=section)).bearer
    assert bearer is not None
    assert bearer.jwks_url == (keys if keys == "https://issuer/keys" else None)
    assert bearer.jwks_file == (Path(keys) if keys == "/etc/retain/keys.json" else None)
    assert (bearer.secret, bearer.audiences, bearer.leeway_s) == (b"s" * 32, ("retain",), 5)
    assert bearer.algorithms == ("ES256",)
    assert "sss" not in repr(bearer)


def test_a_trusted_proxy() -> None:
    config = Config(
        server=ServerConfig(trusted_proxies=("10.0.0.1",)),
        identity=IdentityConfig(proxy_user_header="X-User", proxy_roles_header="X-Roles"),
    )
    peers = (ip_network("10.0.0.1"),)
    assert identity_options(config).proxy == ProxyOptions(peers, "X-User", "X-Roles")
    assert identity_options(config).trusted_proxies == peers


def test_the_areas_interface_has_one_user_of_its_own() -> None:
    options = areas_identity_options(Config(areas=AreasConfig(username="general", password="$argon2id$x")))
    assert options is not None
    assert options.users == (User("general", "$argon2id$x"),)
