"""Which records a request made."""

from __future__ import annotations

import pytest
import trio

from retain.engine.core.made import MADE, ranges
from retain.engine.testing import open_memory_engine
from tests.engine.persons.test_find import QUIET, Store


@pytest.mark.parametrize(
    ("records", "text"),
    [([], ""), ([7], "7"), ([7, 8, 9], "7-9"), ([9, 7, 8, 12, 12], "7-9, 12"), ([1, 3, 5], "1, 3, 5")],
)
def test_ranges(records: list[int], text: str) -> None:
    assert ranges(records) == text


async def test_each_task_learns_what_its_own_commands_made() -> None:
    """Also where one batch holds the commands of both."""
    found: dict[str, list[int]] = {}

    async def change(store: Store, name: str) -> None:
        made: list[int] = []
        MADE.set(made)
        await store.area(name)
        await store.area(f"{name}2")
        found[name] = made

    async with open_memory_engine(options=QUIET) as engine:
        store = Store(engine)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(change, store, "a")
            nursery.start_soon(change, store, "b")
        await store.area("nobody asks")
        last = engine.state.seq
    assert sorted(found["a"] + found["b"]) == list(range(1, last - 1))
    assert not set(found["a"]) & set(found["b"])
    assert len(found["a"]) == 4
