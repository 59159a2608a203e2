"""Details and content on disk: salt, CRC, length, bytes, zeros, and the commitment. FORMAT.md section 5.

FORMAT.md section 5. Sans-IO.
"""

from __future__ import annotations

from hashlib import blake2b

from crc32c import crc32c

from retain.journal.format.limits import PART_ALIGN, PART_BYTES, PART_OVERHEAD, SALT_BYTES, part_size

_CRC_END = SALT_BYTES + 4
_ZEROS = bytes(PART_ALIGN)


class BadPart(Exception):
    """These bytes are no part: damage, or a wrong address. The caller knows which file to name."""


def seal(body: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """Return the part with `body` (not empty) under a new `salt`, and the commitment to it."""
    length = len(body)
    rest = b"%b%b%b" % (length.to_bytes(4, "big"), body, _ZEROS[: -(length + PART_OVERHEAD) % PART_ALIGN])
    sealed = crc32c(rest).to_bytes(4, "big") + rest
    return salt + sealed, blake2b(sealed, digest_size=32, key=salt).digest()


def commitment(part: bytes) -> bytes:
    """Return the commitment that the header of this part's record must have."""
    return blake2b(part[SALT_BYTES:], digest_size=32, key=part[:SALT_BYTES]).digest()


def body(part: bytes) -> bytes:
    """Return the bytes in a part whose commitment is verified."""
    return part[PART_OVERHEAD : PART_OVERHEAD + int.from_bytes(part[_CRC_END:PART_OVERHEAD], "big")]


def declared_size(start: bytes) -> int:
    """Return the whole size of the part that starts with these bytes, at least `PART_OVERHEAD` of them.

    Raises `BadPart` where no part can start so.
    """
    length = int.from_bytes(start[_CRC_END:PART_OVERHEAD], "big")
    if not 0 < length <= PART_BYTES - PART_OVERHEAD:
        raise BadPart("no part starts here")
    return part_size(length)


def checked_body(part: bytes) -> bytes:
    """Return the bytes in a part, checked with its CRC alone. Raises `BadPart`."""
    expected = int.from_bytes(part[SALT_BYTES:_CRC_END], "big")
    if len(part) != declared_size(part) or crc32c(part[_CRC_END:]) != expected:
        raise BadPart("a part's checksum is wrong")
    return body(part)
