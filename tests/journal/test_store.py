"""Opening, appending, reading single contents, running out of room, failing for good."""

from __future__ import annotations

import errno
import gc
import threading
from pathlib import Path

import pytest

from retain.journal import (
    Closed,
    Corrupt,
    Draft,
    ForeignFolder,
    Journal,
    JournalOptions,
    Locked,
    NoSpace,
    Position,
    PositionMismatch,
    RealDisk,
    Record,
    WriteFailed,
    open_journal,
)
from retain.journal.disk.interface import Disk, folder_of
from retain.journal.format.limits import BATCH_BYTES, CONTENT_READ, FRAME_ROOM, draft_room, frame_room
from retain.journal.format.record import address
from retain.journal.format.record import place as address_place
from retain.journal.payloads.store import PayloadStore, Portion
from retain.journal.segments.files import BALLAST_FILE
from retain.journal.testing.memory import MemoryDisk
from tests.kit.disks import fail_next
from tests.kit.journal_faults import sync_again_after_an_error, trust_the_page_cache
from tests.kit.journals import SMALL, T0, append, counting_entropy, draft, fill, opened

ROOMY = JournalOptions(segment_bytes=1 << 20, reserve_bytes=16384, step_bytes=65536, ballast_bytes=0)


@pytest.fixture(params=["memory", "real"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    return MemoryDisk() if request.param == "memory" else RealDisk(tmp_path)


def segments(disk: MemoryDisk) -> list[str]:
    return [name for name in disk.files() if name.endswith(".journal")]


def parts(records: list[Record]) -> list[tuple[bytes | None, bytes | None]]:
    return [(record.details, record.content) for record in records]


def test_a_new_journal_is_empty_and_has_an_identity(disk: Disk) -> None:
    log, records = opened(disk)

    assert records == []
    assert log.head.seq == log.head.time == 0
    assert log.identity == bytes(range(16))
    assert log.notices == ()
    log.close()
    again, _ = opened(disk)
    assert again.identity == log.identity
    assert again.head == log.head
    again.close()


def test_what_was_appended_is_replayed_in_order(disk: Disk) -> None:
    log, _ = opened(disk)
    fill(log, 20)
    append(log, draft(b"", b""), time=T0 * 2)
    head = log.head
    assert head.seq == 41
    assert head.segment > 2
    log.close()

    again, records = opened(disk)
    assert again.head == head
    assert [record.header.seq for record in records] == list(range(1, 42))
    assert records[39].details == b"\xaadetails 40"
    assert parts(records)[40] == (b"", b"")
    again.close()


def test_addresses_are_the_same_when_appended_and_when_replayed(disk: Disk) -> None:
    log, _ = opened(disk)
    given: list[int] = []
    for batch in range(12):
        given += append(log, draft(content=b"%d" % batch), draft(content=b""))
    log.close()

    again, records = opened(disk)
    assert [record.content_at for record in records] == given
    assert [again.content(at) for at in given[::2]] == [b"%d" % batch for batch in range(12)]
    again.close()


@pytest.mark.parametrize("size", [1, CONTENT_READ - 41, CONTENT_READ - 39, CONTENT_READ * 3])
def test_a_content_of_any_size_is_read_at_its_address(size: int) -> None:
    log, _ = opened(MemoryDisk())
    body = bytes(range(256)) * 64
    at = append(log, draft(content=body[:size]))[0]

    assert log.content(at) == body[:size]


def test_a_wrong_address_never_gives_garbage() -> None:
    log, _ = opened(MemoryDisk())
    at = append(log, draft(content=b"c" * 500), draft())[0]
    head = log.head
    wrong = [at + 64, at + 1, address(2, 512), -1, address(head.segment, head.offset), address(1, 0)]
    for one in wrong:
        with pytest.raises(Corrupt):
            log.content(one)


def test_a_content_past_the_end_of_a_sealed_segment_is_refused() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    while log.head.segment == 1:
        fill(log, 1)
        log.reserve()
    size = len(disk.files()[segments(disk)[0]])

    with pytest.raises(Corrupt):
        log.content(address(1, size))


def test_a_damaged_content_is_refused_on_reading() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    at = append(log, draft(content=b"c" * 500))[0]
    with disk.open(segments(disk)[0], write=True) as file:
        file.pwrite((at & 0xFFFFFFFF) + 100, b"!")

    with pytest.raises(Corrupt, match="checksum"):
        log.content(at)


def test_an_unfinished_erasure_reads_as_erased() -> None:
    """A reader beside the eraser may see the part's start after, and its end before."""
    disk = MemoryDisk()
    log, _ = opened(disk)
    at = append(log, draft(content=b"c" * 5000))[0]
    name, offset = segments(disk)[0], at & 0xFFFFFFFF
    real_open, seen = disk.open, []

    class Racing:
        def __init__(self) -> None:
            self.file = real_open(name)

        def pread(self, offset: int, length: int) -> bytes:
            data = self.file.pread(offset, length)
            if offset < 512:  # the opener
                return data
            if not seen:
                with real_open(name, write=True) as file:
                    file.pwrite(offset, bytes(5056))
            seen.append(offset)
            return data

        def close(self) -> None:
            self.file.close()

    disk.open = lambda name, **kind: Racing()  # type: ignore[assignment,method-assign,return-value,misc]
    assert log.content(at) is None
    assert seen == [offset, offset + CONTENT_READ, offset]


def test_contents_are_read_from_many_threads_with_few_files_open() -> None:
    disk = MemoryDisk()
    options = JournalOptions(segment_bytes=1024, reserve_bytes=16384, ballast_bytes=0, read_handles=2)
    log, _ = opened(disk, options=options)
    places = [append(log, draft(content=b"%d" % number))[0] for number in range(12)]
    wrong: list[int] = []

    def read(start: int) -> None:
        for turn in range(200):
            number = (start * 5 + turn * 7) % 12
            if log.content(places[number]) != b"%d" % number:
                wrong.append(number)

    threads = [threading.Thread(target=read, args=(start,)) for start in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert log.head.segment > 4
    assert wrong == []
    assert len(disk.open_files) <= 3
    log.close()
    assert disk.open_files == []


def test_time_never_goes_back() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    append(log, time=T0)
    append(log, time=T0 - 5)
    assert log.head.time == T0
    log.close()
    again, records = opened(disk)
    append(again, time=1)

    assert [record.header.time for record in records] == [T0, T0]
    assert again.head.time == T0


def test_one_append_is_one_write_and_one_sync() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk, options=ROOMY)
    log.reserve()
    before = disk.operations
    log.append([draft()] * 50, T0)

    assert [(one.kind, one.name) for one in disk.trace[before:]] == [
        ("pwrite", segments(disk)[0]),
        ("sync", segments(disk)[0]),
    ]


def test_one_append_draws_its_salts_at_once() -> None:
    drawn: list[int] = []

    def entropy(length: int) -> bytes:
        drawn.append(length)
        return bytes(length)

    log = open_journal(MemoryDisk(), lambda record: None, options=SMALL, entropy=entropy)
    append(log, draft(), draft(b"", b"x"), draft(b"", b""))

    assert drawn == [16, 96]


def test_a_sealed_segment_ends_where_its_last_frame_ends() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    while log.head.segment == 1:
        fill(log, 1)
        end = log.head.offset
        log.reserve()

    assert len(disk.files()[segments(disk)[0]]) == end
    log.close()
    assert len(disk.files()[segments(disk)[1]]) == log.head.offset


def test_a_batch_too_large_is_refused_and_changes_nothing() -> None:
    log, _ = opened(MemoryDisk())
    fill(log, 1)
    head = log.head
    with pytest.raises(ValueError, match="larger than the format allows"):
        append(log, draft(bytes(1 << 20)))

    assert log.head == head
    fill(log, 1)


def test_replaying_leaves_the_garbage_collector_as_it_was() -> None:
    seen: list[bool] = []
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 1)
    log.close()
    open_journal(disk, lambda record: seen.append(gc.isenabled()), options=SMALL).close()
    assert seen == [False, False]
    assert gc.isenabled()
    gc.disable()
    try:
        opened(disk)
        assert not gc.isenabled()
    finally:
        gc.enable()


# --- positions ----------------------------------------------------------------------------------------------


def history(disk: MemoryDisk, batches: int = 14) -> list[Position]:
    log, _ = opened(disk)
    positions = [log.head.position]
    for _ in range(batches):
        fill(log, 1, records=3)
        positions.append(log.head.position)
    log.close()
    return positions


def test_from_every_position_exactly_the_records_after_it_are_replayed() -> None:
    disk = MemoryDisk()
    for position in history(disk):
        log, records = opened(disk, after=position)
        assert [record.header.seq for record in records] == list(range(position.seq + 1, 43))
        log.close()


def test_only_the_segments_needed_are_read() -> None:
    disk = MemoryDisk()
    position = history(disk)[-1]
    files = disk.files()
    first = next(iter(files))
    files[first] = b"damage" + files[first][6:]
    log, _ = opened(MemoryDisk(files), after=position)

    assert log.head.position == position


def test_of_frames_before_the_position_only_the_heads_are_read() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    (inside, *_) = append(log, draft(content=b"covered"))
    fill(log, 1)
    position = log.head.position
    (behind, *_) = append(log, draft(content=b"to be replayed"))
    log.close()
    (segment,) = segments(disk)

    def damaged(at: int) -> MemoryDisk:
        data = bytearray(disk.files()[segment])
        data[address_place(at)[1] + 45] ^= 0xFF
        return MemoryDisk({**disk.files(), segment: bytes(data)})

    log, records = opened(damaged(inside), after=position)
    assert [record.content for record in records] == [b"to be replayed"]
    log.close()
    with pytest.raises(Corrupt):
        opened(damaged(inside))
    with pytest.raises(Corrupt):
        opened(damaged(behind), after=position)


def test_a_damaged_head_before_the_position_is_told() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk, options=ROOMY)
    places = [log.head.offset]
    for _ in range(4):
        fill(log, 1)
        places.append(log.head.offset)
    position = log.head.position
    log.close()
    (segment,) = segments(disk)
    for place in places[:-1]:
        data = bytearray(disk.files()[segment])
        data[place + 40] ^= 0xFF
        with pytest.raises(Corrupt) as caught:
            opened(MemoryDisk({**disk.files(), segment: bytes(data)}), after=position, options=ROOMY)
        assert caught.value.offset == place


