"""The processor time of a request, compared with an earlier one.

Processor time differs between machines, so it is counted in units of a fixed piece of Python that is measured
at the same time: matching, a signature, JSON, dictionaries, and a message through a socket, as requests need
them. The lowest of several rounds counts, because every disturbance adds to a measurement. Writes come over
one connection: otherwise the number that share a sync, and so their cost, would depend on the disk.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from retain.bench import blob_data as blobs
from retain.bench.load import Load, measure
from retain.bench.load.requests import Client, request
from retain.bench.peers import servers
from retain.bench.scenario import processors
from retain.bench.scenarios import settings_http
from retain.bench.scenarios.areas_http import BODY, FORM

BASELINE: Final = Path(__file__).parent / "baseline.json"
ALLOWED: Final = 1.10
"""The factor by which a cost may grow."""
ROUNDS: Final = 5
SECONDS: Final = 1.5
COUNT: Final = 500
_UNITS: Final = 2000
_WRITES: Final = frozenset(("blob PUT", "area create"))


def unit(ends: tuple[socket.socket, socket.socket]) -> None:
    """Do the fixed piece of work once; `ends` is a pair of sockets."""
    text = b"GET /account/container/name HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nX-Name: value\r\n\r\n"
    fields = dict(re.findall(rb"([A-Za-z-]+): ([^\r]*)\r\n", text))
    signature = hmac.digest(b"key" * 10, text, hashlib.sha256).hex()
    document = json.dumps({"name": signature, "fields": {k.decode(): v.decode() for k, v in fields.items()}})
    assert json.loads(document)["name"] == signature
    one, other = ends
    one.send(text)
    assert other.recv(4096) == text


def unit_seconds() -> float:
    """Return the processor seconds of a unit, measured in a process of its own on the server's core."""
    code = (
        "import socket, time; from retain.bench.ceiling import unit\n"
        "ends = socket.socketpair()\n"
        f"for _ in range({_UNITS // 4}): unit(ends)\n"
        "begin = time.process_time()\n"
        f"for _ in range({_UNITS}): unit(ends)\n"
        "print(time.process_time() - begin)"
    )
    core = processors()[0]
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    done = subprocess.run([*pinned, sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout) / _UNITS


def costs(rounds: int = ROUNDS, seconds: float = SECONDS) -> dict[str, float]:
    """Return what each kind of request costs, in units."""
    core, other = processors()
    fewest: dict[str, float] = {}
    least_unit = unit_seconds()
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        configuration = settings_http.configuration(folder)
        with configuration.open("a") as file:
            file.write(blobs.CONFIGURATION)
        port, pid = stack.enter_context(servers.retain(folder / "data", configuration, core))
        plain = Load(port, (b"",), (200, 201, 204), 16, seconds, pid=pid, processor=other, may_use_wrk=False)
        loads = {
            name: replace(plain, requests=requests, connections=1 if name in _WRITES else plain.connections)
            for name, requests in requests_of(port, COUNT).items()
        }
        for _ in range(rounds):
            for kind, load in loads.items():
                cost = measure(load).figures["cpu_us"]
                fewest[kind] = min(cost, fewest.get(kind, cost))
            least_unit = min(least_unit, unit_seconds())
    return {kind: cost / 1e6 / least_unit for kind, cost in fewest.items()}


def requests_of(port: int, count: int) -> dict[str, list[bytes]]:
    """Prepare `count` blobs, areas and devices; return one request of each kind for each of them."""
    blobs.create_container(port)
    blobs.fill(port, range(count), count)
    settings_http.prepare(port, count)
    with Client(port) as client:
        ids = [
            json.loads(client.send("POST", "/genesys/1/storage/36000", BODY, FORM))["id"]
            for _ in range(count)
        ]
        devices = [f"{settings_http.ROOT}/device/d{number}" for number in range(count)]
        return {
            "blob GET": blobs.gets(range(count)),
            "blob PUT": blobs.puts(range(count), count),
            "area query": [request("GET", f"/genesys/1/storage/{one}") for one in ids],
            "area create": [request("POST", "/genesys/1/storage/3600", BODY, FORM)],
            "settings GET": [request("GET", one, headers=settings_http.HEADERS) for one in devices],
        }


def grown(now: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """Return the costs that grew by more than is allowed, each as a ratio to before."""
    ratios = {kind: now[kind] / before[kind] for kind in before if kind in now}
    return {kind: ratio for kind, ratio in ratios.items() if ratio > ALLOWED}
