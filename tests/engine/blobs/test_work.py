"""What lists of many blocks cost: each block as much as any other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from retain.engine.blobs.apply_blobs import handlers
from retain.engine.blobs.entries import Composite, ContentHeaders
from retain.engine.blobs.events import BlocksCommitted, BlockStaged
from retain.engine.blobs.state import BlobsState
from retain.engine.core.body import Inline, OnDisk
from retain.engine.core.domain import SharedState
from retain.engine.core.event import Cause, Stamp
from tests.kit.work import assert_linear

WHOSE: dict[str, Any] = {
    "resource": bytes(16),
    "actor": "key1",
    "account": "account",
    "container": "container",
}
FACTS: dict[str, Any] = {**WHOSE, "cause": Cause.REQUEST, "blob": "blob"}
WRITTEN: dict[str, Any] = {
    "created": 100,
    "modified": 100,
    "headers": ContentHeaders(),
    "md5": None,
    "metadata": (),
    "tags": (),
    "tier": None,
    "lease": None,
}


def _stage(blobs: BlobsState, seq: int, number: int, replaces: int = 0) -> None:
    body = Inline(b"x", bytes(16))
    event = BlockStaged(block_id=b"%06d" % number, body=body, staged=1, replaces=replaces, **FACTS)
    handlers(blobs)[BlockStaged](event, Stamp(seq, 0, -1))


def _commit(blobs: BlobsState, seq: int, blocks: range, restates: int = 0) -> None:
    event = BlocksCommitted(blocks=tuple(blocks), restates=restates, **WRITTEN, **FACTS)
    handlers(blobs)[BlocksCommitted](event, Stamp(seq, 0, -1))


def _addresses(blobs: BlobsState) -> set[object]:
    body = blobs.accounts["account"]["container"].blobs["blob"].body
    assert isinstance(body, Composite)
    return {block.body for block in body.blocks}


def committing(size: int) -> Callable[[], None]:
    """Blocks and their list in one frame: all get their addresses after the list was committed."""
    blobs = BlobsState(SharedState())
    for number in range(size):
        _stage(blobs, 1 + number, number)
    _commit(blobs, 1 + size, range(1, 1 + size))

    def run() -> None:
        for seq in range(1, 1 + size):
            blobs.place(seq, 7)
        assert _addresses(blobs) == {OnDisk(7, 1)}

    return run


def restating(size: int) -> Callable[[], None]:
    """Blocks written once more before their older records are erased."""
    blobs = BlobsState(SharedState())
    for number in range(size):
        _stage(blobs, 1 + number, number)
    _commit(blobs, 1 + size, range(1, 1 + size))
    for seq in range(1, 1 + size):
        blobs.place(seq, 7)
    first = size + 2

    def run() -> None:
        for number in range(size):
            _stage(blobs, first + number, number, replaces=1 + number)
        for seq in range(first, first + size):
            blobs.place(seq, 9)
        _commit(blobs, first + size, range(first, first + size), restates=1 + size)
        assert _addresses(blobs) == {OnDisk(9, 1)}

    return run


def test_each_of_many_blocks_costs_the_same_when_it_is_placed() -> None:
    assert_linear(committing, 200)


def test_each_of_many_blocks_costs_the_same_when_it_is_restated() -> None:
    assert_linear(restating, 200)


def test_a_list_is_placed_although_blocks_follow_it_at_once() -> None:
    blobs = BlobsState(SharedState())
    _stage(blobs, 1, 1)
    _stage(blobs, 2, 2)
    _commit(blobs, 3, range(1, 3))
    _stage(blobs, 4, 3)
    blobs.place(1, 7)
    blobs.place(2, 7)
    blobs.place(4, 7)
    assert _addresses(blobs) == {OnDisk(7, 1)}
    assert blobs.accounts["account"]["container"].staged["blob", b"000003"].body == OnDisk(7, 1)
