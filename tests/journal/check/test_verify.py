"""Verification: quiet about a sound journal, complete about a damaged one, fit for a running server."""

from __future__ import annotations

import struct
from dataclasses import replace
from random import Random

import msgpack
import pytest
from crc32c import crc32c

from retain.journal.check.verify import Finding, FindingKind, Report, verify
from retain.journal.disk.interface import SECTOR
from retain.journal.errors import JournalError
from retain.journal.format.frame import pack_prefix
from retain.journal.format.record import Draft, Part, Verb
from retain.journal.payloads.store import PayloadStore
from retain.journal.proofs.note import Checkpoint
from retain.journal.proofs.prover import Prover
from retain.journal.segments.files import ANCHOR_FILE
from retain.journal.testing.memory import DiskOperation, MemoryDisk
from tests.kit.crash import SMALL, Workload, opened
from tests.kit.journals import FIRST_ANCHOR, damaged, flip


def built(*, segments: int = 3, erase: bool = True) -> dict[str, bytes]:
    """The files of a closed journal: batches of three over several segments, some parts erased."""
    disk, rng = MemoryDisk(), Random(5)
    store, _ = opened(disk)
    count = 0
    while store.head.segment < segments or count < 4:
        store.reserve()
        store.append([Draft(1, 1, bytes(16), 1, b"who", rng.randbytes(700)) for _ in range(3)], count)
        count += 1
        if erase and count == 2:
            store.erase([(1, Part.CONTENT), (2, Part.CONTENT | Part.DETAILS)], 7, count)
    store.append([Draft(1, 1, bytes(16), 1, b"who", rng.randbytes(700))], count)
    store.close()
    return {name: data for name, data in disk.files().items() if not name.endswith("ballast")}


FILES = built()
FIRST, SECOND, THIRD = sorted(name for name in FILES if name.endswith(".journal"))


def frames(name: str) -> list[int]:
    """Where frames start."""
    raw = FILES[name]
    return [place for place in range(0, len(raw), SECTOR) if raw[place : place + 4] == b"RETF"]


def kinds(report: Report) -> list[FindingKind]:
    return [finding.kind for finding in report.findings]


def test_a_sound_journal_gives_no_finding_and_its_numbers() -> None:
    disk = MemoryDisk(FILES)
    report = verify(disk)
    store, found = opened(disk)
    assert report.findings == ()
    assert report.sound
    assert (report.seq, report.root) == (store.head.seq, store.head.root)
    assert report.records == store.head.seq
    assert report.erased == 3
    assert report.segments == 3
    assert len(found) == report.records - 2


def test_verification_changes_nothing_and_takes_no_lock() -> None:
    disk = MemoryDisk(FILES)
    disk.lock()
    verify(disk)
    assert disk.trace == []
    assert disk.open_files == []


def test_no_journal_at_all_is_a_finding() -> None:
    assert kinds(verify(MemoryDisk())) == [FindingKind.SEGMENT]


def test_a_new_and_empty_journal_is_sound() -> None:
    disk = MemoryDisk()
    opened(disk)[0].close()
    report = verify(disk)
    assert (report.findings, report.seq, report.records) == ((), 0, 0)


def test_every_damage_is_found_not_only_the_first() -> None:
    disk = MemoryDisk(FILES)
    files = dict(FILES)
    for name in (FIRST, SECOND):
        raw = bytearray(files[name])
        raw[frames(name)[1] + 40] ^= 1  # in a frame's head
        files[name] = bytes(raw)
    raw = bytearray(files[THIRD])
    raw[frames(THIRD)[0] + 1000] ^= 1  # in a part
    files[THIRD] = bytes(raw)
    files[ANCHOR_FILE] = FIRST_ANCHOR
    report = verify(MemoryDisk(files))
    sound = verify(disk)
    heads = [one for one in report.findings if "checksum" in one.text]
    lost = [one for one in report.findings if "are lost" in one.text]
    assert [one.file for one in heads] == [FIRST, SECOND]
    assert [one.file for one in lost] == [SECOND, SECOND]
    parts = [one for one in report.findings if one.kind is FindingKind.PART and one.file == THIRD]
    assert len(parts) == 1
    assert report.seq == sound.seq
    assert report.root == sound.root, "the third segment's opener says where the tree stands"
    assert report.records < sound.records
    assert not report.sound


