"""A connection between leader and follower: requests and their answers, and messages without one.

Each message is msgpack, `[number, body]`. A request has a positive number, its
answer the negative one; 0 expects no answer. Either side may ask. Messages in one direction keep their order.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import msgpack
import trio

from retain.engine.core.errors import EngineClosed, EngineError, StorageFailed, TooLarge
from retain.engine.following.codec import BadMessage
from retain.engine.writing.threads import in_thread

LOG = logging.getLogger("retain.following")

MESSAGE_BYTES: Final = 16 << 20
"""Longest message: a command fills at most a frame of the journal, 4 MiB."""
AHEAD_BYTES: Final = 1 << 20
"""A sender waits while more than this is queued."""
LONG_BYTES: Final = 128 << 10
"""Longer requests are unpacked in a thread: a document of 4 MiB takes tens of milliseconds."""
ASKED_MOST: Final = 512
"""Requests of one side that wait for an answer at once. Further ones wait, unsent."""
UNKNOWN: Final = (
    "the deciding process has ended: whether this change was made is unknown; check before you try again"
)

Handle = Callable[[Any], Awaitable[Any]]


class Packs(Protocol):
    """Packs and unpacks what goes over a link, as `Codec` does."""

    def pack(self, value: Any) -> bytes:
        """Return the bytes of a message."""

    def unpack(self, data: bytes) -> Any:
        """Return the message of these bytes. Raises `BadMessage`."""


class Link:
    """One end of a connection.

    `run` must be running for anything to arrive. If the connection ends, requests under way raise
    `StorageFailed`, because they may have taken effect, and new ones `EngineClosed`.

    Args:
        stream: The connection.
        codec: The codec of both sides.

    """

    def __init__(self, stream: trio.abc.Stream, codec: Packs) -> None:
        self._stream = stream
        self._codec = codec
        self._calls: dict[int, tuple[trio.Event, list[Any]]] = {}
        self._number = 0
        self._turn = trio.Semaphore(ASKED_MOST)
        self._served = trio.Semaphore(ASKED_MOST)
        self._out = bytearray()
        self._more = trio.Event()
        self._less = trio.Event()
        self.closed = False

    async def ask(self, message: Any, *, shielded: bool = True, long: bool = False) -> Any:
        """Send a request and return its answer.

        Cancelled before it is sent, it never was; from then on the wait is shielded, as for any command,
        unless `shielded` is false. A `long` message is packed in a thread: it would hold the event loop.

        Raises:
            EngineError: The other side refused.
            StorageFailed: The connection ended: the outcome is unknown.
            EngineClosed: It had ended before; nothing was sent.
            TooLarge: The message is too large; nothing was sent.

        """
        body = await in_thread(self._codec.pack, message) if long else self._codec.pack(message)
        if len(body) > MESSAGE_BYTES - 64:
            raise TooLarge(
                f"the change is larger than {MESSAGE_BYTES} bytes; split it",
                reason="batch",
                limit=MESSAGE_BYTES,
            )
        await _take(self._turn)
        try:
            await self._room()
            self._number += 1
            number = self._number
            answered, answers = self._calls[number] = trio.Event(), []
            self._put(number, body)
            try:
                await answered.wait()
            except trio.Cancelled:
                if not shielded:
                    raise
                with trio.CancelScope(shield=True):
                    await answered.wait()
            finally:
                self._calls.pop(number, None)
        finally:
            self._turn.release()
        answer = answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def tell(self, message: Any) -> None:
        """Send a message that expects no answer. If the connection has ended, nothing happens."""
        body = self._codec.pack(message)
        if not self.closed:
            await self._wait_for_room()
        if not self.closed:
            self._put(0, body)

    async def run(self, handle: Handle) -> None:
        """Receive until the connection ends, or until cancelled.

        Args:
            handle: Return the answer to a request, or raise an `EngineError`; its result is ignored for
                messages without an answer, which it gets one after the other.

        Raises:
            BadMessage: The other side sent a malformed message.

        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send)
                await self._receive(nursery, handle)
                nursery.cancel_scope.cancel()
        finally:
            self.close()
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self._stream)

    def close(self) -> None:
        """Give up: nothing is sent or awaited any more."""
        self.closed = True
        for event, answer in self._calls.values():
            answer.append(StorageFailed(UNKNOWN, reason="unknown"))
            event.set()
        self._calls.clear()
        self._more.set()
        self._less.set()

    async def _receive(self, nursery: trio.Nursery, handle: Handle) -> None:
        unpacker = msgpack.Unpacker(max_buffer_size=2 * MESSAGE_BYTES, use_list=True)
        try:
            while data := await self._stream.receive_some(256 << 10):
                unpacker.feed(data)
                for number, body in unpacker:
                    await self._take(number, body, nursery, handle)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        except (msgpack.UnpackException, ValueError, TypeError) as error:
            raise BadMessage(f"the received bytes are not a message: {error}") from error

    async def _take(self, number: int, body: bytes, nursery: trio.Nursery, handle: Handle) -> None:
        if number < 0:
            call = self._calls.pop(-number, None)
            if call is not None:
                call[1].append(self._codec.unpack(body))
                call[0].set()
        elif number:
            # Beyond this many requests under way, further messages wait unread.
            await _take(self._served)
            nursery.start_soon(self._serve, number, body, handle)
        else:
            await handle(self._codec.unpack(body))

    async def _serve(self, number: int, body: bytes, handle: Handle) -> None:
        try:
            try:
                long = len(body) > LONG_BYTES
                message = await in_thread(self._codec.unpack, body) if long else self._codec.unpack(body)
                answer = await handle(message)
            except EngineError as refusal:
                answer = refusal
            except Exception as error:
                LOG.error("a request of another process failed", exc_info=error)
                answer = StorageFailed("the request failed in the deciding process; see its log")
            body = self._codec.pack(answer)
            await self._wait_for_room()
            self._put(-number, body)
        finally:
            self._served.release()

    async def _send(self) -> None:
        try:
            while not self.closed:
                await self._more.wait()
                self._more = trio.Event()
                while self._out:
                    data, self._out = self._out, bytearray()
                    less, self._less = self._less, trio.Event()
                    less.set()
                    await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.close()

    async def _room(self) -> None:
        """Wait until a request may be sent. Raises `EngineClosed`."""
        await self._wait_for_room()
        if self.closed:
            raise EngineClosed("the deciding process has ended; nothing was changed")

    async def _wait_for_room(self) -> None:
        while len(self._out) > AHEAD_BYTES and not self.closed:
            await self._less.wait()

    def _put(self, number: int, body: bytes) -> None:
        self._out += msgpack.packb([number, body])
        self._more.set()


async def _take(places: trio.Semaphore) -> None:
    """Take one of the places; if one is free, without a checkpoint."""
    try:
        places.acquire_nowait()
    except trio.WouldBlock:
        await places.acquire()
