"""The disk protocol of the journal: one data folder with files, and calls that make them durable.

`journal.disk.RealDisk` is the real one; `journal.testing.MemoryDisk` forgets whatever was not synced.

Names are relative to the data folder, with "/" between folders; the data folder itself is "". Offsets,
lengths and sizes are in bytes. A failing call raises `OSError`; on a full disk `NoSpace`, which the caller
can handle.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import PurePosixPath
from types import TracebackType
from typing import Final, Protocol, Self

from retain.journal.errors import NoSpace, Shortage

LOCK_FILE: Final = "lock"
TEMPORARY_SUFFIX: Final = ".tmp"
FILE_SYSTEM_NAMES: Final = frozenset({"lost+found"})
"""Entries that a file system creates in the top folder of a disk: a folder with nothing else counts as empty.
"""
SECTOR: Final = 512

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
#: What passes by itself.
SHORT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOLCK, errno.EINTR, errno.EAGAIN})


class File(Protocol):
    """An open file. Safe to read from several threads; written by one. `close` may be called twice."""

    @property
    def name(self) -> str:
        """The name it was opened under, relative to the data folder."""
        ...

    def size(self) -> int: ...

    def pread(self, offset: int, length: int) -> bytes:
        """Return the bytes at `offset`: fewer than `length` only at the end of the file."""
        ...

    def pwrite(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of `data`, in as many calls as it takes; past the end, the gap reads as zeros.

        Raises `NoSpace` when the disk fills up; a part of `data` may then be in the file.
        """
        ...

    def sync(self) -> None:
        """Return when bytes and size are durable (fdatasync). Never call again after it raised."""
        ...

    def begin_writing(self, offset: int, length: int) -> None:
        """Ask for these bytes to be put on the disk from now on, so that `sync` has less to wait for.

        Promises nothing and never fails: `sync` reports errors.
        """
        return

    def truncate(self, size: int) -> None: ...

    def allocate(self, offset: int, length: int) -> None:
        """Reserve space, so that writes there cannot fail on a full disk; the new part is zero.

        Raises `NoSpace`.
        """
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Disk(Protocol):
    """One data folder. Calls that build on others are implemented here for all disks."""

    @property
    def notices(self) -> tuple[str, ...]:
        """Return warnings for the operator about this place, e.g. that it is a network file system."""
        ...

    def names(self, folder: str = "") -> list[str]:
        """Return the files and folders in `folder`, sorted. Raises `FileNotFoundError`."""
        ...

    def open(self, name: str, *, create: bool = False, write: bool = False) -> File:
        """Open for reading, or for reading and writing.

        `create` makes the file, or empties an existing one, and implies `write`. Raises `FileNotFoundError`,
        `NoSpace`.
        """
        ...

    def replace(self, old: str, new: str) -> None:
        """Rename in one step, over an existing `new` if there is one. Durable after `sync_folder`."""
        ...

    def unlink(self, name: str) -> None:
        """Remove a file's name; open files stay readable. Durable after `sync_folder`."""
        ...

    def sync_folder(self, folder: str = "") -> None:
        """Return when the names in `folder` are durable (fsync of the folder)."""
        ...

    def add_folder(self, folder: str) -> None:
        """Make one folder. Raises `FileExistsError`, `FileNotFoundError` (no parent), `NoSpace`."""
        ...

    def lock(self) -> None:
        """Become the one process that may write here. Raises `Locked` with the holder's process number."""
        ...

    def unlock(self) -> None:
        """Release the lock, if held. The end of the process releases it too."""
        ...

    def free_bytes(self) -> int:
        """Return the free space for this process, as the file system reports it."""
        ...

    def total_bytes(self) -> int:
        """Return the space that this process could use on an empty disk, without the system's reserve."""
        ...

    def exists(self, name: str) -> bool:
        """Return whether a file or folder has this name."""
        place = PurePosixPath(name)
        try:
            return place.name in self.names(folder_of(name))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def make_folder(self, folder: str) -> None:
        """Make a folder and the ones above it, durably.

        The parents are synced even if the folder is there: a killed process may have created it without
        syncing it.
        """
        parent = folder_of(folder)
        if parent:
            self.make_folder(parent)
        with suppress(FileExistsError):
            self.add_folder(folder)
        self.sync_folder(parent)

    def read(self, name: str) -> bytes:
        """Return a whole small file. Raises `FileNotFoundError`."""
        with self.open(name) as file:
            return file.pread(0, file.size())

    def write_atomic(self, name: str, data: bytes) -> None:
        """Write exactly `data` to `name`, durably: after a crash it has the old bytes or the new ones.

        Raises `NoSpace`, `OSError`; `name` is then unchanged, unless the folder's sync failed.
        """
        aside = name + TEMPORARY_SUFFIX
        with self.open(aside, create=True) as file:
            file.pwrite(0, data)
            file.sync()
        self.replace(aside, name)
        self.sync_folder(folder_of(name))


def folder_of(name: str) -> str:
    """Return the folder of a name; "" for the data folder itself."""
    return name.rpartition("/")[0]


def explained(error: OSError, name: str, offset: int) -> Exception:
    """Return the error to raise for a failed call.

    That is `NoSpace` for a full disk, quota or file-size limit; its subclass `Shortage` if descriptors,
    memory or locks ran out; else `error`.
    """
    if error.errno in _FULL:
        return NoSpace(f"no space on disk for {name}: {error.strerror}", file=name, offset=offset)
    if error.errno in SHORT:
        return Shortage(f"no memory or descriptors for {name}: {error.strerror}", file=name, offset=offset)
    return error
