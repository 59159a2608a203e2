"""Writing, reading and deleting blobs."""

from __future__ import annotations

import pytest

from retain.engine.blobs.commands import (
    CommitBlocks,
    DeleteBlob,
    SetBlobHeaders,
    SetBlobMetadata,
    SetBlobTags,
    SetBlobTier,
)
from retain.engine.blobs.conditions import Conditions, ETags
from retain.engine.blobs.container_commands import DeleteContainer
from retain.engine.blobs.entries import ContentHeaders, CopyInfo, pieces, ticks
from retain.engine.blobs.queries import get_blob
from retain.engine.blobs.tag_condition import Comparison
from retain.engine.core.body import Inline, OnDisk
from retain.engine.core.errors import Conflict, Forbidden, NotFound, PreconditionFailed
from tests.kit.blobs import ACCOUNT, BlobDesk
from tests.kit.slices import SECOND, payload

ANY = ETags(any=True)


def exactly(*values: int) -> ETags:
    return ETags(values=frozenset(values))


def test_a_blob_is_what_was_put(desk: BlobDesk) -> None:
    desk.now += SECOND
    written = desk.put(
        "mytenant/call.mp3", b"sound", metadata=(("Agent", "7"),), tags=(("Kind", "CALL"),), tier="Cool"
    )

    entry = desk.get("mytenant/call.mp3")
    assert (entry.size, entry.headers.content_type, entry.tier) == (5, "audio/mpeg", "Cool")
    assert (entry.metadata, entry.tags) == ((("Agent", "7"),), (("Kind", "CALL"),))
    assert entry.modified == entry.created == written.modified == desk.now
    assert entry.etag == written.etag


def test_etag_is_the_tick_count_of_the_write() -> None:
    assert f"{ticks(1_621_578_094 * SECOND):X}" == "8D91C20AE64AB00"  # 2021-05-21T06:21:34Z
    assert ticks(100) == ticks(0) + 1


def test_small_bodies_leave_memory_once_their_address_is_known(desk: BlobDesk) -> None:
    desk.do(desk.putting("a", b"sound"), placed=False)
    assert isinstance(desk.get("a").body, Inline)
    desk.place()
    assert desk.get("a").body == OnDisk(desk.history[-1][1].address, 5)


def test_writes_at_one_instant_differ_in_etag(desk: BlobDesk) -> None:
    etags = [desk.put("a").etag, desk.put("a").etag, desk.put("b").etag]
    desk.do(DeleteBlob(**desk.where(), name="a"))
    etags.append(desk.put("a").etag)
    assert etags == sorted(set(etags))


def test_etags_grow_although_the_clock_goes_back(desk: BlobDesk) -> None:
    before = desk.put("a").etag
    desk.now -= 3600 * SECOND
    assert desk.put("a").etag > before


def test_overwriting_replaces_everything_but_creation(desk: BlobDesk) -> None:
    first = desk.put("a", metadata=(("x", "1"),), tags=(("k", "v"),), tier="Cool")
    desk.now += SECOND
    desk.put("a", b"longer data", headers=ContentHeaders("text/plain"))

    entry = desk.get("a")
    assert (entry.metadata, entry.tags, entry.tier, entry.headers.content_type) == (
        (),
        (),
        None,
        "text/plain",
    )
    assert entry.created == first.modified
    assert entry.modified == desk.now


def test_an_overwritten_payload_file_is_released(desk: BlobDesk) -> None:
    desk.put("a", payload("one"))
    desk.put("a", payload("two"))
    assert desk.state.shared.payloads == {"two"}
    assert desk.state.shared.take_released() == ["one"]


def test_deleting_takes_blob_and_payload(desk: BlobDesk) -> None:
    desk.put("a", payload("one"))
    desk.do(DeleteBlob(**desk.where(), name="a"))
    with pytest.raises(NotFound) as refused:
        desk.get("a")
    assert refused.value.reason == "blob"
    assert desk.state.shared.take_released() == ["one"]


def test_the_container_is_looked_for_first(desk: BlobDesk) -> None:
    for refused in (lambda: desk.get("a", "nowhere"), lambda: desk.put("a", container="nowhere")):
        with pytest.raises(NotFound) as error:
            refused()
        assert error.value.reason == "container"


def test_headers_set_all_five_and_the_md5(desk: BlobDesk) -> None:
    desk.put("a", copy=CopyInfo("id", "http://source", 1, 4))
    desk.now += SECOND
    written = desk.do(
        SetBlobHeaders(**desk.where(), name="a", headers=ContentHeaders(language="de"), md5=None)
    )
    entry = desk.get("a")
    assert (entry.headers, entry.md5, entry.copy) == (ContentHeaders(language="de"), None, None)
    assert entry.etag == written.etag


def test_metadata_is_replaced_and_makes_a_new_etag(desk: BlobDesk) -> None:
    before = desk.put("a", metadata=(("x", "1"),))
    written = desk.do(SetBlobMetadata(**desk.where(), name="a", metadata=(("Y", "2"),)))
    assert desk.get("a").metadata == (("Y", "2"),)
    assert desk.get("a").etag == written.etag > before.etag


def test_tags_and_tier_leave_etag_and_time(desk: BlobDesk) -> None:
    before = desk.put("a")
    desk.now += SECOND
    desk.do(SetBlobTags(**desk.where(), name="a", tags=(("k", "v"),)))
    desk.do(SetBlobTier(**desk.where(), name="a", tier="Archive"))
    entry = desk.get("a")
    assert (entry.tags, entry.tier, entry.tier_changed) == ((("k", "v"),), "Archive", desk.now)
    assert entry.modified == before.modified


