"""The legal holds in force, and their effect on deadlines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from retain.engine.areas.state import AreasState, next_end, record_key
from retain.engine.blobs.state import BlobsState
from retain.engine.core.deadlines import DeadlineKind
from retain.engine.core.domain import SharedState
from retain.engine.core.event import Stamp
from retain.engine.core.hold_index import HoldIndex, less
from retain.engine.holds.events import HoldLifted, HoldSet
from retain.engine.holds.target import Hold, HoldKind, HoldTarget
from retain.engine.settings.state import SettingsState

_WHOLES = frozenset((HoldKind.CONTAINER, HoldKind.TENANT))
"""Known by their names: a tenant has no number, and a container's is not that of its blobs."""


class HoldsState:
    """All holds in force.

    Attributes:
        shared: Deadlines, and what is held, shared with the other slices.
        areas: Read for names and deadlines, as are the other two; never changed here.
        holds: Hold id → hold, in the order in which they were set.

    """

    def __init__(
        self, shared: SharedState, areas: AreasState, settings: SettingsState, blobs: BlobsState
    ) -> None:
        self.shared = shared
        self.areas = areas
        self.settings = settings
        self.blobs = blobs
        self.holds: dict[bytes, Hold] = {}

    def held(self, resource: bytes, details: Mapping[str, Any] | None = None) -> bool:
        """Return whether no record of `resource` may be erased. See `HoldIndex.record`."""
        return self.shared.held.record(resource, details)

    def on(self, targets: Iterable[HoldTarget]) -> list[tuple[Hold, ...]]:
        """Return the holds that keep each target: on itself, its container, its tenant; the oldest first."""
        found: dict[bytes | tuple[Any, ...], list[Hold]] = {}
        for hold in sorted(self.holds.values(), key=lambda hold: (hold.time, hold.hold_id)):
            kind, resource, names = hold.target
            found.setdefault(names if kind in _WHOLES else resource, []).append(hold)
        kept: list[tuple[Hold, ...]] = []
        for kind, resource, names in targets:
            keys: list[bytes | tuple[Any, ...]] = [resource]
            if kind is HoldKind.BLOB:
                keys += [names[:2], names[:1]]
            holds = [hold for key in keys for hold in found.get(key, ())]
            kept.append(tuple(sorted(holds, key=lambda hold: (hold.time, hold.hold_id))))
        return kept

    def set(self, event: HoldSet, _stamp: Stamp) -> None:
        """Apply `HoldSet`."""
        if event.resource not in self.holds:
            self.keep(event.target)
        self.holds[event.resource] = event.hold()

    def lifted(self, event: HoldLifted, _stamp: Stamp) -> None:
        """Apply `HoldLifted`."""
        hold = self.holds.pop(event.resource, None)
        if hold is not None:
            self._release(hold.target)

    def keep(self, target: HoldTarget) -> None:
        """Suspend the deadlines of what `target` keeps."""
        held: HoldIndex = self.shared.held
        names = target.names
        match target.kind:
            case HoldKind.CONTAINER:
                held.containers[names[0], names[1]] += 1
            case HoldKind.TENANT:
                held.tenants[names[0]] += 1
            case _:
                held.resources[target.resource] += 1
        if target.kind is HoldKind.AREA and held.resources[target.resource] == 1:
            key = record_key(*names)
            area = self.areas.areas.get(key)
            self.shared.deadlines.sleep(DeadlineKind.AREA, key, None if area is None else next_end(area))
        elif target.kind is HoldKind.BLOB:
            held.add_blob(*names)
        self._rearm(target)

    def _release(self, target: HoldTarget) -> None:
        held: HoldIndex = self.shared.held
        names = target.names
        match target.kind:
            case HoldKind.CONTAINER:
                less(held.containers, (names[0], names[1]))
            case HoldKind.TENANT:
                less(held.tenants, names[0])
            case _:
                less(held.resources, target.resource)
        if target.kind is HoldKind.AREA and not held.resource(target.resource):
            self.shared.deadlines.wake(DeadlineKind.AREA, record_key(*names))
        elif target.kind is HoldKind.BLOB:
            held.remove_blob(*names)
        self._rearm(target)

    def _rearm(self, target: HoldTarget) -> None:
        """Update when the oldest blob expires, in every container that the target concerns."""
        match target.kind:
            case HoldKind.TENANT:
                concerned = list(self.blobs.accounts.get(target.names[0], {}).values())
            case HoldKind.CONTAINER | HoldKind.BLOB:
                found = self.blobs.find(target.names[0], target.names[1])
                concerned = [] if found is None else [found]
            case _:
                concerned = []
        for container in concerned:
            self.blobs.rearm(container)
