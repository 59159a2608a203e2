"""A reader of journals written from `journal/FORMAT.md` alone: it imports nothing of Retain. Slow and short.
If it disagrees with `journal/`, one of the two or the page is wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from hashlib import blake2b, sha256
from typing import Any, NamedTuple

import msgpack
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SECTOR = 512


class PlainRecord(NamedTuple):
    """A header's fields, and the parts: None where one is missing."""

    header: list[Any]
    details: bytes | None
    content: bytes | None
    address: int


class PlainJournal(NamedTuple):
    """The contents of a journal."""

    identity: bytes
    records: list[PlainRecord]
    root: bytes
    leaves: list[bytes]
    tear: bytes
    erased: set[tuple[int, int]]


def crc32c(data: bytes) -> int:
    """RFC 3720, appendix B.4, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def envelope(data: bytes, magic: bytes, version: int = 1) -> tuple[Any, int]:
    """Section 2."""
    assert data[:8] == magic
    found, zero, length = struct.unpack_from(">HHI", data, 8)
    assert (found, zero) == (version, 0)
    end = 16 + length
    assert crc32c(data[:end]) == struct.unpack_from(">I", data, end)[0]
    return msgpack.unpackb(data[16:end]), end + 4


def tree_root(leaves: list[bytes]) -> bytes:
    """Section 6, which is RFC 9162, section 2.1.1."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + tree_root(leaves[:split]) + tree_root(leaves[split:])).digest()


def peaks(leaves: list[bytes]) -> list[bytes]:
    """Section 2: the roots of the perfect subtrees, largest first."""
    found, start = [], 0
    for bit in reversed(range(len(leaves).bit_length())):
        if len(leaves) >> bit & 1:
            found.append(tree_root(leaves[start : start + (1 << bit)]))
            start += 1 << bit
    return found


