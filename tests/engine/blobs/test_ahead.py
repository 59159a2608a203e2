"""Long lists of blocks are found beside the event loop, and end in one short step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from retain.engine import state
from retain.engine.blobs import ahead, entries, expiry
from retain.engine.blobs.commands import BlockSource, CommitBlocks, DeleteBlob, StageBlock
from retain.engine.blobs.conditions import Conditions, ETags
from retain.engine.blobs.container_commands import DeleteContainer
from retain.engine.blobs.entries import Composite, ContentHeaders
from retain.engine.blobs.events import BlocksCommitted
from retain.engine.blobs.queries import block_list
from retain.engine.core import domain
from retain.engine.core.body import Body
from retain.engine.core.command import Command, Decision
from retain.engine.core.common_commands import ExpireDue
from retain.engine.core.errors import Conflict, Invalid, NotFound
from retain.engine.writing.batch import DecidedAhead, Moved
from tests.kit.blobs import ACCOUNT, BlobDesk
from tests.kit.slices import DAY, inline, payload
from tests.kit.work import steps

LATEST, COMMITTED, UNCOMMITTED = BlockSource


class AheadDesk(BlobDesk):
    """Decides ahead what the engine decides ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0

    def decide(self, command: Command[Any]) -> Decision[Any]:
        look = self.state.ahead(command)
        if look is None:
            return super().decide(command)
        self.ahead += 1
        return DecidedAhead(look, self.now).decision(self.now)

    def stage(
        self, block_id: bytes, body: Body | None = None, *, placed: bool = True, name: str = "a"
    ) -> None:
        command = StageBlock(
            **self.where(), name=name, resource=self.fresh(), block_id=block_id, body=body or inline(block_id)
        )
        self.do(command, placed=placed)

    def committing(self, *blocks: bytes, source: BlockSource = LATEST, **fields: Any) -> CommitBlocks:
        return CommitBlocks(
            **self.where(),
            name="a",
            resource=self.fresh(),
            blocks=tuple((source, block) for block in blocks),
            headers=ContentHeaders(),
            md5=None,
            **fields,
        )

    def looked(self, command: CommitBlocks) -> DecidedAhead:
        look = self.state.ahead(command)
        assert look is not None
        return DecidedAhead(look, self.now)

    def committed(self) -> list[bytes]:
        return [block.block_id for block in self.listed().committed]

    def listed(self) -> Any:
        return block_list(self.state.blobs, ACCOUNT, "recordings", "a", self.now)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[AheadDesk]:
    """Any list is long."""
    monkeypatch.setattr(ahead, "LONG_LIST", 0)
    monkeypatch.setattr(entries, "LONG_LIST", 0)
    desk = AheadDesk()
    desk.create("recordings")
    yield desk
    desk.verify()


def test_a_list_found_ahead_is_the_one_found_in_turn(desk: AheadDesk) -> None:
    """Replay, which the desk compares with, finds it anew."""
    for block in (b"1", b"2", b"3"):
        desk.stage(block)
    desk.stage(b"4", payload("file-4"))
    desk.do(desk.committing(b"3", b"1", b"4", b"1"))
    assert desk.committed() == [b"3", b"1", b"4", b"1"]
    assert desk.listed().uncommitted == ()
    desk.stage(b"5")
    desk.stage(b"1", payload("file-1"))
    desk.do(desk.committing(b"5", b"1", b"4"))
    assert desk.committed() == [b"5", b"1", b"4"]
    desk.do(desk.committing(b"4", source=COMMITTED))
    assert (desk.ahead, desk.committed()) == (3, [b"4"])
    assert desk.state.shared.payloads == {"file-4"}
    desk.do(DeleteBlob(**desk.where(), name="a"))
    assert not desk.state.shared.payloads


