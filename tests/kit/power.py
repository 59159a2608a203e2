"""A disk whose power can be cut: a file system of its own, ext4 on a loop device, in a file.

`cut_power` is the kernel's `EXT4_IOC_SHUTDOWN`, which file systems offer for such tests: from then on nothing
reaches the device, not even what the file system has in its own log. So what was not synced is lost, unless
the kernel had written it back by itself, as with real power. Needs root, e2fsprogs and loop devices.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

SIZE = 512 << 20
"""Bytes. The file has holes, so it takes what is used."""
SHUTDOWN = 0x8004587D
"""`EXT4_IOC_SHUTDOWN`, `_IOR('X', 125, __u32)`."""
CLONE_NEWNS = 0x20000
NOTHING_MORE = struct.pack("I", 2)
"""`EXT4_GOING_FLAGS_NOLOGFLUSH`: the file system's own log is not written either."""


class Disk:
    """A file system at `folder`, an empty folder, in the file `folder` + `.disk` beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._image = folder.with_name(folder.name + ".disk")
        with self._image.open("wb") as file:
            file.truncate(SIZE)
        try:
            _run("mkfs.ext4", "-q", "-F", "-m", "0", str(self._image))
            self._mount()
        except BaseException:
            self._image.unlink()
            raise

    def sync(self) -> None:
        """Bring everything to the disk that was written by programs which do not."""
        _run("sync", "-f", str(self._folder))

    def cut_power(self) -> None:
        """Let nothing more reach the disk; each access fails."""
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, NOTHING_MORE)
        finally:
            os.close(descriptor)

    def restore(self) -> None:
        """Show what the disk has. No process may have a file of it open."""
        self._unmount()
        self._mount()

    def close(self) -> None:
        """Remove it."""
        self._unmount()
        self._image.unlink()

    def _mount(self) -> None:
        _run("mount", "-o", "loop", str(self._image), str(self._folder))

    def _unmount(self) -> None:
        for _ in range(100):  # a process that was killed may still be about to close its files
            if (
                subprocess.run(["umount", str(self._folder)], capture_output=True, check=False).returncode
                == 0
            ):
                return
            time.sleep(0.05)
        raise OSError(f"{self._folder} cannot be unmounted: used by {users_of(self._folder) or 'nobody'}")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


def users_of(folder: Path) -> list[str]:
    """Return which processes have files below a folder open, or work there."""
    found = set()
    for place in (*Path("/proc").glob("[0-9]*/cwd"), *Path("/proc").glob("[0-9]*/fd/*")):
        with suppress(OSError):  # the process has ended meanwhile
            if place.readlink().is_relative_to(folder):
                process = Path(*place.parts[:3])
                found.add(f"{process.name} {(process / 'comm').read_text().strip()}")
    return sorted(found)


def end_with_this_process() -> None:
    """Hide what this process and its children mount from all others: it goes when the last of them ends.

    To be called before there are threads. Does nothing where that is not allowed.
    """
    if ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0:
        _run("mount", "--make-rprivate", "/")


@cache
def why_none() -> str:
    """Return why this machine has no such disks; empty if it has."""
    if os.getuid():
        return "only root may mount"
    if shutil.which("mkfs.ext4") is None:
        return "mkfs.ext4 is not installed (apt install e2fsprogs)"
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "tried"
        folder.mkdir()
        try:
            Disk(folder).close()
        except OSError as error:
            return str(error)
    return ""
