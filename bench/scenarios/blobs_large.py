"""One large blob up and down beside nginx, which takes and serves the same bytes as a plain file.

nginx does none of these: MD5 and SHA-256 of the upload, encryption, a sync before the answer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from retain.bench import blob_data as blobs
from retain.bench.load.transfer import transfer
from retain.bench.metrics import Measurement, cpu_seconds, forget_peak, peak_resident_bytes, resident_bytes
from retain.bench.peers import servers
from retain.bench.result import RunResult
from retain.bench.scenario import Case, RunSettings, Scenario, in_rounds, processors

MEBIBYTES: Final = 1024
UP, DOWN, NGINX = "up", "down", "nginx"


def measure(settings: RunSettings, result: RunResult) -> None:
    """Measure rates, and the memory of a transfer beyond the server's at rest."""
    mebibytes = settings.scaled(MEBIBYTES, 64)
    size = mebibytes << 20
    core, other = processors()
    where = blobs.target(f"/{blobs.CONTAINER}/large")
    cases: dict[tuple[str, str], Case] = {}
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # nginx' worker is another user
        port, pid = stack.enter_context(
            servers.retain(folder / "retain", blobs.configuration(folder), core, checkout=settings.checkout)
        )
        blobs.create_container(port)
        cases[UP, "retain"] = _rate(
            pid, size, lambda: transfer(port, "PUT", where, size, blobs.PUT, 201, other)
        )
        cases[DOWN, "retain"] = _rate(
            pid, size, lambda: transfer(port, "GET", where, size, blobs.HEADERS, 200, other)
        )
        if settings.with_peers:
            (folder / "files").mkdir()
            try:
                at, worker = stack.enter_context(servers.nginx(folder / "files", folder, core))
            except RuntimeError as error:
                result.notes.append(str(error))
            else:
                # Onto the same name each time: nginx answers 201 for a new file and 204 for one replaced.
                transfer(at, "PUT", "/large", size, {}, 201, other)
                cases[UP, NGINX] = _rate(
                    worker, size, lambda: transfer(at, "PUT", "/large", size, {}, 204, other)
                )
                cases[DOWN, NGINX] = _rate(
                    worker, size, lambda: transfer(at, "GET", "/large", size, {}, 200, other)
                )
        cases[UP, "retain"]()
        in_rounds(settings, result, cases)
    for case, goal in ((UP, 0.5), (DOWN, 0.75)):
        if (case, NGINX) in cases:
            ours, theirs = result.row(case), result.row(case, NGINX)
            result.ratio(
                f"{mebibytes:,} MiB {case}: Retain / nginx", ours, theirs, "mib_per_second", goal=goal
            )
    result.notes.append(f"{mebibytes:,} MiB; memory is what a transfer takes beyond the server at rest")


def _rate(pid: int, size: int, run: Callable[[], float]) -> Case:
    def measured() -> Measurement:
        before, spent = resident_bytes(pid), cpu_seconds(pid)
        forget_peak(pid)
        seconds = run()
        extra = max(0, peak_resident_bytes(pid) - before)
        figures = {"mib_per_second": size / 2**20 / seconds, "mib": extra / 2**20}
        return Measurement(figures | {"cpu_seconds": cpu_seconds(pid) - spent})

    return measured


SCENARIO = Scenario(
    "blobs-large", "One gibibyte up and down over one connection.", measure, (NGINX,), over_http=True
)
