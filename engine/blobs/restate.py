"""Restate blobs, containers and accounts in new records. Reads the slice, changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from retain.engine.blobs.container_events import (
    BLOB,
    CONTAINER,
    SERVICE,
    ContainerCreated,
    ContainerLeaseSet,
    ServicePropertiesSet,
)
from retain.engine.blobs.containers import Container, blob_facts, container_facts
from retain.engine.blobs.entries import BlobEntry, Block, Composite
from retain.engine.blobs.events import BlobEvent, BlobPut, BlocksCommitted, BlockStaged
from retain.engine.blobs.state import BlobsState
from retain.engine.core.body import Body, Inline, OnDisk, StoredBody
from retain.engine.core.command import KEEPER
from retain.engine.core.domain import STEP_RECORDS, Restated, Restater, first_bytes
from retain.engine.core.event import Cause
from retain.engine.core.role import Locator

NOTHING = Restated((), False)


def restaters(blobs: BlobsState) -> Mapping[str, Restater]:
    """Return the restaters by the first words of the locators in the events of this domain."""
    return {
        BLOB: BlobRestater(blobs),
        CONTAINER: ContainerRestater(blobs),
        SERVICE: ServiceRestater(blobs),
    }


class BlobRestater(Restater):
    """A blob in one record, or block by block and then the list.

    Staged blocks are never restated: they expire.
    """

    def __init__(self, blobs: BlobsState) -> None:
        self._blobs = blobs

    def apart(self, locator: Locator, resource: bytes) -> Collection[int]:
        """Return the records of its blocks, staged ones included."""
        _, account, name, blob = locator
        container = self._blobs.trace(account, name)
        if container is None:
            return ()
        blocks: list[Block] = [*container.blocks(blob), *container.restated.get(blob, {}).values()]
        entry = container.blobs.get(blob)
        if entry is not None and isinstance(entry.body, Composite):
            blocks += entry.body.blocks
        return {block.seq for block in blocks}

    def bodies(self, locator: Locator, resource: bytes, before: int) -> Sequence[OnDisk]:
        """Return the blob's own body, or those of its next few blocks."""
        container, entry = self._find(locator, resource)
        if container is None or entry is None:
            return ()
        held: Iterable[StoredBody]
        if isinstance(entry.body, Composite):
            held = (block.body for block in _missing(container, locator[3], entry.body))
        else:
            held = (entry.body,)
        return list(first_bytes(held))

    def restate(
        self, locator: Locator, resource: bytes, before: int, bodies: Mapping[int, Inline]
    ) -> Restated:
        container, entry = self._find(locator, resource)
        if container is None or entry is None:
            return NOTHING
        name = locator[3]
        facts = blob_facts(container, name, resource, KEEPER, Cause.RESTATED)
        if not isinstance(entry.body, Composite):
            body = _body(entry.body, bodies)
            if body is None:
                return Restated((), True)
            return Restated((BlobPut(body=body, **facts, **_written(entry)),), False)
        missing = list(islice(_missing(container, name, entry.body), STEP_RECORDS))
        if missing:
            return Restated(list(_blocks(missing, bodies, facts)), True)
        restated = container.restated.get(name, {})
        blocks = tuple(restated[block.seq].seq for block in entry.body.blocks)
        return Restated((BlocksCommitted(blocks=blocks, **facts, **_written(entry)),), False)

    def _find(self, locator: Locator, resource: bytes) -> tuple[Container, BlobEntry] | tuple[None, None]:
        _, account, name, blob = locator
        container = self._blobs.find(account, name)
        entry = None if container is None else container.blobs.get(blob)
        if container is None or entry is None or entry.resource != resource:
            return None, None
        return container, entry


class ContainerRestater(Restater):
    """A container without what is in it."""

    def __init__(self, blobs: BlobsState) -> None:
        self._blobs = blobs

    def restate(
        self, locator: Locator, resource: bytes, before: int, bodies: Mapping[int, Inline]
    ) -> Restated:
        container = self._blobs.find(locator[1], locator[2])
        if container is None or container.entry.resource != resource:
            return NOTHING
        entry = container.entry
        facts = container_facts(container, KEEPER, Cause.RESTATED)
        created = ContainerCreated(
            created=entry.created,
            modified=entry.modified,
            metadata=entry.metadata,
            public_access=entry.public_access,
            policies=entry.policies,
            days=entry.days,
            ended=entry.ended,
            **facts,
        )
        return Restated((created, ContainerLeaseSet(lease=entry.lease, **facts)), False)


class ServiceRestater(Restater):
    """An account's service properties."""

    def __init__(self, blobs: BlobsState) -> None:
        self._blobs = blobs

    def restate(
        self, locator: Locator, resource: bytes, before: int, bodies: Mapping[int, Inline]
    ) -> Restated:
        found, document = self._blobs.services.get(locator[1], (b"", {}))
        if found != resource:
            return NOTHING
        event = ServicePropertiesSet(
            resource=resource, actor=KEEPER, cause=Cause.RESTATED, account=locator[1], document=document
        )
        return Restated((event,), False)


def _missing(container: Container, name: str, body: Composite) -> Iterator[Block]:
    """Yield the blocks that have no newer record yet, each once."""
    restated = container.restated.get(name, {})
    blocks = {block.seq: block for block in body.blocks}
    return (block for seq, block in blocks.items() if seq not in restated)


def _body(held: StoredBody, bodies: Mapping[int, Inline]) -> Body | None:
    return bodies.get(held.address) if isinstance(held, OnDisk) else held


def _blocks(
    blocks: Iterable[Block], bodies: Mapping[int, Inline], facts: dict[str, Any]
) -> Iterator[BlobEvent]:
    for block in blocks:
        body = _body(block.body, bodies)
        if body is None:
            return
        yield BlockStaged(block_id=block.block_id, body=body, staged=0, replaces=block.seq, **facts)


def _written(entry: BlobEntry) -> dict[str, Any]:
    return {
        "created": entry.created,
        "modified": entry.modified,
        "headers": entry.headers,
        "md5": entry.md5,
        "metadata": entry.metadata,
        "tags": entry.tags,
        "tier": entry.tier,
        "tier_changed": entry.tier_changed,
        "copy": entry.copy,
        "lease": entry.lease,
        "restates": entry.seq,
    }
