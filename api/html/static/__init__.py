"""Stylesheet, scripts and mark of every page, each under an address that changes with its content.

So browsers may cache them indefinitely, and never show a page of a new version with an old stylesheet.
"""

from __future__ import annotations

import hashlib
import pkgutil
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

FOLDER: Final = "/console/static/"
TYPES: Final = {
    "css": "text/css;charset=utf-8",
    "js": "text/javascript;charset=utf-8",
    "svg": "image/svg+xml",
}
_NAME = re.compile(r"([a-z][a-z0-9-]{0,40})\.(css|js|svg)")
_ADDRESS = re.compile(r"([a-z][a-z0-9-]{0,40})\.([0-9a-f]{16})\.(css|js|svg)")


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of this folder.

    Attributes:
        address: The path it is served at, below any prefix of a proxy.
        content: Its bytes.
        content_type: Their type.
    """

    address: str
    content: bytes
    content_type: str


@lru_cache(maxsize=64)
def asset(name: str) -> Asset:
    """Return the file called `name`.

    Raises:
        FileNotFoundError: There is none.
    """
    parts = _NAME.fullmatch(name)
    content = pkgutil.get_data(__name__, name) if parts else None
    if parts is None or content is None:
        raise FileNotFoundError(name)
    digest = hashlib.sha256(content).hexdigest()[:16]
    return Asset(f"{FOLDER}{parts[1]}.{digest}.{parts[2]}", content, TYPES[parts[2]])


def served_as(address_name: str) -> Asset | None:
    """Return the file whose address ends in `address_name`; None if it names no file, or another version."""
    parts = _ADDRESS.fullmatch(address_name)
    if parts is None:
        return None
    try:
        found = asset(f"{parts[1]}.{parts[3]}")
    except FileNotFoundError:
        return None
    return found if found.address == f"{FOLDER}{address_name}" else None
