"""Notices when a node's role changes, also by a lease that ends, which no event tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

LOOK_S: Final = 0.2
"""Seconds between two looks at the role."""


async def watch_role(role: Callable[[], str], changed: Callable[[], None]) -> None:
    """Call `changed` soon after `role` returns something else, until cancelled."""
    known = role()
    while True:
        await trio.sleep(LOOK_S)
        if (found := role()) != known:
            known = found
            changed()
