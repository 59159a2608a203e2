"""Pages on workers: forward the request to the deciding process, and its answer back.

Sessions, running searches and all other state of pages are in that process. ASGI's own messages are forwarded
(HTTP, version 2.x of that part of ASGI) as msgpack maps, one connection for each request. Bodies are
forwarded piece by piece; if one side does not read, the other waits.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import msgpack
import trio

from retain.api.http.message import Message, Receive, Scope, Send
from retain.api.server.app import Asgi

LOG = logging.getLogger("retain.workers")

CARRIED: Final = (
    "type",
    "asgi",
    "http_version",
    "method",
    "scheme",
    "path",
    "raw_path",
    "query_string",
    "root_path",
    "headers",
    "client",
    "server",
)
"""The forwarded members of a scope. Extensions, such as server push, are not forwarded."""
PIECE_BYTES: Final = 64 << 10
MOST_BYTES: Final = 4 << 20
"""Longest message; a page's body arrives in the pieces that Quart makes."""
AT_ONCE: Final = 256
"""Requests for pages of one worker under way at once. Further ones wait."""


class Pages:
    """The pages, as seen by a worker's application.

    Args:
        address: The name of the deciding process's socket.

    """

    def __init__(self, address: bytes) -> None:
        self._address = address
        self._turn = trio.Semaphore(AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        async with self._turn:
            try:
                stream = await trio.open_unix_socket(self._address)
            except OSError as error:
                LOG.warning(
                    "the process that renders the pages cannot be reached",
                    extra={"facts": {"errno": error.errno}},
                )
                await _unavailable(send)
                return
            async with stream:
                carried = {name: scope[name] for name in CARRIED if name in scope}
                await self._exchange(stream, carried, receive, send)

    async def _exchange(
        self, stream: trio.SocketStream, scope: dict[str, Any], receive: Receive, send: Send
    ) -> None:
        begun = ended = False
        gone = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_carry_request, stream, scope, receive, gone)
            arriving = Arriving(stream)
            while (message := await arriving.next()) is not None:
                begun = True
                ended = message["type"] == "http.response.body" and not message.get("more_body")
                await send(message)
                if ended:
                    break
            nursery.cancel_scope.cancel()
        if gone.is_set():
            return  # the client has disconnected
        if not begun:
            await _unavailable(send)
        elif not ended:
            raise ConnectionError("the process that renders the pages ended in the middle of a response")


async def _carry_request(
    stream: trio.SocketStream, scope: dict[str, Any], receive: Receive, gone: trio.Event
) -> None:
    try:
        await stream.send_all(msgpack.packb(scope))
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                gone.set()
                await stream.send_eof()
                return
            await stream.send_all(msgpack.packb(dict(message)))
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return


async def _live(receive: Receive, send: Send) -> None:
    """Answer ASGI's lifespan messages: there is nothing to start."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _unavailable(send: Send) -> None:
    body = b"the process that makes the the process that renders the pages cannot be reached; try again\n"
    headers = [(b"content-type", b"text/plain;charset=utf-8"), (b"retry-after", b"1")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


class Arriving:
    """The messages that arrive on a connection.

    Args:
        stream: The connection.

    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._unpacker = msgpack.Unpacker(max_buffer_size=MOST_BYTES)

    async def next(self) -> Message | None:
        """Return the next one; None once the connection has ended.

        Raises:
            ValueError: The bytes are not a message.

        """
        while True:
            for message in self._unpacker:
                found: Message = message
                return found
            try:
                data = await self._stream.receive_some(PIECE_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return None
            if not data:
                return None
            self._unpacker.feed(data)


async def make_page(stream: trio.SocketStream, pages: Asgi) -> None:
    """Answer one forwarded request, in the deciding process."""
    async with stream:
        arriving = Arriving(stream)
        scope = await arriving.next()
        if scope is None:
            return
        made = {
            **scope,
            "headers": [(name, value) for name, value in scope["headers"]],
            "client": scope.get("client") and tuple(scope["client"]),
            "server": scope.get("server") and tuple(scope["server"]),
            "extensions": {},
        }

        async def receive() -> Message:
            return await arriving.next() or {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            for piece in _pieces(message):
                try:
                    await stream.send_all(msgpack.packb(piece))
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    return  # the client has disconnected; `receive` reports that to the application

        await pages(made, receive, send)


def _pieces(message: Message) -> list[Message]:
    body = message.get("body", b"")
    if len(body) <= PIECE_BYTES * 16:
        if "headers" in message:
            pairs = [(bytes(name), bytes(value)) for name, value in message["headers"]]
            return [{**message, "headers": pairs}]
        return [message]
    parts = [body[at : at + PIECE_BYTES] for at in range(0, len(body), PIECE_BYTES)]
    last = len(parts) - 1
    more = message.get("more_body", False)
    return [
        {"type": message["type"], "body": part, "more_body": more or at < last}
        for at, part in enumerate(parts)
    ]
