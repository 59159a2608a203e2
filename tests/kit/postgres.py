"""Real PostgreSQL servers for tests, from Debian's package: each in a temporary folder, reached by a socket.

`Postgres` makes servers from one prepared data folder: a role and a database `retain`, nothing in it. A copy
of the folder is a server or a standby. PostgreSQL refuses to run as root: its user is then `postgres`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit.power import Disk

if TYPE_CHECKING:
    import psycopg

OLDEST = 15
NOBODY = "nobody"
"""A standby that there is not."""
ROOM = 1 << 30
"""Bytes that must be free in memory for the servers to lie there."""
SETTINGS = """
listen_addresses = ''
max_connections = 40
shared_buffers = 4MB
dynamic_shared_memory_type = mmap
max_wal_size = 32MB
min_wal_size = 2MB
wal_recycle = off
wal_init_zero = off
wal_keep_size = 64MB
autovacuum = off
log_checkpoints = off
hot_standby = on
max_wal_senders = 5
wal_receiver_status_interval = 1s
wal_retrieve_retry_interval = 100ms
"""
ROLE = """
CREATE ROLE retain LOGIN;
GRANT pg_checkpoint TO retain;
CREATE DATABASE retain OWNER retain;
"""
GRANTS = "GRANT EXECUTE ON FUNCTION pg_switch_wal() TO retain"


@cache
def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs; None if it is not installed, or too old."""
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    versions = {int(path.parent.name): path for path in found if path.parent.name.isdigit()}
    newest = max(versions, default=0)
    return versions[newest] if newest >= OLDEST else None


def demand() -> None:
    """Skip the test where there is no PostgreSQL to run, or no psycopg to reach it."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (pip install '.[cluster]')")
    if programs() is None:
        pytest.skip(f"PostgreSQL {OLDEST} or newer is not installed (apt install postgresql)")
    if os.getuid() == 0 and not _has_user():
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")


def _has_user() -> bool:
    return any(entry.pw_name == "postgres" for entry in pwd.getpwall())


def as_postgres() -> dict[str, Any]:
    """Return whose process a server is, as arguments of `subprocess.Popen`."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}


