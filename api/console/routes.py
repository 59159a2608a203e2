"""The table of the console's routes: which page answers which path, and for which roles.

Each page module defines its routes; this module combines them. Routing, the rail and the tests use this
table.
"""

from __future__ import annotations

from typing import Final

from retain.api.console.pages import (
    areas,
    audit,
    audit_resource,
    audit_work,
    blob,
    container,
    container_holds,
    containers,
    nodes,
    notifications,
    overview,
    persons,
    retention,
    settings,
    sign_in,
    tokens,
    uploads,
)
from retain.api.console.routing.route import Route

ROUTES: Final[tuple[Route, ...]] = (
    *sign_in.ROUTES,
    *overview.ROUTES,
    *containers.ROUTES,
    *container.ROUTES,
    *blob.ROUTES,
    *uploads.ROUTES,
    *retention.ROUTES,
    *container_holds.ROUTES,
    *areas.ROUTES,
    *settings.ROUTES,
    *tokens.ROUTES,
    *notifications.ROUTES,
    *audit.ROUTES,
    *audit_resource.ROUTES,
    *audit_work.ROUTES,
    *persons.ROUTES,
)

NODE_ROUTES: Final = nodes.ROUTES
"""The routes of a node of a cluster, besides."""
