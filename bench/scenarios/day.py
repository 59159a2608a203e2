"""A contact centre's day in an open loop: recordings, forms and settings, written and read.

Requests fall due at a steady rate, whether or not the server keeps up, and a latency counts from when its
request was due. The rates are shares of what one core can serve, so that the percentiles show queueing, not
overload.
"""

from __future__ import annotations

import json
import random
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from retain.bench import blob_data as blobs
from retain.bench.load import Load
from retain.bench.load import measure as ask
from retain.bench.load.requests import Client, request
from retain.bench.peers import servers
from retain.bench.result import RunResult
from retain.bench.scenario import Case, RunSettings, Scenario, in_rounds, processors
from retain.bench.scenarios import settings_http
from retain.bench.scenarios.areas_http import BODY, FORM

RATES: Final = (200, 500, 1000)
"""Requests a second."""
BLOBS: Final = 2000
REQUESTS: Final = 2000
MIX: Final = {
    "play a recording": 30,
    "write a recording": 20,
    "list a page": 2,
    "find by tags": 3,
    "read settings": 20,
    "read a form": 15,
    "keep a form": 10,
}
"""Parts of a hundred requests."""


def measure(settings: RunSettings, result: RunResult) -> None:
    """Measure the mix at several rates."""
    core, other = processors()
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        configuration = settings_http.configuration(folder)
        with configuration.open("a") as file:
            file.write(blobs.CONFIGURATION)
        port, pid = stack.enter_context(
            servers.retain(folder / "retain", configuration, core, checkout=settings.checkout)
        )
        kinds = _prepared(port)
        cases: dict[tuple[str, str], Case] = {}
        for kind, requests in {**kinds, "the whole mix": _mixed(kinds, settings.seed)}.items():
            for rate in RATES if kind == "the whole mix" else RATES[:1]:
                load = Load(
                    port,
                    requests,
                    (200, 201),
                    settings.connections,
                    settings.seconds,
                    float(rate),
                    pid,
                    other,
                    settings.seed,
                )
                cases[f"{kind}, {rate:,} a second", "retain"] = partial(ask, load)
        in_rounds(settings, result, cases)
    shares = ", ".join(f"{share} % {kind}" for kind, share in MIX.items())
    result.notes.append(f"open loop over {settings.connections} connections; the mix: {shares}")


def _prepared(port: int) -> dict[str, list[bytes]]:
    blobs.create_container(port)
    blobs.fill(port, range(BLOBS), BLOBS)
    settings_http.prepare(port)
    with Client(port) as client:
        ids = [
            json.loads(client.send("POST", "/genesys/1/storage/36000", BODY, FORM))["id"] for _ in range(500)
        ]
        devices = [f"{settings_http.ROOT}/device/d{number}" for number in range(settings_http.DEVICES)]
        return {
            "play a recording": blobs.gets(range(BLOBS)),
            "write a recording": blobs.puts(range(BLOBS), BLOBS),
            "list a page": [request("GET", blobs.list_target(100), headers=blobs.HEADERS)],
            "find by tags": [request("GET", blobs.find_target(), headers=blobs.HEADERS)],
            "read settings": [request("GET", one, headers=settings_http.HEADERS) for one in devices],
            "read a form": [request("GET", f"/genesys/1/storage/{one}") for one in ids],
            "keep a form": [request("POST", "/genesys/1/storage/3600", BODY, FORM)],
        }


def _mixed(kinds: dict[str, list[bytes]], seed: int) -> list[bytes]:
    source = random.Random(seed)
    names = source.choices(list(MIX), list(MIX.values()), k=REQUESTS)
    return [source.choice(kinds[name]) for name in names]


SCENARIO = Scenario(
    "day", "A contact centre's day: a mix of requests at steady rates, open loop.", measure, over_http=True
)
