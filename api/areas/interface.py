"""The interface itself: a request in, what it asks for submitted or read, an answer out."""

from collections.abc import AsyncIterator
from uuid import UUID

from api.areas.answers import (
    COMMON,
    TEXT_TYPE,
    byte_range,
    encode_json,
    file_answer,
    json_answer,
    json_stream,
    stored_text,
    text_answer,
)
from api.areas.cors import Cors
from api.areas.errors import BadRange, MethodNotAllowed, NoRoute, error_answer
from api.areas.forms import FormReader, FormRules
from api.areas.links import Links, file_link
from api.areas.mime import FileControl
from api.areas.routes import Operation, Target, allowed, resolve, targets_of
from api.areas.sample import PAGE_PATH, SamplePage
from api.areas.ttl import parse_ttl
from api.config import AreasConfig
from api.http import BadRequest, Request, RequestError, Response
from api.identity import Identity, IdentityError
from engine import Engine, EngineError, NotFound
from engine.areas import CreateArea, DeleteArea, NewValue, Policy, UpdateArea, Value, queries

_STORAGE = ["genesys", "1", "storage"]
_NODE_STATUS = ["genesys", "1", "admin", "node", "status"]
_UPDATED = b"{}"


class Areas:
    """Genesys Mobile Services storage over an engine.

    Args:
        engine: Where areas are kept.
        config: The section ``areas`` of the configuration.
        links: Makes links to files.
        identity: Recognises callers; None serves everyone.
    """

    def __init__(self, engine: Engine, config: AreasConfig, links: Links, identity: Identity | None) -> None:
        self._engine = engine
        self._config = config
        self._links = links
        self._identity = identity
        self._cors = Cors(config.cors_allowed_origins)
        self._policy = Policy(
            whole_area=config.ttl_scope == "area",
            upsert=config.upsert_with_user,
            max_keys=config.max_keys,
            max_name_bytes=config.max_key_bytes,
            quota_bytes=config.quota_bytes,
            quota_areas_per_user=config.quota_areas_per_user,
        )
        self._rules = FormRules(
            max_request_bytes=config.max_request_bytes,
            max_file_bytes=config.max_value_bytes,
            max_text_bytes=config.max_text_bytes,
            max_keys=config.max_keys,
            ignore_underscore=config.underscore_keys == "ignore",
            control=FileControl(config.allowed_mime_types) if config.allow_file_control else None,
        )
        self._page = SamplePage(self)

    async def handle(self, request: Request) -> Response:
        """Answers ``request``; refusals included, but for faults of ours and clients that went away."""
        try:
            response = await self._answer(request)
        except (RequestError, EngineError, IdentityError) as error:
            response = error_answer(request, error)
        self._cors.grant(request, response)
        return response

    def error(self, request: Request, error: Exception) -> Response:
        """The answer to an error that :meth:`handle` let pass."""
        response = error_answer(request, error)
        self._cors.grant(request, response)
        return response

    async def _answer(self, request: Request) -> Response:
        parts = [part for part in request.segments() if part]
        if parts[:3] == _STORAGE:
            return await self._storage(request, parts[3:])
        if parts == _NODE_STATUS:
            return self._node_status(request)
        if parts == PAGE_PATH:
            if request.method == "OPTIONS":
                return self._options(request, "GET, HEAD, OPTIONS, POST")
            return await self._page.answer(request, await self.actor(request))
        raise NoRoute

    async def _storage(self, request: Request, parts: list[str]) -> Response:
        if request.method == "OPTIONS":
            targets = targets_of(parts)
            if not targets:
                raise NoRoute
            return self._options(request, allowed(targets))
        actor = await self.actor(request)
        target = resolve(request.method, parts)
        return await self.perform(request, target, gms_user(request), actor)

    def _options(self, request: Request, methods: str) -> Response:
        """A preflight carries no credentials, so it is answered without."""
        response = Response(200, [*COMMON, ("Allow", methods)])
        self._cors.preflight(request, response)
        return response

    def _node_status(self, request: Request) -> Response:
        """What clients ask before they use the storage (spec section 12)."""
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

    async def actor(self, request: Request) -> str:
        """Who is calling, as it stands in events.

        Raises:
            IdentityError: Credentials are configured and this request brings none, or wrong ones.
        """
        if self._identity is None:
            return "anonymous"
        return (await self._identity.basic(request)).actor

    async def perform(self, request: Request, target: Target, user: str | None, actor: str) -> Response:
        """Does what ``target`` says for ``user`` (``gms_user``).

        Raises:
            EngineError: It cannot be done.
            RequestError: The request breaks a rule of the interface.
        """
        match target.operation:
            case Operation.LIST:
                return await self._list(request, target, user)
            case Operation.VALUE:
                return await self._value(request, target, user)
            case Operation.BINARY:
                return await self._binary(request, target, user)
            case Operation.DELETE:
                command = DeleteArea(actor=actor, name=target.name, user=user, custom=target.custom)
                await self._engine.submit(command)
                return json_answer({})
        async with self.reader(request) as reader:
            return await self.write(target, user, actor, await reader.read())

    def reader(self, request: Request, system: dict[str, str] | None = None) -> FormReader:
        """Reads the form of ``request`` by the configured rules."""
        return FormReader(request, self._engine.upload, self._rules, system)

    async def write(
        self, target: Target, user: str | None, actor: str, values: dict[str, NewValue]
    ) -> Response:
        """Creates or updates an area.

        Raises:
            EngineError: It cannot be done.
        """
        config = self._config
        ttl = parse_ttl(target.ttl, default=config.default_ttl, maximum=config.max_ttl)
        random = self._engine.entropy(32)
        if target.operation is Operation.UPDATE:
            await self._engine.submit(
                UpdateArea(
                    actor=actor,
                    name=target.name,
                    user=user,
                    resource=random[:16],
                    values=values,
                    ttl=ttl,
                    policy=self._policy,
                )
            )
            return json_answer({})
        name, owner = target.name, user
        if not target.custom:
            name, owner = str(UUID(bytes=random[16:], version=4)), None
        elif user is None:
            raise BadRequest("a custom id needs the gms_user header")
        created = await self._engine.submit(
            CreateArea(
                actor=actor,
                name=name,
                user=owner,
                resource=random[:16],
                values=values,
                ttl=ttl,
                policy=self._policy,
            )
        )
        return json_answer({"id": created})

    async def _list(self, request: Request, target: Target, user: str | None) -> Response:
        found = await self._engine.read(
            lambda state, now: queries.listing(state.areas, target.name, user, now, custom=target.custom)
        )
        listing: dict[str, str] = {}
        base = None
        for key, value in found:
            if isinstance(value, str):
                listing[key] = value
            elif value.media_type is None:
                return json_stream(self._long_listing(self._links.base(request), target.name, found))
            else:
                base = self._links.base(request) if base is None else base
                listing[key] = file_link(base, target.name, key)
        return json_answer(listing)

    async def _long_listing(
        self, base: str, name: str, found: list[tuple[str, Value]]
    ) -> AsyncIterator[bytes]:
        """A listing with texts too long for memory, one of them at a time. What was erased since is left
        out."""
        opening = "{"
        for key, value in found:
            if isinstance(value, str):
                text = value
            elif value.media_type is not None:
                text = file_link(base, name, key)
            else:
                try:
                    download = await self._engine.open_body(value.held)
                except NotFound:
                    continue
                try:
                    text = (await download.read()).decode()
                finally:
                    await download.aclose()
            yield f"{opening}{encode_json(key)}:{encode_json(text)}".encode()
            opening = ","
        yield b"{}" if opening == "{" else b"}"

    async def _find(self, target: Target, user: str | None) -> Value:
        return await self._engine.read(
            lambda state, now: queries.value(
                state.areas, target.name, user, target.key, now, custom=target.custom
            )
        )

    async def _value(self, request: Request, target: Target, user: str | None) -> Response:
        value = await self._find(target, user)
        if isinstance(value, str):
            return text_answer(value.encode())
        if value.media_type is None:
            return stored_text(await self._engine.open_body(value.held))
        return text_answer(file_link(self._links.base(request), target.name, target.key).encode())

    async def _binary(self, request: Request, target: Target, user: str | None) -> Response:
        value = await self._find(target, user)
        if isinstance(value, str):
            return text_answer(value.encode())
        if value.media_type is None:
            return stored_text(await self._engine.open_body(value.held))
        try:
            span = byte_range(request, value.held.size)
        except ValueError:
            raise BadRange(value.held.size) from None
        download = await self._engine.open_body(value.held)
        return file_answer(download, value.media_type, value.filename, span)


def gms_user(request: Request) -> str | None:
    """The customer that the request names: opaque, outer blanks trimmed, empty is none (spec section 3).

    Bytes that are UTF-8 are read as such, others as ISO-8859-1: one client writes a name in one way.

    Raises:
        BadRequest: The header is there twice.
    """
    values = request.header_values("gms_user")
    if not values:
        return None
    if len(values) > 1:
        raise BadRequest("two gms_user headers")
    return decode_user(values[0].encode("latin-1")) or None


def decode_user(raw: bytes) -> str:
    """The text of a ``gms_user`` value."""
    try:
        return raw.decode().strip(" \t")
    except UnicodeDecodeError:
        return raw.decode("latin-1").strip(" \t")
