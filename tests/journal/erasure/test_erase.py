"""Erasure: announced, carried out, closed; taken up again after a crash; never without a record of it."""

from __future__ import annotations

import errno
from itertools import pairwise

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain.journal import (
    BadTarget,
    Corrupt,
    Journal,
    JournalOptions,
    NoSpace,
    Part,
    Record,
    Verb,
    WriteFailed,
)
from retain.journal.erasure.ledger import Ledger, pack_ranges, ranges_of, unpack_ranges
from retain.journal.format.frame import Hole
from retain.journal.format.limits import ERASE_RANGES
from retain.journal.format.record import NO_COMMITMENT, NO_RESOURCE, Header
from retain.journal.testing.memory import MemoryDisk, PowerCut
from tests.kit.disks import fail_next
from tests.kit.journal_faults import erase_without_a_record
from tests.kit.journals import SMALL, T0, append, draft, fill, opened

BOTH = Part.DETAILS | Part.CONTENT


def marked(batches: int = 10) -> tuple[MemoryDisk, Journal]:
    """Records whose parts hold markers, over several segments."""
    disk = MemoryDisk()
    log, _ = opened(disk)
    for _ in range(batches):
        first = log.head.seq + 1
        append(log, *(draft(b"who-%03d" % seq, b"what-%03d" % seq * 40) for seq in range(first, first + 3)))
    return disk, log


def by_seq(records: list[Record]) -> dict[int, Record]:
    return {record.header.seq: record for record in records}


def test_erased_parts_are_zero_on_disk_and_none_when_read() -> None:
    disk, log = marked()
    root = log.head.root
    addresses = {seq: record.content_at for seq, record in by_seq(opened(disk.kill())[1]).items()}
    log.erase([(2, Part.CONTENT), (3, BOTH), (20, Part.DETAILS)], 7, T0 + 1)

    assert log.content(addresses[2]) is None
    assert log.content(addresses[20]) == b"what-020" * 40
    assert log.head.root != root
    log.close()
    again, records = opened(disk)
    found = by_seq(records)
    assert (found[2].details, found[2].content) == (b"who-002", None)
    assert (found[3].details, found[3].content) == (None, None)
    assert (found[20].details, found[20].content) == (None, b"what-020" * 40)
    assert all(None not in found[seq][1:3] for seq in found if seq not in (2, 3, 20))
    assert again.notices == ()
    files = list(disk.files().values())
    for seq in (2, 3):
        segment, offset = addresses[seq] >> 32, addresses[seq] & 0xFFFFFFFF
        assert files[segment - 1][offset : offset + 384] == bytes(384)


def test_the_records_of_an_erasure_say_what_why_and_when() -> None:
    disk, log = marked()
    log.erase([(5, Part.CONTENT), (4, Part.CONTENT), (9, BOTH)], 7, T0 + 5)
    log.close()
    erase, erased = opened(disk)[1][-2:]

    assert erase.header[1:6] == (T0 + 5, Verb.ERASE, 0, NO_RESOURCE, 7)
    assert erased.header[1:6] == (T0 + 5, Verb.ERASED, 0, NO_RESOURCE, 7)
    assert msgpack.unpackb(erase.content or b"") == [[2, 4, 5], [3, 9, 9]]
    assert msgpack.unpackb(erased.content or b"") == [erase.header.seq]
    assert erase.details == erased.details == b""
    assert erase.header.details_commitment == NO_COMMITMENT


def test_the_event_is_durable_before_the_zeros_and_there_is_one_sync_a_segment() -> None:
    disk, log = marked()
    log.reserve()
    before = disk.operations
    log.erase([(seq, BOTH) for seq in range(1, 28)], 7, T0)
    trace = [(one.kind, one.name) for one in disk.trace[before:] if one.kind in ("pwrite", "sync")]
    last = f"journal/{log.head.segment:08x}-"

    assert trace[0][0] == "pwrite"
    assert trace[0][1].startswith(last)
    assert trace[1] == ("sync", trace[0][1])
    assert trace[-2:] == [trace[0], trace[1]]
    middle = trace[2:-2]
    touched = {name for _, name in middle}
    assert len(touched) > 2
    assert [name for kind, name in middle if kind == "sync"] == sorted(touched)


