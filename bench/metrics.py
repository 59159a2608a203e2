"""The metrics: their names, their units, and whether more is better."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

QUANTILES: Final = (0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.99, 100.0)
"""The percentiles that a curve of latencies has."""

NOT_INSTALLED: Final = "the benchmarks need more packages; install them with: pip install 'retain[bench]'"

_LONGEST_US: Final = 3_600_000_000
_DIGITS: Final = 3


@dataclass(frozen=True, slots=True)
class Metric:
    """One kind of figure.

    Attributes:
        name: Its key in a result.
        title: Its column in a table.
        more: Whether more is better.

    """

    name: str
    title: str
    more: bool


METRICS: Final = {
    metric.name: metric
    for metric in (
        Metric("per_second", "per second", more=True),
        Metric("mib_per_second", "MiB/s", more=True),
        Metric("cpu_us", "CPU µs each", more=False),
        Metric("p50_ms", "p50, ms", more=False),
        Metric("p99_ms", "p99, ms", more=False),
        Metric("p999_ms", "p99.9, ms", more=False),
        Metric("worst_ms", "worst, ms", more=False),
        Metric("seconds", "seconds", more=False),
        Metric("silence_s", "silence, s", more=False),
        Metric("cpu_seconds", "CPU seconds", more=False),
        Metric("mib", "MiB", more=False),
        Metric("bytes_each", "bytes each", more=False),
        Metric("journal_bytes", "journal bytes each", more=False),
    )
}


class Latencies:
    """Durations in an HdrHistogram, from a microsecond to an hour, with three digits."""

    def __init__(self) -> None:
        try:
            from hdrh.histogram import HdrHistogram
        except ModuleNotFoundError:
            raise RuntimeError(NOT_INSTALLED) from None
        self._histogram = HdrHistogram(1, _LONGEST_US, _DIGITS)

    def record(self, seconds: float) -> None:
        """Count one duration."""
        self._histogram.record_value(min(_LONGEST_US, max(1, round(seconds * 1e6))))

    def curve(self) -> list[tuple[float, float]]:
        """Return (percentile, milliseconds) for each of `QUANTILES`; empty if nothing was counted."""
        if not self._histogram.get_total_count():
            return []
        return [(q, self._histogram.get_value_at_percentile(q) / 1e3) for q in QUANTILES]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement: figures by the name of their metric, and the curve of latencies if there is one."""

    figures: dict[str, float]
    curve: list[tuple[float, float]] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        operations: int,
        seconds: float,
        curve: Sequence[tuple[float, float]],
        cpu_seconds: float | None = None,
        cpu_operations: int | None = None,
    ) -> Measurement:
        """Return the sample of operations that were counted over `seconds`.

        Args:
            operations: How many ended in that time.
            seconds: How long that was.
            curve: Their latencies, from `Latencies.curve`.
            cpu_seconds: Processor time that the server spent on `cpu_operations`.
            cpu_operations: Operations in the time for which the processor's was taken; `operations` if None.

        """
        figures = {"per_second": operations / seconds if seconds else 0.0}
        figures |= latency_figures(curve)
        count = operations if cpu_operations is None else cpu_operations
        if cpu_seconds is not None and count:
            figures["cpu_us"] = cpu_seconds * 1e6 / count
        return cls(figures, list(curve))


def latency_figures(curve: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Return the usual percentiles of a curve as figures."""
    at = dict(curve)
    named = {"p50_ms": 50.0, "p99_ms": 99.0, "p999_ms": 99.9, "worst_ms": 100.0}
    return {name: at[quantile] for name, quantile in named.items() if quantile in at}


def family(pid: int) -> list[int]:
    """Return a process and all its descendants, from `/proc`."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """Return the processor time so far of a process and its descendants, threads included.

    From their processor-time clocks, in nanoseconds: they keep the time of threads that have ended, which the
    files in `/proc/PID/task` lose, and `/proc/PID/stat` has hundredths of a second only.
    """
    total = 0.0
    for one in family(pid):
        with suppress(OSError):  # the process has ended
            total += time.clock_gettime(~one << 3 | _CPUCLOCK_SCHED)
    return total


_CPUCLOCK_SCHED: Final = 2
"""Linux' number of the clock with the scheduler's precision (clock_getcpuclockid(3))."""


def resident_bytes(pid: int | None = None) -> int:
    """Return the resident memory of a process (default: this one), from Linux' `/proc`."""
    fields = Path(f"/proc/{pid or 'self'}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_resident_bytes(pid: int) -> int:
    """Return the highest resident memory of a process since its start, or since `forget_peak`."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def forget_peak(pid: int) -> None:
    """Reset the peak of resident memory (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
