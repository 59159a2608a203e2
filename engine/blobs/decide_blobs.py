"""Decide commands about blobs and their blocks. Reads the slice, changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from retain.engine.blobs import leases
from retain.engine.blobs.answers import Leased, Written
from retain.engine.blobs.commands import (
    BlobCommand,
    BlockSource,
    CommitBlocks,
    DeleteBlob,
    LeaseBlob,
    PutBlob,
    SetBlobHeaders,
    SetBlobMetadata,
    SetBlobTags,
    SetBlobTier,
    StageBlock,
    WriteBlob,
)
from retain.engine.blobs.conditions import Conditions
from retain.engine.blobs.containers import Container
from retain.engine.blobs.entries import MAX_BLOCKS, MAX_UNCOMMITTED, BlobEntry, Block, Composite
from retain.engine.blobs.events import (
    BlobDeleted,
    BlobHeadersSet,
    BlobLeaseSet,
    BlobMetadataSet,
    BlobPut,
    BlobTagsSet,
    BlobTierSet,
    BlocksCommitted,
    BlocksDropped,
    BlockStaged,
)
from retain.engine.blobs.expiry import blob_expiry, blocks_expiry
from retain.engine.blobs.lists import MadeList
from retain.engine.blobs.state import BlobsState, required
from retain.engine.core.command import Command, Decision
from retain.engine.core.domain import Decide
from retain.engine.core.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge
from retain.engine.core.event import Cause, Event


def deciders(blobs: BlobsState) -> Mapping[type[Command[Any]], Decide]:
    """Return the deciders, bound to the slice."""
    table: dict[type[Command[Any]], Callable[..., Decision[Any]]] = {
        PutBlob: _put,
        SetBlobHeaders: _set_headers,
        SetBlobMetadata: _set_metadata,
        SetBlobTags: _set_tags,
        SetBlobTier: _set_tier,
        LeaseBlob: _lease,
        DeleteBlob: _delete,
        StageBlock: _stage_block,
        CommitBlocks: commit,
    }
    return {kind: partial(decide, blobs) for kind, decide in table.items()}


def fields(command: BlobCommand[Any], resource: bytes) -> dict[str, Any]:
    """Return the fields that every event of a blob command has."""
    return {
        "resource": resource,
        "actor": command.actor,
        "cause": Cause.REQUEST,
        "account": command.account,
        "container": command.container,
        "blob": command.name,
    }


def writable(blobs: BlobsState, command: WriteBlob, now: int) -> tuple[Container, BlobEntry | None]:
    """Return the container and what the write replaces, if the command may write.

    Raises:
        NotFound, Conflict, Forbidden, PreconditionFailed: As listed in `commands`.
    """
    container = required(blobs, command.account, command.container)
    entry = container.blob(command.name, now)
    admit_write(entry, command.conditions, now, may_overwrite=command.may_overwrite)
    return container, entry


def admit_write(entry: BlobEntry | None, conditions: Conditions, now: int, *, may_overwrite: bool) -> None:
    """Refuse a write over `entry`, None if there is none, that conditions, lease or rights exclude.

    The lease of a leased blob is checked first, and `If-None-Match: *` does not stop the holder of the lease.
    Azure does the same; its clients send this header with every upload that is not meant to overwrite.

    Raises:
        Conflict, Forbidden, PreconditionFailed: As listed in `commands`.

    """
    lease = None if entry is None else entry.lease
    if leases.locked(lease, now):
        leases.check_write(lease, conditions.lease, now)
        conditions = conditions.of_the_holder()
    conditions.check(entry, creates=True)
    if entry is not None and not may_overwrite:
        raise Forbidden(
            "the blob already exists, and the permissions allow only to create", reason="overwrite"
        )
    leases.check_write(lease, conditions.lease, now)


def endings(container: Container, name: str, now: int) -> list[Event]:
    """Return the events that end an expired blob under `name`, so that a write does not find it alive."""
    events: list[Event] = []
    if name in container.blobs and container.blob(name, now) is None:
        events.append(blob_expiry(container, name))
    if name in container.pending and container.uncommitted(name, now) is None:
        events.append(blocks_expiry(container, name))
    return events


def resource_for(container: Container, entry: BlobEntry | None, name: str, fresh: bytes, now: int) -> bytes:
    """Return the id of the blob's records: its own, else that of its staged blocks, else `fresh`."""
    if entry is not None:
        return entry.resource
    pending = container.uncommitted(name, now)
    return fresh if pending is None else pending.resource


def written(
    container: Container, entry: BlobEntry | None, command: WriteBlob, modified: int, now: int
) -> dict[str, Any]:
    """Return the fields that every event of a write has; `entry` is the replaced entry."""
    return {
        **fields(command, resource_for(container, entry, command.name, command.resource, now)),
        "created": modified if entry is None else entry.created,
        "modified": modified,
        "headers": command.headers,
        "md5": command.md5,
        "metadata": command.metadata,
        "tags": command.tags,
        "tier": command.tier,
        "lease": None if entry is None else leases.surviving(entry.lease, now),
    }


def _put(blobs: BlobsState, command: PutBlob, now: int) -> Decision[Written]:
    container, entry = writable(blobs, command, now)
    modified = blobs.next_modified(now)
    event = BlobPut(**written(container, entry, command, modified, now), body=command.body, copy=command.copy)
    return Decision((*endings(container, command.name, now), event), Written(modified))


def _present(blobs: BlobsState, command: BlobCommand[Any], now: int) -> BlobEntry:
    container = required(blobs, command.account, command.container)
    entry = container.blob(command.name, now)
    if entry is None:
        raise NotFound("the blob does not exist", reason="blob")
    command.conditions.check(entry)
    return entry


