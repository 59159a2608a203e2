"""What auditors wait for: the history of one resource, indexes, proofs, verification.

The journal has one area whose value changes from time to time among creations of others, so that its records
are spread over all segments. It is read as the commands `retain audit` do, without a server.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import trio

from retain import engine, journal
from retain.bench.metrics import Latencies, Measurement, latency_figures
from retain.bench.result import RunResult
from retain.bench.scenario import RunSettings, Scenario
from retain.bench.workloads import LONG, areas
from retain.engine.areas.commands import CreateArea, UpdateArea
from retain.engine.audit.verify import verification
from retain.engine.core.command import Command

RECORDS: Final = 1_000_000
CHANGES: Final = 100
"""Records of the one resource, evenly spread."""
PROOFS: Final = 100
WRITERS: Final = 512
CHANGED: Final = CreateArea(
    actor="bench",
    name="5f0c9a4e-3b1d-4a68-8f7e-2d6b1c0a9e83",
    resource=bytes(15) + b"a",
    values={"Key1": "0"},
    ttl=LONG,
)
INDEXED, SEARCHED = "history of one resource, indexes kept", "history of one resource, without indexes"
BUILDING, PREPARING, PROVING = "build all indexes", "prepare proofs", "prove that a record is included"
VERIFYING, VERIFYING_ALL = "verify the journal", "verify the journal, its indexes and events"


def measure(settings: RunSettings, result: RunResult) -> None:
    """Write a journal, then read it as auditors do."""
    records = settings.scaled(RECORDS, 2 * CHANGES)
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name:
        folder = Path(name)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            pool.submit(trio.run, _fill, folder, records, settings.seed).result()
        disk = journal.RealDisk(folder)
        size = sum(path.stat().st_size for path in (folder / "journal").iterdir())
        result.notes.append(
            f"{records:,} records, {size / 2**20:,.0f} MiB of journal; the resource has {CHANGES} of them"
        )
        source = random.Random(settings.seed)
        for _ in range(settings.rounds):
            for path in (folder / "journal").glob("*.index"):
                path.unlink()
            result.add(SEARCHED, _timed(1, partial(_history, disk)))
            result.add(BUILDING, _timed(1, partial(journal.write_indexes, disk)))
            result.add(INDEXED, _timed(1, partial(_history, disk)))
            result.add(PREPARING, _timed(1, partial(journal.Prover, disk)))
            result.add(PROVING, _proofs(journal.Prover(disk), source))
            result.add(VERIFYING, _timed(records, partial(_verified, partial(journal.verify, disk))))
            result.add(VERIFYING_ALL, _timed(records, partial(_verified, partial(verification, disk))))
    rows = result.row(INDEXED), result.row(SEARCHED)
    result.ratio("time of a history: without indexes / with", *rows, "seconds")


def _timed(records: int, work: Callable[[], object]) -> Measurement:
    spent, begin = time.process_time(), time.perf_counter()
    work()
    seconds, spent = time.perf_counter() - begin, time.process_time() - spent
    figures = {"seconds": seconds, "cpu_seconds": spent}
    if records > 1:
        figures |= Measurement.of(records, seconds, (), spent).figures
    return Measurement(figures)


def _history(disk: journal.Disk) -> None:
    found = sum(1 for _ in journal.history(disk, CHANGED.resource))
    if found != CHANGES:
        raise RuntimeError(f"the history of the resource has {found} records instead of {CHANGES}")


def _proofs(prover: journal.Prover, source: random.Random) -> Measurement:
    latencies = Latencies()
    root = prover.root(prover.size)
    for _ in range(PROOFS):
        begin = time.perf_counter()
        proof = prover.inclusion(source.randrange(prover.size) + 1)
        latencies.record(time.perf_counter() - begin)
        if not proof.holds(root):
            raise RuntimeError(f"the proof of record {proof.seq} does not hold")
    curve = latencies.curve()
    return Measurement(latency_figures(curve), curve)


def _verified(verify: Callable[[], Any]) -> None:
    report = verify()
    if not report.sound:
        raise RuntimeError(f"the journal is not sound: {report}")


def _commands(records: int, seed: int) -> Iterator[Command[Any]]:
    """Yield one command a record, without the first one."""
    others = areas(seed, 16)
    for number in range(1, CHANGES):
        yield from islice(others, records // CHANGES - 1)
        yield UpdateArea(
            actor="bench",
            name=CHANGED.name,
            resource=CHANGED.resource,
            values={"Key1": str(number)},
            ttl=LONG,
        )
    yield from islice(others, records - 1 - (CHANGES - 1) * (records // CHANGES))


async def _fill(folder: Path, records: int, seed: int) -> None:
    async with engine.open_engine(folder) as store:
        await store.submit(CHANGED)
        commands = _commands(records, seed)

        async def client() -> None:
            for command in commands:
                await store.submit(command)

        async with trio.open_nursery() as nursery:
            for _ in range(WRITERS):
                nursery.start_soon(client)


SCENARIO = Scenario(
    "audit", "Auditors' waits: the history of one resource, indexes, proofs, verification.", measure
)
