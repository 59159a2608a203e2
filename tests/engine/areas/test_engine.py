"""Areas in a running engine: uploads become files, a restart finds them, and what fell due meanwhile is
never served."""

from __future__ import annotations

import pytest

from retain.engine import Engine, NotFound
from retain.engine.areas import AreaFile, CreateArea, DeleteArea, NewFile, UpdateArea, queries
from retain.engine.core.body import OnDisk
from retain.engine.testing import SteppedClock, open_memory_engine
from retain.journal import Payload, PayloadStore
from retain.journal.testing.memory import MemoryDisk
from tests.kit.engines import LightOptions

QUIET = LightOptions(sweep_interval_s=3600.0)
SMALL, LARGE = b"small", b"large" * 20_000


async def listing(engine: Engine, name: str, user: str | None = None) -> dict[str, str | AreaFile]:
    return dict(await engine.read(lambda state, now: queries.listing(state.areas, name, user, now)))


async def content(engine: Engine, value: str | AreaFile) -> bytes:
    assert isinstance(value, AreaFile)
    download = await engine.open_body(value.body)
    data = await download.read()
    await download.aclose()
    return data


async def create(engine: Engine, name: str, ttl: int = 60) -> None:
    async with engine.upload() as first, engine.upload() as second:
        await first.write(SMALL)
        await second.write(LARGE)
        files = {
            "small": NewFile("s", "a/b", await first.finish()),
            "large": NewFile("l", "a/b", await second.finish()),
        }
        resource = engine.entropy(16)
        await engine.submit(
            CreateArea(actor="anonymous", name=name, resource=resource, values={"k": "v", **files}, ttl=ttl)
        )


async def test_files_are_read_from_where_they_lie_before_and_after_a_restart(
    disk: MemoryDisk, clock: SteppedClock
):
    async with open_memory_engine(disk, clock=clock, options=QUIET) as engine:
        await create(engine, "a")
        before = await listing(engine, "a")
        assert before["k"] == "v"
        assert isinstance(before["small"].body, OnDisk)
        assert isinstance(before["large"].body, Payload)
        assert [await content(engine, before[key]) for key in ("small", "large")] == [SMALL, LARGE]
    async with open_memory_engine(disk, clock=clock, options=QUIET) as engine:
        assert await listing(engine, "a") == before
        assert [await content(engine, before[key]) for key in ("small", "large")] == [SMALL, LARGE]


async def test_what_fell_due_while_the_engine_was_down_is_never_served(disk: MemoryDisk, clock: SteppedClock):
    async with open_memory_engine(disk, clock=clock, options=QUIET) as engine:
        await create(engine, "a", ttl=86_400)
    clock.advance(31 * 86_400)
    async with open_memory_engine(disk, clock=clock, options=QUIET) as engine:
        with pytest.raises(NotFound):
            await listing(engine, "a")
        assert len(PayloadStore(disk).names()) == 1
        clock.advance(3600)
        await engine.sweep()
        assert engine.state.areas.areas == {}
    assert PayloadStore(disk).names() == []


async def test_refused_commands_leave_no_payload_file(disk: MemoryDisk, clock: SteppedClock):
    async with open_memory_engine(disk, clock=clock, options=QUIET) as engine:
        async with engine.upload() as upload:
            await upload.write(LARGE)
            values = {"f": NewFile("f", "a/b", await upload.finish())}
            with pytest.raises(NotFound):
                await engine.submit(
                    UpdateArea(actor="a", name="b", resource=engine.entropy(16), values=values, ttl=1)
                )
        assert PayloadStore(disk).names() == []


async def test_deleted_areas_leave_no_payload_file(disk: MemoryDisk, clock: SteppedClock):
    async with open_memory_engine(disk, clock=clock, options=QUIET) as engine:
        await create(engine, "a")
        await engine.submit(DeleteArea(actor="a", name="a"))
    async with open_memory_engine(disk, clock=clock, options=QUIET):
        assert PayloadStore(disk).names() == []
