"""Bodies: bytes that a client sent, either inside a record or in a payload file of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from retain.journal import Payload


@dataclass(frozen=True, slots=True)
class Inline:
    """A small body, stored in the record's content part.

    Attributes:
        data: The bytes, at most `inline_bytes` of the storage configuration.
        md5: Their MD5 digest, 16 bytes.

    """

    data: bytes
    md5: bytes

    @property
    def size(self) -> int:
        """Return the length in bytes."""
        return len(self.data)


Body = Inline | Payload
"""The result of an upload, and what an event carries."""


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A small body that live state reads from its record on demand instead of keeping it in memory.

    Attributes:
        address: Address of the record's content, which has the bytes under `data`.
        size: Length in bytes.

    """

    address: int
    size: int


StoredBody = Inline | OnDisk | Payload
"""A body as live state refers to it."""


def stored_bytes(held: StoredBody) -> int:
    """Return roughly how many bytes the body's record takes up; a payload file counts as its key only."""
    return PAYLOAD_RECORD if isinstance(held, Payload) else held.size


PAYLOAD_RECORD = 512
"""Estimated bytes of a record that refers to a payload file."""


def pack_body(body: Body) -> dict[str, Any]:
    """Return the body as msgpack types, for an event's content.

    The key of a payload file is stored nowhere else (FORMAT.md, section 9).
    """
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
    """Return the body that `pack_body` packed."""
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
    """Yield every payload file that a content part refers to, at any depth."""
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
