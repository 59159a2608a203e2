"""The interface: select the operation of a request, submit or read, and answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retain.api.areas.answers import COMMON, TEXT_TYPE
from retain.api.areas.cors import Cors
from retain.api.areas.errors import error_answer
from retain.api.areas.links import Links
from retain.api.areas.routes import PAGE, allowed, resolve, targets_of
from retain.api.areas.storage import Storage
from retain.api.config.load import AreasConfig
from retain.api.http.errors import MethodNotAllowed, NoRoute
from retain.api.http.message import BadRequest, Request, RequestError, Response
from retain.api.identity import Identity, IdentityError
from retain.engine import EngineAccess, EngineError

if TYPE_CHECKING:
    from retain.api.areas.sample import SamplePage

_STORAGE = ["genesys", "1", "storage"]
_NODE_STATUS = ["genesys", "1", "admin", "node", "status"]


class Areas:
    """Genesys Mobile Services storage over an engine.

    Args:
        engine: The engine with the areas.
        config: The section `areas` of the configuration.
        links: Makes links to files.
        identity: Recognises callers; None serves everyone.

    """

    def __init__(
        self, engine: EngineAccess, config: AreasConfig, links: Links, identity: Identity | None
    ) -> None:
        self._engine = engine
        self._identity = identity
        self._cors = Cors(config.cors_allowed_origins)
        self._storage = Storage(engine, config, links)
        self._page: SamplePage | None = None

    async def handle(self, request: Request) -> Response:
        """Handle `request`.

        Refusals become responses; internal errors and disconnects propagate.
        """
        try:
            response = await self._answer(request)
        except (RequestError, EngineError, IdentityError) as error:
            response = error_answer(request, error)
        self._cors.grant(request, response)
        return response

    def error(self, request: Request, error: Exception) -> Response:
        """Return the response to an error that `handle` let pass."""
        response = error_answer(request, error)
        self._cors.grant(request, response)
        return response

    async def _answer(self, request: Request) -> Response:
        parts = [part for part in request.segments() if part]
        if parts[:3] == _STORAGE:
            return await self._stored(request, parts[3:])
        if parts == _NODE_STATUS:
            return self._node_status(request)
        if parts == PAGE:
            if request.method == "OPTIONS":
                return self._options(request, "GET, HEAD, OPTIONS, POST")
            return await self._sample_page().answer(request, await self._actor(request))
        raise NoRoute

    def _sample_page(self) -> SamplePage:
        if self._page is None:
            from retain.api.areas.sample import SamplePage  # imports Jinja2, which would delay the start

            self._page = SamplePage(self._storage)
        return self._page

    async def _stored(self, request: Request, parts: list[str]) -> Response:
        if request.method == "OPTIONS":
            targets = targets_of(parts)
            if not targets:
                raise NoRoute
            return self._options(request, allowed(targets))
        actor = await self._actor(request)
        target = resolve(request.method, parts)
        request.operation = target.operation.value
        return await self._storage.perform(request, target, gms_user(request), actor)

    def _options(self, request: Request, methods: str) -> Response:
        """Return the response to OPTIONS; a preflight carries no credentials, so none are required."""
        response = Response(200, [*COMMON, ("Allow", methods)])
        self._cors.preflight(request, response)
        return response

    def _node_status(self, request: Request) -> Response:
        """Return the node's status, which clients request first (docs/wire/areas.md, section 12)."""
        if request.method not in ("GET", "HEAD"):
            if request.method == "OPTIONS":
                return self._options(request, "GET, HEAD, OPTIONS")
            raise MethodNotAllowed("GET, HEAD, OPTIONS")
        online = not self._engine.statistics().failure
        return Response(
            200 if online else 503,
            [("Content-Type", TEXT_TYPE), *COMMON],
            b"ONLINE" if online else b"OFFLINE",
        )

    async def _actor(self, request: Request) -> str:
        """Return the caller's name, as recorded in events.

        Raises:
            IdentityError: Credentials are configured, and this request has none or wrong ones.
        """
        if self._identity is None:
            return "anonymous"
        return (await self._identity.basic(request)).actor


def gms_user(request: Request) -> str | None:
    """Return the customer that the request names; None if there is none.

    The name is opaque; outer blanks are trimmed (docs/wire/areas.md, section 3). Bytes that are valid UTF-8
    are read as such, others as ISO-8859-1: one client always writes a name in the same way.

    Raises:
        BadRequest: The header occurs twice.
    """
    values = request.header_values("gms_user")
    if not values:
        return None
    if len(values) > 1:
        raise BadRequest("two gms_user headers")
    return decode_user(values[0].encode("latin-1")) or None


def decode_user(raw: bytes) -> str:
    """Return the text of a `gms_user` value."""
    try:
        return raw.decode().strip(" \t")
    except UnicodeDecodeError:
        return raw.decode("latin-1").strip(" \t")
