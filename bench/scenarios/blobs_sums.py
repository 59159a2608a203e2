"""What checksums of uploads cost: processor time a mebibyte, and how long another client waits meanwhile.

`--base PYTHON` measures another checkout beside this one, in turns, given the interpreter of its environment.
"""

from __future__ import annotations

import http.client
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import mean

import click
from rich.console import Console

from retain.api.blobs.wire import crc64
from retain.bench import blobs, peers
from retain.bench.measures import median
from retain.bench.report import Report

MEBIBYTES = 8
BODY = bytes(range(256)) * (MEBIBYTES << 12)
BLOCK = blobs.target(f"/{blobs.CONTAINER}/sums", "comp=block&blockid=MDAx")
FORM = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n%b\r\n--b--\r\n' % BODY


@click.command(help=__doc__)
@click.option(
    "--rounds",
    default=5,
    show_default=True,
    help="Interleaved rounds; mean processor time and median wait count.",
)
@click.option("--base", default="", help="The Python of another checkout to measure beside this one.")
def main(rounds: int, base: str) -> None:
    """Send 8 MiB in each of four ways, and a small request after the other beside each."""
    options = f" --base {base}" if base else ""
    report = Report("blobs-sums", f"python -m retain.bench blobs-sums --rounds {rounds}{options}")
    checksum = {"x-ms-content-crc64": crc64.encode(crc64.crc64(BODY))}
    cases: dict[str, tuple[str, str, bytes, dict[str, str]]] = {
        "Put Blob": ("PUT", blobs.target(f"/{blobs.CONTAINER}/sums"), BODY, blobs.PUT),
        "Put Block": ("PUT", BLOCK, BODY, blobs.HEADERS),
        "Put Block with CRC-64": ("PUT", BLOCK, BODY, {**blobs.HEADERS, **checksum}),
        "area's file": (
            "POST",
            "/genesys/1/storage/60",
            FORM,
            {"Content-Type": "multipart/form-data; boundary=b"},
        ),
    }
    sides = {"here": sys.executable, **({"base": base} if base else {})}
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name, ExitStack() as stack:
        servers = {}
        for side, python in sides.items():
            folder = Path(name) / side
            folder.mkdir()
            configuration = blobs.configuration(folder)
            servers[side] = stack.enter_context(peers.retain(folder / "data", configuration, python=python))
            blobs.create_container(servers[side][0])
        found: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for _ in range(rounds):
            for case, asked in cases.items():
                for side, (port, pid) in servers.items():
                    found.setdefault((case, side), []).append(_measure(port, pid, *asked))
    for (case, side), measured in found.items():
        report.add(
            case=case,
            side=side,
            cpu_ms_a_MiB=mean(cpu * 1000 / MEBIBYTES for cpu, _ in measured),
            longest_wait_ms=median([longest * 1000 for _, longest in measured]),
        )
    report.notes.append("the wait is the longest of another client's small requests during one upload")
    report.show(Console())
    report.save()


def _measure(
    port: int, pid: int, method: str, target: str, body: bytes, headers: dict[str, str]
) -> tuple[float, float]:
    """Return the server's processor seconds of one upload, and the longest wait of another client."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    with _another_client(port) as waits:
        before = _processor_seconds(pid)
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        answer.read()
        spent = _processor_seconds(pid) - before
    connection.close()
    if answer.status not in (200, 201):
        raise RuntimeError(f"{method} was answered {answer.status}")
    return spent, max(waits)


@contextmanager
def _another_client(port: int) -> Iterator[list[float]]:
    waits: list[float] = []
    ended = threading.Event()

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        while not ended.wait(0.005):
            start = time.perf_counter()
            connection.request("GET", "/genesys/1/storage/missing")
            connection.getresponse().read()
            waits.append(time.perf_counter() - start)
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.1)
    waits.clear()
    try:
        yield waits
    finally:
        ended.set()
        thread.join()


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
