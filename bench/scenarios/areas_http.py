"""Areas over HTTP beside an empty Quart-Trio handler under stock Hypercorn.

Both are measured in one run, each on one core.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from retain.bench import peers
from retain.bench.http import Client, request
from retain.bench.load import Load, measure
from retain.bench.measures import Rate, median
from retain.bench.report import Report

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BODY = b"Key1=Value1&Key2=Value2&Key3=Value3"
PREPARED = 1000


@click.command(help=__doc__)
@click.option("--rounds", default=5, show_default=True, help="Interleaved rounds; the median counts.")
@click.option("--seconds", default=3.0, show_default=True, help="Seconds of each measurement.")
@click.option("--connections", default=16, show_default=True, help="Keep-alive connections.")
def main(rounds: int, seconds: float, connections: int) -> None:
    """Query all and durable create, as ratios to the empty handler's GET and POST."""
    report = Report("areas-http", f"python -m retain.bench areas-http --rounds {rounds} --seconds {seconds}")
    with tempfile.TemporaryDirectory() as folder, peers.empty_handler(0) as empty:
        configuration = Path(folder) / "retain.toml"
        configuration.write_text("")
        with peers.retain(Path(folder) / "data", configuration, 0) as (port, _pid):
            client = Client(port)
            ids = [
                json.loads(client.send("POST", "/genesys/1/storage/36000", BODY, FORM))["id"]
                for _ in range(PREPARED)
            ]

            def load(port: int, requests: list[bytes]) -> Callable[[], Rate]:
                return lambda: measure(
                    Load("127.0.0.1", port, requests, 200, connections, seconds, processor=1)
                )

            cases = {
                "empty GET": load(empty, [request("GET", "/")]),
                "query all": load(port, [request("GET", f"/genesys/1/storage/{one}") for one in ids]),
                "query one": load(port, [request("GET", f"/genesys/1/storage/{one}/Key1") for one in ids]),
                "empty POST": load(empty, [request("POST", "/", BODY, FORM)]),
                "create": load(port, [request("POST", "/genesys/1/storage/3600", BODY, FORM)]),
            }
            rates = run(cases, rounds)
    for name, results in rates.items():
        middle = sorted(results, key=lambda rate: rate.per_second)[len(results) // 2]
        report.add(
            case=name, per_second=middle.per_second, p50_ms=middle.latencies.p50, p99_ms=middle.latencies.p99
        )
    for ours, theirs in (("query all", "empty GET"), ("query one", "empty GET"), ("create", "empty POST")):
        pairs = zip(rates[ours], rates[theirs], strict=True)
        report.ratios[f"{ours} / {theirs}"] = median([a.per_second / b.per_second for a, b in pairs])
    report.notes.append("server on core 0, load on core 1; rounds interleaved; ratios are medians")
    report.show(Console())
    report.save()


def run(cases: dict[str, Callable[[], Rate]], rounds: int) -> dict[str, list[Rate]]:
    """Run every case once a round, in turn, so that a drift of the machine affects all alike."""
    rates: dict[str, list[Rate]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            rates[name].append(case())
    return rates
