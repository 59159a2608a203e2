"""The anchor distinguishes a journal that ends at a frame's border from one that was cut there."""

from __future__ import annotations

import msgpack
import pytest

from retain.journal import Corrupt, FindingKind, NoSpace, verify
from retain.journal.format.envelope import ANCHOR_MAGIC, wrap
from retain.journal.segments.anchor import Anchor, read_anchor, write_anchor
from retain.journal.segments.files import ANCHOR_FILE
from retain.journal.testing.memory import MemoryDisk
from tests.kit.journals import fill, opened


def anchored(anchor: Anchor, batches: int = 3) -> MemoryDisk:
    """A journal with an anchor that it never wrote."""
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, batches)
    log.close()
    write_anchor(disk, anchor)
    return disk


def test_it_comes_back_as_written() -> None:
    disk = MemoryDisk()
    disk.make_folder("journal")
    anchor = Anchor(5, 2, 4096, b"r" * 32)
    assert read_anchor(disk) is None
    write_anchor(disk, anchor)

    assert read_anchor(disk) == anchor


def test_every_flipped_byte_and_every_cut_is_noticed() -> None:
    disk = MemoryDisk()
    disk.make_folder("journal")
    write_anchor(disk, Anchor(5, 2, 4096, b"r" * 32))
    data = disk.files()[ANCHOR_FILE]
    wrong = [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(len(data))]
    wrong += [data[:length] for length in range(len(data))]
    wrong += [data + b"\x00", wrap(ANCHOR_MAGIC, [1, 2]), wrap(ANCHOR_MAGIC, 5)]
    for one in wrong:
        with pytest.raises(Corrupt):
            read_anchor(MemoryDisk({ANCHOR_FILE: one}))


def test_a_journal_cut_at_a_frames_border_is_refused() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 1)
    border = log.head.offset
    fill(log, 1)
    log.write_anchor()
    files = disk.files()
    name = next(one for one in files if one.endswith(".journal"))
    cut = MemoryDisk({**files, name: files[name][:border]})

    with pytest.raises(Corrupt, match="ends earlier, at record 2") as caught:
        opened(cut)
    assert (caught.value.file, caught.value.seq) == (ANCHOR_FILE, 4)


def test_a_journal_that_lost_its_last_segment_is_refused() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    while log.head.segment == 1:
        fill(log, 1)
        log.reserve()
    log.write_anchor()
    files = disk.files()
    del files[next(one for one in files if one.startswith("journal/00000002"))]

    with pytest.raises(Corrupt, match="ends earlier"):
        opened(MemoryDisk(files))


def test_a_journal_that_lost_all_its_segments_is_refused() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    log.write_anchor()
    files = {name: data for name, data in disk.files().items() if not name.endswith(".journal")}

    with pytest.raises(Corrupt, match="no segment is there"):
        opened(MemoryDisk(files))


def test_another_history_of_the_same_length_is_refused() -> None:
    disk = anchored(Anchor(6, 1, 512, b"r" * 32))

    with pytest.raises(Corrupt, match="another content there"):
        opened(disk)


def test_another_place_of_the_same_record_is_refused() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 1)
    write_anchor(disk, Anchor(2, 1, 512, log.head.root))
    log.abandon()
    disk.unlock()

    with pytest.raises(Corrupt, match="another content there"):
        opened(disk)


def test_an_anchor_inside_a_frame_is_refused() -> None:
    disk = anchored(Anchor(3, 1, 4096, b"r" * 32))

    with pytest.raises(Corrupt, match="no frame ends there"):
        opened(disk)


def test_an_anchor_in_a_segment_that_was_never_begun_is_refused() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 1)
    write_anchor(disk, Anchor(2, 2, 512, log.head.root))
    fill(log, 1)
    log.abandon()
    disk.unlock()

    with pytest.raises(Corrupt, match="no frame ends there"):
        opened(disk)


def test_an_anchor_before_the_first_segment_read_is_not_asked() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 1)
    log.write_anchor()
    while log.head.segment < 3:
        fill(log, 1)
        log.reserve()
    position = log.head.position
    files = disk.files()

    again, records = opened(MemoryDisk(files), after=position)
    assert again.head.position == position
    assert records == []
    opened(MemoryDisk(files))


def test_it_is_written_at_a_stop() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 3)
    head = log.head
    log.close()

    assert read_anchor(disk) == Anchor(head.seq, head.segment, head.offset, head.root)
    assert msgpack.packb(list(Anchor(1, 2, 3, b""))) == b"\x94\x01\x02\x03\xc4\x00"


def test_a_new_journal_is_anchored_before_its_first_record() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)

    assert read_anchor(disk) == Anchor(0, 1, log.head.offset, log.head.root)
    again, _ = opened(disk.crash("none"))
    assert again.notices == ()


def test_a_missing_anchor_beside_records_is_told_and_mended() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 3)
    log.close()
    files = {name: data for name, data in disk.files().items() if name != ANCHOR_FILE}
    bare = MemoryDisk(files)
    (finding,) = verify(bare).findings
    log, _ = opened(bare)

    assert (finding.kind, finding.file, finding.seq, finding.harmless) == (
        FindingKind.ANCHOR,
        ANCHOR_FILE,
        6,
        False,
    )
    assert log.notices == ("the anchor was missing: whether records after 6 were lost is unknown",)
    assert read_anchor(bare) is not None
    assert verify(bare).findings == ()


def test_a_journal_without_records_needs_no_anchor_to_be_sound() -> None:
    disk = MemoryDisk()
    opened(disk)[0].close()
    files = {name: data for name, data in disk.files().items() if name != ANCHOR_FILE}

    assert verify(MemoryDisk(files)).findings == ()
    assert opened(MemoryDisk(files))[0].notices == ()


def test_a_full_disk_stops_a_new_journal_without_an_anchor_but_no_old_one() -> None:
    with pytest.raises(NoSpace):
        opened(MemoryDisk(capacity=512))
    disk = MemoryDisk()
    log, _ = opened(disk)
    fill(log, 3)
    log.close()
    files = {name: data for name, data in disk.files().items() if name != ANCHOR_FILE}
    full = MemoryDisk(files, capacity=sum(map(len, files.values())))

    assert "anchor was missing" in opened(full)[0].notices[0]
    assert read_anchor(full) is None
