"""Legal holds: what they keep from deadlines, deletes and overwriting, and what lifting them does."""

from __future__ import annotations

from typing import Any

import pytest

from retain.engine import Conflict, Invalid, NotFound
from retain.engine.areas import CreateArea, DeleteArea, UpdateArea
from retain.engine.areas.queries import listing
from retain.engine.blobs.commands import DeleteBlob, SetBlobMetadata, StageBlock
from retain.engine.blobs.container_commands import (
    ConfigureRetention,
    DeleteContainer,
    RemoveAccount,
    SetContainerRetention,
)
from retain.engine.core.command import Command
from retain.engine.core.hold_index import HoldIndex
from retain.engine.holds import Hold, HoldKind, LiftHold, RestateHold, SetHold
from retain.engine.holds.commands import REASON_BYTES
from retain.engine.settings.commands import DeleteValue, MergeValue, PutValue, RestateDocument
from retain.engine.settings.model import Asker, Level, Place, SettingsPolicy
from retain.engine.settings.value import EncodedValue
from retain.engine.state import State
from retain.engine.wire import about
from retain.journal import NO_RESOURCE
from tests.kit.blobs import ACCOUNT, BlobDesk
from tests.kit.slices import DAY, SECOND, _record, inline

PLACE = Place("app", Level.USER, user="ann")


class HoldDesk(BlobDesk):
    """With short forms for holds, areas and settings."""

    def hold(self, kind: HoldKind, *names: Any, resource: bytes = b"", reason: str = "case 7") -> Hold:
        hold_id = self.fresh()
        return self.do(
            SetHold(
                actor="cli:dpo", hold_id=hold_id, kind=kind, names=names, resource=resource, reason=reason
            )
        )

    def lift(self, hold: Hold) -> Hold:
        return self.do(LiftHold(actor="cli:dpo", hold_id=hold.hold_id))

    def area(self, name: str = "cart", user: str | None = None, *, ttl: int = 60, **values: str) -> None:
        self.do(
            CreateArea(
                actor="anonymous",
                name=name,
                user=user,
                resource=self.fresh(),
                values=values or {"a": "1"},
                ttl=ttl,
            )
        )

    def document(self, command: type[Any], value: Any = None, path: tuple[str, ...] = ()) -> Any:
        fields: dict[str, Any] = {} if value is None else {"body": EncodedValue.of(value)}
        return self.do(
            command(
                actor="user:ann",
                asker=Asker("ann"),
                place=PLACE,
                path=path,
                policy=SettingsPolicy(put_creates=True),
                resource=self.fresh(),
                **fields,
            )
        )

    def refused(self, command: Command[Any]) -> str:
        """Return the message of the refusal, which leaves the state as it was."""
        before = self.state.digest()
        with pytest.raises(Conflict) as refusal:
            self.do(command)
        assert refusal.value.reason == "held"
        assert self.state.digest() == before
        return str(refusal.value)


def seen(state: State) -> list[Any]:
    """All rows but those that tell on which records the others stand."""
    return [(name, row) for name, row in state.freeze().rows() if name != "records"]


@pytest.fixture
def desk() -> HoldDesk:
    desk = HoldDesk()
    desk.create("recordings")
    return desk


# --- setting and lifting ----------


def test_a_hold_says_what_it_keeps_and_why(desk: HoldDesk) -> None:
    desk.area("cart", "bob")
    hold = desk.hold(HoldKind.AREA, "cart", "bob", reason="case 7")
    assert hold.target.subject == "bob/cart"
    assert (hold.reason, hold.actor, hold.time) == ("case 7", "cli:dpo", desk.now)
    assert list(desk.state.holds.holds.values()) == [hold]
    assert desk.lift(hold) == hold
    assert not desk.state.holds.holds
    assert not desk.state.shared.held
    desk.verify()


def test_the_audit_log_names_what_was_held(desk: HoldDesk) -> None:
    desk.area("cart", "bob")
    desk.document(PutValue, {"theme": {"dark": True}})
    desk.put("call.opus")
    desk.hold(HoldKind.AREA, "cart", "bob")
    desk.hold(HoldKind.DOCUMENT, *PLACE)
    desk.hold(HoldKind.BLOB, ACCOUNT, "recordings", "call.opus")
    desk.hold(HoldKind.CONTAINER, ACCOUNT, "recordings")
    desk.hold(HoldKind.TENANT, ACCOUNT)
    desk.hold(HoldKind.RESOURCE, resource=b"gone" * 4)
    told = [about(_record(draft, stamp)) for draft, stamp in desk.history[-6:]]
    assert [one.kind.subject(one.details) for one in told if one is not None and one.kind is not None] == [
        "bob/cart",
        "app/user:ann",
        f"{ACCOUNT}/recordings/call.opus",
        f"{ACCOUNT}/recordings",
        ACCOUNT,
        f"deleted resource {(b'gone' * 4).hex()}",
    ]
    desk.verify()


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (HoldKind.AREA, ("cart", None)),
        (HoldKind.DOCUMENT, tuple(PLACE)),
        (HoldKind.BLOB, (ACCOUNT, "recordings", "call.opus")),
        (HoldKind.BLOB, (ACCOUNT, "nothing", "call.opus")),
        (HoldKind.CONTAINER, (ACCOUNT, "nothing")),
        (HoldKind.TENANT, ("nobody",)),
    ],
)
def test_only_what_is_there_can_be_held(desk: HoldDesk, kind: HoldKind, names: tuple[Any, ...]) -> None:
    with pytest.raises(NotFound) as refusal:
        desk.hold(kind, *names)
    assert refusal.value.reason == "target"


