"""A steady mix for a long time, to see whether latencies, memory or descriptors of the server grow."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from retain.bench import blob_data as blobs
from retain.bench.load import Load
from retain.bench.load import measure as ask
from retain.bench.metrics import Measurement, resident_bytes
from retain.bench.peers import servers
from retain.bench.result import RunResult
from retain.bench.scenario import RunSettings, Scenario, processors

RATE: Final = 300.0
PIECES: Final = 10
"""Number of measurements; each lasts `--seconds` times this number."""
BLOBS: Final = 1000


def measure(settings: RunSettings, result: RunResult) -> None:
    """Overwrite and read the same blobs at a steady rate, and measure repeatedly."""
    core, other = processors()
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        port, pid = stack.enter_context(
            servers.retain(folder / "retain", blobs.configuration(folder), core, checkout=settings.checkout)
        )
        blobs.create_container(port)
        blobs.fill(port, range(BLOBS), BLOBS)
        requests = blobs.gets(range(BLOBS)) + blobs.puts(range(BLOBS), BLOBS)
        seconds = settings.seconds * PIECES
        for piece in range(PIECES):
            load = Load(
                port,
                requests,
                (200, 201),
                settings.connections,
                seconds,
                RATE,
                pid,
                other,
                settings.seed + piece,
            )
            sample = ask(load)
            result.add(
                f"{seconds:g} s, part {piece + 1} of {PIECES}",
                Measurement({**sample.figures, **_held(pid)}, sample.curve),
            )
    first, last = result.rows[1], result.rows[-1]
    result.ratio("memory: second part / last", last, first, "mib")
    result.notes.append(f"{RATE:g} requests a second, half of them writes, open loop")


def _held(pid: int) -> dict[str, float]:
    return {"mib": resident_bytes(pid) / 2**20}


SCENARIO = Scenario(
    "soak", "A steady mix for minutes or hours: whether anything grows.", measure, over_http=True
)