@pytest.mark.parametrize("seq", [0, 3, 7, 42, 45])
def test_a_position_the_journal_never_had_is_refused_before_anything_is_replayed(seq: int) -> None:
    disk = MemoryDisk()
    history(disk)
    records: list[Record] = []
    with pytest.raises(PositionMismatch) as caught:
        open_journal(disk, records.append, after=Position(seq, b"r" * 32), options=SMALL)

    assert records == []
    assert caught.value.seq == seq
    opened(disk)


# --- who may write ------------------------------------------------------------------------------------------


def test_a_second_opener_is_refused(disk: Disk, tmp_path: Path) -> None:
    log, _ = opened(disk)
    with pytest.raises(Locked):
        opened(RealDisk(tmp_path) if isinstance(disk, RealDisk) else disk)
    log.close()
    opened(disk)[0].close()


def test_a_failed_opening_lets_go_of_the_folder_and_the_files() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 1)
    log.close()

    def refuse(record: Record) -> None:
        raise KeyError(record.header.seq)

    with pytest.raises(KeyError):
        open_journal(disk, refuse, options=SMALL)
    assert disk.open_files == []
    opened(disk)


def test_after_close_nothing_works_but_close() -> None:
    log, _ = opened(MemoryDisk())
    at = append(log)[0]
    log.close()
    log.close()
    for call in (
        log.reserve, log.write_anchor, log.release_ballast, log.restore_ballast, log.discard_broken,
        lambda: log.append([draft()], T0), lambda: log.content(at), lambda: log.erase([], 1, T0),
    ):  # fmt: skip
        with pytest.raises(Closed):
            call()


