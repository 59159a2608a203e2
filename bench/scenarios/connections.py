"""Requests over 1 to 64 connections, closed loop: how throughput and waiting grow with the clients."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from retain.bench import blob_data as blobs
from retain.bench.load import Load
from retain.bench.load import measure as ask
from retain.bench.peers import servers
from retain.bench.result import RunResult
from retain.bench.scenario import Case, RunSettings, Scenario, in_rounds, processors

CONNECTIONS: Final = (1, 4, 16, 64)
BLOBS: Final = 1000


def measure(settings: RunSettings, result: RunResult) -> None:
    """Measure GET and PUT of blobs of 1 KiB."""
    core, other = processors()
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        port, pid = stack.enter_context(
            servers.retain(folder / "retain", blobs.configuration(folder), core, checkout=settings.checkout)
        )
        blobs.create_container(port)
        blobs.fill(port, range(BLOBS), BLOBS)
        kinds = {"GET": (blobs.gets(range(BLOBS)), 200), "PUT": (blobs.puts(range(BLOBS), BLOBS), 201)}
        cases: dict[tuple[str, str], Case] = {}
        for method, (requests, expect) in kinds.items():
            for count in CONNECTIONS:
                load = Load(
                    port,
                    requests,
                    expect,
                    count,
                    settings.seconds,
                    pid=pid,
                    processor=other,
                    seed=settings.seed,
                )
                cases[_name(method, count), "retain"] = partial(ask, load)
        in_rounds(settings, result, cases)
    for method in kinds:
        few, many = (result.row(_name(method, count)) for count in (16, 64))
        result.ratio(f"{method}: 64 connections / 16", many, few, goal=1.2)


def _name(method: str, connections: int) -> str:
    return f"{method} 1 KiB, {connections} connection{'s' if connections > 1 else ''}"


SCENARIO = Scenario("connections", "Blob GET and PUT over 1 to 64 connections.", measure, over_http=True)
