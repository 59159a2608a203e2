"""How events about blobs change the slice. Total: an event about something that is gone changes nothing."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from engine.blobs.containers import Container, blocks_end
from engine.blobs.entries import BlobEntry, Block, Composite, Pending, shared_headers, shared_pairs
from engine.blobs.events import (
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
from engine.blobs.leases import surviving
from engine.body import Held
from engine.deadlines import Kind
from engine.event import Cause, Event, Stamp
from engine.slice import Apply

if TYPE_CHECKING:
    from engine.blobs.state import BlobsSlice

WHOLE = b""
"""In place of a block id: the body is the blob's own. No block id is empty."""


def handlers(blobs: "BlobsSlice") -> Mapping[type[Event], Apply]:
    """The handlers, bound to the slice."""
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


def _put(blobs: "BlobsSlice", event: BlobPut, stamp: Stamp) -> None:
    blobs.last = max(blobs.last, event.modified)
    container = blobs.find(event.account, event.container)
    if container is None:
        return
    if event.cause is not Cause.RESTATED:
        _drop_staged(blobs, container, event.blob, kept=frozenset())
    body = blobs.hold(container, event.blob, WHOLE, event.body, stamp)
    _write(blobs, container, event, body, stamp.seq)


def _committed(blobs: "BlobsSlice", event: BlocksCommitted, stamp: Stamp) -> None:
    blobs.last = max(blobs.last, event.modified)
    container = blobs.find(event.account, event.container)
    if container is None:
        return
    known = {block.seq: block for block in container.blocks(event.blob)}
    old = container.blobs.get(event.blob)
    if old is not None and isinstance(old.body, Composite):
        known.update((block.seq, block) for block in old.body.blocks)
    if not known.keys() >= set(event.blocks):
        return
    blocks = tuple(known[seq] for seq in event.blocks)
    if event.cause is not Cause.RESTATED:
        _drop_staged(blobs, container, event.blob, kept=frozenset(event.blocks))
    _write(blobs, container, event, Composite(blocks, sum(block.size for block in blocks)), stamp.seq)


