"""The eraser at exactly its limits: one less, the limit itself, one more."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio

from retain.engine import Engine
from retain.engine.areas import CreateArea, DeleteArea
from retain.engine.core.event import Cause
from retain.engine.core.ledger import GarbageRecord, mark_of, size_of
from retain.engine.core.policy import SLICE_BYTES, SLICE_RECORDS, slices
from retain.engine.core.time import DAY
from retain.engine.erasure.eraser import TIDY_EVERY
from retain.engine.erasure.steps import TARGETS
from retain.engine.testing import SteppedClock, open_memory_engine
from retain.journal import JournalOptions, Part, Verb, scan
from retain.journal.format.limits import BATCH_RECORDS, ERASE_RANGES
from retain.journal.format.record import Draft
from retain.journal.journal import Journal
from retain.journal.testing.memory import MemoryDisk
from tests.engine.persons.test_find import ANN, QUIET, Store
from tests.kit.engines import SmallOptions
from tests.kit.journals import opened


async def fill(engine: Engine, count: int) -> None:
    """Areas that are deleted again: segments that hold little else."""
    for _ in range(count):
        name = engine.entropy(4).hex() + "-0000-4000-8000-" + "0" * 12
        await engine.submit(
            CreateArea(actor="a", name=name, resource=engine.entropy(16), values={"k": "v" * 900}, ttl=9**6)
        )
        await engine.submit(DeleteArea(actor="a", name=name))


def rewritten(disk: MemoryDisk) -> set[str]:
    """Segments that were replaced: their names have a number more."""
    return {name for name in disk.files() if name.endswith(".journal") and name.count(".") == 2}


async def test_an_immediate_erasure_gives_the_space_back_at_once() -> None:
    disk, clock = MemoryDisk(), SteppedClock()
    async with open_memory_engine(disk, clock=clock, options=SmallOptions()) as engine:
        await fill(engine, 20)
        await engine.erase_due()
        first = rewritten(disk)
        assert first
        await fill(engine, 20)
        await engine.erase_due()
        assert rewritten(disk) > first, "no minute has passed, and it did not wait for it"


@pytest.mark.parametrize(("passed", "tidied"), [(TIDY_EVERY - 1, False), (TIDY_EVERY, True)])
async def test_the_rounds_give_space_back_once_a_minute(passed: int, tidied: bool) -> None:
    disk, clock = MemoryDisk(), SteppedClock()
    async with open_memory_engine(disk, clock=clock, options=SmallOptions()) as engine:
        await engine.erase_due()
        await fill(engine, 20)
        clock._wall += passed
        clock._monotonic += passed
        with trio.move_on_after(30):
            await engine._eraser.turn()
        assert bool(rewritten(disk)) is tidied


@pytest.mark.parametrize(("short", "named"), [(1, True), (0, False)])
async def test_names_go_at_the_instant_at_which_the_audit_period_ends(short: int, named: bool) -> None:
    disk, clock = MemoryDisk(), SteppedClock()
    async with open_memory_engine(disk, clock=clock, options=QUIET) as engine:
        await fill(engine, 1)
        clock._wall += 365 * DAY - short
        clock._monotonic += 365 * DAY - short
        await engine.erase_due()
    details = [one.details for one in scan(disk) if one.header.verb in (Verb.PUT, Verb.DELETE)]
    assert len(details) == 2
    assert all(bool(one) is named for one in details)


@pytest.mark.parametrize(("short", "kept"), [(1, 1), (0, 0)])
async def test_history_goes_at_the_instant_at_which_its_period_ends(short: int, kept: int) -> None:
    clock = SteppedClock()
    async with open_memory_engine(clock=clock, options=QUIET) as engine:
        store = Store(engine)
        await store.document(ANN)
        clock.advance(10)
        await store.document(ANN)
        period = 90 * DAY - short
        clock._wall += period
        clock._monotonic += period
        await engine.erase_due()
        assert engine.state.records.waiting == kept


def left(count: int, size: int = 0) -> Sequence[GarbageRecord]:
    return [GarbageRecord(0, mark_of(seq, size), bytes(16), Cause.REQUEST) for seq in range(1, count + 1)]


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (SLICE_RECORDS - 1, [SLICE_RECORDS - 1]),
        (SLICE_RECORDS, [SLICE_RECORDS]),
        (SLICE_RECORDS + 1, [SLICE_RECORDS, 1]),
    ],
)
def test_a_slice_has_so_many_records(count: int, sizes: list[int]) -> None:
    assert [len(slice_) for _, slice_ in slices(left(count))] == sizes


def test_a_slice_ends_with_the_record_that_reaches_its_bytes() -> None:
    each = 64 << 10
    full = SLICE_BYTES // size_of(mark_of(1, each))
    assert [len(slice_) for _, slice_ in slices(left(full + 1, each))] == [full, 1]
    assert [len(slice_) for _, slice_ in slices(left(full - 1, each))] == [full - 1]


@pytest.mark.parametrize(("more", "records"), [(0, 1), (1, 2)])
async def test_so_many_targets_are_erased_with_one_record(more: int, records: int) -> None:
    disk = MemoryDisk()
    async with open_memory_engine(disk, clock=SteppedClock(), options=QUIET) as engine:
        drafts = [Draft(Verb.PUT, 1, bytes(16), 1, b"", b"v")] * BATCH_RECORDS

        def write() -> None:
            for _ in range(2):
                engine._log.reserve()
                engine._log.append(drafts, 0)
                engine.state.skip(engine._log.head.seq, engine._log.head.time)

        await engine.between_batches(write)
        targets = [(seq, Part.CONTENT) for seq in range(1, TARGETS + more + 1)]
        await engine.erase(targets, Cause.ERASURE_REQUEST)
        erased = sum(one.header.verb == Verb.ERASE for one in scan(disk))
    assert erased == records


@pytest.mark.parametrize(("more", "plans"), [(-1, 1), (0, 1), (1, 2)])
def test_so_many_ranges_stand_in_one_erase_record(more: int, plans: int) -> None:
    log, seqs = _log(2 * (ERASE_RANGES + 1))
    targets = [(seq, Part.CONTENT) for seq in seqs[::2]][: ERASE_RANGES + more]
    assert len(log.plan_erasures(targets, 1)) == plans


def test_a_frame_takes_so_many_records_and_not_one_more() -> None:
    log, _ = _log(BATCH_RECORDS)
    assert log.head.seq == BATCH_RECORDS
    with pytest.raises(AssertionError, match=f"1 to {BATCH_RECORDS} records"):
        log.append([DRAFT] * (BATCH_RECORDS + 1), 0)
    assert log.head.seq == BATCH_RECORDS


DRAFT = Draft(Verb.PUT, 1, bytes(16), 1, b"", b"v")


def _log(count: int) -> tuple[Journal, range]:
    log, _ = opened(MemoryDisk(), options=JournalOptions(ballast_bytes=0))
    for start in range(0, count, BATCH_RECORDS):
        log.reserve()
        log.append([DRAFT] * min(BATCH_RECORDS, count - start), 0)
    return log, range(1, count + 1)