def whiten(data: bytes, offset: int, identity: bytes, number: int) -> bytes:
    """Section 5: bytes that stand at `offset`, which is a multiple of 16."""
    key = sha256(b"retain whitening 1" + identity + number.to_bytes(8, "big")).digest()[:16]
    counter = (offset // 16).to_bytes(16, "big")
    return Cipher(algorithms.AES(key), modes.CTR(counter)).encryptor().update(data)


def expanded(data: bytes) -> tuple[bytes, int]:
    """Section 10: a rewritten segment's frames as they were, behind room for its first opener."""
    body, end = envelope(data, b"RETAINSG", 2)
    at = -(-end // SECTOR) * SECTOR
    pieces, logical = [bytes(body["start"])], body["start"]
    for offset, length in struct.iter_unpack(">II", body["left out"]):
        pieces.append(data[at : at + offset - logical])
        at += offset - logical
        size = length & 0x7FFFFFFF
        zeros = whiten(bytes(offset % 16 + size), offset // 16 * 16, body["journal"], body["segment"])
        pieces.append(zeros[offset % 16 :] if length >> 31 else bytes(size))
        logical = offset + size
    assert len(data) - at == body["end"] - logical
    return b"".join((*pieces, data[at:])), body["start"]


class PlainIndex(NamedTuple):
    """The contents of an index."""

    facts: dict[str, Any]
    frames: list[tuple[int, int, int]]
    resources: list[tuple[bytes, int]]
    subtrees: list[bytes]


def index(data: bytes) -> PlainIndex:
    """Section 11."""
    facts, at = envelope(data, b"RETAINIX")
    sections = []
    for length, crc in facts["sections"]:
        sections.append(data[at : at + length])
        assert crc32c(sections[-1]) == crc
        at += length
    assert at == len(data)
    count = len(sections[0]) // 16
    firsts, offsets, times = (
        struct.unpack_from(f">{count}{kind}", sections[0], place)
        for kind, place in (("I", 0), ("I", 4 * count), ("Q", 8 * count))
    )
    first = facts["first"]
    frames = [(first + one, offset, time) for one, offset, time in zip(firsts, offsets, times, strict=True)]
    resources = [(key, first + number) for key, number in struct.iter_unpack(">8sI", sections[1])]
    return PlainIndex(
        facts, frames, resources, [sections[2][at : at + 32] for at in range(0, len(sections[2]), 32)]
    )


def part(data: bytes, commitment: bytes) -> bytes | None:
    """Section 5: the bytes in a part, or None if it does not open its commitment."""
    salt, rest = data[:32], data[32:]
    if blake2b(rest, digest_size=32, key=salt).digest() != commitment:
        return None
    crc, length = struct.unpack_from(">II", rest)
    assert crc == crc32c(rest[4:])
    assert not any(rest[8 + length :])
    assert length
    return rest[8 : 8 + length]


def read(files: Mapping[str, bytes]) -> PlainJournal:
    """A whole journal, from its files' bytes by name. Raises `AssertionError` where a rule does not hold."""
    newest = {
        name[:33]: name for name in sorted(files, key=lambda one: (len(one), one)) if name[-8:] == ".journal"
    }
    segments = [newest[number] for number in sorted(newest)]
    records: list[PlainRecord] = []
    leaves: list[bytes] = []
    ends: dict[tuple[int, int], int] = {}
    identity, tear, time = b"", b"", 0
    for number, name in enumerate(segments, 1):
        data = files[name]
        body, end = envelope(data, b"RETAINSG", data[9])
        identity = identity or body["journal"]
        assert name.startswith(f"journal/{number:08x}-{len(records) + 1:016x}.")
        assert {key: body[key] for key in ("journal", "segment", "first", "time", "peaks")} == {
            "journal": identity,
            "segment": number,
            "first": len(records) + 1,
            "time": time,
            "peaks": peaks(leaves),
        }
        at = -(-end // SECTOR) * SECTOR
        assert not any(data[end:at])
        if data[9] == 2:
            data, at = expanded(data)
        ends[number, at] = len(records)
        for frame, headers, found in frames(data, at, number, identity, leaves):
            at += len(frame)
            records += found
            leaves += headers
            time = found[-1].header[1]
            ends[number, at] = len(records)
        if name == segments[-1]:
            tear = data[at:].rstrip(b"\x00")
        else:
            assert at == len(data), "bytes follow the last frame of a sealed segment"
    if "journal/anchor" in files:
        (seq, segment, offset, root), _ = envelope(files["journal/anchor"], b"RETAINAN")
        assert ends[segment, offset] == seq
        assert tree_root(leaves[:seq]) == root
    return PlainJournal(identity, records, tree_root(leaves), leaves, tear, erased(records))


def frames(
    data: bytes, at: int, number: int, identity: bytes, leaves: list[bytes]
) -> Iterator[tuple[bytes, list[bytes], list[PlainRecord]]]:
    """Section 3: good frames from `at` on, with their records' leaves."""
    while at + 32 <= len(data):
        magic, count, first, head_length, payload_length, head_crc, crc = struct.unpack_from(
            ">4sIQIIII", data, at
        )
        if magic != b"RETF" or crc != crc32c(data[at : at + 28]):
            return
        area = -(-(32 + head_length) // 64) * 64
        frame = data[at : at + -(-(area + payload_length) // SECTOR) * SECTOR]
        head = frame[32 : 32 + head_length]
        assert crc32c(head) == head_crc
        size, root, *headers = msgpack.unpackb(head)
        assert (size, root, len(headers), first) == (len(leaves), tree_root(leaves), count, len(leaves) + 1)
        start = at // 16 * 16
        plain = whiten(data[start : at + len(frame)], start, identity, number)[at - start :]
        assert not any(plain[32 + head_length : area])
        assert not any(plain[area + payload_length :])
        records = list(parts(headers, plain, area, (number << 32) + at))
        yield frame, [sha256(b"\x00" + header).digest() for header in headers], records
        at += len(frame)


def parts(headers: list[bytes], plain: bytes, area: int, base: int) -> Iterator[PlainRecord]:
    """Sections 4 and 5: a frame's records."""
    at = area
    for packed in headers:
        header = msgpack.unpackb(packed)
        details_size, content_size, details_commitment, content_commitment = header[6:]
        middle, end = at + details_size, at + details_size + content_size
        details = part(plain[at:middle], details_commitment) if details_size else b""
        content = part(plain[middle:end], content_commitment) if content_size else b""
        assert details_size or details_commitment == bytes(32)
        assert content_size or content_commitment == bytes(32)
        yield PlainRecord(header, details, content, base + middle if content_size else -1)
        at = end


def erased(records: list[PlainRecord]) -> set[tuple[int, int]]:
    """Section 6: what erase records name. Every missing part must be among it."""
    named: set[tuple[int, int]] = set()
    for record in records:
        if record.header[2] == 5:
            for which, first, last in msgpack.unpackb(record.content or b""):
                assert last < record.header[0]
                named |= {(seq, bit) for seq in range(first, last + 1) for bit in (1, 2) if which & bit}
    for record in records:
        for bit, value in ((1, record.details), (2, record.content)):
            assert value is not None or (record.header[0], bit) in named
    return named
