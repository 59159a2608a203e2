"""Indexes: the same records with and without them, and never more than a cache."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest
from crc32c import crc32c

from retain.journal import Corrupt, Journal, JournalOptions, Part, RealDisk, Record, scan, verify
from retain.journal.check.verify import FindingKind
from retain.journal.disk.interface import Disk
from retain.journal.erasure.manifest import export_erasures
from retain.journal.format.envelope import INDEX_MAGIC, unwrap, wrap
from retain.journal.format.frame import pack_prefix
from retain.journal.format.merkle import leaf_hash, tree_root
from retain.journal.format.record import NO_RESOURCE, address
from retain.journal.lookup.growth import BLOCK
from retain.journal.lookup.history import between, headers, history
from retain.journal.lookup.index import (
    Indexes,
    SegmentIndex,
    is_wrong,
    read_index,
    unindexed,
    write_index,
    write_indexes,
)
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import index_file, list_segments
from retain.journal.segments.heads import head_at
from retain.journal.testing.memory import MemoryDisk
from tests.kit.journals import T0, append, draft, opened

OPTIONS = JournalOptions(segment_bytes=100_000, reserve_bytes=40_000, ballast_bytes=0)


def resource(number: int) -> bytes:
    return bytes([number]) * 8 + b"resource"


@pytest.fixture(scope="module")
def made() -> tuple[dict[str, bytes], list[Record]]:
    """Four segments: 7 resources in turn, a few without one, some erased; time passes with each batch."""
    disk = MemoryDisk()
    log, _ = opened(disk, options=OPTIONS)
    seq = 0
    while log.head.segment < 4 or log.head.offset < 9000:
        batch = []
        for _ in range(seq % 5 + 1):
            seq += 1
            batch.append(draft(b"who %d" % seq, b"what %d" % seq, resource=resource(seq % 7)))
        append(log, *batch, draft(b"", b"", resource=NO_RESOURCE), time=T0 + log.head.seq * 10)
        seq = log.head.seq
    log.erase([(one, Part.CONTENT) for one in range(10, 40)], 7, T0 + 10 * seq)
    log.close()
    return disk.files(), list(scan(disk))


@pytest.fixture(params=["indexed", "bare"])
def disk(request: pytest.FixtureRequest, made: tuple[dict[str, bytes], list[Record]]) -> Disk:
    disk = MemoryDisk(made[0])
    if request.param == "indexed":
        assert write_indexes(disk) == 3
    return disk


def test_the_history_of_a_resource_is_all_its_records_in_order(
    disk: Disk, made: tuple[dict[str, bytes], list[Record]]
) -> None:
    shared = Indexes(disk)
    for number in range(8):
        wanted = [record for record in made[1] if record.header.resource == resource(number)]
        assert list(history(disk, resource(number))) == wanted
        assert list(history(disk, resource(number), indexes=shared)) == wanted
    assert any(record.content is None for record in history(disk, resource(3)))


def test_resources_that_start_alike_are_told_apart(disk: Disk) -> None:
    assert list(history(disk, resource(3)[:8] + b"another.")) == []


@pytest.mark.parametrize("span", [(0, 300), (300, 310), (301, 302), (900, 4000), (0, 10**9), (10**8, 10**9)])
def test_a_span_of_time_is_all_records_in_it(
    disk: Disk, made: tuple[dict[str, bytes], list[Record]], span: tuple[int, int]
) -> None:
    start, stop = T0 + span[0], T0 + span[1]
    wanted = [record for record in made[1] if start <= record.header.time < stop]

    assert list(between(disk, start, stop)) == wanted


def test_only_the_segments_of_the_time_are_read(made: tuple[dict[str, bytes], list[Record]]) -> None:
    disk = MemoryDisk(made[0], count_reads=True)
    segments = list_segments(disk)
    start = made[1][segments[1].first + 10].header.time
    before = len(disk.trace)
    done: list[int] = []
    assert len(list(between(disk, start, start + 1, done.append))) > 0
    big = {one.name for one in disk.trace[before:] if one.kind == "pread"}

    assert done == [segments[2].first - 1]
    assert big >= {segments[1].file}


def test_headers_are_the_leaves(disk: Disk, made: tuple[dict[str, bytes], list[Record]]) -> None:
    found = headers(disk, range(1, len(made[1]) + 1))

    assert tree_root(leaf_hash(found[seq]) for seq in sorted(found)) == opened(disk)[0].head.root
    with pytest.raises(KeyError):
        headers(disk, [len(made[1]) + 1])


def test_an_index_tells_where_records_are(made: tuple[dict[str, bytes], list[Record]]) -> None:
    disk = MemoryDisk(made[0])
    records = {record.header.seq: record for record in made[1]}
    for segment, after in zip(list_segments(disk)[:3], list_segments(disk)[1:], strict=True):
        write_index(disk, segment)
        index = read_index(disk, segment)
        assert index is not None
        assert (index.first, index.last) == (segment.first, after.first - 1)
        firsts, _, times = index.frames()
        assert [records[index.first + at].header.time for at in firsts] == list(times)
        assert index.end == len(made[0][segment.file])
        for seq in range(index.first, index.last + 1):
            at = records[seq].content_at
            if at >= 0:
                assert address(segment.number, index.frame_of(seq)) < at


def test_the_subtrees_are_the_hashes_of_whole_blocks(made: tuple[dict[str, bytes], list[Record]]) -> None:
    disk = MemoryDisk(made[0])
    leaves = [leaf_hash(one) for one in headers(disk, range(1, len(made[1]) + 1)).values()]
    blocks = 0
    for segment in list_segments(disk):
        with SegmentFile(disk, segment) as file:
            first, hashes = SegmentIndex.of(file, growing=True).subtrees()
        for number in range(len(hashes) // 32):
            start = (first + number) * BLOCK
            assert hashes[number * 32 : number * 32 + 32] == tree_root(leaves[start : start + BLOCK])
            blocks += 1
    assert blocks > 0


def test_an_index_that_is_damaged_missing_or_of_another_journal_is_not_used(
    made: tuple[dict[str, bytes], list[Record]],
) -> None:
    disk = MemoryDisk(made[0])
    segments = list_segments(disk)
    write_indexes(disk)
    name = index_file(segments[1])
    good = disk.files()[name]
    for at in range(0, len(good), 37):
        other = MemoryDisk({**disk.files(), name: good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]})
        assert read_index(other, segments[1]) is None
    for length in (0, 3, 100, len(good) - 1):
        assert read_index(MemoryDisk({**disk.files(), name: good[:length]}), segments[1]) is None
    foreign = MemoryDisk({**disk.files(), index_file(segments[0]): good})
    assert read_index(foreign, segments[0]) is None
    done: list[int] = []
    assert write_indexes(foreign, done.append) == 1
    assert done == [segments[1].first - 1]
    assert unindexed(foreign) == []
    assert foreign.files() == disk.files()


def test_a_crash_while_indexes_are_made_leaves_them_or_none(
    made: tuple[dict[str, bytes], list[Record]],
) -> None:
    disk = MemoryDisk(made[0])
    states: list[MemoryDisk] = []
    disk.before_each = lambda _: states.append(disk.crash("random"))
    write_indexes(disk)
    wanted = list(history(disk, resource(2)))
    for state in [*states, disk.crash("none")]:
        assert list(history(state, resource(2))) == wanted
        opened(state, options=OPTIONS)[0].close()


def test_records_appended_meanwhile_are_found(disk: Disk) -> None:
    log, _ = opened(disk, options=OPTIONS)
    before = list(history(disk, resource(99)))
    append(log, draft(b"late", b"later", resource=resource(99)), time=T0 * 2)

    assert before == []
    assert [record.content for record in history(disk, resource(99))] == [b"later"]
    assert [record.details for record in between(disk, T0 * 2, T0 * 2 + 1)] == [b"late"]


def half_written(disk: Disk) -> Iterator[MemoryDisk]:
    """The journal with its last frame written up to each sector."""
    assert isinstance(disk, MemoryDisk)
    log: Journal = opened(disk, options=OPTIONS)[0]
    start = log.head.offset
    append(log, draft(b"late", b"later" * 300, resource=resource(99)), time=T0 * 2)
    files, name = disk.files(), list_segments(disk)[-1].file
    for border in range(start, log.head.offset, 512):
        yield MemoryDisk({**files, name: files[name][:border] + bytes(8192)})


def test_a_frame_half_written_is_not_there_yet(disk: Disk) -> None:
    states = list(half_written(disk))
    assert len(states) > 2
    for state in states:
        assert list(history(state, resource(99))) == []
        assert list(between(state, T0 * 2, T0 * 3)) == []


def test_a_damaged_segment_is_refused_not_skipped(made: tuple[dict[str, bytes], list[Record]]) -> None:
    segments = list_segments(MemoryDisk(made[0]))
    raw = bytearray(made[0][segments[1].file])
    raw[512 + 60] ^= 1
    disk = MemoryDisk({**made[0], segments[1].file: bytes(raw)})

    with pytest.raises(Corrupt):
        list(history(disk, resource(2)))
    with pytest.raises(Corrupt):
        list(between(disk, 0, T0 * 2))
    with pytest.raises(Corrupt):
        write_indexes(disk)


def test_progress_is_told_of_segments_without_an_index(made: tuple[dict[str, bytes], list[Record]]) -> None:
    disk = MemoryDisk(made[0])
    done: list[int] = []
    list(history(disk, resource(2), done.append))
    lasts = [segment.first - 1 for segment in list_segments(disk)[1:]]

    assert done == [*lasts, len(made[1])]
    made_here: list[int] = []
    indexes = Indexes(disk, made_here.append)
    for segment in indexes.segments:
        assert indexes.of(segment) is indexes.of(segment)
    assert made_here == done


def test_frames_of_every_length_are_walked_and_read() -> None:
    """Heads longer than what is read ahead, frames longer than that, and many small ones."""
    disk = MemoryDisk()
    log, _ = opened(disk, options=JournalOptions(segment_bytes=3 << 20, ballast_bytes=0))
    for number in range(6):
        append(log, *(draft(b"", b"x" * 200, resource=resource(number)) for _ in range(3500)), time=T0)
        append(log, draft(b"who", bytes(900_000), resource=resource(9)), time=T0 + number)
        append(log, draft(b"who", b"", resource=resource(8)), time=T0 + number)
    log.close()
    wanted = list(scan(disk))
    for _ in range(2):
        for number in (2, 8, 9):
            found = [record for record in wanted if record.header.resource == resource(number)]
            assert list(history(disk, resource(number))) == found
        assert write_indexes(disk) in (0, log.head.segment - 1)
    for segment in list_segments(disk)[:-1]:
        index = read_index(disk, segment)
        assert index is not None
        assert index.subtrees()[1]


def test_a_head_that_makes_no_sense_is_refused(made: tuple[dict[str, bytes], list[Record]]) -> None:
    segment = list_segments(MemoryDisk(made[0]))[1]
    data = made[0][segment.file]
    count = int.from_bytes(data[516:520], "big")
    for head in (
        msgpack.packb([segment.first - 1, bytes(32)]),
        msgpack.packb([segment.first - 1, bytes(32), *[b"\xc1"] * count]),
        b"\xc1",
    ):
        frame = pack_prefix(count, segment.first, head, 0) + head
        disk = MemoryDisk({**made[0], segment.file: data[:512] + frame.ljust(4096, b"\x00")})
        with pytest.raises(Corrupt):
            headers(disk, [segment.first])
        with pytest.raises(Corrupt):
            list(between(disk, 0, T0 * 2))
        with pytest.raises(Corrupt):
            export_erasures(disk)
    with SegmentFile(MemoryDisk(made[0]), segment) as file, pytest.raises(Corrupt, match="no frame starts"):
        head_at(file, 520)


def test_an_index_of_more_or_less_than_its_segment_is_not_used(
    made: tuple[dict[str, bytes], list[Record]],
) -> None:
    disk = MemoryDisk(made[0])
    segment = list_segments(disk)[1]
    write_index(disk, segment)
    data = disk.files()[index_file(segment)]
    facts, start = unwrap(INDEX_MAGIC, data, file="")
    for change in ({"end": facts["end"] + 512}, {"segment": 9}, {"journal": bytes(16)}, {"peaks": []}):
        disk.write_atomic(index_file(segment), wrap(INDEX_MAGIC, facts | change) + data[start:])
        assert read_index(disk, segment) is None
    del facts["heads"]
    disk.write_atomic(index_file(segment), wrap(INDEX_MAGIC, facts) + data[start:])
    assert read_index(disk, segment) is None


def test_a_header_out_of_order_makes_no_index() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk, options=OPTIONS)
    header = msgpack.packb([7, T0, 1, 1, resource(1), 1, 0, 0, bytes(32), bytes(32)])
    head = msgpack.packb([0, log.head.root, header])
    frame = pack_prefix(1, 1, head, 0) + head
    name, start = list_segments(disk)[0].file, log.head.offset
    with disk.open(name, write=True) as file:
        file.pwrite(start, frame.ljust(512, b"\x00"))
    with SegmentFile(disk, list_segments(disk)[0]) as file, pytest.raises(Corrupt, match="out of order"):
        SegmentIndex.of(file)


def test_an_index_is_big_endian_whatever_the_machine(
    made: tuple[dict[str, bytes], list[Record]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the words in memory were: then they are written, and read, as they lie."""
    disk, other = MemoryDisk(made[0]), MemoryDisk(made[0])
    write_indexes(disk)
    file = index_file(list_segments(disk)[0])
    monkeypatch.setattr(sys, "byteorder", "big" if sys.byteorder == "little" else "little")
    write_indexes(other)
    facts, start = unwrap(INDEX_MAGIC, disk.files()[file], file="")
    swapped, _ = unwrap(INDEX_MAGIC, other.files()[file], file="")
    count = facts["sections"][0][0] // 16  # frames: two words of 4 bytes and one of 8 for each
    assert {**facts, "sections": 0} == {**swapped, "sections": 0}
    for width, places in ((4, range(0, 8 * count, 4)), (8, range(8 * count, 16 * count, 8))):
        for place in places:
            word = other.files()[file][start + place : start + place + width]
            assert disk.files()[file][start + place : start + place + width] == word[::-1]
    index = read_index(other, list_segments(other)[0])
    assert index is not None
    wanted = {record.header.seq for record in made[1] if record.header.resource == resource(3)}
    assert {record.header.seq for record in history(other, resource(3))} == wanted
    monkeypatch.undo()


