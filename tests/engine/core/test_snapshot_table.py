"""Tables: a moment of them can be read, and changes go on."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator
from itertools import islice

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from retain.bench.workloads import areas
from retain.engine.areas.commands import DeleteArea
from retain.engine.core.snapshot_table import SnapshotTable, TableView
from retain.engine.options import Options
from retain.engine.snapshots import file as snapshot
from retain.engine.snapshots.load import load
from retain.engine.testing import open_memory_engine
from retain.journal.testing.memory import MemoryDisk

KEYS = st.integers(0, 9)
CHANGES = st.lists(st.tuples(KEYS, st.one_of(st.none(), st.integers())), max_size=30)


def change(table: SnapshotTable[int, int], key: int, value: int | None) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value


def read_on(items: Iterator[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    return [item for _, item in zip(range(count), items, strict=False)]


@given(CHANGES, CHANGES, st.lists(st.tuples(st.integers(0, 3), KEYS, st.one_of(st.none(), st.integers()))))
def test_a_view_gives_what_was_there(
    first: list[tuple[int, int | None]],
    then: list[tuple[int, int | None]],
    beside: list[tuple[int, int, int | None]],
) -> None:
    table: SnapshotTable[int, int] = SnapshotTable()
    for key, value in first:
        change(table, key, value)
    held = dict(table)
    view = table.view()
    for key, value in then:
        change(table, key, value)
    view.list_keys()
    items = view.items()
    found: list[tuple[int, int]] = []
    for count, key, value in beside:
        found += read_on(items, count)
        change(table, key, value)
    found += items
    assert len(found) == len(held)
    assert dict(found) == held
    unchanged = [key for key in held if key not in dict(then)]
    assert [key for key, _ in found if key in unchanged] == unchanged


@given(CHANGES, CHANGES, CHANGES)
def test_two_views_give_two_moments(
    first: list[tuple[int, int | None]],
    second: list[tuple[int, int | None]],
    third: list[tuple[int, int | None]],
) -> None:
    table: SnapshotTable[int, int] = SnapshotTable()
    moments: list[tuple[dict[int, int], TableView[int, int]]] = []
    for changes in (first, second, third):
        for key, value in changes:
            change(table, key, value)
        moments.append((dict(table), table.view()))
    for key in list(table):
        del table[key]
    for held, view in moments:
        assert dict(view.items()) == held


def test_once_nobody_reads_nothing_is_put_aside() -> None:
    table: SnapshotTable[int, int] = SnapshotTable({1: 1})
    view = table.view()
    table[1] = 2
    assert type(table) is not SnapshotTable
    assert list(view.items()) == [(1, 1)]
    del view
    gc.collect()
    table[1] = 3
    assert type(table) is SnapshotTable
    assert table == {1: 3}


@pytest.mark.parametrize("name", ["clear", "popitem", "setdefault", "update", "__ior__"])
def test_what_changes_many_keys_at_once_is_refused_while_somebody_reads(name: str) -> None:
    table: SnapshotTable[int, int] = SnapshotTable({1: 1})
    view = table.view()
    with pytest.raises(TypeError, match="one key at a time"):
        getattr(table, name)({2: 2})
    assert list(view.items()) == [(1, 1)]


def restarted(files: dict[str, bytes]) -> bytes:
    """The digest of what a start makes of these files."""
    log, state, *_ = load(MemoryDisk(files), Options(), bytes)
    log.abandon()
    state.check()
    return state.digest()


async def test_what_changes_while_snapshots_are_written_is_neither_lost_nor_there_twice() -> None:
    disk = MemoryDisk()
    options = Options(sweep_interval_s=3600.0)
    async with open_memory_engine(disk, options=options) as engine:
        commands = areas(1, 16, ttl=100_000)
        names: deque[str] = deque()

        async def churn() -> None:
            while True:
                names.append(await engine.submit(next(commands)))
                if len(names) > 2000:
                    await engine.submit(DeleteArea(actor="tester", name=names.popleft()))

        async with trio.open_nursery() as nursery:
            for _ in range(16):
                nursery.start_soon(churn)
            while len(names) < 2000:
                await trio.lowlevel.checkpoint()
            for _ in range(3):
                before = engine.state.seq
                await engine.take_snapshot()
                assert engine.state.seq > before
            nursery.cancel_scope.cancel()
        digest = engine.state.digest()
        files = disk.kill().files()
    assert len(snapshot.names(MemoryDisk(files))) == 1
    assert restarted(files) == digest
    assert restarted({name: data for name, data in files.items() if "snapshot" not in name}) == digest


def test_keys_that_were_put_away_are_read_as_they_were() -> None:
    table: SnapshotTable[object, int] = SnapshotTable()
    keys = ["a", b"b" * 16, 3, ("application", 1, None)]
    for value, key in enumerate(keys):
        table[key] = value
    view = table.view()
    del table[3]
    view.list_keys()
    view.pack_keys()
    table["a"] = 9
    table["later"] = 10
    assert sorted(value for _, value in view.items()) == [0, 1, 2, 3]


async def test_the_collector_is_kept_away_while_keys_are_listed_and_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[bool] = []
    original = TableView.list_keys

    def list_keys(self: TableView[object, object]) -> None:
        seen.append(gc.isenabled())
        original(self)

    monkeypatch.setattr(TableView, "list_keys", list_keys)
    async with open_memory_engine(MemoryDisk()) as engine:
        for command in islice(areas(1, 16), 3):
            await engine.submit(command)
        seen.clear()
        await engine.take_snapshot()
        listed = [one for one in seen if not one]
        assert len(listed) >= 3, "areas, chains, and what was left behind"
        assert gc.isenabled()
