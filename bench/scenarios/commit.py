"""Durable commits through the engine, by record size and number of waiting clients."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Final

import trio

from retain import engine
from retain.bench.metrics import Latencies, Measurement
from retain.bench.peers.databases import Write, diskcache, has_diskcache, sqlite
from retain.bench.result import RunResult
from retain.bench.scenario import Case, RunSettings, Scenario, in_rounds
from retain.bench.workloads import areas
from retain.engine.areas.commands import CreateArea

SIZES: Final = (100, 1024, 16_384)
CLIENTS: Final = (1, 8, 64, 256)
COMPARED: Final = 1024
"""The size at which others are measured."""


def measure(settings: RunSettings, result: RunResult) -> None:
    """Let each client submit its next command when its last one is durable."""
    cases: dict[tuple[str, str], Case] = {}
    for size in SIZES:
        for clients in CLIENTS:
            cases[_name(size, clients), "retain"] = partial(trio.run, _commits, clients, size, settings)
    if settings.with_peers:
        cases[_name(COMPARED, 1), "SQLite"] = lambda: _writes(sqlite, settings)
        if has_diskcache():
            cases[_name(COMPARED, 1), "diskcache"] = lambda: _writes(diskcache, settings)
        else:
            result.notes.append("diskcache is not installed")
    in_rounds(settings, result, cases)
    for size in SIZES:
        one, many = (result.row(_name(size, clients)) for clients in (1, 64))
        result.ratio(f"{size:,} B: 64 clients / 1", many, one)
    for row in list(result.rows):
        if row.server != "retain":
            goal = 0.75 if row.server == "SQLite" else None
            ours = result.row(_name(COMPARED, 1))
            result.ratio(f"{COMPARED:,} B, 1 client: Retain / {row.server}", ours, row, goal=goal)
    result.notes.append(
        "every commit is synced before it is answered; ours are area creations, decided and hashed"
    )


def _name(size: int, clients: int) -> str:
    return f"{size:,} B, {clients} client{'s' if clients > 1 else ''}"


async def _commits(clients: int, size: int, settings: RunSettings) -> Measurement:
    latencies, count = Latencies(), 0

    async def client(store: engine.Engine, commands: Iterator[CreateArea], end: float) -> None:
        nonlocal count
        begin = time.perf_counter()
        while begin < end:
            await store.submit(next(commands))
            now = time.perf_counter()
            latencies.record(now - begin)
            count += 1
            begin = now

    with tempfile.TemporaryDirectory(prefix="retain-bench-") as folder:
        async with engine.open_engine(Path(folder)) as store:
            commands = areas(settings.seed, size)
            spent = time.process_time()
            begin = time.perf_counter()
            async with trio.open_nursery() as nursery:
                for _ in range(clients):
                    nursery.start_soon(client, store, commands, begin + settings.seconds)
            elapsed, spent = time.perf_counter() - begin, time.process_time() - spent
    return Measurement.of(count, elapsed, latencies.curve(), spent)


def _writes(opened: Callable[[Path], AbstractContextManager[Write]], settings: RunSettings) -> Measurement:
    latencies, count = Latencies(), 0
    value = os.urandom(COMPARED)
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as folder, opened(Path(folder)) as write:
        spent = time.process_time()
        begin = now = time.perf_counter()
        while now < begin + settings.seconds:
            write(f"{count:032}", value)
            done = time.perf_counter()
            latencies.record(done - now)
            count, now = count + 1, done
        elapsed, spent = now - begin, time.process_time() - spent
    return Measurement.of(count, elapsed, latencies.curve(), spent)


SCENARIO = Scenario(
    "commit",
    "Durable commits by record size and number of waiting clients.",
    measure,
    ("SQLite", "diskcache"),
)
