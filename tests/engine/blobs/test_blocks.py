"""Staging blocks and committing lists of them."""

from __future__ import annotations

from typing import Any

import pytest

from retain.engine.blobs import decide_blobs
from retain.engine.blobs.commands import BlockSource, CommitBlocks, DeleteBlob, StageBlock
from retain.engine.blobs.conditions import Conditions, ETags
from retain.engine.blobs.container_commands import DeleteContainer
from retain.engine.blobs.entries import Composite, ContentHeaders, pieces
from retain.engine.blobs.queries import BlockList, block_list
from retain.engine.core.body import Body, Inline, OnDisk
from retain.engine.core.errors import Conflict, Invalid, NotFound, TooLarge
from tests.kit.blobs import ACCOUNT, BlobDesk
from tests.kit.slices import DAY, inline, payload

LATEST, COMMITTED, UNCOMMITTED = BlockSource


def staging(desk: BlobDesk, block_id: bytes, data: bytes | Body = b"data", name: str = "a") -> StageBlock:
    body = inline(data) if isinstance(data, bytes) else data
    return StageBlock(**desk.where(), name=name, resource=desk.fresh(), block_id=block_id, body=body)


def committing(
    desk: BlobDesk, *blocks: tuple[BlockSource, bytes], name: str = "a", **fields: Any
) -> CommitBlocks:
    return CommitBlocks(
        **desk.where(),
        name=name,
        resource=desk.fresh(),
        blocks=blocks,
        headers=ContentHeaders(),
        md5=None,
        **fields,
    )


def listed(desk: BlobDesk, name: str = "a") -> BlockList:
    return block_list(desk.state.blobs, ACCOUNT, "recordings", name, desk.now)


def names(blocks: tuple[Any, ...]) -> list[bytes]:
    return [block.block_id for block in blocks]


def test_a_list_makes_the_blob_in_its_order(desk: BlobDesk) -> None:
    desk.do(staging(desk, b"1", b"one"))
    desk.do(staging(desk, b"2", b"three"))
    written = desk.do(committing(desk, (LATEST, b"2"), (UNCOMMITTED, b"1"), (LATEST, b"2")))

    entry = desk.get("a")
    assert (entry.size, entry.etag, entry.md5) == (13, written.etag, None)
    assert names(listed(desk).committed) == [b"2", b"1", b"2"]
    assert listed(desk).uncommitted == ()
    assert isinstance(entry.body, Composite)
    assert all(isinstance(block.body, OnDisk) for block in entry.body.blocks)


def test_staged_blocks_are_not_a_blob(desk: BlobDesk) -> None:
    desk.do(staging(desk, b"2"))
    desk.do(staging(desk, b"1"))
    with pytest.raises(NotFound):
        desk.get("a")
    assert listed(desk).entry is None
    assert names(listed(desk).uncommitted) == [b"1", b"2"]


def test_committing_drops_what_the_list_does_not_name(desk: BlobDesk) -> None:
    desk.do(staging(desk, b"1", payload("one")))
    desk.do(staging(desk, b"2", payload("two")))
    desk.do(committing(desk, (LATEST, b"2")))
    assert desk.state.shared.payloads == {"two"}
    assert desk.state.shared.take_released() == ["one"]
    assert len(desk.state.deadlines) == 1  # the blob's; none for blocks


def test_latest_prefers_what_was_staged(desk: BlobDesk) -> None:
    desk.do(staging(desk, b"1", b"old"))
    desk.do(committing(desk, (LATEST, b"1")))
    desk.do(staging(desk, b"1", b"newer"))
    desk.do(staging(desk, b"2", b"x"))
    desk.do(committing(desk, (LATEST, b"1"), (COMMITTED, b"1"), (LATEST, b"2")))
    assert [block.size for block in listed(desk).committed] == [5, 3, 1]


