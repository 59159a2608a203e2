"""T7: the campaigns against deliberate bugs. Each must turn a check red, or that check tests nothing."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from random import Random

import pytest

from retain.journal import open as opening
from retain.journal.check.verify import FindingKind, verify
from retain.journal.disk.interface import Disk, folder_of
from retain.journal.errors import JournalError, Locked, NoSpace, WriteFailed
from retain.journal.format.record import Draft, Part
from retain.journal.options import JournalOptions
from retain.journal.segments.files import ANCHOR_FILE
from retain.journal.testing.memory import DiskOperation, MemoryDisk, MemoryFile
from tests.kit import journal_faults as faults
from tests.kit.crash import SMALL, Broken, Workload, check_survivor, opened

STEPS = 16


def power_cuts(options: JournalOptions, disk_type: type[MemoryDisk] = MemoryDisk) -> None:
    """A short campaign of T3. Raises `Broken` if it finds something."""
    for seed in range(6):
        workload, disk = Workload(seed, options), disk_type()

        def cut(operation: DiskOperation, disk: MemoryDisk = disk, workload: Workload = workload) -> None:
            rng = Random(operation.number)
            states = [disk.crash("none"), disk.crash("random", rng), disk.crash("random", rng), disk.kill()]
            for state in states:
                check_survivor(state, workload.promises, options=options, thorough=True)

        disk.before_each = cut
        try:
            workload.run(disk, STEPS)
        except (JournalError, OSError) as error:
            raise Broken(f"the workload itself failed: {error}") from error


def failing_syncs(options: JournalOptions) -> None:
    """A short campaign of T4: every sync fails once; a power cut follows."""
    for seed in range(3):
        clean = MemoryDisk()
        Workload(seed, options).run(clean, STEPS)
        for operation in [one for one in clean.trace if one.kind == "sync"]:
            disk, workload = MemoryDisk(), Workload(seed, options)
            disk.fail_at(operation.number, errno.EIO)
            with suppress(NoSpace, WriteFailed):
                workload.run(disk, STEPS)
            check_survivor(disk.crash("none"), workload.promises, options=options)
            check_survivor(disk.kill(), workload.promises, options=options)


def flipped_bytes(options: JournalOptions) -> None:
    """A short campaign of T2 on one closed journal."""
    disk = MemoryDisk()
    store, _ = opened(disk, options)
    for _ in range(4):
        store.append([Draft(1, 1, bytes(16), 1, b"who", bytes(700))], 5)
    store.close()
    files = {name: data for name, data in disk.files().items() if name != ANCHOR_FILE}
    _, found = opened(MemoryDisk(files), options)
    for name in [name for name in files if name.endswith(".journal")]:
        for place in range(len(files[name])):
            raw = bytearray(files[name])
            raw[place] ^= 0x10
            try:
                _, seen = opened(MemoryDisk({**files, name: bytes(raw)}), options)
            except JournalError:
                continue
            if seen != found:
                raise Broken(f"byte {place} of {name} changed: opened with other records")


def erasures(options: JournalOptions) -> None:
    """Erase, then verify and open again."""
    disk = MemoryDisk()
    store, _ = opened(disk, options)
    store.append([Draft(1, 1, bytes(16), 1, b"who", b"what")], 5)
    store.erase([(1, Part.CONTENT)], 7, 5)
    store.close()
    report = verify(MemoryDisk(disk.files()))
    if not report.sound:
        raise Broken(report.findings[0].text)


CAMPAIGNS: dict[Callable[[pytest.MonkeyPatch], None], Callable[[JournalOptions], None]] = {
    faults.sync_again_after_an_error: failing_syncs,
    faults.leave_tears_in_place: power_cuts,
    faults.trust_the_page_cache: power_cuts,
    faults.cut_at_any_damage: flipped_bytes,
    faults.check_no_checksum: flipped_bytes,
    faults.erase_without_a_record: erasures,
}


def test_every_fault_has_its_campaign() -> None:
    assert CAMPAIGNS.keys() == set(faults.FAULTS)


@pytest.mark.parametrize("fault", faults.FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_in_the_journal_is_found(
    monkeypatch: pytest.MonkeyPatch, fault: Callable[[pytest.MonkeyPatch], None]
) -> None:
    fault(monkeypatch)
    with pytest.raises(Broken):
        CAMPAIGNS[fault](SMALL)


@pytest.mark.parametrize("campaign", [power_cuts, failing_syncs, flipped_bytes, erasures])
def test_without_a_fault_nothing_is_found(campaign: Callable[[JournalOptions], None]) -> None:
    campaign(SMALL)


def test_a_start_that_trusts_the_page_cache_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_rewrite", lambda *_: None)
    with pytest.raises(Broken, match="gone"):
        failing_syncs(SMALL)


class _ForgetfulFile(MemoryFile):
    def sync(self) -> None:
        pass


class SyncsNothing(MemoryDisk):
    """As if the journal acknowledged before its sync."""

    def open(self, name: str, *, create: bool = False, write: bool = False) -> MemoryFile:
        file = super().open(name, create=create, write=write)
        if name.endswith(".journal"):
            file.__class__ = _ForgetfulFile
        return file


class SyncsNoFolder(MemoryDisk):
    """As if the journal forgot that names need a sync of their own."""

    def sync_folder(self, folder: str = "") -> None:
        pass


class RenamesUnsynced(MemoryDisk):
    """As if files were renamed into place before their bytes were durable."""

    def write_atomic(self, name: str, data: bytes) -> None:
        aside = f"{name}.tmp"
        with self.open(aside, create=True) as file:
            file.pwrite(0, data)
        self.replace(aside, name)
        self.sync_folder(folder_of(name))


@pytest.mark.parametrize("disk_type", [SyncsNothing, SyncsNoFolder, RenamesUnsynced])
def test_a_missing_sync_is_found(disk_type: type[MemoryDisk]) -> None:
    with pytest.raises(Broken):
        power_cuts(SMALL, disk_type)


class LocksNothing(MemoryDisk):
    """As if two processes could open one journal."""

    def lock(self) -> None:
        pass


def second_process(disk: Disk) -> None:
    """Two open the same journal, and both append."""
    first, _ = opened(disk)
    try:
        second, _ = opened(disk)
    except Locked:
        return
    for one in (first, second):
        one.append([Draft(1, 1, bytes(16), 1, b"mine", b"")], 1)
    raise Broken("two had the journal at once, and one of them lost an acknowledged record")


def test_a_missing_lock_is_found() -> None:
    second_process(MemoryDisk())
    with pytest.raises(Broken):
        second_process(LocksNothing())


def test_an_erasure_without_its_record_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = MemoryDisk()
    faults.erase_without_a_record(monkeypatch)
    store, _ = opened(disk, SMALL)
    store.append([Draft(1, 1, bytes(16), 1, b"who", b"what")], 5)
    store.append([Draft(1, 1, bytes(16), 1, b"who", b"what")], 5)
    store.erase([(1, Part.CONTENT)], 7, 5)
    store.close()
    (finding,) = verify(disk).findings
    assert (finding.kind, finding.seq) == (FindingKind.PART, 1)
