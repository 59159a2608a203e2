"""Issue shared access signatures, for `retain token create` and the console.

The text of a token is a secret. These functions return it and store nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from retain.api.blobs.sas import fields as fields
from retain.api.blobs.sas.token import parse_token
from retain.api.blobs.wire.times import iso_seconds

DEFAULT_VERSION: Final = "2021-12-02"
"""The `sv` of issued tokens: it supports tags and find, and curl users get its behaviour without a header."""


def issue_service_sas(
    key: bytes,
    *,
    account: str,
    container: str,
    blob: str | None = None,
    permissions: str | None = None,
    start: int | None = None,
    expiry: int | None = None,
    policy: str | None = None,
    addresses: str | None = None,
    protocol: str | None = None,
    overrides: Mapping[str, str] | None = None,
    version: str = DEFAULT_VERSION,
) -> str:
    """Return the query string of a service SAS for a container, or for one blob in it.

    Times in nanoseconds, written to whole seconds. Values that a stored `policy` sets must be left out here.
    `addresses` is an IPv4 address or `a-b`; `overrides` maps rscc, rscd, rsce, rscl, rsct to header values.

    Raises ValueError if the version cannot sign one of the fields, AzureError if the token would be
    malformed.
    """
    values = {
        "sv": version,
        "spr": protocol or "",
        "st": "" if start is None else iso_seconds(start),
        "se": "" if expiry is None else iso_seconds(expiry),
        "sr": "c" if blob is None else "b",
        "sp": permissions or "",
        "si": policy or "",
        "sip": addresses or "",
        **(overrides or {}),
    }
    signed = fields.signed_fields(fields.SERVICE_FIELDS, version)
    _require_signable(values, signed, {"sr"})
    values["cr"] = fields.canonical_resource(version, account, container, blob)
    text = fields.service_string(signed or (), values)
    del values["cr"]
    return _encode(values, fields.sign(key, text))


def issue_account_sas(
    key: bytes,
    *,
    account: str,
    permissions: str,
    expiry: int,
    start: int | None = None,
    services: str = "b",
    types: str = "sco",
    addresses: str | None = None,
    protocol: str | None = None,
    version: str = DEFAULT_VERSION,
) -> str:
    """Return the query string of an account SAS. Times in nanoseconds, written to whole seconds.

    Only the keys of the account revoke it. Raises as `issue_service_sas` does.
    """
    values = {
        "sv": version,
        "spr": protocol or "",
        "ss": services,
        "srt": types,
        "st": "" if start is None else iso_seconds(start),
        "se": iso_seconds(expiry),
        "sp": permissions,
        "sip": addresses or "",
    }
    signed = fields.signed_fields(fields.ACCOUNT_FIELDS, version)
    _require_signable(values, signed, set())
    text = fields.account_string(signed or (), {**values, "account": account})
    return _encode(values, fields.sign(key, text))


def _require_signable(values: Mapping[str, str], signed: tuple[str, ...] | None, unsigned: set[str]) -> None:
    if signed is None:
        raise ValueError("this version signs no such token")
    for name, value in values.items():
        if value and name not in signed and name not in unsigned and name != "sv":
            raise ValueError(f"{name} is not part of this version")


def _encode(values: Mapping[str, str], signature: bytes) -> str:
    """Percent-encode the given fields; parsed once, so that nothing malformed is ever returned."""
    filled = {name: value for name, value in values.items() if value}
    filled["sig"] = fields.encode_signature(signature)
    text = "&".join(f"{name}={quote(value, safe='')}" for name, value in filled.items())
    parse_token(text.encode("ascii"))
    return text
