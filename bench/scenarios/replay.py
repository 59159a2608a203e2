"""Start-up: small events a second replayed from the whole journal, and the time from a snapshot."""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import click
import trio
from rich.console import Console

from retain import engine
from retain.bench.measures import median
from retain.bench.report import Report
from retain.bench.workloads import areas


@click.command(help=__doc__)
@click.option("--events", default=1_000_000, show_default=True, help="Area creations of three short keys.")
@click.option("--rounds", default=3, show_default=True, help="Openings of each kind; the median counts.")
def main(events: int, rounds: int) -> None:
    """Write a journal, then open it with and without its snapshot."""
    report = Report("replay", f"python -m retain.bench replay --events {events}")
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name:
        folder = Path(name)
        trio.run(_fill, folder, events)
        report.notes.append(f"journal: {_size(folder / 'journal') / events:,.0f} bytes an event")
        times: dict[str, list[float]] = {"snapshot": [], "journal": []}
        for _ in range(rounds):
            times["snapshot"].append(_started(folder))
            kept = list(folder.glob("snapshot-*"))
            for path in kept:
                path.rename(folder / f"aside-{path.name}")
            times["journal"].append(_started(folder))
            for path in folder.glob("snapshot-*"):
                path.unlink()
            for path in kept:
                (folder / f"aside-{path.name}").rename(path)
    for case, seconds in times.items():
        middle = median(seconds)
        report.add(case=f"from the {case}", seconds=middle, events_per_second=events / middle)
    report.ratios["journal / snapshot (time)"] = median(times["journal"]) / median(times["snapshot"])
    report.show(Console())
    report.save()


async def _fill(folder: Path, events: int) -> None:
    commands = islice(areas(1, 16, keys=3), events)

    async def client(store: engine.Engine) -> None:
        for command in commands:
            await store.submit(command)

    async with engine.open_engine(folder) as store, trio.open_nursery() as nursery:
        for _ in range(512):
            nursery.start_soon(client, store)


def _started(folder: Path) -> float:
    """Return the seconds until an engine is open, in a process of its own, as a start is."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(trio.run, _open, folder).result()


async def _open(folder: Path) -> float:
    begin = time.perf_counter()
    async with engine.open_engine(folder):
        return time.perf_counter() - begin


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
