"""Torn is not corrupt: what may be cut off the end, and that nothing else is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from retain.journal import Corrupt, Journal, JournalOptions
from retain.journal.format.envelope import OPENER_MAGIC, unwrap, wrap
from retain.journal.format.limits import BATCH_BYTES
from retain.journal.segments.files import ANCHOR_FILE, broken_files
from retain.journal.testing.memory import MemoryDisk
from tests.kit import journal_faults as faults
from tests.kit.disks import count
from tests.kit.journals import FIRST_ANCHOR, T0, append, draft, fill, opened

NAME = "journal/00000001-0000000000000001.journal"
ROOMY = JournalOptions(segment_bytes=1 << 20, reserve_bytes=16384, step_bytes=8192, ballast_bytes=0)


class Written:
    """A journal of two batches: the file's bytes, and where the second frame starts and ends."""

    def __init__(self, size: int = 1500) -> None:
        disk = MemoryDisk()
        self.log: Journal = opened(disk, options=ROOMY)[0]
        fill(self.log, 1)
        self.start = self.log.head.offset
        append(self.log, draft(content=bytes(size)), time=T0 + 9)
        self.end = self.log.head.offset
        self.seq = self.log.head.seq
        self.data = disk.files()[NAME]

    def changed(self, offset: int, data: bytes) -> bytes:
        return self.data[:offset] + data + self.data[offset + len(data) :]


@pytest.fixture
def written() -> Written:
    return Written()


def survivors(data: bytes) -> tuple[int, tuple[str, ...], MemoryDisk]:
    disk = MemoryDisk({NAME: data, ANCHOR_FILE: FIRST_ANCHOR})
    log, records = opened(disk, options=ROOMY)
    assert len(records) == log.head.seq
    append(log, draft(content=b"and on it goes"))
    log.close()
    assert opened(disk, options=ROOMY)[1][-1].content == b"and on it goes"
    return len(records), log.notices, disk


def test_reserved_room_is_a_clean_end(written: Written) -> None:
    assert len(written.data) > written.end
    assert survivors(written.data)[:2] == (3, ())
    assert survivors(written.data[: written.end])[:2] == (3, ())
    assert survivors(written.data[: written.end + 100])[:2] == (3, ())


def test_a_file_cut_anywhere_in_the_last_frame_loses_that_frame_only(written: Written) -> None:
    for length in range(written.start, written.end):
        seqs, notices, disk = survivors(written.data[:length])
        assert seqs == 2
        left = written.data[written.start : length].rstrip(b"\x00")
        assert len(notices) == bool(left)
        assert [disk.read(name) for name in broken_files(disk)] == ([left] if left else [])


def sectors(written: Written) -> Iterator[int]:
    return iter(range(written.start, written.end, 512))


def test_any_sectors_of_the_last_frame_may_be_missing(written: Written) -> None:
    places = list(sectors(written))
    for mask in range(1, 1 << len(places)):
        data = written.data
        for index, place in enumerate(places):
            if mask >> index & 1:
                data = data[:place] + bytes(512) + data[place + 512 :]
        seqs, notices, _ = survivors(data)
        assert seqs == 2
        assert len(notices) == (mask + 1 < 1 << len(places))


def test_the_notice_says_what_was_cut_where_and_why(written: Written) -> None:
    _, notices, disk = survivors(written.changed(written.end - 512, bytes(512)))
    copy = f"{NAME}.{written.start:08x}.broken"

    assert notices == (
        f"{NAME}: cut off {written.end - 512 - written.start} bytes from offset {written.start} on, "
        f"an unfinished batch before record 3: a sector of the frame was never written; a copy is in {copy}",
    )
    assert disk.files()[copy] == written.data[written.start : written.end - 512]


def test_copies_of_torn_tails_can_be_discarded(written: Written) -> None:
    disk = MemoryDisk({NAME: written.data[: written.end - 1]})
    log, _ = opened(disk, options=ROOMY)
    names = broken_files(disk)

    assert len(names) == 1
    assert log.discard_broken() == names
    assert log.discard_broken() == []
    assert broken_files(disk) == []


def test_every_flipped_byte_of_the_last_frame_is_refused_not_cut() -> None:
    written = Written(size=700)
    for offset in range(written.start, written.end):
        data = written.changed(offset, bytes([written.data[offset] ^ 0xFF]))
        with pytest.raises(Corrupt) as caught:
            opened(MemoryDisk({NAME: data}), options=ROOMY)
        assert caught.value.file == NAME
        assert caught.value.offset == written.start
        assert caught.value.seq == 3


def test_a_zero_sector_in_an_earlier_frame_is_damage(written: Written) -> None:
    first = next(at for at in range(512, written.start, 512))
    with pytest.raises(Corrupt) as caught:
        opened(MemoryDisk({NAME: written.changed(first, bytes(512))}), options=ROOMY)
    assert caught.value.offset == 512


def test_a_zero_sector_in_an_earlier_frames_parts_is_damage() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk, options=ROOMY)
    append(log, draft(content=bytes(3000)))
    at = log.head.offset - 1024
    append(log, draft(content=bytes(3000)))
    data = disk.files()[NAME]
    broken = data[:at] + bytes(512) + data[at + 512 :]

    with pytest.raises(Corrupt, match="content of record 1 damaged, and no erase record names them"):
        opened(MemoryDisk({NAME: broken}), options=ROOMY)
    torn = broken[: log.head.offset - 512]
    with pytest.raises(Corrupt, match="content of record 1 damaged"):
        opened(MemoryDisk({NAME: torn}), options=ROOMY)


