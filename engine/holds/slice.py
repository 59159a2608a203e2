"""The holds' part of the engine's state, as a `Slice`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from retain.engine.areas.state import AreasState
from retain.engine.blobs.state import BlobsState
from retain.engine.core.body import Inline
from retain.engine.core.command import KEEPER, Command
from retain.engine.core.deadlines import DeadlineKind
from retain.engine.core.domain import Apply, Decide, Expire, Restated, Restater, SharedState
from retain.engine.core.event import Event
from retain.engine.core.role import Locator
from retain.engine.core.snapshot_table import Frozen
from retain.engine.holds import decide
from retain.engine.holds.commands import RestateHold
from retain.engine.holds.events import HOLD, HoldLifted, HoldSet
from retain.engine.holds.state import HoldsState
from retain.engine.holds.target import Hold, HoldKind, HoldTarget


class HoldsSlice(HoldsState):
    """The holds as `engine.core.domain.Slice`.

    It is the first of the slices, so that deadlines that others load are suspended from the start.
    """

    name = "holds"

    def handlers(self) -> Mapping[type[Event], Apply]:
        return {HoldSet: self.set, HoldLifted: self.lifted}

    def deciders(self) -> Mapping[type[Command[Any]], Decide]:
        return decide.deciders(self)

    def expirers(self) -> Mapping[DeadlineKind, Expire]:
        """Return none: a hold ends only when it is lifted."""
        return {}

    def restaters(self) -> Mapping[str, Restater]:
        return {HOLD: HoldRestater(self)}

    def resources(self) -> Iterable[bytes]:
        return self.holds

    def freeze(self) -> Frozen:
        """Return rows `[hold id, kind, resource, names, reason, actor, time]` in the order of their ids.

        A restated hold keeps its place.
        """
        holds = dict(self.holds)
        return Frozen(
            lambda: (
                [
                    hold.hold_id,
                    str(hold.target.kind),
                    hold.target.resource,
                    hold.target.names,
                    hold.reason,
                    hold.actor,
                    hold.time,
                ]
                for _, hold in sorted(holds.items())
            )
        )

    def load(self, rows: Iterable[Any]) -> None:
        assert not self.holds
        for hold_id, kind, resource, names, reason, actor, time in rows:
            target = HoldTarget(HoldKind(kind), resource, tuple(names))
            self.holds[hold_id] = Hold(hold_id, target, reason, actor, time)
            self.keep(target)

    def check(self) -> None:
        shared = SharedState()
        rebuilt = HoldsState(shared, AreasState(shared), self.settings, BlobsState(shared))
        for hold_id, hold in self.holds.items():
            assert len(hold_id) == len(hold.target.resource) == 16
            assert hold.target.subject
            rebuilt.keep(hold.target)
        assert self.shared.held == shared.held
        assert self.shared.deadlines.asleep == shared.deadlines.asleep


class HoldRestater(Restater):
    """Rewrites a hold unchanged."""

    def __init__(self, holds: HoldsState) -> None:
        self._holds = holds

    def restate(
        self, locator: Locator, resource: bytes, before: int, bodies: Mapping[int, Inline]
    ) -> Restated:
        command = RestateHold(actor=KEEPER, hold_id=resource)
        return Restated(decide.restate(self._holds, command, 0).events, False)