class Server:
    """One server. `folder` has its data in `data`, its socket, and its log in `log`; it may be a disk."""

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.address = str(folder / ".s.PGSQL.5432")
        self._disk = disk
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """As Retain is given it."""
        return url(self)

    def start(self) -> None:
        """Start, and return when it answers."""
        bin_ = programs()
        assert bin_ is not None
        arguments = [bin_ / "postgres", "-D", self.data, "-k", self.folder]
        if (setpriv := shutil.which("setpriv")) is not None:  # it ends when the tests are killed, too
            arguments = [setpriv, "--pdeathsig", "QUIT", *arguments]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                arguments, stdout=log, stderr=log, start_new_session=True, cwd=self.folder, **as_postgres()
            )
        for _ in range(600):
            answer = subprocess.run([bin_ / "pg_isready", "-q", "-h", self.folder, "-t", "5"], check=False)
            if answer.returncode == 0:
                return
            if self._process.poll() is not None:
                break
            _pause()
        raise AssertionError((self.folder / "log").read_text()[-4000:])

    def stop(self, how: int = signal.SIGINT) -> None:
        """Stop: SIGINT ends every session first, SIGQUIT nothing."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def kill(self) -> None:
        """End all its processes at once."""
        self.pause()  # none of them sees another one's end
        self._end()

    def cut_power(self) -> None:
        """End it as a power cut does: its disk has only what was synced, or written back by chance."""
        assert self._disk is not None
        self.pause()
        memory = self._memory()
        self._disk.cut_power()
        self._end()
        _free(memory)
        self._disk.restore()

    def _end(self) -> None:
        self._signal(signal.SIGKILL)
        process, self._process = self._process, None
        assert process is not None
        process.wait()
        while living := _working_in(self.data):  # with its memory still attached, none can start again
            for pid in living:  # one that was forked, or left out of the list, while the others were stopped
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            _pause()

    def discard(self) -> None:
        """Remove it, with the piece of System V memory that a killed server leaves behind."""
        self.stop(signal.SIGQUIT)
        _free(self._memory())
        if self._disk is not None:
            self._disk.close()
        shutil.rmtree(self.folder)

    def _memory(self) -> str:
        """Return the number of its piece of System V memory; empty if it has none."""
        lock = self.data / "postmaster.pid"
        return lock.read_text().splitlines()[6].split()[-1] if lock.exists() else ""

    def pause(self) -> None:
        """Let every process of it stand still."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> list[int]:
        """Send a signal to every process; return those that had it."""
        assert self._process is not None
        pid = self._process.pid
        children = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        found = []
        for one in [pid, *children]:
            with suppress(ProcessLookupError):
                os.kill(one, number)
                found.append(one)
        return found

    def sql(self, *statements: str, database: str = "retain") -> list[tuple[Any, ...]]:
        """Run statements as the superuser; return the last one's rows."""
        with self.session(database) as session:
            for statement in statements:
                cursor = session.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def session(self, database: str = "retain") -> Iterator[psycopg.Connection[Any]]:
        """Open a session of the superuser."""
        import psycopg

        with closing(
            psycopg.connect(host=str(self.folder), user="postgres", dbname=database, autocommit=True)
        ) as session:
            yield session

    def configure(self, **settings: str) -> None:
        """Change settings that need no restart; return when sessions have them."""
        for name, value in settings.items():
            self.sql(f"ALTER SYSTEM SET {name} = '{value}'")
        self.sql("SELECT pg_reload_conf()")
        for name, value in settings.items():
            for _ in range(600):
                if self.sql(f"SELECT current_setting('{name}')") == [(value,)]:
                    break
                _pause()

    def require_standby(self, name: str = NOBODY) -> None:
        """Let commits wait for a synchronous standby; return when they do.

        Sessions wait once the checkpointer has read the setting, which no view shows: a commit is tried.
        """
        self.configure(synchronous_standby_names=NOBODY)
        while not self._commit_waits():
            _pause()
        if name != NOBODY:
            self.configure(synchronous_standby_names=name)

    def _commit_waits(self) -> bool:
        with self.session() as probe:
            pid = probe.info.backend_pid
            probe.pgconn.send_query(b"SELECT pg_logical_emit_message(true, 'probe', '')")
            while True:
                activity = f"SELECT state, wait_event, query FROM pg_stat_activity WHERE pid = {pid}"
                ((state, event, query),) = self.sql(activity)
                if event == "SyncRep":
                    self.sql(f"SELECT pg_terminate_backend({pid}, 30000)")
                    return True
                if state == "idle" and "probe" in query:
                    return False
                _pause()

    def set_stopped(self, **settings: str) -> None:
        """Change settings while it does not run."""
        with (self.data / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def use_up_transaction_numbers(self) -> None:
        """Restart it 20 million transactions before it refuses further ones; it warns from 40 million on.

        Its own vacuum, which would end the warnings, does not begin within a day. It must be on for that:
        where it is off, PostgreSQL starts it at once when the numbers run out, whatever the interval is.
        """
        self.sql("ALTER SYSTEM SET autovacuum_naptime = '1d'", "ALTER SYSTEM SET autovacuum = 'on'")
        ((oldest,),) = self.sql("SELECT min(datfrozenxid::text::bigint) FROM pg_database")
        following = int(oldest) + 2**31 - 20_000_000
        self.stop()
        bin_ = programs()
        assert bin_ is not None
        command = [bin_ / "pg_resetwal", "-x", str(following), "-D", self.data]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **as_postgres())
        states = self.data / "pg_xact" / f"{following // 2**20:04X}"
        states.write_bytes(bytes(1 << 18))  # of a million transactions, two bits each
        shutil.chown(states, self.data.owner(), self.data.group())
        self.start()

    def pass_time(self, seconds: float) -> None:
        """Let the shared log's time pass: what it has noted happened so much earlier."""
        since = f"make_interval(secs => {seconds})"
        self.sql(
            f"UPDATE retain.head SET until = until - {since}",
            f"UPDATE retain.frames SET stored = stored - {since}",
            f"UPDATE retain.node SET seen = seen - {since}",
        )

    def wait_for(self, query: str, answer: object = True, seconds: float = 30.0) -> None:
        """Return when a query has this answer."""
        for _ in range(int(seconds / PAUSE_S)):
            if self.sql(query) == [(answer,)]:
                return
            _pause()
        raise AssertionError(f"never {answer}: {query}")