@pytest.mark.parametrize("command", [SetBlobHeaders, SetBlobMetadata, SetBlobTags, SetBlobTier, DeleteBlob])
def test_changing_what_is_not_there_is_refused(desk: BlobDesk, command: type) -> None:
    extra = {
        SetBlobHeaders: {"headers": ContentHeaders(), "md5": None},
        SetBlobMetadata: {"metadata": ()},
        SetBlobTags: {"tags": ()},
        SetBlobTier: {"tier": "Hot"},
    }.get(command, {})
    with pytest.raises(NotFound) as refused:
        desk.do(command(**desk.where(), name="a", **extra))
    assert refused.value.reason == "blob"


class TestConditionsOfAWrite:
    def test_none_match_any_does_not_overwrite(self, desk: BlobDesk) -> None:
        only_new = Conditions(if_none_match=ANY)
        desk.put("a", conditions=only_new)
        with pytest.raises(Conflict) as refused:
            desk.put("a", conditions=only_new)
        assert refused.value.reason == "blob-exists"

    def test_none_match_any_on_another_write_is_a_failed_condition(self, desk: BlobDesk) -> None:
        desk.put("a")
        with pytest.raises(PreconditionFailed):
            desk.do(SetBlobTags(**desk.where(), name="a", tags=(), conditions=Conditions(if_none_match=ANY)))

    def test_match_any_needs_the_blob(self, desk: BlobDesk) -> None:
        with pytest.raises(PreconditionFailed) as refused:
            desk.put("a", conditions=Conditions(if_match=ANY))
        assert refused.value.reason == "condition"
        desk.put("a")
        desk.put("a", conditions=Conditions(if_match=ANY))

    def test_match_compares_with_what_the_same_batch_wrote(self, desk: BlobDesk) -> None:
        etag = desk.put("a").etag
        update = desk.putting("a", conditions=Conditions(if_match=exactly(etag)))
        desk.do(update)
        with pytest.raises(PreconditionFailed):
            desk.do(update)

    @pytest.mark.parametrize(
        ("conditions", "holds"),
        [
            (Conditions(unmodified_since=0), True),
            (Conditions(unmodified_since=-1), False),
            (Conditions(modified_since=-1), True),
            (Conditions(modified_since=0), False),
            (Conditions(if_none_match=exactly(1)), True),
            (Conditions(if_match=exactly(1)), False),
            (Conditions(if_match=ANY, unmodified_since=-1), True),
            (Conditions(if_none_match=exactly(1), modified_since=0), True),
            (Conditions(tags=Comparison("k", "=", "v")), True),
            (Conditions(tags=Comparison("k", "=", "w")), False),
        ],
    )
    def test_times_etags_and_tags(self, desk: BlobDesk, conditions: Conditions, holds: bool) -> None:
        """Times are given in seconds around the write, which is half a second into its second."""
        desk.now += SECOND // 2
        desk.put("a", tags=(("k", "v"),))
        whole = desk.now // SECOND * SECOND
        if conditions.unmodified_since is not None or conditions.modified_since is not None:
            conditions = Conditions(
                if_match=conditions.if_match,
                if_none_match=conditions.if_none_match,
                unmodified_since=None
                if conditions.unmodified_since is None
                else whole + conditions.unmodified_since * SECOND,
                modified_since=None
                if conditions.modified_since is None
                else whole + conditions.modified_since * SECOND,
            )
        if holds:
            desk.put("a", conditions=conditions)
        else:
            with pytest.raises(PreconditionFailed):
                desk.put("a", conditions=conditions)

    def test_a_caller_that_may_only_create_cannot_overwrite(self, desk: BlobDesk) -> None:
        desk.put("a", may_overwrite=False)
        with pytest.raises(Forbidden) as refused:
            desk.put("a", may_overwrite=False)
        assert refused.value.reason == "overwrite"


def test_replay_without_the_contents_of_what_is_gone_gives_the_same_state(desk: BlobDesk) -> None:
    desk.put("a", b"1", tags=(("k", "old"),))
    desk.put("b", b"2")
    desk.do(SetBlobMetadata(**desk.where(), name="a", metadata=(("x", "1"),)))
    desk.do(SetBlobTags(**desk.where(), name="a", tags=(("k", "new"),)))
    desk.put("a", b"3")
    desk.put("c", b"4")
    desk.do(DeleteBlob(**desk.where(), name="c"))

    erased = desk.replayed(erased=frozenset({3, 5, 8}))
    erased.check()
    assert desk.standing(erased) == desk.standing(desk.state)


def test_reading_names_a_lease_that_is_not_there(desk: BlobDesk) -> None:
    desk.put("a")
    with pytest.raises(PreconditionFailed) as refused:
        get_blob(desk.state.blobs, ACCOUNT, "recordings", "a", desk.now, lease="some-id")
    assert refused.value.reason == "lease-not-present"


@pytest.mark.parametrize("ending", ["blob", "container"])
def test_a_body_whose_blob_went_in_the_same_batch_finds_no_place_and_needs_none(
    desk: BlobDesk, ending: str
) -> None:
    where = desk.where()
    gone = DeleteBlob(**where, name="a") if ending == "blob" else DeleteContainer(**where)
    desk.batch(desk.putting("a", b"short-lived"), gone)
    with pytest.raises(NotFound):
        desk.get("a")
    desk.verify()


def test_a_list_of_no_blocks_makes_a_blob_of_no_bytes(desk: BlobDesk) -> None:
    desk.do(
        CommitBlocks(
            **desk.where(), name="a", resource=desk.fresh(), blocks=(), headers=ContentHeaders(), md5=None
        )
    )
    entry = desk.get("a")
    assert entry.size == 0
    assert pieces(entry, 0, 0) == []
