"""The disk in memory: what a power cut loses, and injected failures."""

from __future__ import annotations

import errno
from random import Random

import pytest

from retain.journal.errors import NoSpace
from retain.journal.testing.memory import DiskOperation, MemoryDisk, PowerCut

SECTOR = 512


def outcomes(disk: MemoryDisk, name: str, tries: int = 400) -> set[bytes | None]:
    """All the states a file is seen in after many power cuts at this moment."""
    crashes = (disk.crash("random", Random(seed)).files() for seed in range(tries))
    return {files.get(name) for files in crashes}


def test_only_what_was_synced_is_sure_to_survive() -> None:
    disk = MemoryDisk({"file": b"a" * 1024})
    with disk.open("file", write=True) as file:
        file.pwrite(0, b"b" * 1024)
        assert disk.crash("none").read("file") == b"a" * 1024
        assert disk.crash("all").read("file") == b"b" * 1024
        file.sync()
    assert outcomes(disk, "file") == {b"b" * 1024}


def test_unsynced_sectors_survive_each_on_its_own() -> None:
    disk = MemoryDisk({"file": b"a" * 1024})
    with disk.open("file", write=True) as file:
        file.pwrite(500, b"b" * 20)
    one, two = b"a" * 500 + b"b" * 12, b"b" * 8 + b"a" * 504
    old = b"a" * 512
    assert outcomes(disk, "file") == {old + old, one + old, old + two, one + two}


def test_an_unsynced_size_may_stay_behind_or_stop_between() -> None:
    disk = MemoryDisk({"file": b"a" * 100})
    with disk.open("file", write=True) as file:
        file.allocate(0, 3 * SECTOR)
    assert {len(data or b"") for data in outcomes(disk, "file")} == {100, 512, 1024, 1536}


def test_an_unsynced_truncation_may_not_have_happened() -> None:
    disk = MemoryDisk({"file": b"a" * 1000})
    with disk.open("file", write=True) as file:
        file.truncate(600)
        assert outcomes(disk, "file") == {b"a" * 600, b"a" * 1000}
        file.truncate(1000)
        zeroed = b"a" * 600 + bytes(400)
        assert outcomes(disk, "file") == {b"a" * 1000, zeroed}
        file.sync()
    assert outcomes(disk, "file") == {zeroed}


def test_a_shrunken_file_is_synced_with_its_size() -> None:
    disk = MemoryDisk({"file": b"a" * 5000})
    with disk.open("file", write=True) as file:
        file.truncate(10)
        file.sync()
    assert outcomes(disk, "file") == {b"a" * 10}


def test_a_new_name_is_sure_only_after_its_folder_was_synced() -> None:
    disk = MemoryDisk()
    with disk.open("file", create=True) as file:
        file.pwrite(0, b"data")
        file.sync()
    assert outcomes(disk, "file") == {None, b"data"}
    disk.sync_folder()
    assert outcomes(disk, "file") == {b"data"}


def test_a_rename_happens_wholly_or_not_at_all() -> None:
    disk = MemoryDisk({"old": b"new", "name": b"old"})
    disk.replace("old", "name")
    states = {tuple(sorted(disk.crash("random", Random(seed)).files().items())) for seed in range(50)}
    assert states == {(("name", b"old"), ("old", b"new")), (("name", b"new"),)}


def test_an_unlinked_file_may_come_back() -> None:
    disk = MemoryDisk({"file": b"data"})
    disk.unlink("file")
    assert outcomes(disk, "file") == {None, b"data"}
    disk.sync_folder()
    assert outcomes(disk, "file") == {None}


def test_changes_of_names_survive_in_any_order() -> None:
    disk = MemoryDisk()
    for name in ("a", "b"):
        disk.open(name, create=True).close()
    states = {tuple(disk.crash("random", Random(seed)).names()) for seed in range(50)}
    assert states == {(), ("a",), ("b",), ("a", "b")}


def test_a_lost_folder_takes_its_files_along() -> None:
    disk = MemoryDisk()
    disk.add_folder("folder")
    disk.write_atomic("folder/file", b"data")
    assert outcomes(disk, "folder/file") == {None, b"data"}
    assert disk.crash("none").names() == []
    disk.sync_folder()
    assert outcomes(disk, "folder/file") == {b"data"}


@pytest.mark.parametrize("mode", ["none", "all", "random"])
def test_atomic_writing_leaves_the_old_bytes_or_the_new(mode: str) -> None:
    disk = MemoryDisk()
    disk.write_atomic("file", b"old")
    seen: set[bytes] = set()

    def look(_: DiskOperation) -> None:
        for seed in range(10):
            seen.add(disk.crash(mode, Random(seed)).read("file"))  # type: ignore[arg-type]

    disk.before_each = look
    disk.write_atomic("file", b"new" * 500)
    assert seen <= {b"old", b"new" * 500}
    assert b"old" in seen


