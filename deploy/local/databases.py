"""A primary of PostgreSQL and its standbys on this machine, from Debian's package, for `cluster.py`.

Each server has a folder: `data`, its socket, `settings.conf` and `log`. All have the same settings, so any of
them can be the primary. PostgreSQL refuses to run as root: its user is then `postgres`.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

OLDEST = 15
START_S = 60.0
FOLLOWS_S = 15.0
"""Seconds after which a standby that does not follow is made anew from the primary."""
LONGEST = 80
"""Characters of the folder's path: a socket's path has 107 at most."""
SETTINGS = """\
listen_addresses = ''
unix_socket_directories = '{folder}'
cluster_name = '{name}'
shared_buffers = 16MB
wal_recycle = off
wal_keep_size = 0
max_slot_wal_keep_size = 256MB
primary_slot_name = '{name}'
wal_retrieve_retry_interval = 500ms
primary_conninfo = 'host={hosts} user=postgres application_name={name} target_session_attrs=read-write'
"""
QUORUM = "synchronous_standby_names = 'ANY 1 ({names})'\n"
ROLE = (
    "CREATE ROLE retain LOGIN",
    "GRANT pg_checkpoint TO retain",
    "CREATE DATABASE retain OWNER retain",
)
GRANT = "GRANT EXECUTE ON FUNCTION pg_switch_wal() TO retain"
SLOT_LOST = (
    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
    "WHERE slot_name = '{name}' AND wal_status = 'lost' AND NOT active"
)
SLOT = (
    "SELECT pg_create_physical_replication_slot('{name}', true) "
    "WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '{name}')"
)
POSITION = "SELECT COALESCE(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'"
"""Bytes of the log that a standby has, since the log began."""


class Refused(Exception):
    """It cannot be done; the text says why, and what helps."""


def programs() -> Path:
    """Return the folder of PostgreSQL's programs.

    Raises:
        Refused: It is not installed, or too old.

    """
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if (on_path := shutil.which("initdb")) is not None:
        found.append(Path(on_path).resolve().parent)
    versions = {_version(path): path for path in found}
    if max(versions, default=0) < OLDEST:
        raise Refused(
            f"PostgreSQL {OLDEST} or newer is not installed, or not where Debian puts it; "
            "install it with: apt install postgresql"
        )
    return versions[max(versions)]


def _version(folder: Path) -> int:
    said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False)
    numbers = re.findall(r"\d+", said.stdout)
    return int(numbers[0]) if numbers else 0


def user() -> dict[str, Any]:
    """Return the user that PostgreSQL runs as, as arguments for `subprocess`."""
    if os.getuid():
        return {}
    if not any(entry.pw_name == "postgres" for entry in pwd.getpwall()):
        raise Refused(
            "PostgreSQL does not run as root, and there is no user postgres: run this as another user"
        )
    return {"user": "postgres", "group": "postgres", "extra_groups": []}


@contextmanager
def as_user() -> Iterator[None]:
    """Act on files as the user that PostgreSQL runs as.

    The folders of the servers are theirs: as root, a link in one of them would lead to any file.
    """
    if not user():
        yield
        return
    entry, groups = pwd.getpwnam("postgres"), os.getgroups()
    os.setgroups([])
    os.setegid(entry.pw_gid)
    os.seteuid(entry.pw_uid)
    try:
        yield
    finally:
        os.seteuid(os.getuid())
        os.setegid(os.getgid())
        os.setgroups(groups)


def claimed(given: Path) -> Path:
    """Return the folder of everything, resolved; make it if there is none.

    Raises:
        Refused: It is another user's, or others can write there: what is in it may be theirs.

    """
    given = given.absolute()
    if given.is_symlink() and given.lstat().st_uid != os.getuid():
        raise Refused(f"{given}: is another user's link: choose another folder with CLUSTER=")
    folder = given.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700 if os.getuid() else 0o711, exist_ok=True)  # postgres reaches its own below it
    found = folder.stat()
    if found.st_uid != os.getuid():
        raise Refused(f"{folder}: is another user's folder: choose another one with CLUSTER=")
    if found.st_mode & 0o022:
        raise Refused(
            f"{folder}: other users can write there: choose another folder with CLUSTER=, or, if all that is "
            f"in it is yours, chmod go-w {folder}"
        )
    return folder


def check(folder: Path) -> None:
    """Refuse a folder that PostgreSQL cannot use."""
    if len(str(folder)) > LONGEST or not re.fullmatch(r"[\w./-]+", str(folder), re.ASCII):
        raise Refused(
            f"{folder}: PostgreSQL needs a path of at most {LONGEST} letters, digits and . _ - / for its "
            "sockets: choose another one with CLUSTER=/tmp/retain-cluster"
        )
    reached = subprocess.run(["test", "-x", folder], check=False, cwd="/", **user()).returncode == 0
    if not reached:
        raise Refused(
            f"{folder}: PostgreSQL runs as the user postgres, because you are root, and this user cannot "
            "reach it: choose another folder with CLUSTER=/var/tmp/retain-cluster"
        )


class Database:
    """One server, primary or standby.

    Args:
        folder: Of this server; its name is the server's.
        hosts: The folders of all servers.

    """

    def __init__(self, folder: Path, hosts: list[Path]) -> None:
        self.folder = folder
        self.name = folder.name
        self.process: subprocess.Popen[bytes] | None = None
        self._hosts = hosts
        self._data = folder / "data"
        self._programs = programs()

    @property
    def runs(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def exists(self) -> bool:
        """Whether it has data that is complete."""
        return (self._data / "PG_VERSION").exists() and not (self.folder / "incomplete").exists()

    @property
    def follows(self) -> bool:
        """Whether its data is a standby's."""
        return (self._data / "standby.signal").exists()

    def prepare(self, *, quorum: bool) -> None:
        """Write its settings; with `quorum`, each commit waits for one of the other servers."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        text = SETTINGS.format(
            folder=self.folder, name=self.name, hosts=",".join(str(host) for host in self._hosts)
        )
        if quorum:
            text += QUORUM.format(names=", ".join(host.name for host in self._hosts))
        if user():
            shutil.chown(self.folder, "postgres", "postgres")
        with as_user():
            (self.folder / "settings.conf").write_text(text)

    def make(self) -> None:
        """Make it the first primary, with the role and the database of Retain."""
        self.prepare(quorum=False)
        with self._making():
            self._run("initdb", "-D", self._data, "--no-locale", "--encoding=UTF8", "--auth=trust",
                      "--username=postgres", "--data-checksums")  # fmt: skip
            with as_user(), (self._data / "postgresql.conf").open("a") as file:
                file.write("include '../settings.conf'\n")
            self.start()
            for statement in ROLE:
                self.sql(statement, database="postgres")
            self.sql(GRANT)

    def copy(self, primary: Database) -> None:
        """Make it a standby with the primary's data; what it had is moved to `data.before`."""
        self.prepare(quorum=True)
        if self._data.exists():
            before = self.folder / "data.before"
            with as_user():
                shutil.rmtree(before, ignore_errors=True)
                self._data.rename(before)
        with self._making():
            self._run("pg_basebackup", "-D", self._data, "-h", primary.folder, "-U", "postgres",
                      "-c", "fast", "-S", self.name)  # fmt: skip
            with as_user():
                (self._data / "standby.signal").touch()

    def _making(self) -> _Incomplete:
        return _Incomplete(self.folder / "incomplete")

    def start(self) -> None:
        """Start it, and return when it answers."""
        command: list[str | Path] = [self._programs / "postgres", "-D", self._data]
        if (setpriv := shutil.which("setpriv")) is not None:  # it ends with this process, however that ends
            command = [setpriv, "--pdeathsig", "INT", *command]
        with as_user():
            log = (self.folder / "log").open("ab")
        with log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd="/", start_new_session=True, **user()
            )
        deadline = time.monotonic() + START_S
        ready = [self._programs / "pg_isready", "-q", "-h", self.folder]
        while subprocess.run(ready, check=False).returncode:
            if not self.runs or time.monotonic() > deadline:
                raise Refused(f"PostgreSQL {self.name} does not start; its log is {self.folder / 'log'}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it: its sessions first."""
        if self.process is None or not self.runs:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def sql(self, statement: str, database: str = "retain") -> str:
        """Run a statement as the superuser; return what `psql` prints.

        Raises:
            Refused: The server does not answer, or refuses.

        """
        return self._run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.folder,
                         "-U", "postgres", "-d", database, "-c", statement)  # fmt: skip

    def role(self) -> str:
        """Return `primary`, `standby` or, where it does not answer, `down`."""
        try:
            return "standby" if self.sql("SELECT pg_is_in_recovery()") == "t" else "primary"
        except Refused:
            return "down"

    def keep_for(self, standbys: Iterable[Database]) -> None:
        """Keep the log that each of these servers, as a standby, has not received: up to the setting's bound.

        Without that, a standby that is away for one checkpoint could not go on. A slot that lost its part of
        the log is made anew.
        """
        for one in standbys:
            for statement in (SLOT_LOST, SLOT):
                self.sql(statement.format(name=one.name))

    def followers(self) -> set[str]:
        """Return the names of the standbys that follow this primary."""
        return set(self.sql("SELECT application_name FROM pg_stat_replication").split())

    def _run(self, name: str, *arguments: str | Path) -> str:
        done = subprocess.run(
            [self._programs / name, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **user(),
        )
        if done.returncode:
            raise Refused(f"{name} of {self.name}: {done.stderr.strip()[-1000:]}")
        return done.stdout.strip()


class _Incomplete:
    """Marks data that is being made: where that was interrupted, it is made anew."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __enter__(self) -> None:
        with as_user():
            self._mark.touch()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            with as_user():
                self._mark.unlink()


def start_all(databases: list[Database]) -> Database:
    """Start all servers, which are made if there are none; return the primary."""
    made = [one for one in databases if one.exists]
    leading = [one for one in made if not one.follows]
    for one in made:
        one.prepare(quorum=True)
        one.start()
    if leading:
        primary = max(
            leading, key=lambda one: int(one.sql("SELECT timeline_id FROM pg_control_checkpoint()"))
        )
    elif made:
        raise Refused(f"{made[0].folder.parent}: has standbys, but no primary; begin anew in another folder")
    else:
        primary = databases[0]
        with as_user():
            shutil.rmtree(primary.folder / "data", ignore_errors=True)
        primary.make()
    for one in databases:
        if one is not primary:
            follow(one, primary)
    primary.prepare(quorum=True)
    primary.sql("SELECT pg_reload_conf()")
    return primary


def follow(standby: Database, primary: Database) -> None:
    """Let a server follow the primary; its data is made anew if it cannot go on from what it has."""
    primary.keep_for([standby])
    if standby.exists and standby.follows:
        if not standby.runs:
            standby.start()
        if _is_followed(primary, standby.name):
            return
    standby.stop()
    primary.keep_for([standby])  # what it needed may be lost
    standby.copy(primary)
    standby.start()
    if not _is_followed(primary, standby.name):
        raise Refused(f"PostgreSQL {standby.name} does not follow; its log is {standby.folder / 'log'}")


def _is_followed(primary: Database, name: str) -> bool:
    deadline = time.monotonic() + FOLLOWS_S
    while name not in primary.followers():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def promote(databases: list[Database]) -> tuple[Database, dict[str, int]]:
    """Make the standby with the longest log the primary; return it, and how long each one's log is.

    Each commit waits for one of two standbys, so either may be the only one that has the last commits: with
    one of them down, this refuses.

    Raises:
        Refused: A primary answers, or not all standbys do.

    """
    roles = {one: one.role() for one in databases}
    if (leading := [one.name for one, role in roles.items() if role == "primary"]) != []:
        raise Refused(f"{leading[0]} is the primary and answers; end it first")
    standbys = [one for one, role in roles.items() if role == "standby"]
    if len(standbys) < len(databases) - 1:
        raise Refused(
            "not every standby answers: the one that is down may be the only one that has the last commits; "
            "wait until it runs again"
        )
    logs = {one.name: int(one.sql(POSITION).partition(".")[0]) for one in standbys}
    chosen = max(standbys, key=lambda one: logs[one.name])
    chosen.keep_for(one for one in standbys if one is not chosen)  # before they turn to it
    chosen.sql("SELECT pg_promote()")
    return chosen, logs
