"""Backups of a data folder.

A backup has everything that a restored server needs, and nothing that the server rebuilds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from retain.engine.audit.checkpoints import KEY_FILE
from retain.engine.core.errors import Invalid, Unavailable
from retain.journal import BadTarget, Disk, JournalError, RealDisk
from retain.journal.backup.create import BackupReport, Moment, create_backup
from retain.journal.backup.manifest import Manifest
from retain.journal.backup.places import check_backup_place

ACCOUNTS: Final = "accounts"
"""Where tenants' keys are (api/admin/tenants.py)."""
NOTIFICATIONS: Final = "notifications"
"""The delivery state of webhooks (api/notifications/store.py)."""
USERS: Final = "users"
"""Where users are who were added on the command line (api/admin/users.py)."""


def others(disk: Disk) -> list[str]:
    """Return the files that a restored server needs besides journal and payloads: keys, users, webhooks."""
    keys = [name for name in (KEY_FILE, USERS, NOTIFICATIONS) if disk.exists(name)]
    accounts = sorted(disk.names(ACCOUNTS)) if disk.exists(ACCOUNTS) else []
    return [*keys, *(f"{ACCOUNTS}/{name}" for name in accounts)]


def backup_folder(disk: Disk, folder: str) -> Disk:
    """Return the folder for backups of `disk`, created if it is missing. Blocking.

    Raises:
        Invalid: `folder`: it overlaps with a data folder.
        Unavailable: It cannot be created or read.
    """
    try:
        if isinstance(disk, RealDisk):
            check_backup_place(Path(folder), disk.path)
        return RealDisk(folder)
    except BadTarget as error:
        raise Invalid(f"no backup was made: {error}", reason="folder") from error
    except OSError as error:
        reason = f"no backup was made: {folder} cannot be used: {error.strerror or error}"
        raise Unavailable(reason, reason="backup") from error


def create(
    disk: Disk,
    target: Disk,
    moment: Callable[[], Moment],
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> BackupReport:
    """Update the backup in `target` to the present of an open engine. Blocking; requests continue.

    `moment` returns the engine's present position.

    Raises:
        Unavailable: The journal cannot be read, or the backup not be written. The previous backup is
            unchanged.
    """
    try:
        return create_backup(disk, target, moment, others=others(disk), on_done=on_done)
    except (JournalError, OSError) as error:
        raise Unavailable(f"no backup was made: {error}", reason="backup") from error


def facts_of(manifest: Manifest) -> dict[str, Any]:
    """Return what a backup covers, as JSON values."""
    return {
        "journal": manifest.identity.hex(),
        "seq": manifest.seq,
        "root": manifest.root.hex(),
        "time": manifest.time,
        "files": len(manifest.entries),
        "bytes": sum(entry.size for entry in manifest.entries),
    }
