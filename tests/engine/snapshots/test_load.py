"""Opening a data folder whose last process died in the middle of something; reading one beside a server."""

from __future__ import annotations

import msgpack

from retain import journal
from retain.engine.areas import CreateArea, DeleteArea
from retain.engine.audit.log import state_at
from retain.engine.snapshots.load import present
from retain.engine.testing import SteppedClock, open_memory_engine
from retain.journal import Draft, Part, Verb
from retain.journal.format.record import NO_RESOURCE
from retain.journal.testing.memory import MemoryDisk


async def test_numbers_go_on_after_an_erasure_that_opening_had_to_finish() -> None:
    disk, clock = MemoryDisk(), SteppedClock()
    async with open_memory_engine(disk, clock=clock) as engine:
        for name in ("one", "two"):
            await engine.submit(
                CreateArea(
                    actor="test", name=name, resource=name.encode() * 5 + b"x", values={"k": "v"}, ttl=60
                )
            )
        await engine.submit(DeleteArea(actor="test", name="one"))
    log = journal.open_journal(disk, lambda record: None)
    ranges = msgpack.packb([[int(Part.CONTENT), 1, 1]])
    log.reserve()
    log.append([Draft(Verb.ERASE, 0, NO_RESOURCE, 8, b"", ranges)], clock.wall())
    log.close()
    async with open_memory_engine(disk, clock=clock) as engine:
        name = await engine.submit(
            CreateArea(actor="test", name="three", resource=b"3" * 16, values={"k": "v"}, ttl=60)
        )
        assert name == "three"
        records = [record.header for record in journal.scan(disk)]
        assert [header.verb for header in records] == [
            *(Verb.PUT, Verb.PUT, Verb.DELETE),
            *(Verb.ERASE, Verb.ERASED, Verb.PUT),
        ]
        assert engine.state.seq == records[-1].seq == 6


def area(name: str) -> CreateArea:
    return CreateArea(actor="test", name=name, resource=name.encode() * 16, values={"k": "v"}, ttl=60)


async def test_the_present_is_the_newest_snapshot_and_what_came_after_it() -> None:
    disk = MemoryDisk()
    async with open_memory_engine(disk, clock=SteppedClock()) as engine:
        await engine.submit(area("a"))
        await engine.take_snapshot()
        await engine.submit(area("b"))
        await engine.submit(DeleteArea(actor="test", name="a"))
        read: list[int] = []
        assert present(disk, read.append).digest() == engine.state.digest()
        assert read == [2, 3]
        files = disk.files()
    without = {name: data for name, data in files.items() if "snapshot" not in name}
    read = []
    assert present(MemoryDisk(without), read.append).digest() == present(MemoryDisk(files)).digest()
    assert read == [1, 2, 3]


async def test_the_present_believes_no_snapshot_of_another_journal() -> None:
    mine, other = MemoryDisk(), MemoryDisk()
    for disk, names in ((mine, "ab"), (other, "cd")):
        async with open_memory_engine(disk, clock=SteppedClock()) as engine:
            for name in names:
                await engine.submit(area(name))
    strange = {name: data for name, data in other.files().items() if "snapshot" in name}
    partly_dead = MemoryDisk({**mine.files(), **strange})
    assert present(partly_dead).digest() == state_at(mine, None).digest()
    longer = {name: data for name, data in mine.files().items() if "snapshot" not in name}
    async with open_memory_engine(other, clock=SteppedClock()) as engine:
        await engine.submit(area("e"))
    late = {name: data for name, data in other.files().items() if "snapshot" in name}
    assert present(MemoryDisk({**longer, **late})).digest() == state_at(mine, None).digest()