def test_half_written_files_of_a_dead_process_are_removed() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    log.close()
    files = disk.files() | {"journal/anchor.tmp": b"half"}
    again, _ = opened(MemoryDisk(files))

    assert again.notices == ("journal/anchor.tmp was being written when the last process died; removed",)


# --- room ---------------------------------------------------------------------------------------------------


def full_disk(spare: int, **options: int) -> tuple[MemoryDisk, Journal]:
    chosen = JournalOptions(
        **{"segment_bytes": 1 << 20, "reserve_bytes": 16384, "ballast_bytes": 0} | options
    )
    disk = MemoryDisk()
    log, _ = opened(disk, options=chosen)
    disk.capacity = sum(map(len, disk.files().values())) + spare
    return disk, log


def test_reserved_room_cannot_run_out() -> None:
    disk, log = full_disk(20000)
    log.reserve()
    disk.capacity = 0
    log.append([draft(content=bytes(9000))], T0)

    assert log.head.seq == 1


def test_a_full_disk_is_told_before_anything_changes() -> None:
    disk, log = full_disk(10000)
    for _ in range(3):
        with pytest.raises(NoSpace):
            log.reserve()
    assert log.head.seq == 0
    disk.capacity = None
    fill(log, 1)
    assert log.head.seq == 2


