"""What falls due in the coming days, counted from indexes: compared with looking at every entry."""

from __future__ import annotations

import random

import pytest

from retain.engine.areas import CreateArea
from retain.engine.areas.state import next_end
from retain.engine.blobs.commands import StageBlock
from retain.engine.blobs.container_commands import SetContainerRetention
from retain.engine.blobs.container_pages import START, Position
from retain.engine.core.time import DAY, HOUR
from retain.engine.holds.commands import SetHold
from retain.engine.holds.target import HoldKind
from retain.engine.outlook import DAYS, BlobTotals, add_containers, container_outlook, outlook
from retain.engine.settings import Asker, Place, PutValue, SettingsPolicy
from retain.engine.settings import EncodedValue as Json
from retain.engine.tokens import IssueTokens, TokenGrant
from tests.kit.blobs import BlobDesk
from tests.kit.slices import inline


def filled(seed: int) -> BlobDesk:
    """A state of everything that has a deadline, written over forty days."""
    chosen = random.Random(seed)
    desk = BlobDesk()
    for name in ("recordings", "exports", "for-ever", "held"):
        desk.create(name)
    keeps = {"exports": 3, "for-ever": 0}
    for name, days in keeps.items():
        desk.do(SetContainerRetention(actor="x", account="mytenant", container=name, days=days))
    for number in range(150):
        desk.now += chosen.randrange(6 * HOUR)
        container = chosen.choice(("recordings", "exports", "for-ever", "held"))
        desk.put(f"b{number}", b"1", container=container)
        ttl = chosen.randrange(60, 40 * 86_400)
        name = f"{number:08}-0000-4000-8000-{'0' * 12}"
        desk.do(CreateArea(actor="a", name=name, resource=desk.fresh(), values={"k": "v"}, ttl=ttl))
        if number % 10 == 0:
            block = {"name": f"s{number}", "resource": desk.fresh(), "block_id": b"1", "body": inline(b"1")}
            desk.do(StageBlock(**desk.where(), **block))
            grant = TokenGrant(
                desk.fresh(), None, "f", desk.now, desk.now + chosen.randrange(60) * DAY + 1, None, 1
            )
            desk.do(IssueTokens(actor="x", account="mytenant", grants=(grant,)))
    desk.do(
        SetHold(
            actor="x", hold_id=desk.fresh(), kind=HoldKind.CONTAINER, names=("mytenant", "held"), reason="r"
        )
    )
    return desk


def added_up(desk: BlobDesk, slice_of: int = 3) -> BlobTotals:
    """The totals of all containers, in steps."""
    totals = BlobTotals()
    at: Position | None = START
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("retain.engine.outlook.SLICE", slice_of)
        while at is not None:
            at = add_containers(totals, desk.state, desk.now, at)
    return totals


def counted(ends: list[int], now: int) -> tuple[int, ...]:
    """How many of `ends` lie in each of the coming days."""
    days = [range(now + day * DAY + 1, now + (day + 1) * DAY + 1) for day in range(DAYS)]
    return tuple(sum(end in day for end in ends) for day in days)


@pytest.mark.parametrize("seed", range(4))
def test_the_days_are_those_of_every_entry(seed: int) -> None:
    desk = filled(seed)
    state, now = desk.state, desk.now
    found = outlook(state, now, 90 * DAY)
    totals = added_up(desk)
    expected = [0] * DAYS
    for container in state.blobs.containers():
        ends = [end for blob in container.blobs.values() if (end := container.ends(blob)) is not None]
        seen = container_outlook(state, container, now)
        if container.name in ("held", "for-ever"):
            assert seen.next_end is None
        else:
            expected = [sum(pair) for pair in zip(expected, counted(ends, now), strict=True)]
            assert seen.next_end == min(end for end in ends if end > now)
        assert seen.blobs == sum(container.blob(name, now) is not None for name in container.blobs)
        assert seen.held is (container.name == "held")
    assert found.areas_due == counted([next_end(area) for area in state.areas.areas.values()], now)
    assert sum(found.areas_due) > 50
    assert totals.due == expected
    assert sum(expected) > 20
    assert totals.containers == 4
    assert totals.blobs == sum(container_outlook(state, one, now).blobs for one in state.blobs.containers())
    assert totals.size == sum(one.size for one in state.blobs.containers())


