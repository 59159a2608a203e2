"""The console as a blueprint: the table of routes, each behind the guard for its roles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quart import Blueprint, Response
from quart import request as quart_request
from werkzeug.exceptions import HTTPException

from retain.api.console.routes import ROUTES
from retain.api.console.routing import errors
from retain.api.console.routing.call import PageCall
from retain.api.console.routing.desk import Desk
from retain.api.console.routing.route import Nav, Route
from retain.api.html.static import FOLDER, served_as
from retain.api.identity.roles import Role
from retain.api.web.health import plain_refusal
from retain.engine import EngineError

GROUPS = ("", "Data", "Access", "Evidence", "Operation")
"""The rail's headings, in order; entries without one come first."""
API = "/console/api/"


def console_blueprint(desk: Desk, routes: Sequence[Route] = ROUTES) -> Blueprint:
    """Return the pages of `routes`, with stylesheet and errors."""
    blueprint = Blueprint("console", __name__)
    blueprint.record_once(lambda state: _prepare(state.app, desk))
    for route in routes:
        blueprint.add_url_rule(
            route.path,
            f"{route.view.__module__.rpartition('.')[2]}_{route.view.__name__}",
            _guarded(desk, route, routes),
            methods=[*route.methods],
            provide_automatic_options=False,
        )
    blueprint.add_url_rule(
        f"{FOLDER}<name>", "static", _static, methods=["GET"], provide_automatic_options=False
    )

    async def refuse(error: HTTPException) -> Response:
        if not _is_page(quart_request.path):
            return plain_refusal(error)
        call = PageCall(desk, _rail_of(routes))
        allow = plain_refusal(error).headers.get("Allow")
        return errors.error_page(call, error.code or 500, allow=allow)

    blueprint.app_errorhandler(HTTPException)(refuse)
    return blueprint


def _prepare(app: Any, desk: Desk) -> None:
    # Sessions end with the process; so the key that signs their cookies may be random.
    app.secret_key = desk.engine.entropy(32).hex()
    desk.cookie.init_app(app)
    desk.guest.init_app(app)


def _is_page(path: str) -> bool:
    return (path == "/console" or path.startswith("/console/")) and not path.startswith(API)


def _guarded(desk: Desk, route: Route, routes: Sequence[Route]) -> Any:
    """Return the view, restricted to the roles that may use it and to forms of the console's own pages."""
    rail = _rail_of(routes)

    async def answer(**names: str) -> Response:
        call = PageCall(desk, rail, use=not route.live)
        try:
            if route.roles is not None:
                if call.role is None:
                    return call.to_sign_in()
                if call.role not in route.roles:
                    return errors.error_page(call, 403)
            if quart_request.method not in ("GET", "HEAD") and not await call.proven():
                return errors.unproven(call)
            return await route.view(call, **names)
        except HTTPException:
            raise
        except EngineError as error:
            return errors.refusal(call, error)
        except Exception as error:
            return errors.fault(call, error)

    return answer


def _rail_of(routes: Sequence[Route]) -> Any:
    """Return a function from a role to the rail it sees: headings, each with its entries and their paths."""

    def rail(role: Role | None) -> list[tuple[str, list[tuple[str, Nav]]]]:
        shown = [(route.path, route.nav) for route in routes if route.nav and role in (route.roles or ())]
        groups = [(group, [entry for entry in shown if entry[1].group == group]) for group in GROUPS]
        return [(group, entries) for group, entries in groups if entries]

    return rail


async def _static(name: str) -> Response:
    found = served_as(name)
    if found is None:
        return Response("Not Found\n", 404, content_type="text/plain;charset=utf-8")
    response = Response(found.content, content_type=found.content_type)
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response
