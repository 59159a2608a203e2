"""Apply events about containers and accounts to the slice.

Total: an event about something that no longer exists changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import takewhile

from sortedcontainers import SortedDict

from retain.engine.blobs.container_events import (
    BlobsFreed,
    ContainerAccessSet,
    ContainerClosed,
    ContainerCreated,
    ContainerDeleted,
    ContainerEvent,
    ContainerLeaseSet,
    ContainerMetadataSet,
    ContainerRetentionSet,
    PoliciesChanged,
    RetentionConfigured,
    ServicePropertiesSet,
)
from retain.engine.blobs.containers import Container, blocks_end, lifetime_of
from retain.engine.blobs.entries import BlobEntry, BlockSources, ContainerEntry
from retain.engine.blobs.leases import surviving
from retain.engine.blobs.state import BlobsState
from retain.engine.core.deadlines import DeadlineKind
from retain.engine.core.domain import Apply
from retain.engine.core.event import Event, Stamp


def handlers(blobs: BlobsState) -> Mapping[type[Event], Apply]:
    """Return the handlers, bound to the slice."""
    table: dict[type[Event], Callable[..., None]] = {
        ContainerCreated: _created,
        ContainerMetadataSet: _metadata_set,
        ContainerAccessSet: _access_set,
        PoliciesChanged: _policies_changed,
        ContainerRetentionSet: _retention_set,
        ContainerLeaseSet: _lease_set,
        ContainerDeleted: _deleted,
        ContainerClosed: _closed,
        BlobsFreed: _freed,
        ServicePropertiesSet: _service_set,
        RetentionConfigured: _configured,
    }
    return {kind: partial(handler, blobs) for kind, handler in table.items()}


def _created(blobs: BlobsState, event: ContainerCreated, _stamp: Stamp) -> None:
    blobs.last = max(blobs.last, event.modified)
    containers = blobs.accounts.setdefault(event.account, SortedDict())
    old = containers.get(event.container)
    entry = ContainerEntry(
        resource=event.resource,
        created=event.created,
        modified=event.modified,
        metadata=event.metadata,
        public_access=event.public_access,
        policies=event.policies,
        days=event.days,
        lease=None if old is None else old.entry.lease,
        ended=event.ended,
    )
    if old is None:
        lifetime = lifetime_of(event.days, blobs.default_days)
        containers[event.container] = Container(event.account, event.container, entry, lifetime)
    else:
        old.entry = entry
        old.lifetime = lifetime_of(event.days, blobs.default_days)
        blobs.rearm(old)


def _metadata_set(blobs: BlobsState, event: ContainerMetadataSet, stamp: Stamp) -> None:
    blobs.last = max(blobs.last, event.modified)
    container = blobs.find(event.account, event.container)
    if container is not None:
        if container.entry.metadata:
            blobs.shared.records.supersede_part()
        container.entry = container.entry._replace(
            modified=event.modified,
            metadata=event.metadata,
            lease=surviving(container.entry.lease, stamp.time),
        )


def _access_set(blobs: BlobsState, event: ContainerAccessSet, stamp: Stamp) -> None:
    blobs.last = max(blobs.last, event.modified)
    container = blobs.find(event.account, event.container)
    if container is not None:
        container.entry = container.entry._replace(
            modified=event.modified,
            policies=event.policies,
            public_access=event.public_access,
            lease=surviving(container.entry.lease, stamp.time),
        )


def _policies_changed(blobs: BlobsState, event: PoliciesChanged, _stamp: Stamp) -> None:
    blobs.last = max(blobs.last, event.modified)
    container = blobs.find(event.account, event.container)
    if container is not None:
        gone = {*event.removed, *(policy.policy_id for policy in event.added)}
        kept = tuple(policy for policy in container.entry.policies if policy.policy_id not in gone)
        container.entry = container.entry._replace(modified=event.modified, policies=kept + event.added)


def _retention_set(blobs: BlobsState, event: ContainerRetentionSet, _stamp: Stamp) -> None:
    container = blobs.find(event.account, event.container)
    if container is not None:
        container.keep(event.days, blobs.default_days, event.at)
        blobs.rearm(container)


def _lease_set(blobs: BlobsState, event: ContainerLeaseSet, _stamp: Stamp) -> None:
    container = blobs.find(event.account, event.container)
    if container is not None:
        container.entry = container.entry._replace(lease=event.lease)


def _deleted(blobs: BlobsState, event: ContainerDeleted, stamp: Stamp) -> None:
    container = blobs.trace(event.account, event.container)
    if container is not None:
        blobs.drop(container)
        _drop_staged(blobs, container, event, stamp)
        for name, entry in container.blobs.items():
            _let_go(blobs, container, name, entry, event, stamp)


def _closed(blobs: BlobsState, event: ContainerClosed, stamp: Stamp) -> None:
    container = blobs.find(event.account, event.container)
    if container is not None:
        blobs.close(container, stamp.time)
        if not event.staged:
            _drop_staged(blobs, container, event, stamp)


def _freed(blobs: BlobsState, event: BlobsFreed, stamp: Stamp) -> None:
    container = blobs.closed.get((event.account, event.container))
    if container is None:
        return
    ended = takewhile(lambda found: found[1].seq <= event.blocks, container.staged.by_age())
    for name, block in list(ended):
        _drop_block(blobs, container, name, block.block_id, event, stamp)
    while container.ages and container.ages[0][0] <= event.through:
        name = container.ages[0][1]
        _let_go(blobs, container, name, container.remove(name), event, stamp)


def _drop_staged(blobs: BlobsState, container: Container, event: ContainerEvent, stamp: Stamp) -> None:
    for name, pending in container.pending.items():
        key = (container.account, container.name, name)
        blobs.shared.deadlines.disarm(blocks_end(pending), DeadlineKind.BLOCKS, key)
    for name, pending in container.pending.items():
        sources = container.staged.sources(name)
        blobs.leave_sources(pending.resource, sources, stamp, event.cause)
    container.pending.clear()
    container.pending_names.clear()
    container.staged.clear()


def _drop_block(
    blobs: BlobsState, container: Container, name: str, block_id: bytes, event: ContainerEvent, stamp: Stamp
) -> None:
    """Remove one staged block whose container was deleted."""
    block = container.staged.remove(name, block_id)
    pending = container.pending[name]
    assert block is not None
    blobs.leave_sources(pending.resource, BlockSources.of((block,)), stamp, event.cause)
    if pending.blocks > 1:
        container.pending[name] = pending._replace(blocks=pending.blocks - 1)
        return
    del container.pending[name]
    container.pending_names.remove(name)
    key = (container.account, container.name, name)
    blobs.shared.deadlines.disarm(blocks_end(pending), DeadlineKind.BLOCKS, key)


def _let_go(
    blobs: BlobsState, container: Container, name: str, entry: BlobEntry, event: ContainerEvent, stamp: Stamp
) -> None:
    """Remove a blob whose container was deleted."""
    blobs.leave_restated(container, entry.resource, name, stamp)
    blobs.leave(entry.resource, entry.body, stamp, event.cause)
    blobs.shared.records.discard_chain(stamp, entry.resource, event.cause)


def _service_set(blobs: BlobsState, event: ServicePropertiesSet, _stamp: Stamp) -> None:
    if event.document is None:
        blobs.services.pop(event.account, None)
        blobs.shared.records.end_resource()
    else:
        blobs.services[event.account] = (event.resource, event.document)


def _configured(blobs: BlobsState, event: RetentionConfigured, _stamp: Stamp) -> None:
    blobs.default_days = event.days
    for container in blobs.containers():
        if container.entry.days is None:
            container.keep(None, event.days, event.at)
        blobs.rearm(container)
