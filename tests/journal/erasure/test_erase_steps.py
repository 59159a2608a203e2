"""The steps of an erasure, with the journal going on between them."""

from __future__ import annotations

import pytest

from retain.journal import Closed, ErasurePlan, Journal, NoSpace, Part, Verb, scan
from retain.journal.erasure.locate import Spot
from retain.journal.segments.files import find_segments
from retain.journal.testing.memory import MemoryDisk
from tests.kit.journals import SMALL, T0, append, draft, opened


def begun(batches: int = 10) -> tuple[MemoryDisk, Journal, ErasurePlan]:
    """A journal over several segments, and an erasure from its first that has begun."""
    disk = MemoryDisk()
    log, _ = opened(disk)
    for _ in range(batches):
        append(log, *(draft(content=bytes([65 + at]) * 300) for at in range(3)))
    [plan] = log.plan_erasures([(1, Part.CONTENT)], 7)
    log.begin_erasure(plan, T0)
    return disk, log, plan


def append_for_ever(log: Journal) -> None:
    """Uses all the room that was reserved, each time."""
    while True:
        append(log, *(draft(content=bytes(1500)) for _ in range(8)))


def raw(disk: MemoryDisk, spot: Spot) -> bytes:
    """The bytes on disk there."""
    [name] = [one.file for one in find_segments(disk)[0] if one.number == spot.segment]
    with disk.open(name) as file:
        return file.pread(spot.offset, spot.size)


def test_the_journal_goes_on_between_them() -> None:
    disk, log, plan = begun()
    append(log)
    assert any(raw(disk, plan.spots[0])), "nothing is blanked yet"
    log.blank(plan)
    assert not any(raw(disk, plan.spots[0]))
    append(log)
    log.end_erasure(plan, T0)
    verbs = [record.header.verb for record in scan(disk)][-4:]
    assert verbs == [Verb.ERASE, Verb.PUT, Verb.PUT, Verb.ERASED]


def test_both_records_stand_in_one_segment_however_full_it_gets() -> None:
    _, log, plan = begun()
    segment = log.head.segment
    while log.head.offset < 3 * SMALL.segment_bytes:
        append(log)
    log.blank(plan)
    log.end_erasure(plan, T0)
    assert log.head.segment == segment
    log.reserve()
    assert log.head.segment == segment + 1, "the next batch begins a new one"


def test_the_closing_records_room_is_kept_while_others_fill_the_disk() -> None:
    disk, log, plan = begun()
    disk.capacity = sum(map(len, disk.files().values())) + 3 * SMALL.reserve_bytes
    with pytest.raises(NoSpace):
        append_for_ever(log)
    log.blank(plan)
    log.end_erasure(plan, T0)
    assert list(scan(disk))[-1].header.verb == Verb.ERASED


def test_one_that_was_begun_is_finished_by_the_next_start() -> None:
    disk, log, plan = begun()
    log.close()
    with pytest.raises(Closed):
        log.blank(plan)
    again, _ = opened(disk)
    assert "interrupted" in again.notices[0]
    assert not any(raw(disk, plan.spots[0]))
