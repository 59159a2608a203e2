"""Restating: the same once more, in steps; and nothing for what is not there."""

from __future__ import annotations

from typing import Any

import pytest

from retain.engine.areas import AreasPolicy, CreateArea, NewFile, UpdateArea
from retain.engine.areas.state import AreaFile
from retain.engine.blobs.commands import (
    BlockSource,
    CommitBlocks,
    DeleteBlob,
    SetBlobHeaders,
    SetBlobMetadata,
    StageBlock,
)
from retain.engine.blobs.container_commands import SetContainerMetadata, SetServiceProperties
from retain.engine.blobs.entries import Composite, ContentHeaders
from retain.engine.core.body import Inline, OnDisk
from retain.engine.core.common_commands import Restate
from retain.engine.core.domain import STEP_BYTES, STEP_RECORDS, first_bytes
from retain.engine.core.errors import TooLarge
from retain.engine.core.ledger import LONG_CHAIN, RecordLedger, mark_of, seq_of, size_of
from retain.engine.holds import HoldKind, SetHold
from retain.engine.settings import Asker, Place, PutValue, SettingsPolicy
from retain.engine.settings import EncodedValue as Json
from retain.engine.tokens import IssueTokens, TokenGrant
from tests.kit.blobs import ACCOUNT, BlobDesk
from tests.kit.slices import DAY, chain_rows, inline, payload

NAME = "0" * 8 + "-0000-4000-8000-" + "0" * 12
AREA = ("area", NAME, None)
BLOB = ("blob", ACCOUNT, "recordings", "b")


class RestatingDesk(BlobDesk):
    """Finds bodies where they were said to be."""

    def restate(self, locator: tuple[Any, ...], resource: bytes | None = None, before: int = 0) -> int:
        """All steps; answers how many. The chain of one resource is found by its locator."""
        resource = self.resource(locator) if resource is None else resource
        for step in range(1, 100):
            wanted = self.state.restaters[locator[0]].bodies(locator, resource, before)
            bodies = {body.address: self.body(body.address) for body in wanted}
            command = Restate(
                actor="retain", locator=locator, resource=resource, before=before, bodies=bodies
            )
            if not self.do(command):
                return step
        raise AssertionError("it never ends")

    def resource(self, locator: tuple[Any, ...]) -> bytes:
        return next(event.resource for event in self.events() if event.locator() == locator)

    def body(self, address: int) -> Inline:
        body = getattr(self.events()[(address >> 10) - 1], "body")  # noqa: B009, many kinds of events have one
        assert isinstance(body, Inline)
        return body

    def chain(self, locator: tuple[Any, ...]) -> tuple[int, ...]:
        return chain_rows(self.state.records)[self.resource(locator)]

    def area(self, **values: Any) -> None:
        self.do(CreateArea(actor="a", name=NAME, resource=self.fresh(), values=values, ttl=3600))

    def update(self, **values: Any) -> None:
        self.do(UpdateArea(actor="a", name=NAME, resource=self.fresh(), values=values, ttl=7200))


@pytest.fixture
def desk() -> Any:
    desk = RestatingDesk()
    desk.create("recordings")
    yield desk
    desk.verify()


def test_an_area_keeps_its_order_deadlines_and_files(desk: RestatingDesk) -> None:
    desk.area(a="1", f=NewFile("f", "t/t", inline(b"body")), g=NewFile("g", "t/t", payload("p")))
    desk.update(b="2", a="3")
    before = desk.state.areas.areas[NAME]
    assert desk.restate(AREA) == 1
    assert desk.state.areas.areas[NAME] == before
    assert len(desk.chain(AREA)) == 1
    assert desk.restate(AREA, before=desk.state.seq) == 2
    after = desk.state.areas.areas[NAME]
    assert after[2] == before[2]
    assert after[4] == before[4]
    assert [type(value) for value in after[3]] == [type(value) for value in before[3]]
    assert desk.state.shared.payloads == {"p"}


def test_a_large_area_takes_several_records_of_one_step(desk: RestatingDesk) -> None:
    values = {f"key{number}": "x" * 8000 for number in range(200)}
    desk.area(**values)
    desk.update(key7="y")
    before = desk.state.areas.areas[NAME]
    first = len(desk.history)
    assert desk.restate(AREA) == 1
    assert len(desk.history) - first > 4
    assert desk.state.areas.areas[NAME] == before


