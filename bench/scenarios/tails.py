"""The slowest of many reads over HTTP, alone and beside expiry, erasure and snapshots.

A folder is filled an hour ago, by its clock, with areas that are due when the server starts. So the server
expires and erases from its first second on, and takes snapshots of what is left.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Final

import trio

from retain import engine
from retain.bench import blob_data as blobs
from retain.bench.load import measure as ask
from retain.bench.load.requests import Client
from retain.bench.peers import servers
from retain.bench.result import RunResult
from retain.bench.scenario import RunSettings, Scenario, processors
from retain.bench.scenarios.expiry import LateClock
from retain.bench.workloads import areas

AREAS: Final = 500_000
SNAPSHOTS: Final = 5
"""How many snapshots are due while the areas expire."""
AGO_S: Final = 3600
TTL_S: Final = 1800
WRITERS: Final = 512

ALONE, AT_WORK = "alone", "beside expiry, erasure and snapshots"

_TO_ERASE: Final = re.compile(rb"^retain_records_to_erase (\S+)$", re.MULTILINE)


def measure(settings: RunSettings, result: RunResult) -> None:
    """Measure GET of blobs of 1 KiB by two servers, one of which has much to do."""
    due = settings.scaled(AREAS, 2000)
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name:
        folder = Path(name)
        configuration = folder / "retain.toml"
        configuration.write_text(
            f"{blobs.CONFIGURATION}\n[storage]\nsnapshot_records = {due // SNAPSHOTS}\n"
            "[retention]\nerase_within_hours = 0.1\nsweep_interval = 0.5\n"
        )
        _served(folder / ALONE, configuration, settings, result, ALONE)
        trio.run(_fill, folder / "work", due, settings.seed)
        _served(folder / "work", configuration, settings, result, AT_WORK)
    for case, goal in ((ALONE, 3.0), (AT_WORK, 10.0)):
        row = result.row(_name(case))
        result.at_most(f"GET, {case}: p99 / median", row, ("p99_ms", "p50_ms"), goal)
    result.notes.append(f"{due:,} areas were due when the second server started")


def _served(data: Path, configuration: Path, settings: RunSettings, result: RunResult, case: str) -> None:
    core, other = processors()
    with ExitStack() as stack:
        port, pid = stack.enter_context(servers.retain(data, configuration, core, checkout=settings.checkout))
        load = blobs.read_load(port, pid, other, settings)
        for _ in range(settings.rounds):
            result.add(_name(case), ask(load))
        if case == AT_WORK and not _has_work(port):
            result.notes.append("all was erased before the last measurement ended: take a larger --scale")


def _has_work(port: int) -> bool:
    with Client(port) as client:
        found = _TO_ERASE.search(client.send("GET", "/metrics"))
    return found is not None and float(found[1]) > 0


def _name(case: str) -> str:
    return f"GET 1 KiB, {case}"


async def _fill(data: Path, count: int, seed: int) -> None:
    clock = LateClock()
    clock.lead = -AGO_S * 10**9
    commands = islice(areas(seed, 16, keys=3, ttl=TTL_S), count)

    async def client(store: engine.Engine) -> None:
        for command in commands:
            await store.submit(command)

    async with engine.open_engine(data, clock=clock) as store, trio.open_nursery() as nursery:
        for _ in range(WRITERS):
            nursery.start_soon(client, store)


SCENARIO = Scenario(
    "tails",
    "The slowest blob GETs, alone and beside expiry, erasure and snapshots.",
    measure,
    over_http=True,
)
