"""Apply events about blobs to the slice. Total: an event about a missing blob changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import takewhile

from retain.engine.blobs.containers import Container, blocks_end
from retain.engine.blobs.entries import (
    BlobEntry,
    Block,
    BlockSources,
    Composite,
    StagedBlocks,
    shared_headers,
    shared_pairs,
)
from retain.engine.blobs.events import (
    BlobDeleted,
    BlobEvent,
    BlobHeadersSet,
    BlobLeaseSet,
    BlobMetadataSet,
    BlobPut,
    BlobTagsSet,
    BlobTierSet,
    BlobWritten,
    BlocksCommitted,
    BlocksDropped,
    BlockStaged,
)
from retain.engine.blobs.leases import surviving
from retain.engine.blobs.lists import MadeList, make_list
from retain.engine.blobs.state import BlobsState
from retain.engine.core.body import StoredBody
from retain.engine.core.deadlines import DeadlineKind
from retain.engine.core.domain import Apply
from retain.engine.core.event import Cause, Event, Stamp

WHOLE = b""
"""In place of a block id: the body is the blob's own. No block id is empty."""


def handlers(blobs: BlobsState) -> Mapping[type[Event], Apply]:
    """Return the handlers, bound to the slice."""
    table: dict[type[Event], Callable[..., None]] = {
        BlobPut: _put,
        BlocksCommitted: _committed,
        BlockStaged: _staged,
        BlocksDropped: _dropped,
        BlobHeadersSet: _headers_set,
        BlobMetadataSet: _metadata_set,
        BlobTagsSet: _tags_set,
        BlobTierSet: _tier_set,
        BlobLeaseSet: _lease_set,
        BlobDeleted: _deleted,
    }
    return {kind: partial(handler, blobs) for kind, handler in table.items()}


def _container(blobs: BlobsState, event: BlobEvent) -> Container:
    return blobs.find(event.account, event.container) or blobs.ghost(event.account, event.container)


def _put(blobs: BlobsState, event: BlobPut, stamp: Stamp) -> None:
    blobs.last = max(blobs.last, event.modified)
    container = _container(blobs, event)
    _drop_staged(blobs, container, event, stamp, before=event.restates or stamp.seq)
    body = blobs.hold(container, event.blob, WHOLE, event.body, stamp)
    _write(blobs, container, event, body, stamp)


def _committed(blobs: BlobsState, event: BlocksCommitted, stamp: Stamp) -> None:
    blobs.last = max(blobs.last, event.modified)
    container = _container(blobs, event)
    staged = container.staged.of(event.blob)
    old = container.blobs.get(event.blob)
    restated: dict[int, Block] = {}
    if event.restates:
        restated = container.restated.pop(event.blob, restated)
    made = event.made
    if made is None:
        before = None if old is None else old.body
        made = make_list(event.blocks, staged, before, restated)
    if made.uses_old:
        # Without the old list, replay would take the block for a staged one, which a later block of the
        # same id replaces.
        blobs.shared.records.need_earlier()
    _drop_staged(blobs, container, event, stamp, before=event.restates or stamp.seq, made=made)
    _write(blobs, container, event, made.body, stamp, made.replaced)


def _write(
    blobs: BlobsState,
    container: Container,
    event: BlobWritten,
    body: StoredBody | Composite,
    stamp: Stamp,
    replaced: BlockSources | None = None,
) -> None:
    """Write the blob. `replaced`: what only the old content depends on, where that is at hand."""
    old = container.blobs.get(event.blob)
    entry = BlobEntry(
        resource=event.resource,
        # Sharing one object for both equal numbers saves 32 MB for a million entries.
        created=event.modified if event.created == event.modified else event.created,
        modified=event.modified,
        seq=stamp.seq,
        body=body,
        md5=event.md5,
        headers=shared_headers(event.headers),
        metadata=event.metadata,
        tags=shared_pairs(event.tags),
        tier=event.tier,
        tier_changed=event.tier_changed,
        copy=event.copy,
        lease=event.lease,
        metadata_seq=0,
    )
    container.put(event.blob, entry)
    # In order of the last write, not the first: that record may be erased by the time of a replay.
    container.blobs[event.blob] = container.blobs.pop(event.blob)
    blobs.leave_restated(container, event.resource, event.blob, stamp)
    if old is not None and replaced is not None:
        if isinstance(old.body, Composite):
            blobs.shared.bury(old.body.blocks)
        blobs.leave_sources(event.resource, replaced, stamp, Cause.OVERWRITTEN)
    elif old is not None:
        blobs.leave(event.resource, old.body, stamp, Cause.OVERWRITTEN, remaining=body)
    blobs.rearm(container)