def test_many_files_take_several_steps(desk: RestatingDesk) -> None:
    files = {f"f{number}": NewFile("f", "t/t", inline(bytes(20))) for number in range(STEP_RECORDS + 5)}
    desk.area(**files)
    assert desk.restate(AREA, before=desk.state.seq) == 3
    assert all(isinstance(value, AreaFile) for value in desk.state.areas.areas[NAME][3])


def test_a_step_waits_for_bodies_that_it_was_not_given(desk: RestatingDesk) -> None:
    desk.area(f=NewFile("f", "t/t", inline(b"body")))
    desk.put("b", b"body")
    first = len(desk.history)
    for locator in (AREA, BLOB):
        command = Restate(
            actor="retain", locator=locator, resource=desk.resource(locator), before=desk.state.seq
        )
        assert desk.do(command) is True
    assert len(desk.history) == first


def test_an_area_that_cannot_be_restated_in_one_go_is_refused(desk: RestatingDesk) -> None:
    with pytest.raises(TooLarge, match="texts would have more"):
        desk.area(**{f"key{number}": "x" * 8000 for number in range(300)})
    many = {f"{number:0255}": "" for number in range(2200)}
    policy = AreasPolicy(max_keys=5000)
    with pytest.raises(TooLarge, match="keys would have more"):
        desk.do(CreateArea(actor="a", name=NAME, resource=desk.fresh(), values=many, ttl=3600, policy=policy))


@pytest.mark.parametrize(
    "locator",
    [
        AREA,
        BLOB,
        ("blob", ACCOUNT, "nowhere", "b"),
        ("container", ACCOUNT, "nowhere"),
        ("service", ACCOUNT),
        ("token", bytes(16)),
        ("document", "app", 0, "", ""),
        ("hold", bytes(16)),
    ],
)
def test_what_is_not_there_is_not_restated(desk: RestatingDesk, locator: tuple[Any, ...]) -> None:
    restater = desk.state.restaters[locator[0]]
    assert list(restater.bodies(locator, bytes(16), 0)) == []
    assert list(restater.apart(locator, bytes(16))) == []
    assert desk.restate(locator, bytes(16)) == 1
    assert desk.events() == desk.events()[:1]


def test_a_list_of_blocks_is_restated_block_by_block(desk: RestatingDesk) -> None:
    for number in (b"1", b"2"):
        desk.do(_staging(desk, number, inline(number)))
    desk.do(_staging(desk, b"3", payload("p")))
    desk.do(_committing(desk, b"1", b"2", b"3", b"1"))
    desk.do(_staging(desk, b"1", inline(b"staged since")))
    desk.do(SetBlobMetadata(**desk.where(), name="b", metadata=(("k", "v"),)))
    before = desk.get("b")
    assert desk.restate(BLOB) == 2
    after = desk.get("b")
    assert isinstance(before.body, Composite)
    assert isinstance(after.body, Composite)
    assert [block.block_id for block in after.body.blocks] == [block.block_id for block in before.body.blocks]
    assert after._replace(body=before.body, seq=before.seq, metadata_seq=before.metadata_seq) == before
    assert desk.state.blobs.find(ACCOUNT, "recordings").pending["b"].blocks == 1  # type: ignore[union-attr]
    assert len(desk.chain(BLOB)) == 1


def test_half_a_restatement_goes_with_its_blob(desk: RestatingDesk) -> None:
    for delete in (True, False):
        desk.do(_staging(desk, b"1", inline(b"body")))
        desk.do(_committing(desk, b"1"))
        resource = desk.get("b").resource
        [wanted] = desk.state.restaters["blob"].bodies(BLOB, resource, 0)
        bodies = {wanted.address: desk.body(wanted.address)}
        assert desk.do(Restate(actor="retain", locator=BLOB, resource=resource, bodies=bodies))
        desk.verify()
        desk.do(DeleteBlob(**desk.where(), name="b")) if delete else desk.put("b")
        container = desk.state.blobs.find(ACCOUNT, "recordings")
        assert container is not None
        assert container.restated == {}


