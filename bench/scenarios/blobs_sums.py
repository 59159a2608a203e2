"""The cost of uploads' checksums: processor time a mebibyte, and another client's wait meanwhile.

`retain bench compare BASE . -s blobs-sums` measures another version beside this one, in turns.
"""

from __future__ import annotations

import http.client
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from retain.api.blobs.wire import crc64
from retain.bench import blob_data as blobs
from retain.bench.metrics import Measurement, cpu_seconds
from retain.bench.peers import servers
from retain.bench.result import RunResult
from retain.bench.scenario import Case, RunSettings, Scenario, in_rounds

MEBIBYTES = 8
BODY = bytes(range(256)) * (MEBIBYTES << 12)
BLOCK = blobs.target(f"/{blobs.CONTAINER}/sums", "comp=block&blockid=MDAx")
FORM = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n%b\r\n--b--\r\n' % BODY


def measure(settings: RunSettings, result: RunResult) -> None:
    """Send 8 MiB in each of four ways, and a small request after the other beside each."""
    checksum = {"x-ms-content-crc64": crc64.encode(crc64.crc64(BODY))}
    asked: dict[str, tuple[str, str, bytes, dict[str, str]]] = {
        "Put Blob": ("PUT", blobs.target(f"/{blobs.CONTAINER}/sums"), BODY, blobs.PUT),
        "Put Block": ("PUT", BLOCK, BODY, blobs.HEADERS),
        "Put Block with CRC-64": ("PUT", BLOCK, BODY, {**blobs.HEADERS, **checksum}),
        "an area's file": (
            "POST",
            "/genesys/1/storage/60",
            FORM,
            {"Content-Type": "multipart/form-data; boundary=b"},
        ),
    }
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name:
        folder = Path(name)
        configuration = blobs.configuration(folder)
        with servers.retain(folder / "data", configuration, checkout=settings.checkout) as (port, pid):
            blobs.create_container(port)
            cases: dict[tuple[str, str], Case] = {
                (case, "retain"): partial(_sent, port, pid, *request) for case, request in asked.items()
            }
            in_rounds(settings, result, cases)
    result.notes.append(
        "the wait is the longest of another client's small requests during one upload of 8 MiB"
    )


def _sent(port: int, pid: int, method: str, target: str, body: bytes, headers: dict[str, str]) -> Measurement:
    """Return the server's processor time of one upload, and the longest wait of another client."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    with _another_client(port) as waits:
        before = cpu_seconds(pid)
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        answer.read()
        spent = cpu_seconds(pid) - before
    connection.close()
    if answer.status not in (200, 201):
        raise RuntimeError(f"{method} was answered {answer.status}")
    return Measurement({"cpu_seconds": spent, "worst_ms": max(waits) * 1000})


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


SCENARIO = Scenario(
    "blobs-sums",
    "What checksums of uploads cost, and how long another client waits meanwhile.",
    measure,
    over_http=True,
)
