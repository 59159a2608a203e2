"""What the machine runs short of refuses what needs it, and is over when it is over."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
import trio
from trio.testing import MockClock

from retain.engine import Engine, Exhausted, StorageFailed, StorageFull, open_engine
from retain.engine.core.shortages import FULL_S, SHORT_S, Shortages, shortage_in
from retain.engine.options import Options
from retain.engine.testing import SteppedClock, open_memory_engine
from retain.engine.writing import bodies
from retain.journal import JournalOptions, Shortage
from retain.journal.payloads.store import READ_HANDLES
from retain.journal.testing.memory import DiskOperation, MemoryDisk
from tests.kit.disks import fail_next
from tests.kit.toy import Put, held, inline

pytestmark = pytest.mark.usefixtures("toys")

OPENING = frozenset(("open", "create", "names", "sync_folder"))
SMALL = Options(sweep_interval_s=3600.0, inline_bytes=0)


class TinySegments(Options):
    """Every batch fills a segment, so that each one begins with a new one."""

    def journal(self) -> JournalOptions:
        return JournalOptions(segment_bytes=1)


def without_descriptors(disk: MemoryDisk) -> None:
    """From here on whatever opens a file or folder finds no descriptor."""

    def refuse(operation: DiskOperation) -> None:
        if operation.kind in OPENING:
            raise Shortage(f"no memory or descriptors for {operation.name}") from OSError(
                errno.EMFILE, "many"
            )

    disk.before_each = refuse


async def upload(engine: Engine, name: str, size: int) -> None:
    async with engine.upload() as body:
        await body.write(bytes(size))
        await engine.submit(Put(name=name, body=await body.finish()))


async def test_a_new_segment_that_finds_no_descriptor_is_tried_again(
    mock_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    disk = MemoryDisk(count_reads=True)
    options = TinySegments(sweep_interval_s=3600.0)
    async with open_memory_engine(disk, clock=SteppedClock(), options=options) as engine:
        await engine.submit(Put(name="before"))
        without_descriptors(disk)
        await engine.submit(Put(name="found room before"))
        for _ in range(3):
            with pytest.raises(Exhausted):
                await engine.submit(Put(name="meanwhile"))
        statistics = engine.statistics()
        assert (statistics.failure, statistics.full, statistics.short) == ("", False, ("descriptors",))
        disk.before_each = None
        await engine.submit(Put(name="after"))
        mock_clock.jump(SHORT_S + 1)
        assert engine.statistics().short == ()
        assert engine.statistics().shortages["descriptors"] >= 3
        assert await engine.read(lambda state, _: set(state.toy.notes)) == {
            "before",
            "found room before",
            "after",
        }
    told = [(record.levelname, record.message) for record in caplog.records if record.name == "retain.engine"]
    assert told[0] == ("WARNING", "resource shortage")


async def test_a_full_disk_without_descriptors_is_not_the_end(disk: MemoryDisk) -> None:
    """The ballast is given back without a descriptor, or stays."""
    async with open_memory_engine(disk, clock=SteppedClock(), options=SMALL) as engine:
        await engine.submit(Put(name="before"))
        fail_next(disk, "allocate", "", errno.ENOSPC)
        large = inline(bytes(500_000))
        for number in range(4):
            await engine.submit(Put(name=f"large{number}", body=large))
        disk.capacity = sum(map(len, disk.files().values()))
        without_descriptors(disk)
        refused = 0
        for number in range(8):
            try:
                await engine.submit(Put(name=f"more{number}", body=large))
            except (StorageFull, Exhausted):
                refused += 1
        assert refused
        assert engine.statistics().failure == ""
        disk.before_each = None
        disk.capacity = None
        await engine.submit(Put(name="after"))


async def test_slow_readers_share_few_descriptors(disk: MemoryDisk) -> None:
    async with open_memory_engine(disk, clock=SteppedClock(), options=SMALL) as engine:
        for number in range(2 * READ_HANDLES):
            await upload(engine, f"file{number}", 100_000)
        before = len(disk.open_files)
        downloads = []
        for _ in range(10):
            for number in range(2 * READ_HANDLES):
                note = await engine.read(held(f"file{number}"))
                assert note is not None
                downloads.append(await engine.open_body(note))
        assert len(disk.open_files) - before <= READ_HANDLES
        for download in downloads:
            assert await download.read() == bytes(100_000)
            await download.aclose()
        assert len(disk.open_files) - before <= READ_HANDLES


async def test_uploads_wait_their_turn_for_a_descriptor(
    disk: MemoryDisk, monkeypatch: pytest.MonkeyPatch, mock_clock: MockClock
) -> None:
    monkeypatch.setattr(bodies.BodyLimits.__init__, "__defaults__", (bodies.CHUNK_DOWNLOADS, 2))
    async with open_memory_engine(disk, clock=SteppedClock(), options=SMALL) as engine:
        async with engine.upload() as first, engine.upload() as second, engine.upload() as third:
            for body in (first, second):
                await body.write(bytes(2 << 20))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(third.write, bytes(2 << 20))
                await trio.testing.wait_all_tasks_blocked(0.05)
                assert not third._staged
                await first.finish()
            assert third._staged
            async with engine.upload() as fourth:
                mock_clock.autojump_threshold = 0.1
                with pytest.raises(Exhausted):
                    await fourth.write(bytes(2 << 20))
                mock_clock.autojump_threshold = float("inf")
        await upload(engine, "after", 2 << 20)


async def test_without_threads_the_work_is_done_all_the_same(
    disk: MemoryDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(*_: Any, **__: Any) -> NoReturn:
        raise RuntimeError("can't start new thread")

    def none_soon(*_: Any) -> NoReturn:
        raise RuntimeError("can't start new thread")

    async with open_memory_engine(disk, clock=SteppedClock(), options=SMALL) as engine:
        with monkeypatch.context() as patch:
            patch.setattr(trio.to_thread, "run_sync", none)
            patch.setattr(trio.lowlevel, "start_thread_soon", none_soon)
            await engine.submit(Put(name="a"))
            await upload(engine, "file", 3 << 20)
            found = await engine.read(held("file"))
            assert found is not None
            download = await engine.open_body(found)
            assert await download.read() == bytes(3 << 20)
            await download.aclose()
            assert engine.statistics().short == ("threads",)
        await engine.submit(Put(name="b"))


async def test_an_upload_refused_for_a_full_disk_shows_until_one_succeeds_or_a_minute_is_over(
    disk: MemoryDisk, mock_clock: MockClock
) -> None:
    async with open_memory_engine(disk, clock=SteppedClock(), options=SMALL) as engine:
        for ending in ("success", "time"):
            fail_next(disk, "pwrite", "payloads", errno.ENOSPC)
            with pytest.raises(StorageFull):
                await upload(engine, "refused", 100_000)
            assert engine.statistics().full
            if ending == "success":
                await upload(engine, "taken", 100_000)
            else:
                mock_clock.jump(FULL_S + 1)
            assert not engine.statistics().full


async def test_the_end_of_writing_is_an_error_in_the_log(
    disk: MemoryDisk, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_engine(disk, clock=SteppedClock(), options=SMALL) as engine:
        fail_next(disk, "sync", error=errno.EIO)
        for _ in range(2):
            with pytest.raises(StorageFailed):
                await engine.submit(Put(name="a"))
    told = [record for record in caplog.records if record.name == "retain.engine"]
    assert [(record.levelname, record.message) for record in told] == [
        ("ERROR", "writing has ended until a restart")
    ]


def chained(outer: BaseException, cause: BaseException) -> BaseException:
    outer.__cause__ = cause
    return outer


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.EMFILE, "x"), "descriptors"),
        (OSError(errno.ENFILE, "x"), "descriptors"),
        (OSError(errno.ENOMEM, "x"), "memory"),
        (OSError(errno.ENOLCK, "x"), "locks"),
        (OSError(errno.EINTR, "x"), "locks"),
        (OSError(errno.EHOSTDOWN, "x"), "store"),
        (OSError(errno.EIO, "x"), ""),
        (OSError(errno.ENOSPC, "x"), ""),
        (MemoryError(), "memory"),
        (RuntimeError("can't start new thread"), "threads"),
        (RuntimeError("a bug"), ""),
        (Shortage("x"), "descriptors"),
        (chained(ValueError(), OSError(errno.ENFILE, "x")), "descriptors"),
        (chained(Shortage("x"), OSError(errno.ENOMEM, "x")), "memory"),
    ],
    ids=repr,
)
def test_a_shortage_is_told_from_a_fault(error: BaseException, kind: str) -> None:
    assert shortage_in(error) == kind
    refusal = Shortages().refusal(error, 0.0)
    assert (refusal is not None) is bool(kind)


def test_each_kind_is_over_by_itself() -> None:
    shortages = Shortages()
    at: Callable[[float], tuple[str, ...]] = shortages.present
    shortages.note("threads", 0.0)
    shortages.note("disk", 1.0)
    assert at(SHORT_S) == ("disk", "threads")
    assert at(SHORT_S + 0.1) == ("disk",)
    assert at(FULL_S + 1.1) == ()
    assert shortages.met == {"threads": 1, "disk": 1}