PAUSE_S = 0.02


def _free(memory: str) -> None:
    """Free a piece of System V memory, which a killed server leaves behind."""
    if memory:
        # It may be gone: a server that did not start again leaves the lock of the one before.
        subprocess.run(["ipcrm", "--shmem-id", memory], check=False, stderr=subprocess.DEVNULL)


def _working_in(folder: Path) -> list[int]:
    """Return the processes whose working directory this is; a server's is its data folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):  # it has ended meanwhile, or is another user's
            if os.readlink(f"/proc/{pid}/cwd") == str(folder):
                found.append(int(pid))
    return found


def _pause() -> None:
    """Wait for another process, which tells nobody when it is ready."""
    import time

    time.sleep(PAUSE_S)


def url(*servers: Server) -> str:
    """Return the URL of a database that one of these servers has."""
    hosts = ",".join(str(server.folder) for server in servers)
    return f"postgresql:///retain?user=retain&host={hosts}"


class Postgres:
    """Makes servers from one prepared data folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._count = 0
        self._servers: list[Server] = []
        self._template = self._folder("template")
        self._prepare()

    def _folder(self, name: str) -> Path:
        folder = self._root / name
        folder.mkdir(mode=0o700)
        if os.getuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        return folder

    def _prepare(self) -> None:
        bin_ = programs()
        assert bin_ is not None
        template = Server(self._template)
        options = "--no-sync --no-locale --encoding=UTF8 --auth=trust --username=postgres --data-checksums"
        subprocess.run(
            [bin_ / "initdb", "-D", template.data, "--wal-segsize=1", *options.split()],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._template,
            **as_postgres(),
        )
        with (template.data / "postgresql.conf").open("a") as file:
            file.write(SETTINGS)
        template.start()
        try:
            template.sql(*filter(None, map(str.strip, ROLE.split(";"))), database="postgres")
            template.sql(GRANTS)
        finally:
            template.stop()

    def server(self, *, standby_of: Server | None = None, on_disk: bool = False) -> Server:
        """Start a new server; a standby continues what its primary has.

        `on_disk` gives it a file system of its own, whose power can be cut.
        """
        self._count += 1
        folder = self._folder(f"s{self._count}")
        disk = Disk(folder) if on_disk else None
        if disk is not None and os.getuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        server = Server(folder, disk)
        subprocess.run(["cp", "-a", self._template / "data", server.data], check=True)
        if standby_of is not None:
            signal_file = server.data / "standby.signal"
            signal_file.touch()
            with (server.data / "postgresql.auto.conf").open("a") as file:
                file.write(
                    f"primary_conninfo = 'host={standby_of.folder} user=postgres "
                    f"application_name={server.folder.name}'\n"
                )
        if disk is not None:
            disk.sync()
        self._servers.append(server)
        server.start()
        return server

    def rebuild(self, server: Server, *, standby_of: Server) -> None:
        """Let a server that does not run begin anew, as a standby with a copy of what its primary has."""
        bin_ = programs()
        assert bin_ is not None
        shutil.rmtree(server.data)
        subprocess.run(
            [bin_ / "pg_basebackup", "-D", server.data, "-h", standby_of.folder, "-U", "postgres", "-R",
             "-c", "fast"],
            check=True, cwd=server.folder, **as_postgres(),
        )  # fmt: skip
        server.start()

    def close(self, *servers: Server) -> None:
        """End these servers, or all of them, and remove their folders."""
        for server in servers or tuple(self._servers):
            server.discard()
            self._servers.remove(server)


def in_memory() -> Path | None:
    """Return a folder in memory for the servers; None if there is no room."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > ROOM else None


@contextmanager
def running() -> Iterator[Postgres]:
    """Prepare servers, in memory where there is room; end all of them."""
    demand()
    root = Path(tempfile.mkdtemp(prefix="retain-pg-", dir=in_memory())).resolve()
    root.chmod(0o755)
    try:
        postgres = Postgres(root)
        try:
            yield postgres
        finally:
            postgres.close()
    finally:
        shutil.rmtree(root)