def test_after_damage_in_the_last_segment_the_root_is_unknown() -> None:
    report = verify(damaged(FILES, THIRD, flip(frames(THIRD)[0] + 40)))
    assert report.root == b""
    assert kinds(report)[:2] == [FindingKind.FRAME, FindingKind.FRAME]


@pytest.mark.parametrize("name", [FIRST, SECOND, THIRD, ANCHOR_FILE])
def test_verify_finds_whatever_opening_refuses(name: str) -> None:
    for place in range(0, len(FILES[name]), 13):
        disk = damaged(FILES, name, flip(place))
        report = verify(disk)
        try:
            opened(disk)[0].close()
        except JournalError:
            assert not report.sound, f"byte {place} of {name}"
        else:
            assert report.findings == () or kinds(report) == [FindingKind.ERASURE], f"byte {place} of {name}"


def test_bytes_in_an_erased_part_are_found() -> None:
    raw = FILES[FIRST]
    hole = raw.index(bytes(640), frames(FIRST)[0])
    (finding,) = verify(damaged(FILES, FIRST, flip(hole + 300))).findings
    assert (finding.kind, finding.file) == (FindingKind.ERASURE, FIRST)


def test_an_erase_record_whose_part_is_still_there_is_found() -> None:
    whole = MemoryDisk()
    store, _ = opened(whole)
    store.append([Draft(1, 1, bytes(16), 1, b"who", b"what"), Draft(1, 1, bytes(16), 1, b"who", b"")], 1)
    name = next(one for one in whole.files() if one.endswith(".journal"))
    before = whole.files()[name]
    store.erase([(1, Part.CONTENT), (2, Part.CONTENT)], 7, 1)
    store.close()
    after = bytearray(whole.files()[name])
    end = before.index(b"RETF") + SECTOR
    after[:end] = before[:end]
    (finding,) = verify(MemoryDisk({**whole.files(), name: bytes(after)})).findings
    assert (finding.kind, finding.seq) == (FindingKind.ERASURE, 1)
    assert "still there" in finding.text


def test_an_interrupted_erasure_is_a_note() -> None:
    disk = MemoryDisk()
    store, _ = opened(disk)
    store.append([Draft(1, 1, bytes(16), 1, b"who", b"what")], 1)
    seen: list[Report] = []
    disk.before_each = lambda operation: seen.append(verify(disk.kill()))
    store.erase([(1, Part.CONTENT)], 7, 1)
    unfinished = [report for report in seen if FindingKind.UNFINISHED in kinds(report)]
    assert unfinished
    assert all(report.sound for report in seen)


def test_a_missing_a_strange_and_a_misnamed_segment_are_found() -> None:
    without = {name: data for name, data in FILES.items() if name != SECOND}
    report = verify(MemoryDisk(without))
    assert kinds(report)[0] is FindingKind.SEGMENT
    assert any("missing before" in finding.text for finding in report.findings)
    swapped = verify(MemoryDisk({**FILES, FIRST: FILES[SECOND], SECOND: FILES[FIRST]}))
    assert not swapped.sound
    other = built(segments=1, erase=False)
    other_first = next(name for name in other if name.endswith(".journal"))
    strange = verify(MemoryDisk({**FILES, FIRST: other[other_first]}))
    assert not strange.sound
    ignored = {**FILES, "journal/notes.journal": b"", "journal/1-1.journal": b""}
    assert verify(MemoryDisk(ignored)).findings == ()


def test_a_segment_of_another_journal_is_found() -> None:
    disk = MemoryDisk()
    store, _ = opened(disk, seed=9)
    while store.head.segment < 3:
        store.reserve()
        store.append([Draft(1, 1, bytes(16), 1, b"who", bytes(900)) for _ in range(3)], 1)
    store.close()
    names = sorted(name for name in disk.files() if name.endswith(".journal"))
    files = {**FILES}
    del files[THIRD]
    files[names[2]] = disk.files()[names[2]]
    report = verify(MemoryDisk(files))
    assert any("another journal" in finding.text for finding in report.findings)


def test_a_damaged_opener_does_not_hide_the_frames_behind_it() -> None:
    report = verify(damaged(FILES, SECOND, flip(20)))
    assert kinds(report) == [FindingKind.SEGMENT]
    assert report.records == verify(MemoryDisk(FILES)).records
    last = verify(damaged(FILES, THIRD, flip(20)))
    assert last.records == report.records
    assert last.root == b""


