"""Containers: making, changing, deleting, retention, account-wide things."""

from __future__ import annotations

import pytest

from retain.engine.blobs.commands import DeleteBlob, PutBlob, SetBlobMetadata, SetBlobTags
from retain.engine.blobs.conditions import Conditions, ETags
from retain.engine.blobs.container_commands import (
    ConfigureRetention,
    CreateContainer,
    DeleteContainer,
    EnsureContainers,
    RemoveAccount,
    SetContainerAccess,
    SetContainerMetadata,
    SetContainerRetention,
    SetServiceProperties,
)
from retain.engine.blobs.entries import StoredPolicy
from retain.engine.blobs.events import BlobDeleted, BlobPut
from retain.engine.blobs.queries import (
    container_totals,
    ends_at,
    get_container,
    list_containers,
    service_properties,
)
from retain.engine.core.errors import Conflict, Invalid, NotFound, PreconditionFailed
from retain.engine.core.event import Cause
from tests.kit.blobs import ACCOUNT, BlobDesk
from tests.kit.slices import DAY, SECOND, payload


def test_creating_twice_is_refused(desk: BlobDesk) -> None:
    with pytest.raises(Conflict) as refused:
        desk.create("recordings")
    assert refused.value.reason == "container-exists"


def test_a_container_is_what_was_created(desk: BlobDesk) -> None:
    desk.now += SECOND
    desk.do(
        CreateContainer(
            **desk.where("new"), resource=desk.fresh(), metadata=(("A", "b"),), public_access="blob"
        )
    )
    entry = get_container(desk.state.blobs, ACCOUNT, "new", desk.now)
    assert (entry.metadata, entry.public_access, entry.modified) == ((("A", "b"),), "blob", desk.now)


def test_ensuring_makes_only_what_is_missing(desk: BlobDesk) -> None:
    before = get_container(desk.state.blobs, ACCOUNT, "recordings", desk.now)
    wanted = (("recordings", desk.fresh()), ("screens", desk.fresh()), ("screens", desk.fresh()))
    command = EnsureContainers(actor="retain", account=ACCOUNT, containers=wanted)
    assert desk.do(command) == ("screens",)
    assert desk.do(command) == ()
    assert get_container(desk.state.blobs, ACCOUNT, "recordings", desk.now) == before


def test_metadata_and_access_make_new_etags(desk: BlobDesk) -> None:
    first = desk.do(SetContainerMetadata(**desk.where(), metadata=(("A", "b"),)))
    policies = (StoredPolicy("p2", 1, 2, "r"), StoredPolicy("p1"))
    second = desk.do(SetContainerAccess(**desk.where(), policies=policies, public_access=None))
    entry = get_container(desk.state.blobs, ACCOUNT, "recordings", desk.now)
    assert first.etag < second.etag == entry.etag
    assert (entry.metadata, entry.policies) == ((("A", "b"),), policies)


def test_a_sixth_policy_is_refused(desk: BlobDesk) -> None:
    policies = tuple(StoredPolicy(f"p{number}") for number in range(6))
    with pytest.raises(Invalid) as refused:
        desk.do(SetContainerAccess(**desk.where(), policies=policies, public_access=None))
    assert refused.value.reason == "policy-limit"
    desk.do(SetContainerAccess(**desk.where(), policies=policies[:5], public_access=None))


def test_conditions_of_container_operations(desk: BlobDesk) -> None:
    etag = get_container(desk.state.blobs, ACCOUNT, "recordings", desk.now).etag
    with pytest.raises(PreconditionFailed):
        desk.do(DeleteContainer(**desk.where(), conditions=Conditions(if_match=ETags(values=frozenset({1})))))
    desk.do(DeleteContainer(**desk.where(), conditions=Conditions(if_match=ETags(values=frozenset({etag})))))
    with pytest.raises(NotFound) as refused:
        get_container(desk.state.blobs, ACCOUNT, "recordings", desk.now)
    assert refused.value.reason == "container"


def test_a_container_made_again_is_empty(desk: BlobDesk) -> None:
    desk.put("a", tags=(("k", "v"),))
    desk.do(DeleteContainer(**desk.where()))
    desk.create("recordings")
    with pytest.raises(NotFound) as refused:
        desk.get("a")
    assert refused.value.reason == "blob"


def test_a_patch_about_an_earlier_blob_of_the_name_changes_nothing(desk: BlobDesk) -> None:
    desk.put("a")
    desk.do(SetBlobTags(**desk.where(), name="a", tags=(("k", "v"),)))
    patch, stamp = desk.events()[-1], desk.history[-1][1]
    desk.do(DeleteBlob(**desk.where(), name="a"))
    desk.put("a")
    before = desk.state.digest()
    desk.state.blobs.handlers()[type(patch)](patch, stamp)
    assert desk.state.digest() == before


def test_listing_containers_pages_in_order(desk: BlobDesk) -> None:
    for name in ("b-2", "b-1", "a", "b-3"):
        desk.create(name)
    page = list_containers(desk.state.blobs, ACCOUNT, prefix="b", limit=2)
    assert ([item.name for item in page.items], page.next) == (["b-1", "b-2"], "b-3")
    page = list_containers(desk.state.blobs, ACCOUNT, prefix="b", start="b-3", limit=2)
    assert ([item.name for item in page.items], page.next) == (["b-3"], None)
    assert list_containers(desk.state.blobs, "nobody", limit=2).items == ()


