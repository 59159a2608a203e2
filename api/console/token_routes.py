"""`/console/api/tokens`: the actions of the page *Generate SAS tokens*, for programs and for the page itself.

JSON in and out. The caller is an administrator of the console. A request with a body must declare it as JSON,
which another site's form cannot (browsers send a preflight).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from quart import Blueprint, Response
from quart import request as quart_request

from retain.api.admin.actions import Administration
from retain.api.config.load import Config
from retain.api.http.external import ExternalUrl
from retain.api.http.message import Message, Request
from retain.api.identity import Caller, Identity, IdentityError
from retain.api.identity.roles import Role, role_of
from retain.api.refusals import status_of
from retain.engine import EngineError, Forbidden, Invalid, Unsupported

BODY_BYTES: Final = 65_536
WORDS_OF: Final[Mapping[int, Mapping[str, str]]] = {
    401: {"code": "unauthenticated", "reason": "credentials"},
    429: {"code": "too-many-attempts", "reason": "throttled"},
    503: {"code": "unavailable", "reason": "identity-keys"},
}
"""Code and reason of a refused caller, by status."""

Fields = Mapping[str, Any]


def token_routes(administration: Administration, identity: Identity, config: Config) -> Blueprint:
    """Return the routes, to be registered beside health and metrics."""
    routes = _Routes(administration, identity, config)
    blueprint = Blueprint("tokens", __name__)
    for path, method, handler in (
        ("/console/api/tokens", "POST", routes.create),
        ("/console/api/tokens", "GET", routes.listed),
        ("/console/api/tokens/revoke", "POST", routes.revoke),
    ):
        blueprint.add_url_rule(path, handler.__name__, routes.guarded(handler), methods=[method])
    return blueprint


class _Routes:
    def __init__(self, administration: Administration, identity: Identity, config: Config) -> None:
        self._administration = administration
        self._identity = identity
        self._config = config
        self._external = ExternalUrl(config.server)

    def guarded(
        self, handler: Callable[[Request, str], Awaitable[Response]]
    ) -> Callable[[], Awaitable[Response]]:
        """Return the handler, restricted to administrators, its refusals as responses."""

        async def view() -> Response:
            asked = Request(dict(quart_request.scope), _nothing)
            try:
                caller = await self._identity.authenticate(asked)
                self._require_admin(caller)
                return await handler(asked, caller.actor)
            except IdentityError as error:
                worded = {**WORDS_OF[error.status], "message": error.message}
                return _answer(error.status, {"error": worded}, error.headers)
            except EngineError as error:
                worded = {"code": error.code, "reason": error.reason, "message": error.message}
                return _answer(status_of(error), {"error": worded})

        return view

    def _require_admin(self, caller: Caller) -> None:
        if role_of(caller, self._config) is not Role.ADMINISTRATOR:
            raise Forbidden("only administrators may do this", reason="admin")

    async def create(self, asked: Request, actor: str) -> Response:
        """Generate the tokens; they are in this response and stored nowhere."""
        fields = await _fields(
            required={"tenant": str, "expiry": str},
            optional={"start": str, "timezone": str, "revoke_existing": bool, "containers": list},
        )
        tokens = await self._administration.create_tokens(
            actor=actor, base=self._external.base(asked), **fields
        )
        return _answer(201, {"tokens": tokens})

    async def listed(self, asked: Request, actor: str) -> Response:
        """Return the tokens of `?tenant=` that have not expired, without the tokens themselves."""
        tenant = quart_request.args.get("tenant", "")
        return _answer(200, {"tokens": await self._administration.list_tokens(actor=actor, tenant=tenant)})

    async def revoke(self, asked: Request, actor: str) -> Response:
        """Revoke container tokens: those in `ids`, or all."""
        fields = await _fields(required={"tenant": str}, optional={"ids": list})
        return _answer(200, {"tokens": await self._administration.revoke_tokens(actor=actor, **fields)})


async def _fields(required: Mapping[str, type], optional: Mapping[str, type]) -> dict[str, Any]:
    """Return the fields of the body, which is a JSON object of exactly these.

    Raises:
        Unsupported: `content-type`: it is not declared as JSON.
        Invalid: `body`.
    """
    if quart_request.mimetype != "application/json":
        raise Unsupported("the body must be application/json", reason="content-type")
    data = await quart_request.get_data(cache=False)
    try:
        fields = json.loads(data) if len(data) <= BODY_BYTES else None
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise Invalid("the body must be a JSON object", reason="body")
    known = {**required, **optional}
    for name, value in fields.items():
        if name not in known:
            raise Invalid(f"unknown field; known are {', '.join(known)}", reason="body")
        if not isinstance(value, known[name]) and not (value is None and name in optional):
            raise Invalid(f"{name} must be a {known[name].__name__}", reason="body")
        if isinstance(value, list) and not all(isinstance(item, str) for item in value):
            raise Invalid(f"{name} must be a list of texts", reason="body")
    if missing := required.keys() - fields.keys():
        raise Invalid(f"{', '.join(sorted(missing))} is missing", reason="body")
    return {name: value for name, value in fields.items() if value is not None}


def _answer(status: int, body: Any, headers: Any = ()) -> Response:
    response = Response(json.dumps(body, ensure_ascii=False), status, content_type="application/json")
    for name, value in headers:
        response.headers.add(name, value)
    return response


async def _nothing() -> Message:
    raise AssertionError("the body is read through Quart")
