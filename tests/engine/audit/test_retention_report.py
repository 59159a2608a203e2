"""The retention report: what is held, what ends when, what waits."""

from __future__ import annotations

from retain.engine.areas import CreateArea, DeleteArea, UpdateArea
from retain.engine.audit.retention_report import bucket, report
from retain.engine.blobs.commands import StageBlock
from retain.engine.core.policy import RetentionPolicy, erasure_lag, oldest_due, to_restate
from retain.engine.core.time import DAY, HOUR
from retain.engine.settings import Asker, MergeValue, Place, PutValue, SettingsPolicy
from retain.engine.settings import EncodedValue as Json
from tests.kit.blobs import BlobDesk
from tests.kit.slices import inline

POLICY = RetentionPolicy(erase_within=DAY, audit=365 * DAY, history=80 * DAY)
NAME = "0" * 8 + "-0000-4000-8000-" + "0" * 12


def test_ends_fall_into_buckets() -> None:
    assert [bucket(end, 100) for end in (None, 99, 100, 100 + DAY, 101 + DAY, 100 + 366 * DAY)] == [
        "never",
        "due",
        "due",
        "within-1-day",
        "within-7-days",
        "later",
    ]


def test_a_row_for_each_tenant_and_container() -> None:
    desk = BlobDesk()
    desk.create("recordings")
    desk.create("empty")
    desk.put("a", b"12345")
    desk.do(StageBlock(**desk.where(), name="b", resource=desk.fresh(), block_id=b"1", body=inline(b"123")))
    desk.do(CreateArea(actor="a", name=NAME, resource=desk.fresh(), values={"k": "vv"}, ttl=3600))
    desk.do(CreateArea(actor="a", name="x", user="ann", resource=desk.fresh(), values={"k": "v"}, ttl=3600))
    desk.do(_put({"c": {"p": 1}}, desk))
    found = report(desk.state, desk.now + 1000, POLICY)  # a write counts from the next tick of its ETag
    rows = [
        (one.interface, one.tenant, one.container, one.entries, one.size, one.ends) for one in found.holdings
    ]
    assert rows == [
        ("areas", "plain", "", 1, 3, {"within-1-day": 1}),
        ("areas", "custom", "", 1, 2, {"within-1-day": 1}),
        ("settings", "app", "", 1, 13, {"never": 1}),
        ("blobs", "mytenant", "recordings", 2, 8, {"within-30-days": 1, "within-7-days": 1}),
    ]
    assert (found.waiting, found.restating, found.oldest_due, found.lag) == (0, 0, None, 0)


def test_what_waits_and_since_when() -> None:
    desk = BlobDesk()
    start = desk.now
    desk.do(_put({"c": {"p": 1}}, desk))
    desk.do(_merge({"p": 2}, desk))
    assert oldest_due(desk.state.records, POLICY) == start + 80 * DAY
    assert erasure_lag(desk.state.records, start, POLICY) == 0
    desk.now += HOUR
    desk.do(CreateArea(actor="a", name=NAME, resource=desk.fresh(), values={"k": "v"}, ttl=10**7))
    desk.do(UpdateArea(actor="a", name=NAME, resource=desk.fresh(), values={"k": "w"}, ttl=10**7))
    found = report(desk.state, desk.now + 5, POLICY)
    assert (found.waiting, found.restating, found.oldest_due, found.lag) == (0, 2, desk.now, 5)
    desk.do(DeleteArea(actor="a", name=NAME))
    found = report(desk.state, desk.now + 7, POLICY)
    assert (found.waiting, found.restating, found.lag) == (2, 1, 7)
    desk.do(_put({"c": {"p": 3}}, desk))
    desk.do(_whole({"c": {"p": 4}}, desk))
    assert oldest_due(desk.state.records, POLICY) == desk.now


def test_what_is_dead_in_part_is_restated_after_some_patience() -> None:
    desk = BlobDesk()
    desk.do(CreateArea(actor="a", name=NAME, resource=desk.fresh(), values={"k": "v"}, ttl=10**7))
    desk.do(UpdateArea(actor="a", name=NAME, resource=desk.fresh(), values={"k": "w"}, ttl=10**7))
    desk.do(_put({"c": {"p": 1}}, desk))
    desk.do(_merge({"p": 2}, desk))
    records = desk.state.records

    def entries(after: int, policy: RetentionPolicy = POLICY, *, at_once: bool = False) -> list[str]:
        return [locator[0] for locator, _ in to_restate(records, desk.now + after, policy, at_once=at_once)]

    assert entries(0) == []
    assert entries(HOUR // 2) == ["area"]
    assert entries(10 * DAY) == ["area", "document"]
    assert entries(0, at_once=True) == ["area"]
    assert entries(0, RetentionPolicy(history=0), at_once=True) == ["area", "document"]


def _put(value: dict[str, object], desk: BlobDesk) -> PutValue:
    return PutValue(path=(), body=Json.of(value), **_facts(desk))


_whole = _put


def _merge(value: dict[str, object], desk: BlobDesk) -> MergeValue:
    return MergeValue(path=("c",), body=Json.of(value), **_facts(desk))


def _facts(desk: BlobDesk) -> dict[str, object]:
    return {
        "actor": "a",
        "asker": Asker("ann", admin=True),
        "place": Place("app", 0),
        "policy": SettingsPolicy(put_creates=True),
        "resource": desk.fresh(),
    }
