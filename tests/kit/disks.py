"""Memory disks that wait or fail where a test wants it, and what is on a disk."""

from __future__ import annotations

import errno
import threading

import trio

from retain.journal import Disk, PayloadStore
from retain.journal.testing.memory import DiskOperation, MemoryDisk

JOURNAL = ".journal"


def payload_files(disk: Disk) -> list[str]:
    """Names of all payload files, finished or not."""
    try:
        staged = disk.names("payloads/staging")
    except FileNotFoundError:
        staged = []
    return [*PayloadStore(disk).names(), *staged]


class Halt:
    """Stops the engine's writer at its next operation of a kind, until released.

    Use as `with Halt(disk) as halt: ...; await halt.reached.wait(); ...; halt.release()`.
    """

    def __init__(self, disk: MemoryDisk, kind: str = "sync", part: str = JOURNAL) -> None:
        self._disk = disk
        self._kind = kind
        self._part = part
        self._released = threading.Event()
        self.reached = trio.Event()
        self._token: trio.lowlevel.TrioToken | None = None

    def __enter__(self) -> Halt:
        self._token = trio.lowlevel.current_trio_token()
        self._disk.before_each = self._hook
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def next(self, kind: str) -> None:
        """Lets it continue up to the next operation of that kind; `reached` is set again."""
        released, self._released = self._released, threading.Event()
        self._kind = kind
        self.reached = trio.Event()
        released.set()

    def release(self) -> None:
        """Lets it continue."""
        self._disk.before_each = None
        self._released.set()

    def _hook(self, operation: DiskOperation) -> None:
        if operation.kind == self._kind and self._part in operation.name and not self.reached.is_set():
            released = self._released
            trio.from_thread.run_sync(self.reached.set, trio_token=self._token)
            assert released.wait(120), "never released"


def fail_next(
    disk: MemoryDisk,
    kind: str,
    part: str = JOURNAL,
    error: int = errno.EIO,
    *,
    short: bool = False,
    lasting: bool = False,
) -> None:
    """Lets the next operation of that kind on a file with `part` in its name fail."""

    def hook(operation: DiskOperation) -> None:
        if operation.kind == kind and part in operation.name:
            disk.before_each = None
            disk.fail_at(operation.number, error, short=short, lasting=lasting)

    disk.before_each = hook


def count(disk: MemoryDisk, kind: str, part: str = JOURNAL) -> int:
    """How many operations of a kind there were so far."""
    return sum(one.kind == kind and part in one.name for one in disk.trace)
