"""Blobs over HTTP beside Azurite, in one run and on one core each.

Azurite answers a PUT seconds before it is on disk; every PUT of ours is durable when it is answered.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import click
from rich.console import Console

from retain.bench import blobs, peers
from retain.bench.blobs import Peer
from retain.bench.http import Client, request
from retain.bench.load import Load, measure
from retain.bench.measures import median, resident_bytes
from retain.bench.report import Report

FEW = 1000
PAGE = 5000
OURS, THEIRS = "retain", "azurite"

Case = Callable[[Peer], float]
"""Measures a server once; more is better."""


@click.command(help=__doc__)
@click.option("--count", default=20_000, show_default=True, help="Blobs of 1 KiB in the container.")
@click.option("--rounds", default=5, show_default=True, help="Interleaved rounds; the median counts.")
@click.option("--seconds", default=3.0, show_default=True, help="Seconds of each measurement.")
@click.option("--connections", default=16, show_default=True, help="Keep-alive connections for small blobs.")
def main(count: int, rounds: int, seconds: float, connections: int) -> None:
    """Measure every case as a ratio: how many times Azurite's rate."""
    command = f"python -m retain.bench blobs-http --count {count} --rounds {rounds} --seconds {seconds}"
    report = Report("blobs-http", command)
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name:
        folder = Path(name)
        with ExitStack() as stack:
            both = start(stack, folder)
            empty = {peer.name: resident_bytes(peer.pid) for peer in both}
            for peer in both:
                blobs.create_container(peer.port)
                blobs.fill(peer.port, range(FEW), count)
            compare(report, both, small(FEW, count, seconds, connections), rounds)
            for peer in both:
                blobs.fill(peer.port, range(FEW, count), count)
            cases = small(count, count, seconds, connections) | indexes(count, seconds) | large(seconds)
            compare(report, both, cases, rounds)
            for peer in both:
                report.notes.append(
                    f"{peer.name}: {resident_bytes(peer.pid) / 2**20:,.0f} MiB resident at the end,"
                    f" {empty[peer.name] / 2**20:,.0f} MiB empty"
                )
            ours, theirs = (resident_bytes(peer.pid) for peer in both)
            report.ratios["memory: azurite's / ours"] = theirs / ours
        starts(report, folder, count, rounds)
    report.notes.append("servers on core 0, load on core 1; rounds interleaved; ratios are medians")
    report.show(Console())
    report.save()


def start(stack: ExitStack, folder: Path) -> list[Peer]:
    """Start both servers on their folders, Retain first."""
    (folder / THEIRS).mkdir(exist_ok=True)
    theirs = stack.enter_context(peers.azurite(folder / THEIRS, 0))
    ours = stack.enter_context(peers.retain(folder / OURS, blobs.configuration(folder), 0))
    return [Peer(OURS, *ours), Peer(THEIRS, *theirs)]


def small(there: int, count: int, seconds: float, connections: int) -> dict[str, Case]:
    """Measure small blobs among `there`, in requests a second."""
    step = max(1, there // FEW)
    reads, writes = blobs.gets(range(0, there, step)), blobs.puts(range(0, there, step), count)

    def run(peer: Peer, requests: list[bytes], expect: int) -> float:
        load = Load("127.0.0.1", peer.port, requests, expect, connections, seconds, processor=1)
        return measure(load).per_second

    return {
        f"GET 1 KiB among {there:,} (1/s)": lambda peer: run(peer, reads, 200),
        f"PUT 1 KiB among {there:,} (1/s)": lambda peer: run(peer, writes, 201),
    }


def indexes(count: int, seconds: float) -> dict[str, Case]:
    """Measure a page of the listing and a selective search, one after the other, in requests a second."""
    page = [request("GET", blobs.list_target(PAGE), headers=blobs.HEADERS)]
    find = [request("GET", blobs.find_target(), headers=blobs.HEADERS)]

    def run(peer: Peer, requests: list[bytes]) -> float:
        return measure(Load("127.0.0.1", peer.port, requests, 200, 1, seconds, processor=1)).per_second

    return {
        f"list {PAGE:,} of {count:,} (1/s)": lambda peer: run(peer, page),
        f"find {blobs.FOUND} of {count:,} (1/s)": lambda peer: run(peer, find),
    }


def large(seconds: float) -> dict[str, Case]:
    """Measure one large blob up and down, in MiB a second."""
    where = blobs.target(f"/{blobs.CONTAINER}/large")
    up = [request("PUT", where, blobs.body_of(0, blobs.LARGE), blobs.PUT)]
    down = [request("GET", where, headers=blobs.HEADERS)]

    def run(peer: Peer, requests: list[bytes], expect: int) -> float:
        load = Load("127.0.0.1", peer.port, requests, expect, 1, max(seconds, 3.0), processor=1)
        return measure(load).per_second * blobs.LARGE / 2**20

    return {
        "PUT 64 MiB (MiB/s)": lambda peer: run(peer, up, 201),
        "GET 64 MiB (MiB/s)": lambda peer: run(peer, down, 200),
    }


def compare(report: Report, both: list[Peer], cases: dict[str, Case], rounds: int) -> None:
    """Run every case once a round at each server in turn, so that a drift of the machine affects both."""
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            ours, theirs = (_measured(case, peer) for peer in both)
            rates[name].append((ours, theirs))
    for name, pairs in rates.items():
        report.add(
            case=name, ours=median([ours for ours, _ in pairs]), azurite=median([other for _, other in pairs])
        )
        whole = [ours / theirs for ours, theirs in pairs if theirs]
        if len(whole) < len(pairs):
            report.notes.append(f"{name}: Azurite finished none in {len(pairs) - len(whole)} rounds")
        if whole:
            report.ratios[name] = median(whole)


def _measured(case: Case, peer: Peer) -> float:
    os.sync()  # What one server has left for the system to write must not slow the other down.
    return case(peer)


def starts(report: Report, folder: Path, count: int, rounds: int) -> None:
    """Measure from the start of the process to the first blob read, with everything that was written."""
    pairs = []
    for _ in range(rounds):
        theirs = first_answer(lambda: peers.azurite(folder / THEIRS, 0), count)
        ours = first_answer(lambda: peers.retain(folder / OURS, blobs.configuration(folder), 0), count)
        pairs.append((ours, theirs))
    report.add(
        case=f"start with {count:,} blobs (s)",
        ours=median([ours for ours, _ in pairs]),
        azurite=median([theirs for _, theirs in pairs]),
    )
    report.ratios["start: azurite's time / ours"] = median([theirs / ours for ours, theirs in pairs])


def first_answer(server: Callable[[], AbstractContextManager[tuple[int, int]]], count: int) -> float:
    """Return the seconds until a blob could be read."""
    begin = time.perf_counter()
    with server() as (port, _pid):
        Client(port).send("GET", blobs.blob_target(count - 1), headers=blobs.HEADERS)
        return time.perf_counter() - begin