def test_a_damaged_first_opener_leaves_nothing_to_read_in_its_segment() -> None:
    report = verify(damaged(FILES, FIRST, flip(20)))
    assert not report.sound
    assert report.seq == verify(MemoryDisk(FILES)).seq


def test_a_later_format_is_told_as_such() -> None:
    raw = bytearray(FILES[SECOND])
    length = struct.unpack_from(">I", raw, 12)[0]
    raw[8:10] = b"\x00\x63"
    raw[16 + length : 20 + length] = crc32c(bytes(raw[: 16 + length])).to_bytes(4, "big")
    report = verify(MemoryDisk({**FILES, SECOND: bytes(raw)}))
    assert FindingKind.VERSION in kinds(report)


def test_a_journal_that_ends_before_its_anchor_is_found() -> None:
    disk = damaged(FILES, THIRD, lambda raw: raw.__delitem__(slice(frames(THIRD)[-1], None)))
    (finding,) = verify(disk).findings
    assert (finding.kind, finding.seq) == (FindingKind.ANCHOR, verify(MemoryDisk(FILES)).seq)


def test_an_anchor_of_another_history_is_found() -> None:
    other = MemoryDisk()
    store, _ = opened(other)
    store.append([Draft(1, 1, bytes(16), 1, b"x", b"") for _ in range(4)], 1)
    store.close()
    inside = other.files()[ANCHOR_FILE]
    (finding,) = verify(MemoryDisk({**FILES, ANCHOR_FILE: inside})).findings
    assert (finding.kind, finding.seq) == (FindingKind.ANCHOR, 4)
    assert "never had the root" in finding.text


def test_a_tear_at_the_end_is_a_note() -> None:
    place = frames(THIRD)[-1]
    files = {**FILES, ANCHOR_FILE: FIRST_ANCHOR}
    files[THIRD] = FILES[THIRD][: place + 700]
    report = verify(MemoryDisk(files))
    (finding,) = report.findings
    assert (finding.kind, finding.offset, finding.harmless) == (FindingKind.TEAR, place, True)
    assert report.sound
    zeroed = bytearray(FILES[THIRD])
    zeroed[place + SECTOR : place + 2 * SECTOR] = bytes(SECTOR)
    files[THIRD] = bytes(zeroed)
    assert kinds(verify(MemoryDisk(files))) == [FindingKind.TEAR]


def test_damage_in_the_last_batch_is_no_tear() -> None:
    place = frames(THIRD)[-1]
    files = {**FILES, ANCHOR_FILE: FIRST_ANCHOR}
    for at in (5, 40, 900):
        raw = bytearray(FILES[THIRD])
        raw[place + at] ^= 1
        report = verify(MemoryDisk({**files, THIRD: bytes(raw)}))
        assert not report.sound


def many_frames() -> tuple[str, dict[str, bytes], list[int]]:
    """One segment of eight frames, anchored at its start: its name, the files, where frames start."""
    disk = MemoryDisk()
    store, _ = opened(disk)
    for number in range(8):
        store.append([Draft(1, 1, bytes(16), 1, b"who", bytes(300))], number)
    store.close()
    files = disk.files()
    files[ANCHOR_FILE] = FIRST_ANCHOR
    name = next(one for one in files if one.endswith(".journal"))
    raw = files[name]
    return name, files, [at for at in range(0, len(raw), SECTOR) if raw[at : at + 4] == b"RETF"]


def test_damage_behind_damage_is_found() -> None:
    name, files, starts = many_frames()
    raw = bytearray(files[name])
    for frame, at in ((1, 40), (3, 40), (5, 500), (6, 40)):
        raw[starts[frame] + at] ^= 1
    report = verify(MemoryDisk({**files, name: bytes(raw)}))
    found = [(one.kind, one.seq) for one in report.findings]
    heads = [(FindingKind.FRAME, 2), (FindingKind.FRAME, 4), (FindingKind.FRAME, 7)]
    assert set(found) == {*heads, (FindingKind.PART, 6)}
    assert report.records == 5


