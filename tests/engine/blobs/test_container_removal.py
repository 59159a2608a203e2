"""A deleted container with many blobs: hidden at once, removed in parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from retain.engine.blobs import expiry
from retain.engine.blobs.commands import BlockSource, CommitBlocks, DeleteBlob, SetBlobTags, StageBlock
from retain.engine.blobs.container_commands import DeleteContainer, EnsureContainers, RemoveAccount
from retain.engine.blobs.container_events import (
    BlobsFreed,
    ContainerClosed,
    ContainerCreated,
    ContainerDeleted,
)
from retain.engine.blobs.containers import container_facts
from retain.engine.blobs.entries import ContentHeaders
from retain.engine.blobs.events import BlocksDropped
from retain.engine.blobs.listing import find_blobs
from retain.engine.blobs.queries import container_totals, get_container, list_containers
from retain.engine.blobs.tagindex import TagQuery
from retain.engine.core.command import KEEPER
from retain.engine.core.common_commands import ExpireDue
from retain.engine.core.errors import Conflict, EngineError, NotFound
from retain.engine.core.event import Cause
from retain.engine.holds import HoldKind, HoldTarget, LiftHold, SetHold
from retain.engine.persons.end import ENDED, LIVING, EndSubjects
from retain.engine.state import State
from tests.kit.blobs import ACCOUNT, BlobDesk
from tests.kit.slices import DAY, inline, payload

MOST = 3
CLOSED = (ACCOUNT, "recordings")


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "FREED", MOST)


def fill(desk: BlobDesk, count: int, container: str = "recordings") -> None:
    for number in range(count):
        body = payload(f"{container}-{number:026x}") if number % 2 else inline(b"small")
        desk.put(f"blob-{9 - number}", body, container, tags=(("k", str(number)),))


def delete(desk: BlobDesk, container: str = "recordings") -> None:
    desk.do(DeleteContainer(**desk.where(container)))


def sweep(desk: BlobDesk) -> None:
    """Run one sweep of the deadlines."""
    desk.do(ExpireDue(actor=KEEPER, limit=128))


def kinds(desk: BlobDesk, first: int) -> list[type]:
    return [type(event) for event in desk.events(first)]


def test_a_small_container_is_removed_in_one_event(desk: BlobDesk) -> None:
    fill(desk, MOST)
    first = len(desk.history)
    delete(desk)
    assert kinds(desk, first) == [ContainerDeleted]
    assert desk.state.shared.payloads == set()
    desk.create("recordings")


def test_a_large_container_is_hidden_at_once_and_removed_in_parts(desk: BlobDesk) -> None:
    fill(desk, 2 * MOST + 1)
    first = len(desk.history)
    delete(desk)
    assert kinds(desk, first) == [ContainerClosed]
    standing = len(desk.state.shared.payloads)
    seen = []
    while desk.state.blobs.closed:
        desk.verify()
        seen.append(len(desk.state.blobs.closed[CLOSED].blobs))
        sweep(desk)
    assert seen == [7, 4, 1]
    assert kinds(desk, first) == [ContainerClosed, BlobsFreed, BlobsFreed, ContainerDeleted]
    assert {event.cause for event in desk.events(first)} == {Cause.REQUEST}
    assert len(desk.state.shared.take_released()) == standing
    assert desk.state.shared.payloads == set()
    assert len(desk.state.records.garbage) == 7 + 1, "the blobs, and what made the container"


READS: list[Callable[[BlobDesk], Any]] = [
    lambda desk: desk.get("blob-9"),
    lambda desk: get_container(desk.state.blobs, ACCOUNT, "recordings", desk.now),
    lambda desk: desk.put("new"),
    lambda desk: desk.do(DeleteBlob(**desk.where(), name="blob-9")),
    lambda desk: desk.do(SetBlobTags(**desk.where(), name="blob-9", tags=())),
    delete,
    lambda desk: desk.do(
        SetHold(actor="x", hold_id=desk.fresh(), kind=HoldKind.CONTAINER, names=CLOSED, reason="case")
    ),
]


def test_a_container_being_removed_is_not_listed(desk: BlobDesk) -> None:
    fill(desk, 5)
    delete(desk)
    for read in READS:
        with pytest.raises(NotFound):
            read(desk)
    page = list_containers(desk.state.blobs, ACCOUNT, limit=5)
    assert [item.name for item in page.items] == ["gim-export"]
    assert find_blobs(desk.state.blobs, ACCOUNT, TagQuery(), desk.now, limit=9).items == ()
    assert [one.blobs for one in container_totals(desk.state.blobs, ACCOUNT)] == [0]


def test_its_name_is_taken_until_the_removal_ends(desk: BlobDesk) -> None:
    fill(desk, 5)
    delete(desk)
    with pytest.raises(Conflict) as refused:
        desk.create("recordings")
    assert refused.value.reason == "being-deleted"
    desk.sweep()
    desk.create("recordings")
    with pytest.raises(NotFound):
        desk.get("blob-9")


def test_a_configured_container_is_created_without_waiting(desk: BlobDesk) -> None:
    fill(desk, 5)
    delete(desk)
    first = len(desk.history)
    wanted = (("recordings", desk.fresh()),)
    made = desk.do(EnsureContainers(actor=KEEPER, account=ACCOUNT, containers=wanted))
    assert made == ("recordings",)
    assert kinds(desk, first) == [ContainerDeleted, ContainerCreated]
    assert not desk.state.blobs.closed


def test_containers_are_removed_one_after_the_other(desk: BlobDesk) -> None:
    fill(desk, 5)
    fill(desk, 4, "gim-export")
    desk.do(RemoveAccount(actor="x", account=ACCOUNT))
    assert ACCOUNT not in desk.state.blobs.accounts
    first = len(desk.history)
    sweep(desk)
    desk.verify()
    assert kinds(desk, first) == [BlobsFreed]
    desk.sweep()
    assert kinds(desk, first) == [BlobsFreed, ContainerDeleted, BlobsFreed, ContainerDeleted]
    assert not desk.state.blobs.closed
    assert desk.state.shared.payloads == set()


def test_an_account_of_small_containers_is_removed_in_parts(desk: BlobDesk) -> None:
    fill(desk, 2)
    fill(desk, 2, "gim-export")
    first = len(desk.history)
    desk.do(RemoveAccount(actor="x", account=ACCOUNT))
    assert kinds(desk, first) == [ContainerClosed, ContainerClosed]
    desk.sweep()
    assert not desk.state.blobs.closed


def stage(desk: BlobDesk, *blobs: str, ids: range = range(3), container: str = "recordings") -> None:
    """Blocks of all these names in turns, so that none is the oldest as a whole."""
    for number in ids:
        for blob in blobs:
            facts = {**desk.where(container), "name": blob, "resource": desk.fresh()}
            body = payload(f"{container}-{blob}-{number:017x}") if number % 2 else inline(b"block")
            desk.do(StageBlock(**facts, block_id=b"%d" % (9 - number), body=body))


def commit(desk: BlobDesk, blob: str, ids: range) -> None:
    desk.do(
        CommitBlocks(
            **desk.where(),
            name=blob,
            resource=desk.fresh(),
            blocks=tuple((BlockSource.LATEST, b"%d" % (9 - number)) for number in ids),
            headers=ContentHeaders(),
            md5=None,
        )
    )


def left_by_event(desk: BlobDesk, first: int) -> list[int]:
    """How many records each event from the ``first`` on left behind, its container's own aside."""
    state = State()
    found = []
    for event, (draft, stamp) in zip(desk.events(), desk.history, strict=True):
        assert stamp.seq == state.seq + 1, draft
        before = set(state.records.garbage)
        state.apply(event, stamp)
        if stamp.seq > first:
            left = [state.records.garbage.get(seq) for seq in set(state.records.garbage) - before]
            found.append(sum(one is not None and one.resource != event.resource for one in left))
    return found


