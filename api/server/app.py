"""The one ASGI application: refuses malformed requests, and passes the others to their interface.

The interfaces are not Quart routes: raw paths, the case of headers and the absence of redirects matter to
their clients, and a bare ASGI callable in front of Quart answers half as fast again. Requests that no
interface claims are passed to the Quart-Trio application of `api.web`, which is imported and created once the
interfaces answer (`App.pages`): Quart and Flask are a sixth of the imports of a start.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_network
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

import trio

from retain.api.config.load import Config
from retain.api.http.addresses import is_listed
from retain.api.http.bounds import STREAM_BYTES, Bounds, Share
from retain.api.http.external import ExternalUrl, client_address
from retain.api.http.message import (
    BadRequest,
    ClientGone,
    HeadersTooLarge,
    Message,
    Mounted,
    Receive,
    Request,
    RequestError,
    Response,
    Scope,
    Send,
    UnexpectedError,
    decode_segment,
    start_message,
)
from retain.api.http.plain_head import HOST
from retain.api.http.request_ids import RequestIds
from retain.api.http.send import close_iterator, drop_description, send_response
from retain.api.identity import IdentityError
from retain.api.importing import importing
from retain.api.server.http1 import CUT_SHORT, PROCEED
from retain.api.web.documentation import API, HOME, Documentation
from retain.api.web.landing import Landing
from retain.api.web.metrics import Counters
from retain.api.web.readiness import readiness
from retain.api.web.seen import Seen
from retain.api.web.traces import traces_of
from retain.engine import EngineAccess, EngineError
from retain.engine.core.made import MADE, ranges
from retain.engine.core.shortages import shortage_in
from retain.engine.core.time import SECOND

if TYPE_CHECKING:
    from quart import Blueprint

Head = TypeVar("Head")

LOG = logging.getLogger("retain.http")
REQUESTS = logging.getLogger("retain.requests")

DISCARD_BYTES = 65536
"""If at most this much of a request body is unread, it is read and discarded, so that the connection can be
used again.
"""
_REFUSALS = (RequestError, EngineError, IdentityError)
"""Errors that an interface turns into its own response; others are bugs, unless the machine was short of a
resource.
"""

_PORT = re.compile(rb":[0-9]*$")
_VERSIONS = frozenset(("1.1", "2", "1.0"))
_REFUSED_METHODS = frozenset(("TRACE", "TRACK", "CONNECT"))


Asgi: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class _Refused(RequestError):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class App:
    """The ASGI application. Made by `create_app`; `interfaces` must not claim each other's paths.

    `stopping` is set when the server stops: waiting responses then end. `connections` returns the number of
    open connections.
    """

    def __init__(
        self,
        engine: EngineAccess,
        config: Config,
        interfaces: Sequence[Mounted],
        pages: Sequence[Callable[[], Blueprint]] = (),
        counters: Counters | None = None,
        elsewhere: Asgi | None = None,
        processes: int = 1,
        read_under: Sequence[str] = (),
    ) -> None:
        self.engine = engine
        self.config = config
        self.interfaces = tuple(interfaces)
        self.counters = counters or Counters()
        self.stopping = trio.Event()
        self.connections: Callable[[], int] = lambda: 0
        self._blueprints = tuple(pages)
        self._pages: Asgi | None = elsewhere
        self._pages_turn = trio.Lock()
        self._read_under = frozenset(read_under)
        self._prefixes = {
            prefix.encode(): interface for interface in interfaces for prefix in interface.prefixes
        }
        self._claims = [
            (interface.claims, interface) for interface in interfaces if interface.claims is not None
        ]
        self._hosts = [
            (end.encode(), interface) for interface in interfaces for end in interface.host_suffixes
        ]
        self._metrics_from = tuple(ip_network(entry) for entry in config.operations.metrics_from)
        self._proxies = tuple(ip_network(entry) for entry in config.server.trusted_proxies)
        self.seen = Seen(config.server, self._proxies)
        self.traces = traces_of(config.operations)
        self._ids = RequestIds(engine.entropy)
        self.bounds = Bounds(self._proxies, lambda: self.counters.cut("memory"), processes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a connection's scope (ASGI)."""
        kind = scope["type"]
        if kind == "http":
            await self._serve(scope, receive, send)
        elif kind == "websocket":
            await send({"type": "websocket.close"})
        else:
            pages = await self.pages()
            await pages(scope, receive, send)

    async def pages(self) -> Asgi:
        """Return the Quart-Trio application for all other requests, created in a thread at the first call."""
        if self._pages is None:
            async with self._pages_turn:
                if self._pages is None:
                    self._pages = await trio.to_thread.run_sync(self._made_pages)
        return self._pages

    def _made_pages(self) -> Asgi:
        with importing():
            from retain.api.web.health import bare_app, operations
        quart = bare_app("retain")
        quart.register_blueprint(
            operations(self.engine, self.counters, metrics=self.config.operations.metrics)
        )
        for blueprint in self._blueprints:
            quart.register_blueprint(blueprint())
        return cast("Asgi", quart)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = trio.current_time()
        name = "none"
        interface: Mounted | None = None
        request: Request | None = None
        try:
            request = Request(scope, receive)
            interface = self.interface_of(request)
            self._check(request)
            if interface is None:
                request.segments()
        except RequestError as error:
            status = await self._refuse(error, scope, receive, send, interface, request)
        else:
            if interface is None:
                status = await self._fall_through(request, scope, receive, send)
            else:
                name = interface.name
                share = self.bounds.enter(request.peer)
                try:
                    status = await self._respond(interface, request, share, scope, receive, send)
                finally:
                    share.close()
        self.answered(name, scope["method"], status, trio.current_time() - started, request)

    def answered(self, name: str, method: str, status: int, seconds: float, request: Request | None) -> None:
        """Count and log a request that the interface `name` answered; empty if no interface did.

        A status of None: malformed.
        """
        operation = request.operation if request is not None else ""
        self.counters.request(name, method, status, seconds, operation)
        if self.traces is not None and request is not None:
            end = self.engine.wall()
            start = end - round(seconds * SECOND)
            self.traces.answered(name, request, status, start=start, end=end)
        log = self.config.log
        slow = 0 < log.slow_seconds <= seconds and request is not None and not request.waits
        if slow or log.requests:
            facts = {"method": method, "interface": name, "operation": operation, "status": status}
            facts |= {"seconds": round(seconds, 6)}
            if request is not None and request.id:
                facts["id"] = request.id
            if request is not None and request.records:
                facts["records"] = ranges(request.records)
            if slow:
                REQUESTS.warning("slow request", extra={"facts": facts})
            else:
                REQUESTS.info("request", extra={"facts": facts})

    def _check(self, request: Request) -> None:
        """Check the rules common to all interfaces. Raises RequestError."""
        server = self.config.server
        if request.is_target_bad:
            raise BadRequest("the request target contains a byte that is not ASCII")
        if request.http_version not in _VERSIONS:
            raise _Refused(505, "this version of HTTP is not supported")
        if request.method in _REFUSED_METHODS:
            raise _Refused(405, f"{request.method} is not allowed")
        if len(request.raw_headers) > server.max_headers:
            raise HeadersTooLarge(f"more than {server.max_headers} header fields")
        size = 0
        lengths = encodings = 0
        for name, value in request.raw_headers:
            size += len(name) + len(value)
            if name == b"host" and not HOST.fullmatch(value):
                raise BadRequest("bad Host")
            if name == b"content-length":
                lengths += 1
            elif name == b"transfer-encoding":
                encodings += 1
            elif name == b"expect" and value.lower() != b"100-continue":
                raise _Refused(417, "this expectation is not supported")
        if size > server.max_header_bytes:
            raise HeadersTooLarge(f"more than {server.max_header_bytes} bytes of header fields")
        if lengths and encodings:
            # RFC 9112 section 6.1: it may be an attempt at request smuggling.
            raise BadRequest("both Content-Length and Transfer-Encoding")
        if request.authority is not None and not HOST.fullmatch(request.authority):
            raise BadRequest("bad host in the request target")

    def interface_of(self, request: Request) -> Mounted | None:
        """Return the interface a request is meant for. Raises BadRequest on an undecodable first segment."""
        if self._hosts:
            host = request.authority or next((v for n, v in request.raw_headers if n == b"host"), b"")
            host = _PORT.sub(b"", host).lower()
            for ending, interface in self._hosts:
                if host.endswith(ending):
                    return interface
        first = request.raw_path[1:].partition(b"/")[0]
        found = self._prefixes.get(first)
        if found is not None or not first:
            return found
        decoded = decode_segment(first)
        if b"%" in first:
            found = self._prefixes.get(decoded.encode())
            if found is not None:
                return found
        for claims, interface in self._claims:
            if claims(decoded):
                return interface
        return None

    async def answer(
        self, interface: Mounted, request: Request, share: Share, head: Callable[[Response], Head]
    ) -> tuple[Response, Head] | None:
        """Call `interface`; return the response and what `head` makes of it, None if the client is gone.

        A short rest of the request's body has been read when this returns. `share` counts the request's
        memory; the caller closes it when the response is sent. `head` may raise what the interface then
        words, as any unexpected error.
        """
        self._look(request)
        self._assign_id(interface, request)
        if self.config.log.requests:
            request.records = []
            MADE.set(request.records)
        request.body.count_in(share)
        request.body.min_rate = self.config.server.min_body_rate
        request.body.stopping = self.stopping
        handled: Response | None = None
        try:
            if request.method == "GET" and not share.begin_at_once():
                await share.begin_answer()
            response = handled = await interface.handle(request)
            if request.id:
                response.headers.append((interface.id_header, request.id))
            share.made(len(response.body) if isinstance(response.body, bytes) else STREAM_BYTES)
            made = head(response)
        except ClientGone:
            return None
        except Exception as error:
            if handled is not None:
                await close_iterator(handled.body)
            response = self._worded(interface, request, error)
            made = head(response)
        if not request.body.finished:
            await request.body.discard(DISCARD_BYTES)
        return response, made

    def _assign_id(self, interface: Mounted, request: Request) -> None:
        """Give the request the id that its answer and the log have, if answers of `interface` have one."""
        if interface.id_header:
            request.id = self._ids.next()

    def _look(self, request: Request) -> None:
        if (now := trio.current_time()) >= self.seen.due:
            self.seen.look(request, now)

    async def _respond(
        self,
        interface: Mounted,
        request: Request,
        share: Share,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> int:
        """Call `interface` and send its response; return the status, 0 if the client disconnected before."""
        if proceed := scope.get("state", {}).get(PROCEED):
            request.body.on_first_read(proceed)
        request.body.is_cut_short = scope.get("state", {}).get(CUT_SHORT)
        answer = await self.answer(interface, request, share, Response.fields)
        if answer is None:
            return 0
        response, fields = answer
        unread = not request.body.finished
        if unread and request.http_version != "2":
            fields = [*fields, ("Connection", "close")]
        head = start_message(response.status, fields)
        try:
            await send_response(
                head,
                response,
                receive,
                send,
                method=request.method,
                unread=unread,
                stopping=self.stopping,
            )
        except Exception as error:
            # The head is sent: ending the connection is the only way left to signal the error.
            self._log_fault(error, request.id)
        return response.status

    def _worded(self, interface: Mounted, request: Request, error: Exception) -> Response:
        """Return the answer of `interface` to what was raised; log it if it is a bug."""
        response = self._answer_to(interface, request, error)
        if request.id:
            response.headers.append((interface.id_header, request.id))
        return response

    def _answer_to(self, interface: Mounted, request: Request, error: Exception) -> Response:
        if isinstance(error, ExceptionGroup):
            error = _cause(error)
        if not isinstance(error, _REFUSALS):
            # A temporary shortage of the machine is not a bug, and has its own answer.
            shortage = self.engine.shortages.refusal(error, trio.current_time())
            if shortage is not None:
                return interface.error(request, shortage)
            error = UnexpectedError(self._log_fault(error, request.id))
        return interface.error(request, error)

    def _log_fault(self, error: Exception, request_id: str) -> str:
        """Log a bug; return the id under which the log has it: the request's, if it has one."""
        log_id = request_id or self.engine.entropy(6).hex()
        LOG.error("unhandled exception in a request", exc_info=error, extra={"facts": {"id": log_id}})
        return log_id

    async def _refuse(
        self,
        error: RequestError,
        scope: Scope,
        receive: Receive,
        send: Send,
        interface: Mounted | None = None,
        request: Request | None = None,
    ) -> int:
        """Refuse a request that cannot be handled, in the form of its interface if it has one, and close."""
        if interface is not None and request is not None:
            self._assign_id(interface, request)
            response = self._worded(interface, request, error)
        else:
            response = Response.text(error.status, f"{error.message}\n", [("Cache-Control", "no-store")])
        if scope["http_version"] != "2":
            response.headers.append(("Connection", "close"))
        head = response.head_message()
        await send_response(head, response, receive, send, method=scope["method"], unread=True)
        return response.status

    async def _fall_through(self, request: Request, scope: Scope, receive: Receive, send: Send) -> int:
        """Pass on requests that no interface claims: health, metrics, and 404 for all others."""
        self._look(request)
        if request.segments()[0] == "metrics" and not is_listed(
            client_address(request, self._proxies), self._metrics_from
        ):
            return await self._refuse(
                _Refused(403, "this address may not read metrics; see operations.metrics_from"),
                scope,
                receive,
                send,
            )
        status, whole = 0, False

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                drop_description(message, request.method)
            await send(message)

        async def after_body() -> Message:
            nonlocal whole
            if whole:
                whole = False
                return {"type": "http.request", "body": b"", "more_body": False}
            return await receive()

        if proceed := scope.get("state", {}).get(PROCEED):
            await proceed()
        if request.segments()[0] not in self._read_under:
            # No page there reads a body. A short body is read here, so that the connection can be used again.
            request.body.min_rate = self.config.server.min_body_rate
            await request.body.discard(DISCARD_BYTES)
            whole = request.body.finished
        pages = await self.pages()
        await pages(scope, after_body, noting)
        return status


def create_app(
    engine: EngineAccess,
    config: Config,
    interfaces: Sequence[Mounted] = (),
    *,
    pages: Sequence[Callable[[], Blueprint]] = (),
    counters: Counters | None = None,
    elsewhere: Asgi | None = None,
    processes: int = 1,
    read_under: Sequence[str] = (),
) -> App:
    """Return the application: the interfaces, the landing page, health and metrics.

    Args:
        engine: The open data folder.
        config: The whole configuration.
        interfaces: The mounted interfaces, in the order in which the landing page shows them.
        pages: Create the blueprints beside health and metrics.
        counters: The counters, if pages show them too.
        elsewhere: Answers requests that no interface claims, instead of pages created here.
        processes: How many processes share the bounds.
        read_under: First path segments under which pages read a body, as their package declares; other pages
            get none.

    """
    external = ExternalUrl(config.server)
    documentation = Documentation([interface.name for interface in interfaces], external)
    landing = Landing(
        interfaces,
        linked_pages(config, interfaces),
        external,
        lambda: readiness(engine.statistics()),
    )
    mounted = [*interfaces, landing.mount(), documentation.mount()]
    return App(engine, config, mounted, pages, counters, elsewhere, processes, read_under)


def linked_pages(config: Config, interfaces: Sequence[Mounted]) -> list[tuple[str, str]]:
    """Return the links of the landing page: (path, label)."""
    pages = [interface.page for interface in interfaces if interface.page is not None]
    pages += [(HOME, "Documentation"), (API, "OpenAPI")]
    pages += [("healthz", "Health"), ("readyz", "Readiness")]
    if config.operations.metrics:
        pages.append(("metrics", "Metrics"))
    return pages


def _cause(group: ExceptionGroup[Exception]) -> Exception:
    """Return the error to answer, out of those that the tasks of a request raised, wrapped by their nursery.

    A bug has precedence, with all others for the log; then a shortage, because it is temporary; then one of
    the refusals.
    """
    _, faults = group.split(lambda error: isinstance(error, _REFUSALS) or bool(shortage_in(error)))
    if faults is not None:
        return group
    first: Exception = group.subgroup(lambda error: bool(shortage_in(error))) or group
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    return first
