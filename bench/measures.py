"""What a run measured, and how it is summed up."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Latencies:
    """Percentiles of a run, in milliseconds."""

    p50: float
    p99: float
    worst: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latencies:
        """Summarize durations given in seconds; all zero if there are none."""
        if not seconds:
            return cls(0.0, 0.0, 0.0)
        ordered = sorted(seconds)
        return cls(
            p50=ordered[len(ordered) // 2] * 1e3,
            p99=ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1e3,
            worst=ordered[-1] * 1e3,
        )


@dataclass(frozen=True, slots=True)
class Rate:
    """A number of operations over a time."""

    operations: int
    seconds: float
    latencies: Latencies

    @property
    def per_second(self) -> float:
        """Operations a second."""
        return self.operations / self.seconds if self.seconds else 0.0


def median(values: Sequence[float]) -> float:
    """Return the median of several rounds: on a shared machine, outliers pull a mean away."""
    return statistics.median(values)


def resident_bytes(pid: int | None = None) -> int:
    """Return the resident memory of a process (default: this one), from Linux' `/proc`."""
    fields = Path(f"/proc/{pid or 'self'}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_resident_bytes(pid: int) -> int:
    """Return the highest resident memory so far of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
