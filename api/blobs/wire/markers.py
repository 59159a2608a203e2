"""Continuation markers: opaque to clients, in the form of the real service.

See docs/wire/blobs.md, sections 5.4 and 6. `2!<length>!<Base64 with - for =>`. Each names the first entry of
the next page, so nothing is lost if that entry is deleted meanwhile. A marker that has another form is read
as a plain name, as some clients send one.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import Final

from retain.api.blobs.wire.errors import invalid_parameter
from retain.api.blobs.wire.etag import filetime_hex

_PREFIX: Final = "2!"
_END_OF_TIME: Final = "9999-12-31T23:59:59.9999999Z"
_MAX: Final = 16 * 1024


def blob_marker(name: str) -> str:
    """Return the marker of List Blobs that resumes at `name`, a blob or a prefix."""
    return _encode(f"{_field(name)}{_field(_END_OF_TIME)}")


def read_blob_marker(marker: str) -> str:
    """Return the name at which a listing resumes. Raises AzureError InvalidQueryParameterValue."""
    if not marker.startswith(_PREFIX):
        return marker
    return _fields(marker, 2)[0]


def container_marker(account: str, name: str) -> str:
    """Return the marker of List Containers that resumes at `name`."""
    return f"/{account}/{name}"


def read_container_marker(account: str, marker: str) -> str:
    """Return the container at which a listing resumes."""
    return marker.removeprefix(f"/{account}/")


def find_marker(container: str, created: int, blob: str) -> str:
    """Return the marker of Find Blobs by Tags that resumes at a blob.

    `created` dates its container, in nanoseconds.
    """
    place = f"{container}\x01{filetime_hex(created)}"
    return _encode(_field(place) + _field(blob))


def read_find_marker(marker: str) -> tuple[str, str]:
    """Return container and blob at which a search resumes.

    Raises AzureError InvalidQueryParameterValue.
    """
    container, blob = _fields(marker, 2)
    return container.partition("\x01")[0], blob


def _field(text: str) -> str:
    return f"{len(text.encode()):06d}!{text}!"


def _encode(text: str) -> str:
    encoded = b64encode(text.encode()).decode("ascii").replace("=", "-")
    return f"{_PREFIX}{len(encoded)}!{encoded}"


def _fields(marker: str, count: int) -> list[str]:
    """Return the fields of a marker, each preceded by its length in bytes and closed by `!`."""
    try:
        if len(marker) > _MAX:
            raise ValueError("too long")
        _, length, encoded = marker.split("!", 2)
        if str(len(encoded)) != length or not marker.startswith(_PREFIX):
            raise ValueError("another length")
        rest = b64decode(encoded.replace("-", "=").encode("ascii"), validate=True)
        found = []
        while rest:
            size = int(rest[:6])
            end = 7 + size
            if rest[6:7] != b"!" or rest[end : end + 1] != b"!":
                raise ValueError("broken field")
            found.append(rest[7:end].decode("utf-8"))
            rest = rest[end + 1 :]
        if len(found) != count:
            raise ValueError("another number of fields")
    except (ValueError, Base64Error):
        raise invalid_parameter("marker", marker, "Not a marker of this server.") from None
    return found