def test_records_that_a_list_no_longer_needs_are_garbage_at_once(desk: AheadDesk) -> None:
    for block in (b"1", b"2", b"3"):  # records 2 to 4
        desk.stage(block)
    desk.do(desk.committing(b"1", b"2"))
    assert set(desk.state.records.garbage) == {4}
    desk.do(desk.committing(b"2"))
    assert set(desk.state.records.garbage) == {4, 2}
    desk.do(DeleteBlob(**desk.where(), name="a"))
    assert {2, 3, 4} <= set(desk.state.records.garbage)


def test_the_date_is_that_of_the_turn(desk: AheadDesk) -> None:
    desk.stage(b"1")
    looked = desk.looked(desk.committing(b"1"))
    desk.put("other")
    event = looked.decision(desk.now).events[-1]
    assert isinstance(event, BlocksCommitted)
    assert event.modified > desk.get("other").modified


@pytest.mark.parametrize("change", ["stage", "put", "commit", "container"])
def test_what_was_found_is_void_once_the_blocks_have_changed(desk: AheadDesk, change: str) -> None:
    desk.stage(b"1")
    looked = desk.looked(desk.committing(b"1"))
    if change == "stage":
        desk.stage(b"1")
    elif change == "put":
        desk.put("a")
    elif change == "commit":
        desk.do(desk.committing(b"1"))
    else:
        desk.do(DeleteContainer(**desk.where()))
    with pytest.raises(Moved):
        looked.decision(desk.now)


def test_blocks_on_their_way_to_the_disk_are_looked_at_again(desk: AheadDesk) -> None:
    desk.stage(b"1", placed=False)
    looked = desk.looked(desk.committing(b"1"))
    desk.place()
    with pytest.raises(Moved):
        looked.decision(desk.now)
    assert desk.looked(desk.committing(b"1")).decision(desk.now).events


def test_conditions_are_judged_in_turn_and_before_the_blocks(desk: AheadDesk) -> None:
    desk.stage(b"1")
    absent = Conditions(if_none_match=ETags(any=True))
    missing = desk.looked(desk.committing(b"none"))
    with pytest.raises(Invalid, match="does not exist") as refused:
        missing.decision(desk.now)
    assert (refused.value.reason, refused.value.data["position"]) == ("block-list", 0)
    desk.put("a")
    desk.stage(b"1")
    with pytest.raises(Conflict):
        desk.do(desk.committing(b"none", conditions=absent))
    with pytest.raises(NotFound):
        desk.do(replace(desk.committing(b"1"), container="none"))


def test_blocks_that_expire_before_the_turn_are_not_committed(desk: AheadDesk) -> None:
    desk.stage(b"1")
    looked = desk.looked(desk.committing(b"1"))
    desk.now += 8 * DAY
    with pytest.raises(Invalid, match="does not exist"):
        looked.decision(desk.now)


def _prepared(size: int, event_of: Callable[[AheadDesk, list[bytes]], Command[Any]]) -> Callable[[], None]:
    """Return the step that applies a command's event to a blob of `size` blocks."""
    desk = AheadDesk()
    desk.create("recordings")
    ids = [b"%06d" % number for number in range(size)]
    for block_id in ids:
        desk.stage(block_id)
    decision = desk.decide(event_of(desk, ids))
    desk.now += 1

    def run() -> None:
        for event in decision.events:
            desk.state.apply(event, desk.history[-1][1]._replace(seq=desk.state.seq + 1))

    return run


def _commit(desk: AheadDesk, ids: list[bytes]) -> Command[Any]:
    return desk.committing(*ids)


def _commit_again(desk: AheadDesk, ids: list[bytes]) -> Command[Any]:
    desk.do(desk.committing(*ids))
    return desk.committing(*ids)


def _delete(desk: AheadDesk, ids: list[bytes]) -> Command[Any]:
    desk.do(desk.committing(*ids))
    return DeleteBlob(**desk.where(), name="a")


def _put_over(desk: AheadDesk, ids: list[bytes]) -> Command[Any]:
    return desk.putting("a")