def test_neighbours_are_blanked_in_one_write() -> None:
    disk, log = marked(batches=1)
    before = disk.operations
    log.erase([(seq, BOTH) for seq in (1, 2, 3)], 7, T0)

    assert sum(one.kind == "pwrite" for one in disk.trace[before:]) == 3


def test_no_targets_no_records() -> None:
    _, log = marked()
    seq = log.head.seq
    log.erase([], 7, T0)

    assert log.head.seq == seq


def test_absent_parts_and_those_already_erased_may_be_named() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    append(log, draft(b"", b""), draft(b"d", b"c"))
    for _ in range(2):
        log.erase([(1, BOTH), (2, Part.CONTENT)], 7, T0)
    log.close()

    found = by_seq(opened(disk)[1])
    assert found[1][1:3] == (b"", b"")
    assert found[2][1:3] == (b"d", None)


@pytest.mark.parametrize("seq", [0, -1, 31, 99])
def test_a_record_that_is_not_there_cannot_be_erased(seq: int) -> None:
    disk, log = marked()
    files = disk.files()
    with pytest.raises(BadTarget):
        log.erase([(1, BOTH), (seq, BOTH)], 7, T0)

    assert disk.files() == files


def test_the_journals_own_records_cannot_be_erased() -> None:
    _, log = marked()
    log.erase([(1, BOTH)], 7, T0)
    with pytest.raises(BadTarget, match="journal's own"):
        log.erase([(31, Part.CONTENT)], 7, T0)
    assert log.head.seq == 32


def test_erasing_goes_on_as_the_journal_grows() -> None:
    disk, log = marked(batches=2)
    erased = []
    for _ in range(60):
        erased.append(log.head.seq)
        log.erase([(erased[-1], Part.CONTENT)], 7, T0)
        append(log, draft(b"d", b"c"))
    log.close()

    found = by_seq(opened(disk)[1])
    assert [seq for seq in found if found[seq].content is None] == erased


def test_more_segments_than_are_remembered() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk, options=JournalOptions(segment_bytes=512, reserve_bytes=4096, ballast_bytes=0))
    for _ in range(40):
        append(log)
    for _ in range(2):
        log.erase([(seq, Part.CONTENT) for seq in range(1, 41)], 7, T0)
    log.close()

    assert sum(record.content is None for record in opened(disk)[1]) == 40


def test_many_targets_take_several_erase_records() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk, options=JournalOptions(ballast_bytes=0))
    count = 2 * ERASE_RANGES + 3
    for _ in range(0, count, 3001):
        append(log, *[draft(b"d", b"c")] * 3001)
    log.erase([(seq, Part.DETAILS if seq % 2 else Part.CONTENT) for seq in range(1, count + 1)], 7, T0)
    log.close()
    records = opened(disk)[1]

    assert [record.header.verb for record in records[-6:]] == [5, 6] * 3
    assert all((record.details is None) == (seq % 2 == 1) for seq, record in enumerate(records[:count], 1))


# --- interrupted --------------------------------------------------------------------------------------------


def test_interrupted_anywhere_it_is_carried_out_or_never_began() -> None:
    targets = [(2, Part.CONTENT), (3, BOTH), (14, Part.DETAILS), (20, BOTH)]
    wanted = {(2, 2), (3, 1), (3, 2), (14, 1), (20, 1), (20, 2)}
    stops = 0
    redone = 0
    while True:
        disk, log = marked()
        disk.stop_at(disk.operations + stops + 1)
        try:
            log.erase(targets, 7, T0)
        except PowerCut:
            stops += 1
        else:
            break
        for mode in ("none", "all", "random", "random"):
            left = disk.crash(mode)  # type: ignore[arg-type]
            again, records = opened(left)
            again.close()
            final = opened(left)[1]
            gone = {
                (record.header.seq, bit)
                for record in final
                for bit, value in ((1, record.details), (2, record.content))
                if value is None
            }
            assert gone in (set(), wanted)
            announced = [record.header.seq for record in final if record.header.verb == Verb.ERASE]
            closed = [record.content for record in final if record.header.verb == Verb.ERASED]
            assert [msgpack.packb([seq]) for seq in announced] == closed
            if len(final) > len(records):
                redone += 1
                assert again.notices[-1].startswith("an erasure that a crash interrupted")
            assert opened(left.kill())[0].head.seq == len(final)
    assert stops > 8
    assert redone > 4


