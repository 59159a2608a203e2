"""Forget a node that will not come back: recorded, then removed from the list."""

from __future__ import annotations

from retain.engine.core.errors import Conflict, NotFound, Unavailable
from retain.engine.history.actions import RecordNodeForgotten
from retain.engine.nodes.members import FORGETTABLE_S, Member, members
from retain.engine.nodes.node import NodeEngine
from retain.journal import Unsettled


async def forget(engine: NodeEngine, name: str, actor: str) -> Member:
    """Record that a node leaves the cluster, and remove it from the list; return how it was.

    Raises:
        NotFound: `node`.
        Conflict: `runs`: it leads, or reported less than `FORGETTABLE_S` ago.
        Unavailable: The shared log does not answer.
        EngineError: The record cannot be made.

    """
    try:
        head, reports = await engine.with_shared(lambda shared: (shared.head(), shared.nodes()))
        found = next((one for one in members(head, reports) if one.name == name), None)
        if found is None:
            raise NotFound(f"there is no node {name}; `retain node list` lists all", reason="node")
        if found.leads or found.seen_seconds < FORGETTABLE_S:
            raise Conflict(
                f"node {name} runs: it reported {found.seen_seconds:.0f} s ago. Stop it, and repeat this "
                f"after {FORGETTABLE_S:.0f} s",
                reason="runs",
            )
        await engine.submit(
            RecordNodeForgotten(
                actor=actor, resource=engine.entropy(16), name=name, overwritten_to=found.erased_to
            )
        )
        await engine.with_shared(lambda shared: shared.forget(name))
    except Unsettled as error:
        raise Unavailable(f"node {name} may still be in the list: {error}; repeat this") from error
    return found
