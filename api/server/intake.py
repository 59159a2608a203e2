"""The received part of a request that its task has not taken yet: one piece, however the client sent it.

Replaces Hypercorn's queue of messages. That queue holds a few messages of any size and blocks its writer when
it is full. A few tiny frames for a task that reads nothing would block the reader of the connection, which
then notices neither other streams nor the end of the connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

AHEAD_BYTES = 16384
"""Bytes of each body that are received before its task asks for them. So a short body is received whole, and
the connection continues with its next request even if the task never reads it."""


class Intake:
    """The part of one request that waits for its task.

    Args:
        on_taken: Called with the number of bytes that the task took. It must not block: if the task were
            cancelled meanwhile, these bytes would be lost.

    """

    def __init__(self, on_taken: Callable[[int], Awaitable[None]] | None = None) -> None:
        self._on_taken = on_taken
        self._waiting: bytes | bytearray = b""
        self._arrived = 0
        self._is_whole = False
        self._is_end_taken = False
        self._is_gone = False
        self._is_closed = False
        self._receivers = 0
        self._changed = trio.Event()

    async def put(self, message: Any) -> None:
        """Add a message (ASGI) without waiting for the task; yield to other tasks after a piece of a body.

        It does not yield after a disconnection: the task whose response is complete sends that message to
        itself, and must not be cancelled there before its stream has ended.
        """
        if message["type"] == "http.disconnect":
            self._is_gone = True
            self._change()
            return
        if not self._is_closed:
            self._add(message["body"])
            self._is_whole = not message["more_body"]
            self._change()
        await trio.lowlevel.checkpoint()

    def _add(self, data: bytes) -> None:
        self._arrived += len(data)
        if not self._waiting:
            self._waiting = data
        elif data:
            if isinstance(self._waiting, bytes):
                self._waiting = bytearray(self._waiting)
            self._waiting += data

    async def receive(self) -> Any:
        """Return all that waits as one message (ASGI); after the end, the disconnection.

        Nothing is lost if the wait is cancelled.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        while not (self._waiting or (self._is_whole and not self._is_end_taken) or self._is_gone):
            self._receivers += 1
            self._change()
            try:
                await self._changed.wait()
            finally:
                self._receivers -= 1
        if self._waiting or (self._is_whole and not self._is_end_taken):
            data, self._waiting = bytes(self._waiting), b""
            self._is_end_taken = self._is_whole
            if self._on_taken is not None:
                await self._on_taken(len(data))
            return {"type": "http.request", "body": data, "more_body": not self._is_whole}
        return {"type": "http.disconnect"}

    async def wanted(self) -> None:
        """Wait until the task has taken everything and waits for more, or no more can arrive.

        The beginning of a body is always wanted.
        """
        while self._arrived >= AHEAD_BYTES and not (self._is_whole or self._is_gone or self._is_closed):
            if self._receivers and not self._waiting:
                return
            await self._changed.wait()

    async def close(self) -> None:
        """Discard what was received and what may still arrive, because the task has ended."""
        self._is_closed = True
        count, self._waiting = len(self._waiting), b""
        self._change()
        if count and self._on_taken is not None:
            await self._on_taken(count)

    def _change(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()


class Reading:
    """An application whose task reads from `intake`, which is closed when the task ends."""

    def __init__(self, app: Any, intake: Intake) -> None:
        self._app = app
        self._intake = intake

    async def __call__(self, scope: Any, receive: Any, send: Any, sync_spawn: Any, call_soon: Any) -> None:
        """Run the application (ASGI, with Hypercorn's further arguments); `receive` stays unused."""
        try:
            await self._app(scope, self._intake.receive, send, sync_spawn, call_soon)
        finally:
            await self._intake.close()
