"""An HTTP/1.1 load generator over a fixed number of keep-alive connections, closed or open loop.

It runs in a process of its own, on bare sockets, so that it costs a fraction of what the server under test
costs. It counts only answers with the expected status. In the open loop requests fall due at a steady rate;
one whose connections are all busy waits, and its latency counts from when it was due: requests that a blocked
server kept from being sent count as late. `python -m retain.bench.load.generator` reads an order as JSON and
prints its counts.
"""

from __future__ import annotations

import json
import random
import selectors
import socket
import sys
import time
from collections import deque
from typing import Any, Final

from retain.bench.metrics import Latencies

_LAST_CHUNK: Final = b"\r\n0\r\n\r\n"


class LoadConnection:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        """When the request under way was due."""
        self._buffer = b""
        self._needed = -1
        self._chunked = False

    def send(self, request: bytes, due: float) -> None:
        """Send a request."""
        self.due = due
        self.socket.sendall(request)

    def receive(self, expect: list[int]) -> bool:
        """Read the received bytes; return whether the answer is complete.

        Raises:
            RuntimeError: It is another answer than expected.

        """
        data = self.socket.recv(1 << 18)
        if not data:
            raise RuntimeError("the server closed a connection")
        if self._chunked:
            self._buffer = (self._buffer + data)[-len(_LAST_CHUNK) :]
            return self._is_last_chunk()
        if self._needed < 0:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return False
            head = self._buffer[:end].lower()
            if int(head[9:12]) not in expect:
                raise RuntimeError(f"answered {self._buffer[:300]!r}")
            if b"\r\ntransfer-encoding: chunked" in head:
                return self._is_last_chunk()
            self._needed = end + 4 + _length(head, int(head[9:12])) - len(self._buffer)
        else:
            self._needed -= len(data)
        if self._needed > 0:
            return False
        self._buffer, self._needed = b"", -1
        return True

    def _is_last_chunk(self) -> bool:
        # Sufficient because the content of the measured answers never looks like this.
        self._chunked = not self._buffer.endswith(_LAST_CHUNK)
        if not self._chunked:
            self._buffer = b""
        return not self._chunked


def _length(head: bytes, status: int) -> int:
    if status in (204, 304):
        return 0
    length = head.find(b"\r\ncontent-length:")
    if length < 0:
        raise RuntimeError("an answer without Content-Length")
    return int(head[length + 17 :].split(b"\r\n", 1)[0])


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Carry out an order: see `retain.bench.load.drive`."""
    requests = [request.encode("latin-1") for request in order["requests"]]
    random.Random(order["seed"]).shuffle(requests)
    selector = selectors.DefaultSelector()
    free = deque(LoadConnection(order["port"]) for _ in range(order["connections"]))
    for connection in free:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    pace = 1 / order["rate"] if order["rate"] else 0.0
    start = now = time.perf_counter()
    begin = start + order["warm_up"]
    end = begin + order["seconds"]
    latencies, counted, answered, sent = Latencies(), 0, 0, 0
    while now < end:
        while free and (not pace or start + sent * pace <= now):
            connection = free.popleft()
            connection.send(requests[sent % len(requests)], start + sent * pace if pace else now)
            sent += 1
        wait = max(0.0, start + sent * pace - now) if pace and free else 1.0
        for key, _events in selector.select(wait):
            connection = key.data
            if connection.receive(order["expect"]):
                now = time.perf_counter()
                answered += 1
                if now >= begin:
                    counted += 1
                    latencies.record(now - connection.due)
                free.append(connection)
        now = time.perf_counter()
    return {"operations": counted, "all": answered, "seconds": now - begin, "curve": latencies.curve()}


if __name__ == "__main__":
    json.dump(run(json.load(sys.stdin)), sys.stdout)
