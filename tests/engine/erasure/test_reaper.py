"""Expiry: invisible from its instant, ended in bounded slices, never by a clock in doubt (T9, T10)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import trio
import trio.testing

from retain.engine import StorageFailed, StorageFull, open_engine, wire
from retain.engine.core.domain import Expiry
from retain.engine.core.event import Cause
from retain.engine.core.time import SECOND
from retain.engine.options import Options
from retain.engine.testing import EPOCH, ManualClock, SteppedClock, open_memory_engine
from retain.journal import Verb, scan
from retain.journal.testing.memory import MemoryDisk
from tests.kit.disks import Halt, fail_next
from tests.kit.engines import pass_time
from tests.kit.toy import Drop, Dropped, Put, ToySlice, Urgent, held, inline

pytestmark = pytest.mark.usefixtures("toys")
QUIET = Options(sweep_interval_s=3600.0, sweep_records=10)
HOUR = 3600
DAY = 24 * HOUR
YEAR = 365 * DAY


def opened(disk: MemoryDisk, clock: SteppedClock | ManualClock) -> Any:
    return open_memory_engine(disk, clock=clock, options=QUIET)


def due(seconds: float) -> int:
    return EPOCH + round(seconds * SECOND)


def expiries(disk: MemoryDisk) -> list[str]:
    """The names whose end was journalled, in order."""
    found = []
    for record in scan(disk):
        event = wire.from_record(record)
        if isinstance(event, Dropped) and event.cause == Cause.EXPIRED:
            assert record.header.verb == Verb.DELETE
            assert event.actor == "retain"
            found.append(event.name)
    return found


def payloads(disk: MemoryDisk) -> list[str]:
    return [name for name in disk.files() if name.startswith("payloads/")]


async def forever(engine: Any, command: Put) -> None:
    """Submits the same until it is refused."""
    while True:
        await engine.submit(command)


async def put_file(engine: Any, name: str, until: int) -> None:
    async with engine.upload() as upload:
        await upload.write(bytes(70_000))
        await engine.submit(Put(name=name, until=until, body=await upload.finish()))


async def test_invisible_from_its_instant_and_not_before(disk: MemoryDisk, clock: SteppedClock) -> None:
    async with opened(disk, clock) as engine:
        await engine.submit(Put(name="a", until=due(30)))
        clock.advance(29.999)
        assert await engine.read(held("a")) is not None
        assert await engine.sweep() == 0
        clock.advance(0.001)
        assert await engine.read(held("a")) is None
        assert expiries(disk) == []
        assert await engine.sweep() == 1
        assert expiries(disk) == ["a"]
        assert await engine.sweep() == 0
        assert expiries(disk) == ["a"]


async def test_a_rearmed_deadline_ends_at_the_new_time_only(disk: MemoryDisk, clock: SteppedClock) -> None:
    async with opened(disk, clock) as engine:
        await engine.submit(Put(name="a", until=due(30)))
        await engine.submit(Put(name="a", until=due(60)))
        clock.advance(45)
        assert await engine.sweep() == 0
        assert await engine.read(held("a")) is not None
        clock.advance(15)
        assert await engine.sweep() == 1


async def test_slices_are_bounded_and_others_come_between(disk: MemoryDisk, clock: SteppedClock) -> None:
    async with opened(disk, clock) as engine, trio.open_nursery() as nursery:
        for number in range(95):
            await engine.submit(Put(name=f"{number:02}", until=due(1 + number / 100)))
        clock.advance(10)
        batches = [engine.state.seq]
        engine.on_commit(batches.append)
        answered_at: list[int] = []

        async def other() -> None:
            await engine.submit(Put(name="other"))
            answered_at.append(engine.statistics().durable)

        with Halt(disk) as halt:
            nursery.start_soon(engine.sweep)
            await halt.reached.wait()
            nursery.start_soon(other)
            await trio.testing.wait_all_tasks_blocked(0.01)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert await engine.sweep() == 0
        assert max(later - earlier for earlier, later in pairwise(batches)) <= 11
        assert answered_at[0] <= 95 + 21
        assert expiries(disk) == [f"{number:02}" for number in range(95)]


async def test_keys_that_end_in_many_events_keep_to_the_bound(
    disk: MemoryDisk, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ToySlice._expire

    def four_times(self: ToySlice, key: Any, now: int) -> Expiry:
        ended, records = original(self, key, now)
        return Expiry(tuple(ended) * 4, records * 4)

    monkeypatch.setattr(ToySlice, "_expire", four_times)
    async with opened(disk, clock) as engine:
        for number in range(7):
            await engine.submit(Put(name=str(number), until=due(1)))
        clock.advance(1)
        batches = [engine.state.seq]
        engine.on_commit(batches.append)
        assert await engine.sweep() == 7
        assert [later - earlier for earlier, later in pairwise(batches)] == [8, 8, 8, 4]


async def test_a_clock_set_back_shows_nothing_again_and_expires_nothing_twice(
    disk: MemoryDisk, clock: SteppedClock
) -> None:
    async with opened(disk, clock) as engine:
        await engine.submit(Put(name="a", until=due(30)))
        await engine.submit(Put(name="b", until=due(40)))
        clock.advance(30)
        assert await engine.read(held("a")) is None
        clock.step(-2 * HOUR)
        assert await engine.read(held("a")) is None
        assert await engine.read(held("b")) is not None
        await engine.sweep()
        assert expiries(disk) == ["a"]
        clock.advance(2 * HOUR + 10)
        await engine.sweep()
        assert expiries(disk) == ["a", "b"]


async def test_a_clock_set_back_does_not_make_anything_last_longer(
    disk: MemoryDisk, clock: SteppedClock
) -> None:
    async with opened(disk, clock) as engine:
        await engine.submit(Put(name="before", until=due(2)))
        clock.step(-40)
        await engine.submit(Put(name="after", until=engine.now() + 2 * SECOND))
        clock.advance(2)
        for name in ("before", "after"):
            assert await engine.read(held(name)) is None
        assert await engine.sweep() == 2


@pytest.mark.parametrize("clean", [True, False])
async def test_after_a_run_with_the_clock_ahead_things_still_end_in_time(
    disk: MemoryDisk, clock: SteppedClock, clean: bool
) -> None:
    async with opened(disk, clock) as engine:
        clock.step(DAY)
        assert engine.now() == EPOCH + DAY * SECOND
        clock.advance(600)
        await engine.submit(Put(name="a", until=engine.now() + 30 * SECOND))
        killed = disk.kill()
    clock.step(-DAY)
    async with opened(disk if clean else killed, clock) as engine:
        assert engine.statistics().clock.behind == DAY * SECOND
        assert await engine.read(held("a")) is not None
        clock.advance(30)
        assert await engine.read(held("a")) is None
        assert await engine.sweep() == 1


@pytest.mark.parametrize(("jump", "wait"), [(31 * DAY, DAY), (3 * YEAR, DAY), (6 * DAY, 600)])
async def test_a_start_with_the_clock_ahead_destroys_nothing_until_it_has_held(
    disk: MemoryDisk, clock: SteppedClock, jump: int, wait: int
) -> None:
    async with opened(disk, clock) as engine:
        await engine.submit(Put(name="a", until=due(2 * DAY)))
        await put_file(engine, "file", due(2 * DAY))
        await engine.submit(Put(name="gone"))
        await engine.submit(Drop(name="gone"))
    clock.step(jump)
    async with opened(disk, clock) as engine:
        assert await engine.read(held("a")) is None
        assert await engine.sweep() == 0
        clock.advance(wait - 1)
        assert await engine.sweep() == 0
        await engine.erase_due()
        assert expiries(disk) == []
        assert len(payloads(disk)) == 1
        early = disk.kill()
    async with opened(disk, clock) as engine:  # a start begins the wait anew
        assert await engine.sweep() == 0
        clock.advance(wait)
        assert await engine.sweep() == 2
        assert payloads(disk) == []
    clock.step(-jump)
    clock.advance(-wait - 600)
    async with opened(early, clock) as engine:
        assert await engine.read(held("a")) is not None
        assert await engine.read(held("file")) is not None


async def test_the_journals_time_does_not_follow_an_unexplained_jump(
    disk: MemoryDisk, clock: SteppedClock
) -> None:
    async with opened(disk, clock) as engine:
        await engine.submit(Put(name="a"))
        clock.step(YEAR)
        await engine.submit(Put(name="b", until=engine.now() + 30 * SECOND))
        assert await engine.read(held("b")) is not None
        assert engine.statistics().records_ahead_ns == 0
        clock.step(-YEAR)
        assert engine.now() == EPOCH
        assert [record.header.time for record in scan(disk)] == [EPOCH] * 2


async def test_a_jump_between_asking_and_deciding_destroys_nothing(
    disk: MemoryDisk, clock: SteppedClock
) -> None:
    async with opened(disk, clock) as engine, trio.open_nursery() as nursery:
        await engine.submit(Put(name="due", until=due(30)))
        await engine.submit(Put(name="not due", until=due(30 * DAY)))
        clock.advance(30)
        with Halt(disk) as halt:
            nursery.start_soon(engine.submit, Put(name="other"))
            await halt.reached.wait()
            nursery.start_soon(engine.sweep)
            await trio.testing.wait_all_tasks_blocked(0.01)
            clock.step(YEAR)
            halt.release()
        await trio.testing.wait_all_tasks_blocked(0.05)
        await engine.sweep()
        assert expiries(disk) == ["due"]


async def test_an_accepted_clock_destroys_at_once_and_is_known_to_the_next_start(
    disk: MemoryDisk, clock: SteppedClock
) -> None:
    async with opened(disk, clock) as engine:
        await engine.submit(Put(name="a", until=due(30 * DAY)))
        clock.step(YEAR)
        assert await engine.sweep() == 0
        await engine.accept_clock("cli:ann")
        assert await engine.sweep() == 1
        clock.step(-YEAR)
        assert engine.statistics().clock.behind == YEAR * SECOND
        await engine.accept_clock("cli:ann")
        assert engine.now() == EPOCH
        killed = disk.kill()
    async with opened(killed, clock) as engine:
        assert engine.now() == EPOCH
        assert engine.statistics().records_ahead_ns == YEAR * SECOND


async def test_a_damaged_file_of_the_clock_is_as_good_as_none(disk: MemoryDisk, clock: SteppedClock) -> None:
    async with opened(disk, clock) as engine:
        await engine.submit(Put(name="a"))
    for content in (b"", b"[]", b"{}", b"\xff", b'{"present":"1","wall":1,"monotonic":1,"journal":1}'):
        disk.write_atomic("clock", content)
        async with opened(disk, clock) as engine:
            assert engine.now() == EPOCH


async def test_a_jump_hides_at_once_and_destroys_only_when_it_holds(
    disk: MemoryDisk, clock: SteppedClock
) -> None:
    async with opened(disk, clock) as engine:
        await engine.submit(Put(name="a", until=due(2 * DAY)))
        clock.step(3 * DAY)
        assert await engine.read(held("a")) is None
        assert await engine.sweep() == 0
        clock.advance(599)
        assert await engine.sweep() == 0
        assert expiries(disk) == []
        clock.advance(1)
        assert await engine.sweep() == 1
        assert expiries(disk) == ["a"]


async def test_a_jump_that_is_undone_destroys_nothing(disk: MemoryDisk, clock: SteppedClock) -> None:
    async with opened(disk, clock) as engine:
        await engine.submit(Put(name="a", until=due(30 * DAY)))
        clock.step(10 * YEAR)
        assert await engine.sweep() == 0
        await engine.submit(Put(name="b"))
        clock.advance(60)
        clock.step(-10 * YEAR)
        assert await engine.sweep() == 0
        assert await engine.read(held("a")) is not None
        clock.advance(HOUR)
        assert await engine.sweep() == 0
        assert await engine.read(held("a")) is not None


async def test_a_jump_undone_by_a_part_destroys_nothing_yet(disk: MemoryDisk, clock: SteppedClock) -> None:
    async with opened(disk, clock) as engine:
        await engine.submit(Put(name="a", until=due(30 * DAY)))
        clock.step(10 * YEAR)
        assert await engine.sweep() == 0
        clock.step(-2 * HOUR)
        assert await engine.sweep() == 0
        assert expiries(disk) == []


async def test_a_step_during_a_request_serves_nothing_late(disk: MemoryDisk, clock: SteppedClock) -> None:
    async with opened(disk, clock) as engine, trio.open_nursery() as nursery:
        await engine.submit(Put(name="a", until=due(30)))
        with Halt(disk) as halt:
            nursery.start_soon(engine.submit, Put(name="b"))
            await halt.reached.wait()
            clock.step(31)
            halt.release()
        assert await engine.read(held("a")) is None


@pytest.mark.parametrize("clean", [True, False])
async def test_nothing_due_in_downtime_is_served_even_before_a_sweep(
    disk: MemoryDisk, clock: SteppedClock, clean: bool
) -> None:
    async with opened(disk, clock) as engine:
        for number in range(25):
            await engine.submit(Put(name=f"{number:02}", until=due(30 * DAY)))
        await put_file(engine, "file", due(30 * DAY))
        await engine.submit(Put(name="kept", until=due(60 * DAY)))
        killed = disk.kill()
    disk = disk if clean else killed
    clock.advance(31 * DAY)
    async with opened(disk, clock) as engine:
        for number in range(25):
            assert await engine.read(held(f"{number:02}")) is None
        assert await engine.read(held("file")) is None
        assert await engine.read(held("kept")) is not None
        assert expiries(disk) == []
        assert await engine.sweep() == 26
        assert sorted(expiries(disk)) == [*(f"{number:02}" for number in range(25)), "file"]
        assert payloads(disk) == []
    async with opened(disk, clock) as engine:
        assert await engine.sweep() == 0
        assert len(expiries(disk)) == 26
        assert await engine.read(held("kept")) is not None


async def test_the_reaper_runs_by_itself(disk: MemoryDisk, mock_clock: trio.testing.MockClock) -> None:
    async with open_memory_engine(disk, clock=ManualClock(), options=Options()) as engine:
        until = engine.now() + 30 * SECOND
        await engine.submit(Put(name="a", until=until))
        await pass_time(engine, mock_clock, 28)
        assert expiries(disk) == []
        await pass_time(engine, mock_clock, 4)
        assert expiries(disk) == ["a"]


async def test_the_reaper_survives_a_full_disk(disk: MemoryDisk, mock_clock: trio.testing.MockClock) -> None:
    async with open_memory_engine(disk, clock=ManualClock(), options=Options()) as engine:
        await engine.submit(Put(name="a", until=engine.now() + 5 * SECOND))
        disk.capacity = 0
        with pytest.raises(StorageFull):
            await forever(engine, Urgent(name="filler", body=inline(bytes(1_000_000))))
        await pass_time(engine, mock_clock, 10)
        assert expiries(disk) == []
        assert await engine.read(held("a")) is None
        disk.capacity = None
        await pass_time(engine, mock_clock, 3)
        assert expiries(disk) == ["a"]


async def test_files_go_after_the_event_that_released_them(disk: MemoryDisk, clock: SteppedClock) -> None:
    async with opened(disk, clock) as engine, trio.open_nursery() as nursery:
        await put_file(engine, "a", due(30))
        clock.advance(30)
        with Halt(disk) as halt:
            nursery.start_soon(engine.sweep)
            await halt.reached.wait()
            assert len(payloads(disk)) == 1
            cut = disk.crash("none")
            halt.release()
            await engine.sweep()
        assert payloads(disk) == []
    async with opened(cut, clock) as engine:
        assert len(payloads(cut)) == 1
        await engine.sweep()
        assert payloads(cut) == []


async def test_files_released_by_the_next_batch_wait_for_that_one(
    disk: MemoryDisk, clock: SteppedClock
) -> None:
    """While the reaper waits for one batch, the writer applies the next, whose releases are not durable."""
    async with opened(disk, clock) as engine, trio.open_nursery() as nursery:
        await put_file(engine, "a", due(60))
        await put_file(engine, "b", due(60))
        with Halt(disk) as halt:
            nursery.start_soon(engine.submit, Drop(name="a"))
            await halt.reached.wait()
            nursery.start_soon(engine.sweep)
            nursery.start_soon(engine.submit, Drop(name="b"))
            await trio.testing.wait_all_tasks_blocked(0.01)
            halt.next("pwrite")
            await halt.reached.wait()
            await trio.testing.wait_all_tasks_blocked(0.02)
            cut = disk.crash("all")
    async with opened(cut, clock) as engine:
        found = await engine.read(held("b"))
        assert len(await (await engine.open_body(found)).read()) == 70_000


async def test_many_files_go_in_few_calls(disk: MemoryDisk, clock: SteppedClock) -> None:
    async with opened(disk, clock) as engine:
        for number in range(70):
            await put_file(engine, str(number), due(30))
        clock.advance(30)
        assert await engine.sweep() == 70
        assert payloads(disk) == []


async def test_a_failed_sync_keeps_the_files(disk: MemoryDisk, clock: SteppedClock) -> None:
    async with open_engine(disk, clock=clock, options=QUIET) as engine:
        await put_file(engine, "a", due(30))
        clock.advance(30)
        fail_next(disk, "sync")
        with pytest.raises(StorageFailed):
            await engine.sweep()
        assert len(payloads(disk)) == 1
    assert len(payloads(disk)) == 1
