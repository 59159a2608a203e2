"""A payload that no record names is removed by the leader, after a day in which it was never named."""

from __future__ import annotations

import trio.testing

from retain.engine.nodes.orphans import ORPHAN_S, StoreOrphans


class Store:
    def __init__(self, *names: str) -> None:
        self.there = set(names)
        self.named: set[str] = set()
        self.leads = True
        self.orphans = StoreOrphans(
            lambda: self.there, self.there.remove, lambda: self.named, lambda: self.leads
        )


async def test_an_orphan_is_removed_after_a_day(mock_clock: trio.testing.MockClock) -> None:
    store = Store("orphan", "named")
    store.named = {"named"}
    assert await store.orphans.look() == []
    mock_clock.jump(ORPHAN_S - 1)
    assert await store.orphans.look() == []
    mock_clock.jump(1)
    assert await store.orphans.look() == ["orphan"]
    assert store.there == {"named"}


async def test_what_was_named_in_between_begins_anew(mock_clock: trio.testing.MockClock) -> None:
    store = Store("x")
    await store.orphans.look()
    mock_clock.jump(ORPHAN_S / 2)
    store.named = {"x"}
    await store.orphans.look()
    store.named = set()
    mock_clock.jump(ORPHAN_S / 2)
    assert await store.orphans.look() == []


async def test_who_no_longer_leads_removes_nothing(mock_clock: trio.testing.MockClock) -> None:
    store = Store("x")
    await store.orphans.look()
    store.leads = False
    mock_clock.jump(ORPHAN_S)
    assert await store.orphans.look() == []
    assert store.there == {"x"}
