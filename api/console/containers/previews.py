"""The form in which a blob is shown: as sound, picture or text, or only as a file to download."""

from __future__ import annotations

import mimetypes
import re
from typing import Final
from urllib.parse import quote

from retain.engine.blobs.entries import BlobEntry

UNKNOWN: Final = "application/octet-stream"
TEXT_BYTES: Final = 64 * 1024
"""Bytes of a text that are shown on its page."""
_PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml"})
_TEXTS: Final = frozenset(
    {"application/json", "application/xml", "application/javascript", "application/x-ndjson"}
)
_TYPE: Final = re.compile(r"[\x20-\x7e]{1,255}")
_ICONS: Final = {"audio": "sound", "video": "sound", "image": "image"}
#: An uploaded page or picture runs nothing, loads nothing and is of no origin, wherever it is opened.
SANDBOX: Final = "default-src 'none'; sandbox"


def type_of(entry: BlobEntry, name: str) -> str:
    """Return a blob's media type without parameters; by its name, if the client stored none of its own."""
    stored = (entry.headers.content_type or UNKNOWN).partition(";")[0].strip().lower()
    return stored if stored != UNKNOWN else mimetypes.guess_type(name)[0] or UNKNOWN


def type_to_store(sent: str, name: str) -> str:
    """Return the type to store for an upload: the browser's, else by its name."""
    if _TYPE.fullmatch(sent.strip()):
        return sent.strip()
    return mimetypes.guess_type(name)[0] or UNKNOWN


def kind_of(entry: BlobEntry, name: str) -> str:
    """Return `audio`, `video`, `image`, `text`, or an empty text for what is only downloaded."""
    media_type = type_of(entry, name)
    main = media_type.partition("/")[0]
    if entry.headers.encoding not in (None, "", "identity"):
        return ""
    if main in ("audio", "video"):
        return main
    if media_type in _PICTURES:
        return "image"
    return "text" if main == "text" or media_type in _TEXTS else ""


def icon_of(entry: BlobEntry, name: str) -> str:
    """Return the icon in front of its name."""
    return _ICONS.get(kind_of(entry, name), "file")


def content_headers(entry: BlobEntry, name: str, *, download: bool) -> dict[str, str]:
    """Return the headers of its bytes.

    Content that a browser could interpret as a page is sent as a file to save.
    """
    shown = kind_of(entry, name) in ("audio", "video", "image") and not download
    headers = {
        "Content-Security-Policy": SANDBOX,
        "Content-Disposition": "inline" if shown else attachment(name),
        "Accept-Ranges": "bytes",
    }
    if entry.headers.encoding is not None:
        headers["Content-Encoding"] = entry.headers.encoding
    return headers


def attachment(name: str) -> str:
    """Return the header that has a browser save a file, by the last part of its name.

    The name is in ASCII for old clients and whole for all others (RFC 6266).
    """
    last = name.rpartition("/")[2] or "blob"
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", last)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(last, safe='')}"
