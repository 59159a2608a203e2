"""PostgreSQL under Patroni and etcd, from Debian's packages: who is the primary, they decide."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import urlopen

import psycopg

from tests.kit import postgres
from tests.test_nodes import free_address

Found = TypeVar("Found")

LIMIT_S = 120.0
"""A failover, or the return of a server, takes less."""
TTL_S = 20
"""As docs/cluster/installing.md has it; Patroni takes no shorter one."""


class Member:
    """One Patroni with its PostgreSQL.

    Args:
        folder: An empty folder of the user `postgres`.
        etcd: Its address.

    """

    def __init__(self, folder: Path, etcd: str) -> None:
        self.folder = folder
        self._rest, listen = free_address(), free_address()
        self.port = int(listen.partition(":")[2])
        self.address = ("127.0.0.1", self.port)
        self._process: subprocess.Popen[bytes] | None = None
        trust = ["local all all trust", "host all all 127.0.0.1/32 trust"]
        configuration = {
            "scope": "retain",
            "name": folder.name,
            "restapi": {"listen": self._rest, "connect_address": self._rest},
            "etcd3": {"host": etcd},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL_S,
                    "loop_wait": 5,
                    "retry_timeout": 5,
                    "synchronous_mode": True,
                    "postgresql": {
                        "use_pg_rewind": True,
                        "parameters": {"wal_recycle": "off", "wal_keep_size": "0", "shared_buffers": "16MB"},
                    },
                },
                "initdb": ["data-checksums", "no-locale", {"encoding": "UTF8"}],
            },
            "postgresql": {
                "listen": listen,
                "connect_address": listen,
                "data_dir": str(folder / "data"),
                "bin_dir": str(postgres.programs()),
                "authentication": {name: {"username": "postgres"} for name in ("superuser", "replication")},
                "pgpass": str(folder / "pgpass"),
                "pg_hba": [*trust, "host replication all 127.0.0.1/32 trust"],
                # What a killed server has in memory would stay there; mmap has it in the folder.
                "parameters": {
                    "unix_socket_directories": str(folder),
                    "dynamic_shared_memory_type": "mmap",
                },
            },
        }
        (folder / "patroni.yml").write_text(json.dumps(configuration))  # JSON is YAML

    def start(self) -> None:
        """Start it; it joins by itself."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["patroni", self.folder / "patroni.yml"],
                stdout=log, stderr=log, cwd=self.folder, **postgres.as_postgres(),
            )  # fmt: skip

    def kill(self) -> None:
        """End Patroni and PostgreSQL at once."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGSTOP)  # it would start PostgreSQL again
        with suppress(FileNotFoundError):
            postmaster = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
            children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
            for pid in (postmaster, *map(int, children)):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()

    def sql(self, *statements: str, database: str = "retain") -> list[tuple[Any, ...]]:
        """Run statements as the superuser; return the last one's rows."""
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname=database, autocommit=True
        ) as session:
            for statement in statements:
                cursor = session.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def is_primary(self) -> bool:
        """Whether it answers, and may be written to."""
        with suppress(psycopg.Error):
            return self.sql("SELECT pg_is_in_recovery()", database="postgres") == [(False,)]
        return False

    def may_take_over(self) -> bool:
        """Whether it is the synchronous standby, and Patroni has noted that."""
        with suppress(OSError), urlopen(f"http://{self._rest}/sync", timeout=5):
            return True
        return False


class PatroniDatabase:
    """A primary and its synchronous standby, as `tests.cluster.database.Database`.

    Args:
        root: An empty folder.

    """

    def __init__(self, root: Path) -> None:
        self._etcd, client, peer = _owned(root / "etcd"), free_address(), free_address()
        self.failovers: list[float] = []
        with (self._etcd / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["etcd", "--data-dir", self._etcd / "data",
                 "--listen-client-urls", f"http://{client}", "--advertise-client-urls", f"http://{client}",
                 "--listen-peer-urls", f"http://{peer}", "--initial-advertise-peer-urls", f"http://{peer}",
                 "--initial-cluster", f"default=http://{peer}"],
                stdout=log, stderr=log, **postgres.as_postgres(),
            )  # fmt: skip
        self.both = [Member(_owned(root / name), client) for name in ("p1", "p2")]

    def begin(self) -> None:
        """Start both servers, and prepare the database."""
        for member in self.both:
            member.start()
        primary = self._primary()
        primary.sql(*filter(None, map(str.strip, postgres.ROLE.split(";"))), database="postgres")
        primary.sql(postgres.GRANTS)
        self._wait_for_standby()

    def kinds(self, seconds: Callable[[], float]) -> dict[str, Callable[[str], None]]:
        """Return what can be done to it."""
        return {"failover": lambda name: self.fail_over()}

    def leader(self) -> str:
        """Return the name of the node that leads, or that led last."""
        ((name,),) = self._primary().sql("SELECT leader FROM retain.head")
        return str(name)

    def fail_over(self) -> None:
        """Kill the primary with its Patroni; return when the standby has taken over, and has a standby."""
        former, began = self._primary(), time.monotonic()
        former.kill()
        self._primary()
        self.failovers.append(time.monotonic() - began)
        former.start()
        self._wait_for_standby()

    def close(self) -> None:
        """End everything."""
        for member in self.both:
            member.kill()
        self._process.kill()
        self._process.wait()

    def _primary(self) -> Member:
        return self._until(lambda: next((member for member in self.both if member.is_primary()), None))

    def _wait_for_standby(self) -> None:
        self._until(lambda: any(member.may_take_over() for member in self.both))

    def _until(self, find: Callable[[], Found | None]) -> Found:
        deadline = time.monotonic() + LIMIT_S
        while not (found := find()):
            logs = [path.read_text()[-3000:] for path in self._etcd.parent.glob("*/log")]
            assert time.monotonic() < deadline, "\n".join(["Patroni: not in time", *logs])
            time.sleep(0.1)
        return found


def why_none() -> str:
    """Return why it cannot be run here; empty if it can."""
    missing = [name for name in ("patroni", "etcd") if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)} (apt install patroni etcd-server)" if missing else ""


@contextmanager
def running(root: Path) -> Iterator[PatroniDatabase]:
    """Run it with its files below an empty folder."""
    database = PatroniDatabase(root)
    try:
        database.begin()
        yield database
    finally:
        database.close()


def _owned(folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    if os.getuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    return folder
