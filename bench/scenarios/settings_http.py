"""Settings over HTTP beside an empty Quart-Trio handler under stock Hypercorn.

Both are measured in one run, each on one core. Also measures what a PATCH costs the journal.
"""

from __future__ import annotations

import json
import tempfile
from base64 import b64encode
from collections.abc import Callable
from contextlib import nullcontext
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from retain import journal
from retain.api.identity import hash_password
from retain.bench import kinto, peers
from retain.bench.http import Client, request
from retain.bench.load import Load, measure
from retain.bench.measures import Rate, median
from retain.bench.report import Report

ROOT = "/mobileservices/Storage/v1/runtime/application/bench"
HEADERS = {
    "Authorization": "Basic " + b64encode(b"ann:sesame").decode(),
    "Content-Type": "application/json",
}
DEVICES = 1000
PROPERTIES = 12
TEXT = "x" * 40


def document(seed: int) -> dict[str, Any]:
    """Return about 1 KiB: one configuration of short properties and a nested object."""
    flat = {f"property{number}": f"{seed} {TEXT}" for number in range(PROPERTIES)}
    return {"home": {**flat, "menu": {"order": [1, 2, 3], "title": TEXT, "seed": seed}}}


def encoded(value: Any) -> bytes:
    """Return the body of a request."""
    return json.dumps(value).encode()


@click.command(help=__doc__)
@click.option("--rounds", default=5, show_default=True, help="Interleaved rounds; the median counts.")
@click.option("--seconds", default=3.0, show_default=True, help="Seconds of each measurement.")
@click.option("--connections", default=16, show_default=True, help="Keep-alive connections.")
def main(rounds: int, seconds: float, connections: int) -> None:
    """Measure GET of a merged device document, PUT and PATCH, as ratios to the empty handler's."""
    report = Report(
        "settings-http", f"python -m retain.bench settings-http --rounds {rounds} --seconds {seconds}"
    )
    with tempfile.TemporaryDirectory() as folder, peers.empty_handler(0) as empty:
        configuration = Path(folder) / "retain.toml"
        configuration.write_text(f'[[users]]\nname = "ann"\npassword = "{hash_password("sesame")}"\n')
        data = Path(folder) / "data"
        with peers.retain(data, configuration, 0) as (port, _pid):
            prepare(port)

            def load(port: int, requests: list[bytes], expect: int = 200) -> Callable[[], Rate]:
                return lambda: measure(
                    Load("127.0.0.1", port, requests, expect, connections, seconds, processor=1)
                )

            measured = cases(empty, port, load)
            values = {f"d{number}": document(number) for number in range(DEVICES)}
            with kinto.kinto(HEADERS, values, 0) if kinto.command() else nullcontext(0) as peer:
                if peer:
                    measured |= kinto_cases(peer, load)
                rates = run(measured, rounds)
            report.ratios["journal bytes, PATCH of 1 MiB / of 1 KiB"] = journal_cost(port, data)
    for name, results in rates.items():
        middle = sorted(results, key=lambda rate: rate.per_second)[len(results) // 2]
        report.add(
            case=name, per_second=middle.per_second, p50_ms=middle.latencies.p50, p99_ms=middle.latencies.p99
        )
    for ours, theirs in (("GET merged", "empty GET"), ("PUT", "empty POST"), ("PATCH", "empty POST")):
        pairs = zip(rates[ours], rates[theirs], strict=True)
        report.ratios[f"{ours} / {theirs}"] = median([a.per_second / b.per_second for a, b in pairs])
    for name in ("GET merged", "PUT", "PATCH"):
        if (theirs := f"Kinto {name.split()[0]}") in rates:
            pairs = zip(rates[name], rates[theirs], strict=True)
            report.ratios[f"{name} / {theirs}"] = median([a.per_second / b.per_second for a, b in pairs])
    report.notes.append(
        "Kinto with its memory backend, which keeps nothing" if kinto.command() else "no Kinto here"
    )
    report.notes.append("server on core 0, load on core 1; rounds interleaved; ratios are medians")
    report.show(Console())
    report.save()


def prepare(port: int) -> None:
    """Create one application, one user, many devices: each read merges three documents of about 1 KiB."""
    client = Client(port)
    client.send("POST", f"{ROOT}/global", encoded(document(0)), HEADERS, 201)
    client.send("POST", f"{ROOT}/currentuser", encoded(document(1)), HEADERS, 201)
    for number in range(DEVICES):
        client.send("PUT", f"{ROOT}/device/d{number}", encoded(document(number)), HEADERS, 204)


def cases(empty: int, port: int, load: Callable[..., Callable[[], Rate]]) -> dict[str, Callable[[], Rate]]:
    """Return the cases measured, each with its baseline."""
    names = list(islice(cycle(f"d{number}" for number in range(DEVICES)), DEVICES))
    body = encoded(document(7))
    change = encoded({"home": {"menu": {"title": "changed"}}})
    gets = [request("GET", f"{ROOT}/device/{name}", headers=HEADERS) for name in names]
    puts = [request("PUT", f"{ROOT}/device/{name}", body, HEADERS) for name in names]
    patches = [request("PATCH", f"{ROOT}/device/{name}", change, HEADERS) for name in names]
    return {
        "empty GET": load(empty, [request("GET", "/", headers=HEADERS)]),
        "GET merged": load(port, gets),
        "empty POST": load(empty, [request("POST", "/", body, HEADERS)]),
        "PUT": load(port, puts, 204),
        "PATCH": load(port, patches, 204),
    }


def kinto_cases(port: int, load: Callable[..., Callable[[], Rate]]) -> dict[str, Callable[[], Rate]]:
    """Return the same three cases for a store that neither merges nor syncs."""
    names = [f"d{number}" for number in range(DEVICES)]
    change = {"home": {"menu": {"title": "changed"}}}
    patching = {**HEADERS, "Content-Type": "application/merge-patch+json"}
    return {
        "Kinto GET": load(port, kinto.requests_of("GET", names, None, HEADERS)),
        "Kinto PUT": load(port, kinto.requests_of("PUT", names, document(7), HEADERS)),
        "Kinto PATCH": load(port, kinto.requests_of("PATCH", names, change, patching)),
    }


def journal_cost(port: int, data: Path) -> float:
    """Return the journal's bytes for a PATCH of one property, in a document of 1 MiB to one of 1 KiB."""
    client = Client(port)
    costs = []
    for name, members in (("large", 18_000), ("small", 18)):
        value = {"c": {f"name{number}": TEXT for number in range(members)}}
        client.send("PUT", f"{ROOT}/device/{name}", encoded(value), HEADERS, 204)
        client.send("PATCH", f"{ROOT}/device/{name}/c", b'{"name7":"changed"}', HEADERS, 204)
        last = list(journal.scan(journal.RealDisk(data, create=False)))[-1].header
        costs.append(last.details_size + last.content_size)
    return costs[0] / costs[1]


def run(cases: dict[str, Callable[[], Rate]], rounds: int) -> dict[str, list[Rate]]:
    """Run every case once a round, in turn, so that a drift of the machine affects all alike."""
    rates: dict[str, list[Rate]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            rates[name].append(case())
    return rates
