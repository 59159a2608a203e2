"""`/console/nodes`: the nodes of a cluster, which one leads, and the last record of each."""

from __future__ import annotations

from typing import Final

from quart import Response

from retain.api.console.routing.call import PageCall
from retain.api.console.routing.route import Nav, Route
from retain.api.identity.roles import ADMINISTRATORS

NODES: Final = "/console/nodes"


async def show(call: PageCall) -> Response:
    """Return the page: what this node last saw, so that it never waits for a silent database."""
    actions = call.desk.administration.actions()
    found = await actions["node list"](actor=call.actor)
    own = await actions["node status"](actor=call.actor)
    rows = found["nodes"]
    return call.page(
        "nodes.html",
        here=NODES,
        found=found,
        own=own,
        away=[row for row in rows if row["role"] == "away"],
        releases=sorted({row["release"] for row in rows}),
        lease_s=call.desk.config.cluster.lease_seconds,
        keep_h=call.desk.config.cluster.keep_hours,
    )


ROUTES: Final = (Route(path=NODES, view=show, roles=ADMINISTRATORS, nav=Nav("Nodes", "nodes", "Operation")),)
