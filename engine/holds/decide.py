"""Decide commands about holds, and refuse events that a hold forbids. Reads the state, changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from retain.engine.areas.events import AreaEvent
from retain.engine.areas.state import record_key, split_key
from retain.engine.blobs.container_events import ContainerEvent
from retain.engine.blobs.events import BlobEvent
from retain.engine.core.command import Command, Decision
from retain.engine.core.domain import Decide
from retain.engine.core.errors import Conflict, Invalid, NotFound
from retain.engine.core.event import Cause, Event
from retain.engine.core.role import OnHold
from retain.engine.holds.commands import REASON_BYTES, LiftHold, RestateHold, SetHold
from retain.engine.holds.events import HoldLifted, HoldSet
from retain.engine.holds.state import HoldsState
from retain.engine.holds.target import Hold, HoldKind, HoldTarget
from retain.engine.settings.events import SettingsEvent
from retain.engine.settings.model import Level, Place
from retain.journal import NO_RESOURCE


def deciders(holds: HoldsState) -> Mapping[type[Command[Any]], Decide]:
    """Return the deciders, bound to the slice."""
    table: dict[type[Command[Any]], Callable[..., Decision[Any]]] = {
        SetHold: _set,
        LiftHold: _lift,
        RestateHold: restate,
    }
    return {kind: partial(decide, holds) for kind, decide in table.items()}


def _set(holds: HoldsState, command: SetHold, now: int) -> Decision[Hold]:
    assert len(command.hold_id) == 16
    if not command.reason.strip() or len(command.reason.encode()) > REASON_BYTES:
        raise Invalid(
            f"a legal hold needs a reason of 1 to {REASON_BYTES} bytes", reason="reason", limit=REASON_BYTES
        )
    event = HoldSet(
        resource=command.hold_id,
        actor=command.actor,
        cause=Cause.REQUEST,
        target=_target(holds, command),
        reason=command.reason,
        setter=command.actor,
        time=now,
    )
    return Decision((event,), event.hold())


def would_set(holds: HoldsState, command: SetHold, now: int) -> Hold:
    """Return the hold that the command would set. Raises the errors that would refuse the command."""
    return _set(holds, command, now).result


def _lift(holds: HoldsState, command: LiftHold, _now: int) -> Decision[Hold]:
    hold = holds.holds.get(command.hold_id)
    if hold is None:
        raise NotFound("the legal hold does not exist, or is already lifted", reason="hold")
    event = HoldLifted(resource=hold.hold_id, actor=command.actor, cause=Cause.REQUEST, target=hold.target)
    return Decision((event,), hold)


def restate(holds: HoldsState, command: RestateHold, _now: int) -> Decision[bool]:
    """Return the hold as it is, to be recorded again."""
    hold = holds.holds.get(command.hold_id)
    if hold is None:
        return Decision((), False)
    event = HoldSet(
        resource=hold.hold_id,
        actor=command.actor,
        cause=Cause.RESTATED,
        target=hold.target,
        reason=hold.reason,
        setter=hold.actor,
        time=hold.time,
    )
    return Decision((event,), True)


def _target(holds: HoldsState, command: SetHold) -> HoldTarget:
    """Return the target of the command, with its number.

    Raises:
        NotFound: `target`.
    """
    if command.kind is HoldKind.RESOURCE:
        return living(holds, command.resource) or HoldTarget(HoldKind.RESOURCE, command.resource, ())
    resource = _resource_of(holds, command.kind, command.names)
    if command.resource and command.resource != resource:
        return HoldTarget(HoldKind.RESOURCE, command.resource, ())
    if resource is None:
        raise NotFound(f"the {command.kind} to be held does not exist", reason="target")
    return HoldTarget(command.kind, resource, command.names)


def _resource_of(holds: HoldsState, kind: HoldKind, names: tuple[Any, ...]) -> bytes | None:
    """Return the number of the resource that has that name now; None if there is none."""
    match kind:
        case HoldKind.AREA:
            area = holds.areas.areas.get(record_key(*names))
            return None if area is None else area[0]
        case HoldKind.DOCUMENT:
            document = holds.settings.documents.get(Place(*names))
            return None if document is None else document.resource
        case HoldKind.BLOB:
            container = holds.blobs.find(names[0], names[1])
            blob = None if container is None else container.blobs.get(names[2])
            return None if blob is None else blob.resource
        case HoldKind.CONTAINER:
            container = holds.blobs.find(names[0], names[1])
            return None if container is None else container.entry.resource
        case _:
            return NO_RESOURCE if names[0] in holds.blobs.accounts else None


def living(holds: HoldsState, resource: bytes) -> HoldTarget | None:
    """Return the live entry with a number; None if there is none. Examines all entries."""
    for key, area in holds.areas.areas.items():
        if area[0] == resource:
            return HoldTarget(HoldKind.AREA, resource, split_key(key))
    for place, document in holds.settings.documents.items():
        if document.resource == resource:
            return HoldTarget(HoldKind.DOCUMENT, resource, tuple(place))
    for container in holds.blobs.containers():
        names = (container.account, container.name)
        if container.entry.resource == resource:
            return HoldTarget(HoldKind.CONTAINER, resource, names)
        for name, blob in container.blobs.items():
            if blob.resource == resource:
                return HoldTarget(HoldKind.BLOB, resource, (*names, name))
    return None


def refuse_held(holds: HoldsState, events: Iterable[Event]) -> None:
    """Refuse a decision that would end or overwrite held data.

    Restating it is no change, and lost content no longer exists.

    An area or blob that is held can be read but not changed. Settings documents can be changed, because every
    version of a held one stays in the journal; they cannot be deleted.

    Raises:
        Conflict: `held`.
    """
    for event in events:
        if event.cause not in (Cause.RESTATED, Cause.LOST) and _ends_held(holds, event):
            raise Conflict(_refusal(event), reason="held")


def _refusal(event: Event) -> str:
    """Return the message for the client, with the name that it used for the resource."""
    change = "changed"
    match event:
        case AreaEvent():
            subject = f"the area {event.name}"
        case SettingsEvent():
            subject = f"the {Level(event.place.level).name.lower()} document of {event.place.application}"
            change = "deleted"
        case BlobEvent():
            subject = f"the blob {event.container}/{event.blob}"
        case ContainerEvent():
            subject = f"the container {event.container}, or a blob in it,"
            change = "deleted"
        case _:
            raise AssertionError(f"{type(event).__name__} ends nothing that a hold protects")
    return f"{subject} is under a legal hold and cannot be {change}"


def _ends_held(holds: HoldsState, event: Event) -> bool:
    held = holds.shared.held
    match event.ON_HOLD:
        case OnHold.HARMLESS | OnHold.REST:
            return False
        case OnHold.RESOURCE:
            return held.resource(event.resource)
        case OnHold.BLOB:
            assert isinstance(event, BlobEvent)
            return _is_there(holds, event) and (
                held.resource(event.resource) or held.container(event.account, event.container)
            )
        case OnHold.CONTAINER:
            assert isinstance(event, ContainerEvent)
            if (event.account, event.container) in holds.blobs.closed:
                return False  # it ended before the hold was set; its records stay
            return held.container(event.account, event.container) or bool(
                held.blobs_in(event.account, event.container)
            )


def _is_there(holds: HoldsState, event: BlobEvent) -> bool:
    container = holds.blobs.find(event.account, event.container)
    return container is not None and event.blob in container.blobs
