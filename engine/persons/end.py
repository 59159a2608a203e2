"""Ends what is stored about persons, on their request, unless a legal hold protects it (GDPR, article 17)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

from retain.engine.areas.events import AreaDeleted
from retain.engine.areas.state import AreasState, record_key
from retain.engine.blobs.events import BlobDeleted, BlocksDropped
from retain.engine.blobs.state import BlobsState
from retain.engine.core.command import Command, Decision
from retain.engine.core.event import Cause, Event
from retain.engine.holds.state import HoldsState
from retain.engine.holds.target import HoldKind, HoldTarget
from retain.engine.settings.events import DocumentDeleted
from retain.engine.settings.model import Place
from retain.engine.settings.state import SettingsState


class PersonalData(Protocol):
    """The part of the state with data about persons, and the holds."""

    @property
    def areas(self) -> AreasState:
        """See `engine.state.State`, as for the others."""

    @property
    def settings(self) -> SettingsState: ...

    @property
    def blobs(self) -> BlobsState: ...

    @property
    def holds(self) -> HoldsState: ...


class Ended(NamedTuple):
    """The outcome for one resource to be erased.

    Attributes:
        target: The target.
        status: `live` (or, answered by `EndSubjects`, ended by it), `ended` before, or `held` by a legal
            hold.

    """

    target: HoldTarget
    status: str


LIVING, ENDED, HELD = "live", "ended", "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSubjects(Command[tuple[Ended, ...]]):
    """End these resources, on request of the person concerned. Held ones stay.

    Attributes:
        targets: The resources; a number without a live entry is skipped.

    """

    FREES_SPACE: ClassVar[bool] = True

    targets: Sequence[HoldTarget]


def status_of(state: PersonalData, target: HoldTarget) -> str:
    """Return whether it is live (past its deadline or not), has ended, or is held."""
    details = target.named() if target.kind is HoldKind.BLOB else None
    if state.holds.held(target.resource, details):
        return HELD
    return LIVING if _living(state, target) else ENDED


def end(state: PersonalData, command: EndSubjects, _now: int) -> Decision[tuple[Ended, ...]]:
    """Delete live resources that are not held, with the cause `erasure-request`."""
    results = tuple(Ended(target, status_of(state, target)) for target in command.targets)
    events: list[Event] = []
    for target, status in results:
        if status == LIVING:
            events += _endings(state, command.actor, target)
    return Decision(tuple(events), results)


def _living(state: PersonalData, target: HoldTarget) -> bool:
    names = target.names
    match target.kind:
        case HoldKind.AREA:
            area = state.areas.areas.get(record_key(*names))
            return area is not None and area[0] == target.resource
        case HoldKind.DOCUMENT:
            document = state.settings.documents.get(Place(*names))
            return document is not None and document.resource == target.resource
        case _:
            return bool(_of_blob(state, target))


def _of_blob(state: PersonalData, target: HoldTarget) -> list[type[BlobDeleted] | type[BlocksDropped]]:
    """Return the events that end a blob, and the blocks staged under its name."""
    account, name, blob = target.names
    container = state.blobs.trace(account, name)
    if container is None:
        return []
    found: list[type[BlobDeleted] | type[BlocksDropped]] = []
    if blob in container.blobs and container.blobs[blob].resource == target.resource:
        found.append(BlobDeleted)
    if blob in container.pending and container.pending[blob].resource == target.resource:
        found.append(BlocksDropped)
    return found


def _endings(state: PersonalData, actor: str, target: HoldTarget) -> Iterator[Event]:
    names = target.names
    match target.kind:
        case HoldKind.AREA:
            yield AreaDeleted(
                resource=target.resource,
                actor=actor,
                cause=Cause.ERASURE_REQUEST,
                name=names[0],
                user=names[1],
            )
        case HoldKind.DOCUMENT:
            place = Place(*names)
            yield DocumentDeleted(
                resource=target.resource,
                actor=actor,
                cause=Cause.ERASURE_REQUEST,
                place=place,
                revision=state.settings.next_revision(state.settings.documents[place]),
                method="FORGET",
            )
        case _:
            for ending in _of_blob(state, target):
                yield ending(
                    resource=target.resource,
                    actor=actor,
                    cause=Cause.ERASURE_REQUEST,
                    account=names[0],
                    container=names[1],
                    blob=names[2],
                )
