"""The state of this node and of the others: actions for command line and console, and the metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from retain.api.web.metrics import Counters
from retain.engine.core.time import SECOND, timestamp
from retain.engine.nodes.forgetting import forget
from retain.engine.nodes.members import AWAY_S, FORGETTABLE_S, members
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
        return {"node status": self.status, "node list": self.list_nodes, "node forget": self.forget}

    async def forget(self, *, actor: str, name: str) -> dict[str, Any]:
        """Forget a node that will not come back; see `retain.engine.nodes.forgetting`."""
        found = await forget(self._engine, name, actor)
        return {"forgotten": name, "erased_to": found.erased_to}

    async def list_nodes(self, *, actor: str) -> dict[str, Any]:
        """Return all nodes as this one last saw them in the shared log, without waiting for it.

        Returns:
            `nodes`, see `retain.engine.nodes.members.Member`; `seen`, the time of the look, None before the
            first; `silent`, whether the shared log does not answer at present; `away_seconds`, after which
            a node counts as away; `leader`, the name of the node that leads, empty if none does;
            `forgettable`, the names of nodes that can be forgotten; `copies`, the number of folders
            that must have a record before the shared log drops it; `copied`, the last record they have;
            `erased_to`, the last record up to which what was erased is overwritten in all folders.

        """
        engine, reports = self._engine, self._engine.reports
        look, copies = reports.look, self._engine.node.copies
        found: dict[str, Any] = {
            "nodes": [],
            "seen": None,
            "silent": True,
            "copies": copies,
            "away_seconds": AWAY_S,
        }
        rows: list[dict[str, Any]] = []
        if look is not None:
            later = (engine.elapsed() - look.elapsed) / SECOND
            rows = [one._asdict() for one in members(look.head, look.nodes, later)]
            silent = not reports.answered or later > AWAY_S
            found |= {"nodes": rows, "seen": timestamp(look.at), "silent": silent}
        ends = sorted((row["record"] for row in rows), reverse=True)
        return found | {
            "leader": next((row["name"] for row in rows if row["leads"]), ""),
            "forgettable": [
                row["name"] for row in rows if not row["leads"] and row["seen_seconds"] >= FORGETTABLE_S
            ],
            "copied": ends[copies - 1] if len(ends) >= copies else 0,
            "erased_to": min((row["erased_to"] for row in rows), default=0),
        }

    async def status(self, *, actor: str) -> dict[str, Any]:
        """Return this node's role, since when it has it, and its last record."""
        engine = self._engine
        role = engine.role
        return {
            "name": engine.node.name,
            "link": engine.node.url,
            "release": engine.node.release,
            "role": role,
            "why": engine.statistics().standby,
            "since": timestamp(engine.since),
            "leader": engine.leader,
            "epoch": engine.epoch,
            "record": engine.durable,
            "erased_to": engine.overwritten,
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
        "retain_node_behind_records",
        "Records that the shared log had when this node last looked, and this node lacks.",
        lambda: float(engine.reports.behind(engine.durable)),
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
        "retain_node_erasure_behind_records",
        "Records at the end of this node's journal up to which erased bytes are not all overwritten here.",
        lambda: float(engine.durable - engine.overwritten),
    )
