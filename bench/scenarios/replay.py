"""Opening a folder, from the whole journal and from a snapshot; and verification, which audits read."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import trio

from retain import engine, journal
from retain.bench.metrics import Measurement
from retain.bench.result import Ratio, RunResult
from retain.bench.scenario import RunSettings, Scenario
from retain.bench.workloads import areas

EVENTS: Final = 1_000_000
GOAL: Final = 150_000.0
"""Events a second from the whole journal."""
FROM_JOURNAL, FROM_SNAPSHOT, VERIFY = "open, whole journal", "open, snapshot", "read and verify"
ALONE: Final = "open, whole journal, on one processor"


def measure(settings: RunSettings, result: RunResult) -> None:
    """Write a journal, then open it with and without its snapshot."""
    events = settings.scaled(EVENTS, 1000)
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name:
        folder = Path(name)
        trio.run(_fill, folder, events, settings.seed)
        size = sum(path.stat().st_size for path in (folder / "journal").iterdir())
        result.notes.append(
            f"{events:,} area creations of three short keys, {size / events:,.0f} journal bytes each"
        )
        for _ in range(settings.rounds):
            result.add(FROM_SNAPSHOT, _apart(events, _opened, folder))
            kept = list(folder.glob("snapshot-*"))
            for path in kept:
                path.rename(folder / f"aside-{path.name}")
            for case, work in ((FROM_JOURNAL, _opened), (ALONE, _opened_alone)):
                result.add(case, _apart(events, work, folder))
                for path in folder.glob("snapshot-*"):
                    path.unlink()
            for path in kept:
                (folder / f"aside-{path.name}").rename(path)
            result.add(VERIFY, _apart(events, _read, folder))
    result.ratio("time: whole journal / snapshot", result.row(FROM_SNAPSHOT), result.row(FROM_JOURNAL))
    rates = result.row(FROM_JOURNAL).figures["per_second"]
    result.ratios.append(Ratio("events a second from the journal", tuple(rates), GOAL))
    result.ratio("time: one processor / all", result.row(FROM_JOURNAL), result.row(ALONE))


async def _fill(folder: Path, events: int, seed: int) -> None:
    commands = islice(areas(seed, 16, keys=3), events)

    async def client(store: engine.Engine) -> None:
        for command in commands:
            await store.submit(command)

    async with engine.open_engine(folder) as store, trio.open_nursery() as nursery:
        for _ in range(512):
            nursery.start_soon(client, store)


def _apart(events: int, work: Callable[[Path], Awaitable[tuple[float, float]]], folder: Path) -> Measurement:
    """Measure in a process of its own, as a start is one."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        seconds, spent = pool.submit(trio.run, work, folder).result()
    return Measurement(
        {
            "per_second": events / seconds,
            "seconds": seconds,
            "cpu_seconds": spent,
            "cpu_us": spent * 1e6 / events,
        }
    )


async def _opened(folder: Path) -> tuple[float, float]:
    spent, begin = time.process_time(), time.perf_counter()
    async with engine.open_engine(folder):
        return time.perf_counter() - begin, time.process_time() - spent


async def _opened_alone(folder: Path) -> tuple[float, float]:
    """Open on one processor, where no other process verifies segments."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return await _opened(folder)


async def _read(folder: Path) -> tuple[float, float]:
    """Read every record with its commitments checked, as `retain audit` does."""
    spent, begin = time.process_time(), time.perf_counter()
    for _ in journal.scan(journal.RealDisk(folder, create=False)):
        pass
    return time.perf_counter() - begin, time.process_time() - spent


SCENARIO = Scenario(
    "replay", "Opening a folder from the journal and from a snapshot; reading all records.", measure
)
