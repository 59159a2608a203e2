"""The fields that a shared access signature signs, in their order, by version.

See docs/wire/blobs.md, sections 2.1 and 3. Data and small functions; used both to verify and to issue.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Final

OVERRIDES: Final = ("rscc", "rscd", "rsce", "rscl", "rsct")
"""Parameters that replace a header of the response, in the order in which they are signed."""

OVERRIDE_HEADERS: Final = {
    "rscc": "Cache-Control",
    "rscd": "Content-Disposition",
    "rsce": "Content-Encoding",
    "rscl": "Content-Language",
    "rsct": "Content-Type",
}

USER_DELEGATION: Final = frozenset(
    {
        "skoid",
        "sktid",
        "skt",
        "ske",
        "sks",
        "skv",
        "saoid",
        "suoid",
        "scid",
        "skdutid",
        "sduoid",
        "srh",
        "srq",
    }
)
"""Parameters of a user-delegation SAS (Entra), which this server does not offer."""

SIGNED: Final = frozenset(
    {"sv", "sr", "ss", "srt", "sp", "st", "se", "si", "sip", "spr", "ses", "sdd", "sig", *OVERRIDES}
)

ALL: Final = SIGNED | USER_DELEGATION

# "cr" stands for the canonicalized resource, "snapshot" for the snapshot or version the URL names.
SERVICE_FIELDS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        "2020-12-06",
        ("sp", "st", "se", "cr", "si", "sip", "spr", "sv", "sr", "snapshot", "ses", *OVERRIDES),
    ),
    ("2018-11-09", ("sp", "st", "se", "cr", "si", "sip", "spr", "sv", "sr", "snapshot", *OVERRIDES)),
    ("2015-04-05", ("sp", "st", "se", "cr", "si", "sip", "spr", "sv", *OVERRIDES)),
    ("2013-08-15", ("sp", "st", "se", "cr", "si", "sv", *OVERRIDES)),
    ("2012-02-12", ("sp", "st", "se", "cr", "si", "sv")),
)
"""From which version on a service SAS signs which fields; the first row whose version is not above `sv`
holds."""

ACCOUNT_FIELDS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("2020-12-06", ("account", "sp", "ss", "srt", "st", "se", "sip", "spr", "sv", "ses")),
    ("2015-04-05", ("account", "sp", "ss", "srt", "st", "se", "sip", "spr", "sv")),
)
"""The same for an account SAS, where every field ends with a newline, the last one too."""

SERVICE_LETTERS: Final = frozenset("racwdxyltfmeopi")
ACCOUNT_LETTERS: Final = frozenset("rwdxylacupfti")

_BLOB_PREFIX_SINCE: Final = "2015-02-21"
_VERSION: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def is_version(text: str) -> bool:
    """Return whether a text has the form of a service version.

    Versions newer than the known ones are accepted (docs/wire/blobs.md).
    """
    return _VERSION.fullmatch(text) is not None


def signed_fields(table: tuple[tuple[str, tuple[str, ...]], ...], version: str) -> tuple[str, ...] | None:
    """Return the fields that a version signs; None if the version is older than the table."""
    return next((fields for since, fields in table if version >= since), None)


def canonical_resource(version: str, account: str, container: str, blob: str | None) -> str:
    """Return the resource of a service SAS: decoded names, the account once, for both URL styles."""
    path = f"/{account}/{container}" if blob is None else f"/{account}/{container}/{blob}"
    return f"/blob{path}" if version >= _BLOB_PREFIX_SINCE else path


def service_string(fields: tuple[str, ...], values: Mapping[str, str]) -> str:
    """Return the string-to-sign of a service SAS: the fields joined by newlines, absent ones empty."""
    return "\n".join([values.get(name, "") for name in fields])


def account_string(fields: tuple[str, ...], values: Mapping[str, str]) -> str:
    """Return the string-to-sign of an account SAS: a newline after every field."""
    return "\n".join([values.get(name, "") for name in fields]) + "\n"


def sign(key: bytes, text: str) -> bytes:
    """Return the HMAC-SHA-256 of a string-to-sign under a decoded account key."""
    return hmac.digest(key, text.encode("utf-8"), hashlib.sha256)


def is_signed_by(signature: bytes, text: str, keys: tuple[bytes, ...]) -> bool:
    """Return whether one of the account's keys made a signature.

    Every key is tried and compared in constant time, so that the response's timing reveals neither how much
    of a forged signature was right nor which key is in use.
    """
    message = text.encode("utf-8")
    matched = False
    for key in keys:
        matched |= hmac.compare_digest(hmac.digest(key, message, hashlib.sha256), signature)
    return matched


def encode_signature(signature: bytes) -> str:
    """Return the Base64 text of a signature."""
    return b64encode(signature).decode("ascii")


def decode_signature(text: str) -> bytes | None:
    """Return the 32 bytes of a signature, None unless the text is exactly their one canonical Base64 form."""
    try:
        signature = b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, Base64Error):
        return None
    return signature if len(signature) == 32 and encode_signature(signature) == text else None