def _staged(blobs: BlobsState, event: BlockStaged, stamp: Stamp) -> None:
    container = _container(blobs, event)
    body = blobs.hold(container, event.blob, event.block_id, event.body, stamp, event.replaces)
    if event.replaces:
        block = Block(event.block_id, body, stamp.seq)
        container.restated.setdefault(event.blob, {})[event.replaces] = block
        return
    old = container.staged.add(event.blob, Block(event.block_id, body, stamp.seq))
    if old is not None:
        blobs.leave_sources(event.resource, BlockSources.of((old,)), stamp, Cause.OVERWRITTEN)
    pending = container.pending.get(event.blob)
    where = (event.account, event.container, event.blob)
    if pending is None:
        container.pending_names.add(event.blob)
    else:
        blobs.shared.deadlines.disarm(blocks_end(pending), DeadlineKind.BLOCKS, where)
    count = (0 if pending is None else pending.blocks) + (old is None)
    pending = StagedBlocks(event.resource, event.staged, count, len(event.block_id))
    container.pending.pop(event.blob, None)
    container.pending[event.blob] = pending
    blobs.shared.deadlines.arm(blocks_end(pending), DeadlineKind.BLOCKS, where)


def _drop_staged(
    blobs: BlobsState,
    container: Container,
    event: BlobEvent,
    stamp: Stamp,
    *,
    before: int,
    made: MadeList | None = None,
) -> None:
    """Remove the blocks staged under the name in records before `before`.

    Those that `made`, if it is given, does not lose remain as part of the blob.
    """
    name = event.blob
    pending = container.pending.get(name)
    if pending is None:
        return
    where = (container.account, container.name, name)
    cause = event.cause if isinstance(event, BlocksDropped) else Cause.OVERWRITTEN
    staged = container.staged.of(name)
    newer = list(takewhile(lambda block: block.seq >= before, reversed(staged.values())))
    if newer:
        lost = staged.values() if made is None else made.unused.values()
        sources = BlockSources.of([block for block in lost if block.seq < before])
        for block in [block for block in staged.values() if block.seq < before]:
            container.staged.remove(name, block.block_id)
    else:
        sources = container.staged.sources(name) if made is None else made.lost
        blobs.shared.bury(container.staged.remove_all(name))
    blobs.leave_sources(event.resource, sources, stamp, cause)
    if newer:
        container.pending[name] = pending._replace(blocks=len(newer))
        return
    del container.pending[name]
    container.pending_names.remove(name)
    blobs.shared.deadlines.disarm(blocks_end(pending), DeadlineKind.BLOCKS, where)


def _dropped(blobs: BlobsState, event: BlocksDropped, stamp: Stamp) -> None:
    container = blobs.trace(event.account, event.container)
    if container is not None:
        _drop_staged(blobs, container, event, stamp, before=stamp.seq)


def _present(blobs: BlobsState, event: BlobEvent) -> tuple[Container, BlobEntry] | None:
    """Return the blob that `event` is about; None if it no longer exists or another one has its name."""
    container = blobs.trace(event.account, event.container)
    entry = None if container is None else container.blobs.get(event.blob)
    if container is None or entry is None or entry.resource != event.resource:
        return None
    return container, entry


def _headers_set(blobs: BlobsState, event: BlobHeadersSet, stamp: Stamp) -> None:
    blobs.last = max(blobs.last, event.modified)
    if (present := _present(blobs, event)) is not None:
        container, entry = present
        if entry.md5 is not None and entry.md5 != event.md5:
            blobs.shared.records.supersede_part()
        new = entry._replace(
            modified=event.modified,
            headers=shared_headers(event.headers),
            md5=event.md5,
            copy=None,
            lease=surviving(entry.lease, stamp.time),
        )
        container.put(event.blob, new)
        blobs.rearm(container)


def _metadata_set(blobs: BlobsState, event: BlobMetadataSet, stamp: Stamp) -> None:
    blobs.last = max(blobs.last, event.modified)
    if (present := _present(blobs, event)) is not None:
        container, entry = present
        if entry.metadata:
            blobs.shared.records.supersede_part()
        new = entry._replace(
            modified=event.modified,
            metadata=event.metadata,
            metadata_seq=stamp.seq,
            copy=None,
            lease=surviving(entry.lease, stamp.time),
        )
        container.put(event.blob, new)
        blobs.rearm(container)


def _tags_set(blobs: BlobsState, event: BlobTagsSet, _stamp: Stamp) -> None:
    if (present := _present(blobs, event)) is not None:
        container, entry = present
        container.put(event.blob, entry._replace(tags=shared_pairs(event.tags)))


def _tier_set(blobs: BlobsState, event: BlobTierSet, _stamp: Stamp) -> None:
    if (present := _present(blobs, event)) is not None:
        container, entry = present
        container.put(event.blob, entry._replace(tier=event.tier, tier_changed=event.changed))


def _lease_set(blobs: BlobsState, event: BlobLeaseSet, _stamp: Stamp) -> None:
    if (present := _present(blobs, event)) is not None:
        container, entry = present
        container.put(event.blob, entry._replace(lease=event.lease))


def _deleted(blobs: BlobsState, event: BlobDeleted, stamp: Stamp) -> None:
    if (present := _present(blobs, event)) is not None:
        container, entry = present
        container.remove(event.blob)
        blobs.leave_restated(container, event.resource, event.blob, stamp)
        blobs.leave(event.resource, entry.body, stamp, event.cause)
        blobs.rearm(container)
