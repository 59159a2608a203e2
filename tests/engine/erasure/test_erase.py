"""Erasing through an open engine: errors at any moment, and the audit log afterwards."""

from __future__ import annotations

import errno

import pytest

from retain.engine import Unavailable, open_engine
from retain.engine.audit.erasures import ErasedPart, erasures_of
from retain.engine.core.event import Cause
from retain.engine.testing import EPOCH, SteppedClock, open_memory_engine
from retain.journal import Part, Record, scan
from retain.journal.testing.memory import MemoryDisk
from tests.engine.conftest import QUIET
from tests.kit.engines import SmallOptions
from tests.kit.toy import Drop, Put, inline

pytestmark = pytest.mark.usefixtures("toys")

BOTH = Part.DETAILS | Part.CONTENT


async def after_an_error(
    place: int, number: int = errno.EIO
) -> tuple[int, bool, Exception | None, dict[int, Record]]:
    """An erasure and a change whose `place`-th operation fails, or none at 0.

    How many operations there were, whether the erasure was answered, with what either was refused, and what
    the next start finds.
    """
    disk = MemoryDisk()
    answered, refusal = False, None
    async with open_engine(disk, clock=SteppedClock(), options=SmallOptions()) as engine:
        for name in "abc":
            await engine.submit(Put(name=name, body=inline(b"body of " + name.encode())))
        await engine.submit(Drop(name="b"))
        start = disk.operations
        if place:
            disk.fail_at(start + place, number)
        try:
            await engine.erase([(2, BOTH)], Cause.ERASURE_REQUEST)
            answered = True
            await engine.submit(Put(name="d"))
        except Unavailable as error:
            refusal = error
        operations = disk.operations - start
    disk = disk.crash("none")
    async with open_memory_engine(disk, clock=SteppedClock(), options=SmallOptions()):
        pass
    return operations, answered, refusal, {record.header.seq: record for record in scan(disk)}


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
async def test_an_error_at_any_operation_of_an_erasure_is_told_and_what_was_answered_stays(
    number: int,
) -> None:
    answered = refused = 0
    operations, *_ = await after_an_error(0)
    assert operations > 8
    for place in range(1, operations + 1):
        _, done, refusal, found = await after_an_error(place, number)
        assert (found[1].content, found[3].content) != (None, None)
        assert (found[2].details is None) == (found[2].content is None), "by halves"
        assert not done or found[2].content is None
        assert done or refusal is not None
        answered += done
        refused += refusal is not None
    assert answered > 0
    assert refused > 4


async def test_when_and_why_parts_were_erased_is_told_by_record(disk: MemoryDisk) -> None:
    clock = SteppedClock()
    async with open_engine(disk, clock=clock, options=QUIET) as engine:
        for name in "abcd":
            await engine.submit(Put(name=name, body=inline(b"body")))
        clock.advance(10)
        await engine.erase([(1, Part.CONTENT), (2, BOTH)], Cause.ERASURE_REQUEST)
        clock.advance(10)
        await engine.erase([(1, Part.DETAILS)], 250)
        first, second = EPOCH + 10 * 10**9, EPOCH + 20 * 10**9
        assert erasures_of(disk, [1, 2, 3]) == {
            1: (
                ErasedPart("content", first, "erasure-request", 5),
                ErasedPart("details", second, "250", 7),
            ),
            2: (
                ErasedPart("details", first, "erasure-request", 5),
                ErasedPart("content", first, "erasure-request", 5),
            ),
        }
        assert erasures_of(disk, []) == {}
