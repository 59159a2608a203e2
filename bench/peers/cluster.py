"""A cluster to measure: nodes on a PostgreSQL with one synchronous standby, all on this machine."""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from retain.bench.load.requests import Client
from retain.bench.peers.servers import find, free_port, process

OLDEST: Final = 15
"""The oldest PostgreSQL that a cluster takes."""
ROLE: Final = (
    "CREATE ROLE retain LOGIN",
    "GRANT pg_checkpoint TO retain",
    "CREATE DATABASE retain OWNER retain",
)
GRANT: Final = "GRANT EXECUTE ON FUNCTION pg_switch_wal() TO retain"
SETTINGS: Final = """
listen_addresses = ''
shared_buffers = 64MB
wal_recycle = off
wal_keep_size = 0
wal_receiver_status_interval = 1s
"""
START_S: Final = 120.0


@contextmanager
def postgres_alone(folder: Path) -> Iterator[str]:
    """Run one PostgreSQL with its defaults below `folder`, which syncs each commit; give its SQLAlchemy URL.

    Raises:
        RuntimeError: PostgreSQL is not installed, or too old, or did not start.

    """
    programs = _programs()
    server = _own_folder(folder)
    _prepare(programs, server)
    with (server / "data" / "postgresql.conf").open("a") as file:
        file.write("listen_addresses = ''\n")
    with _server(programs, server):
        _sql(programs, server, "postgres", *ROLE)
        yield f"postgresql+psycopg2://retain@/retain?host={server}"


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run a primary and its synchronous standby below `folder`, and give the URL of the database.

    Both sync to the disk of `folder`. PostgreSQL refuses to run as root: its user is then `postgres`.

    Raises:
        RuntimeError: PostgreSQL is not installed, or too old, or did not start.

    """
    programs = _programs()
    primary, standby = (_own_folder(folder / name) for name in ("primary", "standby"))
    _prepare(programs, primary)
    with (primary / "data" / "postgresql.conf").open("a") as file:
        file.write(SETTINGS)
    with ExitStack() as stack:
        stack.enter_context(_server(programs, primary))
        _sql(programs, primary, "postgres", *ROLE)
        _sql(programs, primary, "retain", GRANT)
        _run(programs, "pg_basebackup", "-D", standby / "data", "-h", primary, "-U", "postgres", "-R",
             "-c", "fast", "--no-sync")  # fmt: skip
        stack.enter_context(_server(programs, standby))
        _sql(programs, primary, "postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'",
             "SELECT pg_reload_conf()")  # fmt: skip
        yield f"postgresql:///retain?user=retain&host={primary}"


@dataclass
class Node:
    """A node, which can be ended and started again.

    Attributes:
        name: Of the node.
        port: For clients, on loopback; the same after another start.

    """

    name: str
    port: int
    _folder: Path
    _environment: Mapping[str, str]
    _stack: ExitStack = field(default_factory=ExitStack)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return its process number."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and return when it answers.

        Raises:
            RuntimeError: It did not start, or does not answer.

        """
        command = [
            sys.executable,
            "-P",
            "-m",
            "retain",
            "serve",
            "--config",
            str(self._folder / "retain.toml"),
        ]
        self._process = self._stack.enter_context(process(command, self.port, environment=self._environment))
        deadline = time.monotonic() + START_S
        while True:
            with suppress(RuntimeError, OSError), Client(self.port) as client:
                client.send("GET", "/readyz")
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"node {self.name} does not answer")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as a power cut would."""
        os.kill(self.pid, signal.SIGKILL)
        self._stack.close()

    def stop(self) -> None:
        """End it as its supervisor does."""
        self._stack.close()


@contextmanager
def cluster(folder: Path, log: str, names: Sequence[str], configuration: str = "") -> Iterator[list[Node]]:
    """Begin a cluster and run its nodes; the first one leads.

    Args:
        folder: An empty folder.
        log: The URL of an empty database.
        names: Of the nodes.
        configuration: TOML, in the configuration of each node.

    Raises:
        RuntimeError: A node does not start.

    """
    secret = folder / "secret"
    secret.write_text(secrets.token_hex(32))
    secret.chmod(0o600)
    with ExitStack() as stack:
        nodes: list[Node] = []
        for name in names:
            own = folder / name
            own.mkdir()
            (own / "retain.toml").write_text(configuration)
            port = free_port()
            environment = {
                "RETAIN_SERVER_BIND": f"127.0.0.1:{port}",
                "RETAIN_STORAGE_DATA": str(own / "data"),
                "RETAIN_STORAGE_PAYLOADS": (folder / "payloads").as_uri(),
                "RETAIN_CLUSTER_LOG": log,
                "RETAIN_CLUSTER_NAME": name,
                "RETAIN_CLUSTER_LINK": f"127.0.0.1:{free_port()}",
                "RETAIN_CLUSTER_SECRET_FILE": str(secret),
            }
            if not nodes:
                _begin(own / "retain.toml", environment)
            node = Node(name, port, own, environment)
            stack.callback(node.stop)
            node.start()
            nodes.append(node)
        yield nodes


def _begin(configuration: Path, environment: Mapping[str, str]) -> None:
    command = [sys.executable, "-P", "-m", "retain", "node", "init", "--config", str(configuration)]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the cluster did not begin: {done.stderr.strip()}")


def _programs() -> Path:
    """Return the folder of PostgreSQL's programs.

    Raises:
        RuntimeError: There is none, or it is too old.

    """
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if (on_path := find("initdb")) is not None:
        found.append(Path(on_path).resolve().parent)
    for path in sorted(found, key=_version, reverse=True):
        if _version(path) >= OLDEST:
            return path
    raise RuntimeError(
        f"PostgreSQL {OLDEST} or newer is not installed; install it with: apt install postgresql"
    )


def _version(programs: Path) -> int:
    said = subprocess.run(
        [programs / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout
    return int(re.findall(r"\d+", said)[0])


def _user() -> dict[str, Any]:
    if os.getuid() != 0:
        return {}
    if not any(entry.pw_name == "postgres" for entry in pwd.getpwall()):
        raise RuntimeError("PostgreSQL does not run as root, and there is no user postgres")
    return {"user": "postgres", "group": "postgres", "extra_groups": []}


def _own_folder(folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    if _user():
        shutil.chown(folder, "postgres", "postgres")
    return folder


def _prepare(programs: Path, server: Path) -> None:
    """Make a server's data folder."""
    _run(programs, "initdb", "-D", server / "data", "--no-locale", "--encoding=UTF8", "--auth=trust",
         "--username=postgres", "--data-checksums")  # fmt: skip


def _run(programs: Path, name: str, *arguments: str | Path) -> None:
    done = subprocess.run(
        [programs / name, *arguments], capture_output=True, text=True, check=False, cwd="/", **_user()
    )
    if done.returncode:
        raise RuntimeError(f"{name} failed: {done.stderr.strip()[-2000:]}")


def _sql(programs: Path, server: Path, database: str, *statements: str) -> None:
    commands = [part for one in statements for part in ("-c", one)]
    _run(
        programs,
        "psql",
        "-q",
        "-h",
        server,
        "-U",
        "postgres",
        "-d",
        database,
        "-v",
        "ON_ERROR_STOP=1",
        *commands,
    )


@contextmanager
def _server(programs: Path, folder: Path) -> Iterator[None]:
    with (folder / "log").open("wb") as log:
        arguments: list[str | Path] = [programs / "postgres", "-D", folder / "data", "-k", folder]
        server = subprocess.Popen(arguments, stdout=log, stderr=log, cwd="/", **_user())
    try:
        deadline = time.monotonic() + START_S
        while subprocess.run([programs / "pg_isready", "-q", "-h", folder], check=False).returncode:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
