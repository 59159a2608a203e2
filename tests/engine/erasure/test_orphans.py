"""Payload files that a crash left are removed beside requests, and none that an event refers to or will."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import trio.testing

from retain.engine.testing import SteppedClock, open_memory_engine
from retain.engine.writing.bodies import Upload
from retain.journal import Payload, PayloadStore
from retain.journal.testing.memory import DiskOperation, MemoryDisk
from tests.engine.conftest import QUIET
from tests.kit.disks import fail_next
from tests.kit.engines import LightOptions, pass_time
from tests.kit.serving import eventually
from tests.kit.toy import Drop, Put, held

pytestmark = pytest.mark.usefixtures("toys")
LARGE = 100_000


def opened(disk: MemoryDisk, clock: Any = None, options: LightOptions = QUIET) -> Any:
    return open_memory_engine(disk, clock=clock or SteppedClock(), options=options)


async def sealed(upload: Upload, mark: bytes = b"x") -> Payload:
    await upload.write(mark * LARGE)
    body = await upload.finish()
    assert isinstance(body, Payload)
    return body


async def put(engine: Any, name: str) -> Payload:
    async with engine.upload() as upload:
        body = await sealed(upload)
        await engine.submit(Put(name=name, body=body))
        return body


async def content(engine: Any, name: str) -> bytes:
    download = await engine.open_body(await engine.read(held(name)))
    try:
        return bytes(await download.read())
    finally:
        await download.aclose()


def files(disk: MemoryDisk) -> list[str]:
    return sorted(name.rpartition("/")[2] for name in disk.files() if name.startswith("payloads/"))


async def left_by_a_crash(disk: MemoryDisk) -> tuple[MemoryDisk, Payload, Payload]:
    """A folder with one payload of an event, one that is sealed without, and one half written."""
    async with opened(disk) as engine:
        kept = await put(engine, "kept")
        async with engine.upload() as upload, engine.upload() as staged:
            orphan = await sealed(upload)
            await staged.write(bytes(2_000_000))
            await staged.write(bytes(2_000_000))  # the first is in its file now
            after = disk.kill()
    assert len(files(after)) == 3
    return after, kept, orphan


async def test_what_a_crash_left_is_removed_and_what_an_event_refers_to_is_kept(disk: MemoryDisk) -> None:
    after, kept, orphan = await left_by_a_crash(disk)
    async with opened(after) as engine:
        removed = await engine.sweep_orphans()
        assert orphan.name in removed
        assert len(removed) == 2
        assert files(after) == [kept.name]
        assert len(await content(engine, "kept")) == LARGE
        assert engine.statistics().payload_files == 1
        assert await engine.sweep_orphans() == []


async def test_the_search_begins_by_itself_after_the_start(
    disk: MemoryDisk, autojump_clock: trio.testing.MockClock
) -> None:
    after, kept, _ = await left_by_a_crash(disk)
    autojump_clock.autojump_threshold = float("inf")
    async with opened(after, options=LightOptions(sweep_interval_s=1.0)) as engine:
        assert len(files(after)) == 3, "not on the way to the first answer"
        await pass_time(engine, autojump_clock, 3)
        assert files(after) == [kept.name]


async def test_opening_lists_no_folder_of_payload_files(
    disk: MemoryDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    after, _, _ = await left_by_a_crash(disk)
    listed: list[str] = []
    original = MemoryDisk.names

    def names(self: MemoryDisk, folder: str = "") -> list[str]:
        listed.append(folder)
        return original(self, folder)

    monkeypatch.setattr(MemoryDisk, "names", names)
    async with opened(after) as engine:
        await content(engine, "kept")
        assert [name for name in listed if name.startswith("payloads")] == []
        await engine.sweep_orphans()
        assert [name for name in listed if name.startswith("payloads")] != []


async def test_what_this_run_has_not_recorded_yet_stays(disk: MemoryDisk) -> None:
    """Over followers: tests/engine/following/test_follower.py."""
    async with opened(disk) as engine, engine.upload() as upload, engine.upload() as staged:
        body = await sealed(upload)
        await staged.write(bytes(2_000_000))
        await staged.write(bytes(2_000_000))  # the first is in its file now
        assert await engine.sweep_orphans() == []
        await engine.submit(Put(name="a", body=body))
        await engine.submit(Put(name="b", body=await staged.finish()))
        assert len(await content(engine, "a")) == LARGE
        assert len(await content(engine, "b")) == 4_000_000


async def test_a_file_whose_event_is_not_durable_yet_stays_until_it_is(
    disk: MemoryDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(disk) as engine:
        body = await put(engine, "a")
    async with opened(disk) as engine:
        append, begun, go = engine._log.append, threading.Event(), threading.Event()

        def late(*args: Any) -> Any:
            begun.set()
            go.wait(60)
            return append(*args)

        monkeypatch.setattr(engine._log, "append", late)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.submit, Drop(name="a"))
            with trio.fail_after(10):
                await eventually(begun.is_set)
                await eventually(lambda: body.name not in engine.state.shared.payloads)
            nursery.start_soon(engine.sweep_orphans)
            await trio.sleep(0.05)
            assert files(disk) == [body.name]
            lost = disk.crash("none")
            go.set()
        assert files(disk) == []
    async with opened(lost) as engine:
        assert len(await content(engine, "a")) == LARGE


@pytest.mark.parametrize("crash", ["none", "all", "random", "kill"])
async def test_a_crash_at_any_operation_of_the_search_loses_nothing(disk: MemoryDisk, crash: str) -> None:
    async with opened(disk) as engine:
        for number in range(3):
            await put(engine, f"kept-{number}")
        async with engine.upload() as upload, engine.upload() as second, engine.upload() as staged:
            await sealed(upload)
            await sealed(second)
            await staged.write(bytes(2_000_000))
            await staged.write(bytes(2_000_000))
            after = disk.kill()
    kept = sorted(engine.state.shared.payloads)
    crashed: list[MemoryDisk] = []

    def look(operation: DiskOperation) -> None:
        if "payloads" in operation.name:
            rng = Random(operation.number)
            crashed.append(after.kill() if crash == "kill" else after.crash(crash, rng))  # type: ignore[arg-type]

    async with opened(after) as engine:
        after.before_each = look
        # Beside requests: some change what the search has listed already.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.sweep_orphans)
            await engine.submit(Drop(name="kept-0"))
            nursery.start_soon(put, engine, "kept-0")
        after.before_each = None
    assert len(crashed) > 8
    for one in crashed:
        async with opened(one) as engine:
            await engine.sweep_orphans()
            names = sorted(engine.state.shared.payloads)
            assert files(one) == names
            assert len(set(names) & set(kept)) >= 2
            assert engine.statistics().payloads_lost == 0
            for number in (1, 2):
                assert len(await content(engine, f"kept-{number}")) == LARGE


async def test_where_the_disk_refuses_the_search_begins_again(
    disk: MemoryDisk, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    after, kept, _ = await left_by_a_crash(disk)
    autojump_clock.autojump_threshold = float("inf")
    async with opened(after, options=LightOptions(sweep_interval_s=1.0)) as engine:
        fail_next(after, "unlink", "payloads", errno.EIO)
        with caplog.at_level(logging.ERROR, "retain.engine"):
            await pass_time(engine, autojump_clock, 3)
        assert [record.getMessage() for record in caplog.records] == ["payload files could not be searched"]
        assert len(files(after)) == 3
        await pass_time(engine, autojump_clock, 62)
        assert files(after) == [kept.name]


async def test_a_missing_file_is_counted_unless_its_content_went_meanwhile(
    disk: MemoryDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(disk) as engine:
        bodies = [await put(engine, name) for name in ("a", "b", "c")]
    for body in bodies[:2]:
        disk.unlink(f"payloads/{body.name[:2]}/{body.name[2:4]}/{body.name}")
    async with opened(disk) as engine:
        exists: Callable[[PayloadStore, str], bool] = PayloadStore.exists
        asked: list[str] = []

        def drop_first(self: PayloadStore, name: str) -> bool:
            if not asked:
                trio.from_thread.run(engine.submit, Drop(name="a"))
            asked.append(name)
            return exists(self, name)

        monkeypatch.setattr(PayloadStore, "exists", drop_first)
        await engine.sweep_orphans()
        assert sorted(asked) == sorted(body.name for body in bodies[:2])
        assert engine.statistics().payloads_lost == 1