def test_a_segment_without_an_index_has_no_wrong_one(made: tuple[dict[str, bytes], list[Record]]) -> None:
    disk = MemoryDisk(made[0])
    segment = list_segments(disk)[0]
    assert not is_wrong(disk, segment)
    write_index(disk, segment)
    assert not is_wrong(disk, segment)
    data = disk.files()[index_file(segment)]
    disk.write_atomic(index_file(segment), data[:-1])
    assert read_index(disk, segment) is None
    assert not is_wrong(disk, segment), "damage makes no wrong index"


def test_indexes_that_are_shared_are_read_once(made: tuple[dict[str, bytes], list[Record]]) -> None:
    disk = MemoryDisk(made[0], count_reads=True)
    write_indexes(disk)
    shared = Indexes(disk)
    for segment in shared.segments[:-1]:
        first = shared.kept(segment)
        before = len(disk.trace)
        assert first is not None
        assert shared.kept(segment) is first
        assert shared.of(segment) is first
        assert len(disk.trace) == before
    assert shared.kept(shared.segments[-1]) is None


def test_a_folder_that_cannot_be_written_to_is_read_all_the_same(
    tmp_path: Path, made: tuple[dict[str, bytes], list[Record]]
) -> None:
    for name, data in made[0].items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    disk = RealDisk(tmp_path, create=False)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "journal").iterdir()}
    wanted = [record for record in made[1] if record.header.resource == resource(3)]

    assert list(history(disk, resource(3))) == wanted
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "journal").iterdir()} == before


