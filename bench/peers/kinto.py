"""Kinto (PyPI) as a peer of the settings interface: HTTP storage of JSON with rights.

The extra `retain[bench]` installs it beside Retain. Another installation is named in `BENCH_KINTO`, or found
on the path. It is measured with its memory backend, which loses everything when it stops; this favours Kinto.
Where PostgreSQL and `kinto[postgresql]` are installed, it is measured on that, too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retain.bench.load.requests import Client, request
from retain.bench.peers import servers

PARTS = ("storage", "cache", "permission")

WRITTEN = (200,)
WRITTEN_OR_NOT = (200, 409)
"""Answers to writes in PostgreSQL: two to one collection in the same millisecond conflict."""

RECORDS = "/v1/buckets/default/collections/bench/records"

CONFIGURATION = """
[server:main]
use = egg:waitress
host = 127.0.0.1
port = PORT
threads = 8

[app:main]
use = egg:kinto
BACKENDS
kinto.includes = kinto.plugins.default_bucket
multiauth.policies = basicauth
kinto.userid_hmac_secret = bench
kinto.bucket_create_principals = system.Everyone

[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = generic
[logger_root]
level = ERROR
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = generic
[formatter_generic]
format = %(message)s
"""


def command() -> str | None:
    """Return Kinto's command, if it is installed."""
    beside = Path(sys.executable).parent
    return os.environ.get("BENCH_KINTO") or shutil.which(
        "kinto", path=f"{beside}{os.pathsep}{os.environ['PATH']}"
    )


def may_use_postgres(found: str) -> bool:
    """Return whether this Kinto has what it takes to reach PostgreSQL."""
    python = Path(found).parent / "python"
    probe = [str(python), "-c", "import psycopg2, sqlalchemy, zope.sqlalchemy"]
    return python.exists() and subprocess.run(probe, capture_output=True, check=False).returncode == 0


@contextmanager
def kinto(
    headers: Mapping[str, str], values: Mapping[str, Any], processor: int | None, database: str | None = None
) -> Iterator[tuple[int, int]]:
    """Run Kinto with `values` as records under their ids, and give its port and process number.

    It keeps them in memory, or in the PostgreSQL whose URL is `database`.

    Raises:
        RuntimeError: It did not start, or could not prepare the database.

    """
    found = command()
    assert found is not None
    kind = "memory" if database is None else "postgresql"
    backends = [f"kinto.{part}_backend = kinto.core.{part}.{kind}" for part in PARTS]
    if database is not None:
        backends += [f"kinto.{part}_url = {database}" for part in PARTS]
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "kinto.ini"
        port = servers.free_port()
        configuration.write_text(
            CONFIGURATION.replace("PORT", str(port)).replace("BACKENDS", "\n".join(backends))
        )
        if database is not None:
            migrate = [found, "migrate", "--ini", str(configuration)]
            done = subprocess.run(migrate, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"kinto migrate failed: {done.stderr.strip()[-2000:]}")
        start = [found, "start", "--ini", str(configuration), "--port", str(port)]
        with servers.process(start, port, processor=processor) as server:
            with Client(port) as client:
                client.send("PUT", "/v1/buckets/default/collections/bench", b"{}", headers, 201)
                for name, value in values.items():
                    client.send("PUT", f"{RECORDS}/{name}", body_of(value), headers, 201)
            yield port, server.pid


def body_of(value: Any) -> bytes:
    """Return a record's body."""
    return json.dumps({"data": value}).encode()


def requests_of(method: str, names: list[str], value: Any, headers: Mapping[str, str]) -> list[bytes]:
    """Return one request for each record; without a value, a body is left out."""
    body = b"" if value is None else body_of(value)
    return [request(method, f"{RECORDS}/{name}", body, headers) for name in names]
