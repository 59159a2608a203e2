"""The frame around a body that carries its own checksums (docs/wire/blobs.md, section 5.1), put on and taken
off."""

from __future__ import annotations

import struct

import pytest

from retain.api.blobs.wire import structured_body
from retain.api.blobs.wire.crc64 import crc64
from retain.api.blobs.wire.errors import AzureError
from retain.api.blobs.wire.structured_body import StructuredBody, frame, framed_length

CONTENT = b"abcdefghij"


def framed(*segments, version=1, flags=1, length=None, count=None, first=1, whole=None):
    """A message of these segments; what is given otherwise is wrong in it."""
    content = b"".join(segments)
    body = b""
    for number, segment in enumerate(segments, first):
        body += struct.pack("<HQ", number, len(segment)) + segment + struct.pack("<Q", crc64(segment))
    body += struct.pack("<Q", crc64(content) if whole is None else whole)
    size = len(body) + 13 if length is None else length
    return struct.pack("<BQHH", version, size, flags, len(segments) if count is None else count) + body


def unframed(message, length=10, step=1 << 20):
    """The content, received `step` bytes at a time."""
    body = StructuredBody(length)
    content = b"".join(body.feed(message[at : at + step]) for at in range(0, len(message), step))
    body.close()
    assert body.checksum == crc64(content)
    return content


async def pieces(*chunks):
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_the_frame_comes_off_however_it_arrives(step):
    assert unframed(framed(b"abcd", b"efgh", b"ij"), step=step) == CONTENT
    assert unframed(framed(b"abcdefghij"), step=step) == CONTENT
    assert unframed(framed(b"", b"abcdefghij"), step=step) == CONTENT
    assert unframed(framed(), 0, step=step) == b""


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (framed(CONTENT, version=2), "InvalidInput"),
        (framed(CONTENT, flags=0), "InvalidInput"),
        (framed(CONTENT, length=7), "InvalidInput"),
        (framed(CONTENT, first=2), "InvalidInput"),
        (framed(CONTENT, count=2), "InvalidInput"),
        (framed(CONTENT)[:-1], "InvalidInput"),
        (framed(CONTENT) + b"x", "InvalidInput"),
        (framed(b"abc"), "InvalidInput"),
        (b"", "InvalidInput"),
        (framed(CONTENT, whole=1), "Crc64Mismatch"),
        (framed(CONTENT).replace(b"abc", b"abd"), "Crc64Mismatch"),
    ],
)
def test_a_broken_frame_is_told_apart_from_a_wrong_sum(message, code):
    for step in (1, 1 << 20):
        with pytest.raises(AzureError) as caught:
            unframed(message, step=step)
        assert (caught.value.code, caught.value.status) == (code, 400)


@pytest.mark.parametrize(("size", "segments"), [(4 << 20, 1), ((4 << 20) + 1, 2), ((8 << 20) + 1, 3)])
async def test_a_segment_has_at_most_four_mebibytes(size, segments):
    assert framed_length(size) - size == 13 + 8 + segments * (10 + 8)
    message = b"".join([piece async for piece in frame(pieces(bytes(size)), size)])
    assert len(message) == framed_length(size)
    assert int.from_bytes(message[11:13], "little") == segments


@pytest.mark.parametrize("chunks", [[CONTENT], [b"ab", b"cdefg", b"h", b"ij"], [b"abcd", b"efgh", b"ij"]])
async def test_segments_do_not_depend_on_the_pieces_that_content_comes_in(monkeypatch, chunks):
    monkeypatch.setattr(structured_body, "SEGMENT_BYTES", 4)
    message = b"".join([piece async for piece in frame(pieces(*chunks), len(CONTENT))])
    assert message == framed(b"abcd", b"efgh", b"ij")
    assert len(message) == framed_length(len(CONTENT))
