"""The history's part of the engine's state, as a `Slice`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from retain.engine.core.body import Inline
from retain.engine.core.command import KEEPER, Command, Decision
from retain.engine.core.deadlines import DeadlineKind
from retain.engine.core.domain import Apply, Decide, Expire, Restated, Restater, SharedState
from retain.engine.core.event import Cause, Event, Stamp
from retain.engine.core.role import Locator
from retain.engine.core.snapshot_table import Frozen
from retain.engine.history import actions
from retain.engine.history.events import HISTORY, ClockAccepted, ErasureOrdered, HistoryChanged
from retain.journal.mended import Mended

LEAP = 1 << 32
"""More changes than any document had since the last change of history, so that numbers assigned since are
skipped.
"""
LEAP_BYTES = 5
"""Random bytes of a leap beyond that, so that a number of the lost history is not assigned again."""
TICKS = 1 << 20
"""Writes of blobs are dated later by up to this many ticks of 100 ns, at random, for the same reason."""
MOST_LOSSES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordChange(Command[bool]):
    """Record what a restore or repair did to the journal. Result: whether it was not recorded already.

    Attributes:
        mended: The note it left to be recorded.
        random: Eight random bytes.

    """

    FREES_SPACE: ClassVar[bool] = True

    mended: Mended
    random: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderErasure(Command[None]):
    """Record who ordered an erasure, before it is carried out.

    Attributes:
        resource: The number of the order.
        ordered_by: Who ordered it, if not the actor.
        numbers: The resources to erase; none if it covers all due data.
        held: How many of these a legal hold keeps.
        at_once: Whether it is to be carried out at once.
        names: Whether names and actors are erased as well.

    """

    FREES_SPACE: ClassVar[bool] = True

    resource: bytes
    ordered_by: str
    numbers: Sequence[bytes]
    held: int
    at_once: bool
    names: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordClock(Command[None]):
    """Record that an operator accepted the machine's clock.

    Attributes:
        resource: The number of the action.
        clock: The time of the machine's clock; like the others, nanoseconds since the epoch.
        present: The time of the server until then.
        vouched: The time up to which it would have destroyed data.

    """

    FREES_SPACE: ClassVar[bool] = True

    resource: bytes
    clock: int
    present: int
    vouched: int


class HistorySlice:
    """The changes as `engine.core.domain.Slice`.

    Attributes:
        shared: The starting values of the other slices' counters.
        changes: Number of the change → its event.

    """

    name = "history"

    def __init__(self, shared: SharedState) -> None:
        self.shared = shared
        self.changes: dict[bytes, HistoryChanged] = {}

    def handlers(self) -> Mapping[type[Event], Apply]:
        noted = (
            ErasureOrdered,
            ClockAccepted,
            actions.UserAdded,
            actions.UserRemoved,
            actions.DataExported,
            actions.NodeForgotten,
        )
        return {HistoryChanged: self.changed, **dict.fromkeys(noted, self.noted)}

    def deciders(self) -> Mapping[type[Command[Any]], Decide]:
        return {
            RecordChange: partial(_record, self),
            OrderErasure: _order,
            RecordClock: _accept,
            **actions.deciders(),
        }

    def expirers(self) -> Mapping[DeadlineKind, Expire]:
        """Return none: no change expires."""
        return {}

    def restaters(self) -> Mapping[str, Restater]:
        return {HISTORY: _ChangeRestater(self)}

    def resources(self) -> Iterable[bytes]:
        return self.changes

    def changed(self, event: HistoryChanged, _stamp: Stamp) -> None:
        """Apply `HistoryChanged`."""
        # The actor is kept for the audit period only, so live state does not contain it.
        self.changes[event.resource] = replace(event, actor=KEEPER, cause=Cause.RESTATED)
        self.shared.revision = max(self.shared.revision, event.revision)
        self.shared.modified = max(self.shared.modified, event.modified)

    def noted(self, event: Event, _stamp: Stamp) -> None:
        """Apply an event that is for the audit alone."""

    def freeze(self) -> Frozen:
        """Return rows `[number, details]` in the order of the numbers: one restated keeps its place."""
        changes = dict(self.changes)
        return Frozen(lambda: ([number, event.details()] for number, event in sorted(changes.items())))

    def load(self, rows: Iterable[Any]) -> None:
        for number, details in rows:
            event = HistoryChanged.restore(number, KEEPER, Cause.RESTATED, dict(details), None)
            self.changed(replace(event, losses=tuple(event.losses)), Stamp(0, 0, -1))

    def check(self) -> None:
        assert self.shared.revision == max((one.revision for one in self.changes.values()), default=0)
        assert self.shared.modified == max((one.modified for one in self.changes.values()), default=0)


def _record(history: HistorySlice, command: RecordChange, now: int) -> Decision[bool]:
    mended, random = command.mended, command.random
    if mended.number in history.changes:
        return Decision((), False)
    ticks = int.from_bytes(random[LEAP_BYTES:]) % TICKS
    event = HistoryChanged(
        resource=mended.number,
        actor=mended.actor,
        cause=Cause.REQUEST,
        change=mended.change,
        time=mended.time,
        kept=mended.kept,
        root=mended.root,
        lost=max(mended.kept, mended.lost),
        source=mended.source,
        losses=mended.losses[:MOST_LOSSES],
        revision=history.shared.revision + LEAP + int.from_bytes(random[:LEAP_BYTES]),
        modified=now - now % 100 + 100 * ticks,
    )
    return Decision((event,), True)


def _order(command: OrderErasure, _now: int) -> Decision[None]:
    event = ErasureOrdered(
        resource=command.resource,
        actor=command.actor,
        cause=Cause.ERASURE_REQUEST,
        ordered_by=command.ordered_by,
        things=len(command.numbers),
        held=command.held,
        numbers=b"".join(command.numbers),
        at_once=command.at_once,
        names=command.names,
    )
    return Decision((event,), None)


def _accept(command: RecordClock, _now: int) -> Decision[None]:
    event = ClockAccepted(
        resource=command.resource,
        actor=command.actor,
        cause=Cause.REQUEST,
        clock=command.clock,
        present=command.present,
        vouched=command.vouched,
    )
    return Decision((event,), None)


class _ChangeRestater(Restater):
    """Rewrites a change unchanged, without its actor."""

    def __init__(self, history: HistorySlice) -> None:
        self._history = history

    def restate(
        self, locator: Locator, resource: bytes, before: int, bodies: Mapping[int, Inline]
    ) -> Restated:
        event = self._history.changes.get(resource)
        return Restated(() if event is None else (event,), False)
