"""Which records live state stands on. The others may be erased: replay without them gives the same state.

The answers are exact for records that hold bytes or metadata, and on the careful side for small changes,
which count as long as the thing they changed is there. Of records that end something none is needed once what
they ended is erased: they are to be erased after it, as the shorter life of contents sees to.
"""

from typing import TYPE_CHECKING

from engine.blobs.container_events import ContainerEvent, RetentionConfigured, ServicePropertiesSet
from engine.blobs.containers import Container
from engine.blobs.entries import BlobEntry, Composite
from engine.blobs.events import (
    BlobDeleted,
    BlobEvent,
    BlobMetadataSet,
    BlobPut,
    BlocksCommitted,
    BlocksDropped,
    BlockStaged,
)
from engine.event import Event

if TYPE_CHECKING:
    from engine.blobs.state import BlobsSlice


def stands_on(blobs: "BlobsSlice", event: Event, seq: int) -> bool:
    """Whether live state needs record ``seq``, which holds ``event``; False for other domains' events."""
    if isinstance(event, RetentionConfigured):
        return True
    if isinstance(event, ServicePropertiesSet):
        return event.account in blobs.services
    if not isinstance(event, ContainerEvent):
        return False
    container = blobs.find(event.account, event.container)
    if container is None:
        return False
    if isinstance(event, BlobEvent):
        return _blob_stands_on(container, event, seq)
    return container.entry.resource == event.resource


def _blob_stands_on(container: Container, event: BlobEvent, seq: int) -> bool:
    if isinstance(event, BlobDeleted | BlocksDropped):
        return False
    entry = container.blobs.get(event.blob)
    if isinstance(event, BlockStaged):
        staged = container.staged.get((event.blob, event.block_id))
        return (staged is not None and staged.seq == seq) or _uses(entry, seq)
    if entry is None or entry.resource != event.resource:
        return False
    if isinstance(event, BlobPut):
        return entry.seq == seq
    if isinstance(event, BlocksCommitted):
        # An earlier list is needed while a block lives on that it committed: without it, replay would take
        # the block for a staged one, which a later block of the same id replaces.
        return entry.seq == seq or _uses_older(entry, seq)
    if isinstance(event, BlobMetadataSet):
        return entry.metadata_seq == seq
    return seq > entry.seq


def _uses(entry: BlobEntry | None, seq: int) -> bool:
    body = None if entry is None else entry.body
    return isinstance(body, Composite) and any(block.seq == seq for block in body.blocks)


def _uses_older(entry: BlobEntry, seq: int) -> bool:
    body = entry.body
    return isinstance(body, Composite) and any(block.seq < seq for block in body.blocks)
