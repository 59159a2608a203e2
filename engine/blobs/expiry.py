"""End expired blobs and staged blocks, and remove the contents of deleted containers.

Reads the slice, changes nothing.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from retain.engine.blobs.container_events import BlobsFreed, ContainerDeleted
from retain.engine.blobs.containers import Container, blob_facts, container_facts
from retain.engine.blobs.entries import BlobEntry, Composite
from retain.engine.blobs.events import BlobDeleted, BlocksDropped
from retain.engine.blobs.state import BlobsState
from retain.engine.core.command import KEEPER
from retain.engine.core.domain import ENDED_RECORDS, Expiry
from retain.engine.core.event import Cause, Event

EXPIRIES = 64
"""Most blobs of a container that end in one step, so that other requests run between two steps."""

FREED = 500
"""Most records that one event of a container turns into garbage, if no blob alone has more: some 10 ms of
work. A blob depends on one, or on one for each of its blocks; so does a staged block."""


def few_in(*containers: Container) -> bool:
    """Return whether all their contents may be removed in one event."""
    count = sum(len(container.blobs) + len(container.staged) for container in containers)
    if count > FREED:
        return False
    blobs = (entry for container in containers for entry in container.blobs.values())
    return count + sum(_records_of(entry) - 1 for entry in blobs) <= FREED


def _records_of(entry: BlobEntry) -> int:
    return len(entry.body.blocks) if isinstance(entry.body, Composite) and entry.body.blocks else 1


def end_blobs(blobs: BlobsState, key: Any, now: int) -> Expiry:
    """Return what ends the oldest blobs of the container `key`, or some of a deleted one."""
    if (closed := blobs.closed.get(key)) is not None:
        return Expiry([next_removal(closed)], FREED)
    account, name = key
    container = blobs.find(account, name)
    assert container is not None
    edge = container.alive_after(now)
    held = blobs.shared.held.blobs_in(account, name)
    ended: list[Event] = []
    records = 0
    for modified, blob in container.ages:
        if modified > edge or len(ended) == EXPIRIES:
            break
        if blob in held:
            continue
        more = _records_of(container.blobs[blob])
        if records + more > ENDED_RECORDS and ended:
            break
        records += more
        ended.append(blob_expiry(container, blob))
    return Expiry(ended, records)


def next_removal(closed: Container) -> Event:
    """Return the event that removes the next part of a deleted container, finally the container itself."""
    facts = container_facts(closed, KEEPER, Cause.REQUEST)
    if few_in(closed):
        return ContainerDeleted(**facts)
    if closed.staged:
        *_, (_, last) = islice(closed.staged.by_age(), FREED)
        return BlobsFreed(through=-1, blocks=last.seq, **facts)
    through, room = -1, FREED
    for modified, name in closed.ages:
        room -= _records_of(closed.blobs[name])
        if room < 0 and through >= 0:
            break
        through = modified
    return BlobsFreed(through=through, **facts)


def end_blocks(blobs: BlobsState, key: Any, _now: int) -> Expiry:
    """Return what ends the blocks staged under the name in `key`."""
    account, name, blob = key
    container = blobs.trace(account, name)
    assert container is not None
    return Expiry([blocks_expiry(container, blob)], container.pending[blob].blocks)


def blob_expiry(container: Container, blob: str) -> BlobDeleted:
    """Return the event that ends an expired blob."""
    resource = container.blobs[blob].resource
    return BlobDeleted(**blob_facts(container, blob, resource, KEEPER, Cause.EXPIRED))


def blocks_expiry(container: Container, blob: str) -> BlocksDropped:
    """Return the event that ends expired staged blocks."""
    resource = container.pending[blob].resource
    return BlocksDropped(**blob_facts(container, blob, resource, KEEPER, Cause.EXPIRED))
