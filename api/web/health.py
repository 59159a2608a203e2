"""Health, readiness and metrics, as a Quart-Trio application: what no interface claims ends here.

Quart's weak defaults are closed in `bare_app`: no redirect is ever made (its `Location` would repeat the
client's Host), doubled slashes are not merged, errors are one line of text without a traceback.
"""

from __future__ import annotations

import logging

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from quart import Blueprint, Response
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from retain.api.web.metrics import Counters
from retain.api.web.readiness import readiness
from retain.engine import EngineAccess

LOG = logging.getLogger("retain.http")

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
}


def bare_app(name: str) -> QuartTrio:
    """Return a Quart-Trio application with its weak defaults closed, for blueprints to be registered on."""
    app = QuartTrio(name, static_folder=None)
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = False
    app.url_map.redirect_defaults = False
    app.config["MAX_CONTENT_LENGTH"] = 1 << 20
    app.config["BODY_TIMEOUT"] = 30
    app.config["RESPONSE_TIMEOUT"] = None
    app.config["PROPAGATE_EXCEPTIONS"] = False

    async def refuse(error: HTTPException) -> Response:
        return plain_refusal(error)

    async def fault(error: Exception) -> Response:
        LOG.error("unhandled exception in a request", exc_info=error)
        return Response("Internal Server Error\n", 500, content_type="text/plain;charset=utf-8")

    async def harden(response: Response) -> Response:
        for header, value in _HEADERS.items():
            response.headers.setdefault(header, value)
        return response

    app.register_error_handler(HTTPException, refuse)
    app.register_error_handler(Exception, fault)
    app.after_request(harden)
    return app


def plain_refusal(error: HTTPException) -> Response:
    """Return a refusal of Quart's as one line of text."""
    answer = Response(f"{error.name}\n", error.code or 500, content_type="text/plain;charset=utf-8")
    if error.code == 405:
        answer.headers["Allow"] = error.get_response().headers.get("Allow", "GET")
    return answer


def operations(engine: EngineAccess, counters: Counters, *, metrics: bool) -> Blueprint:
    """Return the routes `/healthz` (the process answers), `/readyz` (it can store) and `/metrics`."""
    routes = Blueprint("operations", __name__)

    @routes.get("/healthz")
    async def healthz() -> Response:
        return Response("ok\n", content_type="text/plain;charset=utf-8")

    @routes.get("/readyz")
    async def readyz() -> Response:
        ready, why = readiness(engine.statistics())
        return Response(f"{why}\n", 200 if ready else 503, content_type="text/plain;charset=utf-8")

    if metrics:

        @routes.get("/metrics")
        async def show_metrics() -> Response:
            return Response(generate_latest(counters.registry), content_type=CONTENT_TYPE_LATEST)

    return routes
