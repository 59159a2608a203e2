"""One connection, and HTTP/1.1 on it: Hypercorn's protocol with fixes.

HTTP/2 is in `api.server.http2`. What differs from Hypercorn 0.18, and why:

- no task is started and stopped around each request to time out idle connections (`api.server.connections`
does);
- head and body of a response are sent in one write;
- a body of known length is not copied on its way in; little is received ahead of its reader;
- `100 (Continue)` is sent when an interface begins to read the body, not before the request was checked;
- bytes after the last request of a connection do not cost that request its response;
- an empty line before a request is skipped;
- `Upgrade` is ignored (no WebSocket, no cleartext HTTP/2), as RFC 9110 section 7.8 allows;
- an error in one connection never reaches another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h11
import trio
from hypercorn.config import Config as HypercornConfig
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Body, EndBody
from hypercorn.protocol.events import Request as StreamRequest
from hypercorn.protocol.events import Response as StreamResponse
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState
from hypercorn.utils import parse_socket_addr

from retain.api.http.bounds import Bounds
from retain.api.http.message import BAD_TARGET, CASED_HEADERS
from retain.api.server.http2 import Http2
from retain.api.server.intake import Intake, Reading
from retain.api.server.plain import PlainConnection
from retain.api.server.stream import LINGER_S, GuardedStream, Phase

LOG = logging.getLogger("retain.http")

RECEIVE_BYTES = 65536
PLENTY_BYTES = 16384
"""A peer that sent this much at once is offered RECEIVE_MORE_BYTES: a large body then needs fewer steps."""
RECEIVE_MORE_BYTES = 512 * 1024
TINY_PAUSE_S = 0.01
"""Pause before each further tiny chunk of an address that sends too many: their work stays a few percent."""
PASSED_ON_BYTES = 65536
"""A piece of an answer of this length or more is sent separately, to avoid copying it."""

REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}

PROCEED = "retain.proceed"
"""Key in the ASGI scope's state: an async callable that asks the client to send the body it waits with."""

CUT_SHORT = "retain.cut-short"
"""Key in the ASGI scope's state: returns whether the client has left before it sent the whole body."""

_BUSY_TEXT = b"too many connections from this address are at work; try again later\n"
"""The response to a connection beyond its address' limit."""
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Type: text/plain;charset=utf-8\r\n"
    b"Cache-Control: no-store\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
    % (len(_BUSY_TEXT), _BUSY_TEXT)
)


def _goaway() -> bytes:
    """Return the same over HTTP/2: no stream was processed, so each may be retried (RFC 9113 section 6.8)."""
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    connection.initiate_connection()
    connection.close_connection(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM, _BUSY_TEXT, last_stream_id=0)
    data: bytes = connection.data_to_send()
    return data


