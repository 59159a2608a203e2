"""The sections `[identity]`, `[[users]]` and `[[tenants]]`: who may use the server."""

from __future__ import annotations

from dataclasses import dataclass

from retain.api.config.checks import (
    account_name,
    algorithms,
    claims,
    container_names,
    header_name,
    key_set,
    password_hash,
    user_name,
)
from retain.api.config.fields import required, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityConfig:
    """Authentication besides HTTP Basic with [[users]]: bearer tokens and the headers of a trusted proxy."""

    realm: str = setting("Retain", "The name a browser shows when it asks for a password.")
    anonymous: bool = setting(
        False, "Serve the settings interface to callers without credentials; they have no role."
    )
    jwt_jwks: str | None = setting(
        None,
        "File or https URL of the keys (JWKS) that verify bearer tokens. A relative path starts at this "
        "file's "
        "folder.",
        example="https://login.example.org/keys",
        check=key_set,
    )
    jwt_secret: str | None = setting(
        None,
        "Shared secret of bearer tokens signed with HS256, at least 32 characters.",
        secret=True,
        check=lambda value: None if len(value) >= 32 else "must have at least 32 characters",
    )
    jwt_algorithms: tuple[str, ...] = setting(
        ("RS256", "ES256"), "Signature algorithms accepted with keys of jwt_jwks.", check=algorithms
    )
    jwt_issuer: str | None = setting(
        None, "The only issuer (iss) whose tokens are accepted.", example="https://login.example.org"
    )
    jwt_audience: str | None = setting(None, "The audience (aud) that a token must name.", example="retain")
    jwt_leeway: int = setting(
        60, "Seconds by which the clocks of issuer and server may differ.", minimum=0, maximum=300
    )
    jwt_user_claims: tuple[str, ...] = setting(
        ("user_name", "preferred_username", "email", "sub"),
        "Claims that name the user; the first one present is used.",
        check=claims,
    )
    jwt_role_claims: tuple[str, ...] = setting(
        ("roles", "groups", "scope", "realm_access.roles", "xs.system.attributes.xs.rolecollections"),
        "Claims that list roles; all of them are used. A dot separates the names of nested objects.",
    )
    proxy_user_header: str | None = setting(
        None,
        "Header in which a proxy of trusted_proxies names the authenticated user.",
        example="X-Forwarded-User",
        check=header_name,
    )
    proxy_roles_header: str | None = setting(
        None,
        "Header in which a proxy of trusted_proxies lists the roles, separated by commas.",
        example="X-Forwarded-Groups",
        check=header_name,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UserConfig:
    """A user who can log in; repeatable."""

    name: str = required("The user's login name.", example="operator", check=user_name)
    password: str = setting(
        "",
        "The password's argon2 hash (`retain user hash`).",
        example="$argon2id$…",
        secret=True,
        check=password_hash,
    )
    roles: tuple[str, ...] = setting((), "The user's roles.", example=["Role1", "Administrator"])


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantConfig:
    """An account of the blobs interface; repeatable."""

    name: str = required("The account's name.", example="mytenant", check=account_name)
    containers: tuple[str, ...] = setting(
        (), "Containers that the start creates if they are missing.", example=["recordings", "gim-export"],
        check=container_names,
    )  # fmt: skip
    key: str | None = setting(
        None,
        "A fixed account key (base64), as emulators use; without it, the first start generates a key and "
        "stores "
        "it in a file.",
        example="…base64…",
        secret=True,
    )
    second_key: str | None = setting(
        None,
        "A second fixed account key (base64), for test suites that use both keys of an emulator's account; "
        "requires `key`.",
        example="…base64…",
        secret=True,
    )
