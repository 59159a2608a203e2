"""The files that a backup may contain beyond its manifest: those of interrupted attempts.

FORMAT.md section 12. A file is listed here, durably, before it is created. So a later backup knows the names
of all files to remove, and touches no other file in the folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from retain.journal.backup.manifest import leads_elsewhere
from retain.journal.disk.interface import Disk
from retain.journal.errors import BadTarget

UNFINISHED_FILE = "unfinished"
FORMAT = "retain backup 1 unfinished"


class Unfinished:
    """The list in the backup `target` of the journal `identity`; made if it is missing.

    Raises `BadTarget` where the list is another journal's; `NoSpace`, `OSError`.
    """

    def __init__(self, target: Disk, identity: bytes) -> None:
        self._target = target
        head = {"format": FORMAT, "journal": identity.hex()}
        self.names = _read(target, head)
        lines = [json.dumps(head), *(json.dumps(name) for name in sorted(self.names))]
        data = "".join(f"{line}\n" for line in lines).encode()
        target.write_atomic(UNFINISHED_FILE, data)
        self._end = len(data)

    def add(self, names: Iterable[str]) -> None:
        """List, durably, files that will be created, or that the next manifest will not name."""
        fresh = sorted(set(names) - self.names)
        if not fresh:
            return
        data = "".join(f"{json.dumps(name)}\n" for name in fresh).encode()
        with self._target.open(UNFINISHED_FILE, write=True) as file:
            file.pwrite(self._end, data)
            file.sync()
        self._end += len(data)
        self.names.update(fresh)

    def remove(self) -> None:
        """Remove the list: no files are left over."""
        self._target.unlink(UNFINISHED_FILE)
        self._target.sync_folder()


def _read(target: Disk, head: dict[str, str]) -> set[str]:
    if not target.exists(UNFINISHED_FILE):
        return set()
    first, *lines = target.read(UNFINISHED_FILE).split(b"\n")
    try:
        if json.loads(first) != head:
            raise ValueError
        # The text after the last line break is incomplete, and no file of that name was created.
        names = {str(json.loads(line)) for line in lines[:-1]}
        if any(leads_elsewhere(name) for name in names):
            raise ValueError
    except (ValueError, RecursionError):
        reason = f"{UNFINISHED_FILE} in the folder is not this journal's; name another folder for the backup"
        raise BadTarget(reason, file=UNFINISHED_FILE) from None
    return names
