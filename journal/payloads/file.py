"""The layout of a payload file: name, chunks, and what a record must store to read it. FORMAT.md section 9.

A file is a 16-byte mark and then chunks: 1 MiB of plain bytes each (the last one shorter), sealed with
AES-256-GCM (NIST SP 800-38D), 16 bytes of tag after each. The nonce is the chunk's number (11 bytes, big
endian) and one byte that is 1 for the last chunk only, so chunks can be neither reordered, nor dropped, nor
cut off at the end; the mark is authenticated with every chunk. A nonce never repeats under its key, for each
file has a fresh key and each chunk its own number. (The STREAM construction of Hoang, Reyhanitabar, Rogaway
and Vizár, 2015.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

CHUNK_BYTES: Final = 1 << 20
TAG_BYTES: Final = 16
KEY_BYTES: Final = 32
NAME_BYTES: Final = 16
RUN_BYTES: Final = 4
"""The end of a name: the same for all files of one run of the server, random for each run."""
MARK: Final = b"retain-payload\x00\x01"
FOLDER: Final = "payloads"
STAGING: Final = "staging"

_NAME = re.compile(rf"[0-9a-f]{{{2 * NAME_BYTES}}}")


@dataclass(frozen=True, slots=True)
class Payload:
    """The part of a record that is needed to read a payload file, and sufficient to decrypt it.

    `name`: 32 hexadecimal digits; `key`: 32 bytes; `size`: plain bytes; `md5`, `sha256`: of the plain bytes;
    `md5` is empty if it was not computed.
    """

    name: str
    key: bytes = field(repr=False)
    size: int
    md5: bytes
    sha256: bytes


def payload_path(name: str) -> str:
    """Return a sealed payload's path in the data folder. Raises `ValueError` if that is no payload's name."""
    if not is_name(name):
        raise ValueError(f"{name!r} is not the name of a payload")
    return f"{FOLDER}/{name[:2]}/{name[2:4]}/{name}"


def is_name(text: str) -> bool:
    """Return whether a payload could be called so."""
    return _NAME.fullmatch(text) is not None


def file_size(size: int) -> int:
    """Return the length of the file that holds `size` plain bytes."""
    chunks = max(1, -(-size // CHUNK_BYTES))
    return len(MARK) + size + chunks * TAG_BYTES


def chunk_offset(index: int) -> int:
    """Return where a chunk begins in the file."""
    return len(MARK) + index * (CHUNK_BYTES + TAG_BYTES)


def nonce(index: int, *, last: bool) -> bytes:
    """Return the nonce of a chunk; see the module's docstring."""
    return index.to_bytes(11, "big") + bytes([last])
