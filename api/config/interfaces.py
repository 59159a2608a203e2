"""Configuration of the three interfaces and of who may use them."""

from __future__ import annotations

from dataclasses import dataclass

from retain.api.config.checks import (
    account_name,
    algorithms,
    claims,
    container_names,
    header_name,
    host_suffixes,
    key_set,
    mime_types,
    origins,
    password_hash,
    user_name,
)
from retain.api.config.fields import required, setting

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30

TTL_CEILING_S = 630_720_000
"""20 years, where the original's store stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AreasConfig:
    """The Genesys Mobile Services storage interface, at /genesys/1/storage."""

    enabled: bool = setting(True, "Serve this interface.")
    default_ttl: int = setting(
        30, "Seconds instead of a ttl that is missing, zero or no number.", minimum=1, maximum=TTL_CEILING_S
    )
    max_ttl: int = setting(
        TTL_CEILING_S, "Seconds any longer ttl is cut down to.", minimum=1, maximum=TTL_CEILING_S
    )
    ttl_scope: str = setting(
        "key",
        "key: an update re-arms the keys it carries; area: it re-arms the whole area.",
        choices=("key", "area"),
    )
    underscore_keys: str = setting(
        "reject",
        "A key that begins with an underscore is never stored; reject: the request is refused; "
        "ignore: the key is left out.",
        choices=("reject", "ignore"),
    )
    upsert_with_user: bool = setting(
        True, "An update of an unknown id creates the area if the request carries gms_user."
    )
    allow_file_control: bool = setting(False, "Take only files of the types in allowed_mime_types.")
    allowed_mime_types: tuple[str, ...] = setting(
        (),
        "The only types of files taken when allow_file_control is on.",
        example=["image/png"],
        check=mime_types,
    )
    cors_allowed_origins: tuple[str, ...] = setting(
        (),
        "Web origins whose pages may call this interface from a browser.",
        example=["https://app.example.org"],
        check=origins,
    )
    relative_url: bool = setting(False, "Answer links to files as paths, without scheme and host.")
    max_request_bytes: int = setting(
        8 * GIBIBYTE,
        "Bytes of one request's body; more are answered 413.",
        minimum=1024,
        maximum=1024 * GIBIBYTE,
    )
    max_value_bytes: int = setting(8 * GIBIBYTE, "Bytes of one file.", minimum=1, maximum=1024 * GIBIBYTE)
    max_text_bytes: int = setting(
        MEBIBYTE, "Bytes of one value that is not a file.", minimum=1, maximum=64 * MEBIBYTE
    )
    max_keys: int = setting(1000, "Keys in one request, and in one area.", minimum=1, maximum=1_000_000)
    max_key_bytes: int = setting(255, "Bytes of a key's name, and of an id.", minimum=1, maximum=4096)
    quota_bytes: int = setting(
        0,
        "Bytes all areas may hold together; more are answered 507. 0: as much as the disk takes.",
        minimum=0,
    )
    quota_areas_per_user: int = setting(
        0, "Areas one gms_user may own; more are answered 507. 0: any number.", minimum=0
    )
    username: str | None = setting(
        None,
        "HTTP Basic credentials for this interface; it is open without.",
        example="general",
        check=user_name,
    )
    password: str | None = setting(
        None,
        "The password's argon2 hash (`retain user hash`).",
        example="$argon2id$…",
        secret=True,
        check=password_hash,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsConfig:
    """The SAP Mobile Services storage interface, at /mobileservices."""

    enabled: bool = setting(True, "Serve this interface.")
    origin: str = setting("hcpms", "The origin name in /mobileservices/origin/<name>/…")
    applications: tuple[str, ...] = setting(
        (),
        "The only application ids that exist; without any, the first write creates one.",
        example=["com.example"],
        empty_opens=True,
    )
    put_creates: bool = setting(
        False, "PUT creates what is missing at application and user level, too, instead of 404."
    )
    allow_object_arrays: bool = setting(False, "Take arrays that hold objects, which the interface forbids.")
    global_create_roles: tuple[str, ...] = setting(
        (),
        "Roles that may create configurations at application level; without any, every user may.",
        empty_opens=True,
    )
    metadata_writers: str = setting(
        "runtime",
        "Who sets readRoles and writeRoles; runtime: whoever may write the configuration; admin: "
        "admin_roles only.",
        choices=("runtime", "admin"),
    )
    device_isolation: str = setting(
        "creator",
        "creator: the first writer owns a device id; per_user: each user has device ids of his own.",
        choices=("creator", "per_user"),
    )
    admin_roles: tuple[str, ...] = setting(
        ("admin",), "Roles that pass every list of roles and may act for any user."
    )
    max_body_bytes: int = setting(MEBIBYTE, "Bytes of one request's body.", minimum=64, maximum=4 * MEBIBYTE)
    max_document_bytes: int = setting(
        4 * MEBIBYTE,
        "Bytes of the document of one level; more are answered 507.",
        minimum=64,
        maximum=4 * MEBIBYTE,
    )
    max_depth: int = setting(64, "How deep JSON may be nested.", minimum=4, maximum=200)
    max_name_bytes: int = setting(255, "Bytes of one name in a path.", minimum=8, maximum=4096)
    quota_application_bytes: int = setting(
        0,
        "Bytes all documents of one application may hold together; more are answered 507. "
        "0: as much as the disk takes.",
        minimum=0,
    )
    quota_devices_per_user: int = setting(
        0, "Devices one user may have in one application; more are answered 507. 0: any number.", minimum=0
    )
    history_days: int = setting(
        90,
        "Days an earlier version of a document can still be read and restored; at most retention.audit_days. "
        "0: what is overwritten is erased.",
        minimum=0,
        maximum=36500,
    )
    max_wait_seconds: int = setting(
        300, "Longest a read with ?wait= waits for a change.", minimum=1, maximum=3600
    )
    max_watchers: int = setting(
        1000,
        "Requests that may wait for changes at once; more are answered 429.",
        minimum=0,
        maximum=100_000,
    )
    max_watchers_per_user: int = setting(
        50, "Of those, how many one user may have.", minimum=0, maximum=100_000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobsConfig:
    """The Azure Blob Storage interface, at /<account>/<container>/<blob>."""

    enabled: bool = setting(True, "Serve this interface.")
    host_suffixes: tuple[str, ...] = setting(
        (),
        "Host name endings in front of which the account stands, for URLs without the account in the path.",
        example=[".blob.core.example.org"],
        check=host_suffixes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityConfig:
    """Who is calling: besides HTTP Basic against [[users]], bearer tokens and a trusted proxy's headers."""

    realm: str = setting("Retain", "The name a browser shows when it asks for a password.")
    anonymous: bool = setting(
        False, "Serve the settings interface to callers without credentials, without any role."
    )
    jwt_jwks: str | None = setting(
        None,
        "File or https URL of the keys (JWKS) that bearer tokens are signed with. A relative path starts at "
        "this file's folder.",
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
        ("RS256", "ES256"), "Signature algorithms taken from keys of jwt_jwks.", check=algorithms
    )
    jwt_issuer: str | None = setting(
        None, "The only issuer (iss) whose tokens are taken.", example="https://login.example.org"
    )
    jwt_audience: str | None = setting(
        None, "The audience (aud) a token must be meant for.", example="retain"
    )
    jwt_leeway: int = setting(
        60, "Seconds the clocks of issuer and server may differ.", minimum=0, maximum=300
    )
    jwt_user_claims: tuple[str, ...] = setting(
        ("user_name", "preferred_username", "email", "sub"),
        "Claims that name the user; the first present one counts.",
        check=claims,
    )
    jwt_role_claims: tuple[str, ...] = setting(
        ("roles", "groups", "scope", "realm_access.roles", "xs.system.attributes.xs.rolecollections"),
        "Claims that list roles; all of them count. A dot steps into an object.",
    )
    proxy_user_header: str | None = setting(
        None,
        "Header in which a proxy of trusted_proxies names the authenticated user.",
        example="X-Forwarded-User",
        check=header_name,
    )
    proxy_roles_header: str | None = setting(
        None,
        "Header in which that proxy lists the roles, separated by commas.",
        example="X-Forwarded-Groups",
        check=header_name,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UserConfig:
    """A user of the interfaces, as often as needed."""

    name: str = required("The name the user gives.", example="operator", check=user_name)
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
    """An account of the blob interface, as often as needed."""

    name: str = required("The account's name.", example="mytenant", check=account_name)
    containers: tuple[str, ...] = setting(
        (), "Containers made at the start if they are missing.", example=["recordings", "gim-export"],
        check=container_names,
    )  # fmt: skip
    key: str | None = setting(
        None,
        "A fixed account key (base64), as emulators have one; made at the first start and kept in a "
        "file without.",
        example="…base64…",
        secret=True,
    )
    second_key: str | None = setting(
        None,
        "A second fixed account key (base64), for suites that use both keys of an emulator's account; needs "
        "`key`.",
        example="…base64…",
        secret=True,
    )