def test_a_killed_process_loses_nothing_until_the_power_goes_too() -> None:
    disk = MemoryDisk({"kept": b"a" * 512})
    disk.add_folder("folder")
    with disk.open("folder/file", create=True) as file, disk.open("kept", write=True) as kept:
        file.pwrite(0, b"data")
        kept.pwrite(0, b"b")
    disk.lock()
    heir = disk.kill()
    heir.lock()
    assert heir.files() == disk.files()
    assert heir.crash("none").files() == {"kept": b"a" * 512}
    with heir.open("kept", write=True) as kept:
        kept.sync()
    assert heir.crash("none").read("kept")[:1] == b"b"
    assert disk.crash("none").read("kept")[:1] == b"a"


def test_a_failed_sync_loses_the_bytes_although_the_next_one_succeeds() -> None:
    disk = MemoryDisk({"file": b"a" * 1024})
    with disk.open("file", write=True) as file:
        file.pwrite(0, b"b" * 1024)
        disk.fail_at(disk.operations + 1, errno.EIO)
        with pytest.raises(OSError, match="EIO"):
            file.sync()
        file.pwrite(512, b"c" * 512)
        file.sync()
        assert file.pread(0, 1024) == b"b" * 512 + b"c" * 512
    assert outcomes(disk, "file") == {b"a" * 512 + b"c" * 512}


def test_a_failed_sync_of_a_folder_leaves_its_names_in_doubt() -> None:
    disk = MemoryDisk()
    disk.open("file", create=True).close()
    disk.fail_at(disk.operations + 1, errno.ENOSPC)
    with pytest.raises(OSError, match="ENOSPC"):
        disk.sync_folder()
    assert outcomes(disk, "file") == {None, b""}
    disk.sync_folder()
    assert outcomes(disk, "file") == {b""}


def test_a_short_write_leaves_whole_sectors_of_its_first_half() -> None:
    disk = MemoryDisk()
    with disk.open("file", create=True) as file:
        for number, length, written in ((2, 511, 0), (3, 2100, 1024)):
            disk.fail_at(number, errno.ENOSPC, short=True)
            with pytest.raises(NoSpace):
                file.pwrite(0, b"x" * length)
            assert file.pread(0, 3000) == b"x" * written


def test_a_fault_may_last() -> None:
    disk = MemoryDisk()
    disk.fail_at(2, errno.EIO, lasting=True)
    with disk.open("file", create=True) as file:
        for _ in range(3):
            with pytest.raises(OSError, match="EIO"):
                file.pwrite(0, b"x")
        with pytest.raises(OSError, match="EIO"):
            file.sync()


def test_reads_fail_only_when_they_are_counted() -> None:
    disk = MemoryDisk({"file": b"data"})
    assert disk.read("file") == b"data"
    assert disk.operations == 0
    disk = MemoryDisk({"file": b"data"}, count_reads=True)
    disk.fail_at(2, errno.EIO)
    with pytest.raises(OSError, match="EIO"):
        disk.read("file")
    assert disk.open_files == []


def test_after_the_power_cut_nothing_happens_any_more() -> None:
    disk = MemoryDisk({"file": b"data"})
    disk.stop_at(2)
    file = disk.open("file", write=True)
    file.pwrite(0, b"D")
    with pytest.raises(PowerCut, match="operation 2: sync file"):
        file.sync()
    for use in (lambda: file.pread(0, 1), lambda: disk.unlink("file"), disk.names):
        with pytest.raises(PowerCut, match="off since"):
            use()
    assert disk.crash("all").read("file") == b"Data"


def test_operations_are_traced() -> None:
    disk = MemoryDisk()
    disk.write_atomic("file", b"x")
    assert [(one.number, one.kind, one.name) for one in disk.trace] == [
        (1, "create", "file.tmp"),
        (2, "pwrite", "file.tmp"),
        (3, "sync", "file.tmp"),
        (4, "replace", "file"),
        (5, "sync_folder", ""),
    ]


def test_a_full_disk_takes_what_fits_and_refuses_the_rest() -> None:
    disk = MemoryDisk({"other": bytes(100)}, capacity=150)
    with disk.open("file", create=True) as file:
        with pytest.raises(NoSpace):
            file.allocate(0, 51)
        file.allocate(0, 20)
        assert (disk.free_bytes(), disk.total_bytes()) == (30, 150)
        with pytest.raises(NoSpace) as caught:
            file.pwrite(10, b"x" * 50)
        assert (caught.value.offset, file.size(), disk.free_bytes()) == (50, 50, 0)
        file.pwrite(0, b"y" * 50)
        with pytest.raises(NoSpace):
            file.pwrite(60, b"z")
        disk.unlink("other")
        file.pwrite(60, b"z")