class Http1(H11Protocol):
    """HTTP/1.x on one connection."""

    connection: h11.Connection

    def __init__(self, *arguments: Any, guard: GuardedStream, bounds: Bounds) -> None:
        super().__init__(*arguments)
        self._held = b""
        self._is_target_bad = False
        self._guard = guard
        self._bounds = bounds
        self._intake = Intake()

    async def stream_send(self, event: Any) -> None:
        """Send as Hypercorn does, with the reason phrase that old clients expect.

        A response after which the connection closes says so (RFC 9112 section 9.6): otherwise a client sends
        its next request into a connection that is being closed.
        """
        if isinstance(event, StreamResponse):
            headers = [*event.headers, *self.config.response_headers("h11")]
            closes = self.connection.their_state is h11.SEND_BODY or self.context.terminated.is_set()
            if closes and all(name.lower() != b"connection" for name, _ in headers):
                headers.append((b"Connection", b"close"))
            reason = REASONS.get(event.status_code, b"")
            await self._send_h11_event(
                h11.Response(status_code=event.status_code, headers=headers, reason=reason)
            )
        else:
            await super().stream_send(event)

    async def handle(self, event: Event) -> None:
        """Handle an event as Hypercorn does, with three differences.

        A body of known length is passed to its reader as it arrived; bytes after the last request of a
        connection are thrown away; and no more of a long body is received until its reader waits for it.
        """
        if isinstance(event, RawData):
            if self._is_last_request_read():
                return
            if self.stream is not None and self._is_only_body(len(event.data)):
                await self.stream.handle(Body(stream_id=STREAM_ID, data=event.data))
            else:
                await super().handle(event)
            if self.stream is not None:
                await self._intake.wanted()
        else:
            await super().handle(event)

    def _is_only_body(self, size: int) -> bool:
        """Count `size` received bytes if they are inside a body of known length; return whether they are.

        h11 would copy each byte four times, which costs a fifth of an upload. The rest of a body is in an
        attribute of h11 that is not public: without it all bytes pass through h11.
        """
        connection = self.connection
        if connection.their_state is not h11.SEND_BODY or connection.they_are_waiting_for_100_continue:
            return False
        left = self._left()
        if not 0 < size < left:
            return False
        reader: Any = connection._reader
        reader._remaining = left - size
        return True

    def _left(self) -> int:
        """Return how much of a body of known length h11 has not seen, 0 if that is unknown."""
        left: int = getattr(getattr(self.connection, "_reader", None), "_remaining", 0)
        return left

    def _is_last_request_read(self) -> bool:
        return self.connection.their_state in (h11.MUST_CLOSE, h11.CLOSED)

    async def _handle_events(self) -> None:
        # h11 treats bytes after the last request as an error, but the request before them must get its
        # answer.
        while not self._is_last_request_read():
            if self.connection.their_state is h11.IDLE:
                self._skip_empty_line()
                self._is_target_bad = self._is_target_bad or self._replace_in_target()
            try:
                event = self.connection.next_event()
            except h11.RemoteProtocolError as error:
                # h11 raises it from a frame that references it: a cycle that would keep this connection
                # alive.
                error.__traceback__ = None
                if self.connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                    await self._send_error_response(error.error_status_hint)
                await self.send(Closed())
                return
            if isinstance(event, h11.Request):
                await self.send(Updated(idle=False))
                await self._create_stream(event)
            elif event is h11.PAUSED:
                await self.can_read.clear()
                await self.can_read.wait()
            elif event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed) or self.stream is None:
                return
            elif isinstance(event, h11.Data):
                if self._bounds.is_too_tiny(self._guard.place, len(event.data)):
                    await trio.sleep(TINY_PAUSE_S)
                await self.stream.handle(Body(stream_id=STREAM_ID, data=bytes(event.data)))
            else:
                assert isinstance(event, h11.EndOfMessage)
                await self.stream.handle(EndBody(stream_id=STREAM_ID))

    def _skip_empty_line(self) -> None:
        """Skip an empty line before a request: it means nothing (RFC 9112 section 2.2).

        Old clients send it after a body; h11 refuses it. Its buffer is not public: without that it stays
        refused.
        """
        buffer: Any = getattr(self.connection, "_receive_buffer", None)
        if getattr(buffer, "_data", b"").startswith(b"\r\n"):
            buffer.maybe_extract_at_most(2)

    def _replace_in_target(self) -> bool:
        """Replace bytes beyond ASCII in the target of the next request; return whether there were any.

        h11 refuses such a target itself, in no interface's format. With the bytes replaced, the interface
        that the path names refuses it in its own format. h11's buffer is not public: without it h11 refuses.
        """
        buffer: Any = getattr(self.connection, "_receive_buffer", None)
        data: bytearray = getattr(buffer, "_data", bytearray())
        end = data.find(b"\r\n")
        line = bytes(data[: max(end, 0)])
        if line.isascii():
            return False
        start, stop = line.find(b" ") + 1, line.rfind(b" ")
        if not (line[:start].isascii() and line[stop:].isascii()):
            return False
        data[start:stop] = bytes(byte if byte < 0x80 else ord("~") for byte in line[start:stop])
        return True

    async def _create_stream(self, request: h11.Request) -> None:
        intake = self._intake = Intake()
        stream = self.stream = HTTPStream(
            Reading(self.app, intake),
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        state = ConnectionState({CASED_HEADERS: request.headers.raw_items})
        if self._is_target_bad:
            state[BAD_TARGET] = True
        if self.connection.they_are_waiting_for_100_continue:
            state[PROCEED] = self._proceed
        state[CUT_SHORT] = self._is_cut_short
        await stream.handle(
            StreamRequest(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii"),
                raw_path=request.target,
                state=state,
            )
        )
        stream.app_put = intake.put

    def _is_cut_short(self) -> bool:
        """Return whether the peer has closed its side, and what it has sent cannot be the whole body.

        One piece may be on its way from the socket to the reader, another inside TLS. Of a chunked body the
        length is unknown: that it is cut short shows when it is read.
        """
        left = self._left()
        waiting = self._guard.last_bytes() if left else None
        return waiting is not None and waiting + 2 * RECEIVE_MORE_BYTES < left

    async def _proceed(self) -> None:
        if self.connection.they_are_waiting_for_100_continue:
            await self._send_h11_event(h11.InformationalResponse(status_code=100, headers=[]))

    async def _send_h11_event(self, event: Any) -> None:
        try:
            pieces = self.connection.send_with_data_passthrough(event)
        except h11.LocalProtocolError:
            if self.connection.their_state is not h11.ERROR:
                raise
            return
        if isinstance(event, h11.Response):
            # Held back for the body that follows: ASGI forbids a head to be sent before it anyway.
            self._held = b"".join(pieces or ())
            if isinstance(self.stream, HTTPStream) and self.stream.scope["method"] == "HEAD":
                # h11 announces chunks where no length is known; an answer to HEAD has none.
                self._held = self._held.replace(b"\r\nTransfer-Encoding: chunked\r\n", b"\r\n", 1)
            return
        pieces = [self._held, *(pieces or ())]
        self._held = b""
        if sum(map(len, pieces)) < PASSED_ON_BYTES:
            pieces = [b"".join(pieces)]
        for piece in pieces:
            if piece:
                await self.send(RawData(data=piece))


class HttpConnection(TCPServer):
    """One connection from its handshake to its end."""

    stream: GuardedStream | trio.SSLStream[GuardedStream]  # type: ignore[assignment]

    def __init__(
        self,
        app: AppWrapper,
        config: HypercornConfig,
        context: WorkerContext,
        stream: GuardedStream | trio.SSLStream[GuardedStream],
        write_timeout: float,
        on_idle: Callable[[GuardedStream], None] = lambda stream: None,
        plain: Callable[[GuardedStream], PlainConnection] | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        super().__init__(app, config, context, ConnectionState({}), stream)  # type: ignore[arg-type]
        self._plain = plain
        self._bounds = bounds or Bounds()
        self.write_timeout = write_timeout
        self.on_idle = on_idle
        self.guard = stream if isinstance(stream, GuardedStream) else stream.transport_stream

    async def run(self) -> None:
        """Serve until either side closes. Raises nothing but cancellation."""
        try:
            alpn = await self._handshake()
            unused: bytes | None = b""
            if self._plain is not None and isinstance(self.stream, GuardedStream):
                self.guard.send_ahead()
                unused = await self._plain(self.stream).run()
            if alpn is not None and unused is not None:
                async with TaskGroup() as task_group:
                    self.protocol = self._protocol(alpn, task_group)
                    await self.protocol.initiate()
                    if unused:
                        await self.protocol.handle(RawData(data=unused))
                    await self._read_data()
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            LOG.debug("connection broken")
        except* Exception:
            LOG.exception("unhandled exception in a connection")
        finally:
            await self.stream.aclose()
            self._break_cycles()

    async def refuse(self) -> None:
        """Answer that there is no room for this connection, and close it."""
        try:
            alpn = await self._handshake()
            if alpn is not None:
                with trio.move_on_after(self.write_timeout):
                    await self.stream.send_all(_goaway() if alpn == "h2" else _BUSY)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            LOG.debug("connection broken")
        finally:
            await self.stream.aclose()
            self._break_cycles()

    def _break_cycles(self) -> None:
        """Break the cycles of a connection that has ended, so that its memory is freed without the collector.

        One is between protocol and connection, one in Trio's stream, which holds a method of its own. With it
        goes what OpenSSL has for the connection, tens of kilobytes.
        """
        self.__dict__.pop("protocol", None)
        self.guard.retire = None
        if not isinstance(self.stream, GuardedStream):
            vars(self.stream).clear()

    async def _handshake(self) -> str | None:
        """Return the application protocol; None if the peer fails the TLS handshake."""
        if isinstance(self.stream, GuardedStream):
            return "http/1.1"
        try:
            with trio.fail_after(self.config.ssl_handshake_timeout):
                await self.stream.do_handshake()
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            return None
        finally:
            self.guard.shakes_hands = False
        return self.stream.selected_alpn_protocol() or "http/1.1"

    def _protocol(self, alpn: str, task_group: TaskGroup) -> Any:
        sock = self.guard.socket
        kind: Callable[..., Http1 | Http2] = partial(Http1, guard=self.guard, bounds=self._bounds)
        if alpn == "h2":
            kind = partial(Http2, write_timeout=self.write_timeout, guard=self.guard, bounds=self._bounds)
            self.guard.multiplexed = True
            self.guard.enter(Phase.IDLE)
        else:
            self.guard.send_ahead()
        return kind(
            self.app,
            self.config,
            self.context,
            task_group,
            ConnectionState({}),
            not isinstance(self.stream, GuardedStream),
            parse_socket_addr(sock.family, sock.getpeername()),
            parse_socket_addr(sock.family, sock.getsockname()),
            self.protocol_send,
        )

    async def protocol_send(self, event: Event) -> None:
        """Carry out what the protocol requests: bytes to send, a phase, an end."""
        if isinstance(event, RawData):
            if not await self._send(event.data):
                await self.protocol.handle(Closed())
        elif isinstance(event, Updated):
            self.guard.enter(Phase.IDLE if event.idle else Phase.BUSY)
            if event.idle:
                self.on_idle(self.guard)
        else:
            assert isinstance(event, Closed)
            # The task that answers may end while the peer still sends, and is cancelled then. The bytes must
            # be discarded none the less, or a reset would lose the answer. The watch ends that sooner.
            with trio.move_on_after(2 * LINGER_S, shield=True):
                await self.stream.aclose()
            await self.protocol.handle(Closed())

    async def _send(self, data: bytes) -> bool:
        """Send in the order of the calls; return False if the connection is broken, and close its socket.

        The wait for one's turn is shielded, too: the bytes have left the protocol's state, and with HTTP/2
        they hold frames of other streams than that of the task that is cancelled. The watch over connections
        ends writes that make no progress.
        """
        with trio.CancelScope(shield=True):
            async with self.send_lock:
                try:
                    await self.stream.send_all(data)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    self.guard.cut()
                    return False
        return True

    async def _read_data(self) -> None:
        size = RECEIVE_BYTES
        while True:
            try:
                data = await self.stream.receive_some(size)
            except (trio.ClosedResourceError, trio.BrokenResourceError):
                break
            plenty = len(data) >= PLENTY_BYTES and not self._bounds.is_tight
            size = RECEIVE_MORE_BYTES if plenty else RECEIVE_BYTES
            await self.protocol.handle(RawData(data=bytes(data)))
            if not data:
                break
        await self.guard.take_turn()  # thousands may end at once, each with a request in hand
        await self.protocol.handle(Closed())
