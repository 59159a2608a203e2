"""Decide commands about containers and accounts. Reads the slice, changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from retain.engine.blobs import expiry, leases
from retain.engine.blobs.answers import Leased, Written
from retain.engine.blobs.conditions import Conditions
from retain.engine.blobs.container_commands import (
    ConfigureRetention,
    ContainerCommand,
    CreateContainer,
    DeleteContainer,
    EnsureContainers,
    LeaseContainer,
    RemoveAccount,
    SetContainerAccess,
    SetContainerMetadata,
    SetContainerRetention,
    SetServiceProperties,
)
from retain.engine.blobs.container_events import (
    ContainerAccessSet,
    ContainerClosed,
    ContainerCreated,
    ContainerDeleted,
    ContainerLeaseSet,
    ContainerMetadataSet,
    ContainerRetentionSet,
    RetentionConfigured,
    ServicePropertiesSet,
)
from retain.engine.blobs.containers import Container, container_facts
from retain.engine.blobs.entries import MAX_POLICIES
from retain.engine.blobs.state import BlobsState, required
from retain.engine.core.command import Command, Decision
from retain.engine.core.domain import Decide
from retain.engine.core.errors import Conflict, Invalid
from retain.engine.core.event import Cause, Event


def deciders(blobs: BlobsState) -> Mapping[type[Command[Any]], Decide]:
    """Return the deciders, bound to the slice."""
    table: dict[type[Command[Any]], Callable[..., Decision[Any]]] = {
        CreateContainer: _create,
        EnsureContainers: _ensure,
        DeleteContainer: _delete,
        SetContainerMetadata: _set_metadata,
        SetContainerAccess: _set_access,
        SetContainerRetention: _set_retention,
        LeaseContainer: _lease,
        ConfigureRetention: _configure,
        SetServiceProperties: _set_service,
        RemoveAccount: _remove_account,
    }
    return {kind: partial(decide, blobs) for kind, decide in table.items()}


def _admitted(
    blobs: BlobsState, command: ContainerCommand[Any], conditions: Conditions, now: int, *, leased: bool
) -> Container:
    """Return the container, if conditions and lease admit the command.

    `leased`: if the container is leased, the command must name that lease.
    """
    container = required(blobs, command.account, command.container)
    conditions.check(container.entry)
    if leased or conditions.lease is not None:
        leases.check_write(container.entry.lease, conditions.lease, now)
    return container


def _fields(command: Command[Any], container: Container) -> dict[str, Any]:
    return container_facts(container, command.actor, Cause.REQUEST)


def _create(blobs: BlobsState, command: CreateContainer, now: int) -> Decision[Written]:
    if blobs.find(command.account, command.container) is not None:
        raise Conflict("the container already exists", reason="container-exists")
    if (command.account, command.container) in blobs.closed:
        raise Conflict("the container is being deleted; try again later", reason="being-deleted")
    modified = blobs.next_modified(now)
    event = ContainerCreated(
        resource=command.resource,
        actor=command.actor,
        cause=Cause.REQUEST,
        account=command.account,
        container=command.container,
        created=modified,
        modified=modified,
        metadata=command.metadata,
        public_access=command.public_access,
    )
    return Decision((event,), Written(modified))


def _ensure(blobs: BlobsState, command: EnsureContainers, now: int) -> Decision[tuple[str, ...]]:
    modified = blobs.next_modified(now)
    events: list[Event] = []
    made: list[str] = []
    for name, resource in command.containers:
        if blobs.find(command.account, name) is None and name not in made:
            made.append(name)
            if (closed := blobs.closed.get((command.account, name))) is not None:
                events.append(_deletion(closed, command, all_at_once=True))
            events.append(
                ContainerCreated(
                    resource=resource,
                    actor=command.actor,
                    cause=Cause.CONFIGURATION,
                    account=command.account,
                    container=name,
                    created=modified,
                    modified=modified,
                    metadata=(),
                    public_access=None,
                )
            )
    return Decision(tuple(events), tuple(made))


def _delete(blobs: BlobsState, command: DeleteContainer, now: int) -> Decision[None]:
    container = _admitted(blobs, command, command.conditions, now, leased=True)
    return Decision((_deletion(container, command, all_at_once=expiry.few_in(container)),), None)


def _deletion(container: Container, command: Command[Any], *, all_at_once: bool) -> Event:
    facts = _fields(command, container)
    return ContainerDeleted(**facts) if all_at_once else ContainerClosed(staged=True, **facts)


def _set_metadata(blobs: BlobsState, command: SetContainerMetadata, now: int) -> Decision[Written]:
    container = _admitted(blobs, command, command.conditions, now, leased=False)
    modified = blobs.next_modified(now)
    event = ContainerMetadataSet(**_fields(command, container), modified=modified, metadata=command.metadata)
    return Decision((event,), Written(modified))


def _set_access(blobs: BlobsState, command: SetContainerAccess, now: int) -> Decision[Written]:
    container = _admitted(blobs, command, command.conditions, now, leased=False)
    if len(command.policies) > MAX_POLICIES:
        raise Invalid(
            "a container can have at most five stored access policies",
            reason="policy-limit",
            limit=MAX_POLICIES,
        )
    modified = blobs.next_modified(now)
    event = ContainerAccessSet(
        **_fields(command, container),
        modified=modified,
        policies=command.policies,
        public_access=command.public_access,
    )
    return Decision((event,), Written(modified))


def _set_retention(blobs: BlobsState, command: SetContainerRetention, now: int) -> Decision[None]:
    container = required(blobs, command.account, command.container)
    if command.days == container.entry.days:
        return Decision((), None)
    event = ContainerRetentionSet(**_fields(command, container), days=command.days, at=now)
    return Decision((event,), None)


def _lease(blobs: BlobsState, command: LeaseContainer, now: int) -> Decision[Leased]:
    container = required(blobs, command.account, command.container)
    command.conditions.check(container.entry)
    lease = leases.changed(container.entry.lease, command.request, now)
    event = ContainerLeaseSet(**_fields(command, container), lease=lease)
    result = Leased(container.entry.modified, lease, leases.break_seconds(lease, now))
    return Decision((event,), result)


def _configure(blobs: BlobsState, command: ConfigureRetention, now: int) -> Decision[bool]:
    if command.days == blobs.default_days:
        return Decision((), False)
    event = RetentionConfigured(
        resource=command.resource,
        actor=command.actor,
        cause=Cause.CONFIGURATION,
        days=command.days,
        at=now,
    )
    return Decision((event,), True)


def _set_service(blobs: BlobsState, command: SetServiceProperties, now: int) -> Decision[None]:
    resource, before = blobs.services.get(command.account, (command.resource, {}))
    # Merged here and not by the caller, so that of two concurrent requests both have their effect.
    document = {**before, **command.document}
    for name, value in command.document.items():
        if isinstance(value, Mapping) and isinstance(old := before.get(name), Mapping):
            document[name] = {**old, **value}
    event = ServicePropertiesSet(
        resource=resource,
        actor=command.actor,
        cause=Cause.REQUEST,
        account=command.account,
        document=document,
    )
    return Decision((event,), None)


def _remove_account(blobs: BlobsState, command: RemoveAccount, now: int) -> Decision[int]:
    containers = list(blobs.accounts.get(command.account, {}).values())
    all_at_once = expiry.few_in(*containers)
    events = [_deletion(container, command, all_at_once=all_at_once) for container in containers]
    if command.account in blobs.services:
        events.append(
            ServicePropertiesSet(
                resource=blobs.services[command.account][0],
                actor=command.actor,
                cause=Cause.REQUEST,
                account=command.account,
                document=None,
            )
        )
    return Decision(tuple(events), len(containers))
