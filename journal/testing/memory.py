"""A disk in memory that loses unsynced data, and fails on request.

It guarantees only the minimum that a file system may guarantee:
- each 512-byte sector written since the file's last sync may or may not survive, apart from the others;
- a changed size (growth, truncation, allocation) may or may not survive, or may stop in between;
- a name made, renamed or removed may or may not be so until its folder is synced; renames are atomic;
- a file's sync that failed marks the sectors clean all the same: later syncs succeed, and the bytes are lost
  (names are different: a file system journals them, and stops altogether when it cannot).

A campaign runs a workload once with `before_each` set, and asks at each operation for the states a power cut
could leave there (`crash`), or for the one that a killed process leaves (`kill`).
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from random import Random
from threading import RLock
from types import TracebackType
from typing import Self

from retain.journal.disk.interface import LOCK_FILE, SECTOR, Disk, File, explained, folder_of
from retain.journal.errors import Locked
from retain.journal.testing.faults import DiskOperation, Faulty, PowerCut, os_error
from retain.journal.testing.sectors import CrashMode, Inode, NameChange

__all__ = ["CrashMode", "DiskOperation", "MemoryDisk", "MemoryFile", "PowerCut"]


class MemoryFile(File):
    """A handle on a file of a `MemoryDisk`."""

    def __init__(self, disk: MemoryDisk, name: str, inode: Inode, *, write: bool) -> None:
        self._disk = disk
        self._name = name
        self._inode: Inode | None = inode
        self._write = write
        disk.open_files.append(self)

    @property
    def name(self) -> str:
        return self._name

    def size(self) -> int:
        return len(self._usable().now)

    def pread(self, offset: int, length: int) -> bytes:
        self._disk.enter("pread", self._name, reads=True)
        return bytes(self._usable().now[offset : offset + length])

    def pwrite(self, offset: int, data: bytes | memoryview) -> None:
        data = bytes(data)
        inode = self._usable(write=True)
        # Systems write whole pages, or at least sectors, before an error occurs.
        border = (offset + len(data) // 2) // SECTOR * SECTOR
        half = data[: max(0, border - offset)]
        self._disk.enter("pwrite", self._name, halfway=lambda: inode.write(offset, half))
        room = self._disk.room(inode)
        fits = data if room is None else data[: max(0, room - offset)]
        if fits:
            inode.write(offset, fits)
        if len(fits) < len(data):
            raise explained(os_error(errno.ENOSPC, self._name), self._name, offset + len(fits))

    def sync(self) -> None:
        inode = self._usable()
        self._disk.enter("sync", self._name, failed=inode.dirty.clear)
        inode.sync()

    def truncate(self, size: int) -> None:
        inode = self._usable(write=True)
        self._disk.enter("truncate", self._name)
        inode.resize(size)

    def allocate(self, offset: int, length: int) -> None:
        inode = self._usable(write=True)
        self._disk.enter("allocate", self._name)
        room = self._disk.room(inode)
        if room is not None and offset + length > room:
            raise explained(os_error(errno.ENOSPC, self._name), self._name, offset)
        inode.resize(max(len(inode.now), offset + length))

    def close(self) -> None:
        if self._inode is not None:
            self._inode = None
            self._disk.open_files.remove(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _usable(self, *, write: bool = False) -> Inode:
        if self._inode is None or (write and not self._write):
            raise os_error(errno.EBADF, self._name)
        return self._inode


class MemoryDisk(Faulty, Disk):
    """A data folder in memory. `files` are there and durable from the start; `capacity` (bytes) can run out.

    For `count_reads` see `Faulty`. `pid` is the lock holder that a second process sees.
    """

    def __init__(
        self,
        files: Mapping[str, bytes] | None = None,
        *,
        capacity: int | None = None,
        count_reads: bool = False,
        pid: int = 4711,
    ) -> None:
        super().__init__(count_reads=count_reads)
        self.capacity = capacity
        self.pid = pid
        self.open_files: list[MemoryFile] = []
        self._names: dict[str, Inode | None] = {}
        self._pending: list[NameChange] = []
        self._locked = False
        # Payloads are written from worker threads; the tables of names are shared by all of them.
        self._tables = RLock()
        for name, data in (files or {}).items():
            self._names[name] = Inode(bytearray(data), bytearray(data))
            parent = folder_of(name)
            while parent:
                self._names[parent] = None
                parent = folder_of(parent)
        self._stable = dict(self._names)

    # --- what a campaign asks for ---------------------------------------------------------------------------

    def crash(self, mode: CrashMode = "random", rng: Random | None = None) -> MemoryDisk:
        """Return the disk as it may look after a power cut now; this one does not change.

        "none": only what was synced; "all": everything written; "random": any legal state between.
        """
        rng = rng or Random(0)  # noqa: S311 - picks a test case, guards no secret
        with self._tables:
            names, pending = dict(self._stable), list(self._pending)
        for change in pending:
            if mode == "all" or (mode == "random" and rng.getrandbits(1)):
                change.apply(names)
        done: dict[int, Inode] = {}
        survivors: dict[str, Inode | None] = {}
        for name in sorted(names):
            inode = names[name]
            if folder_of(name) and folder_of(name) not in survivors:
                continue
            if inode is not None and id(inode) not in done:
                data = inode.survivor(mode, rng)
                done[id(inode)] = Inode(data, bytearray(data))
            survivors[name] = None if inode is None else done[id(inode)]
        return self._successor(survivors, dict(survivors), [])

    def kill(self) -> MemoryDisk:
        """Return the disk as the next process finds it after SIGKILL; this one does not change.

        All that was written is visible, and what was not synced still may be lost to a power cut.
        """
        copies: dict[int, Inode] = {}

        def copied(inode: Inode | None) -> Inode | None:
            return None if inode is None else copies.setdefault(id(inode), inode.copy())

        with self._tables:
            return self._successor(
                {name: copied(inode) for name, inode in self._names.items()},
                {name: copied(inode) for name, inode in self._stable.items()},
                [NameChange(one.folder, copied(one.target), one.old, one.new) for one in self._pending],
            )

    def files(self) -> dict[str, bytes]:
        """Return every file's bytes as a reader sees them now."""
        with self._tables:
            names = sorted(self._names.items())
        return {name: bytes(inode.now) for name, inode in names if inode is not None}

    def _successor(
        self, names: dict[str, Inode | None], stable: dict[str, Inode | None], pending: list[NameChange]
    ) -> MemoryDisk:
        disk = MemoryDisk(capacity=self.capacity, count_reads=self.count_reads, pid=self.pid)
        disk._names = names
        disk._stable = stable
        disk._pending = pending
        return disk

    # --- what files ask for ---------------------------------------------------------------------------------

    def room(self, inode: Inode) -> int | None:
        """Return the size up to which this file may grow; None if nothing limits it."""
        if self.capacity is None:
            return None
        return self.free_bytes() + len(inode.now)

    # --- Disk -----------------------------------------------------------------------------------------------

    @property
    def notices(self) -> tuple[str, ...]:
        return ()

    def names(self, folder: str = "") -> list[str]:
        self.enter("names", folder, reads=True)
        if folder and folder not in self._names:
            raise os_error(errno.ENOENT, folder)
        if folder and self._names[folder] is not None:
            raise os_error(errno.ENOTDIR, folder)
        start = len(folder) + 1 if folder else 0
        found = sorted(name[start:] for name in list(self._names) if folder_of(name) == folder)
        return sorted([*found, LOCK_FILE]) if self._locked and not folder else found

    def exists(self, name: str) -> bool:
        self.enter("exists", name, reads=True)
        return name in self._names

    def open(self, name: str, *, create: bool = False, write: bool = False) -> MemoryFile:
        self.enter("create" if create else "open", name, reads=not create)
        inode = self._names.get(name)
        if create and inode is None:
            self._parent_must_exist(name)
            inode = Inode()
            self._change(NameChange(folder_of(name), inode, new=name))
        elif inode is None:
            raise os_error(errno.ENOENT, name)
        elif create:
            inode.resize(0)
        return MemoryFile(self, name, inode, write=write or create)

    def replace(self, old: str, new: str) -> None:
        self.enter("replace", new)
        self._parent_must_exist(new)
        self._change(NameChange(folder_of(new), self._file(old), old=old, new=new))

    def unlink(self, name: str) -> None:
        self.enter("unlink", name)
        self._change(NameChange(folder_of(name), self._file(name), old=name))

    def sync_folder(self, folder: str = "") -> None:
        self.enter("sync_folder", folder)
        if folder:
            self._parent_must_exist(f"{folder}/any")
        with self._tables:
            for change in self._pending:
                if change.folder == folder:
                    change.apply(self._stable)
            self._pending = [change for change in self._pending if change.folder != folder]

    def add_folder(self, folder: str) -> None:
        self.enter("add_folder", folder)
        self._parent_must_exist(folder)
        if folder in self._names:
            raise os_error(errno.EEXIST, folder)
        self._change(NameChange(folder_of(folder), None, new=folder))

    def lock(self) -> None:
        if self._locked:
            raise Locked(self.pid, file=LOCK_FILE)
        self._locked = True

    def unlock(self) -> None:
        self._locked = False

    def free_bytes(self) -> int:
        if self.capacity is None:
            return 1 << 40
        used = sum(len(inode.now) for inode in list(self._names.values()) if inode is not None)
        return max(0, self.capacity - used)

    def total_bytes(self) -> int:
        return 1 << 40 if self.capacity is None else self.capacity

    def _change(self, change: NameChange) -> None:
        with self._tables:
            change.apply(self._names)
            self._pending.append(change)

    def _file(self, name: str) -> Inode:
        inode = self._names.get(name)
        if inode is None:
            raise os_error(errno.ENOENT, name)
        return inode

    def _parent_must_exist(self, name: str) -> None:
        parent = folder_of(name)
        if parent and (parent not in self._names or self._names[parent] is not None):
            raise os_error(errno.ENOENT, parent)