def test_with_little_left_no_more_than_needed_is_reserved() -> None:
    disk, log = full_disk(16800, step_bytes=1 << 19)
    log.reserve()
    log.append([draft()], T0)

    with pytest.raises(NoSpace):
        log.reserve()
    disk.capacity = None
    log.reserve()
    assert len(disk.files()[segments(disk)[0]]) >= 1 << 19


def test_a_disk_too_full_for_a_new_segment_is_told_and_tried_again() -> None:
    disk, log = full_disk(16384, segment_bytes=1024)
    fill(log, 1)
    disk.capacity = 0
    for _ in range(2):
        with pytest.raises(NoSpace):
            log.reserve()
    disk.capacity = None
    fill(log, 1)

    assert (log.head.segment, log.head.seq) == (2, 4)
    log.close()
    assert opened(disk)[1][-1].header.seq == 4


def test_ballast_is_given_back_and_restored() -> None:
    disk, log = full_disk(30000, ballast_bytes=20000)
    assert disk.exists(BALLAST_FILE)
    fill(log, 1)
    disk.capacity = sum(map(len, disk.files().values()))
    assert log.release_ballast()
    assert not log.release_ballast()
    fill(log, 1)
    assert not log.restore_ballast()
    assert not disk.exists(BALLAST_FILE)
    disk.capacity = None
    assert log.restore_ballast()
    assert log.restore_ballast()


def test_an_opening_without_room_for_ballast_says_so() -> None:
    disk = MemoryDisk(capacity=4096)
    log, _ = opened(disk, options=JournalOptions(ballast_bytes=8192))

    assert log.notices == ("the disk is too full to set room aside for deletes",)


# --- failing for good ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "number"), [("pwrite", errno.EIO), ("pwrite", errno.ENOSPC), ("sync", errno.EIO)]
)
@pytest.mark.parametrize("short", [False, True])
def test_a_failed_append_is_final(kind: str, number: int, short: bool) -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    at = append(log)[0]
    head = log.head
    log.reserve()
    fail_next(disk, kind, error=number, short=short)
    with pytest.raises(WriteFailed) as first:
        log.append([draft()], T0)

    assert log.head == head
    for call in (
        log.reserve,
        log.write_anchor,
        lambda: log.append([draft()], T0),
        lambda: log.erase([], 1, T0),
    ):
        with pytest.raises(WriteFailed) as later:
            call()
        assert str(later.value) == str(first.value)
    assert log.content(at) == b"\xa2hi"
    operations = disk.operations
    log.close()
    assert disk.operations == operations, "a failed journal touches nothing more"


@pytest.mark.parametrize("kind", ["pwrite", "sync", "sync_folder", "replace", "truncate", "create"])
def test_a_segment_that_cannot_be_rolled_is_final(kind: str) -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    while log.head.offset < SMALL.segment_bytes:
        fill(log, 1)
    fail_next(disk, kind, part="journal")
    with pytest.raises(WriteFailed):
        log.reserve()
    with pytest.raises(WriteFailed):
        log.append([draft()], T0)


def test_an_anchor_that_cannot_be_written_is_final_but_for_a_full_disk() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 1)
    disk.capacity = 0
    with pytest.raises(NoSpace):
        log.write_anchor()
    disk.capacity = None
    log.write_anchor()
    fail_next(disk, "sync", part="anchor")
    with pytest.raises(WriteFailed):
        log.write_anchor()
    with pytest.raises(WriteFailed):
        log.reserve()


def test_close_says_when_it_could_not_secure_the_end_and_lets_go_all_the_same() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 1)
    fail_next(disk, "truncate")
    with pytest.raises(WriteFailed):
        log.close()
    log.close()
    assert opened(disk)[0].head.seq == 2


def test_close_on_a_full_disk_leaves_the_last_anchor() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    log.write_anchor()
    before = disk.files()["journal/anchor"]
    fill(log, 1)
    disk.capacity = 0
    log.close()

    assert disk.files()["journal/anchor"] == before


@pytest.mark.parametrize("kind", ["sync", "sync_folder"])
def test_an_opening_that_cannot_secure_the_files_fails(kind: str) -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 1)
    log.close()
    fail_next(disk, kind, part="journal")
    with pytest.raises(WriteFailed, match="securing what the last process wrote"):
        opened(disk)
    opened(disk)


