"""One large body over a bare socket, up or down, in a process of its own: how long it takes.

`python -m retain.bench.load.transfer` reads an order as JSON and prints the seconds.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from retain.bench.load.requests import request

PIECE = 1 << 20


def transfer(
    port: int,
    method: str,
    target: str,
    size: int,
    headers: Mapping[str, str],
    expect: int,
    processor: int | None = None,
) -> float:
    """Return the seconds from the first byte sent to the last byte received.

    Raises:
        RuntimeError: The status is not `expect`, or the answer has another length.
    """
    order = {
        "port": port,
        "head": _head(method, target, size, headers).decode("latin-1"),
        "upload": size if method == "PUT" else 0,
        "download": 0 if method == "PUT" else size,
        "expect": expect,
    }
    pinned = [] if processor is None else ["taskset", "-c", str(processor)]
    done = subprocess.run(
        [*pinned, sys.executable, "-m", "retain.bench.load.transfer"],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return float(done.stdout)


def _head(method: str, target: str, size: int, headers: Mapping[str, str]) -> bytes:
    if method != "PUT":
        return request(method, target, headers=headers)
    empty = request(method, target, headers=headers)
    return empty.replace(b"Content-Length: 0", b"Content-Length: %d" % size)


def _run(order: dict[str, Any]) -> float:
    piece = bytes(range(256)) * (PIECE // 256)
    into = memoryview(bytearray(PIECE))
    with socket.create_connection(("127.0.0.1", order["port"])) as stream:
        begin = time.perf_counter()
        stream.sendall(order["head"].encode("latin-1"))
        left = order["upload"]
        while left:
            stream.sendall(piece[:left])
            left -= min(left, PIECE)
        head = b""
        while b"\r\n\r\n" not in head:
            head += stream.recv(65536)
        if int(head[9:12]) != order["expect"]:
            raise RuntimeError(f"answered {head[:300]!r}")
        rest = order["download"] - len(head.partition(b"\r\n\r\n")[2])
        while order["download"] and rest:
            count = stream.recv_into(into)
            if not count:
                raise RuntimeError(f"{rest} bytes are missing")
            rest -= count
        return time.perf_counter() - begin


if __name__ == "__main__":
    print(_run(json.load(sys.stdin)))
