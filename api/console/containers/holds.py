"""The legal holds on a blob."""

from __future__ import annotations

from collections.abc import Sequence

from retain.engine import State
from retain.engine.holds import Hold, HoldKind


def holds_on(state: State, tenant: str, container: str, resource: bytes) -> Sequence[Hold]:
    """Return the holds that keep a blob: its own, its container's, its tenant's; the oldest first."""

    def keeps(hold: Hold) -> bool:
        target = hold.target
        if target.kind is HoldKind.CONTAINER:
            return target.names == (tenant, container)
        if target.kind is HoldKind.TENANT:
            return target.names == (tenant,)
        return target.resource == resource

    return sorted(filter(keeps, state.holds.holds.values()), key=lambda hold: (hold.time, hold.hold_id))
