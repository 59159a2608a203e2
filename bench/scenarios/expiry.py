"""Many areas due at once: the delay of other requests while they expire, and without that.

Also measures what an area costs in memory.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import trio

from retain import engine
from retain.api.server import collector
from retain.bench.metrics import Latencies, Measurement, latency_figures, resident_bytes
from retain.bench.result import RunResult
from retain.bench.scenario import RunSettings, Scenario
from retain.bench.workloads import areas
from retain.engine.areas.commands import CreateArea
from retain.engine.core.clock import SystemClock

ENTRIES: Final = 1_000_000
ALONE_S: Final = 20
"""Seconds for which the same requests are measured with nothing due, to show the disk's own delays."""
MEMORY: Final = Path("/dev/shm")
ROOM_BYTES: Final = 2048
"""An area's share of the journal and of two snapshots, generously."""
WORST_MS: Final = 50.0
"""The longest wait that is wanted, with a million areas."""
IN_MEMORY: Final = "retain, data in memory"
READ, COMMIT = "a read", "a commit"
ALONE, BESIDE = "alone", "beside expiry"


class LateClock(SystemClock):
    """The machine's clock, with a lead that can be set: brings many deadlines about at once."""

    def __init__(self) -> None:
        self.lead = 0

    def wall(self) -> int:
        """Return the wall clock plus the lead."""
        return super().wall() + self.lead

    def monotonic(self) -> int:
        """Advance by the lead too, so that it looks like passed time and not like a clock that was set."""
        return super().monotonic() + self.lead


def measure(settings: RunSettings, result: RunResult) -> None:
    """Measure on the disk and, if there is room, on one in memory, each in a process of its own."""
    entries = settings.scaled(ENTRIES, 1000)
    places = {"retain": None, IN_MEMORY: str(MEMORY)}
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < entries * ROOM_BYTES:
        del places[IN_MEMORY]
        result.notes.append(f"not measured in memory: {MEMORY} has no room for {entries:,} areas")
    for server, parent in places.items():
        with (
            tempfile.TemporaryDirectory(prefix="retain-bench-", dir=parent) as folder,
            ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        ):
            found = pool.submit(trio.run, _run, settings, Path(folder), entries).result()
        for case, measured in found.items():
            result.add(case, measured, server)
    if entries >= ENTRIES:
        for case in (READ, COMMIT):
            row = result.row(f"{case} {BESIDE}")
            result.limit(f"{row.case}: slowest, ms", row, "worst_ms", WORST_MS)


async def _run(settings: RunSettings, folder: Path, entries: int) -> dict[str, Measurement]:
    """Fill an engine, let everything fall due, and probe reads and commits until the index is empty."""
    result: dict[str, Measurement] = {}
    clock = LateClock()
    before = resident_bytes()
    async with engine.open_engine(folder, clock=clock) as store:
        await _fill(store, islice(areas(settings.seed, 16, keys=3, ttl=36_000), entries))
        grown = resident_bytes() - before
        held = {"mib": resident_bytes() / 2**20, "bytes_each": grown / entries}
        result[f"memory with {entries:,} areas"] = Measurement(held)
        collector.settle()
        others = areas(settings.seed + 1, 16)
        async with _probed(store, result, ALONE, others):
            await trio.sleep(ALONE_S * min(1.0, settings.scale))
        alone = store.statistics().deadlines - entries
        clock.lead = 40_000 * 10**9
        begin = time.perf_counter()
        async with _probed(store, result, BESIDE, others) as commits:
            while store.statistics().deadlines > alone + len(commits):  # noqa: ASYNC110, nobody signals it
                await trio.sleep(0.05)
            elapsed = time.perf_counter() - begin
    result[f"expire {entries:,} areas"] = Measurement.of(entries, elapsed, [])
    return result


async def _fill(store: engine.Engine, commands: islice[CreateArea]) -> None:
    async def client() -> None:
        for command in commands:
            await store.submit(command)

    async with trio.open_nursery() as nursery:
        for _ in range(512):
            nursery.start_soon(client)


@asynccontextmanager
async def _probed(
    store: engine.Engine, result: dict[str, Measurement], when: str, others: Iterator[CreateArea]
) -> AsyncIterator[list[float]]:
    """Measure reads, and commits of `others`, while the block runs; give the commits' durations so far."""
    reads: list[float] = []
    commits: list[float] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_probe_reads, store, reads)
        nursery.start_soon(_probe_commits, store, others, commits)
        yield commits
        nursery.cancel_scope.cancel()
    result[f"{READ} {when}"] = durations(reads)
    result[f"{COMMIT} {when}"] = durations(commits)


def durations(seconds: Sequence[float]) -> Measurement:
    """Return the sample of durations alone."""
    latencies = Latencies()
    for one in seconds:
        latencies.record(one)
    curve = latencies.curve()
    return Measurement(latency_figures(curve), curve)


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


SCENARIO = Scenario(
    "expiry", "A million areas due at once: what others wait meanwhile; memory an area.", measure
)
