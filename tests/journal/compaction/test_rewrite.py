"""Rewritten segments: the same journal in less room, to every reader, after any crash."""

from __future__ import annotations

import errno
import re
import sys
from fractions import Fraction
from random import Random

import pytest

from retain.journal import BadTarget, Corrupt, NoSpace, Record, WriteFailed, repair, scan, verify
from retain.journal.check.verify import FindingKind
from retain.journal.compaction import rewrite as rewriting
from retain.journal.format.gaps import GapTable, Run
from retain.journal.format.limits import PART_ALIGN, PREFIX_BYTES
from retain.journal.lookup.history import history
from retain.journal.lookup.index import write_indexes
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import Segment, find_segments, list_segments
from retain.journal.segments.heads import heads
from retain.journal.testing.memory import DiskOperation, MemoryDisk
from tests.journal.format.test_format_document import assert_same
from tests.kit import plain_reader
from tests.kit.crash import SCALE
from tests.kit.disks import fail_next
from tests.kit.journals import T0, append, draft, opened
from tests.kit.rewritten import BOTH, OPTIONS, assert_wiped, marked, raw_details, sparse


def records_of(disk: MemoryDisk) -> list[Record]:
    return list(scan(disk))


def logical(disk: MemoryDisk, segment: Segment) -> bytes:
    with SegmentFile(disk, segment) as file:
        start = file.opener().size
        return file.pread(start, file.size() - start)


def test_every_reader_sees_the_same_before_and_after() -> None:
    disk, log = sparse()
    write_indexes(disk)
    before, root = records_of(disk), log.head.root
    addresses = {record.content_at: record.content for record in before if record.content_at >= 0}
    folder = sum(map(len, disk.files().values()))
    assert log.sparse() == [1, 2, 3]
    saved = sum(log.rewrite(number) for number in log.sparse())

    assert saved == folder - sum(map(len, disk.files().values())) > 10_000
    assert [one.file[-13:] for one in list_segments(disk)[:3]] == [".0001.journal"] * 3
    assert records_of(disk) == before
    assert {at: log.content(at) for at in addresses} == addresses
    assert list(history(disk, b"R" * 16)) == [one for one in before if one.header.resource == b"R" * 16]
    assert verify(disk).findings == ()
    log.close()
    again, replayed = opened(disk, options=OPTIONS)
    assert replayed == before
    assert again.head.root == root
    assert again.notices == ()
    found = plain_reader.read(disk.files())
    assert found.root == root
    assert_same(found, before)


@pytest.mark.parametrize("seed", range(4))
def test_every_byte_keeps_its_logical_place(seed: int) -> None:
    disk, log = sparse(seed=seed, keep=2 + seed)
    rng = Random(seed)
    assert len(list_segments(disk)) > 1
    for segment in list_segments(disk)[:-1]:
        before = logical(disk, segment)
        log.rewrite(segment.number)
        new = list_segments(disk)[segment.number - 1]
        assert logical(disk, new) == before
        with SegmentFile(disk, new) as file:
            start = file.opener().size
            assert file.size() == start + len(before)
            for _ in range(200):
                offset = rng.randrange(len(before) + 1)
                length = rng.randrange(2000)
                assert file.pread(start + offset, length) == before[offset : offset + length]


def test_what_is_erased_later_is_gone_from_the_rewritten_file() -> None:
    disk, log = sparse()
    for number in log.sparse():
        log.rewrite(number)
    log.erase([(seq, BOTH) for seq in (4, 8, 12)], 7, T0 * 2)
    found = {record.header.seq: record for record in records_of(disk)}

    assert all(found[seq][1:3] == (None, None) for seq in (4, 8, 12))
    assert found[16].details == b"who-016"
    assert verify(disk).findings == ()
    plain_reader.read(disk.files())


