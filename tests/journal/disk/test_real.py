"""What every disk promises: one suite, run on the real disk and on the one in memory."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from retain.journal import Draft, JournalOptions, open_journal
from retain.journal.disk import real as real_disk
from retain.journal.disk.interface import Disk, folder_of
from retain.journal.disk.real import SPARE_DESCRIPTORS, RealDisk, file_system_kind
from retain.journal.errors import Locked, NoSpace, Shortage
from retain.journal.testing.memory import MemoryDisk

ROOT = Path(__file__).parents[3]


def raising(number: int) -> Callable[..., int]:
    def call(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    return call


@pytest.fixture(params=["real", "memory"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    return RealDisk(tmp_path / "data") if request.param == "real" else MemoryDisk()


@pytest.fixture
def real(tmp_path: Path) -> RealDisk:
    return RealDisk(tmp_path / "data")


# --- the contract ------------------------------------------------------------------------------------------


def test_what_was_written_is_read(disk: Disk) -> None:
    with disk.open("file", create=True) as file:
        file.pwrite(0, b"hello")
        file.pwrite(3, b"LOWER")
        file.sync()
        assert (file.name, file.size(), file.pread(0, 100)) == ("file", 8, b"helLOWER")
        assert file.pread(2, 3) == b"lLO"
        assert file.pread(8, 1) == file.pread(100, 1) == file.pread(0, 0) == b""
    assert disk.read("file") == b"helLOWER"


def test_a_gap_reads_as_zeros(disk: Disk) -> None:
    with disk.open("file", create=True) as file:
        file.pwrite(1000, b"x")
        assert file.pread(0, 1001) == bytes(1000) + b"x"


def test_truncation_cuts_and_extends_with_zeros(disk: Disk) -> None:
    with disk.open("file", create=True) as file:
        file.pwrite(0, b"0123456789")
        file.truncate(4)
        file.truncate(6)
        assert file.pread(0, 100) == b"0123\0\0"


def test_allocation_grows_with_zeros_and_keeps_what_is_there(disk: Disk) -> None:
    with disk.open("file", create=True) as file:
        file.pwrite(0, b"0123456789")
        file.allocate(4, 2000)
        assert file.pread(0, 3000) == b"0123456789" + bytes(1994)
        file.allocate(0, 8)
        assert file.size() == 2004


def test_creating_empties_an_existing_file(disk: Disk) -> None:
    disk.write_atomic("file", b"old")
    disk.open("file", create=True).close()
    assert disk.read("file") == b""


def test_a_file_open_for_reading_cannot_be_written(disk: Disk) -> None:
    disk.write_atomic("file", b"old")
    with disk.open("file") as file, pytest.raises(OSError, match=r"file|descriptor|EBADF"):
        file.pwrite(0, b"new")
    with disk.open("file", write=True) as file:
        file.pwrite(0, b"new")
    assert disk.read("file") == b"new"


def test_a_closed_file_may_be_closed_again_but_not_used(disk: Disk) -> None:
    file = disk.open("file", create=True)
    file.close()
    file.close()
    with pytest.raises(OSError, match=r"descriptor|EBADF"):
        file.pread(0, 1)


def test_a_missing_file_is_named(disk: Disk) -> None:
    for use in (disk.open, disk.read, disk.unlink, lambda name: disk.replace(name, "other")):
        with pytest.raises(FileNotFoundError) as caught:
            use("missing")
        assert str(caught.value.filename).endswith("missing")


def test_names_are_sorted_and_belong_to_one_folder(disk: Disk) -> None:
    disk.make_folder("one/two")
    for name in ("b", "a", "one/c", "one/two/d"):
        disk.write_atomic(name, b"")
    assert disk.names() == ["a", "b", "one"]
    assert disk.names("one") == ["c", "two"]
    assert disk.names("one/two") == ["d"]
    with pytest.raises(FileNotFoundError):
        disk.names("missing")
    with pytest.raises(NotADirectoryError):
        disk.names("a")


def test_existence_is_told_of_files_and_folders(disk: Disk) -> None:
    disk.make_folder("folder")
    disk.write_atomic("folder/file", b"")
    names = ("folder", "folder/file", "folder/none", "none/file", "folder/file/x")
    assert [disk.exists(name) for name in names] == [True, True, False, False, False]


def test_folders_are_made_with_their_parents_and_may_be_there(disk: Disk) -> None:
    disk.make_folder("one/two/three")
    disk.make_folder("one/two")
    assert disk.names("one/two") == ["three"]
    with pytest.raises(FileExistsError):
        disk.add_folder("one")
    for make in (disk.add_folder, lambda name: disk.open(name, create=True).close()):
        with pytest.raises(FileNotFoundError):
            make("none/new")
    with pytest.raises(FileNotFoundError):
        disk.sync_folder("none")


def test_renaming_replaces(disk: Disk) -> None:
    disk.write_atomic("old", b"old")
    disk.write_atomic("new", b"new")
    disk.replace("old", "new")
    disk.sync_folder()
    assert disk.names() == ["new"]
    assert disk.read("new") == b"old"


def test_an_unlinked_file_stays_readable_while_open(disk: Disk) -> None:
    disk.write_atomic("file", b"data")
    with disk.open("file") as file:
        disk.unlink("file")
        assert disk.names() == []
        assert file.pread(0, 10) == b"data"


def test_atomic_writing_leaves_nothing_aside(disk: Disk) -> None:
    disk.make_folder("folder")
    for data in (b"first", b"second, longer", b""):
        disk.write_atomic("folder/file", data)
        assert disk.read("folder/file") == data
        assert disk.names("folder") == ["file"]


def test_room_is_told(disk: Disk) -> None:
    assert 0 < disk.free_bytes() <= disk.total_bytes()
    assert disk.notices == ()


def test_the_room_of_a_real_disk_leaves_out_the_reserve_of_the_system(tmp_path: Path) -> None:
    found = os.statvfs(tmp_path)
    reserve = (found.f_bfree - found.f_bavail) * found.f_frsize
    assert RealDisk(tmp_path, create=False).total_bytes() == found.f_blocks * found.f_frsize - reserve


def test_only_one_may_hold_the_lock(disk: Disk) -> None:
    disk.lock()
    other = RealDisk(disk.path) if isinstance(disk, RealDisk) else disk
    with pytest.raises(Locked) as caught:
        other.lock()
    assert caught.value.pid == (os.getpid() if isinstance(disk, RealDisk) else 4711)
    assert "lock" in disk.names()
    disk.unlock()
    disk.unlock()
    other.lock()
    other.unlock()


@pytest.mark.parametrize(("name", "folder"), [("a", ""), ("a/b", "a"), ("a/b/c", "a/b"), ("", "")])
def test_the_folder_of_a_name(name: str, folder: str) -> None:
    assert folder_of(name) == folder


# --- the real one ------------------------------------------------------------------------------------------


def test_the_data_folder_is_private_and_made_with_its_parents(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path / "deep" / "data")
    disk.make_folder("folder")
    disk.write_atomic("folder/file", b"")
    disk.lock()
    for place in (disk.path, disk.path / "folder"):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    for place in (disk.path / "folder/file", disk.path / "lock"):
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
    disk.unlock()


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o700])
def test_the_mode_of_a_folder_that_exists_stays(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    for create in (False, True):
        assert RealDisk(tmp_path, create=create).notices == ()
        assert stat.S_IMODE(tmp_path.stat().st_mode) == mode


def test_what_is_no_regular_file_is_refused_at_once(real: RealDisk) -> None:
    """Opening a pipe would block for ever."""
    os.mkfifo(real.path / "pipe")
    (real.path / "folder").mkdir()
    for name, options in (("pipe", {}), ("pipe", {"write": True}), ("folder", {})):
        with pytest.raises(OSError, match="not a regular file"):
            real.open(name, **options)
    os.mkfifo(real.path / "x.tmp")
    with pytest.raises(OSError, match="not a regular file"):
        real.write_atomic("x", b"")


def test_no_link_is_followed_inside_the_folder(real: RealDisk, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (real.path / "journal").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        real.names("journal")
    with pytest.raises(OSError, match="symbolic link"):
        open_journal(real, lambda _: None)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("mode", [0o775, 0o777, 0o722])
def test_a_folder_that_others_may_write_to_is_pointed_out(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    (notice,) = RealDisk(tmp_path).notices
    assert f"other users may write to {tmp_path}" in notice


def test_a_file_instead_of_a_folder_is_refused_and_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch(mode=0o644)
    with pytest.raises(NotADirectoryError):
        RealDisk(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_a_reader_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        RealDisk(tmp_path / "none", create=False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        RealDisk(tmp_path / "file", create=False)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b"])
def test_no_name_leads_out_of_the_data_folder(real: RealDisk, name: str) -> None:
    with pytest.raises(AssertionError, match="data folder"):
        real.open(name)


def test_a_link_in_place_of_a_file_is_not_followed(real: RealDisk, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (real.path / "file").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="file") as caught:
        real.open("file")
    assert caught.value.errno == errno.ELOOP


HOLDER = "import sys; from retain.journal import RealDisk; RealDisk(sys.argv[1]).lock(); " + (
    "print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "data")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_another_process_is_named_also_through_a_link_and_gone_when_killed(
    holder: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "data")
    for path in (tmp_path / "data", tmp_path / "link"):
        with pytest.raises(Locked) as caught:
            RealDisk(path).lock()
        assert caught.value.pid == holder.pid
        assert str(holder.pid) in str(caught.value)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    disk = RealDisk(tmp_path / "link")
    disk.lock()
    disk.unlock()


def test_an_unreadable_holder_is_told_as_zero(real: RealDisk) -> None:
    real.lock()
    (real.path / "lock").write_bytes(b"what?")
    with pytest.raises(Locked) as caught:
        RealDisk(real.path).lock()
    assert caught.value.pid == 0
    real.unlock()


def test_a_full_disk_can_still_be_locked(real: RealDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", raising(errno.ENOSPC))
        real.lock()
    with pytest.raises(Locked) as caught:
        RealDisk(real.path).lock()
    assert caught.value.pid == 0
    real.unlock()


def test_short_writes_go_on_until_all_is_written(real: RealDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: genuine(fd, data[:7], offset))
    with real.open("file", create=True) as file:
        file.pwrite(5, bytes(range(100)))
    assert real.read("file") == bytes(5) + bytes(range(100))


def test_short_reads_go_on_until_the_end(real: RealDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    real.write_atomic("file", bytes(range(100)))
    genuine = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, length, offset: genuine(fd, min(length, 7), offset))
    with real.open("file") as file:
        assert file.pread(1, 50) == bytes(range(1, 51))
        assert file.pread(90, 50) == bytes(range(90, 100))


def test_a_write_that_makes_no_progress_is_an_error(real: RealDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pwrite", lambda *_: 0)
    with real.open("file", create=True) as file, pytest.raises(OSError, match="wrote nothing"):
        file.pwrite(0, b"x")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_has_its_own_error(real: RealDisk, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    with real.open("file", create=True) as file:
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", raising(number))
            with pytest.raises(NoSpace) as caught:
                file.pwrite(7, b"x")
            assert (caught.value.file, caught.value.offset) == ("file", 7)
        with monkeypatch.context() as patch:
            patch.setattr(real_disk, "_fallocate", raising(number))
            with pytest.raises(NoSpace):
                file.allocate(0, 10)
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", raising(number))
            with pytest.raises(NoSpace):
                real.open("other", create=True)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "mkdir", raising(number))
            with pytest.raises(NoSpace):
                real.add_folder("folder")
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", raising(number))
            with pytest.raises(NoSpace):
                real.replace("file", "other")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_too_many_open_files_are_as_a_full_disk(
    real: RealDisk, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real.write_atomic("file", b"x")
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", raising(number))
        with pytest.raises(NoSpace, match="no memory or descriptors for other"):
            real.open("other", create=True)
    assert real.read("file") == b"x"


@contextmanager
def no_descriptors(left: int = 0) -> Iterator[None]:
    """All descriptors of this process but `left` are taken for the time of the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    first = os.dup(0)
    taken = [first]
    resource.setrlimit(resource.RLIMIT_NOFILE, (first + 64, hard))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.dup(0))
        for _ in range(left):
            os.close(taken.pop())
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_journal_has_descriptors_when_nobody_else_has(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path / "data")
    options = JournalOptions(segment_bytes=1, ballast_bytes=0)
    journal = open_journal(disk, lambda record: None, options=options)
    disk.make_folder("payloads")
    with no_descriptors():
        with pytest.raises(OSError, match="Too many open files"):
            os.dup(0)
        with pytest.raises(Shortage):
            disk.open("payloads/body", create=True)
        for _ in range(20):
            journal.reserve()
            journal.append([Draft(1, 1, bytes(16), 1, b"", b"content")], 1)
            journal.write_anchor()
    assert journal.head.seq == 20
    assert len(disk.names("journal")) >= 20
    journal.close()
    assert disk._spare == []