@pytest.mark.parametrize("reason", ["", " \n", "x" * (REASON_BYTES + 1), "ä" * REASON_BYTES])
def test_a_hold_needs_a_reason_of_bounded_length(desk: HoldDesk, reason: str) -> None:
    with pytest.raises(Invalid) as refusal:
        desk.hold(HoldKind.TENANT, ACCOUNT, reason=reason)
    assert refusal.value.reason == "reason"


def test_a_reason_may_have_exactly_the_longest_length(desk: HoldDesk) -> None:
    hold = desk.hold(HoldKind.TENANT, ACCOUNT, reason="x" * REASON_BYTES)
    assert hold.reason == "x" * REASON_BYTES


def test_an_unknown_hold_cannot_be_lifted_or_restated(desk: HoldDesk) -> None:
    with pytest.raises(NotFound) as refusal:
        desk.do(LiftHold(actor="x", hold_id=bytes(16)))
    assert refusal.value.reason == "hold"
    assert not desk.do(RestateHold(actor="x", hold_id=bytes(16)))


def test_a_number_finds_the_living_thing(desk: HoldDesk) -> None:
    desk.area("other")
    desk.area("cart", "bob")
    desk.document(PutValue, {"theme": {"dark": True}})
    desk.put("first.opus")
    desk.put("call.opus")
    desk.create("exports")
    state = desk.state
    found = {
        HoldKind.AREA: next(area[0] for key, area in state.areas.areas.items() if key != "other"),
        HoldKind.DOCUMENT: state.settings.documents[PLACE].resource,
        HoldKind.BLOB: desk.get("call.opus").resource,
        HoldKind.CONTAINER: state.blobs.accounts[ACCOUNT]["recordings"].entry.resource,
    }
    for kind, resource in found.items():
        assert desk.hold(HoldKind.RESOURCE, resource=resource).target.kind is kind
    unknown = desk.hold(HoldKind.RESOURCE, resource=b"?" * 16).target
    assert (unknown.kind, unknown.subject) == (HoldKind.RESOURCE, f"deleted resource {b'?'.hex() * 16}")
    desk.verify()


def test_a_name_with_a_number_means_that_one_only(desk: HoldDesk) -> None:
    desk.area()
    number = desk.state.areas.areas["cart"][0]
    assert desk.hold(HoldKind.AREA, "cart", None, resource=number).target.kind is HoldKind.AREA
    for earlier in (desk.hold(HoldKind.AREA, name, None, resource=b"?" * 16) for name in ("cart", "gone")):
        assert earlier.target == (HoldKind.RESOURCE, b"?" * 16, ())
    desk.verify()


def test_lifting_what_is_not_there_changes_nothing(desk: HoldDesk) -> None:
    """The record that set it may have been erased."""
    desk.area()
    hold = desk.hold(HoldKind.AREA, "cart", None)
    desk.lift(hold)
    replayed = desk.replayed(forgotten=frozenset({len(desk.history) - 1}))
    assert seen(replayed) == seen(desk.state)


def test_restating_a_hold_changes_nothing(desk: HoldDesk) -> None:
    desk.area()
    hold = desk.hold(HoldKind.AREA, "cart", None)
    before = seen(desk.state)
    desk.now += DAY
    assert desk.do(RestateHold(actor="retain", hold_id=hold.hold_id))
    assert seen(desk.state) == before
    assert seen(desk.replayed(forgotten=frozenset({desk.state.seq - 1}))) == before
    desk.verify()


# --- areas ----------


def test_a_held_area_outlives_its_deadline_but_nobody_sees_it(desk: HoldDesk) -> None:
    desk.area()
    hold = desk.hold(HoldKind.AREA, "cart", None)
    desk.now += 61 * SECOND
    assert desk.sweep() == 0
    with pytest.raises(NotFound):
        listing(desk.state.areas, "cart", None, desk.now)
    assert "cart" in desk.state.areas.areas
    desk.verify()
    desk.lift(hold)
    assert desk.sweep() == 1
    assert not desk.state.areas.areas
    desk.verify()