def test_containers_accounts_tokens_documents_and_holds(desk: RestatingDesk) -> None:
    desk.do(SetContainerMetadata(**desk.where(), metadata=(("k", "v"),)))
    desk.do(SetContainerMetadata(**desk.where(), metadata=(("k", "w"),)))
    desk.do(SetServiceProperties(actor="a", account=ACCOUNT, resource=desk.fresh(), document={"v": 1}))
    token = desk.fresh()
    grant = TokenGrant(token, "recordings", "r", desk.now, desk.now + DAY, "policy")
    desk.do(IssueTokens(actor="ann", account=ACCOUNT, grants=(grant,)))
    desk.do(
        PutValue(
            actor="a",
            asker=Asker("ann", admin=True),
            place=Place("app", 0),
            path=(),
            policy=SettingsPolicy(put_creates=True),
            resource=desk.fresh(),
            body=Json.of({"c": {"p": 1}}),
        )
    )
    hold = desk.fresh()
    desk.do(SetHold(actor="a", hold_id=hold, kind=HoldKind.TENANT, names=(ACCOUNT,), reason="case"))
    state = desk.state
    before = (
        state.blobs.find(ACCOUNT, "recordings").entry,  # type: ignore[union-attr]
        dict(state.blobs.services),
        dict(state.tokens.records),
        dict(state.settings.documents),
        dict(state.holds.holds),
    )
    for locator in (
        ("container", ACCOUNT, "recordings"),
        ("service", ACCOUNT),
        ("token", token),
        ("document", "app", 0, "", ""),
        ("hold", hold),
    ):
        assert desk.restate(locator) == 1
    assert before == (
        state.blobs.find(ACCOUNT, "recordings").entry,  # type: ignore[union-attr]
        state.blobs.services,
        state.tokens.records,
        state.settings.documents,
        state.holds.holds,
    )


def test_an_md5_that_is_replaced_is_dead_and_one_that_stays_is_not(desk: RestatingDesk) -> None:
    desk.put("b", b"body")
    desk.do(SetBlobHeaders(**desk.where(), name="b", headers=ContentHeaders("x/y"), md5=desk.get("b").md5))
    assert desk.state.records.partly_dead == {}
    desk.do(SetBlobHeaders(**desk.where(), name="b", headers=ContentHeaders("x/y"), md5=bytes(16)))
    assert [partly_dead.locator for partly_dead in desk.state.records.partly_dead.values()] == [BLOB]


def test_one_step_reads_a_bounded_number_of_bytes() -> None:
    large = [OnDisk(number, STEP_BYTES // 2 + 1) for number in range(5)]
    assert len(list(first_bytes([None, payload("p"), *large]))) == 2


def test_marks_tell_number_and_about_the_size() -> None:
    for seq, size in ((1, 0), (7, 1), (1 << 40, 4096), (5, 4097), (6, 1 << 20)):
        mark = mark_of(seq, size)
        assert seq_of(mark) == seq
        assert size <= size_of(mark) <= 8 * max(size, 1024)


def test_an_unknown_row_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        RecordLedger().load([["new"]], ())


def test_crowded_chains_are_part_of_a_snapshot(desk: RestatingDesk) -> None:
    desk.area(a="1")
    for number in range(LONG_CHAIN + 1):
        desk.update(**{f"k{number}": "x"})
    assert list(desk.state.records.long_chains.values()) == [AREA]


def _staging(desk: BlobDesk, block_id: bytes, body: Any) -> StageBlock:
    return StageBlock(**desk.where(), name="b", resource=desk.fresh(), block_id=block_id, body=body)


def _committing(desk: BlobDesk, *ids: bytes) -> CommitBlocks:
    return CommitBlocks(
        **desk.where(),
        name="b",
        resource=desk.fresh(),
        blocks=tuple((BlockSource.LATEST, block_id) for block_id in ids),
        headers=ContentHeaders(),
        md5=None,
        metadata=(("k", "u"),),
        tags=(),
        tier=None,
    )


def test_a_block_whose_body_was_not_read_waits_for_the_next_step() -> None:
    desk = RestatingDesk()
    desk.create("recordings")
    for number in (b"1", b"2"):
        facts = {**desk.where(), "name": "b", "resource": desk.fresh()}
        desk.do(StageBlock(**facts, block_id=number, body=inline(b"block" + number)))
    desk.do(
        CommitBlocks(
            **desk.where(),
            name="b",
            resource=desk.fresh(),
            blocks=tuple((BlockSource.LATEST, number) for number in (b"1", b"2")),
            headers=ContentHeaders(),
            md5=None,
        )
    )
    restater, resource = desk.state.restaters["blob"], desk.resource(BLOB)
    first, second = restater.bodies(BLOB, resource, 0)
    assert restater.restate(BLOB, resource, 0, {}) == ([], True)
    only = {second.address: desk.body(second.address)}
    assert restater.restate(BLOB, resource, 0, only) == ([], True), "they come in order"
    [event] = restater.restate(BLOB, resource, 0, {first.address: desk.body(first.address)}).events
    assert getattr(event, "block_id", None) == b"1"