def _admitted(blobs: BlobsState, command: BlobCommand[Any], now: int) -> BlobEntry:
    entry = _present(blobs, command, now)
    leases.check_write(entry.lease, command.conditions.lease, now)
    return entry


def _set_headers(blobs: BlobsState, command: SetBlobHeaders, now: int) -> Decision[Written]:
    entry = _admitted(blobs, command, now)
    modified = blobs.next_modified(now)
    event = BlobHeadersSet(
        **fields(command, entry.resource), modified=modified, headers=command.headers, md5=command.md5
    )
    return Decision((event,), Written(modified))


def _set_metadata(blobs: BlobsState, command: SetBlobMetadata, now: int) -> Decision[Written]:
    entry = _admitted(blobs, command, now)
    modified = blobs.next_modified(now)
    event = BlobMetadataSet(**fields(command, entry.resource), modified=modified, metadata=command.metadata)
    return Decision((event,), Written(modified))


def _set_tags(blobs: BlobsState, command: SetBlobTags, now: int) -> Decision[None]:
    entry = _admitted(blobs, command, now)
    return Decision((BlobTagsSet(**fields(command, entry.resource), tags=command.tags),), None)


def _set_tier(blobs: BlobsState, command: SetBlobTier, now: int) -> Decision[None]:
    entry = _admitted(blobs, command, now)
    event = BlobTierSet(**fields(command, entry.resource), tier=command.tier, changed=now)
    return Decision((event,), None)


def _lease(blobs: BlobsState, command: LeaseBlob, now: int) -> Decision[Leased]:
    entry = _present(blobs, command, now)
    lease = leases.changed(entry.lease, command.request, now)
    event = BlobLeaseSet(**fields(command, entry.resource), lease=lease)
    return Decision((event,), Leased(entry.modified, lease, leases.break_seconds(lease, now)))


def _delete(blobs: BlobsState, command: DeleteBlob, now: int) -> Decision[None]:
    entry = _admitted(blobs, command, now)
    events: list[Event] = [BlobDeleted(**fields(command, entry.resource))]
    container = required(blobs, command.account, command.container)
    if command.name in container.pending:
        events.append(BlocksDropped(**fields(command, container.pending[command.name].resource)))
    return Decision(tuple(events), None)


def _stage_block(blobs: BlobsState, command: StageBlock, now: int) -> Decision[None]:
    container = required(blobs, command.account, command.container)
    entry = container.blob(command.name, now)
    lease = None if entry is None else entry.lease
    if entry is not None or command.conditions.lease is not None:
        leases.check_write(lease, command.conditions.lease, now)
    pending = container.uncommitted(command.name, now)
    if pending is not None and pending.id_length != len(command.block_id):
        raise Invalid(
            "the block id has another length than the blob's other uncommitted blocks",
            reason="block-id",
            length=pending.id_length,
        )
    if (
        pending is not None
        and pending.blocks >= MAX_UNCOMMITTED
        and (command.name, command.block_id) not in container.staged
    ):
        raise Conflict(
            "the blob has too many uncommitted blocks; commit a block list first",
            reason="block-count",
            limit=MAX_UNCOMMITTED,
        )
    event = BlockStaged(
        **fields(command, resource_for(container, entry, command.name, command.resource, now)),
        block_id=command.block_id,
        body=command.body,
        staged=now,
    )
    return Decision((*endings(container, command.name, now), event), None)


def commit(blobs: BlobsState, command: CommitBlocks, now: int) -> Decision[Written]:
    """Decide `CommitBlocks`."""
    if len(command.blocks) > MAX_BLOCKS:
        raise TooLarge("a blob can have at most 50,000 blocks", reason="block-list", limit=MAX_BLOCKS)
    container, entry = writable(blobs, command, now)
    waiting: Mapping[bytes, Block] = {}
    if container.uncommitted(command.name, now) is not None:
        waiting = container.staged.of(command.name)
    return committed(blobs, command, container, entry, resolved(waiting, entry, command), now)


def committed(
    blobs: BlobsState,
    command: CommitBlocks,
    container: Container,
    entry: BlobEntry | None,
    blocks: tuple[int, ...],
    now: int,
    made: MadeList | None = None,
) -> Decision[Written]:
    """Return the decision to commit the list of the records `blocks`; `made`: what that comes to."""
    modified = blobs.next_modified(now)
    facts = written(container, entry, command, modified, now)
    event = BlocksCommitted(**facts, blocks=blocks, made=made)
    return Decision((*endings(container, command.name, now), event), Written(modified))


def resolved(
    waiting: Mapping[bytes, Block], entry: BlobEntry | None, command: CommitBlocks
) -> tuple[int, ...]:
    """Return the records that hold the blocks of the list: of those staged, or of the old content.

    Raises:
        Invalid: `block-list`.

    """
    staged = {block_id: block.seq for block_id, block in waiting.items()}
    old: dict[bytes, int] = {}
    if entry is not None and isinstance(entry.body, Composite):
        old = {block.block_id: block.seq for block in entry.body.blocks}
    # There may be 50,000: the common case is one look-up for each.
    of = {
        BlockSource.COMMITTED: old,
        BlockSource.UNCOMMITTED: staged,
        BlockSource.LATEST: old | staged,
    }
    found = [of[source].get(block_id) for source, block_id in command.blocks]
    if None in found:
        raise Invalid(
            "the block list names a block that does not exist",
            reason="block-list",
            position=found.index(None),
        )
    return tuple([seq for seq in found if seq is not None])
