"""A node that may not answer refuses every request, also those that need only keys or users of its folder."""

from __future__ import annotations

import pytest
import trio

from retain.api.http.bounds import Share
from retain.api.http.message import Response
from retain.api.server.app import App
from tests.kit.node_console import opened
from tests.kit.nodes import GRANT, begun, run_idle, until
from tests.kit.requests import make_request

pytestmark = pytest.mark.trio(run=run_idle)

SETTINGS = "/mobileservices/Storage/v1/runtime/application/app/global"
ME = "/mobileservices/application/app/roleservice/application/app/v2/Me"
TARGETS = (SETTINGS, ME, "/added/recordings/one", "/added-secondary/recordings/one", "/genesys/1/storage")
KNOWN_EVERYWHERE = ("/",)


async def answer(app: App, target: str, method: str = "GET") -> Response | None:
    """What the application answers; None if no interface claims the request, so that it is not found."""
    request = make_request(method, target)
    interface = app.interface_of(request)
    if interface is None:
        return None
    share: Share = app.bounds.enter(request.peer)
    found = await app.answer(interface, request, share, Response.fields)
    share.close()
    assert found is not None
    return found[0]


async def test_who_is_unknown_here_may_be_known_at_the_other_nodes() -> None:
    """An account that was added elsewhere is not denied, nor a user admitted who was removed there."""
    site = begun()
    async with opened(site) as (_, at_a, app_a), opened(site, "b") as (b, _, app_b):
        site.network.part("b")
        await trio.sleep(2 * GRANT)  # the change below then waits for no grant
        await at_a.add_tenant(actor="cli:x", name="added")
        assert b.role == "waiting"
        for target in TARGETS:
            found = await answer(app_b, target)
            assert found is not None, target
            assert (found.status, dict(found.headers)["Retry-After"]) == (503, "1"), target
            led = await answer(app_a, target)
            assert led is not None
            assert led.status in (400, 401, 404), target
        for target in KNOWN_EVERYWHERE:
            page = await answer(app_b, target)
            assert page is not None
            assert page.status in (200, 302), target
        assert await answer(app_b, "/healthz") is None, "left to the pages"
        site.network.join("b")
        await until(lambda: b.role == "follower")
        for target in TARGETS:
            led, followed = await answer(app_a, target), await answer(app_b, target)
            assert led is not None
            assert followed is not None
            assert led.status == followed.status, target
