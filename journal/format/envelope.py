"""The envelope of openers, anchors and indexes: magic, version, body, CRC. FORMAT.md section 2.

FORMAT.md section 2. Sans-IO.
"""

from __future__ import annotations

import struct
from collections.abc import Container
from typing import Any

import msgpack
from crc32c import crc32c

from retain.journal.errors import Corrupt, UnknownVersion
from retain.journal.format.limits import ENVELOPE_BYTES, WIDE_ENVELOPE_BYTES

FORMAT_VERSION = 1
REWRITTEN_VERSION = 2
OPENER_MAGIC = b"RETAINSG"
ANCHOR_MAGIC = b"RETAINAN"
INDEX_MAGIC = b"RETAINIX"

_LEAD = struct.Struct(">8sHHI")
_CRC_BYTES = 4


_LARGEST = {FORMAT_VERSION: ENVELOPE_BYTES, REWRITTEN_VERSION: WIDE_ENVELOPE_BYTES}


def wrap(magic: bytes, body: Any, version: int = FORMAT_VERSION) -> bytes:
    """Return the envelope's bytes around `body`, packed."""
    packed = msgpack.packb(body)
    assert len(packed) <= _LARGEST[version], "an envelope is too large"
    data: bytes = _LEAD.pack(magic, version, 0, len(packed)) + packed
    return data + crc32c(data).to_bytes(_CRC_BYTES, "big")


def version_and_length(data: bytes) -> tuple[int, int]:
    """Return the version, and the whole envelope's length, that its first bytes announce; (0, 0) if too few.

    Nothing is checked yet.
    """
    if len(data) < _LEAD.size:
        return 0, 0
    _, version, _, length = _LEAD.unpack_from(data)
    return version, _LEAD.size + length + _CRC_BYTES


def unwrap(
    magic: bytes, data: bytes, *, file: str, versions: Container[int] = (FORMAT_VERSION,)
) -> tuple[Any, int]:
    """Return the body at the start of `data`, and the envelope's length. `file` is named in errors.

    Raises `Corrupt`, and `UnknownVersion` for a sound envelope of a format not among `versions`.
    """
    if len(data) < _LEAD.size:
        raise Corrupt(f"{file} is too short to be a journal's", file=file, offset=0)
    found, version, reserved, length = _LEAD.unpack_from(data)
    end = _LEAD.size + length
    largest = _LARGEST.get(version, ENVELOPE_BYTES)
    if found != magic or length > largest or len(data) < end + _CRC_BYTES:
        raise Corrupt(f"{file} does not start like a file of a journal", file=file, offset=0)
    if crc32c(data[:end]) != int.from_bytes(data[end : end + _CRC_BYTES], "big"):
        raise Corrupt(f"{file}: the checksum at its start is wrong", file=file, offset=0)
    if version not in versions or reserved:
        raise UnknownVersion(f"{file} has format {version}, unknown to this release", file=file, offset=0)
    try:
        return msgpack.unpackb(data[_LEAD.size : end]), end + _CRC_BYTES
    except (ValueError, msgpack.UnpackException) as error:
        raise Corrupt(f"{file}: {error}", file=file, offset=0) from error