def test_descriptors_in_reserve_are_taken_again_when_there_are_some(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path / "data")
    disk.lock()
    disk.write_atomic("file", b"x")
    with no_descriptors():
        files = [disk.open("file") for _ in range(SPARE_DESCRIPTORS)]
        with pytest.raises(Shortage):
            disk.open("file")
        for file in files:
            file.close()
        assert len(disk._spare) < SPARE_DESCRIPTORS
    assert disk.read("file") == b"x"
    assert len(disk._spare) == SPARE_DESCRIPTORS
    disk.unlock()


def test_a_lack_of_locks_passes(real: RealDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", raising(errno.ENOLCK))
    with pytest.raises(Shortage):
        real.lock()


def test_other_errors_stay_what_they_are(real: RealDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    with real.open("file", create=True) as file:
        monkeypatch.setattr(os, "pwrite", raising(errno.EIO))
        monkeypatch.setattr(real_disk, "_fallocate", raising(errno.EIO))
        monkeypatch.setattr(real_disk, "_fdatasync", raising(errno.ENOSPC))
        for use in (lambda: file.pwrite(0, b"x"), lambda: file.allocate(0, 1), file.sync):
            with pytest.raises(OSError, match=r"error|space"):
                use()


def test_a_size_limit_stops_a_write_in_the_middle(real: RealDisk) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with real.open("file", create=True) as file:
            resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
            with pytest.raises(NoSpace) as caught:
                file.pwrite(0, bytes(8000))
            assert caught.value.offset == 5000
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("fallocate", [None, raising(errno.EOPNOTSUPP)])
def test_room_is_reserved_with_zeros_where_the_system_has_no_call_for_it(
    real: RealDisk, monkeypatch: pytest.MonkeyPatch, fallocate: Callable[..., int] | None
) -> None:
    monkeypatch.setattr(real_disk, "_fallocate", fallocate)
    with real.open("file", create=True) as file:
        file.pwrite(0, b"0123456789")
        file.allocate(4, 3 << 20)
        file.allocate(0, 5)
        assert file.size() == 4 + (3 << 20)
        assert file.pread(0, 20) == b"0123456789" + bytes(10)


@pytest.mark.parametrize("fadvise", [real_disk._fadvise, None, raising(errno.EINVAL)])
def test_writing_that_was_begun_early_changes_nothing_but_the_wait(
    real: RealDisk, monkeypatch: pytest.MonkeyPatch, fadvise: Callable[..., int] | None
) -> None:
    monkeypatch.setattr(real_disk, "_fadvise", fadvise)
    with real.open("file", create=True) as file:
        file.pwrite(0, bytes(10_000) + b"end")
        file.begin_writing(0, 8192)
        file.sync()
        assert file.size() == 10_003
        assert file.pread(9_999, 10) == b"\0end"


def test_a_network_file_system_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_disk, "file_system_kind", lambda _: "nfs4")
    (notice,) = RealDisk(tmp_path).notices
    assert "nfs4" in notice


def test_the_file_system_is_found_in_the_table_of_mounts(tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    table = tmp_path / "mountinfo"
    table.write_text(
        "1 0 0:1 / / rw shared:1 - ext9 /dev/x rw\n"
        f"2 1 {os.major(device)}:{os.minor(device)} / /data rw - nfs4 host:/data rw\n"
    )
    assert file_system_kind(tmp_path, table) == "nfs4"
    table.write_text("")
    assert file_system_kind(tmp_path, table) == ""
    assert file_system_kind(tmp_path, tmp_path / "none") == ""
