"""The holds' slice of the state: which holds stand, and what that does to deadlines."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from engine.areas.state import AreasState, next_end, record_key
from engine.blobs.state import BlobsState
from engine.body import Inline, OnDisk
from engine.command import KEEPER, Command
from engine.deadlines import Kind as Ends
from engine.event import Event, Stamp
from engine.held import Held, less
from engine.holds import decide
from engine.holds.commands import RestateHold
from engine.holds.events import HOLD, HoldLifted, HoldSet
from engine.holds.target import Hold, Kind, Target
from engine.records import Locator
from engine.settings.state import SettingsState
from engine.slice import Apply, Decide, Expire, Ground, Restated, Restater


class HoldsSlice:
    """All holds that stand.

    It comes first among the slices, so that what others load is armed or held from the start.

    Attributes:
        ground: Deadlines, and what is held, shared with the other slices.
        areas: Read for names and deadlines, as are the other two; never changed here.
        holds: Hold id → hold, in the order in which they were set.
    """

    name = "holds"

    def __init__(self, ground: Ground, areas: AreasState, settings: SettingsState, blobs: BlobsState) -> None:
        self.ground = ground
        self.areas = areas
        self.settings = settings
        self.blobs = blobs
        self.holds: dict[bytes, Hold] = {}

    def handlers(self) -> Mapping[type[Event], Apply]:
        """See :class:`engine.slice.Slice`."""
        return {HoldSet: self._set, HoldLifted: self._lifted}

    def deciders(self) -> Mapping[type[Command[Any]], Decide]:
        """See :class:`engine.slice.Slice`."""
        return decide.deciders(self)

    def expirers(self) -> Mapping[Ends, Expire]:
        """A hold ends when somebody lifts it."""
        return {}

    def held(self, resource: bytes, details: Mapping[str, Any] | None = None) -> bool:
        """Whether no record of ``resource`` may be erased. See :meth:`engine.held.Held.record`."""
        return self.ground.held.record(resource, details)

    def _set(self, event: HoldSet, _stamp: Stamp) -> None:
        if event.resource not in self.holds:
            self._keep(event.target)
        self.holds[event.resource] = event.hold()

    def _lifted(self, event: HoldLifted, _stamp: Stamp) -> None:
        hold = self.holds.pop(event.resource, None)
        if hold is not None:
            self._release(hold.target)

    def _keep(self, target: Target) -> None:
        held: Held = self.ground.held
        names = target.names
        match target.kind:
            case Kind.CONTAINER:
                held.containers[names[0], names[1]] += 1
            case Kind.TENANT:
                held.tenants[names[0]] += 1
            case _:
                held.resources[target.resource] += 1
        if target.kind is Kind.AREA and held.resources[target.resource] == 1:
            key = record_key(*names)
            area = self.areas.areas.get(key)
            self.ground.deadlines.sleep(Ends.AREA, key, None if area is None else next_end(area))
        elif target.kind is Kind.BLOB:
            held.add_blob(*names)
        self._rearm(target)

    def _release(self, target: Target) -> None:
        held: Held = self.ground.held
        names = target.names
        match target.kind:
            case Kind.CONTAINER:
                less(held.containers, (names[0], names[1]))
            case Kind.TENANT:
                less(held.tenants, names[0])
            case _:
                less(held.resources, target.resource)
        if target.kind is Kind.AREA and not held.resource(target.resource):
            self.ground.deadlines.wake(Ends.AREA, record_key(*names))
        elif target.kind is Kind.BLOB:
            held.remove_blob(*names)
        self._rearm(target)

    def _rearm(self, target: Target) -> None:
        """Says anew when the oldest blob ends, in every container that the target concerns."""
        match target.kind:
            case Kind.TENANT:
                concerned = list(self.blobs.accounts.get(target.names[0], {}).values())
            case Kind.CONTAINER | Kind.BLOB:
                found = self.blobs.find(target.names[0], target.names[1])
                concerned = [] if found is None else [found]
            case _:
                concerned = []
        for container in concerned:
            self.blobs.rearm(container)

    def restaters(self) -> Mapping[str, Restater]:
        """See :meth:`engine.slice.Slice.restaters`."""
        return {HOLD: HoldRestater(self)}

    def resources(self) -> Iterable[bytes]:
        """See :meth:`engine.slice.Slice.resources`."""
        return self.holds

    def place(self, seq: int, address: int) -> None:
        """See :class:`engine.slice.Slice`. No hold has content."""

    def freeze(self) -> Callable[[], Iterator[Any]]:
        """Rows ``[hold id, kind, resource, names, reason, actor, time]`` in the order of their ids: a
        restated hold keeps its place."""
        holds = dict(self.holds)
        return lambda: (
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

    def load(self, rows: Iterable[Any]) -> None:
        """See :class:`engine.slice.Slice`."""
        assert not self.holds
        for hold_id, kind, resource, names, reason, actor, time in rows:
            target = Target(Kind(kind), resource, tuple(names))
            self.holds[hold_id] = Hold(hold_id, target, reason, actor, time)
            self._keep(target)

    def check(self) -> None:
        """See :class:`engine.slice.Slice`."""
        ground = Ground()
        rebuilt = HoldsSlice(ground, AreasState(ground), self.settings, BlobsState(ground))
        for hold_id, hold in self.holds.items():
            assert len(hold_id) == len(hold.target.resource) == 16
            assert hold.target.subject
            rebuilt._keep(hold.target)
        assert self.ground.held == ground.held
        assert self.ground.deadlines.asleep == ground.deadlines.asleep


class HoldRestater(Restater):
    """A hold as it stands."""

    def __init__(self, holds: HoldsSlice) -> None:
        self._holds = holds

    def apart(self, locator: Locator, resource: bytes) -> Collection[int]:
        """None."""
        return ()

    def bodies(self, locator: Locator, resource: bytes, before: int) -> Sequence[OnDisk]:
        """None."""
        return ()

    def restate(
        self, locator: Locator, resource: bytes, before: int, bodies: Mapping[int, Inline]
    ) -> Restated:
        """See :meth:`engine.slice.Restater.restate`."""
        decide = self._holds.deciders()[RestateHold]
        return Restated(decide(RestateHold(actor=KEEPER, hold_id=resource), 0).events, False)