def test_staged_blocks_are_removed_in_parts(desk: BlobDesk) -> None:
    fill(desk, 4)
    stage(desk, "one", "two", "three")
    first = len(desk.history)
    delete(desk)
    seen = []
    while desk.state.blobs.closed:
        desk.verify()
        closed = desk.state.blobs.closed[CLOSED]
        seen.append((len(closed.staged), len(closed.blobs)))
        sweep(desk)
    assert seen == [(9, 4), (6, 4), (3, 4), (0, 4), (0, 1)]
    assert kinds(desk, first) == [ContainerClosed, *[BlobsFreed] * 4, ContainerDeleted]
    assert left_by_event(desk, first) == [0, MOST, MOST, MOST, MOST, 1]
    assert desk.state.shared.payloads == set()
    desk.verify()
    desk.now += 8 * DAY
    assert desk.sweep() == 0


def test_staged_blocks_alone_make_a_container_large(desk: BlobDesk) -> None:
    stage(desk, "one", "two")
    first = len(desk.history)
    delete(desk)
    desk.sweep()
    assert kinds(desk, first) == [ContainerClosed, BlobsFreed, ContainerDeleted]
    assert max(left_by_event(desk, first)) == MOST


def test_each_block_of_a_blob_counts(desk: BlobDesk) -> None:
    stage(desk, "a", "b", ids=range(2))
    stage(desk, "c", ids=range(5))
    for name, blocks in (("a", 2), ("b", 2), ("c", 5)):
        commit(desk, name, range(blocks))
    first = len(desk.history)
    delete(desk)
    desk.sweep()
    assert kinds(desk, first) == [ContainerClosed, *[BlobsFreed] * 3, ContainerDeleted]
    assert left_by_event(desk, first) == [0, 2 + 1, 2 + 1, 5 + 1, 0], "blocks, and the list"
    assert desk.state.shared.payloads == set()


