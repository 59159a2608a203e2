"""Serve: sockets, TLS, the connections' handlers, and a stop that loses nothing.

Hypercorn's protocols run each connection (`api.protocol`); listening, admission and stopping are here,
because Hypercorn's own loop cannot wrap streams, and lets one connection's error end the server.
"""

from __future__ import annotations

import errno
import logging
import resource
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config as HypercornConfig
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.worker_context import WorkerContext

from retain.api.config.checks import split_bind
from retain.api.config.load import ServerConfig, unprotected
from retain.api.http.message import FixedFields
from retain.api.http.plain_head import PlainHeads
from retain.api.server.app import App
from retain.api.server.connections import Connections, GuardedListener
from retain.api.server.http1 import HttpConnection
from retain.api.server.plain import PlainConnection
from retain.api.server.stream import GuardedStream
from retain.api.server.turns import Turns
from retain.engine.core.shortages import Shortages, shortage_in
from retain.engine.writing.bodies import BODY_FILES

LOG = logging.getLogger("retain.serve")

_SHORT_OF = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
"""accept(2) errors that mean a shortage of the machine: wait, never spin."""
_ACCEPT_PAUSE_S = 0.25
BACKLOG = 1024

RESERVED_FILES = 128
"""Descriptors kept for the journal, its reading tools, logs and standard streams; half of all at most."""


_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


class WireConfig(HypercornConfig):
    """Hypercorn's configuration with every limit set, and its Date header formatted once a second."""

    def __init__(self, server: ServerConfig) -> None:
        super().__init__()
        self.accesslog = None
        self.errorlog = logging.getLogger("retain.hypercorn")
        self.h11_max_incomplete_size = server.max_header_bytes
        self.h2_max_concurrent_streams = 100
        self.h2_max_header_list_size = 2 * server.max_header_bytes
        self.include_server_header = False
        self.keep_alive_max_requests = 1 << 62
        self.read_timeout = None  # api.connections watches the phases instead
        self.ssl_handshake_timeout = server.header_timeout
        self._headers: list[tuple[bytes, bytes]] = []
        self._headers_until = -1.0
        self._starts: dict[tuple[int, FixedFields | None], bytes] = {}

    def response_headers(self, protocol: str) -> list[tuple[bytes, bytes]]:
        """Return the Date header, at most a second old."""
        now = trio.current_time()
        if now >= self._headers_until:
            self._headers = [(b"Date", value) for _, value in super().response_headers(protocol)]
            self._headers_until = now + 1.0
            self._starts.clear()
        return self._headers

    def head_start(self, status: int, fixed: FixedFields | None) -> bytes:
        """Return how all answers of a kind begin in this second: status line, Date, fixed fields."""
        headers = self.response_headers("h11")
        start = self._starts.get((status, fixed))
        if start is None:
            line = _STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n"
            date = b"".join([b"%b: %b\r\n" % pair for pair in headers])
            start = b"%b%b%b" % (line.encode(), date, (fixed.lines if fixed else "").encode("latin-1"))
            self._starts[status, fixed] = start
        return start


def capacity(server: ServerConfig) -> int:
    """Return how many connections to accept: `max_connections`, or as many as there are descriptors for.

    The journal comes first, then connections, then bodies, which wait their turn; where there are few
    descriptors, connections get no more than half of what is left. The soft limit is raised to what is needed
    as far as the hard limit allows.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = server.max_connections + RESERVED_FILES + BODY_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return server.max_connections
    left = soft - min(RESERVED_FILES, soft // 2)
    return max(1, min(server.max_connections, max(left - BODY_FILES, left // 2)))


def tls_context(server: ServerConfig) -> ssl.SSLContext | None:
    """Return a context for TLS 1.2 or newer with HTTP/2 offered; None without a certificate.

    Raises OSError, ssl.SSLError.
    """
    if server.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["h2", "http/1.1"])
    # An encrypted key must fail: without a passphrase given here OpenSSL would ask the terminal for one.
    context.load_cert_chain(server.tls_certificate, server.tls_key, password="")
    return context


class CannotListen(Exception):
    """The address is in use, not of this machine, or not allowed for this user."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"cannot listen on {reason}")


