"""Blob index tags: their limits, and their two forms on the wire (docs/wire/blobs.md, section 5.5).

The XML form is read by `xml_bodies` and written by `tag_set`; the header form `x-ms-tags: k=v&k=v` is read
here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from retain.api.blobs.wire.errors import AzureError, invalid_header
from retain.api.blobs.wire.escape import DECLARATION, escape
from retain.api.http.percent import unescape

MAX_TAGS: Final = 10
MAX_KEY: Final = 128
MAX_VALUE: Final = 256
MAX_HEADER_BYTES: Final = 16 * 1024

_LEGAL: Final = re.compile(r"[A-Za-z0-9 +\-./:=_]*", re.ASCII)


def is_legal(text: str) -> bool:
    """Return whether a key or value has only the characters that tags may have."""
    return _LEGAL.fullmatch(text) is not None


def check_tags(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Apply the limits: at most 10, keys 1 to 128 and values up to 256 characters, keys unique.

    Raises AzureError EmptyTagName, DuplicateTagNames, TagsTooLarge or InvalidTag.
    """
    tags: dict[str, str] = {}
    for key, value in pairs:
        if not key:
            raise AzureError("EmptyTagName")
        if len(key) > MAX_KEY or len(value) > MAX_VALUE:
            raise AzureError("TagsTooLarge")
        if not is_legal(key) or not is_legal(value):
            raise AzureError("InvalidTag")
        if key in tags:
            raise AzureError("DuplicateTagNames")
        tags[key] = value
    if len(tags) > MAX_TAGS:
        raise AzureError("TagsTooLarge")
    return tags


def parse_tags_header(value: str) -> dict[str, str]:
    """Read `x-ms-tags`, percent-encoded, a plus meaning a space; empty means no tags.

    Raises AzureError InvalidHeaderValue for a broken form, otherwise as `check_tags`.
    """
    if len(value) > MAX_HEADER_BYTES:
        raise AzureError("TagsTooLarge")
    pairs = []
    for piece in value.split("&") if value else ():
        key, equals, text = piece.partition("=")
        if not equals:
            raise invalid_header("x-ms-tags", value)
        try:
            pairs.append((_decode(key), _decode(text)))
        except ValueError:  # a broken escape, or bytes that are not UTF-8
            raise invalid_header("x-ms-tags", value) from None
    return check_tags(pairs)


def _decode(text: str) -> str:
    return unescape(text.replace("+", " ").encode("latin-1", "replace")).decode("utf-8")


def tag_set(tags: Mapping[str, str]) -> str:
    """Return `<Tags>` as in listings and in the body of Get Blob Tags."""
    items = "".join(
        f"<Tag><Key>{escape(key)}</Key><Value>{escape(value)}</Value></Tag>" for key, value in tags.items()
    )
    return f"<Tags><TagSet>{items}</TagSet></Tags>" if items else "<Tags><TagSet /></Tags>"


def tags_document(tags: Mapping[str, str]) -> bytes:
    """Return the body of Get Blob Tags."""
    return f"{DECLARATION}{tag_set(tags)}".encode()