def test_remains_of_an_erasure_that_was_closed_are_blanked_again() -> None:
    disk, log = marked()
    log.erase([(2, Part.CONTENT)], 7, T0)
    log.close()
    at = by_seq(opened(disk.kill())[1])[2].content_at & 0xFFFFFFFF
    name = next(iter(disk.files()))
    with disk.open(name, write=True) as file:
        file.pwrite(at + 70, b"x")
    again, records = opened(disk)

    assert records[1].content is None
    assert again.head.seq == log.head.seq
    assert disk.files()[name][at : at + 384] == bytes(384)
    assert again.notices == ("an erasure that a crash interrupted was carried out again: 1 parts",)


def interrupted(disk: MemoryDisk, log: Journal) -> None:
    fail_next(disk, "pwrite", part=log_file(log, 1))
    with pytest.raises(WriteFailed):
        log.erase([(2, Part.CONTENT)], 7, T0)
    log.close()


def log_file(log: Journal, number: int) -> str:
    return f"journal/{number:08x}-"


def test_after_a_snapshot_an_interrupted_erasure_is_still_found() -> None:
    disk, log = marked()
    position = log.head.position
    interrupted(disk, log)
    again, records = opened(disk, after=position)
    again.close()

    assert [record.header.verb for record in records] == [Verb.ERASE]
    assert by_seq(opened(disk)[1])[2].content is None


def test_a_repair_may_have_given_up_on_one_of_the_journals_own_records() -> None:
    disk, log = marked(batches=1)
    log.erase([(1, BOTH)], 7, T0)
    append(log, draft(b"", pack_ranges([(int(Part.CONTENT), 5, 5)]), verb=Verb.ERASE))
    log.close()
    again, _ = opened(disk)
    again.close()

    assert [record.content for record in opened(disk)[1][-3:]] == [
        None,
        pack_ranges([(2, 5, 5)]),
        msgpack.packb([6]),
    ]


def test_it_is_finished_on_a_full_disk_with_the_ballasts_room() -> None:
    disk, log = marked()
    log.restore_ballast()
    options = JournalOptions(segment_bytes=4096, reserve_bytes=16384, step_bytes=8192, ballast_bytes=4096)
    interrupted(disk, log)
    name = next(one for one in disk.files() if one.startswith(log_file(log, log.head.segment)))
    files = disk.files()
    files[name] = files[name][: log.head.offset]
    files["journal/ballast"] = bytes(4096)
    full = MemoryDisk(files, capacity=sum(map(len, files.values())))
    again, _ = opened(full, options=options)

    assert again.head.seq == log.head.seq + 1
    assert "the disk is too full" in again.notices[-1]
    del files["journal/ballast"]
    with pytest.raises(NoSpace):
        opened(MemoryDisk(files, capacity=sum(map(len, files.values()))), options=SMALL)


def test_a_full_disk_is_told_before_anything_is_erased() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    append(log)
    log.close()
    disk.capacity = sum(map(len, disk.files().values()))
    again, _ = opened(disk)
    files = disk.files()
    with pytest.raises(NoSpace):
        again.erase([(1, BOTH)], 7, T0)

    assert disk.files() == files
    disk.capacity = None
    again.erase([(1, BOTH)], 7, T0)


@pytest.mark.parametrize(
    ("kind", "error"), [("pwrite", errno.EIO), ("pwrite", errno.ENOSPC), ("sync", errno.EIO)]
)
def test_a_failure_while_erasing_is_final(kind: str, error: int) -> None:
    disk, log = marked()
    fail_next(disk, kind, part=log_file(log, 1), error=error)
    with pytest.raises(WriteFailed):
        log.erase([(2, Part.CONTENT)], 7, T0)
    with pytest.raises(WriteFailed):
        append(log)