def test_other_areas_end_beside_a_held_one(desk: HoldDesk) -> None:
    desk.area()
    desk.area("other")
    desk.hold(HoldKind.AREA, "cart", None)
    desk.now += 61 * SECOND
    assert desk.sweep() == 1
    assert list(desk.state.areas.areas) == ["cart"]
    desk.verify()


def test_a_held_area_cannot_be_changed_or_deleted(desk: HoldDesk) -> None:
    desk.area("cart", "bob", ttl=100, a="1")
    desk.do(UpdateArea(actor="x", name="cart", user="bob", resource=desk.fresh(), values={"b": "2"}, ttl=10))
    hold = desk.hold(HoldKind.AREA, "cart", "bob")
    update = UpdateArea(actor="x", name="cart", user="bob", resource=desk.fresh(), values={"c": "3"}, ttl=9)
    delete = DeleteArea(actor="x", name="cart", user="bob")
    assert desk.refused(update) == "the area cart is under a legal hold and cannot be changed"
    desk.refused(delete)
    desk.now += 11 * SECOND
    assert desk.sweep() == 0, "one key is past its deadline and held"
    desk.refused(update)
    desk.lift(hold)
    desk.do(update)
    desk.do(delete)
    desk.verify()


def test_what_is_held_past_its_deadline_keeps_its_name(desk: HoldDesk) -> None:
    desk.area()
    desk.hold(HoldKind.AREA, "cart", None)
    desk.now += 61 * SECOND
    desk.refused(CreateArea(actor="x", name="cart", resource=desk.fresh(), values={"a": "2"}, ttl=60))
    assert len(desk.state.areas.areas) == 1


def test_every_hold_must_be_lifted(desk: HoldDesk) -> None:
    desk.area()
    first, second = (
        desk.hold(HoldKind.AREA, "cart", None),
        desk.hold(HoldKind.AREA, "cart", None, reason="case 8"),
    )
    desk.verify()
    desk.lift(first)
    desk.now += 61 * SECOND
    assert desk.sweep() == 0
    desk.verify()
    desk.lift(second)
    assert desk.sweep() == 1


def test_a_hold_read_before_the_area_it_keeps_holds_as_well(desk: HoldDesk) -> None:
    """An area may be restated after its hold was set, and its older records erased."""
    desk.area()
    desk.hold(HoldKind.AREA, "cart", None)
    created, held = desk.history[-2:]
    desk.history[-2:] = [(held[0], created[1]), (created[0], held[1])]
    replayed = desk.replayed()
    assert seen(replayed) == seen(desk.state)
    replayed.check()
    assert replayed.deadlines.next() is None


# --- settings ----------


def test_a_held_document_can_be_changed_but_not_deleted(desk: HoldDesk) -> None:
    desk.document(PutValue, {"theme": {"dark": True}})
    hold = desk.hold(HoldKind.DOCUMENT, *PLACE)
    desk.document(MergeValue, {"theme": {"dark": False}})
    desk.do(RestateDocument(actor="retain", place=PLACE))
    with pytest.raises(Conflict) as refusal:
        desk.document(DeleteValue)
    assert str(refusal.value) == "the user document of app is under a legal hold and cannot be deleted"
    desk.lift(hold)
    desk.document(DeleteValue)
    desk.verify()


# --- blobs ----------


def test_a_held_blob_stays_while_others_of_its_container_go(desk: HoldDesk) -> None:
    for name in ("a", "b", "c"):
        desk.put(name)
        desk.now += SECOND
    hold = desk.hold(HoldKind.BLOB, ACCOUNT, "recordings", "a")
    again = desk.hold(HoldKind.BLOB, ACCOUNT, "recordings", "a")
    desk.now += 31 * DAY
    assert desk.sweep() == 2
    container = desk.state.blobs.accounts[ACCOUNT]["recordings"]
    assert list(container.blobs) == ["a"]
    assert container.blob("a", desk.now) is None, "hidden all the same"
    desk.verify()
    desk.lift(again)
    assert desk.sweep() == 0
    desk.lift(hold)
    assert desk.sweep() == 1
    desk.verify()


def test_many_held_blobs_do_not_keep_the_sweep_from_the_next(desk: HoldDesk) -> None:
    for number in range(70):
        desk.put(f"held-{number}")
        desk.hold(HoldKind.BLOB, ACCOUNT, "recordings", f"held-{number}")
    for number in range(70):
        desk.put(f"free-{number}")
    desk.now += 31 * DAY
    assert desk.sweep() == 70
    assert len(desk.state.blobs.accounts[ACCOUNT]["recordings"].blobs) == 70


