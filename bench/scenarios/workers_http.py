"""Blob GETs of one process beside those of several workers, in turns, by wrk.

One process has core 0 and wrk core 1; workers and wrk share all cores. On a machine with few cores the rate
is short by what wrk takes, so the processor time of a request stands beside it: `scale` is how many times the
rate would be with a core for each worker and wrk elsewhere.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import click
from rich.console import Console

from retain.bench import blobs, peers
from retain.bench.measures import median
from retain.bench.report import Report

_RATE = re.compile(r"Requests/sec:\s+([0-9.]+)")
_BAD = re.compile(r"Non-2xx|Socket errors")


@click.command(help=__doc__)
@click.option("--count", default=1000, show_default=True, help="Blobs of 1 KiB, read in turn.")
@click.option("--workers", default=2, show_default=True, help="How many workers.")
@click.option("--rounds", default=5, show_default=True, help="Interleaved rounds; the median counts.")
@click.option("--seconds", default=3, show_default=True, help="Seconds of each measurement.")
@click.option("--connections", default=16, show_default=True, help="Keep-alive connections.")
def main(count: int, workers: int, rounds: int, seconds: int, connections: int) -> None:
    """Measure both in each round."""
    if shutil.which("wrk") is None:
        raise click.ClickException("wrk is not installed; on Debian: apt install wrk")
    command = f"python -m retain.bench workers-http --workers {workers} --rounds {rounds} --seconds {seconds}"
    report = Report("workers-http", command)
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name:
        folder = Path(name)
        script = folder / "get.lua"
        script.write_text(_script(count))
        rates: dict[str, list[tuple[float, float]]] = {}
        with (
            peers.retain(folder / "one", _configuration(folder, 1), 0) as one,
            peers.retain(folder / "several", _configuration(folder, workers)) as several,
        ):
            for port, _ in (one, several):
                blobs.create_container(port)
                blobs.fill(port, range(count), count)
            for _ in range(rounds):
                for label, server, core in (("one process", one, 1), (f"{workers} workers", several, None)):
                    rates.setdefault(label, []).append(_measured(server, script, seconds, connections, core))
    (single, many) = rates.values()
    for label, measured in rates.items():
        report.add(
            case=f"GET 1 KiB, {label}",
            per_second=median([rate for rate, _ in measured]),
            cpu_us=median([cost for _, cost in measured]),
        )
    report.ratios["rate"] = median([b / a for (a, _), (b, _) in zip(single, many, strict=True)])
    costs = zip(single, many, strict=True)
    report.ratios["scale"] = median([workers * alone / together for (_, alone), (_, together) in costs])
    report.show(Console())
    report.save()


def _configuration(folder: Path, workers: int) -> Path:
    path = folder / f"{workers}.toml"
    path.write_text(f"{blobs.configuration(folder).read_text()}\n[server]\nworkers = {workers}\n")
    return path


def _script(count: int) -> str:
    targets = ",".join(f'"{blobs.blob_target(number)}"' for number in range(count))
    headers = "".join(f'wrk.headers["{name}"]="{value}"\n' for name, value in blobs.HEADERS.items())
    return (
        f"local targets={{{targets}}}\nlocal at=0\n{headers}"
        "request=function() at=at%#targets+1 return wrk.format('GET',targets[at]) end\n"
    )


def _measured(
    server: tuple[int, int], script: Path, seconds: int, connections: int, core: int | None
) -> tuple[float, float]:
    """Return requests a second, and microseconds of processor time of all the server's processes for each."""
    port, pid = server
    pinned = ["taskset", "-c", str(core)] if core is not None else []
    url = f"http://127.0.0.1:{port}/"
    command = [*pinned, "wrk", "-t1", f"-c{connections}", f"-d{seconds}", "-s", str(script), url]
    before = _spent(pid)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    spent = _spent(pid) - before
    found = _RATE.search(done.stdout)
    if found is None or _BAD.search(done.stdout):
        raise RuntimeError(done.stdout)
    rate = float(found[1])
    return rate, spent / (rate * seconds) * 1e6


def _spent(pid: int) -> float:
    """Return the seconds of processor time of a process and its children."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return sum(map(_own, [pid, *map(int, listed.stdout.split())]))


def _own(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
