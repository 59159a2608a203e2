"""Opening, reading, changing and closing a data folder; reads gated on what is durable."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio
import trio.testing

from retain import journal
from retain.engine import Exhausted, NotFound, StorageFailed, StorageFull, open_engine
from retain.engine.core.event import Cause
from retain.engine.options import Options
from retain.engine.snapshots.file import name_of
from retain.engine.testing import EPOCH, ManualClock, SteppedClock, open_memory_engine, verify
from retain.journal import Part
from retain.journal.testing.memory import MemoryDisk
from tests.kit.disks import Halt, fail_next
from tests.kit.engines import LightOptions, pass_time
from tests.kit.toy import Drop, Put, held, inline

pytestmark = pytest.mark.usefixtures("toys")
QUIET = LightOptions(sweep_interval_s=3600.0)


def opened(disk: MemoryDisk, clock: SteppedClock | None = None) -> Any:
    return open_memory_engine(disk, clock=clock or SteppedClock(), options=QUIET)


async def text(engine: Any, name: str) -> bytes | None:
    found = await engine.read(held(name))
    return None if found is None else await (await engine.open_body(found)).read()


async def test_a_real_folder_keeps_what_it_was_given(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    async with open_engine(folder) as engine:
        await engine.submit(Put(name="a", body=inline(b"one")))
        digest = engine.state.digest()
    async with open_engine(str(folder)) as engine:
        assert engine.state.digest() == digest
        assert await text(engine, "a") == b"one"


def test_embeds_into_any_trio_program(tmp_path: Path) -> None:
    async def program() -> int:
        async with open_engine(tmp_path) as engine:
            return await engine.submit(Put(count=3))

    assert trio.run(program) == 3


async def test_a_second_opener_is_told_who_has_the_folder(tmp_path: Path) -> None:
    async with open_engine(tmp_path):
        with pytest.raises(journal.Locked) as caught:
            async with open_engine(tmp_path):
                pytest.fail("opened twice")
        assert caught.value.pid == os.getpid()
    async with open_engine(tmp_path):
        pass


@pytest.mark.parametrize("clean", [True, False])
async def test_a_failed_opening_lets_go_of_the_folder(disk: MemoryDisk, clean: bool) -> None:
    async with opened(disk) as engine, engine.upload() as upload:
        await upload.write(bytes(100_000))
        await engine.submit(Put(body=await upload.finish()))
        await engine.submit(Drop())
        after = disk.crash("all")
    if clean:
        after.write_atomic(f"{name_of(1)}.tmp", b"")
        fail_next(after, "unlink", "snapshot-")
    else:
        fail_next(after, "sync")
    with pytest.raises((OSError, StorageFailed)):
        async with opened(after):
            pytest.fail("opened")
    async with opened(after):
        pass


async def test_what_the_block_raises_goes_through_unwrapped(disk: MemoryDisk) -> None:
    async def program() -> None:
        async with opened(disk) as engine:
            await engine.submit(Put(name="a", body=inline(b"kept")))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await program()
    async with opened(disk) as engine:
        assert await text(engine, "a") == b"kept"


async def test_cancelling_the_block_closes_in_order(disk: MemoryDisk) -> None:
    with trio.CancelScope() as scope:
        async with opened(disk) as engine:
            await engine.submit(Put(name="a", body=inline(b"kept")))
            scope.cancel()
            await trio.sleep_forever()
    assert not disk.open_files
    async with opened(disk.crash("none")) as engine:
        assert await text(engine, "a") == b"kept"


async def test_what_a_read_answers_is_never_taken_back(disk: MemoryDisk) -> None:
    async with opened(disk) as engine, trio.open_nursery() as nursery:
        seen: list[Any] = []
        answered = trio.Event()

        async def look() -> None:
            seen.append(await engine.read(held("a")))
            answered.set()

        with Halt(disk) as halt:
            nursery.start_soon(engine.submit, Put(name="a"))
            await halt.reached.wait()
            nursery.start_soon(look)
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert seen == []
            cut = disk.crash("none")
        await answered.wait()
        assert seen[0] is not None
    async with opened(cut) as engine:
        assert await engine.read(held("a")) is None


async def test_after_a_failure_reading_goes_on_with_what_is_on_disk(
    disk: MemoryDisk, mock_clock: trio.testing.MockClock
) -> None:
    async with open_engine(disk, clock=ManualClock(), options=Options()) as engine:
        await engine.submit(Put(name="a", body=inline(b"durable")))
        fail_next(disk, "sync", error=errno.EIO)
        with pytest.raises(StorageFailed):
            await engine.submit(Put(name="a", body=inline(b"lost")))
        with pytest.raises(StorageFailed):
            await engine.read(held("a"))
        await pass_time(engine, mock_clock, 1)
        assert await text(engine, "a") == b"durable"
        await pass_time(engine, mock_clock, 10)
        with pytest.raises(StorageFailed):
            await engine.submit(Put(name="b"))
        assert engine.statistics().seq == 1
        await verify(engine)


async def test_going_back_is_tried_again_until_the_disk_can_be_read(
    disk: MemoryDisk, mock_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_engine(disk, clock=ManualClock(), options=Options()) as engine:
        await engine.submit(Put(name="a", body=inline(b"durable")))
        fail_next(disk, "sync", error=errno.EIO)
        with pytest.raises(StorageFailed):
            await engine.submit(Put(name="a", body=inline(b"lost")))
        with monkeypatch.context() as patch:
            patch.setattr(MemoryDisk, "names", _unreadable)
            await pass_time(engine, mock_clock, 3)
            with pytest.raises(StorageFailed):
                await engine.read(held("a"))
        await pass_time(engine, mock_clock, 1)
        assert await text(engine, "a") == b"durable"


def _unreadable(*_: Any) -> list[str]:
    raise OSError(errno.EIO, "cannot be read")


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE])
async def test_a_lack_of_descriptors_passes(disk: MemoryDisk, error: int) -> None:
    clock = SteppedClock()
    async with opened(disk, clock) as engine:
        await engine.submit(Put(name="a"))
        clock.advance(2)
        fail_next(disk, "create", "anchor", error)
        assert await engine.submit(Put(name="b")) == 1
        fail_next(disk, "create", "payloads", error)
        with pytest.raises(Exhausted):
            await upload_of(engine, 100_000)
        await upload_of(engine, 100_000)
        assert engine.statistics().failure == ""


async def upload_of(engine: Any, size: int) -> None:
    async with engine.upload() as upload:
        await upload.write(bytes(size))
        await engine.submit(Put(name="file", body=await upload.finish()))


async def test_files_released_in_the_past_are_not_looked_for_again(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        async with engine.upload() as upload:
            await upload.write(bytes(100_000))
            await engine.submit(Put(name="a", body=await upload.finish()))
        await engine.submit(Drop(name="a"))
        after = disk.kill()
    async with opened(after) as engine:
        before = len(after.trace)
        await engine.sweep()
        assert not [one for one in after.trace[before:] if one.kind == "unlink"]


async def test_erasing_makes_a_part_unreadable_and_replay_agrees(
    disk: MemoryDisk, clock: SteppedClock
) -> None:
    async with opened(disk, clock) as engine:
        await engine.submit(Put(name="a", body=inline(b"secret of a")))
        found = await engine.read(held("a"))
        await engine.submit(Drop(name="a"))
        clock.step(-5)
        await engine.erase([(1, Part.CONTENT | Part.DETAILS), (2, Part.DETAILS)], Cause.ERASURE_REQUEST)
        with pytest.raises(NotFound):
            await engine.open_body(found)
        assert engine.statistics().seq == engine.statistics().durable == 4
        await engine.submit(Put(name="b"))
        after = disk.crash("none")
    async with opened(after) as engine:
        assert await engine.read(lambda state, _: list(state.toy.notes)) == ["b"]
        assert engine.state.seq == 5


async def test_erasing_what_is_not_there_is_refused(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        with pytest.raises(journal.BadTarget):
            await engine.erase([(1, Part.CONTENT)], Cause.ERASURE_REQUEST)
        await engine.submit(Put())


async def test_erasing_on_a_full_disk_changes_nothing(
    disk: MemoryDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise journal.NoSpace("no room")

    async with opened(disk) as engine:
        await engine.submit(Put(name="a", body=inline(b"still there")))
        with monkeypatch.context() as patch:
            patch.setattr(journal.Journal, "begin_erasure", full)
            with pytest.raises(StorageFull):
                await engine.erase([(1, Part.CONTENT)], Cause.ERASURE_REQUEST)
        assert await text(engine, "a") == b"still there"


async def test_an_erasure_that_fails_is_finished_by_the_next_start(disk: MemoryDisk) -> None:
    async with open_engine(disk, clock=SteppedClock(), options=QUIET) as engine:
        await engine.submit(Put(name="a", body=inline(b"secret of a")))
        await engine.submit(Drop(name="a"))
        await engine.submit(Put(name="b"))

        def fail_second_sync() -> None:
            fail_next(disk, "sync")
            first = disk.before_each
            assert first is not None

            def skip(operation: Any) -> None:
                if operation.kind == "sync":
                    disk.before_each = first

            disk.before_each = skip

        fail_second_sync()
        with pytest.raises(StorageFailed):
            await engine.erase([(1, Part.CONTENT)], Cause.ERASURE_REQUEST)
        with pytest.raises(StorageFailed):
            await engine.submit(Put())
    async with opened(disk.crash("none")) as engine:
        assert any("erasure" in notice for notice in engine.notices)
        assert await engine.read(lambda state, _: list(state.toy.notes)) == ["b"]


async def test_a_body_whose_file_is_gone_although_named_is_damage(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        async with engine.upload() as upload:
            await upload.write(bytes(100_000))
            await engine.submit(Put(name="a", body=await upload.finish()))
        found = await engine.read(held("a"))
        for name in disk.files():
            if name.startswith("payloads/"):
                disk.unlink(name)
        with pytest.raises(NotFound) as lost:
            await engine.open_body(found)
        assert lost.value.reason == "lost"
        await engine.submit(Drop(name="a"))
        with pytest.raises(NotFound):
            await engine.open_body(found)


async def test_randomness_comes_from_the_injected_source() -> None:
    def entropy(size: int) -> bytes:
        return b"\x07" * size

    async with open_engine(MemoryDisk(), clock=SteppedClock(), entropy=entropy, options=QUIET) as engine:
        assert engine.entropy(3) == b"\x07\x07\x07"
        assert engine.now() == EPOCH


async def test_statistics_tell_what_an_operator_watches(disk: MemoryDisk, clock: SteppedClock) -> None:
    async with opened(disk, clock) as engine:
        commits: list[int] = []
        engine.on_commit(commits.append)
        assert engine.statistics().overdue_ns == 0
        await engine.submit(Put(until=EPOCH + 10))
        clock.advance(1)
        picture = engine.statistics()
        assert (picture.seq, picture.durable, picture.deadlines) == (1, 1, 1)
        assert picture.overdue_ns == 10**9 - 10
        assert picture.failure == ""
        assert await engine.sweep() == 1
        assert engine.statistics().deadlines == 0
        assert commits == [1, 2]


@pytest.mark.parametrize("seed", range(10))
async def test_any_crash_leaves_what_was_answered(disk: MemoryDisk, seed: int) -> None:
    rng = Random(seed)
    for _ in range(3):
        async with open_engine(disk, clock=SteppedClock(), options=QUIET) as engine:
            before = set(engine.state.toy.notes)  # type: ignore[attr-defined]
            for number in range(rng.randrange(8)):
                await engine.submit(Put(name=f"{seed} {number} {rng.random()}"))
            names = await engine.read(lambda state, _: set(state.toy.notes))
            assert before <= names
            disk = disk.kill() if rng.random() < 0.5 else disk
            disk = disk.crash("random", rng)
        async with opened(disk) as engine:
            assert await engine.read(lambda state, _: set(state.toy.notes)) == names


@pytest.mark.parametrize("leaving", ["by itself", "by an error", "by cancellation"])
async def test_a_journal_that_cannot_be_closed_is_told_as_a_failed_write(
    disk: MemoryDisk, leaving: str
) -> None:
    async def program() -> None:
        with trio.CancelScope() as scope:
            async with opened(disk) as engine:
                await engine.submit(Put(name="a", body=inline(b"kept")))
                fail_next(disk, "create", "anchor", errno.EIO)
                if leaving == "by an error":
                    raise ZeroDivisionError
                if leaving == "by cancellation":
                    scope.cancel()
                    await trio.sleep_forever()

    wanted = ZeroDivisionError if leaving == "by an error" else StorageFailed
    with pytest.raises(wanted) as raised:
        await program()
    told = raised.value.args[0] if wanted is StorageFailed else raised.value.__notes__[0]
    assert "close failed" in told
    assert not disk.open_files
    async with opened(disk.crash("none")) as engine:
        assert await text(engine, "a") == b"kept"


async def test_a_journal_that_cannot_be_opened_for_writing_is_told_as_a_failed_write(
    disk: MemoryDisk,
) -> None:
    async with opened(disk) as engine:
        await engine.submit(Put(name="a", body=inline(b"kept")))
    left = disk.crash("none")
    fail_next(left, "sync", "journal", errno.EIO)
    with pytest.raises(StorageFailed):
        async with opened(left):
            pytest.fail("opened")
    async with opened(left) as engine:
        assert await text(engine, "a") == b"kept"
