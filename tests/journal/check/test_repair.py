"""Repair: reports first, discards exactly what is damaged, and the rest opens and verifies."""

from __future__ import annotations

from random import Random

import pytest

from retain.journal.check.repair import RepairReport, repair
from retain.journal.check.verify import verify
from retain.journal.disk.interface import SECTOR
from retain.journal.errors import JournalError, Locked
from retain.journal.format.record import Draft, Part
from retain.journal.segments.files import ANCHOR_FILE
from retain.journal.testing.memory import DiskOperation, MemoryDisk
from tests.kit.crash import Parts, opened
from tests.kit.journals import damaged, flip


def built() -> dict[str, bytes]:
    """The files of a closed journal of three segments; the second one erases parts in the first."""
    disk, rng = MemoryDisk(), Random(5)
    store, _ = opened(disk)
    while store.head.segment < 3 or store.head.offset < 3000:
        store.reserve()
        store.append([Draft(1, 1, bytes(16), 1, b"who", rng.randbytes(700)) for _ in range(2)], 1)
        if store.head.seq == 8:
            store.erase([(1, Part.CONTENT), (2, Part.CONTENT | Part.DETAILS)], 7, 1)
    store.append([Draft(1, 1, bytes(16), 1, b"who", rng.randbytes(700))], 2)
    store.close()
    return {name: data for name, data in disk.files().items() if not name.endswith("ballast")}


FILES = built()
FIRST, SECOND, THIRD = sorted(name for name in FILES if name.endswith(".journal"))


def sound() -> dict[int, Parts]:
    return opened(MemoryDisk(FILES))[1]


def frames(name: str) -> list[int]:
    raw = FILES[name]
    return [place for place in range(0, len(raw), SECTOR) if raw[place : place + 4] == b"RETF"]


def repaired(disk: MemoryDisk) -> tuple[RepairReport, dict[int, Parts]]:
    """Refused before; reported and unchanged; then repaired, opened, appended to, verified."""
    with pytest.raises(JournalError):
        opened(disk)
    before = disk.files()
    told = repair(disk)
    assert told.needed
    assert not told.done
    assert disk.files() == before
    report = repair(disk, accept_loss=True, entropy=Random(1).randbytes)
    assert report.done
    assert report.losses == told.losses
    assert repair(disk.crash("none")).losses == ()
    store, found = opened(disk)
    found = opened(disk.kill())[1]
    store.reserve()
    store.append([Draft(1, 1, bytes(16), 1, b"on", b"")], 9)
    store.close()
    after = verify(disk)
    assert after.findings == ()
    return report, found


def test_a_sound_journal_is_left_alone() -> None:
    disk = MemoryDisk(FILES)
    for accept in (False, True):
        report = repair(disk, accept_loss=accept)
        assert not report.needed
        assert report.kept == ()
    assert disk.files() == FILES
    assert disk.trace == []
    assert report.seq == verify(disk).seq


def test_what_a_crash_left_needs_no_repair() -> None:
    files = {**FILES, THIRD: FILES[THIRD][: frames(THIRD)[-1] + 700]}
    del files[ANCHOR_FILE]
    assert not repair(MemoryDisk(files)).needed


def test_a_damaged_head_costs_everything_from_there_on_and_keeps_the_bytes() -> None:
    place = frames(SECOND)[1]
    disk = damaged(FILES, SECOND, flip(place + 40))
    report, found = repaired(disk)
    loss = report.losses[0]
    assert (loss.file, loss.offset) == (SECOND, place)
    assert loss.length == len(FILES[SECOND]) - place
    assert loss.first == report.seq + 1
    assert loss.last == verify(MemoryDisk(FILES)).seq
    assert found == {seq: parts for seq, parts in sound().items() if seq <= report.seq}
    assert len(report.kept) == 2
    assert disk.read(report.kept[0]) == FILES[THIRD]
    assert len(disk.read(report.kept[1])) > len(FILES[SECOND]) - place - SECTOR


def test_erased_parts_stay_erased_when_their_erase_record_is_cut_off() -> None:
    disk = damaged(FILES, SECOND, flip(20))
    report, found = repaired(disk)
    assert [loss.file for loss in report.losses if loss.length] == [SECOND]
    assert {loss.first for loss in report.losses if not loss.length} == {1, 2}
    assert found[1] == (b"who", None)
    assert found[2] == (None, None)


def test_a_damaged_part_costs_that_part_only() -> None:
    place = frames(FIRST)[1] + 1000
    report, found = repaired(damaged(FILES, FIRST, flip(place)))
    (loss,) = report.losses
    expected = sound()
    different = [seq for seq in expected if found[seq] != expected[seq]]
    assert different == [loss.first] == [loss.last]
    assert None in found[loss.first]
    assert report.kept == ()


