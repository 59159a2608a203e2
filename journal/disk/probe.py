"""Examine a data folder: who may use its files, how fast its disk syncs. Leaves no file."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple


class Access(NamedTuple):
    """Who may use a file.

    Attributes:
        path: The path.
        mode: Its permission bits.
        owner: The number of the user that owns it.
    """

    path: Path
    mode: int
    owner: int

    @property
    def is_private(self) -> bool:
        """Return whether neither its group nor others may use it."""
        return not self.mode & (stat.S_IRWXG | stat.S_IRWXO)


def access_of(path: Path) -> Access | None:
    """Return who may use `path`; None if there is no such file. Raises OSError."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return Access(path, stat.S_IMODE(found.st_mode), found.st_uid)


def accesses_below(folder: Path) -> Iterator[Access]:
    """Yield who may use each file in `folder`, if there is such a folder. Raises OSError.

    A symbolic link, which no server follows, is not followed here either: the advice about its mode would be
    carried out on another's file.
    """
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if not path.is_symlink() and (found := access_of(path)) is not None:
                yield found


def sync_times(folder: Path, monotonic: Callable[[], int], times: int = 16) -> list[int]:
    """Return how long each of `times` writes of 4 KiB took to be durable in `folder`, in nanoseconds, sorted.

    The file has no name, or loses it at once. Raises OSError.
    """
    taken = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(times):
            before = monotonic()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            taken.append(monotonic() - before)
    return sorted(taken)
