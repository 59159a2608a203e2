"""A million blobs of 1 KiB in one container.

Measures memory, a page of the listing, a search, and the start after a stop and after a kill.
"""

from __future__ import annotations

import hashlib
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import trio
from rich.console import Console

from retain import engine
from retain.bench import blobs, peers
from retain.bench.http import Client, request
from retain.bench.load import Load, measure
from retain.bench.measures import resident_bytes
from retain.bench.report import Report
from retain.engine.blobs.commands import PutBlob
from retain.engine.blobs.conditions import UNCONDITIONAL
from retain.engine.blobs.container_commands import EnsureContainers
from retain.engine.blobs.entries import ContentHeaders

WRITERS = 256
PAGE = 5000
PAGES = 40
HEADERS = ContentHeaders(content_type="application/octet-stream")


@click.command(help=__doc__)
@click.option("--count", default=1_000_000, show_default=True, help="Blobs of 1 KiB with two tags each.")
@click.option("--seconds", default=5.0, show_default=True, help="Seconds of each measurement over HTTP.")
def main(count: int, seconds: float) -> None:
    """Fill a data folder through the engine, then query a server over HTTP."""
    report = Report("blobs-million", f"python -m retain.bench blobs-million --count {count}")
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name:
        folder = Path(name)
        written = trio.run(_fill, folder / "retain", count)
        report.notes.append(
            f"{count:,} blobs written durably at {count / written:,.0f} a second in one process"
        )
        configuration = blobs.configuration(folder)
        for case in ("after a clean stop", "again", "after SIGKILL"):
            begin = time.perf_counter()
            with peers.retain(folder / "retain", configuration, 0) as (port, pid):
                Client(port).send("GET", blobs.blob_target(count - 1), headers=blobs.HEADERS)
                report.add(case=f"first answer {case} (s)", value=time.perf_counter() - begin)
                if case == "again":
                    _ask(report, port, count, seconds)
                    report.add(case="resident (MiB)", value=resident_bytes(pid) / 2**20)
                    os.kill(pid, 9)
    report.notes.append("server on core 0, load on core 1")
    report.show(Console())
    report.save()


def _ask(report: Report, port: int, count: int, seconds: float) -> None:
    """Measure pages anywhere in the list, a selective search, and reads."""
    source = random.Random(1)
    starts = [source.randrange(count - PAGE) for _ in range(PAGES)] if count > PAGE else [0]
    targets = [f"{blobs.list_target(PAGE)}&marker={blobs.name_of(start)}" for start in starts]
    reads = blobs.gets(source.randrange(count) for _ in range(1000))
    cases = {
        f"page of {PAGE:,}": ([request("GET", target, headers=blobs.HEADERS) for target in targets], 1),
        f"find {blobs.FOUND}": ([request("GET", blobs.find_target(), headers=blobs.HEADERS)], 1),
        "GET 1 KiB, 16 connections": (reads, 16),
    }
    for name, (requests, connections) in cases.items():
        rate = measure(Load("127.0.0.1", port, requests, 200, connections, seconds, processor=1))
        report.add(case=f"{name}, median (ms)", value=rate.latencies.p50)
        report.add(case=f"{name}, 99th percentile (ms)", value=rate.latencies.p99)


async def _fill(folder: Path, count: int) -> float:
    """Fill the folder, close it cleanly, and return the seconds it took."""
    async with engine.open_engine(folder) as store:
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
