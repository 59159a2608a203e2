"""Snapshots: start-up independent of history; a cache that may be lost, damaged or another's."""

from __future__ import annotations

import errno
from typing import Any

import pytest
import trio
import trio.testing

from retain.engine import StorageFailed, open_engine
from retain.engine.core.snapshot_table import Frozen
from retain.engine.options import Options
from retain.engine.snapshots import file as snapshot
from retain.engine.snapshots.load import load
from retain.engine.testing import ManualClock, SteppedClock, open_memory_engine
from retain.journal import NoSpace
from retain.journal.testing.memory import MemoryDisk, PowerCut
from tests.kit.disks import Halt, count, fail_next
from tests.kit.engines import LightOptions, pass_time
from tests.kit.toy import Drop, Put, held, inline

pytestmark = pytest.mark.usefixtures("toys")
QUIET = LightOptions(sweep_interval_s=3600.0)
BALLAST = "journal/ballast"


def opened(disk: MemoryDisk, options: Options = QUIET) -> Any:
    return open_memory_engine(disk, clock=SteppedClock(), options=options)


async def history(disk: MemoryDisk, first: str = "a") -> bytes:
    """Some changes, a snapshot in their midst and one at the stop; answers the digest at the end."""
    async with opened(disk) as engine:
        async with engine.upload() as upload:
            await upload.write(bytes(70_000))
            await engine.submit(Put(name="file", body=await upload.finish()))
        await engine.submit(Put(name=first, body=inline(b"one")))
        await engine.submit(Put(name="gone"))
        await engine.submit(Drop(name="gone"))
        await engine.take_snapshot()
        await engine.submit(Put(name="late", body=inline(b"two")))
        await engine.submit(Drop(name=first))
        digest: bytes = engine.state.digest()
        return digest


def snapshots(disk: MemoryDisk) -> list[str]:
    return [name for name in disk.files() if name.startswith("snapshot-")]


def reopened(files: dict[str, bytes]) -> bytes:
    """The digest of what a start makes of these files."""
    log, state, *_ = load(MemoryDisk(files), QUIET, bytes)
    log.abandon()
    state.check()
    return state.digest()


