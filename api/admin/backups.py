"""The backup action, for a running server and for the command line alone (see `api.admin.actions`)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio

from retain.engine import Engine, Invalid
from retain.engine.audit.backups import backup_folder, create, facts_of
from retain.engine.core.time import timestamp

FILE: Final = "last-backup"
"""File of the data folder with the time of the last backup, for monitoring."""


@dataclass(frozen=True, slots=True)
class LastBackup:
    """A backup that was made of this data folder.

    Attributes:
        time: When it was made, nanoseconds since the epoch.
        seq: Up to which record.
        folder: Its folder; empty if an older version made it.
    """

    time: int
    seq: int
    folder: str = ""


class Backups:
    """The backup actions.

    Args:
        engine: The engine whose data folder is backed up.

    Attributes:
        last: The last backup of this data folder, including those made before the server started; None if
            there is none.
    """

    def __init__(self, engine: Engine) -> None:
        self.last: LastBackup | None = None
        self._doing: tuple[int, int] | None = None
        self._engine = engine

    def load(self) -> None:
        """Read when the last backup was made; blocking.

        An unreadable file counts as none: the next backup overwrites it.
        """
        disk = self._engine.disk
        try:
            told_last = json.loads(disk.read(FILE)) if disk.exists(FILE) else None
        except ValueError:
            return
        if isinstance(told_last, dict) and all(
            isinstance(told_last.get(key), int) for key in ("time", "seq")
        ):
            folder = told_last.get("folder", "")
            known = folder if isinstance(folder, str) else ""
            self.last = LastBackup(told_last["time"], told_last["seq"], known)

    def actions(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        """Return the actions by name."""
        return {"backup create": self.create, "backup progress": self.progress}

    async def progress(self, *, actor: str) -> list[int] | None:
        """Return the bytes that the backup in progress has handled, and the total; None if there is none."""
        return None if self._doing is None else list(self._doing)

    async def create(self, *, actor: str, folder: str) -> dict[str, Any]:
        """Update the backup in `folder` (an absolute path) to the present, while requests continue.

        Raises:
            Invalid: `folder`: the path is not absolute, or overlaps with a data folder.
            Unavailable: The folder cannot be written, or holds anything but this journal's backup.
        """
        if not Path(folder).is_absolute():
            raise Invalid("the backup's folder must be an absolute path", reason="folder")
        try:
            report = await trio.to_thread.run_sync(self._create, folder)
        finally:
            self._doing = None
        facts = facts_of(report.manifest)
        self.last = LastBackup(self._engine.now(), facts["seq"], folder)
        text = json.dumps(dataclasses.asdict(self.last)).encode() + b"\n"
        await trio.to_thread.run_sync(self._engine.disk.write_atomic, FILE, text)
        return {
            **facts,
            "time": timestamp(facts["time"]),
            "copied": report.copied,
            "copied_bytes": report.copied_bytes,
            "kept": report.kept,
            "removed": report.removed,
            "foreign": list(report.foreign),
        }

    def _create(self, folder: str) -> Any:
        source = self._engine.disk
        return create(
            source,
            backup_folder(source, folder),
            lambda: trio.from_thread.run(self._engine.moment),
            self._note,
        )

    def _note(self, done: int, total: int) -> None:
        """Remember how far the backup has come; from its thread."""
        self._doing = (done, total)
