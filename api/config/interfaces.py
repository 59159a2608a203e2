"""The sections `[areas]`, `[settings]` and `[blobs]`: the three interfaces."""

from __future__ import annotations

from dataclasses import dataclass

from retain.api.config.checks import (
    host_suffixes,
    mime_types,
    origins,
    password_hash,
    user_name,
)
from retain.api.config.fields import setting

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30

TTL_CEILING_S = 630_720_000
"""20 years, where the original's store stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AreasConfig:
    """The Genesys Mobile Services storage interface, at /genesys/1/storage."""

    enabled: bool = setting(True, "Serve this interface.")
    default_ttl: int = setting(
        30,
        "Time to live in seconds if a request's ttl is missing, zero or not a number.",
        minimum=1,
        maximum=TTL_CEILING_S,
    )
    max_ttl: int = setting(
        TTL_CEILING_S,
        "Longest ttl in seconds; longer ones are shortened to it.",
        minimum=1,
        maximum=TTL_CEILING_S,
    )
    ttl_scope: str = setting(
        "key",
        "key: an update renews the ttl of the keys it contains; area: it renews the ttl of the whole area.",
        choices=("key", "area"),
    )
    underscore_keys: str = setting(
        "reject",
        "Keys that start with an underscore are never stored. reject: refuse the request; ignore: skip "
        "the key.",
        choices=("reject", "ignore"),
    )
    upsert_with_user: bool = setting(
        True, "An update of an unknown id creates the area if the request carries gms_user."
    )
    allow_file_control: bool = setting(False, "Accept only files of the types in allowed_mime_types.")
    allowed_mime_types: tuple[str, ...] = setting(
        (),
        "The file types accepted if allow_file_control is on.",
        example=["image/png"],
        check=mime_types,
    )
    cors_allowed_origins: tuple[str, ...] = setting(
        (),
        "Web origins whose pages may call this interface from a browser.",
        example=["https://app.example.org"],
        check=origins,
    )
    relative_url: bool = setting(False, "Return links to files as paths, without scheme and host.")
    max_request_bytes: int = setting(
        8 * GIBIBYTE,
        "Largest request body in bytes; larger ones are answered 413.",
        minimum=1024,
        maximum=1024 * GIBIBYTE,
    )
    max_value_bytes: int = setting(8 * GIBIBYTE, "Largest file in bytes.", minimum=1, maximum=1024 * GIBIBYTE)
    max_text_bytes: int = setting(
        MEBIBYTE, "Largest value in bytes, except files.", minimum=1, maximum=64 * MEBIBYTE
    )
    max_keys: int = setting(
        1000, "Largest number of keys in a request and in an area.", minimum=1, maximum=1_000_000
    )
    max_key_bytes: int = setting(
        255, "Longest name of a key, and longest id, in bytes.", minimum=1, maximum=4096
    )
    quota_bytes: int = setting(
        0,
        "Largest size of all areas together in bytes; writes beyond it are answered 507. 0: no limit but the "
        "disk.",
        minimum=0,
    )
    quota_areas_per_user: int = setting(
        0, "Areas that one gms_user may own; further ones are answered 507. 0: no limit.", minimum=0
    )
    username: str | None = setting(
        None,
        "User name for HTTP Basic; without it, the interface needs no login.",
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
        "The application ids that exist; if empty, the first write creates an application.",
        example=["com.example"],
        empty_opens=True,
    )
    put_creates: bool = setting(
        False,
        "PUT creates missing configurations at application and user level, too, instead of answering 404.",
    )
    allow_object_arrays: bool = setting(
        False, "Accept arrays that hold objects, which SAP's interface refuses."
    )
    global_create_roles: tuple[str, ...] = setting(
        (),
        "Roles that may create configurations at application level; without any, every user may.",
        empty_opens=True,
    )
    metadata_writers: str = setting(
        "runtime",
        "Who may set readRoles and writeRoles. runtime: every user who may write the configuration; "
        "admin: only "
        "users with admin_roles.",
        choices=("runtime", "admin"),
    )
    device_isolation: str = setting(
        "creator",
        "creator: the first writer owns a device id; per_user: device ids of different users are "
        "independent.",
        choices=("creator", "per_user"),
    )
    admin_roles: tuple[str, ...] = setting(
        ("admin",), "Roles that satisfy every list of roles and may read and write for any user."
    )
    max_body_bytes: int = setting(
        MEBIBYTE, "Largest request body in bytes.", minimum=64, maximum=4 * MEBIBYTE
    )
    max_document_bytes: int = setting(
        4 * MEBIBYTE,
        "Largest document of a level in bytes; larger ones are answered 507.",
        minimum=64,
        maximum=4 * MEBIBYTE,
    )
    max_depth: int = setting(64, "Deepest nesting of JSON.", minimum=4, maximum=200)
    max_name_bytes: int = setting(255, "Longest name in a path, in bytes.", minimum=8, maximum=4096)
    quota_application_bytes: int = setting(
        0,
        "Largest size of all documents of an application together in bytes; writes beyond it are answered "
        "507. "
        "0: no limit but the disk.",
        minimum=0,
    )
    quota_devices_per_user: int = setting(
        0,
        "Devices that one user may have in an application; further ones are answered 507. 0: no limit.",
        minimum=0,
    )
    history_days: int = setting(
        90,
        "Days for which earlier versions of a document can be read and restored; at most "
        "retention.audit_days. "
        "0: overwritten versions are erased.",
        minimum=0,
        maximum=36500,
    )
    max_wait_seconds: int = setting(
        300, "Longest time in seconds that a read with ?wait= waits for a change.", minimum=1, maximum=3600
    )
    max_watchers: int = setting(
        1000,
        "Requests that may wait for changes at the same time; further ones are answered 429.",
        minimum=0,
        maximum=100_000,
    )
    max_watchers_per_user: int = setting(
        50, "Requests of one user that may wait at the same time.", minimum=0, maximum=100_000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobsConfig:
    """The Azure Blob Storage interface, at /<account>/<container>/<blob>."""

    enabled: bool = setting(True, "Serve this interface.")
    host_suffixes: tuple[str, ...] = setting(
        (),
        "Host name endings that follow the account's name, for URLs without the account in the path.",
        example=[".blob.core.example.org"],
        check=host_suffixes,
    )
