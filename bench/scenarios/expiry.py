"""Many areas due at once: the delay of other requests while they expire, and without that.

Also measures what an area costs in memory.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import click
import trio
from rich.console import Console

from retain import engine
from retain.api.server import collector
from retain.bench.measures import Latencies, resident_bytes
from retain.bench.report import Report
from retain.bench.workloads import areas
from retain.engine.areas.commands import CreateArea
from retain.engine.core.clock import SystemClock

ALONE_S = 20
"""Seconds for which the same requests are measured with nothing due: what the disk does to them by itself."""


class LateClock(SystemClock):
    """The machine's clock, with a lead that can be set: brings many deadlines about at once."""

    def __init__(self) -> None:
        self.lead = 0

    def wall(self) -> int:
        """Return the wall clock plus the lead."""
        return super().wall() + self.lead

    def monotonic(self) -> int:
        """Advance by the lead too, so that it looks like time passed and not like a clock that was set."""
        return super().monotonic() + self.lead


@click.command(help=__doc__)
@click.option("--entries", default=1_000_000, show_default=True, help="Areas of three short keys.")
def main(entries: int) -> None:
    """Fill an engine, let everything fall due, and probe reads and commits until the index is empty."""
    report = Report("expiry", f"python -m retain.bench expiry --entries {entries}")
    trio.run(_run, report, entries)
    report.show(Console())
    report.save()


async def _run(report: Report, entries: int) -> None:
    clock = LateClock()
    before = resident_bytes()
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as folder:
        async with engine.open_engine(Path(folder), clock=clock) as store:
            await _fill(store, islice(areas(1, 16, keys=3, ttl=36_000), entries))
            grown = resident_bytes() - before
            resident = resident_bytes() / 2**20
            report.notes.append(f"{resident:,.0f} MiB resident, {grown / entries:,.0f} bytes an area")
            collector.settle()
            others = areas(2, 16)
            async with _probed(store, report, "alone", others):
                await trio.sleep(ALONE_S)
            alone = store.statistics().deadlines - entries
            clock.lead = 40_000 * 10**9
            begin = time.perf_counter()
            async with _probed(store, report, "beside", others) as commits:
                while store.statistics().deadlines > alone + len(commits):  # noqa: ASYNC110, nobody signals it
                    await trio.sleep(0.05)
                elapsed = time.perf_counter() - begin
    report.notes.append(f"{entries:,} areas expired in {elapsed:,.1f} s, {entries / elapsed:,.0f} a second")


async def _fill(store: engine.Engine, commands: islice[CreateArea]) -> None:
    async def client() -> None:
        for command in commands:
            await store.submit(command)

    async with trio.open_nursery() as nursery:
        for _ in range(512):
            nursery.start_soon(client)


@asynccontextmanager
async def _probed(
    store: engine.Engine, report: Report, when: str, others: Iterator[CreateArea]
) -> AsyncIterator[list[float]]:
    """Measure reads, and commits of `others`, while the block runs; give the commits' durations so far."""
    reads: list[float] = []
    commits: list[float] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_probe_reads, store, reads)
        nursery.start_soon(_probe_commits, store, others, commits)
        yield commits
        nursery.cancel_scope.cancel()
    for case, seconds in (("read", reads), ("commit", commits)):
        measured = Latencies.of(seconds)
        report.add(
            case=f"{case} {when}",
            count=len(seconds),
            p50_ms=measured.p50,
            p99_ms=measured.p99,
            worst_ms=measured.worst,
        )


async def _probe_reads(store: engine.Engine, durations: list[float]) -> None:
    while True:
        begin = time.perf_counter()
        await store.read(lambda state, now: len(state.areas.areas))
        await trio.sleep(0.002)
        durations.append(time.perf_counter() - begin - 0.002)


async def _probe_commits(store: engine.Engine, others: Iterator[CreateArea], durations: list[float]) -> None:
    for command in others:
        begin = time.perf_counter()
        await store.submit(command)
        durations.append(time.perf_counter() - begin)
        await trio.sleep(0.005)