def test_holdings_tell_what_is_there_and_what_goes_when(desk: BlobDesk) -> None:
    written = desk.put("a", b"12345")
    desk.put("b", b"678")
    exports, recordings = container_totals(desk.state.blobs, ACCOUNT)
    assert (exports.blobs, exports.first_end) == (0, None)
    assert (recordings.blobs, recordings.size, recordings.days) == (2, 8, 30)
    assert recordings.first_end == written.modified + 30 * DAY


def test_service_properties_are_kept_until_the_account_goes(desk: BlobDesk) -> None:
    document = {"cors": [{"origins": ["*"], "age": 5}]}
    desk.do(SetServiceProperties(actor="user:x", account=ACCOUNT, document=document, resource=desk.fresh()))
    assert service_properties(desk.state.blobs, ACCOUNT) == document
    assert desk.do(RemoveAccount(actor="user:x", account=ACCOUNT)) == 2
    assert service_properties(desk.state.blobs, ACCOUNT) is None
    assert list_containers(desk.state.blobs, ACCOUNT, limit=5).items == ()


def test_service_properties_that_a_change_leaves_out_stay(desk: BlobDesk) -> None:
    for document in ({"cors": [1], "settings": {"a": 1, "b": 1}}, {"version": "v"}, {"settings": {"b": 2}}):
        desk.do(
            SetServiceProperties(actor="user:x", account=ACCOUNT, document=document, resource=desk.fresh())
        )
    assert service_properties(desk.state.blobs, ACCOUNT) == {
        "cors": [1],
        "version": "v",
        "settings": {"a": 1, "b": 2},
    }


class TestRetention:
    def test_a_blob_ends_thirty_days_after_its_last_write(self, desk: BlobDesk) -> None:
        desk.put("a", payload("one"))
        desk.now += 10 * DAY
        written = desk.do(SetBlobMetadata(**desk.where(), name="a", metadata=()))
        desk.do(SetBlobTags(**desk.where(), name="a", tags=(("k", "v"),)))
        assert ends_at(desk.state.blobs, ACCOUNT, "recordings", "a", desk.now) == written.modified + 30 * DAY
        desk.now = written.modified + 30 * DAY - 1
        assert desk.get("a")
        desk.now += 1
        with pytest.raises(NotFound) as refused:
            desk.get("a")
        assert refused.value.reason == "blob"

    def test_the_sweep_ends_all_that_is_due_and_says_why(self, desk: BlobDesk) -> None:
        for number in range(150):
            desk.put(f"blob-{number}", payload(f"{number:032x}"))
        desk.now += 10 * DAY
        desk.put("young")
        desk.now += 20 * DAY + SECOND
        first = len(desk.history)
        assert desk.sweep() == 150
        assert {event.cause for event in desk.events(first)} == {Cause.EXPIRED}
        assert list(desk.state.blobs.accounts[ACCOUNT]["recordings"].blobs) == ["young"]
        assert len(desk.state.shared.take_released()) == 150

    def test_writing_over_what_has_ended_journals_the_end_first(self, desk: BlobDesk) -> None:
        old = desk.put("a", metadata=(("x", "1"),))
        desk.now += 31 * DAY
        first = len(desk.history)
        desk.put("a", conditions=Conditions(if_none_match=ETags(any=True)))
        ended, written = desk.events(first)
        assert isinstance(ended, BlobDeleted)
        assert ended.cause is Cause.EXPIRED
        assert isinstance(written, BlobPut)
        assert written.resource != ended.resource
        assert desk.get("a").created > old.modified

    @pytest.mark.parametrize("days", [0, 5, 90])
    def test_a_container_may_say_how_long(self, desk: BlobDesk, days: int) -> None:
        desk.put("a")
        desk.put("b", container="gim-export")
        desk.do(SetContainerRetention(**desk.where(), days=days))
        desk.now += (days or 10_000) * DAY - DAY
        assert desk.get("a")
        desk.now += 2 * DAY
        desk.sweep()
        assert ("a" in desk.state.blobs.accounts[ACCOUNT]["recordings"].blobs) is (days == 0)

    def test_the_configured_retention_moves_every_container_that_says_nothing(self, desk: BlobDesk) -> None:
        desk.put("a")
        desk.put("b", container="gim-export")
        desk.do(SetContainerRetention(**desk.where("gim-export"), days=30))
        command = ConfigureRetention(actor="retain", days=7, resource=desk.fresh())
        assert desk.do(command) is True
        assert desk.do(command) is False
        desk.now += 8 * DAY
        assert desk.sweep() == 1
        assert desk.get("b", "gim-export")
        desk.do(SetContainerRetention(**desk.where("gim-export"), days=None))
        with pytest.raises(NotFound):
            desk.get("b", "gim-export")

    @pytest.mark.parametrize("days", [0, 90])
    def test_a_longer_retention_brings_nothing_back(self, desk: BlobDesk, days: int) -> None:
        desk.put("a")
        desk.now += 31 * DAY
        desk.do(SetContainerRetention(**desk.where(), days=days))
        desk.do(ConfigureRetention(actor="retain", days=days, resource=desk.fresh()))
        with pytest.raises(NotFound):
            desk.get("a")
        assert desk.sweep() == 1

    def test_an_expired_blob_cannot_be_written_conditionally(self, desk: BlobDesk) -> None:
        etag = desk.put("a").etag
        desk.now += 31 * DAY
        command: PutBlob = desk.putting("a", conditions=Conditions(if_match=ETags(values=frozenset({etag}))))
        with pytest.raises(PreconditionFailed):
            desk.do(command)