def test_committed_blocks_live_on_in_the_next_list(desk: BlobDesk) -> None:
    desk.do(staging(desk, b"1", payload("one")))
    desk.do(staging(desk, b"2", payload("two")))
    desk.do(committing(desk, (LATEST, b"1"), (LATEST, b"2")))
    desk.do(staging(desk, b"3", payload("three")))
    desk.do(committing(desk, (COMMITTED, b"1"), (UNCOMMITTED, b"3")))
    assert desk.state.shared.payloads == {"one", "three"}


@pytest.mark.parametrize("source", BlockSource)
def test_a_list_that_names_an_unknown_block_is_refused(desk: BlobDesk, source: BlockSource) -> None:
    desk.do(staging(desk, b"1"))
    with pytest.raises(Invalid) as refused:
        desk.do(committing(desk, (UNCOMMITTED, b"1"), (source, b"9")))
    assert (refused.value.reason, refused.value.data["position"]) == ("block-list", 1)
    assert names(listed(desk).uncommitted) == [b"1"]


def test_an_empty_list_makes_an_empty_blob(desk: BlobDesk) -> None:
    desk.do(committing(desk))
    assert desk.get("a").size == 0


def test_put_drops_staged_blocks(desk: BlobDesk) -> None:
    desk.do(staging(desk, b"1", payload("one")))
    desk.put("a")
    assert listed(desk).uncommitted == ()
    assert desk.state.shared.payloads == set()


def test_staging_the_same_id_replaces(desk: BlobDesk) -> None:
    desk.do(staging(desk, b"1", payload("one")))
    desk.do(staging(desk, b"1", payload("two")))
    assert desk.state.shared.payloads == {"two"}
    assert len(listed(desk).uncommitted) == 1


def test_uncommitted_ids_of_a_blob_are_of_one_length(desk: BlobDesk) -> None:
    desk.do(staging(desk, b"1"))
    with pytest.raises(Invalid) as refused:
        desk.do(staging(desk, b"22"))
    assert refused.value.reason == "block-id"
    desk.do(staging(desk, b"22", name="b"))
    desk.do(committing(desk, (LATEST, b"1")))
    desk.do(staging(desk, b"22"))
    desk.do(committing(desk, (COMMITTED, b"1"), (UNCOMMITTED, b"22")))
    assert names(listed(desk).committed) == [b"1", b"22"]


def test_bounds_on_counts(desk: BlobDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide_blobs, "MAX_UNCOMMITTED", 1)
    monkeypatch.setattr(decide_blobs, "MAX_BLOCKS", 2)
    desk.do(staging(desk, b"1"))
    desk.do(staging(desk, b"1"))
    with pytest.raises(Conflict) as conflict:
        desk.do(staging(desk, b"2"))
    assert conflict.value.reason == "block-count"
    with pytest.raises(TooLarge) as refused:
        desk.do(committing(desk, *[(LATEST, b"1")] * 3))
    assert refused.value.reason == "block-list"


def test_fifty_thousand_blocks_fit_one_record(desk: BlobDesk) -> None:
    for number in range(3):
        desk.do(staging(desk, b"%064d" % number, b"x"))
    blocks = [(LATEST, b"%064d" % (number % 3)) for number in range(50_000)]
    desk.do(committing(desk, *blocks))
    assert desk.get("a").size == 50_000
    assert len(desk.history[-1][0].details) < 200_000


def test_staged_blocks_go_a_week_after_the_last(desk: BlobDesk) -> None:
    desk.do(staging(desk, b"1", payload("one")))
    desk.now += 6 * DAY
    desk.do(staging(desk, b"2", payload("two")))
    desk.now += 7 * DAY - 1
    assert len(listed(desk).uncommitted) == 2
    desk.now += 1
    with pytest.raises(NotFound):
        listed(desk)
    with pytest.raises(Invalid):
        desk.do(committing(desk, (LATEST, b"1")))
    assert desk.sweep() == 1
    assert desk.state.shared.take_released() == ["one", "two"]


