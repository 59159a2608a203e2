"""Blobs in a real engine: bodies through uploads, payload files, restarts and power cuts."""

from __future__ import annotations

import random
from typing import Any

import pytest

from retain.engine import Conflict, Engine, NotFound
from retain.engine.blobs import expiry, queries
from retain.engine.blobs.answers import Written
from retain.engine.blobs.commands import BlockSource, CommitBlocks, DeleteBlob, PutBlob, StageBlock
from retain.engine.blobs.conditions import Conditions, ETags
from retain.engine.blobs.container_commands import CreateContainer, DeleteContainer
from retain.engine.blobs.entries import BlobEntry, ContentHeaders, pieces
from retain.engine.blobs.listing import list_blobs
from retain.engine.core import domain
from retain.engine.core.common_commands import ExpireDue
from retain.engine.testing import SteppedClock, open_memory_engine
from retain.journal import PayloadStore
from retain.journal.testing.memory import MemoryDisk
from tests.kit.engines import LightOptions
from tests.kit.serving import eventually
from tests.kit.slices import inline

ACCOUNT = "mytenant"
QUIET = LightOptions(inline_bytes=1000, sweep_interval_s=3600)
DAYS = 86_400


def where(name: str | None = None) -> dict[str, Any]:
    named = {} if name is None else {"name": name}
    return {"actor": "user:test", "account": ACCOUNT, "container": "recordings", **named}


async def create(engine: Engine) -> None:
    await engine.submit(CreateContainer(**where(), resource=engine.entropy(16)))


async def put(engine: Engine, name: str, data: bytes, **fields: Any) -> Written:
    async with engine.upload() as upload:
        await upload.write(data)
        body = await upload.finish()
        return await engine.submit(
            PutBlob(
                **where(name),
                resource=engine.entropy(16),
                body=body,
                md5=body.md5,
                headers=ContentHeaders("audio/mpeg"),
                **fields,
            )
        )


async def entry(engine: Engine, name: str) -> BlobEntry:
    return await engine.read(
        lambda state, now: queries.get_blob(state.blobs, ACCOUNT, "recordings", name, now)
    )


async def content(engine: Engine, name: str) -> bytes:
    found = await entry(engine, name)
    data = b""
    for held, start, stop in pieces(found, 0, found.size):
        body = await engine.open_body(held)
        async for chunk in body.chunks(start, stop):
            data += chunk
        await body.aclose()
    return data


async def names(engine: Engine) -> list[str]:
    page = await engine.read(
        lambda state, now: list_blobs(state.blobs, ACCOUNT, "recordings", now, limit=100)
    )
    return [item.name for item in page.items]


def files(disk: MemoryDisk) -> int:
    return len(list(PayloadStore(disk).names()))


SMALL, LARGE = b"sound", random.Random(1).randbytes(5000)


async def test_bodies_come_back_after_a_restart() -> None:
    disk = MemoryDisk()
    async with open_memory_engine(disk, options=QUIET) as engine:
        await create(engine)
        await put(engine, "small", SMALL)
        await put(engine, "large", LARGE)
        for number, data in enumerate((SMALL, LARGE)):
            async with engine.upload() as upload:
                await upload.write(data)
                await engine.submit(
                    StageBlock(
                        **where("blocks"),
                        resource=engine.entropy(16),
                        block_id=b"%d" % number,
                        body=await upload.finish(),
                    )
                )
        await engine.submit(
            CommitBlocks(
                **where("blocks"),
                resource=engine.entropy(16),
                blocks=((BlockSource.LATEST, b"1"), (BlockSource.LATEST, b"0")),
                headers=ContentHeaders(),
                md5=None,
            )
        )
    assert files(disk) == 2
    for stopped in (disk, disk.crash(random.Random(2))):
        async with open_memory_engine(stopped, options=QUIET) as engine:
            assert await names(engine) == ["blocks", "large", "small"]
            assert await content(engine, "small") == SMALL
            assert await content(engine, "large") == LARGE
            assert await content(engine, "blocks") == LARGE + SMALL


async def test_a_refused_write_leaves_no_file() -> None:
    disk = MemoryDisk()
    async with open_memory_engine(disk, options=QUIET) as engine:
        await create(engine)
        await put(engine, "a", LARGE)
        with pytest.raises(Conflict):
            await put(engine, "a", LARGE, conditions=Conditions(if_none_match=ETags(any=True)))
        assert files(disk) == 1


async def test_overwritten_and_deleted_files_go() -> None:
    disk = MemoryDisk()
    async with open_memory_engine(disk, options=QUIET) as engine:
        await create(engine)
        await put(engine, "a", LARGE)
        await put(engine, "a", LARGE[::-1])
        await engine.sweep()
        assert files(disk) == 1
        assert await content(engine, "a") == LARGE[::-1]
        await engine.submit(DeleteBlob(**where("a")))
        await engine.sweep()
        assert files(disk) == 0


async def test_what_ends_while_the_server_is_down_is_never_seen_again() -> None:
    disk, clock = MemoryDisk(), SteppedClock()
    async with open_memory_engine(disk, clock=clock, options=QUIET) as engine:
        await create(engine)
        await put(engine, "a", LARGE)
    clock.advance(31 * DAYS)
    async with open_memory_engine(disk, clock=clock, options=QUIET) as engine:
        assert await names(engine) == []


async def test_what_a_reader_found_stays_readable_while_its_record_is_being_written() -> None:
    async with open_memory_engine(options=QUIET) as engine:
        await create(engine)
        await put(engine, "a", SMALL)
        found = await entry(engine, "a")
        await put(engine, "a", b"newer")
        assert await (await engine.open_body(pieces(found, 0, 5)[0][0])).read() == SMALL


async def test_a_crash_amid_letting_go_a_deleted_container_brings_nothing_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(expiry, "FREED", 2)
    disk, clock = MemoryDisk(), SteppedClock()
    async with open_memory_engine(disk, clock=clock, options=QUIET) as engine:
        await create(engine)
        for number in range(5):
            await put(engine, f"blob-{number}", bytes(5000))
        await engine.submit(DeleteContainer(**where()))
        await engine.submit(ExpireDue(actor="retain", limit=1))
        assert len(engine.state.shared.payloads) == 3
        crashed = disk.crash("none")
    async with open_memory_engine(crashed, clock=clock, options=QUIET) as engine:
        with pytest.raises(NotFound):
            await names(engine)
        with pytest.raises(Conflict):
            await create(engine)
        await engine.sweep()
        assert await engine.erase_due() == 6
        await engine.sweep_orphans()
        assert not [name for name in crashed.files() if name.startswith("payloads/")]
        await create(engine)
        assert await names(engine) == []


async def test_what_blocks_leave_is_freed_though_no_command_follows(
    disk: MemoryDisk, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "FREED_AT_ONCE", 2)
    async with open_memory_engine(disk, clock=clock, options=QUIET) as engine:
        await create(engine)
        for number in range(10):
            block = StageBlock(
                **where("a"),
                resource=engine.entropy(16),
                block_id=b"%d" % number,
                body=inline(b"x"),
            )
            await engine.submit(block)
        seen: list[int] = []
        engine.on_commit(lambda seq: seen.append(sum(map(len, engine.state.shared.buried))))
        await put(engine, "a", b"data")
        assert seen == [10]
        await eventually(lambda: not engine.state.shared.buried)