@pytest.mark.parametrize("kind", [HoldKind.BLOB, HoldKind.CONTAINER, HoldKind.TENANT])
def test_a_held_blob_cannot_be_overwritten_or_deleted(desk: HoldDesk, kind: HoldKind) -> None:
    desk.put("a")
    names = {HoldKind.BLOB: (ACCOUNT, "recordings", "a"), HoldKind.CONTAINER: (ACCOUNT, "recordings")}
    hold = desk.hold(kind, *names.get(kind, (ACCOUNT,)))
    blob = "the blob recordings/a is under a legal hold and cannot be changed"
    assert desk.refused(desk.putting("a", b"other")) == blob
    assert desk.refused(DeleteBlob(**desk.where(), name="a")) == blob
    container = "the container recordings, or a blob in it, is under a legal hold and cannot be deleted"
    assert desk.refused(DeleteContainer(**desk.where())) == container
    desk.refused(RemoveAccount(actor="x", account=ACCOUNT))
    desk.do(SetBlobMetadata(**desk.where(), name="a", metadata=(("case", "7"),)))
    desk.put("b")
    desk.verify()
    desk.lift(hold)
    desk.put("a", b"other")
    desk.do(DeleteBlob(**desk.where(), name="a"))
    assert list(desk.state.blobs.accounts[ACCOUNT]["recordings"].blobs) == ["b"]
    desk.do(DeleteContainer(**desk.where()))
    assert "recordings" not in desk.state.blobs.accounts.get(ACCOUNT, {})
    desk.verify()


@pytest.mark.parametrize("kind", [HoldKind.CONTAINER, HoldKind.TENANT])
def test_nothing_in_a_held_container_ends(desk: HoldDesk, kind: HoldKind) -> None:
    desk.put("old")
    hold = desk.hold(kind, *((ACCOUNT, "recordings") if kind is HoldKind.CONTAINER else (ACCOUNT,)))
    desk.create("exports")
    desk.put("new")
    desk.put("free", container="exports")
    desk.do(SetContainerRetention(**desk.where(), days=1))
    desk.do(ConfigureRetention(actor="retain", days=2, resource=desk.fresh()))
    desk.now += 31 * DAY
    assert desk.sweep() == (1 if kind is HoldKind.CONTAINER else 0)
    desk.refused(desk.putting("old"))
    desk.verify()
    desk.lift(hold)
    assert desk.sweep() == (2 if kind is HoldKind.CONTAINER else 3)
    desk.verify()


def test_blocks_that_were_never_committed_are_no_blob_yet(desk: HoldDesk) -> None:
    desk.hold(HoldKind.CONTAINER, ACCOUNT, "recordings")
    desk.do(StageBlock(**desk.where(), name="a", resource=desk.fresh(), block_id=b"1", body=inline(b"data")))
    desk.now += 8 * DAY
    assert desk.sweep() == 1
    desk.verify()


def test_other_containers_are_free(desk: HoldDesk) -> None:
    desk.create("exports")
    desk.put("a", container="exports")
    desk.put("a")
    desk.hold(HoldKind.CONTAINER, ACCOUNT, "recordings")
    desk.do(DeleteBlob(**desk.where("exports"), name="a"))
    desk.do(DeleteContainer(**desk.where("exports")))
    assert list(desk.state.blobs.accounts[ACCOUNT]) == ["recordings"]
    desk.verify()


# --- what the eraser asks ----------


def test_the_eraser_is_told_by_number_or_by_container(desk: HoldDesk) -> None:
    desk.area()
    hold = desk.hold(HoldKind.AREA, "cart", None)
    holds = desk.state.holds
    assert holds.held(hold.target.resource)
    assert not holds.held(b"?" * 16)
    assert not desk.state.shared.held.needs_details
    desk.hold(HoldKind.CONTAINER, ACCOUNT, "recordings")
    assert desk.state.shared.held.needs_details
    there = {"account": ACCOUNT, "container": "recordings", "blob": "long gone"}
    assert holds.held(b"?" * 16, there)
    assert not holds.held(b"?" * 16, {**there, "container": "exports"})
    assert not holds.held(b"?" * 16, {"name": "cart"})
    assert not holds.held(b"?" * 16, None)
    desk.hold(HoldKind.TENANT, ACCOUNT)
    assert holds.held(b"?" * 16, {"account": ACCOUNT, "document": None})
    assert not holds.held(NO_RESOURCE)


def test_what_is_held_compares_by_what_and_how_often() -> None:
    one, other = HoldIndex(), HoldIndex()
    assert one == other
    one.tenants["a"] += 1
    assert one != other
    assert HoldIndex.__eq__(one, "held") is NotImplemented
