"""What a trail remembers of a growing journal: the same records as a full scan, whatever happened between."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from retain.journal import JournalOptions, Part, Record, scan
from retain.journal.format.record import NO_RESOURCE, RESOURCE_BYTES
from retain.journal.lookup.history import history
from retain.journal.lookup.index import SegmentIndex
from retain.journal.lookup.trail import Trail
from retain.journal.proofs.prover import Prover
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import find_segments
from retain.journal.testing.memory import MemoryDisk
from tests.kit.journals import T0, append, draft, opened

OPTIONS = JournalOptions(segment_bytes=6_000, reserve_bytes=3_000, ballast_bytes=0)
RESOURCES = (
    NO_RESOURCE,
    bytes(8) + b"shadowed",  # begins like no resource at all
    bytes([1]) * RESOURCE_BYTES,
    bytes([1]) * 8 + b"the same",
    bytes([1] * 4 + [2] * 4) + bytes([1] * 4 + [2] * 4),  # found across the border of two keys, too
    bytes([2] * 4 + [1] * 4) + bytes(8),
)
ACTIONS = st.one_of(
    st.lists(st.integers(0, len(RESOURCES) - 1), min_size=1, max_size=8),
    st.sampled_from(["look", "erase", "index", "reopen"]),
)


def every(disk: MemoryDisk, resource: bytes | None) -> list[Record]:
    return [one for one in scan(disk) if resource is None or one.header.resource == resource]


def compare(disk: MemoryDisk, trail: Trail) -> None:
    """What the trail, and what shares its indexes, says of each resource, against a scan."""
    trail.refresh()
    shared = trail.indexes()
    for resource in (None, *RESOURCES):
        wanted = every(disk, resource)
        assert [spot.read() for spot in trail.before(resource=resource)] == wanted[::-1]
        assert [spot.details() for spot in trail.after(0, resource=resource)] == [
            one.details for one in wanted
        ]
        for bound in {0, 1, len(wanted), *(one.header.seq for one in wanted[:3])}:
            later = [one.header.seq for one in wanted if one.header.seq > bound]
            assert [spot.header.seq for spot in trail.after(bound, resource=resource)] == later
            earlier = [one.header.seq for one in wanted if one.header.seq < bound]
            assert [s.header.seq for s in trail.before(bound, resource=resource)] == earlier[::-1]
        if resource is not None and resource != NO_RESOURCE:
            assert list(history(disk, resource, indexes=shared)) == wanted
    assert Prover(disk, indexes=shared).root(len(every(disk, None))) == Prover(disk).root(
        len(every(disk, None))
    )


def test_it_is_read_in_slices() -> None:
    """Each slice reads no more frames than it may; then the trail is as complete as after one reading."""
    disk = MemoryDisk()
    log, _ = opened(disk, options=OPTIONS)
    for number in range(7):
        append(log, draft(resource=RESOURCES[number % len(RESOURCES)]))
    trail = Trail(disk)
    slices = [trail.refresh(3)]
    while slices[-1]:
        slices.append(trail.refresh(3))
    assert slices == [True, True, False]
    assert not trail.refresh(3)
    compare(disk, trail)
    log.close()


@settings(deadline=None, max_examples=40)
@given(st.lists(ACTIONS, min_size=1, max_size=12))
def test_it_is_what_a_scan_finds(actions: list[list[int] | str]) -> None:
    disk = MemoryDisk()
    log, _ = opened(disk, options=OPTIONS)
    trail = Trail(disk)
    for action in actions:
        if isinstance(action, list):
            append(log, *(draft(b"who", b"what" * 50, resource=RESOURCES[one]) for one in action))
        elif action == "look":
            compare(disk, trail)
        elif action == "erase" and log.head.seq:
            log.erase([(1, Part.DETAILS | Part.CONTENT)], 7, T0)
        elif action == "index":
            log.build_index()
        elif action == "reopen":
            log.close()
            log, _ = opened(disk, options=OPTIONS)
    compare(disk, trail)
    log.close()


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.lists(st.integers(0, len(RESOURCES) - 1), min_size=1, max_size=4), min_size=3, max_size=12)
)
def test_what_is_not_in_the_index_yet_is_searched(batches: list[list[int]]) -> None:
    """The same records, by number and by time, for a query that comes before the segment was read."""
    disk = MemoryDisk()
    log, _ = opened(disk, options=OPTIONS)
    for at, batch in enumerate(batches):
        append(log, *(draft(b"who", b"what" * 50, resource=RESOURCES[one]) for one in batch), time=T0 + at)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("retain.journal.lookup.trail.AT_ONCE", 1)
        for resource in (None, *RESOURCES):
            wanted = [one.header.seq for one in every(disk, resource)]
            half = len(batches) // 2
            early = [one.header.seq for one in every(disk, resource) if one.header.time < T0 + half]
            late = wanted[len(early) :]
            for found, expected in (
                (Trail(disk).before(resource=resource), wanted[::-1]),
                (Trail(disk).after(0, resource=resource), wanted),
                (Trail(disk).after(3, resource=resource), [seq for seq in wanted if seq > 3]),
                (Trail(disk).before(4, resource=resource), [seq for seq in wanted[::-1] if seq < 4]),
                (Trail(disk).before(resource=resource, stop=T0 + half), early[::-1]),
                (Trail(disk).after(0, resource=resource, start=T0 + half), late),
            ):
                assert [spot.header.seq for spot in found] == expected
    log.close()


def test_a_query_before_the_index_is_there_reads_little_into_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retain.journal.lookup.trail.AT_ONCE", 2)
    disk = MemoryDisk()
    log, _ = opened(disk, options=OPTIONS)
    for _ in range(7):
        append(log, draft(resource=RESOURCES[2]))
    trail = Trail(disk)
    assert len(list(trail.before(resource=RESOURCES[2]))) == 7
    assert [trail.refresh(1) for _ in range(6)] == [True] * 5 + [False]
    log.close()


def test_sealed_segments_are_read_ahead_the_newest_first() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk, options=OPTIONS)
    while log.head.segment < 4:
        append(log, *(draft(b"who", b"what" * 50, resource=one) for one in RESOURCES))
    trail = Trail(disk)
    assert [trail.read_sealed() for _ in range(4)] == [True, True, True, False]
    compare(disk, trail)
    log.close()


def test_what_grew_is_the_index_of_the_sealed_segment() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk, options=OPTIONS)
    trail = Trail(disk)
    while log.head.segment < 4:
        append(log, *(draft(b"who", b"what" * 50, resource=one) for one in RESOURCES))
        trail.refresh()
    found = trail.indexes()
    for segment in find_segments(disk)[0][:-1]:
        with SegmentFile(disk, segment) as file:
            anew = SegmentIndex.of(file)
        grown = found.of(segment)
        assert (grown.first, grown.last, grown.end, grown.heads) == (
            anew.first,
            anew.last,
            anew.end,
            anew.heads,
        )
        assert grown.frames() == anew.frames()
        assert grown.subtrees() == anew.subtrees()
        assert grown.frontier.root() == anew.frontier.root()
        assert [grown.seqs_of(one) for one in RESOURCES] == [anew.seqs_of(one) for one in RESOURCES]
    log.close()


def test_a_torn_frame_is_not_remembered() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk, options=OPTIONS)
    append(log, draft(b"who", b"first", resource=RESOURCES[2]))
    end = log.head.offset
    append(log, draft(b"who", b"second" * 200, resource=RESOURCES[2]))
    name, files = find_segments(disk)[0][0].file, disk.files()
    log.close()
    torn = MemoryDisk({**files, name: files[name][: end + 512] + bytes(len(files[name]) - end - 512)})
    trail = Trail(torn)
    assert [spot.read().content for spot in trail.before(resource=RESOURCES[2])] == [b"first"]
    again, _ = opened(torn, options=OPTIONS)
    append(again, draft(b"who", b"another", resource=RESOURCES[2]))
    assert [spot.read().content for spot in trail.before(resource=RESOURCES[2])] == [b"another", b"first"]
    again.close()
