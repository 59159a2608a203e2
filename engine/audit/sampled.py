"""A quick check of payload files, beside a running engine."""

from __future__ import annotations

from collections.abc import Iterable

from retain.journal import Disk
from retain.journal.payloads.store import payload_path


def missing_payloads(disk: Disk, names: Iterable[str]) -> dict[str, str]:
    """Return those whose file is not there or is empty, and their paths; blocking. Raises OSError."""
    missing = {}
    for name in names:
        path = payload_path(name)
        try:
            with disk.open(path) as file:
                if file.size():
                    continue
        except FileNotFoundError:
            pass
        missing[name] = path
    return missing
