"""What has arrived of a request and its task has not taken: at most one piece, however it was sent.

Replaces the queue of messages that Hypercorn opens for each request. That queue holds a few messages of any
size, and makes who fills it wait: many tiny frames for a task that reads nothing would stop the reader of the
connection, which then notices neither other streams nor the end of the connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

AHEAD_BYTES = 16384
"""So much of each body is received before its task asks for it: a short one is then read whole, and the
connection goes on with its next request, even if nobody takes it."""


class Intake:
    """The part of one request that waits for its task.

    Args:
        on_taken: Called with the number of bytes that the task took. Must not wait: what is taken would be
            lost if the task is cancelled meanwhile.

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
        """Add a message (ASGI). Never waits for the task; other tasks run after each piece of a body.

        They do not after a disconnection: the task that was answered tells it to itself, and must not be
        cancelled for it before its stream has ended.
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
        """Wait until the task has taken all and waits for more, or no more can come.

        The beginning of a body is always wanted.
        """
        while self._arrived >= AHEAD_BYTES and not (self._is_whole or self._is_gone or self._is_closed):
            if self._receivers and not self._waiting:
                return
            await self._changed.wait()

    async def close(self) -> None:
        """Discard what waits and what may still come: the task has ended."""
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