def test_a_segment_all_erased_shrinks_to_its_heads() -> None:
    disk, log = sparse()
    for number in log.sparse():
        log.rewrite(number)
    last = list_segments(disk)[-1].first - 1
    log.erase([(seq, BOTH) for seq in range(1, last + 1)], 7, T0 * 2)
    before = records_of(disk)
    assert log.sparse() == [1, 2, 3]
    for number in log.sparse():
        assert log.rewrite(number) > 0
    segments = list_segments(disk)

    assert [one.file[-13:] for one in segments[:3]] == [".0002.journal"] * 3
    for segment in segments[:3]:
        with SegmentFile(disk, segment) as file:
            table = file.opener().table
        assert table is not None
        heads = sum(150 for record in before if segment.first <= record.header.seq < segment.first + 100)
        assert len(disk.files()[segment.file]) - table.data_at < heads
    assert records_of(disk) == before
    assert log.sparse() == []


def test_a_dense_segment_is_not_sparse_until_enough_is_erased() -> None:
    disk, log = marked()
    assert log.sparse() == []
    second = list_segments(disk)[1]
    third = list_segments(disk)[2]
    log.erase([(second.first, BOTH)], 7, T0 * 2)
    assert log.sparse() == []
    log.erase([(seq, BOTH) for seq in range(second.first, third.first)], 7, T0 * 2)
    assert log.sparse(1) == [2]


