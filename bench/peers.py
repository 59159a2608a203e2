"""Servers to measure beside ours, in the same run: started as processes, stopped at the end."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

EMPTY = """
import hypercorn.trio, trio
from hypercorn.config import Config
from quart_trio import QuartTrio

app = QuartTrio(__name__)

@app.route("/", methods=["GET", "POST"])
async def empty():
    return b"", 200, {"Content-Type": "text/plain"}

config = Config()
config.bind = ["127.0.0.1:%d"]
config.keep_alive_max_requests = 10**9
config.loglevel = "ERROR"
trio.run(hypercorn.trio.serve, app, config)
"""
"""The yardstick of performance claims: an empty Quart-Trio handler under stock Hypercorn, without an access
log."""


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(
    command: Sequence[str],
    port: int,
    *,
    processor: int | None = None,
    environment: Mapping[str, str] | None = None,
    wait_s: float = 60.0,
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a server until it is left; begins once ``port`` on loopback accepts.

    Raises:
        RuntimeError: It ended or did not listen within ``wait_s`` seconds.
    """
    pinned = ["taskset", "-c", str(processor)] if processor is not None else []
    said = tempfile.TemporaryFile()  # noqa: SIM115, closed below: it must outlive the process
    server = subprocess.Popen(
        [*pinned, *command],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=said,
    )
    try:
        deadline = time.monotonic() + wait_s
        while not _accepts(port):
            if server.poll() is not None or time.monotonic() > deadline:
                server.kill()
                said.seek(0)
                raise RuntimeError(f"{command[0]} did not start: {said.read()[-2000:].decode()}")
            time.sleep(0.02)
        yield server
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        said.close()


@contextmanager
def empty_handler(processor: int | None = None) -> Iterator[int]:
    """The yardstick's port."""
    port = free_port()
    with process([sys.executable, "-c", EMPTY % port], port, processor=processor):
        yield port


@contextmanager
def retain(data: Path, configuration: Path, processor: int | None = None) -> Iterator[tuple[int, int]]:
    """Our server on ``data``: its port and process number."""
    port = free_port()
    command = [sys.executable, "-m", "api.cli", "serve", "--config", str(configuration)]
    environment = {"RETAIN_SERVER_BIND": f"127.0.0.1:{port}", "RETAIN_STORAGE_DATA": str(data)}
    with process(command, port, processor=processor, environment=environment, wait_s=300) as server:
        yield port, server.pid


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
