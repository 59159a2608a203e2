"""Room kept on disk to be given back when it is full, so that deletes still work then."""

from __future__ import annotations

from retain.journal.disk.interface import Disk
from retain.journal.errors import NoSpace
from retain.journal.segments.files import BALLAST_FILE, FOLDER


def restore(disk: Disk, size: int) -> bool:
    """Make sure the ballast is there, whole. False where the disk is too full for it."""
    try:
        with (
            disk.open(BALLAST_FILE, write=True)
            if disk.exists(BALLAST_FILE)
            else disk.open(BALLAST_FILE, create=True) as file
        ):
            if file.size() < size:
                file.allocate(0, size)
                file.sync()
    except NoSpace:
        release(disk)
        return False
    return True


def release(disk: Disk) -> bool:
    """Give the room back. False if there was none to give."""
    if not disk.exists(BALLAST_FILE):
        return False
    disk.unlink(BALLAST_FILE)
    disk.sync_folder(FOLDER)
    return True
