"""The disk of the operating system. The only module of the project that calls `os` on files.

Rules kept here (each is forced by a test in `tests/journal/test_crash_*.py`):
- a file's bytes are durable after `File.sync`; its name is durable after `sync_folder` of its folder;
- a name that must appear with all its bytes is written aside, synced, renamed, and its folder synced;
- a failed sync is never tried again: Linux marks the pages clean all the same.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from threading import Lock
from types import TracebackType
from typing import Self, TypeVar

from retain.journal.disk.interface import (
    FILE_SYSTEM_NAMES,
    LOCK_FILE,
    SECTOR,
    TEMPORARY_SUFFIX,
    Disk,
    File,
    explained,
    folder_of,
)
from retain.journal.errors import Locked

__all__ = [
    "LOCK_FILE",
    "SECTOR",
    "TEMPORARY_SUFFIX",
    "Disk",
    "File",
    "RealDisk",
    "RealFile",
    "explained",
    "folder_of",
]

Value = TypeVar("Value")

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
_NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph"})
_ZEROS = bytes(1 << 20)

#: Descriptors kept in reserve, to be given up when the journal needs one and there is none: a new segment
#: takes two at once, the anchor, the snapshot and an index one each.
SPARE_DESCRIPTORS = 8
#  The folder whose files do without them: a body without a descriptor is refused, which affects no other
# request.
_WITHOUT_SPARE = "payloads"

# macOS has none of these; there `fsync` is the closest, and zeros are written to reserve room.
_fdatasync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)
_fallocate: Callable[[int, int, int], None] | None = getattr(os, "posix_fallocate", None)
_fadvise: Callable[[int, int, int, int], None] | None = getattr(os, "posix_fadvise", None)


class RealFile(File):
    """A file descriptor."""

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def pread(self, offset: int, length: int) -> bytes:
        data = os.pread(self._descriptor, length, offset)
        if len(data) in (0, length):
            return data
        pieces = [data]
        missing = length - len(data)
        while missing and (data := os.pread(self._descriptor, missing, offset + length - missing)):
            pieces.append(data)
            missing -= len(data)
        return b"".join(pieces)

    def pwrite(self, offset: int, data: bytes | memoryview) -> None:
        done = 0
        view = memoryview(data)
        try:
            while done < len(data):
                written = os.pwrite(self._descriptor, view[done:], offset + done)
                if not written:
                    raise OSError(errno.EIO, "the system wrote nothing and gave no reason")
                done += written
        except OSError as error:
            raise explained(error, self._name, offset + done) from error

    def sync(self) -> None:
        _fdatasync(self._descriptor)

    def begin_writing(self, offset: int, length: int) -> None:
        # Linux starts to write dirty pages there, and drops only clean ones from its cache; for POSIX it is
        # advice, so nothing depends on it.
        if _fadvise is not None:
            with suppress(OSError):
                _fadvise(self._descriptor, offset, length, os.POSIX_FADV_DONTNEED)

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def allocate(self, offset: int, length: int) -> None:
        try:
            if _fallocate is not None:
                _fallocate(self._descriptor, offset, length)
                return
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise explained(error, self._name, offset) from error
        end = offset + length
        for start in range(max(offset, self.size()), end, len(_ZEROS)):
            self.pwrite(start, _ZEROS[: end - start])

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RealDisk(Disk):
    """A folder of the operating system's, made (mode 0700) if it is missing; its files get mode 0600.

    The mode of an existing folder is not changed. With `create=False` no folder is created, as reading tools
    need it. Raises `FileNotFoundError`, `NotADirectoryError`, `PermissionError`.
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool = True) -> None:
        self._path = Path(path).absolute()
        self._lock = -1
        self._spare: list[int] = []
        self._spare_lock = Lock()
        if create:
            missing = [place for place in (self._path, *self._path.parents) if not place.exists()]
            for place in reversed(missing):
                place.mkdir(mode=_FOLDER_MODE)
                _sync_path(place.parent)
        mode = self._path.stat().st_mode
        if not stat.S_ISDIR(mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self._path))
        notices = []
        kind = file_system_kind(self._path)
        if kind in _NETWORK_FILE_SYSTEMS:
            notices.append(
                f"{self._path} is on a network file system ({kind}): locks and syncs may not hold there; "
                "keep the data on a local disk"
            )
        if mode & (stat.S_IWGRP | stat.S_IWOTH):
            notices.append(f"other users may write to {self._path}; run chmod go-w {self._path}")
        self._notices = tuple(notices)

    @property
    def path(self) -> Path:
        """The data folder."""
        return self._path

    @property
    def notices(self) -> tuple[str, ...]:
        return self._notices

    def names(self, folder: str = "") -> list[str]:
        place = self._place(folder)
        try:
            if folder and place.is_symlink():
                reason = "it is a symbolic link, and none is followed inside a data folder"
                raise OSError(errno.ELOOP, reason, str(place))
            return sorted(self._with_spare(folder, partial(os.listdir, place)))
        except OSError as error:
            raise explained(error, folder, 0) from error

    def open(self, name: str, *, create: bool = False, write: bool = False) -> RealFile:
        flags = os.O_CREAT | os.O_TRUNC | os.O_RDWR if create else os.O_RDWR if write else os.O_RDONLY
        try:
            # Not blocking, so that opening a pipe under this name cannot hang.
            flags |= os.O_NOFOLLOW | os.O_NONBLOCK
            descriptor = self._with_spare(name, partial(os.open, self._place(name), flags, _FILE_MODE))
        except OSError as error:
            raise explained(error, name, 0) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is not a regular file", str(self._place(name)))
        return RealFile(descriptor, name)

    def replace(self, old: str, new: str) -> None:
        try:
            self._place(old).replace(self._place(new))
        except OSError as error:
            raise explained(error, new, 0) from error

    def unlink(self, name: str) -> None:
        self._place(name).unlink()

    def sync_folder(self, folder: str = "") -> None:
        try:
            opening = partial(os.open, self._place(folder), os.O_RDONLY | os.O_DIRECTORY)
            descriptor = self._with_spare(folder, opening)
        except OSError as error:
            raise explained(error, folder, 0) from error
        _sync_descriptor(descriptor)

    def add_folder(self, folder: str) -> None:
        try:
            self._place(folder).mkdir(mode=_FOLDER_MODE)
        except OSError as error:
            raise explained(error, folder, 0) from error

    def lock(self) -> None:
        try:
            descriptor = os.open(self._path / LOCK_FILE, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, _FILE_MODE)
        except OSError as error:
            raise explained(error, LOCK_FILE, 0) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).strip()
            raise Locked(int(holder) if holder.isdigit() else 0, file=LOCK_FILE) from None
        except OSError as error:
            raise explained(error, LOCK_FILE, 0) from error
        else:
            self._lock, locked, descriptor = descriptor, descriptor, -1
            # The number only helps a refused process. On a full disk the server must start, or nothing can be
            # deleted.
            with suppress(OSError):
                os.ftruncate(locked, 0)
                os.pwrite(locked, b"%d\n" % os.getpid(), 0)
            self._fill_spare()
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    @property
    def lock_descriptor(self) -> int:
        """The lock's descriptor, -1 without the lock. A process that inherits it holds the lock, too."""
        return self._lock

    def unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
            with self._spare_lock:
                while self._spare:
                    os.close(self._spare.pop())

    def free_bytes(self) -> int:
        room = os.statvfs(self._path)
        return room.f_bavail * room.f_frsize

    def total_bytes(self) -> int:
        room = os.statvfs(self._path)
        return (room.f_blocks - room.f_bfree + room.f_bavail) * room.f_frsize

    def _with_spare(self, name: str, call: Callable[[], Value]) -> Value:
        """Return what `call` returns.

        If it finds no descriptor, release a reserved one and call again. Another thread may take that one
        first, so this is repeated while there are reserved ones. Raises `OSError`.
        """
        while True:
            try:
                value = call()
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE) or name.startswith(_WITHOUT_SPARE):
                    raise
                with self._spare_lock:
                    if not self._spare:
                        raise
                    os.close(self._spare.pop())
            else:
                if self._lock >= 0 and len(self._spare) < SPARE_DESCRIPTORS:
                    self._fill_spare()
                return value

    def _fill_spare(self) -> None:
        with self._spare_lock, suppress(OSError):
            while len(self._spare) < SPARE_DESCRIPTORS:
                self._spare.append(os.open(self._path, os.O_RDONLY | os.O_DIRECTORY))

    def _place(self, name: str) -> Path:
        parts = PurePosixPath(name).parts
        assert ".." not in parts, f"{name!r} leads out of the data folder"
        assert not name.startswith("/"), f"{name!r} is not relative to the data folder"
        return self._path.joinpath(*parts)


