"""HTTP/1.1 for requests with a plain head: one task and one loop for a connection, one write for a response.

Nearly every request is read here (`api.http.plain_head` defines plain), without a parser object, a stream, a
task or a channel for each. The first head that is not plain ends this loop: `run` returns the bytes not yet
used, and the connection continues in `api.server.http1`, which implements all of HTTP/1. The same happens to
requests that no interface claims (pages, metrics) and to those that are refused before an interface sees
them. So this module refuses nothing itself. `server.fast_http1 = false` turns it off.

The body is counted here by its Content-Length and read from the socket only when a reader asks for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

import trio

from retain.api.http.bounds import Bounds, Share
from retain.api.http.errors import RequestError
from retain.api.http.message import (
    FixedFields,
    Message,
    Mounted,
    Request,
    Response,
    render_fields,
    start_message,
)
from retain.api.http.plain_head import PlainHead, PlainHeads
from retain.api.http.send import describes_nothing, has_body, send_response, without_description
from retain.api.server.stream import GuardedStream, Phase

Head = TypeVar("Head")

LOG = logging.getLogger("retain.http")

RECEIVE_BYTES: Final = 65536
RECEIVE_MORE_BYTES: Final = 512 * 1024
"""Offered to a peer whose last piece was at least `PLENTY_BYTES`: a large body costs fewer steps."""
PLENTY_BYTES: Final = 16384
SEPARATE_BYTES: Final = 65536
"""A body from this length on is not copied together with its head."""


class Application(Protocol):
    """The part of the application that a plain request needs."""

    stopping: trio.Event

    def interface_of(self, request: Request) -> Mounted | None:
        """Return the interface that a request is meant for. Raises RequestError."""
        ...

    bounds: Bounds

    async def answer(
        self, interface: Mounted, request: Request, share: Share, head: Callable[[Response], Head]
    ) -> tuple[Response, Head] | None:
        """Return the response and what `head` makes of it; None if the client has disconnected."""
        ...

    def answered(self, name: str, method: str, status: int, seconds: float, request: Request | None) -> None:
        """Count and log an answered request."""
        ...


class ResponseFields(Protocol):
    """Provides the header fields that every answer has."""

    def head_start(self, status: int, fixed: FixedFields | None) -> bytes:
        """Return the status line, the Date header, at most a second old, and the fixed fields."""
        ...


class PlainConnection:
    """One connection over cleartext HTTP/1.1, as long as its heads are plain."""

    def __init__(
        self,
        app: Application,
        common: ResponseFields,
        heads: PlainHeads,
        stream: GuardedStream,
        server: tuple[str, int],
        on_idle: Callable[[GuardedStream], None],
    ) -> None:
        self._app = app
        self._common = common
        self._heads = heads
        self._stream = stream
        self._server = server
        self._on_idle = on_idle
        self._unread = b""
        self._left = 0  # bytes of the current request's body that have not been taken
        self._gone = False
        self._head: bytes | None = None  # of a streamed answer, until its first piece
        self._chunked = False
        self._unsent = 0
        self._complete = True

    async def run(self) -> bytes | None:
        """Serve until the connection ends (returns None) or a head is not plain (returns its bytes)."""
        stream = self._stream
        while True:
            end = self._unread.find(b"\r\n\r\n")
            while end < 0:
                if len(self._unread) > self._heads.max_bytes:
                    return self._unread
                try:
                    data = await stream.receive_some(RECEIVE_BYTES)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    return None
                if not data:
                    return self._unread or None
                if self._unread:
                    self._unread += data
                else:
                    self._unread = data
                end = self._unread.find(b"\r\n\r\n")
            head = self._heads.read(self._unread, end + 4)
            if head is None:
                return self._unread
            request = Request.of_plain_head(head, self._receive, stream.peer, self._server)
            try:
                interface = self._app.interface_of(request)
            except RequestError:
                return self._unread
            if interface is None:
                return self._unread
            self._unread = self._unread[end + 4 :] if len(self._unread) > end + 4 else b""
            if not await self._serve(interface, request, head):
                await stream.aclose()
                return None
            if self._unread:
                await trio.lowlevel.checkpoint()  # let other tasks run between pipelined requests
                stream.enter(Phase.HEAD)
            else:
                stream.enter(Phase.IDLE)
                self._on_idle(stream)

    async def _serve(self, interface: Mounted, request: Request, head: PlainHead) -> bool:
        """Answer one request; return whether the connection can take another one."""
        stream = self._stream
        stream.enter(Phase.BUSY)
        started = stream.since
        self._left = head.length or 0
        request.body.is_cut_short = self._is_cut_short
        request.body.at_hand = self._at_hand
        share = self._app.bounds.enter(stream.peer)
        try:
            return await self._respond(interface, request, share, started)
        finally:
            share.close()

    async def _respond(self, interface: Mounted, request: Request, share: Share, started: float) -> bool:
        answer = await self._app.answer(interface, request, share, Response.lines)
        if answer is None:
            self._app.answered(interface.name, request.method, 0, trio.current_time() - started, request)
            return False
        response, (fixed, lines) = answer
        unread = not request.body.finished
        body = response.body
        stopping = self._app.stopping.is_set()
        if isinstance(body, bytes) and not unread:
            if not has_body(request.method, response.status):
                body = b""
                if describes_nothing(request.method, response.status):
                    fixed, lines = None, render_fields(without_description(response.fields()))
            if stopping:
                lines += "Connection: close\r\n"
            head = self._common.head_start(response.status, fixed) + lines.encode("latin-1") + b"\r\n"
            delivered = await self._write(head, body)
        else:
            fields = response.fields()
            if unread or stopping:
                fields = [*fields, ("Connection", "close")]
            delivered = await self._stream_out(request, response, fields, unread=unread)
        seconds = trio.current_time() - started
        self._app.answered(interface.name, request.method, response.status, seconds, request)
        return delivered and not unread and not stopping

    async def _write(self, head: bytes, body: bytes) -> bool:
        """Write an answer; return whether the peer was still connected."""
        try:
            if len(body) < SEPARATE_BYTES:
                head += body
                body = b""
            # The kernel accepts nearly every answer at once: no cancel scope and no wait for those.
            sent = self._stream.send_now(head)
            if sent < len(head) or body:
                with trio.CancelScope(shield=True):
                    await self._stream.send_all(memoryview(head)[sent:])
                    await self._stream.send_all(body)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._stream.cut()
            return False
        return True

    # --- what is rare: answers that stream, and answers before the request was read ---------------------

    async def _stream_out(
        self, request: Request, response: Response, fields: list[tuple[str, str]], *, unread: bool
    ) -> bool:
        self._chunked = False
        self._complete = False
        lone = not has_body(request.method, response.status)
        sized = any(name == "Content-Length" for name, _ in fields)
        if not sized and not lone:
            self._chunked = True
        self._unsent = 0 if lone or not sized else next(int(v) for n, v in fields if n == "Content-Length")
        try:
            await send_response(
                start_message(response.status, fields),
                response,
                self._receive,
                self._send,
                method=request.method,
                unread=unread,
                stopping=self._app.stopping,
            )
        except Exception as error:
            # The head is sent: ending the connection is the only way left to signal the error.
            LOG.error("a response was cut off", exc_info=error)
        if not self._complete:
            self._stream.cut()
        return self._complete

    async def _receive(self) -> Message:
        """Return the next piece of the request's body; after the last one, the disconnect."""
        if self._gone:
            return {"type": "http.disconnect"}
        if self._left:
            if not self._unread:
                plenty = self._left > PLENTY_BYTES and not self._app.bounds.is_tight
                self._unread = await self._received(RECEIVE_MORE_BYTES if plenty else RECEIVE_BYTES)
            message = self._at_hand()
            if message is None:
                self._gone = True
                return {"type": "http.disconnect"}
            return message
        while len(self._unread) < RECEIVE_BYTES:
            data = await self._received(RECEIVE_BYTES)
            if not data:
                self._gone = True
                return {"type": "http.disconnect"}
            self._unread += data
        await trio.sleep_forever()
        raise AssertionError

    def _is_cut_short(self) -> bool:
        """Return whether the peer has closed its side, and what it has sent is not the whole body."""
        waiting = self._stream.last_bytes()
        return waiting is not None and waiting + len(self._unread) < self._left

    def _at_hand(self) -> Message | None:
        """Return what has been received of the current request's body; None if that is nothing."""
        data, left = self._unread, self._left
        if not data or not left:
            return None
        if len(data) > left:
            data, self._unread = data[:left], data[left:]
        else:
            self._unread = b""
        self._left -= len(data)
        return {"type": "http.request", "body": data, "more_body": self._left > 0}

    async def _received(self, size: int) -> bytes:
        try:
            return await self._stream.receive_some(size)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return b""

    async def _send(self, message: Message) -> None:
        """Take what `send_response` sends. Never raises because the client has disconnected."""
        if message["type"] == "http.response.start":
            lines = b"".join([b"%b: %b\r\n" % pair for pair in message["headers"]])
            framing = b"Transfer-Encoding: chunked\r\n" if self._chunked else b""
            self._head = self._common.head_start(message["status"], None) + lines + framing + b"\r\n"
            return
        await trio.lowlevel.checkpoint()  # an answer made in memory would never let others run
        if self._gone:
            return
        body: bytes = message["body"]
        last = not message["more_body"]
        if self._chunked:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if last:
                body += b"0\r\n\r\n"
        elif body or last:
            self._unsent -= len(body)
            if self._unsent < 0 or (last and self._unsent):
                raise RuntimeError("a response does not have the announced length")
        head, self._head = self._head or b"", None
        if (head or body) and not await self._write(head, body):
            self._gone = True
            return
        if last:
            self._complete = not self._gone