def test_a_first_sector_missing_before_a_good_frame_is_damage(written: Written) -> None:
    """The first frame's sync returned before the second one was written: it was there."""
    with pytest.raises(Corrupt):
        opened(MemoryDisk({NAME: written.changed(512, bytes(512))}), options=ROOMY)


def test_bytes_after_a_bad_frame_are_damage(written: Written) -> None:
    data = written.changed(written.start + 512, bytes(512))
    data = data[: written.end] + b"more" + data[written.end + 4 :]
    with pytest.raises(Corrupt):
        opened(MemoryDisk({NAME: data}), options=ROOMY)


def test_more_than_a_batch_after_a_missing_sector_is_damage(written: Written) -> None:
    start = written.data[: written.end]
    within = start + bytes(512) + b"x" * 512 + bytes(BATCH_BYTES - 2048) + b"x" * 512
    assert survivors(within)[0] == 3
    with pytest.raises(Corrupt):
        opened(MemoryDisk({NAME: start + bytes(512) + bytes(BATCH_BYTES - 512) + b"x"}), options=ROOMY)


def test_a_good_frame_of_the_past_after_a_missing_sector_is_only_data(written: Written) -> None:
    """Bytes that look like an earlier frame cannot be a later one."""
    old = written.data[512 : written.start]
    data = written.data[: written.end] + bytes(512) + old
    assert survivors(data)[0] == 3


def test_a_flip_in_the_reserved_room_is_refused_or_harmless(written: Written) -> None:
    for offset in range(written.end, written.end + 2048, 31):
        data = written.changed(offset, b"\x01")
        if offset < written.end + 512:
            with pytest.raises(Corrupt, match=r"no frame starts here|zeros where a frame"):
                opened(MemoryDisk({NAME: data}), options=ROOMY)
        else:
            assert survivors(data)[0] == 3


def test_damage_in_a_sealed_segment_is_never_cut() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    while log.head.segment == 1:
        fill(log, 1)
        log.reserve()
    files = disk.files()
    data = files[NAME]
    for wrong in (data[:-1], data[:-512], data[:-512] + bytes(512), data + bytes(512), data + b"x"):
        with pytest.raises(Corrupt) as caught:
            opened(MemoryDisk({**files, NAME: wrong}))
        assert caught.value.file.startswith("journal/0000000")


def test_segments_of_two_journals_do_not_mix() -> None:
    disks = []
    for first in (b"a", b"b"):
        disk = MemoryDisk()
        log, _ = opened(disk)
        append(log, draft(first))
        while log.head.segment == 1:
            fill(log, 1)
            log.reserve()
        disks.append(disk.files())
    second = next(name for name in disks[0] if name.startswith("journal/00000002"))

    with pytest.raises(Corrupt, match="does not go on where the segment before it ends"):
        opened(MemoryDisk({**disks[0], second: disks[1][second]}))


def test_a_segment_of_another_identity_is_refused() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    while log.head.segment == 1:
        fill(log, 1)
        log.reserve()
    files = disk.files()
    second = next(name for name in files if name.startswith("journal/00000002"))
    body, _ = unwrap(OPENER_MAGIC, files[second], file=second)
    data = wrap(OPENER_MAGIC, body | {"journal": b"x" * 16})
    files[second] = data + bytes(-len(data) % 512)
    with pytest.raises(Corrupt, match="belongs to another journal"):
        opened(MemoryDisk(files))


def test_after_a_cut_the_file_is_synced_before_anything_is_appended(written: Written) -> None:
    disk = MemoryDisk({NAME: written.data[: written.end - 512]})
    opened(disk, options=ROOMY)
    kinds = [one.kind for one in disk.trace if one.name == NAME]

    assert kinds.index("truncate") < kinds.index("sync")
    assert count(disk, "sync_folder", "journal") >= 2
    assert len(disk.crash("none").files()[NAME]) == written.start


# --- the deliberate bugs do what they say -------------------------------------------------------------------


def test_tears_left_in_place_stay(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    faults.leave_tears_in_place(monkeypatch)
    disk = MemoryDisk({NAME: written.data[: written.end - 1]})
    log, records = opened(disk, options=ROOMY)

    assert len(records) == 2
    assert log.head.offset == written.start
    assert disk.files()[NAME] == written.data[: written.end - 1]


def test_cutting_at_any_damage_loses_records(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    faults.cut_at_any_damage(monkeypatch)
    disk = MemoryDisk({NAME: written.changed(600, b"x")})
    _, records = opened(disk, options=ROOMY)

    assert records == []


def test_unchecked_frames_are_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = MemoryDisk()
    log, _ = opened(disk, options=ROOMY)
    append(log, draft(b"", b""))
    data = disk.files()[NAME]
    at = data.index(b"R" * 16)
    wrong = data[:at] + b"S" + data[at + 1 :]
    with pytest.raises(Corrupt):
        opened(MemoryDisk({NAME: wrong}), options=ROOMY)
    faults.check_no_checksum(monkeypatch)
    _, records = opened(MemoryDisk({NAME: wrong}), options=ROOMY)

    assert records[0].header.resource == b"S" + b"R" * 15