async def serve(
    app: App,
    *,
    stop: trio.Event,
    announce: Callable[[Sequence[str]], Awaitable[None]],
    passed: Sequence[socket.socket] = (),
) -> None:
    """Listen and answer until `stop` is set; then finish the requests in flight, at most `stop_timeout` long.

    `announce` gets the base URLs once everything answers; the interfaces answer before the pages exist.
    `passed` are a supervisor's listening sockets, used instead of `server.bind`. Raises CannotListen.
    """
    server = app.config.server
    context = tls_context(server)
    connections = Connections(server, capacity(server), app.counters.cut)
    app.connections = lambda: len(connections)
    app.counters.watch(app.engine, lambda: app.connections())
    wire = WireConfig(server)
    worker = WorkerContext(None)
    listeners = taken_over(server, passed) if passed else await opened(server)
    handle = _handler(app, wire, worker, context, connections)

    async with trio.open_nursery() as background:
        background.start_soon(connections.watch)
        background.start_soon(connections.turns.run)
        lifespan = Lifespan(ASGIWrapper(app), wire, {})  # type: ignore[arg-type]
        async with trio.open_nursery() as handlers:
            async with trio.open_nursery() as accepting:
                for listener in listeners:
                    guarded = GuardedListener(listener, connections)
                    accepting.start_soon(_accept, guarded, handlers, handle, app.engine.shortages)
                await app.pages()
                await background.start(lifespan.handle_lifespan)
                await lifespan.wait_for_startup()
                scheme = "http" if context is None else "https"
                await announce([url_of(scheme, listener) for listener in listeners])
                await stop.wait()
                accepting.cancel_scope.cancel()
            app.stopping.set()
            await worker.terminated.set()
            await _drain(connections, server.stop_timeout)
            handlers.cancel_scope.cancel()
        await lifespan.wait_for_shutdown()
        if app.traces is not None:
            await trio.to_thread.run_sync(app.traces.close)
        background.cancel_scope.cancel()


async def opened(server: ServerConfig) -> list[trio.SocketListener]:
    """Return listeners on `server.bind`. Raises CannotListen."""
    host, port = split_bind(server.bind)
    try:
        return await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
    except OSError as error:
        # A name that does not resolve has its reason in strerror; trio puts several reasons into a text.
        raise CannotListen(f"{server.bind}: {error.strerror or error}") from error


def taken_over(server: ServerConfig, passed: Sequence[socket.socket]) -> list[trio.SocketListener]:
    """Return listeners on a supervisor's sockets, to which the rules for `server.bind` apply."""
    for one in passed:
        host, port = one.getsockname()[:2]
        if (reason := unprotected(server, host, f"{host}:{port}")) is not None:
            raise CannotListen(f"a passed socket: {reason}")
    return [trio.SocketListener(trio.socket.from_stdlib_socket(one)) for one in passed]


def _handler(
    app: App,
    wire: WireConfig,
    worker: WorkerContext,
    context: ssl.SSLContext | None,
    connections: Connections,
) -> Callable[[GuardedStream], Awaitable[None]]:
    """Return the function that serves one accepted connection to its end."""
    wrapped = ASGIWrapper(app)  # type: ignore[arg-type]
    server = app.config.server
    plain = _short_path(app, wire, connections) if server.fast_http1 else None

    async def handle(stream: GuardedStream) -> None:
        try:
            carrier = stream if context is None else _encrypted(stream, context, connections.turns)
            connection = HttpConnection(
                wrapped, wire, worker, carrier, server.write_timeout, connections.fell_idle, plain, app.bounds
            )
            if await connections.wait_for_place(stream):
                await connection.run()
            else:
                await connection.refuse()
        finally:
            stream.cut()
            connections.forget(stream)

    return handle


def _short_path(
    app: App, wire: WireConfig, connections: Connections
) -> Callable[[GuardedStream], PlainConnection]:
    server = app.config.server
    heads = PlainHeads(server.max_headers, server.max_header_bytes)

    def plain(stream: GuardedStream) -> PlainConnection:
        here = stream.socket.getsockname()[:2]
        return PlainConnection(app, wire, heads, stream, here, connections.fell_idle)

    return plain


def _encrypted(stream: GuardedStream, context: ssl.SSLContext, turns: Turns) -> trio.SSLStream[GuardedStream]:
    stream.turns = turns
    stream.shakes_hands = True
    return trio.SSLStream(stream, context, server_side=True, https_compatible=True)


async def _accept(
    listener: GuardedListener,
    handlers: trio.Nursery,
    handle: Callable[[GuardedStream], Awaitable[None]],
    shortages: Shortages,
) -> None:
    async with listener:
        while True:
            try:
                stream = await listener.accept()
            except OSError as error:
                if error.errno not in _SHORT_OF:
                    # accept(2) also returns errors of the connection that was to be accepted.
                    LOG.warning("accept failed", extra={"facts": {"errno": error.errno}})
                else:
                    shortages.note(shortage_in(error), trio.current_time())
                await trio.sleep(_ACCEPT_PAUSE_S)
            else:
                handlers.start_soon(handle, stream)


async def _drain(connections: Connections, patience: float) -> None:
    """Wait until the requests in flight are answered; cut what is left after `patience` seconds."""
    with trio.move_on_after(patience):
        while len(connections):
            await connections.close_unused()
            await trio.sleep(0.02)
    if len(connections):
        LOG.warning("requests cut off by the stop", extra={"facts": {"connections": len(connections)}})
        connections.cut_all()


def url_of(scheme: str, listener: trio.SocketListener) -> str:
    """Return the base URL of a listener."""
    host, port = listener.socket.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


async def stop_on_signal(stop: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
    """Set `stop` at SIGTERM or SIGINT; a second one ends the process at once, as after a crash."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            LOG.info("stopping", extra={"facts": {"signal": signal.Signals(number).name}})
            stop.set()
            break
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
