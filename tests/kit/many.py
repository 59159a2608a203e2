"""One server, or with RETAIN_TEST_NODES=3 three nodes of a cluster, and a port that leads to any of them."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from tests.kit import postgres
from tests.kit.server import ROOT, START_S, Server, running
from tests.kit.spreader import spread


@contextmanager
def one_or_many(folder: Path, config: str) -> Iterator[Server]:
    """Run a server; with RETAIN_TEST_NODES it is the first of some nodes, at the port that leads to all."""
    count = int(os.environ.get("RETAIN_TEST_NODES", "0"))
    if not count:
        with running(folder, config) as server:
            yield server
        return
    secret = folder / "secret"
    secret.write_text(secrets.token_hex(32))
    secret.chmod(0o600)
    with postgres.running() as servers, ExitStack() as stack:
        shared = {
            "RETAIN_CLUSTER_LOG": servers.server().url,
            "RETAIN_CLUSTER_SECRET_FILE": str(secret),
            "RETAIN_STORAGE_PAYLOADS": (folder / "payloads").as_uri(),
            # No node fails here, and on a busy machine grants of two seconds end.
            "RETAIN_CLUSTER_LEASE_SECONDS": "60",
            "RETAIN_CLUSTER_GRANT_SECONDS": "30",
        }
        found: list[Server] = []
        for number in range(1, count + 1):
            own = folder / f"n{number}"
            with socket.create_server(("127.0.0.1", 0)) as free:
                link = f"127.0.0.1:{free.getsockname()[1]}"
            environ = {**shared, "RETAIN_CLUSTER_NAME": own.name, "RETAIN_CLUSTER_LINK": link}
            if not found:
                _begin(own, config, environ)
            server = stack.enter_context(running(own, config, environ=environ))
            deadline = time.monotonic() + START_S
            while server.ask("GET", "/readyz")[0] != 200:
                assert time.monotonic() < deadline, server.log()
                time.sleep(0.02)
            found.append(server)
        seed = os.environ.get("RETAIN_NODES", "1")
        port = stack.enter_context(spread([server.port for server in found], seed))
        yield replace(found[0], port=port)


def _begin(folder: Path, config: str, environ: dict[str, str]) -> None:
    folder.mkdir()
    (folder / "retain.toml").write_text(config)
    subprocess.run(
        [sys.executable, "-m", "retain", "node", "init", "--config", str(folder / "retain.toml")],
        env={**os.environ, **environ, "RETAIN_STORAGE_DATA": str(folder / "data")},
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
