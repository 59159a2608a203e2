"""A closed-loop HTTP/1.1 load generator over a fixed number of keep-alive connections.

Each connection sends its next request when its last one is answered. The generator runs in a process of its
own, on bare sockets, so that it costs a fraction of what the server under test costs. It counts only answers
with the expected status.
"""

from __future__ import annotations

import json
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from retain.bench.measures import Latencies, Rate

LAST_CHUNK = b"\r\n0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Load:
    """One measurement.

    Attributes:
        host: Where to, a loopback address.
        port: TCP port.
        requests: Raw requests, sent in turn by each connection, each starting at another one.
        expect: Status line code every answer must have.
        connections: Keep-alive connections.
        seconds: How long is counted, after `warmup` seconds that are not.
        processor: Core to run on; None leaves that to the scheduler.
    """

    host: str
    port: int
    requests: Sequence[bytes]
    expect: int = 200
    connections: int = 16
    seconds: float = 3.0
    warmup: float = 0.5
    processor: int | None = None


def measure(load: Load) -> Rate:
    """Run the load in a process of its own.

    Raises:
        RuntimeError: An answer had another status, or the server closed the connections.
    """
    order = {
        "host": load.host,
        "port": load.port,
        "requests": [request.decode("latin-1") for request in load.requests],
        "expect": load.expect,
        "connections": load.connections,
        "seconds": load.seconds,
        "warmup": load.warmup,
    }
    command = [sys.executable, "-m", "retain.bench.load"]
    if load.processor is not None:
        command = ["taskset", "-c", str(load.processor), *command]
    done = subprocess.run(command, input=json.dumps(order), capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise RuntimeError(lines[-1] if lines else "the load generator failed")
    result = json.loads(done.stdout)
    return Rate(result["operations"], result["seconds"], Latencies(**result["latencies"]))


class _Connection:
    """One keep-alive connection and where it is in its list of requests."""

    def __init__(self, address: tuple[str, int], requests: list[bytes], start: int) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests = requests
        self._next = start
        self._buffer = b""
        self._needed = -1
        self._chunked = False
        self.sent_at = 0.0

    def send(self) -> None:
        self.sent_at = time.perf_counter()
        self.socket.sendall(self._requests[self._next % len(self._requests)])
        self._next += 1

    def receive(self, expect: int) -> bool:
        """Return whether the answer is complete."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise RuntimeError("the server closed a connection")
        if self._chunked:
            self._buffer = (self._buffer + data)[-len(LAST_CHUNK) :]
            return self._is_last_chunk()
        if self._needed < 0:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return False
            head = self._buffer[:end].lower()
            if int(head[9:12]) != expect:
                raise RuntimeError(f"answered {self._buffer[:300]!r}")
            if b"\r\ntransfer-encoding: chunked" in head:
                return self._is_last_chunk()
            self._needed = end + 4 + self._length(head, expect) - len(self._buffer)
        else:
            self._needed -= len(data)
        if self._needed > 0:
            return False
        self._buffer, self._needed = b"", -1
        return True

    @staticmethod
    def _length(head: bytes, status: int) -> int:
        """Return the length of the body."""
        if status in (204, 304):
            return 0
        length = head.find(b"\r\ncontent-length:")
        if length < 0:
            raise RuntimeError("an answer without Content-Length")
        return int(head[length + 17 :].split(b"\r\n", 1)[0])

    def _is_last_chunk(self) -> bool:
        # Good enough for answers whose content never looks like this, which are all we ask for.
        self._chunked = not self._buffer.endswith(LAST_CHUNK)
        if not self._chunked:
            self._buffer = b""
        return not self._chunked


def _run(order: dict[str, Any]) -> dict[str, Any]:
    requests = [request.encode("latin-1") for request in order["requests"]]
    selector = selectors.DefaultSelector()
    share = max(1, len(requests) // order["connections"])
    for number in range(order["connections"]):
        connection = _Connection((order["host"], order["port"]), requests, number * share)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send()
    begin = time.perf_counter() + order["warmup"]
    end = begin + order["seconds"]
    latencies: list[float] = []
    now = time.perf_counter()
    while now < end:
        for key, _events in selector.select(1.0):
            connection = key.data
            if connection.receive(order["expect"]):
                now = time.perf_counter()
                if now >= begin:
                    latencies.append(now - connection.sent_at)
                connection.send()
        now = time.perf_counter()
    summary = Latencies.of(latencies)
    return {
        "operations": len(latencies),
        "seconds": now - begin,
        "latencies": {"p50": summary.p50, "p99": summary.p99, "worst": summary.worst},
    }


if __name__ == "__main__":
    json.dump(_run(json.load(sys.stdin)), sys.stdout)
