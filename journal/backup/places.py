"""Check the place of a backup or of a restored folder: it must not overlap with a data folder."""

from __future__ import annotations

from pathlib import Path

from retain.journal.disk.real import RealDisk, enclosing
from retain.journal.errors import BadTarget
from retain.journal.segments.files import has_journal


def check_apart(place: Path, *others: Path) -> None:
    """Refuse a folder that is, contains or lies in one of `others`, or lies in any data folder.

    Links are followed. Changes nothing. Raises `BadTarget`.
    """
    around = enclosing(place)
    for other in others:
        if enclosing(other)[0] in around:
            raise BadTarget(f"{place} is or lies in {other}; name a folder apart from it")
        if around[0] in enclosing(other):
            raise BadTarget(f"{place} holds {other}; name a folder apart from it")
    for folder in around[1:]:
        if _is_data_folder(folder):
            raise BadTarget(f"{place} lies in the data folder {folder}; name a folder apart from it")


def check_backup_place(place: Path, data: Path) -> None:
    """Refuse a folder for the backups of `data` that overlaps with it or with another data folder.

    Raises `BadTarget`.
    """
    check_apart(place, data)
    if _is_data_folder(place):
        raise BadTarget(f"{place} is a data folder; name another folder for the backup")


def _is_data_folder(folder: Path) -> bool:
    try:
        return has_journal(RealDisk(folder, create=False))
    except OSError:
        return False  # it does not exist yet, or is not readable: then it is not writable either