def test_an_index_that_hides_a_record_is_found(made: tuple[dict[str, bytes], list[Record]]) -> None:
    disk = MemoryDisk(made[0])
    segment = list_segments(disk)[1]
    write_indexes(disk)
    assert verify(disk, indexes=True).findings == ()
    data = disk.files()[index_file(segment)]
    facts, start = unwrap(INDEX_MAGIC, data, file="")
    frames, resources, _ = (length for length, _ in facts["sections"])
    at = start + frames
    kept = data[at + 12 : at + resources]
    facts["sections"][1] = [len(kept), crc32c(kept)]
    lying = wrap(INDEX_MAGIC, facts) + data[start:at] + kept + data[at + resources :]
    disk.write_atomic(index_file(segment), lying)

    assert len(list(history(disk, resource(0)))) < sum(
        record.header.resource == resource(0) for record in made[1]
    )
    assert verify(disk).findings == ()
    (finding,) = verify(disk, indexes=True).findings
    assert (finding.kind, finding.file) == (FindingKind.INDEX, index_file(segment))
    segment_data = bytearray(made[0][segment.file])
    segment_data[512 + 60] ^= 1
    disk.write_atomic(segment.file, bytes(segment_data))
    assert FindingKind.INDEX not in [one.kind for one in verify(disk, indexes=True).findings]
