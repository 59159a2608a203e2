"""`make cluster`: three nodes and three PostgreSQL servers on this machine, a failover, a second start."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from random import Random

import pytest

from tests.kit import postgres
from tests.kit.server import ROOT

PROGRAM = ROOT / "deploy" / "local" / "cluster.py"
LIMIT_S = 120.0
STORAGE = "/genesys/1/storage"
SLOTS = "SELECT slot_name, active FROM pg_replication_slots"


class Trial:
    """The running program, and what it has printed."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self.output = ""
        self.process = subprocess.Popen(
            [sys.executable, PROGRAM, "--folder", folder, "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.output += line

    def wait(self, said: str) -> str:
        """Return the rest of the line that begins with `said`."""
        eventually(lambda: f"{said}" in self.output or self.process.poll() is not None)
        assert said in self.output, self.output
        return self.output.partition(said)[2].partition("\n")[0]

    def pid(self, role: str) -> int:
        """Return the process of what has a role."""
        found = re.search(rf"process (\d+) +{role}\n", self.output)
        assert found is not None, self.output
        return int(found[1])

    def ask(self, node: int, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        """Send a request to a node, numbered from 0."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port + node, timeout=LIMIT_S)
        with closing(connection):
            connection.request(method, path, body, {"Content-Type": "application/x-www-form-urlencoded"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def end(self) -> int:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(LIMIT_S)
        self._reader.join(LIMIT_S)
        return code


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def free_ports() -> int:
    """Return a port below those that connections get, with the others that the program takes."""
    random = Random()
    while True:
        port = random.randrange(12_000, 30_000)
        with suppress(OSError), ExitStack() as stack:
            for more in (0, 1, 2, 10, 11, 12):
                stack.enter_context(socket.create_server(("127.0.0.1", port + more)))
            return port


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user reaches."""
    postgres.demand()
    pytest.importorskip("obstore", reason="obstore is not installed: pip install 'retain[cluster]'")
    path = Path(tempfile.mkdtemp(prefix="retain-", dir=postgres.in_memory()))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_a_standby_is_promoted_without_an_error_and_a_second_start_finds_the_data(folder: Path) -> None:
    port = free_ports()
    trial = Trial(folder, port)
    try:
        trial.wait("Ctrl-C ends everything")
        for name in ("payloads", "n1", "db1", "secret"):
            assert not (folder / name).stat().st_mode & 0o077, name
        status, answer = trial.ask(0, "POST", f"{STORAGE}/3600", "Key1=before")
        assert status == 200, answer
        before = json.loads(answer)["id"]
        assert json.loads(trial.ask(2, "GET", f"{STORAGE}/{before}")[1]) == {"Key1": "before"}
        subprocess.run(["kill", "-QUIT", str(trial.pid("primary"))], check=True)
        promote = trial.wait("the primary, ended. Promote a standby: ").split()
        done = subprocess.run(promote, capture_output=True, text=True, cwd=ROOT, check=False)
        assert "it is the primary now" in done.stdout, done.stderr
        status, answer = trial.ask(1, "POST", f"{STORAGE}/3600", "Key1=after")
        assert status == 200, answer
        after = json.loads(answer)["id"]
        trial.wait("db1 follows db")
        refused = subprocess.run(promote, capture_output=True, text=True, cwd=ROOT, check=False)
        assert "is the primary and answers; end it first" in refused.stderr
        assert trial.end() == 0, trial.output
        trial = Trial(folder, port)
        trial.wait("Ctrl-C ends everything")
        for name, value in ((before, "before"), (after, "after")):
            assert json.loads(trial.ask(1, "GET", f"{STORAGE}/{name}")[1]) == {"Key1": value}
        assert trial.end() == 0, trial.output
    finally:
        if trial.process.poll() is None:
            trial.end()


def test_a_standby_that_was_away_over_a_checkpoint_goes_on_up_to_a_bound(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The primary keeps no old log but what a slot needs; beyond the bound, the standby is made anew."""
    monkeypatch.syspath_prepend(str(PROGRAM.parent))
    import databases

    hosts = [folder / name for name in ("db1", "db2", "db3")]
    servers = [databases.Database(host, hosts) for host in hosts]
    try:
        primary = databases.start_all(servers)
        away = servers[2]
        moved = away.folder / "data.before"
        for bound, is_made_anew in (("256MB", False), ("16MB", True)):
            primary.sql(f"ALTER SYSTEM SET max_slot_wal_keep_size = '{bound}'")
            primary.sql("SELECT pg_reload_conf()")
            away.stop()
            for _ in range(4):
                primary.sql("CREATE TABLE IF NOT EXISTS t (i int); INSERT INTO t VALUES (1)")
                primary.sql("SELECT pg_switch_wal()")

            def is_at_bound(lost: bool = is_made_anew) -> bool:
                # A checkpoint removes the log, and knows the new bound once its process has read it.
                primary.sql("CHECKPOINT")
                status = primary.sql("SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'db3'")
                return (status.strip() == "lost") == lost

            eventually(is_at_bound)
            databases.follow(away, primary)
            assert moved.exists() == is_made_anew
            assert set(primary.sql(SLOTS).split()) == {"db2|t", "db3|t"}
        assert primary is servers[0]
        primary.stop()
        chosen, _ = databases.promote(servers)
        other = next(one for one in servers[1:] if one is not chosen)
        databases.follow(primary, chosen)
        eventually(lambda: set(chosen.sql(SLOTS).split()) == {"db1|t", f"{other.name}|t"})
    finally:
        for one in servers:
            one.stop()


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that finds no PostgreSQL, a port that is taken, a folder that sockets cannot have."""
    monkeypatch.syspath_prepend(str(PROGRAM.parent))
    import databases

    with pytest.raises(databases.Refused, match="letters, digits and"):
        databases.check(tmp_path / "a b")
    monkeypatch.setattr(databases, "OLDEST", 1000)
    with pytest.raises(databases.Refused, match="install it with: apt install postgresql"):
        databases.programs()


def test_a_folder_that_others_prepared_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In /tmp, anybody can make the folder first: its links would be followed, as root to any file."""
    monkeypatch.syspath_prepend(str(PROGRAM.parent))
    import databases

    made = databases.claimed(tmp_path / "new" / "cluster")
    assert not made.stat().st_mode & 0o066
    own = tmp_path / "own"
    own.symlink_to(made)
    assert databases.claimed(own) == databases.claimed(made) == made
    made.chmod(0o770)
    with pytest.raises(databases.Refused, match="other users can write there"):
        databases.claimed(made)
    made.chmod(0o755)
    mine = os.getuid()
    monkeypatch.setattr(databases.os, "getuid", lambda: mine + 1)
    with pytest.raises(databases.Refused, match="is another user's folder"):
        databases.claimed(made)
    with pytest.raises(databases.Refused, match="is another user's link"):
        databases.claimed(own)


@pytest.mark.skipif(os.getuid() != 0, reason="only root acts for another user")
def test_root_follows_no_link_in_a_folder_of_postgres(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROGRAM.parent))
    import databases

    victim = folder / "victim"
    victim.write_text("as it was")
    database = databases.Database(folder / "db1", [folder / "db1"])
    database.prepare(quorum=False)
    settings = database.folder / "settings.conf"
    assert settings.owner() == "postgres"
    settings.unlink()
    settings.symlink_to(victim)
    with pytest.raises(PermissionError):
        database.prepare(quorum=False)
    assert victim.read_text() == "as it was"
    assert (os.geteuid(), os.getegid()) == (0, os.getgid())
