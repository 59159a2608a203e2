"""Reading beside a server."""

from __future__ import annotations

import pytest

from retain.journal import Corrupt, Part, Record, scan
from retain.journal.testing.memory import DiskOperation, MemoryDisk
from tests.kit.journals import append, draft, fill, opened


def seqs(records: list[Record]) -> list[int]:
    return [record.header.seq for record in records]


def test_no_journal_has_no_records() -> None:
    assert list(scan(MemoryDisk())) == []


def test_it_reads_what_opening_replays_without_the_lock() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 14)
    found = list(scan(disk))
    log.close()

    assert found == opened(disk)[1]


@pytest.mark.parametrize("start", [-1, 0, 1, 2, 9, 27, 28, 29, 1000])
def test_it_starts_where_it_is_told(start: int) -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 14)

    assert seqs(list(scan(disk, start=start))) == list(range(max(start, 1), 29))


def test_it_sees_records_and_segments_that_come_while_it_reads() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 1)
    found = []
    for record in scan(disk):
        found.append(record)
        if len(found) in (2, 4, 20):
            fill(log, 8)

    assert log.head.segment > 3
    assert seqs(found) == list(range(1, log.head.seq + 1))


def test_it_changes_nothing() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 14)
    operations, files = disk.operations, disk.files()
    list(scan(disk))

    assert (disk.operations, disk.files()) == (operations, files)


def test_it_ends_quietly_at_a_frame_half_written() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 2)
    border = log.head.offset
    append(log, draft(content=bytes(2000)))
    files = disk.files()
    name = next(iter(files))
    for length in (border, border + 100, border + 512, border + 1400):
        half = files[name][:length].ljust(len(files[name]), b"\x00")
        assert seqs(list(scan(MemoryDisk({name: half})))) == [1, 2, 3, 4]


def test_damage_before_the_end_is_told() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 2)
    files = disk.files()
    name = next(iter(files))
    wrong = files[name][:600] + b"!!" + files[name][602:]

    with pytest.raises(Corrupt) as caught:
        list(scan(MemoryDisk({name: wrong})))
    assert caught.value.offset == 512


def test_what_looked_like_damage_once_may_have_been_half_written() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 3)
    files = disk.files()
    name = next(iter(files))
    good = files[name]
    flaky = MemoryDisk({name: good[: 512 + 90] + b"!" + good[512 + 91 :]})
    real_open, reads = flaky.open, []

    def open_and_mend(name: str, **kind: bool) -> object:
        file = real_open(name, **kind)
        real_pread = file.pread

        def pread(offset: int, length: int) -> bytes:
            reads.append(offset)
            data = real_pread(offset, length)
            with real_open(name, write=True) as mending:
                if len(reads) == 3:
                    mending.pwrite(0, good)
            return data

        file.pread = pread  # type: ignore[method-assign]
        return file

    flaky.open = open_and_mend  # type: ignore[assignment,method-assign]
    assert seqs(list(scan(flaky))) == list(range(1, 7))
    assert len(reads) > 3


def test_damage_in_a_sealed_segment_is_told() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 14)
    files = disk.files()
    name = next(iter(files))
    wrong = MemoryDisk({**files, name: files[name][:-512]})

    with pytest.raises(Corrupt):
        list(scan(wrong))


def test_erased_parts_come_as_none_and_missing_ones_are_damage() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 4)
    log.erase([(3, Part.CONTENT)], 1, 1)
    assert next(record for record in scan(disk) if record.header.seq == 3).content is None

    name = next(iter(disk.files()))
    at = next(record for record in scan(disk) if record.header.seq == 2).content_at & 0xFFFFFFFF
    with disk.open(name, write=True) as file:
        file.pwrite(at, bytes(192))
    with pytest.raises(Corrupt, match="content of record 2 damaged"):
        list(scan(disk))


def test_an_erasure_that_happens_while_it_reads_is_no_damage() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 4)
    blanked: list[list[Record]] = []

    def look(operation: DiskOperation) -> None:
        if operation.kind == "sync" and operation.name.endswith(".journal"):
            blanked.append(list(scan(disk)))

    log.reserve()
    disk.before_each = look
    log.erase([(3, Part.CONTENT), (4, Part.DETAILS)], 1, 1)
    disk.before_each = None

    assert [found[2].content is None for found in blanked] == [False, True, True]


def test_an_erase_record_that_cannot_be_read_is_damage() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    append(log, draft(b"", b"\xc1", verb=5))

    with pytest.raises(Corrupt, match="erase record 1 cannot be read"):
        list(scan(disk))
    log.close()
    with pytest.raises(Corrupt, match="erase record 1 cannot be read"):
        opened(disk)