def new_folder(path: str | os.PathLike[str]) -> RealDisk:
    """Return a folder that this process may fill: created (mode 0700), or existing, empty and its own.

    A link is not followed: another user may have set it. Raises `FileExistsError`, `PermissionError`,
    `OSError`.
    """
    place = Path(path)
    if place.is_symlink():
        raise FileExistsError(errno.EEXIST, "it is a symbolic link", str(place))
    disk = RealDisk(place)
    if place.stat().st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "the folder belongs to another user", str(place))
    if names := [name for name in disk.names() if name not in FILE_SYSTEM_NAMES]:
        raise FileExistsError(errno.ENOTEMPTY, f"the folder is not empty ({names[0]})", str(place))
    return disk


def write_file(path: str | os.PathLike[str], data: bytes, *, replace: bool = True) -> None:
    """Write exactly `data` to a file: durably, in one step, with mode 0600 if it is new.

    If writing fails, an existing file is unchanged. A pipe or a device is written to directly. Raises
    `FileExistsError` if `replace` is false and the file exists; `OSError`.
    """
    place = Path(path)
    mode = place.stat().st_mode if place.exists() else None
    if mode is not None and not replace:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place))
    if mode is not None and not stat.S_ISREG(mode):
        with place.open("wb", buffering=0) as device:
            view = memoryview(data)
            while view:
                view = view[device.write(view) or 0 :]
        return
    place = place.resolve()
    aside = place.with_name(f".{place.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, _FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            if mode is not None:
                os.fchmod(descriptor, stat.S_IMODE(mode))
            view = memoryview(data)
            while view:
                view = view[file.write(view) or 0 :]
            os.fsync(descriptor)
        aside.replace(place)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    _sync_path(place.parent)


def enclosing(path: str | os.PathLike[str]) -> list[Path]:
    """Return the place and its parent folders, innermost first; existing links are resolved."""
    place = Path(path).resolve()
    return [place, *place.parents]


def file_system_kind(path: Path, table: Path = Path("/proc/self/mountinfo")) -> str:
    """Return the name of the file system of `path`, e.g. "ext4"; "" if the kernel has no such table.

    Source: proc(5), /proc/pid/mountinfo: the third field is the device, the type follows the hyphen.
    """
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = table.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    for line in lines:
        place, _, kind = line.partition(" - ")
        if place.split(" ")[2:3] == [wanted]:
            return kind.split(" ")[0]
    return ""


def _sync_path(folder: Path) -> None:
    _sync_descriptor(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))


def _sync_descriptor(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