async def test_a_stop_leaves_one_snapshot_that_the_next_start_uses(
    disk: MemoryDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = await history(disk)
    assert snapshots(disk) == [snapshot.name_of(6)]
    state, position = snapshot.load(disk, snapshot.name_of(6))
    assert state.digest() == digest
    assert position.seq == 6
    monkeypatch.setattr("retain.engine.snapshots.load.replay", _never)
    assert reopened(disk.files()) == digest


@pytest.mark.parametrize("damage", ["missing", "unusable"])
async def test_a_start_without_a_snapshot_leaves_one_although_nothing_changed(
    disk: MemoryDisk, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = await history(disk)
    (name,) = snapshots(disk)
    files = {**disk.files(), name: b"\x00"}
    if damage == "missing":
        del files[name]
    disk = MemoryDisk(files)
    async with opened(disk):
        pass
    assert snapshots(disk) == [name]
    monkeypatch.setattr("retain.engine.snapshots.load.replay", _never)
    assert reopened(disk.files()) == digest


def _never(*_: Any) -> None:
    pytest.fail("the snapshot was not used")


async def test_nothing_new_means_no_new_snapshot(disk: MemoryDisk) -> None:
    await history(disk)
    before = count(disk, "replace", "snapshot")
    async with opened(disk):
        pass
    assert count(disk, "replace", "snapshot") == before


async def test_a_snapshot_and_its_tail_give_what_all_of_history_gives(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        await engine.submit(Put(name="a"))
        await engine.take_snapshot()
        await engine.submit(Put(name="b"))
        digest = engine.state.digest()
        files = disk.crash("none").files()
    assert snapshot.name_of(1) in files
    assert reopened(files) == digest
    assert reopened({name: data for name, data in files.items() if "snapshot" not in name}) == digest


async def test_a_flip_of_any_byte_is_noticed(disk: MemoryDisk) -> None:
    await history(disk)
    (name,) = snapshots(disk)
    data = disk.files()[name]
    for offset in range(len(data)):
        for pattern in (0x01, 0x80, 0xFF):
            damaged = bytearray(data)
            damaged[offset] ^= pattern
            with pytest.raises((snapshot.InvalidSnapshot, ValueError)):
                snapshot.load(MemoryDisk({name: bytes(damaged)}), name)


async def test_a_cut_at_any_byte_is_noticed(disk: MemoryDisk) -> None:
    await history(disk)
    (name,) = snapshots(disk)
    data = disk.files()[name]
    for length in range(len(data)):
        with pytest.raises((snapshot.InvalidSnapshot, ValueError)):
            snapshot.load(MemoryDisk({name: data[:length]}), name)
    with pytest.raises((snapshot.InvalidSnapshot, ValueError)):
        snapshot.load(MemoryDisk({name: data + bytes(8)}), name)


async def test_a_snapshot_with_other_rows_than_it_counts_is_noticed(disk: MemoryDisk) -> None:
    digest = await history(disk)
    (name,) = snapshots(disk)
    with disk.open(name) as file:
        head, *_ = snapshot._read_blocks(file)
    with disk.open(name, create=True) as file:
        blocks = snapshot._Blocks(file)
        blocks.write(head)
        blocks.write([7, blocks.digest()])
    with pytest.raises(snapshot.InvalidSnapshot):
        snapshot.load(disk, name)
    assert reopened(disk.files()) == digest


async def test_a_damaged_snapshot_is_passed_over_for_all_of_history(disk: MemoryDisk) -> None:
    digest = await history(disk)
    (name,) = snapshots(disk)
    files = disk.files()
    for offset in range(0, len(files[name]), 23):
        damaged = bytearray(files[name])
        damaged[offset] ^= 0xFF
        assert reopened({**files, name: bytes(damaged)}) == digest


async def test_an_older_snapshot_stands_in_for_a_damaged_one(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        await engine.submit(Put(name="a"))
        await engine.take_snapshot()
        older = {name: disk.files()[name] for name in snapshots(disk)}
        await engine.submit(Put(name="b"))
    digest = reopened(disk.files())
    newest = snapshots(disk)[-1]
    assert reopened({**disk.files(), **older, newest: b"\x00"}) == digest


@pytest.mark.parametrize("longer", [True, False])
async def test_a_snapshot_of_another_journal_is_passed_over(disk: MemoryDisk, longer: bool) -> None:
    digest = await history(disk)
    other = MemoryDisk()
    await history(other, first="b")
    async with opened(other) as engine:
        for _ in range(3 if longer else 0):
            await engine.submit(Put(name="more"))
    own = {name: data for name, data in disk.files().items() if "snapshot" not in name}
    foreign = {name: other.files()[name] for name in snapshots(other)}
    assert len(foreign) == 1
    assert reopened({**own, **foreign}) == digest


async def test_a_snapshot_of_another_version_is_passed_over(
    disk: MemoryDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(snapshot, "VERSION", snapshot.VERSION + 1)
        digest = await history(disk)
    assert reopened(disk.files()) == digest


async def test_rows_of_another_shape_are_passed_over(
    disk: MemoryDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.kit.toy import ToySlice

    with monkeypatch.context() as patch:
        patch.setattr(ToySlice, "freeze", lambda self: Frozen(lambda: iter([["only a name"]])))
        disk_of_then = MemoryDisk()
        async with open_engine(disk_of_then, clock=SteppedClock(), options=QUIET) as engine:
            await engine.submit(Put(name="a"))
    digest = reopened(disk_of_then.files())
    without = {name: data for name, data in disk_of_then.files().items() if "snapshot" not in name}
    assert digest == reopened(without)


async def test_a_file_that_cannot_be_read_is_passed_over(disk: MemoryDisk) -> None:
    digest = await history(disk)
    broken = MemoryDisk(disk.files(), count_reads=True)
    fail_next(broken, "pread", "snapshot-")
    log, state, *_ = load(broken, QUIET, bytes)
    log.abandon()
    assert state.digest() == digest


async def test_requests_go_on_while_a_snapshot_is_written(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        await engine.submit(Put(name="a"))
        at_snapshot = engine.state.digest()
        async with trio.open_nursery() as nursery:
            with Halt(disk, part="snapshot") as halt:
                nursery.start_soon(engine.take_snapshot)
                await halt.reached.wait()
                await engine.submit(Put(name="b"))
                await engine.submit(Drop(name="a"))
                assert await engine.read(held("b")) is not None
        state, position = snapshot.load(disk, snapshot.name_of(1))
        assert state.digest() == at_snapshot
        assert position.seq == 1
        digest = engine.state.digest()
        files = disk.crash("none").files()
    assert reopened(files) == digest


async def test_two_snapshots_at_once_take_turns(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        await engine.submit(Put(name="a"))
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(engine.take_snapshot)
                nursery.start_soon(engine.submit, Put(name="b"))
        assert len(snapshots(disk)) == 1


@pytest.mark.parametrize(
    ("kind", "error", "expected"),
    [("create", errno.ENOSPC, NoSpace), ("pwrite", errno.ENOSPC, NoSpace), ("sync", errno.EIO, OSError)],
)
async def test_a_snapshot_that_cannot_be_written_leaves_the_older_one(
    disk: MemoryDisk, kind: str, error: int, expected: type[Exception]
) -> None:
    async with opened(disk) as engine:
        await engine.submit(Put(name="a"))
        await engine.take_snapshot()
        await engine.submit(Put(name="b"))
        fail_next(disk, kind, "snapshot", error)
        with pytest.raises(expected):
            await engine.take_snapshot()
        assert snapshots(disk) == [snapshot.name_of(1)]
        await engine.submit(Put(name="c"))


async def test_a_stop_without_room_for_a_snapshot_is_noted(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        await engine.submit(Put(name="a"))
        fail_next(disk, "create", "snapshot", errno.ENOSPC)
    assert any("snapshot" in notice for notice in engine.notices)
    async with opened(disk) as engine:
        assert await engine.read(held("a")) is not None


async def test_after_a_failed_write_no_snapshot_is_taken(disk: MemoryDisk) -> None:
    async with open_engine(disk, clock=SteppedClock(), options=QUIET) as engine:
        fail_next(disk, "sync")
        with pytest.raises(StorageFailed):
            await engine.submit(Put(name="a"))
        with pytest.raises(StorageFailed):
            await engine.take_snapshot()
    assert snapshots(disk) == []


async def test_a_busy_engine_takes_one_now_and_then(
    disk: MemoryDisk, mock_clock: trio.testing.MockClock
) -> None:
    options = Options(snapshot_records=5, erase_interval_s=3600.0)
    async with open_memory_engine(disk, clock=ManualClock(), options=options) as engine:
        await engine.submit(Put(count=4))
        await pass_time(engine, mock_clock, 3)
        assert snapshots(disk) == []
        await engine.submit(Put())
        await pass_time(engine, mock_clock, 3)
        assert snapshots(disk) == [snapshot.name_of(5)]
        fail_next(disk, "create", "snapshot", errno.ENOSPC)
        await engine.submit(Put(count=5))
        await pass_time(engine, mock_clock, 3)
        assert snapshots(disk) == [snapshot.name_of(5)]
        await engine.submit(Put(count=5))
        await pass_time(engine, mock_clock, 3)
        assert snapshots(disk) == [snapshot.name_of(15)]


async def test_an_engine_told_so_takes_none_while_running(
    disk: MemoryDisk, mock_clock: trio.testing.MockClock
) -> None:
    async with open_memory_engine(disk, clock=ManualClock(), options=Options(snapshot_records=0)) as engine:
        await engine.submit(Put(count=50))
        await pass_time(engine, mock_clock, 5)
        assert snapshots(disk) == []


async def test_half_a_snapshot_is_removed_at_the_next_start(disk: MemoryDisk) -> None:
    digest = await history(disk)
    half = "snapshot-0000000000000005.msgpack.tmp"
    after = MemoryDisk({**disk.files(), half: b"personal data"})
    async with opened(after) as engine:
        assert engine.state.digest() == digest
        assert half not in after.files()


@pytest.mark.parametrize("mode", ["none", "all", "random"])
async def test_a_power_cut_at_any_operation_of_a_snapshot_costs_nothing(disk: MemoryDisk, mode: Any) -> None:
    async with opened(disk) as engine:
        await engine.submit(Put(name="a"))
        await engine.take_snapshot()
        await engine.submit(Put(name="b"))
        digest = engine.state.digest()
        start = disk.kill()
        position, time, state = engine._log.head.position, engine.state.time, engine.state
    for number in range(1, 100):
        trial = start.kill()
        trial.stop_at(number)
        try:
            snapshot.write(trial, position, time, state.freeze().rows)
        except PowerCut:
            assert reopened(trial.crash(mode).files()) == digest
        else:
            assert number > 5
            assert reopened(trial.crash(mode).files()) == digest
            return
    pytest.fail("a snapshot takes more operations than were tried")