def test_a_damaged_erase_record_is_cut_off() -> None:
    assert frames(SECOND)
    for place in frames(SECOND):
        disk = damaged(FILES, SECOND, flip(place + 32 + 400))
        with pytest.raises(JournalError):
            opened(disk)
        report = repair(disk, accept_loss=True)
        assert report.done
        assert verify(disk).sound


def test_a_journal_cut_at_a_border_goes_on_from_there() -> None:
    place = frames(THIRD)[-1]
    report, found = repaired(damaged(FILES, THIRD, lambda raw: raw.__delitem__(slice(place, None))))
    (loss,) = report.losses
    assert (loss.file, loss.first, loss.last) == (ANCHOR_FILE, report.seq + 1, report.seq + 1)
    assert found.keys() == {seq for seq in sound() if seq <= report.seq}


def test_a_damaged_anchor_is_written_again() -> None:
    report, found = repaired(damaged(FILES, ANCHOR_FILE, flip(20)))
    (loss,) = report.losses
    assert loss.file == ANCHOR_FILE
    assert "is unknown" in loss.text
    assert found == sound()


def test_an_anchor_of_another_history_is_told() -> None:
    other = MemoryDisk()
    store, _ = opened(other)
    store.append([Draft(1, 1, bytes(16), 1, b"x", b"") for _ in range(2)], 1)
    store.close()
    report, _ = repaired(MemoryDisk({**FILES, ANCHOR_FILE: other.files()[ANCHOR_FILE]}))
    (loss,) = report.losses
    assert "not the anchored one" in loss.text


def test_a_missing_segment_costs_the_ones_behind_it() -> None:
    files = {name: data for name, data in FILES.items() if name != SECOND}
    report, found = repaired(MemoryDisk(files))
    assert report.losses[0].file == THIRD
    assert max(found) == report.seq


@pytest.mark.parametrize("anchored", [False, True])
def test_a_journal_without_its_first_opener_is_lost_and_set_aside(anchored: bool) -> None:
    disk = damaged(FILES, FIRST, flip(3))
    if not anchored:
        disk.unlink(ANCHOR_FILE)
    with pytest.raises(JournalError):
        opened(disk)
    report = repair(disk, accept_loss=True)
    assert report.seq == 0
    assert len(report.kept) == 3 + anchored
    store, found = opened(disk)
    store.close()
    assert found == {}
    assert {disk.read(name) for name in report.kept} >= {FILES[SECOND], FILES[THIRD]}


@pytest.mark.parametrize("name", [FIRST, SECOND, THIRD])
def test_whatever_is_refused_can_be_repaired_and_loses_nothing_before_the_damage(name: str) -> None:
    expected = sound()
    refused = 0
    for place in range(0, len(FILES[name]), 37):
        disk = damaged(FILES, name, flip(place))
        try:
            opened(disk)[0].close()
        except JournalError:
            disk = damaged(FILES, name, flip(place))
            report = repair(disk, accept_loss=True)
            store, _ = opened(disk)
            store.close()
            found = opened(MemoryDisk(disk.files()))[1]
            assert found.keys() == {seq for seq in expected if seq <= report.seq}
            lost = {loss.first for loss in report.losses if loss.first == loss.last}
            assert all(found[seq] == expected[seq] or seq in lost for seq in found)
            refused += 1
    assert refused > 10


def test_a_repair_cut_short_by_a_crash_can_be_repeated() -> None:
    place = frames(SECOND)[1]
    whole = damaged(FILES, SECOND, flip(place + 40))
    expected = repair(whole, accept_loss=True, entropy=Random(1).randbytes)
    disk = damaged(FILES, SECOND, flip(place + 40))

    def cut(operation: DiskOperation) -> None:
        for seed in range(3):
            state = disk.crash("random", Random(operation.number << 4 | seed))
            report = repair(state, accept_loss=True)
            # One more where the erase record for what was cut off is there already.
            assert report.seq - expected.seq in (0, 1)
            store, _ = opened(state)
            store.close()
            assert verify(state).sound

    disk.before_each = cut
    repair(disk, accept_loss=True, entropy=Random(1).randbytes)
    assert disk.operations > 8


def test_a_running_server_keeps_repair_out() -> None:
    disk = MemoryDisk(FILES)
    disk.lock()
    assert not repair(disk).needed
    with pytest.raises(Locked):
        repair(disk, accept_loss=True)


def test_an_empty_folder_needs_no_repair() -> None:
    assert not repair(MemoryDisk()).needed
