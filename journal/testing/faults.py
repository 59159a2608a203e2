"""The faults that a test can inject into a `MemoryDisk`, and its counters."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass

from retain.journal.disk.interface import explained


class PowerCut(BaseException):
    """The machine is off from now on. Not an `Exception`: no handler in the code under test may catch it."""


@dataclass(frozen=True, slots=True)
class DiskOperation:
    """One call that reached the disk: its number from 1, its kind (the method called) and the name."""

    number: int
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class DiskFault:
    """A fault set by `fail_at`: an `errno` number, whether half of a write succeeds, whether it lasts."""

    number: int
    error: int
    short: bool
    lasting: bool


class Faulty:
    """Counts operations, reports each before it happens, and makes them fail on request.

    With `count_reads` the calls that only read are operations too, so that they can be made to fail.
    """

    def __init__(self, *, count_reads: bool) -> None:
        self.count_reads = count_reads
        self.operations = 0
        self.trace: list[DiskOperation] = []
        self.before_each: Callable[[DiskOperation], None] | None = None
        self._stop = 0
        self._faults: list[DiskFault] = []

    def stop_at(self, number: int) -> None:
        """Raise `PowerCut` in place of operation `number` (counted from 1) and of every later one."""
        self._stop = number

    def fail_at(self, number: int, error: int, *, short: bool = False, lasting: bool = False) -> None:
        """Let operation `number` fail with `error` (an `errno` number).

        `short`: half of a write's bytes are written first, up to a sector's border. `lasting`: all later
            operations fail as well.
        """
        self._faults.append(DiskFault(number, error, short, lasting))

    def enter(
        self,
        kind: str,
        name: str,
        *,
        reads: bool = False,
        halfway: Callable[[], None] | None = None,
        failed: Callable[[], None] | None = None,
    ) -> None:
        """Count an operation before it happens; raise the fault that `stop_at` or `fail_at` set for it."""
        if self._stop and self.operations >= self._stop:
            raise PowerCut(f"the power is off since operation {self._stop}")
        if reads and not self.count_reads:
            return
        self.operations += 1
        operation = DiskOperation(self.operations, kind, name)
        self.trace.append(operation)
        if self.before_each is not None:
            self.before_each(operation)
        if self._stop and self.operations >= self._stop:
            raise PowerCut(f"power cut at operation {self.operations}: {kind} {name}")
        for fault in self._faults:
            if fault.number == self.operations or (fault.lasting and fault.number < self.operations):
                if failed is not None:
                    failed()
                if halfway is not None and fault.short:
                    halfway()
                error = os_error(fault.error, name)
                raise error if kind in ("sync", "sync_folder") else explained(error, name, 0)


def os_error(number: int, name: str) -> OSError:
    """Return the exception that the system would raise."""
    return OSError(number, errno.errorcode[number], name)
