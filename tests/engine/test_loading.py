"""Opening a data folder whose last process died in the middle of something."""

import msgpack

import journal
from engine.areas import CreateArea, DeleteArea
from engine.testing import SteppedClock, open_memory_engine
from journal import Draft, Part, Verb
from journal.record import NO_RESOURCE
from journal.testing import MemoryDisk


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
