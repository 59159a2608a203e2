"""Names: containers, blobs, metadata, blocks, versions (docs/wire/blobs.md, sections 5.1 and 8).

Checks only, no folding.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from uuid import UUID

from retain.api.blobs.wire.errors import AzureError, invalid_header, invalid_parameter

MAX_BLOB_NAME: Final = 1024
MAX_BLOB_SEGMENTS: Final = 254
MAX_METADATA_BYTES: Final = 8 * 1024
MAX_BLOCK_ID_BYTES: Final = 64
METADATA_PREFIX: Final = "x-ms-meta-"

_CONTAINER: Final = re.compile(r"[a-z0-9](?:-?[a-z0-9])*", re.ASCII)
_SPECIAL_CONTAINERS: Final = frozenset({"$root", "$web", "$logs"})
_METADATA_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_METADATA_VALUE: Final = re.compile("[\t\u0020-\u007e\u00a0-\u00ff]*")
_HYPHENATED: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_GUID: Final = re.compile(
    rf"[0-9a-f]{{32}}|{_HYPHENATED}|\{{{_HYPHENATED}\}}|\({_HYPHENATED}\)", re.ASCII | re.IGNORECASE
)
_NOT_IN_A_NAME: Final = re.compile(
    "[\u0000-\u001f\u007f-\u009f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane + last) for plane in range(0x10000, 0x110000, 0x10000) for last in (0xFFFE, 0xFFFF))
    + "]"
)


def _bad_length(minimum: int, maximum: int) -> AzureError:
    return AzureError(
        "OutOfRangeInput",
        message="The specified resource name length is not within the permissible limits.",
        extras=(("MinimumAllowed", str(minimum)), ("MaximumAllowed", str(maximum))),
    )


def check_container(name: str) -> None:
    """Check a container's name.

    3 to 63 of `a-z0-9-`, hyphens only between others and singly; or one of the three `$` containers. Raises
    AzureError OutOfRangeInput for the length, InvalidResourceName for the characters.
    """
    if name in _SPECIAL_CONTAINERS:
        return
    if not 3 <= len(name) <= 63:
        raise _bad_length(3, 63)
    if _CONTAINER.fullmatch(name) is None:
        raise AzureError("InvalidResourceName")


def check_blob(name: str) -> None:
    """Check 1 to 1024 characters in at most 254 segments, none a control character or a noncharacter.

    U+FFFE and U+FFFF are the two noncharacters that Azure takes; listings encode them.

    Raises AzureError OutOfRangeInput, InvalidUri or InvalidResourceName.
    """
    if not 1 <= len(name) <= MAX_BLOB_NAME:
        raise _bad_length(1, MAX_BLOB_NAME)
    if name.count("/") >= MAX_BLOB_SEGMENTS:
        raise AzureError("InvalidUri")
    if _NOT_IN_A_NAME.search(name) is not None:
        raise AzureError("InvalidResourceName")


def parse_metadata(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the metadata among headers, names without the prefix in the case sent.

    Raises AzureError EmptyMetadataKey, InvalidMetadata (no C# identifier, a name twice in any case, or a
    value no header may carry) or MetadataTooLarge (8 KiB of names and values).
    """
    metadata: dict[str, str] = {}
    seen: set[str] = set()
    size = 0
    for header, value in headers:
        if header[: len(METADATA_PREFIX)].lower() != METADATA_PREFIX:
            continue
        name = header[len(METADATA_PREFIX) :]
        if not name:
            raise AzureError("EmptyMetadataKey")
        folded = name.lower()
        if folded in seen or not _METADATA_NAME.fullmatch(name) or not _METADATA_VALUE.fullmatch(value):
            raise AzureError("InvalidMetadata")
        seen.add(folded)
        metadata[name] = value
        size += len(name) + len(value)
    if size > MAX_METADATA_BYTES:
        raise AzureError("MetadataTooLarge")
    return metadata


def metadata_headers(metadata: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the response headers of metadata, in the stored case: SDKs use the keys verbatim."""
    return [(f"{METADATA_PREFIX}{name}", value) for name, value in metadata.items()]


def block_id(text: str | None) -> bytes:
    """Return the bytes of a block's id, which clients write as Base64.

    Raises AzureError: a missing parameter, no Base64, or over 64 bytes. The engine checks that all
    uncommitted ids of a blob are equally long.
    """
    if not text:
        raise AzureError("MissingRequiredQueryParameter", extras=(("QueryParameterName", "blockid"),))
    decoded = decode_base64(text)
    if decoded is None or not decoded:
        raise invalid_parameter("blockid", text, "Not a valid base64 string.")
    if len(decoded) > MAX_BLOCK_ID_BYTES:
        raise AzureError("OutOfRangeInput")
    return decoded


def lease_id(header: Callable[[str], str | None], name: str = "x-ms-lease-id") -> str | None:
    """Return the lease id in the header `name` in its normal form: lower case, with hyphens; None if absent.

    Clients write a GUID in four forms: `N` (32 digits), `D` (with hyphens), `B` (in braces), `P` (in
    parentheses). Raises AzureError InvalidHeaderValue for anything else.
    """
    text = header(name)
    if not text:
        return None
    if _GUID.fullmatch(text) is None:
        raise invalid_header(name, text)
    return str(UUID(text.strip("(){}")))


def decode_base64(text: str) -> bytes | None:
    """Return the bytes of a padded Base64 text, None if it is anything else."""
    try:
        return b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, Base64Error):
        return None
