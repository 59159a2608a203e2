"""Pages over the containers of several accounts, compared with one list of all of them."""

from __future__ import annotations

import pytest

from retain.engine.blobs.container_commands import CreateContainer
from retain.engine.blobs.container_pages import START, Position, page_of_containers
from tests.kit.blobs import BlobDesk

ACCOUNTS = ("first", "idle", "mytenant", "zulu")


def filled() -> BlobDesk:
    desk = BlobDesk()
    for account, count in (("first", 7), ("mytenant", 12)):
        for number in range(count):
            name = f"{'ab'[number % 2]}-{number:02}"
            desk.do(CreateContainer(actor="a", account=account, container=name, resource=desk.fresh()))
    return desk


def everything(desk: BlobDesk, prefix: str) -> list[Position]:
    found: list[Position] = []
    for account in ACCOUNTS:
        names = [name for name in desk.state.blobs.accounts.get(account, {}) if name.startswith(prefix)]
        found += [(account, name) for name in names] or ([] if prefix else [(account, "")])
    return found


@pytest.mark.parametrize("prefix", ["", "a", "b-01", "c"])
@pytest.mark.parametrize("limit", [1, 3, 50])
def test_pages_follow_one_another_both_ways(prefix: str, limit: int) -> None:
    desk = filled()
    seen: list[Position] = []
    starts: list[Position] = []
    at: Position | None = START
    while at is not None:
        page = page_of_containers(desk.state.blobs, ACCOUNTS, prefix=prefix, start=at, limit=limit)
        starts.append(at)
        seen += [(account, one.name if one else "") for account, one in page.items]
        assert len(page.items) <= limit
        if len(starts) == 1:
            assert page.before is None
        else:
            before = page_of_containers(
                desk.state.blobs, ACCOUNTS, prefix=prefix, start=page.before or START, limit=limit
            )
            assert before.next == at
        at = page.next
    assert seen == everything(desk, prefix)


def test_a_page_may_begin_at_an_account_or_between_names() -> None:
    desk = filled()
    page = page_of_containers(desk.state.blobs, ACCOUNTS, start=("idle", ""), limit=2)
    assert [(account, one and one.name) for account, one in page.items] == [
        ("idle", None),
        ("mytenant", "a-00"),
    ]
    page = page_of_containers(desk.state.blobs, ACCOUNTS, start=("first", "b-0"), limit=1)
    assert page.items[0][1] is not None
    assert page.items[0][1].name == "b-01"
    past = page_of_containers(desk.state.blobs, ACCOUNTS, start=("zz", "x"), limit=2)
    assert (past.items, past.next, past.before) == ((), None, ("mytenant", "b-11"))