@pytest.mark.parametrize(
    ("command", "each"),
    [(_commit, 0), (_commit_again, 0), (_delete, 0), (_put_over, 0)],
    ids=["commit", "again", "delete", "put"],
)
def test_a_block_of_a_long_list_takes_the_loop_few_instructions(
    monkeypatch: pytest.MonkeyPatch, command: Callable[[AheadDesk, list[bytes]], Command[Any]], each: int
) -> None:
    monkeypatch.setattr(ahead, "LONG_LIST", 0)
    monkeypatch.setattr(entries, "LONG_LIST", 0)
    short, long = (steps(lambda size=size: _prepared(size, command)) for size in (100, 300))
    assert long - short <= each * 200


def test_only_long_lists_are_decided_ahead() -> None:
    desk = AheadDesk()
    desk.create("recordings")
    desk.stage(b"1")
    desk.do(desk.committing(b"1"))
    assert desk.ahead == 0
    entry = desk.get("a")
    assert isinstance(entry.body, Composite)


def test_blobs_of_many_blocks_expire_in_several_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "ENDED_RECORDS", 5)
    desk = AheadDesk()
    desk.create("recordings")
    for name in ("a", "b", "c"):
        for block in (b"1", b"2", b"3"):
            desk.stage(block, name=name)
        desk.do(replace(desk.committing(b"1", b"2", b"3"), name=name))
    desk.put("d")
    desk.now += 40 * DAY
    counts = []
    while (due := desk.state.deadlines.next()) is not None and due <= desk.now:
        desk.do(ExpireDue(actor="retain", limit=128))
        counts.append(len(desk.state.blobs.accounts[ACCOUNT]["recordings"].blobs))
    assert counts == [3, 2, 0]
    desk.verify()


def _of_three_blocks(desk: AheadDesk, container: str, *, committed: bool) -> None:
    desk.create(container)
    where = desk.where(container)
    for block in (b"1", b"2", b"3"):
        desk.do(StageBlock(**where, name="a", resource=desk.fresh(), block_id=block, body=inline(block)))
    if committed:
        desk.do(replace(desk.committing(b"1", b"2", b"3"), container=container))


@pytest.mark.parametrize("committed", [True, False])
def test_many_containers_whose_blobs_have_many_blocks_expire_in_several_steps(
    monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    """One command ends what is due everywhere: its work is bounded by records, not by entries alone."""
    monkeypatch.setattr(state, "ENDED_RECORDS", 7)
    desk = AheadDesk()
    for number in range(5):
        _of_three_blocks(desk, f"recordings{number}", committed=committed)
    desk.now += 40 * DAY
    ended = []
    while (due := desk.state.deadlines.next()) is not None and due <= desk.now:
        before = len(desk.history)
        desk.do(ExpireDue(actor="retain", limit=128))
        ended.append(len(desk.history) - before)
    assert ended == [2, 2, 1]
    desk.verify()


def test_an_entry_with_more_records_than_one_step_may_end_ends_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "ENDED_RECORDS", 2)
    desk = AheadDesk()
    for number in range(3):
        _of_three_blocks(desk, f"recordings{number}", committed=True)
    desk.now += 40 * DAY
    assert desk.sweep() == 3
    desk.verify()


@pytest.mark.parametrize("command", [_commit_again, _delete, _put_over], ids=["again", "delete", "put"])
def test_blocks_that_nothing_refers_to_any_longer_are_freed_a_part_at_a_time(
    monkeypatch: pytest.MonkeyPatch, command: Callable[[AheadDesk, list[bytes]], Command[Any]]
) -> None:
    """Freeing 50,000 blocks at once would hold the event loop as long as finding them."""
    monkeypatch.setattr(domain, "FREED_AT_ONCE", 10)
    desk = AheadDesk()
    desk.create("recordings")
    ids = [b"%06d" % number for number in range(45)]
    for block_id in ids:
        desk.stage(block_id)
    desk.do(command(desk, ids))
    left = [len(blocks) for blocks in desk.state.shared.buried]
    desk.put("other")
    assert [len(blocks) for blocks in desk.state.shared.buried] == [*left[:-1], left[-1] - 10]
    for _ in range(20):
        desk.state.shared.free_some()
    assert desk.state.shared.buried == []
    desk.verify()