def test_staging_after_a_week_starts_anew_although_nothing_was_swept(desk: BlobDesk) -> None:
    desk.do(staging(desk, b"1"))
    desk.now += 7 * DAY
    desk.do(staging(desk, b"22"))
    assert names(listed(desk).uncommitted) == [b"22"]


def test_conditions_of_a_commit(desk: BlobDesk) -> None:
    desk.put("a")
    with pytest.raises(Conflict) as refused:
        desk.do(committing(desk, conditions=Conditions(if_none_match=ETags(any=True))))
    assert refused.value.reason == "blob-exists"


def test_deleting_the_blob_drops_what_is_staged(desk: BlobDesk) -> None:
    desk.put("a")
    desk.do(staging(desk, b"1", payload("one")))
    desk.do(DeleteBlob(**desk.where(), name="a"))
    with pytest.raises(NotFound):
        listed(desk)


def test_deleting_the_container_releases_everything(desk: BlobDesk) -> None:
    desk.do(staging(desk, b"1", payload("one")))
    desk.do(committing(desk, (LATEST, b"1")))
    desk.do(staging(desk, b"2", payload("two")))
    desk.put("b", payload("three"))
    desk.do(DeleteContainer(**desk.where()))
    assert desk.state.shared.payloads == set()
    assert len(desk.state.deadlines) == 0


def test_stage_and_commit_in_one_batch_have_their_bodies_placed(desk: BlobDesk) -> None:
    desk.batch(staging(desk, b"1", b"one"), committing(desk, (LATEST, b"1")))
    body = desk.get("a").body
    assert isinstance(body, Composite)
    assert isinstance(body.blocks[0].body, OnDisk)


def test_stage_and_commit_are_readable_before_they_are_placed(desk: BlobDesk) -> None:
    desk.do(staging(desk, b"1", b"one"), placed=False)
    desk.do(committing(desk, (LATEST, b"1")), placed=False)
    assert [piece for piece, *_ in pieces(desk.get("a"), 0, 3)] == [inline(b"one")]
    desk.place()


def test_a_range_is_made_of_pieces_of_blocks(desk: BlobDesk) -> None:
    for block_id, data in ((b"1", b"abc"), (b"2", b""), (b"3", b"defgh"), (b"4", b"ij")):
        desk.do(staging(desk, block_id, data), placed=False)
    blocks = [(LATEST, block_id) for block_id in (b"1", b"2", b"3", b"4")]
    desk.do(committing(desk, *blocks), placed=False)
    entry = desk.get("a")
    for start in range(11):
        for stop in range(start, 11):
            found = b""
            for body, first, last in pieces(entry, start, stop):
                assert isinstance(body, Inline)
                found += body.data[first:last]
            assert found == b"abcdefghij"[start:stop]
    desk.place()


def test_replay_without_dropped_and_replaced_blocks_gives_the_same_state(desk: BlobDesk) -> None:
    desk.do(staging(desk, b"1", b"dropped"))
    desk.do(staging(desk, b"2", b"replaced"))
    desk.do(staging(desk, b"2", b"kept"))
    desk.do(committing(desk, (LATEST, b"2")))
    desk.do(staging(desk, b"3", b"replaced"))
    desk.do(staging(desk, b"3", b"pending"))
    erased = desk.replayed(erased=frozenset({3, 4, 7}))
    erased.check()
    assert desk.standing(erased) == desk.standing(desk.state)


def test_blocks_beside_one_another_go_with_their_own_name_only(desk: BlobDesk) -> None:
    """Blocks are removed as one span of the index, whose neighbours remain."""
    for name in ("a", "a!", "A", "b"):
        for block_id in (b"1", b"2"):
            desk.do(staging(desk, block_id, name=name))
    desk.do(committing(desk, (LATEST, b"1")))
    assert [block.block_id for block in listed(desk, "a").committed] == [b"1"]
    for name in ("a!", "A", "b"):
        assert [block.block_id for block in listed(desk, name).uncommitted] == [b"1", b"2"]
    desk.verify()
