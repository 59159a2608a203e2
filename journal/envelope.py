"""The envelope around a segment's opener and the anchor: magic, version, body, CRC.

FORMAT.md section 2. Sans-IO.
"""

from __future__ import annotations

import struct
from typing import Any

import msgpack
from crc32c import crc32c

from journal.errors import Corrupt, UnknownVersion
from journal.limits import ENVELOPE_BYTES

FORMAT_VERSION = 1
OPENER_MAGIC = b"RETAINSG"
ANCHOR_MAGIC = b"RETAINAN"

_LEAD = struct.Struct(">8sHHI")
_CRC_BYTES = 4


def wrap(magic: bytes, body: Any) -> bytes:
    """The envelope's bytes around `body`, packed."""
    packed = msgpack.packb(body)
    assert len(packed) <= ENVELOPE_BYTES, "an envelope is too large"
    data: bytes = _LEAD.pack(magic, FORMAT_VERSION, 0, len(packed)) + packed
    return data + crc32c(data).to_bytes(_CRC_BYTES, "big")


def unwrap(magic: bytes, data: bytes, *, file: str) -> tuple[Any, int]:
    """The body at the start of `data`, and the envelope's length. `file` is named in errors.

    Raises `Corrupt`, and `UnknownVersion` for a sound envelope of a later format.
    """
    if len(data) < _LEAD.size:
        raise Corrupt(f"{file} is too short to be a journal's", file=file, offset=0)
    found, version, reserved, length = _LEAD.unpack_from(data)
    end = _LEAD.size + length
    if found != magic or length > ENVELOPE_BYTES or len(data) < end + _CRC_BYTES:
        raise Corrupt(f"{file} does not start as a journal's file does", file=file, offset=0)
    if crc32c(data[:end]) != int.from_bytes(data[end : end + _CRC_BYTES], "big"):
        raise Corrupt(f"{file}: the checksum at its start does not hold", file=file, offset=0)
    if version != FORMAT_VERSION or reserved:
        raise UnknownVersion(
            f"{file} has format {version}; this release reads {FORMAT_VERSION}", file=file, offset=0
        )
    try:
        return msgpack.unpackb(data[_LEAD.size : end]), end + _CRC_BYTES
    except (ValueError, msgpack.UnpackException) as error:
        raise Corrupt(f"{file}: {error}", file=file, offset=0) from error
