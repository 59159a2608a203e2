"""What staging blocks and committing lists of them come to. Reads the slice, changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from retain.engine.blobs import leases
from retain.engine.blobs.answers import Written
from retain.engine.blobs.commands import BlockSource, CommitBlocks, StageBlock
from retain.engine.blobs.containers import Container
from retain.engine.blobs.decide_blobs import endings, fields, resource_for, writable, written
from retain.engine.blobs.entries import BlobEntry, Block, Composite
from retain.engine.blobs.events import BlocksCommitted, BlockStaged
from retain.engine.blobs.limits import MAX_BLOCKS, MAX_UNCOMMITTED
from retain.engine.blobs.state import BlobsState, required
from retain.engine.core.command import Command, Decision
from retain.engine.core.domain import Decide
from retain.engine.core.errors import Conflict, Invalid, TooLarge


def deciders(blobs: BlobsState) -> Mapping[type[Command[Any]], Decide]:
    """Return the deciders, bound to the slice."""
    return {StageBlock: partial(_stage, blobs), CommitBlocks: partial(_commit, blobs)}


def _stage(blobs: BlobsState, command: StageBlock, now: int) -> Decision[None]:
    container = required(blobs, command.account, command.container)
    entry = container.blob(command.name, now)
    lease = None if entry is None else entry.lease
    if entry is not None or command.conditions.lease is not None:
        leases.check_write(lease, command.conditions.lease, now)
    pending = container.uncommitted(command.name, now)
    if pending is not None and pending.id_length != len(command.block_id):
        raise Invalid(
            "all uncommitted block ids of a blob are of one length",
            reason="block-id",
            length=pending.id_length,
        )
    if (
        pending is not None
        and pending.blocks >= MAX_UNCOMMITTED
        and (command.name, command.block_id) not in container.staged
    ):
        raise Conflict("too many uncommitted blocks", reason="block-count", limit=MAX_UNCOMMITTED)
    event = BlockStaged(
        **fields(command, resource_for(container, entry, command.name, command.resource, now)),
        block_id=command.block_id,
        body=command.body,
        staged=now,
    )
    return Decision((*endings(container, command.name, now), event), None)


def _commit(blobs: BlobsState, command: CommitBlocks, now: int) -> Decision[Written]:
    if len(command.blocks) > MAX_BLOCKS:
        raise TooLarge("a blob has at most 50,000 blocks", reason="block-list", limit=MAX_BLOCKS)
    container, entry = writable(blobs, command, now)
    blocks = _resolved(container, entry, command, now)
    modified = blobs.next_modified(now)
    event = BlocksCommitted(**written(container, entry, command, modified, now), blocks=blocks)
    return Decision((*endings(container, command.name, now), event), Written(modified))


def _resolved(
    container: Container, entry: BlobEntry | None, command: CommitBlocks, now: int
) -> tuple[int, ...]:
    """Return the records that hold the blocks of the list."""
    staged: dict[bytes, Block] = {}
    if container.uncommitted(command.name, now) is not None:
        staged = {block.block_id: block for block in container.blocks(command.name)}
    committed: dict[bytes, Block] = {}
    if entry is not None and isinstance(entry.body, Composite):
        committed = {block.block_id: block for block in entry.body.blocks}
    found: list[int] = []
    for position, (source, block_id) in enumerate(command.blocks):
        block = None if source is BlockSource.COMMITTED else staged.get(block_id)
        if block is None and source is not BlockSource.UNCOMMITTED:
            block = committed.get(block_id)
        if block is None:
            raise Invalid("the list names a block that is not there", reason="block-list", position=position)
        found.append(block.seq)
    return tuple(found)
