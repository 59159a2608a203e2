"""`/console`: what the server holds, what falls due, and whether anything needs somebody."""

from __future__ import annotations

from typing import Final

from quart import Response

from retain.api.console.call import HOME, Call
from retain.api.console.roles import EVERYBODY, EVIDENCE
from retain.api.console.route import Nav, Route


async def show(call: Call) -> Response:
    """Return the page; of users without a role for the rest, their name and where to go."""
    if call.role not in EVIDENCE:
        return call.page("own.html", here=HOME)
    statistics = call.desk.engine.statistics()
    return call.page("overview.html", here=HOME, statistics=statistics)


ROUTES: Final = (Route(path=HOME, view=show, roles=EVERYBODY, nav=Nav("Overview", "overview")),)
