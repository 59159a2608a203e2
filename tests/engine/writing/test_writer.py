"""The writer: group commit, answers after the sync only, cancellation, full and failing disks."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
import trio
import trio.testing

from retain.engine import Engine, EngineClosed, NotFound, StorageFailed, StorageFull, TooLarge, open_engine
from retain.engine.options import Options
from retain.engine.testing import ManualClock, SteppedClock, open_memory_engine, verify
from retain.engine.writing.writer import GATHER_RECORDS
from retain.journal import JournalOptions, scan
from retain.journal.format.limits import BATCH_RECORDS, PART_BYTES, draft_room
from retain.journal.testing.memory import MemoryDisk
from tests.kit.disks import Halt, count, fail_next
from tests.kit.engines import pass_time
from tests.kit.toy import Break, Drop, Put, Urgent, held, inline

pytestmark = pytest.mark.usefixtures("toys")
QUIET = Options(sweep_interval_s=3600.0)
LARGE = inline(bytes(PART_BYTES - 1000))


def opened(disk: MemoryDisk, clock: SteppedClock | None = None) -> Any:
    return open_memory_engine(disk, clock=clock or SteppedClock(), options=QUIET)


class Outcome:
    """What became of a call running in the background."""

    def __init__(self) -> None:
        self.value: Any = None
        self.error: Exception | None = None
        self.done = False
        self.scope = trio.CancelScope()

    async def run(self, work: Callable[[], Awaitable[Any]]) -> None:
        with self.scope:
            try:
                self.value = await work()
            except Exception as error:  # looked at by the test
                self.error = error
            self.done = True


def start(nursery: trio.Nursery, work: Callable[..., Awaitable[Any]], *args: Any) -> Outcome:
    outcome = Outcome()
    nursery.start_soon(outcome.run, lambda: work(*args))
    return outcome


async def names(engine: Engine) -> set[str]:
    return await engine.read(lambda state, _: set(state.toy.notes))


async def test_what_was_answered_survives_a_power_cut(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        assert await engine.submit(Put(name="a", body=inline(b"kept"))) == 1
        after = disk.crash("none")
    async with opened(after) as engine:
        found = await engine.read(held("a"))
        assert await (await engine.open_body(found)).read() == b"kept"


async def test_nobody_is_answered_before_the_sync(disk: MemoryDisk) -> None:
    async with opened(disk) as engine, trio.open_nursery() as nursery:
        with Halt(disk) as halt:
            put = start(nursery, engine.submit, Put(name="a"))
            refusal = start(nursery, engine.submit, Drop(name="missing"))
            await halt.reached.wait()
            read = start(nursery, engine.read, held("a"))
            missing = start(nursery, engine.read, _missing)
            unrelated = start(nursery, engine.submit, Drop(name="missing"))
            await trio.testing.wait_all_tasks_blocked(0.01)
            outcomes = (put, refusal, read, missing, unrelated)
            assert not any(outcome.done for outcome in outcomes)
            assert engine.statistics().seq == 1
            assert engine.statistics().durable == 0
            halt.release()
            await engine.submit(Put(name="b"))
        await trio.testing.wait_all_tasks_blocked()
        assert all(outcome.done for outcome in outcomes)
        assert put.value == 1
        assert read.value is not None
        assert isinstance(refusal.error, NotFound)
        assert isinstance(missing.error, NotFound)
        assert isinstance(unrelated.error, NotFound)


def _missing(state: Any, now: int) -> None:
    raise NotFound("not there")


async def test_a_read_of_durable_state_does_not_wait(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        await engine.submit(Put(name="a"))
        with pytest.raises(NotFound):
            await engine.read(_missing)
        assert await engine.read(held("a")) is not None


async def test_commands_that_gather_during_a_sync_share_the_next_one(disk: MemoryDisk) -> None:
    async with opened(disk) as engine, trio.open_nursery() as nursery:
        with Halt(disk) as halt:
            nursery.start_soon(engine.submit, Put())
            await halt.reached.wait()
            for number in range(64):
                nursery.start_soon(engine.submit, Put(name=str(number)))
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert engine.statistics().waiting == 64
            before = count(disk, "sync")
            halt.release()
            await engine.submit(Drop())
        assert count(disk, "sync") - before <= 2  # the one that was halted does not count again
        assert len(await names(engine)) == 64


async def test_a_batch_takes_a_bounded_number_of_commands(disk: MemoryDisk) -> None:
    async with opened(disk) as engine, trio.open_nursery() as nursery:
        sizes: list[int] = []
        engine.on_commit(sizes.append)
        with Halt(disk) as halt:
            nursery.start_soon(engine.submit, Put())
            await halt.reached.wait()
            for _ in range(GATHER_RECORDS + 10):
                nursery.start_soon(engine.submit, Put())
            await trio.testing.wait_all_tasks_blocked(0.01)
        await engine.submit(Put(name="last"))
        assert sizes[:2] == [1, 1 + GATHER_RECORDS]
        assert sizes[-1] == 1 + GATHER_RECORDS + 10 + 1


async def test_a_batch_takes_a_bounded_number_of_bytes(disk: MemoryDisk) -> None:
    async with opened(disk) as engine, trio.open_nursery() as nursery:
        sizes: list[int] = []
        engine.on_commit(sizes.append)
        with Halt(disk) as halt:
            nursery.start_soon(engine.submit, Put())
            await halt.reached.wait()
            for _ in range(5):
                nursery.start_soon(engine.submit, Put(body=LARGE))
            await trio.testing.wait_all_tasks_blocked(0.01)
        await engine.submit(Put(name="last"))
        assert all(later - earlier <= 2 for earlier, later in pairwise(sizes))


async def test_a_decision_is_never_split_over_two_batches(disk: MemoryDisk) -> None:
    async with opened(disk) as engine, trio.open_nursery() as nursery:
        sizes: list[int] = []
        engine.on_commit(sizes.append)
        with Halt(disk) as halt:
            nursery.start_soon(engine.submit, Put())
            await halt.reached.wait()
            nursery.start_soon(engine.submit, Put(count=400))
            await trio.testing.wait_all_tasks_blocked(0.01)
            nursery.start_soon(engine.submit, Put(count=BATCH_RECORDS - 100))
            await trio.testing.wait_all_tasks_blocked(0.01)
        await engine.submit(Put(name="last"))
        assert sizes[:3] == [1, 401, 401 + BATCH_RECORDS - 100]


@pytest.mark.parametrize(
    "command",
    [Put(body=inline(bytes(PART_BYTES))), Put(count=BATCH_RECORDS + 1), Put(count=5, body=LARGE)],
    ids=["part", "records", "frame"],
)
async def test_a_change_larger_than_a_batch_is_refused(disk: MemoryDisk, command: Put) -> None:
    async with opened(disk) as engine:
        with pytest.raises(TooLarge):
            await engine.submit(command)
        assert await names(engine) == set()
        assert await engine.submit(Put()) == 1


async def test_the_largest_change_fits(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        assert await engine.submit(Put(count=BATCH_RECORDS)) == BATCH_RECORDS
        assert await engine.submit(Put(body=LARGE)) == 1


async def test_cancelled_while_queued_means_it_did_not_happen(disk: MemoryDisk) -> None:
    async with opened(disk) as engine, trio.open_nursery() as nursery:
        with Halt(disk) as halt:
            nursery.start_soon(engine.submit, Put(name="first"))
            await halt.reached.wait()
            queued = start(nursery, engine.submit, Put(name="queued"))
            await trio.testing.wait_all_tasks_blocked(0.01)
            queued.scope.cancel()
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert queued.scope.cancelled_caught
            halt.release()
            await engine.submit(Put(name="next"))
        assert await names(engine) == {"first", "next"}
        assert await engine.read(lambda state, _: state.toy.decided) == 2


async def test_cancelled_once_taken_waits_for_the_sync(disk: MemoryDisk) -> None:
    async with opened(disk) as engine, trio.open_nursery() as nursery:
        with Halt(disk) as halt:
            taken = start(nursery, engine.submit, Put(name="taken"))
            await halt.reached.wait()
            taken.scope.cancel()
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert not taken.done
            halt.release()
            await engine.submit(Put(name="next"))
        assert taken.done
        assert taken.value == 1
        assert await names(engine) == {"taken", "next"}


async def test_a_bug_in_decide_reaches_its_caller_only(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        with pytest.raises(ZeroDivisionError):
            await engine.submit(Break(error=ZeroDivisionError("a bug")))
        assert await engine.submit(Put()) == 1


async def test_a_bug_in_apply_ends_the_engine_and_leaves_nobody_waiting(disk: MemoryDisk) -> None:
    outcomes: list[Outcome] = []
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True, allow_unwrapped=True):
        async with open_engine(disk, clock=SteppedClock(), options=QUIET) as engine:
            await engine.submit(Put(name="before"))
            async with trio.open_nursery() as nursery:
                with Halt(disk) as halt:
                    nursery.start_soon(engine.submit, Put(name="first"))
                    await halt.reached.wait()
                    outcomes += [start(nursery, engine.submit, Put(name="same batch"))]
                    outcomes += [start(nursery, engine.submit, Break())]
                    await trio.testing.wait_all_tasks_blocked(0.01)
                    outcomes += [start(nursery, engine.submit, Put(name="behind"))]
                    jobs = [start(nursery, engine.between_batches, dict) for _ in range(2)]
                    await trio.testing.wait_all_tasks_blocked(0.01)
    for outcome in outcomes:
        assert isinstance(outcome.error, StorageFailed | EngineClosed) or not outcome.done
    assert sorted(type(job.error) is EngineClosed for job in jobs) == [False, True]
    async with opened(disk) as engine:
        assert await names(engine) == {"before", "first"}


async def until(expected: type[Exception], engine: Engine, command: Put) -> None:
    """Submits the same until it is refused so."""
    for _ in range(20):
        try:
            await engine.submit(command)
        except expected:
            return
    pytest.fail("never refused")


async def fill(engine: Engine, disk: MemoryDisk) -> None:
    """Uses up what the disk has left, which is no more than it has given so far."""
    disk.capacity = sum(map(len, disk.files().values()))
    await until(StorageFull, engine, Put(name="filler", body=LARGE))
    assert engine.statistics().full


async def test_a_full_disk_refuses_and_changes_nothing_while_deletes_work(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        await engine.submit(Put(name="a"))
        await fill(engine, disk)
        before = await engine.read(lambda state, _: (state.digest(), state.seq))
        with pytest.raises(StorageFull):
            await engine.submit(Put(name="b"))
        assert await engine.read(lambda state, _: (state.digest(), state.seq)) == before
        await engine.submit(Drop(name="a"))
        assert await engine.read(held("a")) is None
        with pytest.raises(StorageFull):
            await engine.submit(Put(name="b"))
        after = disk.crash("none")
        await verify(engine)
    async with opened(after) as engine:
        assert await engine.read(held("a")) is None


async def test_writing_goes_on_once_there_is_room(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        await fill(engine, disk)
        disk.capacity = None
        assert await engine.submit(Put(name="b")) == 1
        assert not engine.statistics().full


async def test_a_disk_that_was_full_is_noticed_to_have_room_without_a_command(
    disk: MemoryDisk, mock_clock: trio.testing.MockClock
) -> None:
    async with open_memory_engine(disk, clock=SteppedClock(), options=Options()) as engine:
        await fill(engine, disk)
        disk.capacity = None
        await pass_time(engine, mock_clock, 2)
        assert not engine.statistics().full


async def test_a_disk_with_no_room_at_all_refuses_deletes_too(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        await engine.submit(Put(name="a"))
        await fill(engine, disk)
        disk.capacity = 0
        await until(StorageFull, engine, Urgent(name="filler", body=LARGE))
        with pytest.raises(StorageFull):
            await engine.submit(Drop(name="a"))
        disk.capacity = None
        await engine.submit(Drop(name="a"))


@pytest.mark.parametrize(
    ("kind", "error", "short"),
    [
        ("sync", errno.EIO, False),
        ("sync", errno.ENOSPC, False),
        ("pwrite", errno.EIO, False),
        ("pwrite", errno.EIO, True),
        ("pwrite", errno.ENOSPC, True),
    ],
)
async def test_a_failed_write_or_sync_is_final(disk: MemoryDisk, kind: str, error: int, short: bool) -> None:
    async with open_engine(disk, clock=SteppedClock(), options=QUIET) as engine:
        await engine.submit(Put(name="a"))
        fail_next(disk, kind, error=error, short=short)
        async with trio.open_nursery() as nursery:
            outcomes = [
                start(nursery, engine.submit, Put(name="b")),
                start(nursery, engine.submit, Drop(name="missing")),
                start(nursery, engine.submit, Put(name="c")),
            ]
        assert [type(outcome.error) for outcome in outcomes] == [StorageFailed] * 3
        assert engine.statistics().failure
        assert engine.statistics().durable == 1
        for command in (Put(name="d"), Drop(name="a")):
            with pytest.raises(StorageFailed):
                await engine.submit(command)
        with pytest.raises(StorageFailed):
            await engine.read(held("b"))
        with pytest.raises(StorageFailed):
            await engine.take_snapshot()
        with pytest.raises(StorageFailed):
            await engine.erase([(1, 2)], 3)  # type: ignore[list-item]
        before = count(disk, "sync")
    assert count(disk, "sync") == before, "a sync that failed must not be tried again"
    async with opened(disk.crash("none")) as engine:
        assert await names(engine) == {"a"}


async def test_commands_waiting_behind_a_failed_batch_fail_with_it(disk: MemoryDisk) -> None:
    async with open_engine(disk, clock=SteppedClock(), options=QUIET) as engine:
        async with trio.open_nursery() as nursery:
            with Halt(disk) as halt:
                first = start(nursery, engine.submit, Put(name="a"))
                await halt.reached.wait()
                second = start(nursery, engine.submit, Put(name="b"))
                snapshot = start(nursery, engine.take_snapshot)
                await trio.testing.wait_all_tasks_blocked(0.01)
                disk.fail_at(disk.operations, errno.EIO)
        assert [type(one.error) for one in (first, second, snapshot)] == [StorageFailed] * 3
    assert not [name for name in disk.files() if name.startswith("snapshot")]


async def test_a_failed_reservation_is_final(disk: MemoryDisk) -> None:
    async with open_engine(disk, clock=SteppedClock(), options=QUIET) as engine:
        await engine.submit(Put(name="a"))
        fail_next(disk, "allocate")
        await until(StorageFailed, engine, Put(name="b", body=LARGE))
        assert engine.statistics().failure


async def test_a_reservation_that_fails_at_the_start_is_final(disk: MemoryDisk) -> None:
    async with opened(disk):
        pass
    fail_next(disk, "allocate")
    async with open_engine(disk, clock=SteppedClock(), options=QUIET) as engine:
        with pytest.raises(StorageFailed):
            await engine.submit(Put())


async def test_the_anchor_is_written_at_most_once_an_interval_while_busy(
    disk: MemoryDisk, clock: SteppedClock
) -> None:
    async with opened(disk, clock) as engine:
        before = count(disk, "replace", "anchor")
        for _ in range(20):
            await engine.submit(Put())
            clock.advance(0.25)
        assert 4 <= count(disk, "replace", "anchor") - before <= 5


async def test_a_full_disk_keeps_the_old_anchor_and_goes_on(disk: MemoryDisk, clock: SteppedClock) -> None:
    async with opened(disk, clock) as engine:
        await engine.submit(Put())
        clock.advance(2)
        fail_next(disk, "create", "anchor", errno.ENOSPC)
        assert await engine.submit(Put()) == 1
        assert await engine.submit(Put()) == 1
        assert count(disk, "replace", "anchor") >= 1


async def test_a_failing_anchor_ends_writing(disk: MemoryDisk, clock: SteppedClock) -> None:
    async with open_engine(disk, clock=clock, options=QUIET) as engine:
        await engine.submit(Put())
        clock.advance(2)
        fail_next(disk, "sync", "anchor")
        with pytest.raises(StorageFailed):
            await engine.submit(Put())


async def test_the_anchor_of_an_idle_engine_catches_up(
    disk: MemoryDisk, mock_clock: trio.testing.MockClock
) -> None:
    async with open_memory_engine(disk, options=Options()) as engine:
        await engine.submit(Put())
        before = count(disk, "replace", "anchor")
        await pass_time(engine, mock_clock, 3)
        assert count(disk, "replace", "anchor") == before + 1
        await pass_time(engine, mock_clock, 30)
        assert count(disk, "replace", "anchor") == before + 1


async def test_upkeep_on_a_failing_disk_ends_writing(
    disk: MemoryDisk, mock_clock: trio.testing.MockClock
) -> None:
    async with open_engine(disk, clock=ManualClock(), options=Options()) as engine:
        await engine.submit(Put())
        fail_next(disk, "sync", "anchor")
        await pass_time(engine, mock_clock, 3)
        assert engine.statistics().failure
        await pass_time(engine, mock_clock, 3)


async def test_a_stopped_engine_takes_nothing(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        await engine.submit(Put())
    with pytest.raises(EngineClosed):
        await engine.submit(Put())
    with pytest.raises(EngineClosed):
        await engine.between_batches(dict)


async def test_stopping_finishes_what_waits(disk: MemoryDisk) -> None:
    halt = Halt(disk)
    async with trio.open_nursery() as nursery, opened(disk) as engine:
        halt.__enter__()
        outcomes = [start(nursery, engine.submit, Put(name=str(number))) for number in range(5)]
        await halt.reached.wait()
        outcomes.append(start(nursery, engine.submit, Put(name="queued")))
        await trio.testing.wait_all_tasks_blocked(0.01)
        halt.release()
    assert all(outcome.value == 1 for outcome in outcomes)
    async with opened(disk) as engine:
        assert await names(engine) == {"0", "1", "2", "3", "4", "queued"}


async def test_work_between_batches_raises_where_it_was_asked_for(disk: MemoryDisk) -> None:
    def work() -> None:
        raise ZeroDivisionError

    async with opened(disk) as engine:
        with pytest.raises(ZeroDivisionError):
            await engine.between_batches(work)
        assert await engine.submit(Put()) == 1


async def test_a_state_that_cannot_follow_the_journal_ends_writing(disk: MemoryDisk) -> None:
    """What follows work between batches may fail halfway: state and journal no longer agree."""

    def follow(_: object) -> None:
        raise ZeroDivisionError

    async with opened(disk) as engine:
        await engine.submit(Put(name="before"))
        with trio.fail_after(60), pytest.raises(ZeroDivisionError):
            await engine._writer.between_batches(dict, follow)
        with pytest.raises(StorageFailed, match="writing has ended until a restart"):
            await engine.submit(Put(name="after"))
    async with opened(disk) as engine:
        assert await names(engine) == {"before"}


async def test_journal_time_never_goes_back(disk: MemoryDisk, clock: SteppedClock) -> None:
    times: list[int] = []
    async with opened(disk, clock) as engine:
        for seconds in (0, -7200, 10 * 365 * 86400, -10 * 365 * 86400, 60):
            clock.step(seconds)
            await engine.submit(Put())
            times.append(engine.state.time)
    assert times == sorted(times)


@dataclass(frozen=True, slots=True, kw_only=True)
class NarrowOptions(Options):
    """Little room ahead: a program that embeds the engine on a small disk may want that."""

    sweep_interval_s: float = 3600.0

    def journal(self) -> JournalOptions:
        return JournalOptions(
            reserve_bytes=NARROW, step_bytes=NARROW, ballast_bytes=16 << 10, segment_bytes=8 << 20
        )


NARROW = 16 << 10


async def test_a_batch_is_never_larger_than_the_room_reserved_for_it(disk: MemoryDisk) -> None:
    frames: list[int] = []
    async with (
        open_memory_engine(disk, clock=SteppedClock(), options=NarrowOptions()) as engine,
        trio.open_nursery() as nursery,
    ):
        with Halt(disk) as halt:
            nursery.start_soon(engine.submit, Put())
            await halt.reached.wait()
            for number in range(20):
                nursery.start_soon(engine.submit, Put(name=str(number), body=inline(bytes(3000))))
            await trio.testing.wait_all_tasks_blocked(0.01)
            engine.on_commit(frames.append)
            halt.release()
            await engine.submit(Drop())
    sizes: dict[int, int] = {}
    for record in scan(disk):
        last = next(seq for seq in [1, *frames] if seq >= record.header.seq)
        sizes[last] = sizes.get(last, 0) + draft_room(len(record.details or b""), len(record.content or b""))
    assert max(sizes.values()) <= NarrowOptions().journal().batch_room
    assert len(sizes) > 4


async def test_a_change_that_does_not_fit_the_room_reserved_for_it_is_refused(disk: MemoryDisk) -> None:
    async with open_memory_engine(disk, clock=SteppedClock(), options=NarrowOptions()) as engine:
        await engine.submit(Put(name="a", body=inline(bytes(12 << 10))))
        with pytest.raises(TooLarge) as refused:
            await engine.submit(Put(name="b", body=inline(bytes(NARROW))))
        assert refused.value.data["limit"] == NarrowOptions().journal().batch_room
        assert await names(engine) == {"a"}