@pytest.mark.parametrize(
    "head", [b"\xc1", msgpack.packb([7, bytes(32), b""])], ids=["no msgpack", "elsewhere"]
)
def test_a_frame_whose_head_makes_no_sense_is_passed_over(head: bytes) -> None:
    name, files, starts = many_frames()
    raw = bytearray(files[name])
    frame = pack_prefix(1, 3, head, 0) + head
    raw[starts[2] : starts[3]] = frame + bytes(starts[3] - starts[2] - len(frame))
    report = verify(MemoryDisk({**files, name: bytes(raw)}))
    assert [(one.kind, one.seq) for one in report.findings] == [
        (FindingKind.FRAME, 3),
        (FindingKind.FRAME, 3),
    ]
    assert report.records == 7


def test_an_erase_record_that_cannot_be_read_is_found() -> None:
    disk = MemoryDisk()
    store, _ = opened(disk)
    store.append([Draft(Verb.ERASE, 0, bytes(16), 7, b"", b"\xc1")], 1)
    store.close()
    (finding,) = verify(disk).findings
    assert (finding.kind, finding.seq) == (FindingKind.RECORD, 1)


def test_payload_files_are_compared_with_the_names_given() -> None:
    disk = MemoryDisk(FILES)
    store = PayloadStore(disk, Random(1).randbytes)
    kept, orphan = store.stage().seal().name, store.stage().seal().name
    missing = "0" * 32
    report = verify(disk, payloads=[kept, missing])
    assert [(one.kind, one.file.rpartition("/")[2]) for one in report.findings] == [
        (FindingKind.PAYLOAD, missing),
        (FindingKind.ORPHAN, orphan),
    ]
    assert not report.sound
    assert verify(disk, payloads=[kept]).sound


@pytest.mark.parametrize("seed", range(4))
def test_beside_a_running_server_nothing_is_wrong(seed: int) -> None:
    workload, disk = Workload(seed), MemoryDisk()

    def look(_: DiskOperation) -> None:
        report = verify(disk)
        assert report.sound or not report.segments, report.findings

    disk.before_each = look
    workload.run(disk, 16)


def test_what_a_server_does_while_it_is_read_is_not_reported() -> None:
    class Changing(MemoryDisk):
        """The first reading meets a batch that is half written."""

        reads = 0

        def names(self, folder: str = "") -> list[str]:
            self.reads += 1
            if self.reads == 2:
                with self.open(THIRD, write=True) as file:
                    file.pwrite(0, FILES[THIRD])
            return super().names(folder)

    raw = bytearray(FILES[THIRD])
    raw[frames(THIRD)[-1] + 40] ^= 1
    disk = Changing({**FILES, THIRD: bytes(raw)})
    assert verify(disk).findings == ()


def test_findings_are_values() -> None:
    finding = Finding(FindingKind.FRAME, "file", 1, 2, "text")
    assert replace(finding, seq=2) == finding
    assert not finding.harmless
    assert SMALL.segment_bytes < 1 << 20


def checkpoints() -> dict[int, bytes]:
    return {size: Prover(MemoryDisk(FILES)).root(size) for size in range(verify(MemoryDisk(FILES)).seq + 1)}


def test_history_since_every_checkpoint_was_only_extended() -> None:
    assert len(checkpoints()) > 10
    for size, root in checkpoints().items():
        assert verify(MemoryDisk(FILES), since=Checkpoint("log", size, root)).findings == ()


def test_another_history_than_a_checkpoints_is_found() -> None:
    for size in list(checkpoints())[1:]:
        (finding,) = verify(MemoryDisk(FILES), since=Checkpoint("log", size, bytes(32))).findings
        assert (finding.kind, finding.seq) == (FindingKind.CHECKPOINT, size)
        assert "are not those of the checkpoint" in finding.text


def test_a_journal_that_ends_before_a_checkpoint_is_found() -> None:
    size = max(checkpoints()) + 1
    (finding,) = verify(MemoryDisk(FILES), since=Checkpoint("log", size, bytes(32))).findings
    assert (finding.kind, finding.seq) == (FindingKind.CHECKPOINT, size)
    assert "the journal ends with record" in finding.text


def test_damage_before_a_checkpoint_leaves_it_open() -> None:
    size, root = list(checkpoints().items())[-1]
    disk = damaged(FILES, THIRD, flip(frames(THIRD)[0] + 40))
    found = verify(disk, since=Checkpoint("log", size, root)).findings
    assert FindingKind.CHECKPOINT in [one.kind for one in found]
    assert any("damage hides" in one.text for one in found)