def test_the_oldest_records_remove_staged_blocks_at_once(desk: BlobDesk) -> None:
    fill(desk, 4)
    stage(desk, "one", "two")
    container = desk.state.blobs.accounts[ACCOUNT]["recordings"]
    event = ContainerClosed(**container_facts(container, "user:test", Cause.REQUEST))
    assert not event.staged
    desk._apply(event)
    assert not container.staged
    desk.verify()
    desk.sweep()
    assert desk.state.shared.payloads == set()


def test_blocks_that_expire_during_a_removal_end_then(desk: BlobDesk) -> None:
    stage(desk, "one", "two")
    stage(desk, "three", ids=range(4), container="gim-export")
    delete(desk)
    delete(desk, "gim-export")
    desk.now += 8 * DAY
    first = len(desk.history)
    sweep(desk)
    desk.verify()
    assert set(kinds(desk, first)) == {BlobsFreed, BlocksDropped}
    desk.sweep()
    assert not desk.state.blobs.closed
    assert desk.state.shared.payloads == set()


def test_bodies_of_the_same_batch_are_stored(desk: BlobDesk) -> None:
    puts = [desk.putting(f"blob-{number}", b"small") for number in range(5)]
    desk.batch(*puts, DeleteContainer(**desk.where()))
    desk.verify()


def test_a_hold_before_the_deletion_refuses_it(desk: BlobDesk) -> None:
    fill(desk, 5)
    names = (*CLOSED, "blob-9")
    held = desk.do(SetHold(actor="x", hold_id=desk.fresh(), kind=HoldKind.BLOB, names=names, reason="case"))
    with pytest.raises(Conflict) as refused:
        delete(desk)
    assert refused.value.reason == "held"
    desk.do(LiftHold(actor="x", hold_id=held.hold_id))
    delete(desk)


def test_a_hold_after_the_deletion_does_not_stop_it(desk: BlobDesk) -> None:
    fill(desk, 5)
    delete(desk)
    desk.do(SetHold(actor="x", hold_id=desk.fresh(), kind=HoldKind.TENANT, names=(ACCOUNT,), reason="case"))
    desk.sweep()
    assert not desk.state.blobs.closed


def test_a_persons_erasure_reaches_a_container_being_removed(desk: BlobDesk) -> None:
    fill(desk, 5)
    resource = desk.get("blob-9").resource
    target = HoldTarget(HoldKind.BLOB, resource, (*CLOSED, "blob-9"))
    delete(desk)
    command = EndSubjects(actor="x", targets=(target,))
    assert [one.status for one in desk.do(command)] == [LIVING]
    assert [one.status for one in desk.do(command)] == [ENDED]
    left = desk.state.records.garbage.get(3)
    assert left is not None
    assert left.cause == Cause.ERASURE_REQUEST
    desk.verify()


def test_a_persons_erasure_reaches_blocks_being_removed(desk: BlobDesk) -> None:
    stage(desk, "one", "two")
    resource = desk.state.blobs.accounts[ACCOUNT]["recordings"].pending["two"].resource
    delete(desk)
    first = len(desk.history)
    target = HoldTarget(HoldKind.BLOB, resource, (*CLOSED, "two"))
    assert [one.status for one in desk.do(EndSubjects(actor="x", targets=(target,)))] == [LIVING]
    assert kinds(desk, first) == [BlocksDropped]
    assert set(desk.state.blobs.closed[CLOSED].pending) == {"one"}
    desk.verify()
    desk.sweep()
    assert desk.state.shared.payloads == set()


def test_a_persons_erasure_may_end_all_of_a_container_being_removed(desk: BlobDesk) -> None:
    fill(desk, 5)
    blobs = dict(desk.state.blobs.accounts[ACCOUNT]["recordings"].blobs)
    delete(desk)
    targets = tuple(
        HoldTarget(HoldKind.BLOB, entry.resource, (*CLOSED, name)) for name, entry in blobs.items()
    )
    desk.do(EndSubjects(actor="x", targets=targets))
    desk.verify()
    desk.sweep()
    desk.create("recordings")


def test_refused_commands_change_nothing(desk: BlobDesk) -> None:
    fill(desk, 5)
    delete(desk)
    before = desk.state.digest()
    with pytest.raises(EngineError):
        desk.create("recordings")
    assert desk.state.digest() == before
