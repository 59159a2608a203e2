"""Bodies: bytes that a client sent, either inside a record or in a payload file of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from retain.journal import Payload


@dataclass(frozen=True, slots=True)
class Inline:
    """A small body, kept in the record's content part.

    Attributes:
        data: The bytes, at most ``inline_bytes`` of the storage configuration.
        md5: Their MD5 digest, 16 bytes.
    """

    data: bytes
    md5: bytes

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.data)


Body = Inline | Payload
"""What an upload ends in, and what an event carries."""


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A small body that live state reads from its record when asked, instead of holding it in memory.

    Attributes:
        address: Where the record's content lies; the data is under ``data`` in it.
        size: Length in bytes.
    """

    address: int
    size: int


StoredBody = Inline | OnDisk | Payload
"""What live state keeps of a body."""


def stored_bytes(held: StoredBody) -> int:
    """About how many bytes the record takes up that holds the body, or the key of its payload file."""
    return PAYLOAD_RECORD if isinstance(held, Payload) else held.size


PAYLOAD_RECORD = 512


def pack_body(body: Body) -> dict[str, Any]:
    """The body as msgpack types, for an event's content. A payload file's key appears nowhere else
    (FORMAT.md, section 9)."""
    if isinstance(body, Inline):
        return {"data": body.data, "md5": body.md5}
    return {
        "payload": body.name,
        "key": body.key,
        "size": body.size,
        "md5": body.md5,
        "sha256": body.sha256,
    }


def unpack_body(packed: dict[str, Any]) -> Body:
    """The inverse of :func:`pack_body`."""
    if "data" in packed:
        return Inline(packed["data"], packed["md5"])
    return Payload(
        name=packed["payload"],
        key=packed["key"],
        size=packed["size"],
        md5=packed["md5"],
        sha256=packed["sha256"],
    )


def payloads_in(part: Any) -> Iterator[Payload]:
    """All payload files that a content part names, wherever in it they stand."""
    if isinstance(part, dict):
        if isinstance(part.get("key"), bytes) and "payload" in part:  # no client's data are bytes there
            body = unpack_body(part)
            assert isinstance(body, Payload)
            yield body
            return
        part = list(part.values())
    if isinstance(part, list):
        for member in part:
            yield from payloads_in(member)
