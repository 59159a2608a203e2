"""Structured bodies, XSM/1.0: content in segments, each followed by its CRC-64.

See docs/wire/blobs.md, section 9. All numbers little-endian: a head of 13 bytes (version 1, length of the
whole message u64, flags u16, segments u16); per segment a head of 10 bytes (number from 1 u16, length u64),
the data, its CRC-64; at the end the CRC-64 of the whole content.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from struct import Struct
from typing import Final

from retain.api.blobs.wire import crc64
from retain.api.blobs.wire.errors import AzureError

HEADER_VALUE: Final = "XSM/1.0; properties=crc64"
SEGMENT_BYTES: Final = 4 * 1024 * 1024
_HEAD: Final = Struct("<BQHH")
_SEGMENT: Final = Struct("<HQ")
_SUM: Final = Struct("<Q")
_FLAG_CRC64: Final = 1


def framed_length(length: int) -> int:
    """Return the bytes of the message that carries `length` bytes of content."""
    segments = _segments(length)
    return _HEAD.size + segments * (_SEGMENT.size + _SUM.size) + length + _SUM.size


def _segments(length: int) -> int:
    return -(-length // _segment_bytes(length))


def _segment_bytes(length: int) -> int:
    """Return the size of a segment: they are counted in 16 bits, so very long content has longer ones."""
    return max(SEGMENT_BYTES, -(-length // 0xFFFF))


async def frame(chunks: AsyncGenerator[bytes, None], length: int) -> AsyncGenerator[bytes, None]:
    """Frame content of a known length while it streams; closes `chunks` when it ends or is closed."""
    step = _segment_bytes(length)
    yield _HEAD.pack(1, framed_length(length), _FLAG_CRC64, _segments(length))
    whole = part = 0
    number, left_here, left = 0, 0, length
    async with aclosing(chunks):
        async for chunk in chunks:
            while chunk:
                if left_here == 0:
                    number += 1
                    left_here, part = min(step, left), 0
                    yield _SEGMENT.pack(number, left_here)
                piece, chunk = chunk[:left_here], chunk[left_here:]
                whole = await crc64.crc64_beside(piece, whole)
                part = await crc64.crc64_beside(piece, part)
                left_here -= len(piece)
                left -= len(piece)
                yield piece
                if left_here == 0:
                    yield _SUM.pack(part)
    yield _SUM.pack(whole)


class StructuredBody:
    """Takes the frame off an uploaded body as it arrives; `checksum` is the content's once it is complete.

    `length` is the content's, as x-ms-structured-content-length says. Raises AzureError InvalidInput for a
    broken frame and Crc64Mismatch for a wrong sum; every byte of the frame is compared.
    """

    def __init__(self, length: int | None) -> None:
        self.checksum = 0
        self._length = length
        self._buffer = bytearray()
        self._wanted = _HEAD.size
        self._step = self._read_head
        self._segments = self._number = 0
        self._received = self._total = self._left = self._part = 0

    def feed(self, chunk: bytes) -> bytes:
        """Return the content in the next bytes of the message."""
        self._total += len(chunk)
        self._buffer += chunk
        content = bytearray()
        while True:
            if self._left:
                piece = bytes(self._buffer[: self._left])
                if not piece:
                    return bytes(content)
                del self._buffer[: len(piece)]
                self._take(piece)
                content += piece
            elif self._wanted and len(self._buffer) >= self._wanted:
                field = bytes(self._buffer[: self._wanted])
                del self._buffer[: len(field)]
                self._step(field)
            elif self._buffer and not self._wanted:
                raise AzureError("InvalidInput", message="Bytes follow the end of the structured body.")
            else:
                return bytes(content)

    def close(self) -> None:
        """Check that the message is complete. Raises AzureError InvalidInput if it is not."""
        if self._wanted or self._left or (self._length is not None and self._received != self._length):
            raise AzureError("InvalidInput", message="The structured body is not complete.")

    def _take(self, piece: bytes) -> None:
        self._received += len(piece)
        self._left -= len(piece)
        self._part = crc64.crc64(piece, self._part)
        self.checksum = crc64.crc64(piece, self.checksum)

    def _read_head(self, field: bytes) -> None:
        version, self._message, flags, self._segments = _HEAD.unpack(field)
        if version != 1 or flags != _FLAG_CRC64:
            raise AzureError("InvalidInput", message="The structured body has an unknown form.")
        self._next_segment()

    def _next_segment(self) -> None:
        if self._number == self._segments:
            self._wanted, self._step = _SUM.size, self._read_whole_sum
        else:
            self._wanted, self._step = _SEGMENT.size, self._read_segment

    def _read_segment(self, field: bytes) -> None:
        number, self._left = _SEGMENT.unpack(field)
        self._number += 1
        self._part = 0
        if number != self._number:
            raise AzureError("InvalidInput", message="The segments of the structured body are out of order.")
        self._wanted, self._step = _SUM.size, self._read_part_sum

    def _read_part_sum(self, field: bytes) -> None:
        if _SUM.unpack(field)[0] != self._part:
            raise AzureError("Crc64Mismatch")
        self._next_segment()

    def _read_whole_sum(self, field: bytes) -> None:
        if self._total - len(self._buffer) != self._message:
            raise AzureError("InvalidInput", message="The structured body has another length than it says.")
        if _SUM.unpack(field)[0] != self.checksum:
            raise AzureError("Crc64Mismatch")
        self._wanted = 0