def test_damage_met_while_looking_for_a_part_is_told() -> None:
    disk, log = marked()
    name = next(iter(disk.files()))
    with disk.open(name, write=True) as file:
        file.pwrite(512, b"!")

    with pytest.raises(Corrupt, match="no frame starts here"):
        log.erase([(2, Part.CONTENT)], 7, T0)


def test_a_part_zeroed_without_a_record_of_it_is_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    disk, log = marked()
    log.close()
    options = JournalOptions(segment_bytes=4096, reserve_bytes=16384, ballast_bytes=0)
    erase_without_a_record(monkeypatch)
    bad, _ = opened(disk, options=options)
    bad.erase([(2, Part.CONTENT), (8, Part.DETAILS)], 7, T0)
    bad.close()

    with pytest.raises(Corrupt, match="details of record 8 damaged"):
        opened(disk)


# --- ranges and the ledger ----------------------------------------------------------------------------------

targets = st.lists(st.tuples(st.integers(1, 60), st.sampled_from([Part.DETAILS, Part.CONTENT, BOTH])))


def own(verb: Verb, content: bytes, seq: int = 1000) -> Record:
    header = Header(seq, 0, verb, 0, NO_RESOURCE, 0, 0, 64, NO_COMMITMENT, NO_COMMITMENT)
    return Record(header, b"", content, 0)


@given(targets)
def test_ranges_name_exactly_the_targets(wanted: list[tuple[int, Part]]) -> None:
    ranges = unpack_ranges(own(Verb.ERASE, pack_ranges(ranges_of(wanted))))
    named = {
        (seq, bit) for parts, first, last in ranges for seq in range(first, last + 1) for bit in Part(parts)
    }

    assert named == {(seq, bit) for seq, parts in wanted for bit in parts}
    assert all(one[2] < two[1] for one, two in pairwise(ranges))


@given(st.lists(targets, max_size=4), targets)
def test_the_ledger_names_the_holes_that_nothing_explains(
    erasures: list[list[tuple[int, Part]]], holes: list[tuple[int, Part]]
) -> None:

    ledger = Ledger()
    missing = {(seq, bit) for seq, parts in holes for bit in parts}
    ledger.add_holes(1, [Hole(seq, bit, seq * 64, 64, blank=True) for seq, bit in sorted(missing)])
    for number, wanted in enumerate(erasures):
        ledger.add_records([own(Verb.ERASE, pack_ranges(ranges_of(wanted)), 1000 + number)])
    named = {(seq, bit) for wanted in erasures for seq, parts in wanted for bit in parts}

    assert {(seq, part) for seq, part, _ in ledger.unexplained()} == missing - named
    assert set(ledger.interrupted) == {1000 + number for number in range(len(erasures))}
    ledger.add_records([own(Verb.ERASED, msgpack.packb(list(range(1000, 1010))), 2000)])
    assert not ledger.interrupted


@pytest.mark.parametrize(
    "content",
    [
        [[0, 1, 1]],
        [[4, 1, 1]],
        [[1, 0, 1]],
        [[1, 5, 4]],
        [[1, 1, 1000]],
        [[1, 1, 5], [2, 5, 6]],
        [[1, 1]],
        7,
        [7],
    ],
)
def test_ranges_out_of_place_are_refused(content: object) -> None:
    with pytest.raises(ValueError, match="erase record 1000 cannot be read"):
        unpack_ranges(own(Verb.ERASE, msgpack.packb(content)))


def test_an_erased_record_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match="erased record 1000 cannot be read"):
        Ledger().add_records([own(Verb.ERASED, b"\x07")])


def test_a_checkpoint_means_nothing_to_the_ledger() -> None:
    ledger = Ledger()
    ledger.add_records([own(Verb.CHECKPOINT, b"\xc1")])
    ledger.judge({})

    assert not ledger.interrupted


def test_filling_keeps_its_promises() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 3)
    assert log.head.seq == 6
