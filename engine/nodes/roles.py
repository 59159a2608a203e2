"""Notices when a node's role changes, also by a lease that ends, which no event tells."""

from __future__ import annotations

from typing import Final, Protocol

import trio

from retain.engine.core.clock import Horizon

LOOK_S: Final = 0.2
"""Seconds between two looks at the role."""


class HasRole(Protocol):
    """A node.

    Attributes:
        since: When it took its present role, nanoseconds since the epoch.

    """

    since: int

    @property
    def role(self) -> str:
        """Return its role."""

    @property
    def horizon(self) -> Horizon:
        """Return this machine's judgement of the present."""


async def watch_role(node: HasRole) -> None:
    """Set `node.since` soon after its role has changed, until cancelled."""
    known = node.role
    while True:
        await trio.sleep(LOOK_S)
        if (found := node.role) != known:
            known, node.since = found, node.horizon.wall()
