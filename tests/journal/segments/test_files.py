"""Names, order and openers of segments."""

from __future__ import annotations

import pytest
from crc32c import crc32c

from retain.journal import Corrupt, UnknownVersion
from retain.journal.format.envelope import OPENER_MAGIC, unwrap, wrap
from retain.journal.format.frame import Chain
from retain.journal.format.limits import ENVELOPE_BYTES
from retain.journal.format.merkle import Frontier, leaf_hash
from retain.journal.segments.files import (
    Segment,
    broken_file,
    create_segment,
    list_segments,
    pack_opener,
    read_opener,
    segment_file,
    segment_for,
)
from retain.journal.testing.memory import MemoryDisk

IDENTITY = b"i" * 16


def chain(size: int) -> Chain:
    frontier = Frontier()
    for seq in range(size):
        frontier.append(leaf_hash(b"%d" % seq))
    return Chain(frontier, 17)


def disk_with(*numbers: tuple[int, int], **others: bytes) -> MemoryDisk:
    files = {segment_file(number, first): b"" for number, first in numbers}
    return MemoryDisk(files | {f"journal/{name}": data for name, data in others.items()})


def test_names_sort_as_segments_do() -> None:
    names = [segment_file(number, number * 1000) for number in range(1, 300)]

    assert names == sorted(names)
    assert names[0] == "journal/00000001-00000000000003e8.journal"
    assert broken_file(names[0], 4096) == f"{names[0]}.00001000.broken"


def test_segments_are_listed_in_order_and_other_files_passed_over() -> None:
    disk = disk_with((2, 9), (1, 1), anchor=b"", ballast=b"")

    assert [(one.number, one.first) for one in list_segments(disk)] == [(1, 1), (2, 9)]
    assert list_segments(MemoryDisk()) == []


@pytest.mark.parametrize(
    "numbers",
    [[(2, 1)], [(1, 2)], [(1, 1), (3, 9)], [(1, 1), (2, 1)], [(1, 1), (1, 9)]],
    ids=["first missing", "first record missing", "gap", "not later", "twice"],
)
def test_a_missing_or_misnamed_segment_is_damage(numbers: list[tuple[int, int]]) -> None:
    with pytest.raises(Corrupt, match="is missing, or has a wrong name"):
        list_segments(disk_with(*numbers))


def test_reading_after_a_record_starts_at_the_last_segment_that_can_prove_it() -> None:
    segments = [Segment(1, 1, ""), Segment(2, 9, ""), Segment(3, 20, "")]

    assert [segment_for(segments, seq) for seq in (0, 7, 8, 18, 19, 99)] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("size", [0, 1, 6, (1 << 20) - 1])
def test_an_opener_carries_the_trees_frontier(size: int) -> None:
    disk = MemoryDisk()
    disk.make_folder("journal")
    before = Chain(Frontier(size, [b"p" * 32] * size.bit_count()), 17)
    segment, length = create_segment(disk, IDENTITY, 3, before)
    with disk.open(segment.file) as file:
        opener = read_opener(file, segment)

    assert segment == Segment(3, size + 1, segment_file(3, size + 1))
    assert opener.size == length == len(disk.files()[segment.file])
    assert length % 512 == 0
    assert (opener.identity, opener.number, opener.first) == (IDENTITY, 3, size + 1)
    assert opener.chain.frontier.peaks == before.frontier.peaks
    assert opener.chain.time == 17


def read(data: bytes, number: int = 1, first: int = 1) -> None:
    segment = Segment(number, first, segment_file(number, first))
    disk = MemoryDisk({segment.file: data})
    with disk.open(segment.file) as file:
        read_opener(file, segment)


def test_every_flipped_byte_of_an_opener_is_noticed() -> None:
    data = pack_opener(IDENTITY, 1, chain(0))
    read(data)
    for at in range(len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 1
        with pytest.raises(Corrupt):
            read(bytes(flipped))


def test_an_opener_may_not_be_cut_short() -> None:
    data = pack_opener(IDENTITY, 1, chain(0))
    for length in range(len(data)):
        with pytest.raises(Corrupt):
            read(data[:length])


def test_an_opener_under_another_segments_name_is_damage() -> None:
    with pytest.raises(Corrupt, match="another segment than its name says"):
        read(pack_opener(IDENTITY, 2, chain(0)))
    with pytest.raises(Corrupt, match="another segment than its name says"):
        read(pack_opener(b"short", 1, chain(0)))


@pytest.mark.parametrize(
    "body",
    [
        {"journal": IDENTITY, "segment": 1, "first": 1, "time": 0},
        {"journal": IDENTITY, "segment": 1, "first": 1, "time": 0, "peaks": [b"p" * 32]},
        {"journal": 7.5, "segment": 1, "first": 1, "time": 0, "peaks": []},
        [],
    ],
)
def test_an_opener_with_a_good_checksum_and_wrong_fields_is_damage(body: object) -> None:
    data = wrap(OPENER_MAGIC, body)

    with pytest.raises(Corrupt, match="the opener lacks"):
        read(data + bytes(-len(data) % 512))


def test_a_later_format_is_told_from_damage() -> None:
    data = bytearray(wrap(OPENER_MAGIC, {})[:-4])
    data[8:10] = b"\x00\x02"
    later = bytes(data) + crc32c(bytes(data)).to_bytes(4, "big")

    with pytest.raises(UnknownVersion, match="has format 2, unknown to this release"):
        unwrap(OPENER_MAGIC, later, file="journal/x")
    assert len(later) < ENVELOPE_BYTES


def test_a_body_that_is_no_msgpack_is_damage() -> None:
    data = bytearray(wrap(OPENER_MAGIC, 1)[:-4])
    data[-1] = 0xC1
    wrong = bytes(data) + crc32c(bytes(data)).to_bytes(4, "big")

    with pytest.raises(Corrupt):
        unwrap(OPENER_MAGIC, wrong, file="journal/x")
