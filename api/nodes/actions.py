"""What a node says of itself: the action behind `retain node status`, and the metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from retain.api.web.metrics import Counters
from retain.engine.core.time import SECOND, timestamp
from retain.engine.nodes.node import NodeEngine


class NodeActions:
    """The actions of a node.

    Args:
        engine: The node.

    """

    def __init__(self, engine: NodeEngine) -> None:
        self._engine = engine

    def actions(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        """Return the actions by name."""
        return {"node status": self.status}

    async def status(self, *, actor: str) -> dict[str, Any]:
        """Return this node's role, since when it has it, and how far it is."""
        engine = self._engine
        role = engine.role
        return {
            "name": engine.node.name,
            "link": engine.node.url,
            "release": engine.node.release,
            "role": role,
            "why": engine.why if role == "waiting" else "",
            "since": timestamp(engine.since),
            "leader": engine.leader,
            "epoch": engine.epoch,
            "record": engine.durable,
            "erased_to": engine.blanked,
        }


def show_node(counters: Counters, engine: NodeEngine) -> None:
    """Add a node's gauges to the metrics."""
    counters.show(
        "retain_node_answers",
        "1 while this node of a cluster may answer, else 0.",
        lambda: float(engine.role != "waiting"),
    )
    counters.show(
        "retain_node_leads",
        "1 while this node leads its cluster, else 0.",
        lambda: float(engine.role == "leader"),
    )
    counters.show(
        "retain_node_epoch",
        "The epoch of the term that this node leads or follows, 0 if unknown. It grows with each failover.",
        lambda: float(engine.epoch),
    )
    counters.show(
        "retain_node_role_timestamp_seconds",
        "When this node took its present role, as a Unix time.",
        lambda: engine.since / SECOND,
    )
    counters.show(
        "retain_node_unblanked_records",
        "Records at the end of this node's journal up to which erased bytes are not all overwritten here.",
        lambda: float(engine.durable - engine.blanked),
    )