def _write(
    blobs: "BlobsSlice",
    container: Container,
    event: BlobWritten,
    body: Held | Composite,
    seq: int,
) -> None:
    old = container.blobs.get(event.blob)
    entry = BlobEntry(
        resource=event.resource,
        # An equal number that is one object for both costs a million entries 32 MB less.
        created=event.modified if event.created == event.modified else event.created,
        modified=event.modified,
        seq=seq,
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
    if old is not None:
        blobs.release(old.body, remaining=body)
    blobs.rearm(container)


def _staged(blobs: "BlobsSlice", event: BlockStaged, stamp: Stamp) -> None:
    container = blobs.find(event.account, event.container)
    if container is None:
        return
    if event.replaces:
        _restate_block(blobs, container, event, stamp)
        return
    body = blobs.hold(container, event.blob, event.block_id, event.body, stamp)
    key = (event.blob, event.block_id)
    old = container.staged.get(key)
    if old is not None:
        blobs.release(old.body)
    container.staged[key] = Block(event.block_id, body, stamp.seq)
    pending = container.pending.get(event.blob)
    where = (event.account, event.container, event.blob)
    if pending is None:
        container.pending_names.add(event.blob)
    else:
        blobs.ground.deadlines.disarm(blocks_end(pending), Kind.BLOCKS, where)
    count = (0 if pending is None else pending.blocks) + (old is None)
    pending = Pending(event.resource, event.staged, count, len(event.block_id))
    container.pending.pop(event.blob, None)
    container.pending[event.blob] = pending
    blobs.ground.deadlines.arm(blocks_end(pending), Kind.BLOCKS, where)


def _restate_block(blobs: "BlobsSlice", container: Container, event: BlockStaged, stamp: Stamp) -> None:
    """The block that record ``replaces`` held is now held by this one, wherever it is used."""
    key = (event.blob, event.block_id)
    staged = container.staged.get(key)
    if staged is not None and staged.seq == event.replaces:
        body = blobs.hold(container, event.blob, event.block_id, event.body, stamp)
        container.staged[key] = Block(event.block_id, body, stamp.seq)
    entry = container.blobs.get(event.blob)
    if entry is not None and isinstance(entry.body, Composite):
        if all(block.seq != event.replaces for block in entry.body.blocks):
            return
        new = Block(event.block_id, blobs.hold(container, event.blob, WHOLE, event.body, stamp), stamp.seq)
        blocks = tuple(new if block.seq == event.replaces else block for block in entry.body.blocks)
        container.blobs[event.blob] = entry._replace(body=entry.body._replace(blocks=blocks))


def _drop_staged(blobs: "BlobsSlice", container: Container, name: str, kept: frozenset[int]) -> None:
    """Nothing is staged under ``name`` any more; bodies of the records in ``kept`` live on in the blob."""
    pending = container.pending.pop(name, None)
    if pending is None:
        return
    container.pending_names.remove(name)
    blobs.ground.deadlines.disarm(blocks_end(pending), Kind.BLOCKS, (container.account, container.name, name))
    for block in list(container.blocks(name)):
        del container.staged[name, block.block_id]
        if block.seq not in kept:
            blobs.release(block.body)


def _dropped(blobs: "BlobsSlice", event: BlocksDropped, _stamp: Stamp) -> None:
    container = blobs.find(event.account, event.container)
    if container is not None:
        _drop_staged(blobs, container, event.blob, kept=frozenset())


def _present(blobs: "BlobsSlice", event: BlobEvent) -> tuple[Container, BlobEntry] | None:
    """The blob that ``event`` is about, None if it is gone or another one has its name."""
    container = blobs.find(event.account, event.container)
    entry = None if container is None else container.blobs.get(event.blob)
    if container is None or entry is None or entry.resource != event.resource:
        return None
    return container, entry


def _headers_set(blobs: "BlobsSlice", event: BlobHeadersSet, stamp: Stamp) -> None:
    blobs.last = max(blobs.last, event.modified)
    if (present := _present(blobs, event)) is not None:
        container, entry = present
        new = entry._replace(
            modified=event.modified,
            headers=shared_headers(event.headers),
            md5=event.md5,
            copy=None,
            lease=surviving(entry.lease, stamp.time),
        )
        container.put(event.blob, new)
        blobs.rearm(container)


def _metadata_set(blobs: "BlobsSlice", event: BlobMetadataSet, stamp: Stamp) -> None:
    blobs.last = max(blobs.last, event.modified)
    if (present := _present(blobs, event)) is not None:
        container, entry = present
        new = entry._replace(
            modified=event.modified,
            metadata=event.metadata,
            metadata_seq=stamp.seq,
            copy=None,
            lease=surviving(entry.lease, stamp.time),
        )
        container.put(event.blob, new)
        blobs.rearm(container)


def _tags_set(blobs: "BlobsSlice", event: BlobTagsSet, _stamp: Stamp) -> None:
    if (present := _present(blobs, event)) is not None:
        container, entry = present
        container.put(event.blob, entry._replace(tags=shared_pairs(event.tags)))


def _tier_set(blobs: "BlobsSlice", event: BlobTierSet, _stamp: Stamp) -> None:
    if (present := _present(blobs, event)) is not None:
        container, entry = present
        container.put(event.blob, entry._replace(tier=event.tier, tier_changed=event.changed))


def _lease_set(blobs: "BlobsSlice", event: BlobLeaseSet, _stamp: Stamp) -> None:
    if (present := _present(blobs, event)) is not None:
        container, entry = present
        container.put(event.blob, entry._replace(lease=event.lease))


def _deleted(blobs: "BlobsSlice", event: BlobDeleted, _stamp: Stamp) -> None:
    if (present := _present(blobs, event)) is not None:
        container, entry = present
        container.remove(event.blob)
        blobs.release(entry.body)
        blobs.rearm(container)
