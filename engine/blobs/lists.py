"""Make the body of a blob from a list of blocks. Pure; for long lists it may run beside the event loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from retain.engine.blobs.entries import Block, BlockSources, Composite, sources_of
from retain.engine.core.body import StoredBody


class MadeList(NamedTuple):
    """What committing a list of blocks comes to.

    Attributes:
        body: The blob's content.
        uses_old: Whether it has blocks of the content that it replaces.
        unused: Record → block: those staged under the name that it does not have.
        lost: What these depend on.
        replaced: What only the content that it replaces depends on; None if there is none.

    """

    body: Composite
    uses_old: bool
    unused: Mapping[int, Block]
    lost: BlockSources
    replaced: BlockSources | None


def make_list(
    blocks: Sequence[int],
    staged: Mapping[bytes, Block],
    old: StoredBody | Composite | None,
    restated: Mapping[int, Block],
) -> MadeList:
    """Return what the list comes to.

    Args:
        blocks: The records that hold its blocks, in the order of the content.
        staged: The blocks staged under the name, by id.
        old: The content that it replaces.
        restated: The newer blocks of the blob, where the list is restated.

    """
    waiting = {block.seq: block for block in staged.values()}
    used: dict[int, Block] = {}
    if isinstance(old, Composite):
        used = {block.seq: block for block in old.blocks}
    newer = {block.seq: block for block in restated.values()}
    known = waiting | used | newer if used or newer else waiting
    # A later list does without those whose records were erased since.
    body = Composite.of([known[seq] for seq in blocks if seq in known])
    kept = frozenset(blocks)
    unused = {seq: block for seq, block in waiting.items() if seq not in kept}
    replaced = None if old is None else sources_of(old).without(body.sources)
    lost = BlockSources.of(unused.values())
    return MadeList(body, not used.keys().isdisjoint(kept), unused, lost, replaced)
