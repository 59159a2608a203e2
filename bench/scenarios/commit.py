"""Durable commits a second through the engine, by record size and number of waiting clients."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import trio
from rich.console import Console

from retain import engine
from retain.bench.measures import Latencies, Rate, median
from retain.bench.report import Report
from retain.bench.workloads import areas
from retain.engine.areas.commands import CreateArea


@click.command(help=__doc__)
@click.option("--sizes", default="100,1024,16384", show_default=True, help="Bytes of each value.")
@click.option("--clients", default="1,8,64,256", show_default=True, help="Tasks that wait at once.")
@click.option("--seconds", default=2.0, show_default=True, help="Seconds of each measurement.")
@click.option("--rounds", default=3, show_default=True, help="Interleaved rounds; the median counts.")
def main(sizes: str, clients: str, seconds: float, rounds: int) -> None:
    """Measure durable commits: each client submits its next command when its last one is durable."""
    report = Report("commit", f"python -m retain.bench commit --sizes {sizes} --clients {clients}")
    counts = [int(count) for count in clients.split(",")]
    for size in map(int, sizes.split(",")):
        rates: dict[int, list[Rate]] = {count: [] for count in counts}
        for _ in range(rounds):
            for count in counts:
                rates[count].append(trio.run(_run, count, size, seconds))
        one = median([rate.per_second for rate in rates[counts[0]]])
        for count in counts:
            middle = sorted(rates[count], key=lambda rate: rate.per_second)[rounds // 2]
            report.add(
                case=f"{size} B, {count} clients",
                per_second=middle.per_second,
                p50_ms=middle.latencies.p50,
                p99_ms=middle.latencies.p99,
            )
            if count != counts[0]:
                report.ratios[f"{size} B: {count} clients / {counts[0]}"] = middle.per_second / one
    report.notes.append("every commit is synced before it is answered; commands are area creations")
    report.show(Console())
    report.save()


async def _run(clients: int, size: int, seconds: float) -> Rate:
    latencies: list[float] = []

    async def client(store: engine.Engine, commands: Iterator[CreateArea], end: float) -> None:
        begin = time.perf_counter()
        while begin < end:
            await store.submit(next(commands))
            now = time.perf_counter()
            latencies.append(now - begin)
            begin = now

    with tempfile.TemporaryDirectory(prefix="retain-bench-") as folder:
        async with engine.open_engine(Path(folder)) as store:
            commands = areas(1, size)
            begin = time.perf_counter()
            async with trio.open_nursery() as nursery:
                for _ in range(clients):
                    nursery.start_soon(client, store, commands, begin + seconds)
            elapsed = time.perf_counter() - begin
    return Rate(len(latencies), elapsed, Latencies.of(latencies))
