"""`/console/notifications`: the state of webhooks, and their dead letters."""

from __future__ import annotations

from typing import Final

from quart import Response

from retain.api.console.routing.call import PageCall
from retain.api.console.routing.route import Nav, Route
from retain.api.console.sessions import Notice
from retain.api.html.filters import counted
from retain.api.identity.roles import ADMINISTRATORS

NOTIFICATIONS: Final = "/console/notifications"
SHOWN: Final = 50
"""Dead letters of a webhook on the page, oldest first: these are sent again first."""


async def show(call: PageCall) -> Response:
    """Return the page."""
    actions = call.desk.administration.actions()
    webhooks = await actions["notifications list"](actor=call.actor)
    letters = {
        one["name"]: (await actions["notifications dead"](actor=call.actor, webhook=one["name"]))[:SHOWN]
        for one in webhooks
        if one["dead"]
    }
    return call.page("notifications.html", here=NOTIFICATIONS, webhooks=webhooks, letters=letters)


async def retry(call: PageCall) -> Response:
    """Send dead letters again, until one is refused."""
    webhook = (await call.form()).get("webhook", "")
    actions = call.desk.administration.actions()
    found = await actions["notifications retry"](actor=call.actor, webhook=webhook)
    text = f"{counted(found['settled'], 'dead letter')} of {webhook} sent, or erased meanwhile."
    if found["left"]:
        why = (
            f" The last one was refused: {found['trouble']}." if found["trouble"] else " Send again for more."
        )
        text += f" {found['left']:,} left.{why}"
    return call.go(NOTIFICATIONS, Notice(text))


ROUTES: Final = (
    Route(path=NOTIFICATIONS, view=show, roles=ADMINISTRATORS, nav=Nav("Notifications", "bell", "Access")),
    Route(path=f"{NOTIFICATIONS}/retry", view=retry, methods=("POST",), roles=ADMINISTRATORS),
)
