"""Shared Key and Shared Key Lite: the string a client signed, built from the request as received.

See docs/wire/blobs.md, section 4. The path enters as sent, still encoded, so nothing between client and
server may rewrite it. Clients sort the headers in two ways, by bytes or by a culture's weights, and write a
plus in a query in two ways: a signature is valid if any of these readings matches, under any key of the
account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from retain.api.blobs.sas.fields import decode_signature, is_signed_by
from retain.api.blobs.wire.errors import AzureError, authentication_failed
from retain.api.blobs.wire.times import parse_http_date
from retain.engine.core.time import SECOND

MAX_SKEW_SECONDS: Final = 15 * 60

_EMPTY_LENGTH_SINCE: Final = "2015-02-21"

_SIGNED_HEADERS: Final = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)

# The order of a header name's characters in a culture-aware comparison; hyphen and apostrophe are handled
# later.
_WEIGHTS: Final = {
    character: weight for weight, character in enumerate("!#$%&*.^_`|~+0123456789abcdefghijklmnopqrstuvwxyz")
}
_LATE_WEIGHTS: Final = {"'": 1, "-": 2}


@dataclass(frozen=True, slots=True)
class Signed:
    """The parts of a request that Shared Key signs. Header names in lower case, in the order received.

    `other_path` is a path that a client may have signed instead of the one it sent.
    """

    method: str
    raw_path: bytes
    raw_query: bytes
    headers: Sequence[tuple[str, str]]
    other_path: bytes | None = None


@dataclass(frozen=True, slots=True)
class Authorization:
    """An Authorization header, taken apart: the scheme, the account it names, the signature."""

    lite: bool
    account: str
    signature: bytes


def parse_authorization(value: str) -> Authorization:
    """Take an Authorization header apart.

    Raises AzureError InvalidAuthenticationInfo (401 for a bearer token).
    """
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() == "bearer":
        raise AzureError("InvalidAuthenticationInfo", status=401)
    account, colon, text = rest.strip().partition(":")
    signature = decode_signature(text.strip())
    if scheme not in ("SharedKey", "SharedKeyLite") or not colon or not account or signature is None:
        raise AzureError("InvalidAuthenticationInfo")
    return Authorization(scheme == "SharedKeyLite", account, signature)


def verify(
    authorization: Authorization,
    signed: Signed,
    account: str,
    keys: tuple[bytes, ...],
    version: str,
    now: int,
) -> None:
    """Verify a Shared Key signature: `account` as the URL names it, `version` the x-ms-version, `now` in ns.

    Raises AzureError AuthenticationFailed: another account, a date off by over 15 minutes, a wrong signature.
    """
    if authorization.account != account:
        raise authentication_failed("The account of the Authorization header is not the one of the URL.")
    _check_date(signed, now)
    texts = strings_to_sign(signed, account, version, lite=authorization.lite)
    matched = False
    for text in texts:
        matched |= is_signed_by(authorization.signature, text, keys)
    if not matched:
        shown = texts[0].replace("\n", "\\n")
        raise authentication_failed(
            "The MAC signature found in the HTTP request is not the same as any computed signature. "
            f"Server used following string to sign: '{shown}'."
        )


def strings_to_sign(signed: Signed, account: str, version: str, *, lite: bool = False) -> list[str]:
    """Return every reading of a request that a client may have signed, without duplicates."""
    first = _verb_and_headers(signed, version, lite)
    own = [(name, value) for name, value in signed.headers if name.startswith("x-ms-")]
    orders = (sorted(own), sorted(own, key=lambda header: culture_key(header[0])))
    paths = [path.decode("latin-1") for path in (signed.raw_path, signed.other_path) if path is not None]
    readings = (False, True) if b"+" in signed.raw_query else (False,)
    resources = [
        f"/{account}{path}{_query(signed, lite, plus_is_space=plus_is_space)}"
        for path in paths
        for plus_is_space in readings
    ]
    blocks = ["".join([f"{name}:{_fold(value)}\n" for name, value in order]) for order in orders]
    return list(dict.fromkeys(first + block + resource for block in blocks for resource in resources))


def culture_key(name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the sort key of a lower-case header name in a culture-aware comparison.

    Hyphens count only between equals.
    """
    return (
        tuple(_WEIGHTS[character] for character in name if character in _WEIGHTS),
        tuple(_LATE_WEIGHTS.get(character, 0) for character in name),
    )


def _verb_and_headers(signed: Signed, version: str, lite: bool) -> str:
    values: dict[str, str] = {}
    for name, value in signed.headers:
        values.setdefault(name, value)
    if "x-ms-date" in values:
        values["date"] = ""
    if lite:
        names: tuple[str, ...] = ("content-md5", "content-type", "date")
    else:
        names = _SIGNED_HEADERS
        if values.get("content-length") == "0" and version >= _EMPTY_LENGTH_SINCE:
            values["content-length"] = ""
    lines = [signed.method, *(values.get(name, "") for name in names)]
    return "".join(f"{line}\n" for line in lines)


def _fold(value: str) -> str:
    """Replace whitespace with a tab in it by one space (RFC 9110, section 5.5: it carries no meaning)."""
    return " ".join(value.split()) if "\t" in value else value.strip(" ")


def _query(signed: Signed, lite: bool, *, plus_is_space: bool) -> str:
    """Return what follows the path in the canonicalized resource: the query, decoded and sorted."""
    parameters: dict[str, list[str]] = {}
    for piece in signed.raw_query.split(b"&"):
        if not piece:
            continue
        raw_name, _, raw_value = piece.partition(b"=")
        if plus_is_space:
            raw_value = raw_value.replace(b"+", b" ")
        name = unquote_to_bytes(raw_name).decode("utf-8", "replace").lower()
        parameters.setdefault(name, []).append(unquote_to_bytes(raw_value).decode("utf-8", "replace"))
    if lite:
        comp = parameters.get("comp")
        return f"?comp={comp[0]}" if comp else ""
    return "".join(f"\n{name}:{','.join(sorted(parameters[name]))}" for name in sorted(parameters))


def _check_date(signed: Signed, now: int) -> None:
    values: dict[str, str] = {}
    for name, value in signed.headers:
        values.setdefault(name, value)
    name = "x-ms-date" if "x-ms-date" in values else "Date"
    sent = parse_http_date(values.get(name.lower(), ""))
    if sent is None or abs(now // SECOND - sent) > MAX_SKEW_SECONDS:
        raise authentication_failed(f"The {name} header in the request is missing, malformed or too far off.")
