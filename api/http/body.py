"""The bytes of a request body as they arrive, with a maximum length and a minimum rate."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

import trio

from retain.api.http.bounds import Share, too_many_bodies
from retain.api.http.errors import BodyTooLarge, BodyTooSlow, ClientGone, Overloaded

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

MIN_BODY_RATE = 1024
"""A body must bring its rate times RATE_WINDOW_S bytes in each RATE_WINDOW_S seconds of waiting for it."""
STREAMED_BYTES = 1 << 20
"""Bytes in memory of a body that is passed on as it arrives."""
RATE_WINDOW_S = 10.0


class Body:
    """The bytes of one request: `async for chunk in request.body`. One pass only.

    `declared` is the Content-Length, None where the client sent none (chunked, HTTP/2). `limit` may be set by
    the interface before reading; the declared length is compared with it before the first byte. `min_rate` is
    in bytes a second, 0 for none, and counts over `RATE_WINDOW_S` seconds spent waiting. `finished`: the last
    byte was read, or there never was one.

    Raises BodyTooLarge, BodyTooSlow and ClientGone while iterating.
    """

    __slots__ = (
        "_proceed",
        "_receive",
        "_refused",
        "_scope",
        "_share",
        "_waited",
        "_window",
        "at_hand",
        "declared",
        "finished",
        "is_cut_short",
        "limit",
        "min_rate",
        "received",
        "stopping",
    )

    def __init__(self, receive: Receive, declared: int | None, *, empty: bool = False) -> None:
        self.declared = declared
        self.limit: int | None = None
        self.min_rate = MIN_BODY_RATE
        self.received = 0
        self.is_cut_short: Callable[[], bool] | None = None
        """Whether the client is known to have left before the whole body arrived. Set by the connection."""
        self.at_hand: Callable[[], Message | None] | None = None
        """Returns the piece that has arrived already, None if there is none. Set by the connection."""
        self.stopping: trio.Event | None = None
        self.finished = empty or declared == 0
        self._receive = receive
        self._proceed: Callable[[], Awaitable[None]] | None = None
        self._waited = 0.0
        self._window = 0
        self._share: Share | None = None
        self._scope: trio.CancelScope | None = None
        self._refused = False

    def count_in(self, share: Share) -> None:
        """Count this body's bytes in memory in `share`; while that has too many, the body waits unread."""
        self._share = share
        share.on_refusal = self._refuse

    def _refuse(self) -> None:
        self._refused = True
        if self._scope is not None:
            self._scope.cancel()

    def streams(self, at_most: int = STREAMED_BYTES) -> None:
        """Note that the reader passes the body on as it arrives, with at most `at_most` bytes in memory."""
        if self._share is not None:
            self._share.streams(at_most if self.declared is None else min(at_most, self.declared))

    def on_first_read(self, proceed: Callable[[], Awaitable[None]]) -> None:
        """Call `proceed` once before the first read: it sends the 100 (Continue) a client waits for."""
        self._proceed = proceed

    async def discard(self, at_most: int) -> None:
        """Discard the rest, if that is at most `at_most` bytes and the client does not wait to send it.

        A small rest is read so that the connection can continue with its next request.
        """
        if self._proceed is not None or self.declared is None or self.declared - self.received > at_most:
            return
        self.limit = None
        try:
            async for _ in self:
                continue
        except (BodyTooSlow, ClientGone, Overloaded):
            self.declared = None

    async def wait_gone(self) -> None:
        """Wait until the client has disconnected or the server is about to stop.

        For responses that wait for something. The rest of the body is discarded.
        """
        if self._share is not None:
            self._share.made(0)  # no memory for an answer is used while it waits
        async with trio.open_nursery() as nursery:
            if self.stopping is not None:
                nursery.start_soon(cancel_after, self.stopping, nursery.cancel_scope)
            while (await self._receive())["type"] != "http.disconnect":
                pass
            nursery.cancel_scope.cancel()

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        limit = self.limit
        if limit is not None and self.declared is not None and self.declared > limit:
            raise BodyTooLarge(limit)
        while not self.finished:
            message = await self._next_message()
            if message["type"] != "http.request":
                raise ClientGone
            self.finished = not message.get("more_body", False)
            chunk: bytes = message.get("body", b"")
            if chunk:
                self.received += len(chunk)
                if self._share is not None:
                    self._share.took(len(chunk))
                if limit is not None and self.received > limit:
                    raise BodyTooLarge(limit)
                return chunk
        raise StopAsyncIteration

    async def _next_message(self) -> Message:
        """Return the next message. Only time spent waiting counts: a slow disk here is not a slow client."""
        if self._proceed is not None:
            proceed, self._proceed = self._proceed, None
            await proceed()
        if self._share is not None:
            await self._share.room(self.is_cut_short)
        if self._refused:
            raise too_many_bodies()
        message = None if self.at_hand is None else self.at_hand()
        if message is None:
            message = await self._awaited()
        self._window += len(message.get("body", b""))
        if self._window >= self.min_rate * RATE_WINDOW_S:
            self._waited, self._window = 0.0, 0
        return message

    async def _awaited(self) -> Message:
        start = trio.current_time()
        message: Message | None = None
        patience = max(0.0, RATE_WINDOW_S - self._waited) if self.min_rate else math.inf
        with trio.move_on_after(patience) as self._scope:
            message = await self._receive()
        self._scope = None
        if message is None:
            if self._refused:
                raise too_many_bodies()
            raise BodyTooSlow(f"the body came slower than {self.min_rate} bytes a second")
        self._waited += trio.current_time() - start
        return message


async def cancel_after(event: trio.Event, scope: trio.CancelScope) -> None:
    """Cancel `scope` once `event` is set."""
    await event.wait()
    scope.cancel()