@pytest.mark.parametrize("kind", ["add_folder", "create"])
def test_a_first_opening_that_cannot_write_fails(kind: str) -> None:
    disk = MemoryDisk()
    fail_next(disk, kind, part="journal")
    with pytest.raises(WriteFailed):
        opened(disk)
    opened(disk)


# --- the deliberate bugs do what they say -------------------------------------------------------------------


def test_a_retried_sync_acknowledges_what_may_be_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    sync_again_after_an_error(monkeypatch)
    disk = MemoryDisk()
    log, _ = opened(disk, options=JournalOptions(ballast_bytes=0))
    log.reserve()
    fail_next(disk, "sync")
    log.append([draft(content=bytes(3000))], T0)

    assert log.head.seq == 1
    assert opened(disk.crash("none"))[1] == []


def test_without_a_sync_on_opening_nothing_is_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = MemoryDisk()
    trust_the_page_cache(monkeypatch)
    opened(disk)[0].close()
    before = disk.operations
    opened(disk, options=JournalOptions(ballast_bytes=0))

    assert "sync" not in {one.kind for one in disk.trace[before:]}


def test_room_that_not_even_the_smallest_batch_fits_is_a_mistake() -> None:
    smallest = frame_room(1)
    with pytest.raises(AssertionError, match="not even the smallest batch"):
        JournalOptions(reserve_bytes=smallest - 1)
    assert JournalOptions(reserve_bytes=smallest).batch_room == draft_room(0, 1)
    assert JournalOptions().batch_room == FRAME_ROOM
    with pytest.raises(AssertionError, match="never used"):
        JournalOptions(reserve_bytes=BATCH_BYTES + 1)


def test_the_largest_batch_fits_what_reserve_promises(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path)
    log = open_journal(
        disk, lambda record: None, options=JournalOptions(ballast_bytes=0), entropy=counting_entropy()
    )
    log.reserve()
    body = bytes((1 << 20) - 40)
    log.append([Draft(1, 1, bytes(16), 1, b"", body)] * 3, T0)

    assert log.head.seq == 3
    log.close()


# --- whose the folder is ------------------------------------------------------------------------------------


def filled(disk: Disk, name: str) -> dict[str, bytes]:
    if folder_of(name):
        disk.make_folder(folder_of(name))
    disk.write_atomic(name, b"theirs")
    return {name: b"theirs"}


@pytest.mark.parametrize(
    "name",
    ["letter.txt", "payloads/staging/theirs", "journal/theirs", "journal/theirs.tmp", "journal/a.broken"],
)
def test_a_folder_of_other_files_gets_no_journal_and_stays_as_it_is(name: str) -> None:
    disk = MemoryDisk()
    theirs = filled(disk, name)
    with pytest.raises(ForeignFolder, match=r"not empty .* holds no journal; name a new or an empty folder"):
        opened(disk)
    assert disk.files() == theirs


def test_a_data_folder_that_lost_its_journal_is_not_taken_for_a_new_one() -> None:
    """A new journal there would refer to none of its payload files, and all would be removed."""
    disk = MemoryDisk()
    name = PayloadStore(disk).stage().seal().name
    with pytest.raises(ForeignFolder):
        opened(disk)
    assert PayloadStore(disk).names() == [name]


@pytest.mark.parametrize(
    "name", ["journal/00000001-0000000000000001.journal.tmp", "journal/anchor.tmp", "lock"]
)
def test_what_a_first_start_leaves_that_dies_at_once_is_no_foreign_file(name: str) -> None:
    disk = MemoryDisk()
    filled(disk, name)
    disk.add_folder("lost+found")
    log, records = opened(disk)
    assert records == []
    log.append([draft()], T0)


def test_only_files_under_our_own_names_are_removed(disk: Disk) -> None:
    log, _ = opened(disk)
    log.close()
    names = [
        "journal/theirs.tmp",
        "journal/letter.broken.tmp",
        "payloads/staging/theirs",
        "payloads/00/11/theirs",
    ]
    for name in names:
        filled(disk, name)
    log, _ = opened(disk)
    assert list(PayloadStore(disk).of_other_runs()) == [Portion([], []), Portion([], [])]
    assert [disk.read(name) for name in names] == [b"theirs"] * len(names)
    log.close()
