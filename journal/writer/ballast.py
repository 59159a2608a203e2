"""The ballast: disk space released when the disk is full, so that deletes still work."""

from __future__ import annotations

from contextlib import suppress

from retain.journal.disk.interface import Disk, File
from retain.journal.errors import NoSpace, Shortage
from retain.journal.segments.files import BALLAST_FILE, FOLDER


def restore(disk: Disk, size: int) -> bool:
    """Create the ballast if it is missing.

    False if the disk is too full. Raises `Shortage`: its presence could not be checked.
    """
    try:
        with _opened(disk) as file:
            if file.size() < size:
                file.allocate(0, size)
                file.sync()
    except Shortage:
        raise
    except NoSpace:
        release(disk)
        return False
    return True


def release(disk: Disk) -> bool:
    """Release the ballast. False if there was none."""
    try:
        disk.unlink(BALLAST_FILE)
    except FileNotFoundError:
        return False
    # The space is free as soon as the name is removed. If a crash restores the name, it is ballast again.
    with suppress(Shortage):
        disk.sync_folder(FOLDER)
    return True


def _opened(disk: Disk) -> File:
    try:
        return disk.open(BALLAST_FILE, write=True)
    except FileNotFoundError:
        return disk.open(BALLAST_FILE, create=True)
