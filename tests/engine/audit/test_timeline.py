"""A page of the audit log, against the whole log read from its beginning."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import trio

from retain.engine import Cause, open_engine
from retain.engine.areas import DeleteArea, UpdateArea
from retain.engine.audit.erasures import KnownErasures, erasures_of
from retain.engine.audit.log import Filter, log
from retain.engine.audit.timeline import page
from retain.engine.core.pattern import Pattern
from retain.engine.testing import SteppedClock
from retain.journal import Part
from retain.journal.lookup.index import write_indexes
from retain.journal.lookup.trail import Trail
from retain.journal.testing.memory import MemoryDisk
from tests.engine.audit.test_log import create
from tests.kit.engines import LightOptions

EACH = 40
FILTERS: list[dict[str, Any]] = [
    {},
    {"number": f"{3:032x}"},
    {"resource": Pattern("cart-1*")},
    {"actor": Pattern("nobody*")},
    {"verb": "erase"},
    {"interface": "areas", "cause": "erasure-request"},
]


async def filled(disk: MemoryDisk, clock: SteppedClock, segments: bool) -> None:
    """Write a journal, of some segments if `segments`."""
    options = LightOptions(segment_bytes=1 << 20) if segments else LightOptions()
    async with open_engine(disk, clock=clock, options=options) as engine:
        for number in range(1, EACH + 1):
            big = "x" * (60_000 if segments else 10)
            resource = number.to_bytes(16, "big")
            await engine.submit(create(f"cart-{number}", resource=resource, value=big))
            await engine.submit(
                UpdateArea(
                    actor="nobody", name=f"cart-{number}", user=None, resource=resource, values={}, ttl=9
                )
            )
            clock.advance(1)
        await engine.submit(DeleteArea(actor="user:x", name="cart-2", user=None))
        await engine.erase([(3, Part.CONTENT | Part.DETAILS)], Cause.ERASURE_REQUEST)


@pytest.fixture(params=["one segment", "more segments", "with indexes"])
def disk(request: pytest.FixtureRequest) -> MemoryDisk:
    made = MemoryDisk()
    trio.run(filled, made, SteppedClock(), request.param != "one segment")
    if request.param == "with indexes":
        write_indexes(made)
    return made


def all_of(disk: MemoryDisk, trail: Trail, wanted: Filter, **options: Any) -> list[int]:
    """Everything, page by page, as seqs; and back again, which must be the same pages."""
    seqs: list[int] = []
    before: int | None = None
    while True:
        one = page(trail, wanted, before=before, **options)
        assert len(one.entries) == len(one.records) <= options.get("rows", 50)
        assert one.looked_at <= options.get("most", 20_000)
        assert (one.newer is None) is (before is None)
        seqs += [entry.seq for entry in one.entries]
        if one.older is None:
            return seqs
        before = one.older


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
@pytest.mark.parametrize("options", [{"rows": 7}, {"rows": 50}, {"rows": 5, "most": 11}], ids=str)
def test_its_pages_are_the_whole_log(
    disk: MemoryDisk, wanted: dict[str, Any], options: dict[str, int]
) -> None:
    expected = [entry.seq for entry in log(disk, Filter(**wanted))]
    if "resource" in wanted:
        # The log follows a name by its number; a page sees names as far as they are kept.
        expected = [e.seq for e in log(disk, Filter(**wanted)) if e.subject]
    assert all_of(disk, Trail(disk), Filter(**wanted), **options) == expected[::-1]


def test_a_span_of_time_is_found_without_what_lies_around_it(disk: MemoryDisk) -> None:
    times = [entry.time for entry in log(disk, Filter())]
    since, until = times[20], times[30]
    one = page(Trail(disk), Filter(since=since, until=until))
    expected = [entry.seq for entry in log(disk, Filter(since=since, until=until))]
    assert [entry.seq for entry in one.entries] == expected[::-1]
    assert expected
    assert one.looked_at < len(expected) + 10
    assert page(Trail(disk), Filter(since=times[-1] + 1)).entries == ()


def test_one_goes_back_to_newer_ones(disk: MemoryDisk) -> None:
    trail = Trail(disk)
    first = page(trail, Filter(), rows=10)
    second = page(trail, Filter(), rows=10, before=first.older)
    assert second.newer is not None
    again = page(trail, Filter(), rows=10, after=second.newer)
    assert [one.seq for one in again.entries] == [one.seq for one in first.entries]
    assert again.newer is None
    assert again.older is not None
    assert page(trail, Filter(), rows=10, before=again.older).entries == second.entries


def test_a_page_that_finds_little_says_how_far_it_looked(disk: MemoryDisk) -> None:
    one = page(Trail(disk), Filter(actor="somebody-else"), most=10)
    assert (one.entries, one.looked_at) == ((), 10)
    assert one.reached is not None
    assert page(Trail(disk), Filter(), rows=10, seconds=None).reached is None


def test_a_page_ends_after_its_time_and_the_next_one_goes_on_from_there(disk: MemoryDisk) -> None:
    def ticks() -> Iterator[float]:
        yield from itertools.count(0.0, 0.01)

    wanted = Filter(actor=Pattern("nobody*"))
    expected = [entry.seq for entry in log(disk, wanted)]
    trail, seqs, pages, before = Trail(disk), [], 0, None
    while True:
        one = page(trail, wanted, before=before, seconds=0.055, clock=ticks().__next__)
        pages += 1
        assert 0 < one.looked_at <= 6
        seqs += [entry.seq for entry in one.entries]
        assert (one.reached is None) is (one.older is None)
        if one.older is None:
            break
        before = one.older
    assert seqs == expected[::-1]
    assert pages > 5
    assert page(Trail(disk), wanted, seconds=0, clock=lambda: 1.0).looked_at == 1


def test_reading_the_index_first_leaves_the_page_its_time() -> None:
    """Otherwise the first page after a start would hold a single record."""
    disk, now = MemoryDisk(), [0.0]
    trio.run(filled, disk, SteppedClock(), False)

    class SlowTrail(Trail):
        def before(self, *args: Any, **named: Any) -> Any:
            now[0] += 60  # the index
            yield from super().before(*args, **named)

    found = page(SlowTrail(disk), Filter(), seconds=0.06, clock=lambda: now[0])
    assert found.older is None


async def test_what_is_appended_is_found_without_reading_the_rest_again() -> None:
    disk, clock = MemoryDisk(), SteppedClock()
    async with open_engine(disk, clock=clock, options=LightOptions()) as engine:
        trail, known = Trail(disk), KnownErasures(disk)
        await engine.submit(create("one", resource=bytes(15) + b"1", value="x"))
        assert len(page(trail, Filter()).entries) == 1
        assert known.of([1]) == {}
        await engine.submit(create("two", resource=bytes(15) + b"2", value="x"))
        assert [one.subject for one in page(trail, Filter()).entries] == ["two", "one"]
        await engine.submit(DeleteArea(actor="user:x", name="one", user=None))
        await engine.erase([(1, Part.CONTENT)], Cause.ERASURE_REQUEST)
        assert [one.part for one in known.of([1])[1]] == ["content"]
        assert known.of([1]) == erasures_of(disk, [1])
        assert page(trail, Filter()).entries[-1].erased == ("content",)