def test_a_segment_with_exactly_the_share_erased_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The share is set to what is erased here, because sizes are whole sectors and seldom make a quarter."""
    disk, _ = sparse()
    segment = list_segments(disk)[0]
    with SegmentFile(disk, segment) as file:
        start = file.opener().size
        kept = sum(PREFIX_BYTES + head.prefix.head_length for head in heads(file, start))
    data = disk.files()[segment.file][start:]
    zeros = sum(len(run) // PART_ALIGN * PART_ALIGN for run in re.findall(rb"\x00+", data))
    exactly = Fraction(len(data) - kept, zeros)
    assert 1 < exactly < rewriting.SPARSE_PART, "one byte in so many is erased"

    monkeypatch.setattr(rewriting, "SPARSE_PART", exactly)
    assert not rewriting.is_sparse(disk, segment)
    monkeypatch.setattr(rewriting, "SPARSE_PART", exactly + Fraction(1, len(data)))
    assert rewriting.is_sparse(disk, segment)


def test_only_so_many_segments_are_looked_at_in_one_call() -> None:
    _, log = sparse()
    assert log.sparse(1) == [1]
    assert log.sparse(1) == [1, 2]
    assert log.sparse(1) == [1, 2, 3]


def test_the_last_segment_and_unknown_ones_are_not_rewritten() -> None:
    _, log = sparse()
    for number in (0, log.head.segment, 99):
        with pytest.raises(BadTarget):
            log.rewrite(number)


def test_appending_goes_on_afterwards() -> None:
    disk, log = sparse()
    log.rewrite(2)
    append(log, draft(b"more", b"and more"))
    log.close()

    assert opened(disk, options=OPTIONS)[1][-1].content == b"and more"


@pytest.mark.parametrize("kind", ["create", "pwrite", "sync", "open"])
def test_what_is_erased_while_a_segment_is_copied_is_erased_in_the_copy(kind: str) -> None:
    disk, log = sparse()
    target = 4
    assert list_segments(disk)[1].first > target
    raw = raw_details(disk)[target]
    assert raw in disk.files()[list_segments(disk)[0].file]
    disk.count_reads = True

    def erase(operation: DiskOperation) -> None:
        if operation.kind == kind and operation.name.endswith((".tmp", ".0001.journal")):
            disk.before_each = None
            log.erase([(target, BOTH)], 7, T0 * 2)

    disk.before_each = erase
    log.rewrite(1)

    assert disk.before_each is None
    assert not any(raw in data for data in disk.files().values())
    found = {record.header.seq: record for record in records_of(disk)}
    assert found[target][1:3] == (None, None)
    assert verify(disk).findings == ()


@pytest.mark.parametrize("kind", ["pwrite", "sync"])
def test_what_is_erased_meanwhile_is_found_in_whatever_piece_it_stands(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewriting, "READ_CHUNK", 1000)
    disk, log = sparse()
    raw = raw_details(disk)
    kept = [seq for seq in raw if seq % 4 == 0 and seq < list_segments(disk)[1].first]
    assert len(kept) > 1

    def erase(operation: DiskOperation) -> None:
        if operation.kind == kind and operation.name.endswith(".tmp"):
            disk.before_each = None
            log.erase([(seq, BOTH) for seq in kept], 7, T0 * 2)

    disk.before_each = erase
    log.rewrite(1)

    assert not any(raw[seq] in data for data in disk.files().values() for seq in kept)
    assert verify(disk).findings == ()


def test_only_the_longest_runs_are_left_out_where_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk, log = sparse()
    before = records_of(disk)
    monkeypatch.setattr(rewriting, "LEFT_OUT_RUNS", 3)
    log.rewrite(1)
    segment = list_segments(disk)[0]
    with SegmentFile(disk, segment) as file:
        table = file.opener().table
        assert table is not None
        assert len(table) == 3
        runs = list(table.runs(0, 1 << 31))
    assert records_of(disk) == before
    assert verify(disk).findings == ()
    disk, log = sparse()
    monkeypatch.undo()
    log.rewrite(1)
    with SegmentFile(disk, list_segments(disk)[0]) as file:
        table = file.opener().table
        assert table is not None
        lengths = sorted(run.length for run in table.runs(0, 1 << 31))
    assert len(lengths) > 3
    assert sorted(run.length for run in runs) == lengths[-3:]


def test_readers_go_on_at_every_moment_of_a_rewriting() -> None:
    disk, log = sparse()
    before = records_of(disk)
    addresses = {record.content_at: record.content for record in before if record.content_at >= 0}
    readers = []
    busy = False

    def read(_: DiskOperation) -> None:
        nonlocal busy
        if busy:
            return
        busy = True
        assert records_of(disk) == before
        assert {at: log.content(at) for at in addresses} == addresses
        assert verify(disk).sound
        reader = scan(disk)
        readers.append([next(reader), reader])
        busy = False

    disk.before_each = read
    for number in (1, 2, 3):
        log.rewrite(number)
    disk.before_each = None
    for first, rest in readers:
        assert [first, *rest] == before
    assert len(readers) > 20


def test_a_file_that_is_open_goes_on_in_the_one_that_takes_its_place() -> None:
    disk, log = sparse()
    segment = list_segments(disk)[1]
    before = logical(disk, segment)
    early = SegmentFile(disk, segment)
    start, seen = early.opener().size, 0

    def read(_: DiskOperation) -> None:
        nonlocal seen
        seen += 1
        assert early.pread(start, len(before)) == before
        assert early.size() == start + len(before)

    disk.before_each = read
    log.rewrite(2)
    disk.before_each = None

    assert seen > 8
    assert early.segment != segment
    assert early.pread(start, len(before)) == before
    with SegmentFile(disk, segment) as late:
        assert (late.segment, late.pread(start, len(before))) == (early.segment, before)
    early.close()
    assert [one.name for one in disk.open_files if one.name.startswith("journal/00000002")] == []


def test_a_file_whose_start_is_damaged_is_read_as_it_is() -> None:
    disk, log = sparse()
    segment = list_segments(disk)[1]
    log.close()
    with SegmentFile(disk, segment) as file:
        start = file.opener().size
        before = file.pread(start, 5000)
        with disk.open(segment.file, write=True) as raw:
            raw.pwrite(0, bytes(start))
        assert file.pread(start, 5000) == before
    with SegmentFile(disk, segment) as file:
        assert file.pread(start, 5000) == before
        with pytest.raises(Corrupt):
            file.opener()
    with pytest.raises(FileNotFoundError):
        SegmentFile(disk, Segment(99, 99, "journal/none"))


def test_only_a_segment_of_format_1_can_grow() -> None:
    disk, log = sparse()
    log.rewrite(2)
    with SegmentFile(disk, list_segments(disk)[1], write=True) as file:
        with pytest.raises(AssertionError):
            file.truncate(0)
        with pytest.raises(AssertionError):
            file.allocate(0, 10)
        with pytest.raises(AssertionError, match="only zeros"):
            file.pwrite(file.opener().size, b"x" * 4000)
    with SegmentFile(disk, list_segments(disk)[-1], write=True) as file:
        file.allocate(file.size(), 512)
        size = file.size()
        file.truncate(size - 512)
        assert file.size() == size - 512


@pytest.mark.parametrize("seed", range(3 * SCALE))
def test_a_crash_at_every_operation_loses_nothing_and_leaves_nothing(seed: int) -> None:
    disk, log = sparse(seed=seed)
    before = records_of(disk)
    count = 0

    def crash(operation: DiskOperation) -> None:
        nonlocal count
        assert_wiped(disk, operation)
        rng = Random(seed << 16 | operation.number)
        for state in (disk.crash("none"), disk.crash("all"), disk.crash("random", rng), disk.kill()):
            count += 1
            state.before_each = lambda one, state=state: assert_wiped(state, one)  # type: ignore[misc]
            again, records = opened(state, options=OPTIONS)
            assert records == before
            assert find_segments(state)[1] == []
            assert not [name for name in state.files() if name.endswith(".tmp")]
            assert opened(state.crash("none"), options=OPTIONS)[1] == before
            again.close()
            assert verify(state).findings == ()

    disk.before_each = crash
    for number in log.sparse():
        log.rewrite(number)
    assert count > 100


@pytest.mark.parametrize("seed", range(3 * SCALE))
def test_a_crash_during_rewriting_and_erasing_ends_complete(seed: int) -> None:
    """An erasure begins at some operation of a rewriting; the power goes at every one of either."""
    for start in range(1, 10):
        disk, log = sparse(seed=seed)
        kept = [record.header.seq for record in records_of(disk) if record.details][:6]
        base, raw = disk.operations, raw_details(disk)
        asked = False

        def step(operation: DiskOperation) -> None:
            nonlocal asked
            # While names change, the journal's lock is held.
            standing = operation.kind in ("replace", "sync_folder")
            if not asked and operation.number >= base + start and not standing:  # noqa: B023
                asked = True
                log.erase([(seq, BOTH) for seq in kept[::2]], 7, T0 * 2)  # noqa: B023
                return
            state = disk.crash("random", Random(operation.number))  # noqa: B023
            opened(state, options=OPTIONS)
            found = {record.header.seq: record.details for record in opened(state.crash("none"))[1]}
            gone = {found[seq] is None for seq in kept[::2]}  # noqa: B023
            assert len(gone) == 1
            assert all(found[seq] is not None for seq in kept[1::2])  # noqa: B023
            if gone == {True}:
                assert not any(raw[kept[0]] in data for data in state.files().values())  # noqa: B023
            assert verify(state).sound

        disk.before_each = step
        log.rewrite(1)
        assert asked


@pytest.mark.parametrize("kind", ["pwrite", "sync", "replace", "sync_folder", "unlink"])
def test_a_disk_that_fails_during_rewriting_is_final_and_loses_nothing(kind: str) -> None:
    disk, log = sparse()
    before = records_of(disk)
    fail_next(disk, kind, "journal", errno.EIO)
    with pytest.raises(WriteFailed):
        log.rewrite(1)
    with pytest.raises(WriteFailed):
        append(log)
    log.close()

    again, records = opened(disk, options=OPTIONS)
    assert records == before
    again.rewrite(1)
    assert records_of(disk) == before


def test_a_full_disk_changes_nothing() -> None:
    disk, log = sparse()
    before = disk.files()
    disk.capacity = sum(map(len, before.values())) + 600
    with pytest.raises(NoSpace):
        log.rewrite(1)

    assert disk.files() == before
    disk.capacity = None
    append(log)


def test_a_disk_that_forgets_what_was_written_is_noticed() -> None:
    disk, log = sparse()

    def lose(operation: DiskOperation) -> None:
        if operation.kind == "sync" and operation.name.endswith(".tmp"):
            disk.before_each = None
            with disk.open(operation.name, write=True) as file:
                file.pwrite(file.size() - 100, b"wrong")

    disk.before_each = lose
    with pytest.raises(WriteFailed, match="does not contain what was written"):
        log.rewrite(1)


def test_a_disk_that_makes_a_file_longer_is_noticed() -> None:
    disk, log = sparse()

    def add(operation: DiskOperation) -> None:
        if operation.kind == "sync" and operation.name.endswith(".tmp"):
            disk.before_each = None
            with disk.open(operation.name, write=True) as file:
                file.pwrite(file.size(), bytes(512))

    disk.before_each = add
    with pytest.raises(WriteFailed, match="does not contain"):
        log.rewrite(1)


def test_a_damaged_segment_is_not_rewritten() -> None:
    disk, log = sparse()
    segment = list_segments(disk)[0]
    with disk.open(segment.file, write=True) as file:
        file.pwrite(file.size() - 3000, b"wrong")
        file.truncate(file.size() - 512)
    files = disk.files()

    assert log.sparse() == [1, 2, 3]
    with pytest.raises(Corrupt):
        log.rewrite(1)
    assert disk.files() == files
    assert log.sparse() == [2, 3]


def test_both_files_beside_each_other_are_told_and_mended() -> None:
    disk, log = sparse()
    old = list_segments(disk)[0]
    data = disk.files()[old.file]
    log.rewrite(1)
    log.close()
    both = MemoryDisk({**disk.files(), old.file: data})
    (finding,) = verify(both).findings

    assert (finding.kind, finding.file, finding.harmless) == (FindingKind.UNFINISHED, old.file, True)
    again, _ = opened(both, options=OPTIONS)
    assert again.notices == (
        f"{old.file} had been superseded by a rewrite when the last process died; removed",
    )
    assert verify(both).findings == ()


def test_the_older_file_stays_where_the_rewritten_one_is_damaged() -> None:
    disk, log = sparse()
    old = list_segments(disk)[0]
    data = disk.files()[old.file]
    log.rewrite(1)
    log.close()
    new = list_segments(disk)[0]
    both = MemoryDisk({**disk.files(), old.file: data, new.file: disk.files()[new.file][:-1]})

    with pytest.raises(Corrupt):
        opened(both, options=OPTIONS)
    assert both.files()[old.file] == data


def test_tampering_with_a_rewritten_segment_is_found() -> None:
    disk, log = sparse()
    for number in log.sparse():
        log.rewrite(number)
    log.close()
    files, name = disk.files(), list_segments(disk)[1].file
    data = files[name]
    for at in range(0, len(data), 61):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert not verify(MemoryDisk({**files, name: changed})).sound, at
    for wrong in (data[:-1], data + b"\x00", data + b"x", data[:100]):
        assert not verify(MemoryDisk({**files, name: wrong})).sound
    first = list_segments(disk)[0].file
    assert not verify(MemoryDisk({**files, name: files[first], first: data})).sound


def test_repair_expands_a_rewritten_segment_that_becomes_the_last() -> None:
    disk, log = sparse()
    for number in (1, 2):
        log.rewrite(number)
    log.close()
    third, second = list_segments(disk)[2], list_segments(disk)[1]
    raw = bytearray(disk.files()[third.file])
    raw[0] ^= 1
    broken = MemoryDisk({**disk.files(), third.file: bytes(raw)})
    report = repair(broken, accept_loss=True)

    assert report.seq == third.first - 1
    log, _ = opened(broken, options=OPTIONS)
    assert list_segments(broken)[-1].file == second.file.replace(".0001.", ".0002.")
    append(log, draft(b"more", b"and more"))
    assert records_of(broken)[-1].content == b"and more"
    assert len(records_of(broken)) == log.head.seq
    assert verify(broken).findings == ()


def test_a_rewritten_segment_that_is_the_last_one_is_refused_until_repaired() -> None:
    disk, log = sparse(batches=2)
    while log.head.segment == 1:
        append(log, draft(b"who", bytes(900)))
    log.rewrite(1)
    log.close()
    first = list_segments(disk)[0]
    alone = MemoryDisk({first.file: disk.files()[first.file]})

    with pytest.raises(Corrupt, match="another segment must follow"):
        opened(alone, options=OPTIONS)
    (loss,) = repair(alone).losses
    assert "another one must have followed it" in loss.text
    repair(alone, accept_loss=True)
    assert len(opened(alone, options=OPTIONS)[1]) == list_segments(disk)[1].first - 1


def test_a_table_leads_from_logical_places_to_actual_ones() -> None:
    runs = [Run(100, 50, False), Run(150, 10, True), Run(200, 5, False)]
    table = GapTable.of(runs, start=64, end=300, data_at=512)

    assert [table.actual(at) for at in (64, 99, 100, 149, 155, 160, 199, 204, 205, 300)] == [
        512, 547, 548, 548, 548, 548, 587, 588, 588, 683,
    ]  # fmt: skip
    assert list(table.runs(0, 1000)) == runs
    assert list(table.runs(140, 152)) == [Run(140, 10, False), Run(150, 2, True)]
    assert list(table.runs(160, 200)) == []
    assert len(table) == 3
    again = GapTable.unpack(table.packed(), start=64, end=300, data_at=512)
    assert again.packed() == table.packed()


def test_a_table_is_big_endian_whatever_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    table = GapTable.of([Run(100, 50, False), Run(150, 10, True)], start=64, end=300, data_at=512)
    packed = table.packed()
    assert packed == bytes.fromhex("00000064 00000032 00000096 8000000a")
    monkeypatch.setattr(sys, "byteorder", "big" if sys.byteorder == "little" else "little")
    as_they_lie = table.packed()
    assert as_they_lie == b"".join(packed[at : at + 4][::-1] for at in range(0, 16, 4))
    assert GapTable.unpack(as_they_lie, start=64, end=300, data_at=512).packed() == as_they_lie


OUT_OF_ORDER = [
    [Run(10, 5, False)],
    [Run(70, 0, False)],
    [Run(90, 9, False), Run(80, 9, True)],
    [Run(290, 11, False)],
]


@pytest.mark.parametrize("runs", OUT_OF_ORDER)
def test_a_table_out_of_order_is_refused(runs: list[Run]) -> None:
    with pytest.raises(ValueError, match="runs"):
        GapTable.of(runs, start=64, end=300, data_at=512)


def test_a_month_of_churn_leaves_little_more_than_what_is_alive() -> None:
    """Thirty days of records that live for a day, beside some that stay."""
    disk, rng = MemoryDisk(), Random(5)
    log, _ = opened(disk, options=OPTIONS)
    alive: dict[int, int] = {}
    for day in range(30):
        for _ in range(6):
            first = log.head.seq + 1
            drafts = [draft(b"who" * 9, rng.randbytes(rng.randrange(50, 900))) for _ in range(6)]
            append(log, *drafts, time=T0 + day)
            for seq, one in enumerate(drafts, first):
                alive[seq] = len(one.details) + len(one.content)
        due = [seq for seq in alive if seq % 12 and seq < log.head.seq - 60]
        log.erase([(seq, BOTH) for seq in due], 7, T0 + day)
        for seq in due:
            del alive[seq]
        for number in log.sparse():
            log.rewrite(number)
        while log.build_index():
            pass
    log.close()
    files = disk.files().values()
    heads = 182 * len(records_of(disk)) + sum(len(one) for one in files if one.startswith(b"RETAINIX"))

    assert sum(map(len, files)) <= 1.5 * sum(alive.values()) + heads
    assert verify(disk).findings == ()
