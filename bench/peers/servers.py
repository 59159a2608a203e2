"""Servers to measure beside Retain, in the same run: started as processes, stopped at the end."""

from __future__ import annotations

import json
import os
import shlex
import shutil
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
"""The baseline for performance claims: an empty Quart-Trio handler under stock Hypercorn, without an access
log.
"""


BARE = """
import hypercorn.trio, trio
from hypercorn.config import Config

HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
BODY = {"type": "http.response.body", "body": b"", "more_body": False}

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send(HEAD)
    await send(BODY)

config = Config()
config.bind = ["127.0.0.1:%d"]
config.keep_alive_max_requests = 10**9
config.loglevel = "ERROR"
trio.run(hypercorn.trio.serve, app, config)
"""
"""The cost of Hypercorn without a framework: a callable that answers nothing."""


NPM_PEERS = Path("bench-peers/node_modules/.bin")
"""Below the present folder: where `make bench-peers` installs the programs that npm has."""


def find(name: str) -> str | None:
    """Return the path of a program, also of administrators' and of `NPM_PEERS`; None if it is missing."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(name, path=f"{path}:/usr/sbin:/usr/local/sbin:{NPM_PEERS.absolute()}")


def free_port() -> int:
    """Return a port on which nothing listens at the moment."""
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
    """Run a server while the block runs, which begins once `port` on loopback accepts.

    Raises:
        RuntimeError: The server ended, or did not listen within `wait_s` seconds.
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
def empty_handler(processor: int | None = None) -> Iterator[tuple[int, int]]:
    """Run an empty Quart-Trio handler, the baseline; give its port and process number."""
    port = free_port()
    with process([sys.executable, "-c", EMPTY % port], port, processor=processor) as server:
        yield port, server.pid


@contextmanager
def bare_callable(processor: int | None = None) -> Iterator[tuple[int, int]]:
    """Run a bare ASGI callable under the same Hypercorn; give its port and process number."""
    port = free_port()
    with process([sys.executable, "-c", BARE % port], port, processor=processor) as server:
        yield port, server.pid


@contextmanager
def retain(
    data: Path,
    configuration: Path,
    processor: int | None = None,
    *,
    checkout: Path | None = None,
    options: Sequence[str] = (),
) -> Iterator[tuple[int, int]]:
    """Run Retain on `data`, and give its port and process number.

    Args:
        data: The data folder.
        configuration: The configuration file.
        processor: Core to run on.
        checkout: A folder whose version runs, instead of this one's.
        options: More options of `retain serve`.

    """
    port = free_port()
    command = [sys.executable, "-P", "-m", "retain", "serve", "--config", str(configuration), *options]
    environment = {"RETAIN_SERVER_BIND": f"127.0.0.1:{port}", "RETAIN_STORAGE_DATA": str(data)}
    if checkout is not None:
        environment["PYTHONPATH"] = str(checkout)
    with process(command, port, processor=processor, environment=environment, wait_s=300) as server:
        yield port, server.pid


@contextmanager
def azurite(data: Path, processor: int | None = None) -> Iterator[tuple[int, int]]:
    """Run Azurite's blob service (npm package `azurite`) on `data`; give its port and process number.

    It is started without telemetry, and accepts clients newer than itself.

    Raises:
        RuntimeError: It is not installed, or did not start.
    """
    found = find("azurite-blob")
    if found is None:
        raise RuntimeError(
            "azurite-blob is not installed; install it with: npm install --prefix bench-peers azurite"
        )
    data.mkdir(exist_ok=True)
    port = free_port()
    where = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(data), "--silent"]
    command = [found, *where, "--disableTelemetry", "--skipApiVersionCheck"]
    with process(command, port, processor=processor) as server:
        yield port, server.pid


NGINX = """
daemon off;
pid %(folder)s/nginx.pid;
error_log stderr;
worker_processes 1;
events {}
http {
    access_log off;
    client_body_temp_path %(folder)s;
    server {
        listen 127.0.0.1:%(port)d;
        root %(root)s;
        client_max_body_size 0;
        location / { dav_methods PUT; sendfile on; }
    }
}
"""


@contextmanager
def nginx(root: Path, folder: Path, processor: int | None = None) -> Iterator[tuple[int, int]]:
    """Run nginx over the files below `root`, PUT included; give its port and its worker's process number.

    Raises:
        RuntimeError: It is not installed, or did not start.
    """
    found = find("nginx")
    if found is None:
        raise RuntimeError("nginx is not installed; install it with: apt install nginx-light")
    port = free_port()
    written = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    written.write_text(user + NGINX % {"folder": folder, "port": port, "root": root})
    command = [found, "-c", str(written), "-e", "stderr"]
    with process(command, port, processor=processor) as server:
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        yield port, int(children[0])


@contextmanager
def webdis(folder: Path, processor: int | None = None) -> Iterator[tuple[int, int]]:
    """Run Redis with `appendfsync always` behind webdis, which speaks HTTP.

    Redis then syncs each write before it answers. Give webdis' port and the number of a process whose family
    is both of them.

    Raises:
        RuntimeError: One of them is not installed, or did not start.

    """
    redis, gate = find("redis-server"), find("webdis")
    if redis is None or gate is None:
        raise RuntimeError(
            "redis-server or webdis is not installed; install them with: apt install redis webdis"
        )
    folder.mkdir(exist_ok=True)
    inner, port = free_port(), free_port()
    kept = ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--dir", str(folder)]
    configuration = folder / "webdis.json"
    configuration.write_text(
        json.dumps(
            {
                "redis_host": "127.0.0.1",
                "redis_port": inner,
                "http_host": "127.0.0.1",
                "http_port": port,
                "threads": 1,
                "daemonize": False,
                "verbosity": 0,
                "logfile": "/dev/null",
            }
        )
    )
    where = ["--bind", "127.0.0.1", "--port", str(inner), *kept]
    both = (
        f"{shlex.join([redis, *where])} & "
        f"until {shlex.join(['redis-cli', '-p', str(inner), 'ping'])} >/dev/null 2>&1; do sleep 0.05; done; "
        f"{shlex.join([gate, str(configuration)])} & "
        "trap 'kill $(jobs -p); wait' TERM; wait"
    )
    with process(["sh", "-c", both], port, processor=processor) as server:
        yield port, server.pid


@contextmanager
def s3rver(folder: Path, processor: int | None = None) -> Iterator[tuple[int, int]]:
    """Run s3rver (npm), a small S3 that keeps objects as files; give its port and process number.

    Its bucket is called `bench`.

    Raises:
        RuntimeError: It is not installed, or did not start.

    """
    found = find("s3rver")
    if found is None:
        raise RuntimeError(
            "s3rver is not installed; install it with: npm install --prefix bench-peers s3rver"
        )
    folder.mkdir(exist_ok=True)
    port = free_port()
    where = ["-d", str(folder), "-a", "127.0.0.1", "-p", str(port)]
    command = [found, *where, "--silent", "--configure-bucket", "bench"]
    with process(command, port, processor=processor) as server:
        yield port, server.pid


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
