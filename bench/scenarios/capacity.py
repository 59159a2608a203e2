"""Capacity of one node: memory, start, pages, searches and reads, with ten times the data each time."""

from __future__ import annotations

import hashlib
import os
import random
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import trio

from retain import engine
from retain.bench import blob_data as blobs
from retain.bench.load import Load
from retain.bench.load import measure as ask
from retain.bench.load.requests import Client, request
from retain.bench.metrics import Measurement, cpu_seconds, resident_bytes
from retain.bench.peers import servers
from retain.bench.result import RunResult
from retain.bench.scenario import RunSettings, Scenario, processors
from retain.engine.blobs.commands import PutBlob
from retain.engine.blobs.conditions import UNCONDITIONAL
from retain.engine.blobs.container_commands import EnsureContainers
from retain.engine.blobs.entries import ContentHeaders

COUNTS: Final = (10_000, 100_000, 1_000_000)
"""Times the scale; above 1, further powers of ten up to a million times the scale."""
LARGEST: Final = COUNTS[-1]
WRITERS: Final = 256
SNAPSHOT_RECORDS: Final = 500_000
"""As in a server. With far more blobs, the snapshots of the growing state would take most of the time."""
PAGE: Final = 5000
PAGES: Final = 40
CLEAN, KILLED = "after a clean stop", "after SIGKILL"
STARTS: Final = (CLEAN, KILLED)
HEADERS: Final = ContentHeaders(content_type="application/octet-stream")


def measure(settings: RunSettings, result: RunResult) -> None:
    """Fill data folders through the engine, then start a server on each and measure it."""
    for count in counts(settings):
        with tempfile.TemporaryDirectory(prefix="retain-bench-") as name:
            folder = Path(name)
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                seconds, spent = pool.submit(_filled, folder / "retain", count).result()
            result.add(f"write {count:,} blobs", Measurement.of(count, seconds, [], spent))
            _served(settings, result, folder, count)
    add_targets(settings, result)
    result.notes.append(
        "blobs of 1 KiB with two tags in one container; medians of the pages and searches of one run"
    )


def add_targets(settings: RunSettings, result: RunResult) -> None:
    """Add what is wanted of a node with a million blobs, if this run measured one."""
    if LARGEST not in counts(settings):
        return
    result.limit(f"memory with {LARGEST:,} blobs, MiB", result.row(f"memory with {LARGEST:,}"), "mib", 1536)
    for case in STARTS:
        row = result.row(f"first answer of {LARGEST:,} {case}")
        result.limit(f"first answer of {LARGEST:,} blobs {case}, s", row, "seconds", 10)
    page = result.row(f"page of {PAGE:,} of {LARGEST:,}")
    result.limit(f"page of {PAGE:,} of {LARGEST:,} blobs: p99, ms", page, "p99_ms", 100)


def counts(settings: RunSettings) -> list[int]:
    """Return how many blobs are measured, in the scale of this run."""
    if settings.scale <= 1:
        return [settings.scaled(one, 1000) for one in COUNTS]
    largest = settings.scaled(COUNTS[-1])
    return [10**power for power in range(4, 10) if 10**power <= largest]


def _served(settings: RunSettings, result: RunResult, folder: Path, count: int) -> None:
    configuration, core = blobs.configuration(folder), processors()[0]
    for case in STARTS:
        begin = time.perf_counter()
        with servers.retain(folder / "retain", configuration, core, checkout=settings.checkout) as (
            port,
            pid,
        ):
            with Client(port) as client:
                client.send("GET", blobs.blob_target(count - 1), headers=blobs.HEADERS)
            figures = {"seconds": time.perf_counter() - begin, "cpu_seconds": cpu_seconds(pid)}
            result.add(f"first answer of {count:,} {case}", Measurement(figures))
            if case == CLEAN:
                _asked(settings, result, (port, pid), count)
                held = resident_bytes(pid)
                result.add(
                    f"memory with {count:,}", Measurement({"mib": held / 2**20, "bytes_each": held / count})
                )
                os.kill(pid, 9)


def _asked(settings: RunSettings, result: RunResult, at: tuple[int, int], count: int) -> None:
    """Measure pages anywhere in the list, a selective search, and reads."""
    source = random.Random(settings.seed)
    starts = [source.randrange(count - PAGE) for _ in range(PAGES)] if count > PAGE else [0]
    targets = [f"{blobs.list_target(PAGE)}&marker={blobs.name_of(start)}" for start in starts]
    reads = blobs.gets(source.randrange(count) for _ in range(1000))
    cases = {
        f"page of {PAGE:,} of {count:,}": (
            [request("GET", one, headers=blobs.HEADERS) for one in targets],
            1,
        ),
        f"find {blobs.FOUND} of {count:,}": ([request("GET", blobs.find_target(), headers=blobs.HEADERS)], 1),
        f"GET of {count:,}": (reads, settings.connections),
    }
    for name, (requests, connections) in cases.items():
        load = Load(at[0], requests, 200, connections, settings.seconds, pid=at[1], processor=processors()[1])
        result.add(name, ask(load))


def _filled(folder: Path, count: int) -> tuple[float, float]:
    """Fill the folder; return seconds and processor time. For a process of its own, whose memory it is."""
    spent = time.process_time()
    return trio.run(_fill, folder, count), time.process_time() - spent


async def _fill(folder: Path, count: int) -> float:
    """Fill the folder, close it cleanly, and return the seconds that writing took."""
    options = engine.Options(snapshot_records=max(SNAPSHOT_RECORDS, count // 2))
    async with engine.open_engine(folder, options=options) as store:
        wanted = EnsureContainers(
            actor="bench", account=blobs.ACCOUNT, containers=((blobs.CONTAINER, store.entropy(16)),)
        )
        await store.submit(wanted)
        numbers = iter(range(count))
        begin = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(WRITERS):
                nursery.start_soon(_write, store, numbers, count)
        return time.perf_counter() - begin


async def _write(store: engine.Engine, numbers: Iterator[int], count: int) -> None:
    for number in numbers:
        data = blobs.body_of(number)
        md5 = hashlib.md5(data, usedforsecurity=False).digest()
        await store.submit(
            PutBlob(
                actor="bench",
                account=blobs.ACCOUNT,
                container=blobs.CONTAINER,
                name=blobs.name_of(number),
                conditions=UNCONDITIONAL,
                resource=store.entropy(16),
                body=engine.Inline(data, md5),
                headers=HEADERS,
                md5=md5,
                tags=blobs.tag_pairs(number, count),
            )
        )


SCENARIO = Scenario(
    "capacity", "What one node holds: memory, start, pages and searches from 10⁴ to 10⁶ blobs.", measure
)
