"""What is known of all nodes, for operators."""

from __future__ import annotations

from typing import Any, Final

from retain import journal
from retain.engine.core.errors import Unavailable
from retain.engine.nodes.node import NodeEngine
from retain.journal.shared.interface import NodeReport, SharedHead

AWAY_S: Final = 10.0
"""A node that has not reported for so long counts as away."""


async def overview(engine: NodeEngine) -> list[dict[str, Any]]:
    """Return what is known of each node.

    Raises:
        Unavailable: The shared log does not answer.

    """
    try:
        head, nodes = await engine.with_shared(lambda shared: (shared.head(), shared.nodes()))
    except (journal.JournalError, OSError) as error:
        raise Unavailable(f"the shared log does not answer: {error}") from error
    return [shown(one, head) for one in nodes]


def shown(one: NodeReport, head: SharedHead) -> dict[str, Any]:
    """Return what is known of one node."""
    away = one.age > AWAY_S
    role = "away" if away else "leader" if one.name == head.leader and head.remaining > 0 else "follower"
    return {
        "name": one.name,
        "role": role,
        "url": one.url,
        "release": one.release,
        "records": one.durable,
        "behind": max(0, head.seq - one.durable),
        "erased_up_to": one.blanked,
        "seen_seconds": round(one.age, 1),
        "epoch": head.term.epoch,
    }
