"""What the short path through HTTP/1.1 saves: the same requests to two servers, one of which has it off.

Both run on one processor, in turns, and the load on another.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from retain.bench import blob_data as blobs
from retain.bench.ceiling import requests_of
from retain.bench.load import Load
from retain.bench.load import measure as ask
from retain.bench.peers import servers
from retain.bench.result import RunResult
from retain.bench.scenario import Case, RunSettings, Scenario, in_rounds, processors
from retain.bench.scenarios import settings_http

COUNT: Final = 500
"""Blobs, areas and devices of each server."""
SHORT_PATH, LONG_PATH = "retain", "retain, fast_http1 off"
SUCCESS: Final = (200, 201, 204)


def measure(settings: RunSettings, result: RunResult) -> None:
    """Measure five kinds of requests at both servers."""
    ours, theirs = processors()
    cases: dict[tuple[str, str], Case] = {}
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name, ExitStack() as stack:
        for server, is_short in ((LONG_PATH, "false"), (SHORT_PATH, "true")):
            folder = Path(name) / is_short
            folder.mkdir()
            configuration = settings_http.configuration(folder)
            with configuration.open("a") as file:
                file.write(f"{blobs.CONFIGURATION}\n[server]\nfast_http1 = {is_short}\n")
            port, pid = stack.enter_context(
                servers.retain(folder / "data", configuration, ours, checkout=settings.checkout)
            )
            for kind, requests in requests_of(port, settings.scaled(COUNT, 10)).items():
                load = Load(
                    port,
                    requests,
                    SUCCESS,
                    settings.connections,
                    settings.seconds,
                    pid=pid,
                    processor=theirs,
                    seed=settings.seed,
                )
                cases[kind, server] = partial(ask, load)
        in_rounds(settings, result, cases)
    for kind in dict.fromkeys(kind for kind, _ in cases):
        rows = (result.row(kind, SHORT_PATH), result.row(kind, LONG_PATH))
        result.ratio(f"{kind}: processor time off / on", *rows, "cpu_us")


SCENARIO = Scenario(
    "short-path", "Requests on the short path through HTTP/1.1, and without it.", measure, over_http=True
)
