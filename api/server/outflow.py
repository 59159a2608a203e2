"""What HTTP/2 has to send: the bytes of each answer, and whose turn it is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import trio
from hypercorn.protocol.h2 import BufferCompleteError
from priority.priority import DeadlockError, MissingStreamError

OUTFLOW_BYTES = 65536
"""Bytes of one answer that may wait for the client's window."""


class Outflow:
    """The bytes of one answer that wait for the client's window; replaces Hypercorn's `StreamBuffer`.

    Raises trio.TooSlowError if the client reads nothing for `patience` seconds.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._waiting = bytearray()
        self._ended = False
        self._moved = trio.Event()

    @property
    def ended(self) -> bool:
        """Whether no more bytes will be added."""
        return self._ended

    @property
    def waits(self) -> bool:
        """Whether there are bytes to send."""
        return bool(self._waiting)

    @property
    def complete(self) -> bool:
        """Whether all bytes were sent and no more will be added."""
        return self._ended and not self._waiting

    def set_complete(self) -> None:
        """Note that no more bytes will be added."""
        self._ended = True

    async def push(self, data: bytes) -> None:
        """Add `data`; returns when there is room for more. Raises BufferCompleteError after the end."""
        if self._ended:
            raise BufferCompleteError
        self._waiting += data
        await self._until(lambda: len(self._waiting) < OUTFLOW_BYTES)

    async def drain(self) -> None:
        """Return when all is sent."""
        await self._until(lambda: not self._waiting)

    async def pop(self, at_most: int) -> bytes:
        """Return the next bytes."""
        data = bytes(self._waiting[:at_most])
        del self._waiting[:at_most]
        if data:
            self._move()
        return data

    async def close(self) -> None:
        """Discard the bytes."""
        self._ended = True
        self._waiting.clear()
        self._move()

    def _move(self) -> None:
        moved, self._moved = self._moved, trio.Event()
        moved.set()

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            moved = self._moved
            with trio.fail_after(self._patience):
                await moved.wait()


class StreamTurns:
    """The streams of one connection, and which of those that have something to send is next.

    Replaces `PriorityTree`, of which it has the methods that Hypercorn calls. All streams are equal.
    """

    def __init__(self) -> None:
        self._ready: OrderedDict[int, None] = OrderedDict()
        self._blocked: set[int] = set()

    def insert_stream(self, stream_id: int) -> None:
        """Add a stream that may be sent."""
        self._ready[stream_id] = None

    def remove_stream(self, stream_id: int) -> None:
        """Forget a stream."""
        self._ready.pop(stream_id, None)
        self._blocked.discard(stream_id)

    def block(self, stream_id: int) -> None:
        """Note that the stream has nothing to send, or no window."""
        if stream_id in self._ready:
            del self._ready[stream_id]
            self._blocked.add(stream_id)

    def unblock(self, stream_id: int) -> None:
        """Note that the stream may be sent again. Raises MissingStreamError."""
        if stream_id in self._blocked:
            self._blocked.remove(stream_id)
            self._ready[stream_id] = None
        elif stream_id not in self._ready:
            raise MissingStreamError(f"stream {stream_id} is unknown")

    def __next__(self) -> int:
        """Return the stream that has waited longest. Raises DeadlockError where all are blocked."""
        if not self._ready:
            raise DeadlockError("no stream may be sent")
        stream_id = next(iter(self._ready))
        self._ready.move_to_end(stream_id)
        return stream_id
