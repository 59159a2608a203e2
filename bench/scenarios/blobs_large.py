"""One large blob up and down beside nginx, which takes and serves the same bytes as a plain file.

What nginx does not do: MD5 and SHA-256 of what comes in, encryption, a sync before the answer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from retain.bench import blobs, peers
from retain.bench.measures import median, peak_resident_bytes, resident_bytes
from retain.bench.report import Report
from retain.bench.transfer import transfer


@click.command(help=__doc__)
@click.option("--mebibytes", default=1024, show_default=True, help="Size of the blob.")
@click.option("--rounds", default=5, show_default=True, help="Interleaved rounds; the median counts.")
def main(mebibytes: int, rounds: int) -> None:
    """Measure rates, their ratio to nginx's, and the memory of a transfer beyond the server's at rest."""
    report = Report(
        "blobs-large", f"python -m retain.bench blobs-large --mebibytes {mebibytes} --rounds {rounds}"
    )
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "files").mkdir()
        with (
            peers.nginx(folder / "files", folder, 0) as (other, _worker),
            peers.retain(folder / "retain", blobs.configuration(folder), 0) as (port, pid),
        ):
            blobs.create_container(port)
            _measure(report, (port, pid), other, mebibytes, rounds)
    report.notes.append("servers on core 0, client on core 1; rounds interleaved; ratios are medians")
    report.show(Console())
    report.save()


def _measure(report: Report, ours: tuple[int, int], other: int, mebibytes: int, rounds: int) -> None:
    size = mebibytes << 20
    port, pid = ours
    where = blobs.target(f"/{blobs.CONTAINER}/large")
    cases: dict[str, tuple[Callable[[], float], Callable[[], float]]] = {
        "up": (
            lambda: transfer(port, "PUT", where, size, blobs.PUT, 201, 1),
            # Onto the same name each time; nginx answers 201 for a new file and 204 for one replaced.
            lambda: transfer(other, "PUT", "/large", size, {}, 204, 1),
        ),
        "down": (
            lambda: transfer(port, "GET", where, size, blobs.HEADERS, 200, 1),
            lambda: transfer(other, "GET", "/large", size, {}, 200, 1),
        ),
    }
    transfer(other, "PUT", "/large", size, {}, 201, 1)
    cases["up"][0]()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    extra = dict.fromkeys(cases, 0)
    for _ in range(rounds):
        for name, (mine, theirs) in cases.items():
            before = resident_bytes(pid)
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew (proc(5))
            seconds = mine()
            extra[name] = max(extra[name], peak_resident_bytes(pid) - before)
            times[name].append((seconds, theirs()))
    for name, pairs in times.items():
        us, them = (median([pair[side] for pair in pairs]) for side in (0, 1))
        report.add(
            case=f"{mebibytes:,} MiB {name}",
            ours_MiB_s=mebibytes / us,
            nginx_MiB_s=mebibytes / them,
            extra_MiB=extra[name] / 2**20,
        )
        report.ratios[f"{name}: ours / nginx"] = median([them / us for us, them in pairs])
