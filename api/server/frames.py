"""Received HTTP/2 frames cut into slices of bounded work.

A connection is read 64 KiB at a time. That can be a few frames of a body, whose work is little, or seven
thousand frames that each cost as much, or a few heads with a thousand fields each.
"""

from __future__ import annotations

from collections.abc import Iterator

HEAD_BYTES = 9
"""Length of a frame's head: length (3 bytes), type, flags, stream (RFC 9113 section 4.1)."""
DATA, HEADERS = 0, 1
PREFACE_BYTES = 24
"""Length of what a client sends before its first frame (RFC 9113 section 3.4)."""

WORK = 16
"""Work in one slice, where a small frame is 1: about 10 microseconds."""
HEADERS_WORK = 4
"""Work of a request's head; the request that it begins costs more, later."""
BYTES_OF_WORK = 64
"""Bytes of a frame that are work of 1, except in a body: a head has fields of one byte, SETTINGS of six."""


class Slices:
    """Where the frames of one connection begin."""

    def __init__(self) -> None:
        self._left = PREFACE_BYTES
        self._head = b""

    def cut(self, data: bytes) -> Iterator[bytes]:
        """Yield `data`, which follows what was cut before, in slices of `WORK`, or of one frame.

        Any data has a slice. Frames that are not whole yet, or of no valid length, are no errors here.
        """
        start = at = work = 0
        while at < len(data):
            if self._left:
                passed = min(self._left, len(data) - at)
                self._left -= passed
                at += passed
                continue
            begin = at
            at = min(len(data), at + HEAD_BYTES - len(self._head))
            self._head += data[begin:at]
            if len(self._head) < HEAD_BYTES:
                break
            cost = self._enter_frame()
            if work and work + cost > WORK:
                yield data[start:begin]
                start, work = begin, 0
            work += cost
        yield data[start:]

    def _enter_frame(self) -> int:
        """Return the cost of the frame whose head has arrived."""
        self._left = int.from_bytes(self._head[:3], "big")
        kind = self._head[3]
        self._head = b""
        if kind == DATA:
            return 1
        return (HEADERS_WORK if kind == HEADERS else 1) + self._left // BYTES_OF_WORK
