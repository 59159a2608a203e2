"""The real server under SIGKILL, two of it on one folder, a full disk, no descriptors left (T5, T11-T13).

`RETAIN_CRASH_N` multiplies the number of kills: `make crash N=20`.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from urllib.parse import urlencode

import pytest

from retain.api.cli.main import IN_USE
from retain.engine.areas.state import Area
from retain.engine.audit.log import state_at
from retain.engine.audit.verify import verification
from retain.journal import RealDisk
from tests.kit.crash import SCALE
from tests.kit.server import ROOT, Server, command, running, start

KILLS = 6
WAIT_S = 120
WRITERS = 8
STORAGE = "/genesys/1/storage"
BROKEN = (OSError, http.client.HTTPException)
GONE = -1


class Client:
    """One keep-alive connection."""

    def __init__(self, server: Server, timeout_s: float = WAIT_S) -> None:
        self._connection = http.client.HTTPConnection(server.host, server.port, timeout=timeout_s)

    def request(
        self,
        method: str,
        path: str,
        fields: dict[str, str] | None = None,
        *,
        user: str | None = None,
        body: bytes | None = None,
        kind: str = "application/x-www-form-urlencoded",
    ) -> tuple[int, bytes]:
        """Status and body. Raises `BROKEN` if the server is gone: then nobody knows whether it happened."""
        data = urlencode(fields).encode() if fields is not None else body
        headers = {"Content-Type": kind} if data else {}
        headers |= {"gms_user": user} if user else {}
        self._connection.request(method, STORAGE + path, data, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def post_file(self, data: bytes) -> tuple[int, bytes]:
        """A plain area with one file."""
        head = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f.bin"\r\n\r\n'
        return self.request(
            "POST", "/3600", body=head + data + b"\r\n--x--\r\n", kind="multipart/form-data; boundary=x"
        )

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# --- T5: SIGKILL under load ----------


@dataclass
class Ledger:
    """What one writer was told, kept outside the server: area → number last acknowledged, and one that was
    asked for and never answered. `GONE`: deleted."""

    acknowledged: dict[str, int] = field(default_factory=dict)
    pending: dict[str, int] = field(default_factory=dict)
    answers: int = 0

    def allowed(self, area: str) -> set[int]:
        """What a reader may find now."""
        numbers = {self.acknowledged[area]} if area in self.acknowledged else {GONE}
        return numbers | ({self.pending[area]} if area in self.pending else set())


class Writer(threading.Thread):
    """Creates, changes and deletes areas of its own until the server is gone."""

    def __init__(self, server: Server, number: int, ledger: Ledger, rng: Random) -> None:
        super().__init__(daemon=True)
        self._client = Client(server)
        self._user = f"writer-{number}"
        self._ledger = ledger
        self._rng = rng
        self.refused = ""

    def run(self) -> None:
        with self._client, suppress(*BROKEN):
            while not self.refused:
                self._one()

    def _one(self) -> None:
        area, number = f"area-{self._rng.randrange(30)}", self._rng.randrange(1, 1 << 40)
        ledger = self._ledger
        if ledger.acknowledged.get(area, GONE) != GONE and self._rng.random() < 0.2:
            ledger.pending[area] = GONE
            status, body = self._client.request("DELETE", f"/{area}", user=self._user)
        else:
            ledger.pending[area] = number
            # Two keys in one request: a reader who finds different numbers in them saw a half of it.
            fields = {"a": str(number), "b": str(number), "filler": "x" * self._rng.randrange(600)}
            status, body = self._client.request("POST", f"/{area}/3600", fields, user=self._user)
        if status != 200:
            self.refused = f"{status} {body!r}"
            return
        ledger.acknowledged[area] = ledger.pending.pop(area)
        ledger.answers += 1


def found_by(client: Client, user: str, area: str) -> int:
    """The number a reader finds in an area."""
    status, body = client.request("GET", f"/{area}", user=user)
    if status == 404:
        return GONE
    assert status == 200, (status, body)
    keys = json.loads(body)
    assert keys["a"] == keys["b"], "half of a request is there"
    return int(keys["a"])


def check_ledgers(server: Server, ledgers: list[Ledger]) -> None:
    """I1 to I3: acknowledged is there, the rest wholly or not at all, and from now on what was served."""
    client = Client(server)
    for number, ledger in enumerate(ledgers):
        for area in ledger.acknowledged.keys() | ledger.pending.keys():
            found = found_by(client, f"writer-{number}", area)
            assert found in ledger.allowed(area), (number, area, found, ledger.allowed(area))
            ledger.acknowledged[area] = found
        ledger.pending.clear()
    client.close()


def check_journal(server: Server, ledgers: list[Ledger]) -> None:
    """I4: the journal verifies beside the running server, and its replay holds what was served."""
    disk = RealDisk(server.data, create=False)
    assert verification(disk).sound
    areas: dict[str, Area] = state_at(disk, None).areas.areas
    for number, ledger in enumerate(ledgers):
        for area, expected in ledger.acknowledged.items():
            held = areas.get(f"\0writer-{number}\0{area}")
            assert (held is None) == (expected == GONE)
            assert held is None or dict(zip(held[2], held[3], strict=True))["a"] == str(expected)


def under_way(ledgers: list[Ledger], writers: list[Writer], answers: int, *, every: bool) -> None:
    """Returns once the writers have that many more answers than they began with, and `every` one has any."""
    deadline = time.monotonic() + WAIT_S
    wanted = answers + sum(ledger.answers for ledger in ledgers)
    while sum(counts := [ledger.answers for ledger in ledgers]) < wanted or (every and not all(counts)):
        assert time.monotonic() < deadline, "the server answers nobody"
        assert all(writer.is_alive() for writer in writers), [writer.refused for writer in writers]
        time.sleep(0.001)


@pytest.mark.slow
@pytest.mark.parametrize("campaign", range(SCALE))
def test_what_was_acknowledged_survives_sigkill(tmp_path: Path, campaign: int) -> None:
    seed = Random().randrange(1 << 32) if SCALE > 1 else campaign
    rng = Random(seed)
    ledgers = [Ledger() for _ in range(WRITERS)]
    print(f"seed {seed}")
    for kill in range(KILLS):
        server = start(tmp_path)
        try:
            check_ledgers(server, ledgers)
            if kill % 4 == 3 or kill == KILLS - 1:
                check_journal(server, ledgers)
            writers = [
                Writer(server, number, ledger, Random(rng.random())) for number, ledger in enumerate(ledgers)
            ]
            for writer in writers:
                writer.start()
            under_way(ledgers, writers, kill % 5 * rng.randrange(100), every=kill == KILLS - 1)
        finally:
            server.kill()
            assert server.process.stdout is not None
            server.process.stdout.close()
        for writer in writers:
            writer.join(WAIT_S)
            assert not writer.is_alive()
            assert not writer.refused
    assert min(ledger.answers for ledger in ledgers) > 0
    with running(tmp_path) as server:
        check_ledgers(server, ledgers)
        check_journal(server, ledgers)
    answers = sum(ledger.answers for ledger in ledgers)
    print(f"{answers} acknowledged over {KILLS} kills")


# --- T11: two processes on one folder ----------


def second(folder: Path, data: Path) -> subprocess.CompletedProcess[str]:
    """Another server on the same data."""
    environ = {**os.environ, "RETAIN_STORAGE_DATA": str(data), "RETAIN_SERVER_BIND": "127.0.0.1:0"}
    return subprocess.run(
        command(folder), cwd=ROOT, env=environ, capture_output=True, text=True, timeout=WAIT_S
    )


@pytest.mark.slow
def test_a_second_server_on_the_folder_is_told_who_has_it(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        link = tmp_path / "link"
        link.symlink_to(server.data)
        for data in (server.data, link):
            refused = second(tmp_path, data)
            assert refused.returncode == IN_USE
            assert str(server.process.pid) in refused.stderr
            assert "Traceback" not in refused.stderr
        with Client(server) as client:
            assert client.request("POST", "/60", {"a": "b"})[0] == 200
        server.kill()
    with running(tmp_path) as server, Client(server) as client:
        assert client.request("POST", "/60", {"a": "b"})[0] == 200


# --- T12: a full disk ----------


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of that size. Skips where it may not be mounted."""
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("there is no mount command")
    mounting = [mount, "-t", "tmpfs", "-o", f"size={size}", "retain-test", str(folder)]
    made = subprocess.run(mounting, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"a tmpfs may not be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run([umount, str(folder)], check=True)


def fill(client: Client, size: int) -> list[str]:
    """Files of that size until the server refuses one with 507; the areas that were made."""
    made = []
    for _ in range(3000):
        status, body = client.post_file(os.urandom(size))
        if status == 507:
            return made
        assert status == 200, (status, body)
        made.append(json.loads(body)["id"])
    pytest.fail("the disk never filled")


@pytest.mark.slow
def test_a_full_disk_refuses_and_deletes_make_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64M") as folder, running(folder) as server:
        client = Client(server)
        kept = json.loads(client.request("POST", "/3600", {"key": "kept"})[1])["id"]
        large = fill(client, 2 << 20)
        small = fill(client, 50_000)
        assert len(large) > 5
        assert client.request("POST", "/3600", {"key": "no"})[0] == 507
        assert client.request("POST", f"/{kept}/3600", {"key": "no"})[0] == 507
        assert json.loads(client.request("GET", f"/{kept}")[1]) == {"key": "kept"}
        for area in [*large, *small]:
            assert client.request("DELETE", f"/{area}")[0] == 200
        deadline = time.monotonic() + WAIT_S
        while client.request("POST", f"/{kept}/3600", {"key": "again"})[0] != 200:
            assert time.monotonic() < deadline, "no room although all was deleted"
            time.sleep(0.2)
        assert client.post_file(bytes(1 << 20))[0] == 200
        assert verification(RealDisk(server.data, create=False)).sound
        client.close()
        assert server.stop() == 0
        with running(folder) as again:
            client = Client(again)
            assert json.loads(client.request("GET", f"/{kept}")[1]) == {"key": "again"}
            client.close()


# --- T13: no descriptors left ----------


def processor_seconds(pid: int) -> float:
    """What a process has used of the processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit")
def test_without_descriptors_the_journal_lives_and_nothing_spins(tmp_path: Path) -> None:
    limit = ("prlimit", "--nofile=64:64")
    with running(tmp_path, prefix=limit) as server:
        wait_for(server)
        began, before = time.monotonic(), processor_seconds(server.process.pid)
        crowd = [socket.create_connection((server.host, server.port), timeout=WAIT_S) for _ in range(200)]
        wait_for(server)
        used, passed = processor_seconds(server.process.pid) - before, time.monotonic() - began
        assert used < 2 + passed / 3, "the accept loop spins"
        wait_for(server)
        for one in crowd:
            one.close()
        wait_for(server)
        with Client(server) as client:
            assert client.post_file(bytes(3 << 20))[0] == 200
        assert verification(RealDisk(server.data, create=False)).sound
        assert server.stop() == 0


def wait_for(server: Server) -> None:
    """Returns once a newcomer's change is acknowledged."""
    deadline = time.monotonic() + WAIT_S
    while not let_in(server):
        assert time.monotonic() < deadline, "nobody is let in any more"
        time.sleep(0.1)


def let_in(server: Server) -> bool:
    """Whether a newcomer's change is acknowledged."""
    with suppress(*BROKEN), Client(server, WAIT_S / 2) as newcomer:
        return newcomer.request("POST", "/3600", {"a": "new"})[0] == 200
    return False
