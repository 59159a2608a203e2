"""The cheap look at payload files finds those that are not there and those that are empty."""

from __future__ import annotations

from retain.engine.audit.sampled import missing_payloads
from retain.journal.payloads.store import payload_path
from retain.journal.testing.memory import MemoryDisk


def test_missing_and_empty_files_are_named() -> None:
    disk = MemoryDisk()
    names = ["aa" * 16, "bb" * 16, "cc" * 16]
    for name, data in zip(names, (b"whole", b""), strict=False):
        path = payload_path(name)
        folder = ""
        for part in path.split("/")[:-1]:
            folder = f"{folder}/{part}" if folder else part
            if not disk.exists(folder):
                disk.make_folder(folder)
        disk.write_atomic(path, data)
    assert missing_payloads(disk, names) == {name: payload_path(name) for name in names[1:]}