def test_many_blobs_of_one_container_are_counted_by_day_as_few_are() -> None:
    desk = BlobDesk()
    desk.create("recordings")
    for number in range(2 * DAYS):
        desk.now += DAY // 3
        desk.put(f"b{number}", b"1")
    container = desk.state.blobs.find("mytenant", "recordings")
    assert container is not None
    ends = [end for blob in container.blobs.values() if (end := container.ends(blob)) is not None]
    for days_on in (0, 5, 10, 20):
        totals = BlobTotals()
        assert add_containers(totals, desk.state, desk.now + days_on * DAY, START) is None
        assert totals.due == list(counted(ends, desk.now + days_on * DAY)), days_on


def test_an_end_belongs_to_the_day_in_which_it_comes() -> None:
    desk = BlobDesk()
    name = f"{0:08}-0000-4000-8000-{'0' * 12}"
    desk.do(CreateArea(actor="a", name=name, resource=desk.fresh(), values={"k": "v"}, ttl=86_400))
    assert outlook(desk.state, desk.now, 90 * DAY).areas_due[:2] == (1, 0)
    assert outlook(desk.state, desk.now - 1, 90 * DAY).areas_due[:2] == (0, 1)


def test_an_empty_state_holds_nothing() -> None:
    found = outlook(BlobDesk().state, BlobDesk().now, 90 * DAY)
    assert (found.areas, found.documents, found.holds) == (0, 0, 0)
    assert found.areas_due == (0,) * DAYS
    assert added_up(BlobDesk()) == BlobTotals()


def write(desk: BlobDesk, application: str, number: int, path: tuple[str, ...] = ()) -> None:
    """Write a document, or with a path a part of it."""
    desk.do(
        PutValue(
            actor="a",
            asker=Asker("ann", admin=True),
            place=Place(application, 0),
            path=path,
            resource=desk.fresh(),
            policy=SettingsPolicy(put_creates=True),
            body=Json.of({"p": number} if path else {"c": {"p": number}}),
        )
    )


def test_settings_are_counted_by_application() -> None:
    desk = BlobDesk()
    write(desk, "app", 1)
    found = outlook(desk.state, desk.now, 90 * DAY)
    assert (found.documents, found.applications, found.settings_size > 0) == (1, 1, True)


@pytest.mark.parametrize("path", [(), ("c",)], ids=["overwritten whole", "in part, to be restated"])
def test_earlier_versions_end_when_their_history_does(path: tuple[str, ...]) -> None:
    desk = BlobDesk()
    for number in range(3):
        write(desk, "app", number, path if number else ())
        desk.now += DAY
    write(desk, "other", 0)
    # Overwritten whole, they go one by one; in part, both with the first of them.
    days = [1, 1] if not path else [2, 0]
    found = outlook(desk.state, desk.now, 20 * DAY)
    assert [found.versions_due[17], found.versions_due[18]] == days
    assert sum(found.versions_due) == 2
    assert outlook(desk.state, desk.now, 90 * DAY).versions_due == (0,) * DAYS
    desk.state.check()


def test_what_is_under_a_hold_is_counted_and_does_not_end() -> None:
    desk = filled(1)
    for number in range(3):
        write(desk, "app", number)
        desk.now += DAY
    before = outlook(desk.state, desk.now, 20 * DAY)
    assert (before.areas_held, before.documents_held, sum(before.versions_due)) == (0, {}, 2)
    area = next(iter(desk.state.areas.areas))
    names = {HoldKind.DOCUMENT: ("app", 0, "", ""), HoldKind.AREA: (area, None)}
    for kind, named in (*names.items(), (HoldKind.BLOB, ("mytenant", "for-ever", "b"))):
        if kind is HoldKind.BLOB:
            desk.put("b", b"1", container="for-ever")
        for _ in range(2):  # two holds on one thing
            desk.do(SetHold(actor="x", hold_id=desk.fresh(), kind=kind, names=named, reason="r"))
    found = outlook(desk.state, desk.now, 20 * DAY)
    assert (found.areas_held, found.documents_held, sum(found.versions_due)) == (1, {"app": 1}, 0)
    whole = desk.state.blobs.find("mytenant", "held")
    assert whole is not None
    assert added_up(desk).held == len(whole.blobs) + 1
