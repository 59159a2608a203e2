"""Bodies on their way in and out: streamed, discarded unless an event names them."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import AsyncGenerator
from random import Random
from typing import Any, cast

import pytest
import trio
import trio.testing

from retain.engine import Download, Engine, Inline, NotFound, StorageFailed, StorageFull
from retain.engine.options import Options
from retain.engine.testing import SteppedClock, open_memory_engine
from retain.engine.writing.bodies import CHUNK, CHUNK_DOWNLOADS, SLOW_S, SMALL_CHUNK
from retain.journal import Payload
from retain.journal.testing.memory import MemoryDisk
from tests.kit.disks import Halt, fail_next
from tests.kit.engines import LightOptions
from tests.kit.toy import Drop, Put, held, inline

pytestmark = pytest.mark.usefixtures("toys")
INLINE = 1000
QUIET = LightOptions(sweep_interval_s=3600.0, inline_bytes=INLINE)


def opened(disk: MemoryDisk) -> Any:
    return open_memory_engine(disk, clock=SteppedClock(), options=QUIET)


def payloads(disk: MemoryDisk) -> list[str]:
    return [name for name in disk.files() if name.startswith("payloads/")]


def random_bytes(size: int) -> bytes:
    return Random(size).randbytes(size)


@pytest.mark.parametrize("size", [0, 1, INLINE, INLINE + 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
@pytest.mark.parametrize("piece", [997, CHUNK // 3, 5 * CHUNK])
async def test_a_body_of_any_size_comes_back(disk: MemoryDisk, size: int, piece: int) -> None:
    if size // piece > 2000:
        piece = 64 * 1024 + 1
    data = random_bytes(size)
    async with opened(disk) as engine:
        async with engine.upload() as upload:
            for start in range(0, size, piece):
                await upload.write(data[start : start + piece])
            body = await upload.finish()
            assert upload.size == body.size == size
            assert isinstance(body, Inline) == (size <= INLINE)
            assert body.md5 == hashlib.md5(data).digest()
            await engine.submit(Put(name="a", body=body))
        download = await engine.open_body(await engine.read(held("a")))
        assert download.size == size
        assert await download.read() == data
        await download.aclose()
        await download.aclose()


@pytest.mark.parametrize("size", [INLINE, 2 * CHUNK + 10])
async def test_any_range_can_be_read(disk: MemoryDisk, size: int) -> None:
    data = random_bytes(size)
    async with opened(disk) as engine:
        async with engine.upload() as upload:
            await upload.write(data)
            await engine.submit(Put(name="a", body=await upload.finish()))
        download = await engine.open_body(await engine.read(held("a")))
        beyond, border = (size - 3, size + 50), (CHUNK - 1, CHUNK + 1)
        for start, stop in [(0, None), (1, 2), (5, 5), beyond, border, (0, size)]:
            chunks = [chunk async for chunk in download.chunks(start, stop)]
            assert b"".join(chunks) == data[start:stop]
            assert all(len(chunk) <= CHUNK for chunk in chunks)
        await download.aclose()


async def test_a_body_that_is_still_in_its_record_is_served_from_memory(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        download = await engine.open_body(inline(b"abc"))
        assert await download.read() == b"abc"
        await download.aclose()


async def test_with_no_inline_bodies_all_but_empty_ones_are_files(disk: MemoryDisk) -> None:
    options = Options(sweep_interval_s=3600.0, inline_bytes=0)
    async with open_memory_engine(disk, clock=SteppedClock(), options=options) as engine:
        async with engine.upload() as upload:
            assert isinstance(await upload.finish(), Inline)
        async with engine.upload() as upload:
            await upload.write(b"a")
            assert isinstance(await upload.finish(), Payload)
        assert payloads(disk) == []


@pytest.mark.parametrize("finished", [True, False])
async def test_a_body_that_nothing_names_is_discarded(disk: MemoryDisk, finished: bool) -> None:
    async with opened(disk) as engine:
        with pytest.raises(ZeroDivisionError):
            await _abandoned(engine, finished)
        assert payloads(disk) == []


async def _abandoned(engine: Any, finished: bool) -> None:
    async with engine.upload() as upload:
        await upload.write(bytes(2 * CHUNK))
        if finished:
            await upload.finish()
        raise ZeroDivisionError


async def test_a_cancelled_upload_is_discarded(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        with trio.CancelScope() as scope:
            async with engine.upload() as upload:
                await upload.write(bytes(2 * CHUNK))
                scope.cancel()
                await trio.sleep_forever()
        assert payloads(disk) == []


async def test_a_refused_command_leaves_no_file(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        async with engine.upload() as upload:
            await upload.write(bytes(2 * CHUNK))
            await upload.finish()
            with pytest.raises(NotFound):
                await engine.submit(Drop(name="missing"))
        assert payloads(disk) == []


async def test_a_named_body_stays(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        async with engine.upload() as upload:
            await upload.write(bytes(2 * CHUNK))
            await engine.submit(Put(name="a", body=await upload.finish()))
        assert len(payloads(disk)) == 1
        await engine.submit(Drop(name="a"))
        await engine.sweep()
        assert payloads(disk) == []


async def test_a_file_replaced_before_its_upload_ends_waits_for_the_replacement_to_be_durable(
    disk: MemoryDisk,
) -> None:
    """The next batch may be applied before whoever sent this body wakes up; a crash may take it back."""
    async with opened(disk) as engine, trio.open_nursery() as nursery:
        with Halt(disk) as halt:

            async def send() -> None:
                async with engine.upload() as upload:
                    await upload.write(bytes(2 * CHUNK))
                    await engine.submit(Put(name="a", body=await upload.finish()))

            nursery.start_soon(send)
            await halt.reached.wait()
            nursery.start_soon(engine.submit, Drop(name="a"))
            await trio.testing.wait_all_tasks_blocked(0.01)
            halt.next("pwrite")
            await halt.reached.wait()
            await trio.testing.wait_all_tasks_blocked(0.02)
            cut = disk.crash("all")
    async with opened(cut) as engine:
        found = await engine.read(held("a"))
        assert len(await (await engine.open_body(found)).read()) == 2 * CHUNK


async def test_a_download_that_began_ends_although_the_file_goes(disk: MemoryDisk) -> None:
    data = random_bytes(3 * CHUNK)
    async with opened(disk) as engine:
        async with engine.upload() as upload:
            await upload.write(data)
            await engine.submit(Put(name="a", body=await upload.finish()))
        found = await engine.read(held("a"))
        download = await engine.open_body(found)
        await engine.submit(Drop(name="a"))
        await engine.sweep()
        assert payloads(disk) == []
        assert await download.read() == data
        await download.aclose()
        with pytest.raises(NotFound):
            await engine.open_body(found)


@pytest.mark.parametrize(
    ("kind", "error", "expected"),
    [
        ("create", errno.ENOSPC, StorageFull),
        ("pwrite", errno.ENOSPC, StorageFull),
        ("pwrite", errno.EDQUOT, StorageFull),
        ("pwrite", errno.EIO, StorageFailed),
        ("sync", errno.EIO, StorageFailed),
        ("replace", errno.EIO, StorageFailed),
        ("replace", errno.ENOSPC, StorageFull),
    ],
)
async def test_a_failing_disk_is_told_and_leaves_nothing(
    disk: MemoryDisk, kind: str, error: int, expected: type[Exception]
) -> None:
    async with opened(disk) as engine:
        fail_next(disk, kind, "payloads", error)
        with pytest.raises(expected):
            await _sent(engine)
        assert payloads(disk) == []
        await _sent(engine)
        assert len(payloads(disk)) == 1


async def _sent(engine: Any) -> None:
    async with engine.upload() as upload:
        for _ in range(5):
            await upload.write(bytes(CHUNK // 2))
        await engine.submit(Put(name="a", body=await upload.finish()))


async def test_a_body_is_never_held_as_a_whole(disk: MemoryDisk) -> None:
    async with opened(disk) as engine, engine.upload() as upload:
        for _ in range(200):
            await upload.write(bytes(64 * 1024))
            assert upload._buffered < CHUNK
            assert sum(map(len, upload._buffer)) == upload._buffered
        await upload.finish()


async def test_tiny_pieces_are_put_together(disk: MemoryDisk) -> None:
    data = random_bytes(CHUNK + CHUNK // 2)
    async with opened(disk) as engine:
        async with engine.upload() as upload:
            for start in range(0, len(data), 50):
                await upload.write(data[start : start + 50])
                assert len(upload._buffer) <= CHUNK // SMALL_CHUNK + 1
            await engine.submit(Put(name="a", body=await upload.finish()))
        download = await engine.open_body(await engine.read(held("a")))
        assert await download.read() == data
        await download.aclose()


async def test_the_next_piece_is_received_while_one_is_written(disk: MemoryDisk) -> None:
    async with opened(disk) as engine, engine.upload() as upload:
        with Halt(disk, "pwrite", "payloads") as halt:
            await upload.write(bytes(2 * CHUNK))
            await halt.reached.wait()
            await upload.write(bytes(CHUNK - 1))
            assert upload.size == 3 * CHUNK - 1
        assert (await upload.finish()).size == 3 * CHUNK - 1


async def test_a_cancelled_piece_is_waited_for_and_discarded(disk: MemoryDisk) -> None:
    async with opened(disk) as engine:
        with Halt(disk, "pwrite", "payloads") as halt:
            with trio.CancelScope() as scope:
                async with engine.upload() as upload, trio.open_nursery() as nursery:
                    await upload.write(bytes(2 * CHUNK))
                    await halt.reached.wait()
                    nursery.start_soon(upload.write, bytes(2 * CHUNK))
                    await trio.testing.wait_all_tasks_blocked()
                    scope.cancel()
                    halt.release()
            assert scope.cancelled_caught
        assert payloads(disk) == []


async def test_a_read_that_was_given_up_does_not_disturb_the_next(disk: MemoryDisk) -> None:
    data = random_bytes(4 * CHUNK)
    async with opened(disk) as engine:
        async with engine.upload() as upload:
            await upload.write(data)
            await engine.submit(Put(name="a", body=await upload.finish()))
        download = await engine.open_body(await engine.read(held("a")))
        for _ in range(3):
            given_up = download.chunks()
            assert await anext(given_up) == data[:CHUNK]
            await given_up.aclose()
        assert b"".join([chunk async for chunk in download.chunks(5)]) == data[5:]
        given_up = download.chunks()
        assert await anext(given_up) == data[:CHUNK]
        await download.aclose()
        await given_up.aclose()


class Reading:
    """A client that takes one piece when it is told to."""

    def __init__(self, download: Download) -> None:
        self.download = download
        self.pieces = cast("AsyncGenerator[bytes, None]", download.chunks())

    async def take(self) -> bytes:
        return await anext(self.pieces)

    async def stop(self) -> None:
        await self.pieces.aclose()
        await self.download.aclose()


async def reading(engine: Engine, count: int) -> list[Reading]:
    where = await engine.read(held("a"))
    assert where is not None
    return [Reading(await engine.open_body(where)) for _ in range(count)]


async def stored(engine: Engine, data: bytes) -> None:
    async with engine.upload() as upload:
        await upload.write(data)
        await engine.submit(Put(name="a", body=await upload.finish()))


async def test_however_many_clients_stall_few_hold_whole_chunks(disk: MemoryDisk) -> None:
    data = random_bytes(3 * CHUNK + 5)
    async with opened(disk) as engine:
        await stored(engine, data)
        stalled = await reading(engine, CHUNK_DOWNLOADS + 3)
        assert [len(await one.take()) for one in stalled] == [CHUNK] * CHUNK_DOWNLOADS + [SMALL_CHUNK] * 3
        late = (await reading(engine, 1))[0].download
        assert b"".join([piece async for piece in late.chunks(7, 2 * CHUNK)]) == data[7 : 2 * CHUNK]
        for one in stalled:
            await one.stop()
            await one.stop()
        assert await late.read() == data
        await late.aclose()
        again = await reading(engine, CHUNK_DOWNLOADS)
        assert {len(await one.take()) for one in again} == {CHUNK}
        for one in again:
            await one.stop()


async def test_a_client_that_takes_its_time_leaves_its_place_to_another(
    disk: MemoryDisk, autojump_clock: trio.testing.MockClock
) -> None:
    data = random_bytes(4 * CHUNK)
    async with opened(disk) as engine:
        await stored(engine, data)
        slow, *others = await reading(engine, CHUNK_DOWNLOADS + 1)
        taken = [await slow.take()]
        assert [len(await one.take()) for one in others] == [CHUNK] * (CHUNK_DOWNLOADS - 1) + [SMALL_CHUNK]
        autojump_clock.jump(SLOW_S + 1)
        taken.append(await slow.take())
        rest = [len(await others[-1].take()) for _ in range(2)]
        assert rest == [CHUNK - SMALL_CHUNK, CHUNK]
        taken += [piece async for piece in slow.pieces]
        assert [len(piece) for piece in taken] == [CHUNK] + [SMALL_CHUNK] * (3 * CHUNK // SMALL_CHUNK)
        assert b"".join(taken) == data
        for one in (slow, *others):
            await one.stop()
