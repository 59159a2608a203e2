"""Two servers on one PostgreSQL answer as one, and go on when the leader is killed, paused or stopped."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from retain.engine.audit.verify import verification
from retain.journal import RealDisk
from tests.kit.forks import retain
from tests.kit.linear import Done, why_not
from tests.kit.postgres import Server as Postgres
from tests.kit.relay import Relay
from tests.kit.server import ROOT, Server, start

CONFIG = """
[log]
format = "text"
[[tenants]]
name = "acme"
containers = ["recordings"]
"""
STORAGE = "/genesys/1/storage"
BROKEN = (OSError, http.client.HTTPException)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LIMIT_S = 60.0


def eventually(condition: Callable[[], bool], within_s: float = LIMIT_S) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


def answer(server: Server, method: str, target: str, values: Mapping[str, str]) -> tuple[int, bytes]:
    """Ask as a client does: again after a 503, which a node answers while it is behind on a busy machine."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        status, body = server.ask(method, target, urlencode(values).encode() or None, FORM if values else {})
        if status != 503 or time.monotonic() > deadline:
            return status, body
        time.sleep(0.05)


def create(server: Server, **values: str) -> str:
    status, body = answer(server, "POST", f"{STORAGE}/3600", values)
    assert status == 200, (status, body)
    return str(json.loads(body)["id"])


def update(server: Server, name: str, **values: str) -> int:
    return answer(server, "POST", f"{STORAGE}/{name}/3600", values)[0]


def show(server: Server, name: str) -> dict[str, str]:
    status, body = answer(server, "GET", f"{STORAGE}/{name}", {})
    assert status == 200, (status, body)
    found: dict[str, str] = json.loads(body)
    return found


def folder_of(server: Server) -> dict[str, bytes]:
    """Return the journal's segments."""
    return {path.name: path.read_bytes() for path in sorted((server.data / "journal").glob("*.journal"))}


def is_ready(server: Server) -> bool:
    try:
        return server.ask("GET", "/readyz")[0] == 200
    except BROKEN:
        return False


def ended(server: Server) -> None:
    server.kill()
    assert server.process.stdout is not None
    server.process.stdout.close()


@dataclass
class Site:
    """A cluster of nodes on one PostgreSQL server; their payloads in a folder that all reach."""

    root: Path
    log: str
    links: dict[str, str] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    announced: dict[str, str] = field(default_factory=dict)
    lease: float = 1.0

    def environ(self, name: str) -> dict[str, str]:
        announced = {"RETAIN_CLUSTER_ANNOUNCE": self.announced[name]} if name in self.announced else {}
        return announced | {
            "RETAIN_CLUSTER_LOG": self.logs.get(name, self.log),
            "RETAIN_CLUSTER_NAME": name,
            "RETAIN_CLUSTER_LINK": self.links.setdefault(name, free_address()),
            "RETAIN_CLUSTER_LEASE_SECONDS": str(self.lease),
            "RETAIN_CLUSTER_GRANT_SECONDS": str(0.4 * self.lease),
            "RETAIN_CLUSTER_SECRET_FILE": str(self.root / "secret"),
            "RETAIN_STORAGE_PAYLOADS": (self.root / "payloads").as_uri(),
        }

    def start(self, name: str, program: Sequence[str] = ("retain",)) -> Server:
        return start(self.root / name, CONFIG, environ=self.environ(name), program=program)

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        (folder / "retain.toml").write_text(CONFIG)
        environ = {**os.environ, **self.environ(name), "RETAIN_STORAGE_DATA": str(folder / "data")}
        return retain(*arguments, "--config", str(folder / "retain.toml"), environ=environ)

    def node(self, name: str, *arguments: str) -> Any:
        done = self.run(name, "node", *arguments, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def site(postgres_server: Postgres, tmp_path: Path) -> Iterator[Site]:
    pytest.importorskip("obstore", reason="obstore is not installed: pip install 'retain[cluster]'")
    secret = tmp_path / "secret"
    secret.write_bytes(os.urandom(32).hex().encode())
    secret.chmod(0o600)
    site = Site(tmp_path, postgres_server.url)
    done = site.run("n1", "node", "init")
    assert done.returncode == 0, done.stderr
    assert "Began a cluster with no records" in done.stdout
    return site


@pytest.fixture
def nodes(site: Site) -> Iterator[tuple[Server, Server]]:
    """The leader, and a follower."""
    with ExitStack() as stack:
        found = []
        for name in ("n1", "n2"):
            server = site.start(name)
            stack.callback(ended, server)
            eventually(partial(is_ready, server))
            found.append(server)
        yield found[0], found[1]


class Writer(threading.Thread):
    """Writes a counter again and again, at whichever node answers, and remembers what was acknowledged."""

    ttl = 3600

    def __init__(self, servers: tuple[Server, ...], name: str) -> None:
        super().__init__(daemon=True)
        self.history: list[Done] = []
        self.stopped = threading.Event()
        self._servers, self._name = servers, name

    def run(self) -> None:
        number = 0
        while not self.stopped.is_set():
            for server in self._servers:
                number += 1
                self._write(server, str(number))
                self._read(server)

    def _write(self, server: Server, value: str) -> bool:
        begin = time.monotonic()
        body = urlencode({"k": value}).encode()
        try:
            status = server.ask("POST", f"{STORAGE}/{self._name}/{self.ttl}", body, FORM)[0]
        except BROKEN:
            status = 0
        if status in (200, 204):
            self.history.append(Done(begin, time.monotonic(), True, value))
            return True
        self.history.append(Done(begin, float("inf"), True, value))
        time.sleep(0.02)
        return False

    def _read(self, server: Server) -> None:
        begin = time.monotonic()
        try:
            status, body = server.ask("GET", f"{STORAGE}/{self._name}")
        except BROKEN:
            return
        if status == 200:
            self.history.append(Done(begin, time.monotonic(), False, json.loads(body)["k"]))

    def acknowledged(self) -> int:
        return sum(one.wrote and one.end < float("inf") for one in self.history)


def test_a_write_at_either_node_is_read_at_the_other(site: Site, nodes: tuple[Server, Server]) -> None:
    leader, follower = nodes
    name = create(follower, k="0")
    for number in range(1, 11):
        at, other = (leader, follower) if number % 2 else (follower, leader)
        assert update(at, name, k=str(number)) in (200, 204)
        assert show(other, name)["k"] == str(number)
    rows = site.node("n2", "list")
    assert [(row["name"], row["role"]) for row in rows] == [("n1", "leader"), ("n2", "follower")]
    eventually(lambda: site.node("n2", "status")["role"] == "follower")
    # as the console writes it, wherever the configuration is
    alone = [sys.executable, "-m", "retain", "node", "status", "--data", str(follower.data)]
    assert b"follower since" in subprocess.run(alone, cwd=ROOT, check=True, capture_output=True).stdout
    metrics = follower.ask("GET", "/metrics")[1].decode()
    assert "retain_node_answers 1" in metrics
    assert "retain_node_leads 0" in metrics


def test_a_large_body_taken_in_by_one_node_is_sent_by_the_other(nodes: tuple[Server, Server]) -> None:
    leader, follower = nodes
    data = os.urandom(3 << 20)
    head = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f.bin"\r\n\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    status, body = follower.ask("POST", f"{STORAGE}/3600", head + data + b"\r\n--x--\r\n", kind)
    assert status == 200, body
    path = urlsplit(show(leader, json.loads(body)["id"])["f"]).path
    assert leader.ask("GET", path)[1] == data
    assert follower.ask("GET", path)[1] == data


@dataclass
class Ways:
    """Two nodes whose ways to the other one and to PostgreSQL can be cut, each for itself.

    Attributes:
        leader: The node n1.
        follower: The node n2.
        link: The way of the follower to the leader.
        logs: The ways of the nodes to PostgreSQL.

    """

    leader: Server
    follower: Server
    link: Relay
    logs: dict[str, Relay]


@pytest.fixture
def ways(site: Site, postgres_server: Postgres) -> Iterator[Ways]:
    with ExitStack() as stack:
        relays = {
            name: stack.enter_context(Relay(str(postgres_server.folder / ".s.PGSQL.5432")))
            for name in ("n1", "n2")
        }
        site.logs = {
            name: f"postgresql://retain@127.0.0.1:{relay.port}/retain?sslmode=disable"
            for name, relay in relays.items()
        }
        site.links["n1"] = free_address()
        host, _, port = site.links["n1"].partition(":")
        link = stack.enter_context(Relay((host, int(port))))
        site.announced["n1"] = f"127.0.0.1:{link.port}"
        found = []
        for name in ("n1", "n2"):
            server = site.start(name)
            stack.callback(ended, server)
            eventually(partial(is_ready, server))
            found.append(server)
        yield Ways(found[0], found[1], link, relays)


def test_a_node_that_reaches_the_database_and_not_the_leader_answers_nothing(site: Site, ways: Ways) -> None:
    """The other nodes reach n1 at the address that it announces, which is a proxy's here."""
    leader, follower = ways.leader, ways.follower
    assert site.node("n1", "list")[0]["link"] == site.announced["n1"] != site.links["n1"]
    name = create(leader, k="0")
    writer = Writer((leader, follower), name)
    writer.start()
    eventually(lambda: writer.acknowledged() > 10)
    ways.link.cut()
    eventually(lambda: not is_ready(follower))
    before = writer.acknowledged()
    eventually(lambda: writer.acknowledged() > before + 10)
    assert site.node("n1", "status")["role"] == "leader"
    assert follower.ask("GET", f"{STORAGE}/{name}")[0] == 503
    ways.link.mend()
    eventually(lambda: is_ready(follower))
    writer.stopped.set()
    writer.join(LIMIT_S)
    assert why_not(writer.history, "0") is None
    assert show(leader, name) == show(follower, name)
    assert follower.stop() == leader.stop() == 0
    assert folder_of(leader) == folder_of(follower)


def test_a_follower_that_reaches_the_leader_and_not_the_database_goes_on(ways: Ways) -> None:
    leader, follower = ways.leader, ways.follower
    name = create(leader, k="0")
    ways.logs["n2"].cut()
    for number in range(20):
        server, other = (leader, follower) if number % 2 else (follower, leader)
        assert update(server, name, k=f"{number}") in (200, 204)
        assert show(other, name)["k"] == f"{number}"
    ways.logs["n2"].mend()
    assert follower.stop() == leader.stop() == 0


def test_a_leader_that_reaches_the_follower_and_not_the_database_is_replaced(ways: Ways) -> None:
    """It would wait for the database for a minute; its successor tells it, and its clients get an answer."""
    leader, follower = ways.leader, ways.follower
    name = create(leader, k="0")
    writer = Writer((follower,), name)
    writer.start()
    eventually(lambda: writer.acknowledged() > 10)
    ways.logs["n1"].cut()
    began = time.monotonic()
    status, _ = leader.ask("POST", f"{STORAGE}/3600", b"k=1", FORM)
    assert (status, time.monotonic() - began < 45) == (503, True)
    assert leader.process.wait(LIMIT_S) == 75  # while it is still cut off
    ways.logs["n1"].mend()
    before = writer.acknowledged()
    eventually(lambda: writer.acknowledged() > before + 10)
    writer.stopped.set()
    writer.join(LIMIT_S)
    assert why_not(writer.history, "0") is None


def test_a_node_whose_address_is_not_its_own_does_not_start(site: Site, nodes: tuple[Server, Server]) -> None:
    """192.0.2.1 is an address for documentation: no machine has it."""
    site.links["n3"] = "192.0.2.1:8079"
    refused = site.run("n3", "serve")
    assert (refused.returncode, "cluster.link: cannot be listened on" in refused.stderr) == (2, True)
    site.links["n3"] = site.links["n1"]
    refused = site.run("n3", "serve")
    assert (refused.returncode, "a port that nothing else uses" in refused.stderr) == (2, True), (
        refused.stderr
    )
    site.links["n3"], site.announced["n3"] = free_address(), site.links["n1"]
    refused = site.run("n3", "serve")
    assert (refused.returncode, "cluster.announce: is " in refused.stderr) == (2, True), refused.stderr
    assert "node n1, which reported" in refused.stderr


def test_the_follower_takes_over_from_a_killed_leader_and_no_acknowledged_write_is_lost(
    site: Site, nodes: tuple[Server, Server]
) -> None:
    leader, follower = nodes
    name = create(leader, k="0")
    writer = Writer(nodes, name)
    writer.start()
    eventually(lambda: writer.acknowledged() > 20)
    leader.kill()
    before = writer.acknowledged()
    eventually(lambda: writer.acknowledged() > before + 20)
    assert site.node("n2", "status")["role"] == "leader"
    again = site.start("n1")
    try:
        eventually(lambda: is_ready(again))
        writer.stopped.set()
        writer.join(LIMIT_S)
        assert why_not(writer.history, "0") is None
        assert show(again, name) == show(follower, name)
        assert site.node("n1", "status")["role"] == "follower"
        assert again.stop() == follower.stop() == 0
    finally:
        ended(again)
    for server in (again, follower):
        assert verification(RealDisk(server.data)).journal.findings == ()
    assert folder_of(again) == folder_of(follower)


def test_a_leader_that_was_paused_ends_itself_and_answers_nothing_that_is_no_longer_true(
    nodes: tuple[Server, Server],
) -> None:
    leader, follower = nodes
    name = create(leader, k="old")
    leader.process.send_signal(signal.SIGSTOP)
    try:
        eventually(lambda: update(follower, name, k="new") in (200, 204))
    finally:
        leader.process.send_signal(signal.SIGCONT)
    try:
        status, body = leader.ask("GET", f"{STORAGE}/{name}")
        assert status == 503 or json.loads(body)["k"] == "new"
    except BROKEN:
        pass  # it has ended already
    assert leader.process.wait(LIMIT_S) == 75
    assert show(follower, name)["k"] == "new"


def test_a_leader_that_is_stopped_gives_way_at_once(nodes: tuple[Server, Server]) -> None:
    leader, follower = nodes
    name = create(follower, k="0")
    assert leader.stop() == 0
    eventually(lambda: update(follower, name, k="1") in (200, 204))
    assert show(follower, name)["k"] == "1"


def test_what_is_erased_at_the_leader_is_gone_from_every_folder(
    site: Site, nodes: tuple[Server, Server]
) -> None:
    leader, follower = nodes
    body = urlencode({"a": "the first secret words", "b": "the second"}).encode()
    owned = {**FORM, "gms_user": "anna"}
    assert follower.ask("POST", f"{STORAGE}/custom/c1/3600", body, owned)[0] == 200
    create(leader, kept="what stays")
    refused = site.run("n2", "erase", "--gms-user", "anna", "--yes", "--now")
    assert refused.returncode == 1
    assert "only the node that leads erases at once" in refused.stderr
    assert leader.ask("GET", f"{STORAGE}/custom/c1", headers={"gms_user": "anna"})[0] == 200
    done = site.run("n1", "erase", "--gms-user", "anna", "--yes", "--now")
    assert done.returncode == 0, done.stderr
    assert follower.ask("GET", f"{STORAGE}/custom/c1", headers={"gms_user": "anna"})[0] == 404
    eventually(lambda: all(row["erased_to"] == row["record"] for row in site.node("n1", "list")))
    assert follower.stop() == leader.stop() == 0
    assert folder_of(leader) == folder_of(follower)
    for server in nodes:
        assert verification(RealDisk(server.data)).journal.findings == ()
        assert verification(RealDisk(server.data)).journal.erased > 0


def test_a_node_is_seeded_from_a_backup_and_the_lost_database_is_begun_anew(
    site: Site, postgres_server: Postgres
) -> None:
    with ExitStack() as stack:

        def started(name: str) -> Server:
            server = site.start(name)
            stack.callback(ended, server)
            eventually(partial(is_ready, server))
            return server

        first = started("n1")
        name = create(first, k="0")
        backup = str(site.root / "backup")
        done = site.run("n1", "backup", "create", backup)
        assert done.returncode == 0, done.stderr
        assert update(first, name, k="1") in (200, 204)
        erasures = site.root / "erasures"
        erasures.write_text(site.run("n1", "backup", "erasures").stdout)
        restore = [sys.executable, "-m", "retain", "backup", "restore", backup, str(site.root / "n2/data")]
        subprocess.run([*restore, "--erasures", str(erasures)], check=True, cwd=ROOT)
        second = started("n2")
        assert show(second, name) == show(first, name)
        assert update(second, name, k="2") in (200, 204)
        assert second.stop() == first.stop() == 0  # it would lead, and record that it was restored
        assert folder_of(first) == folder_of(second)

        postgres_server.sql("DROP SCHEMA retain CASCADE")
        done = site.run("n1", "node", "init")
        assert done.returncode == 0, done.stderr
        first, second = started("n1"), started("n2")
        assert show(first, name)["k"] == show(second, name)["k"] == "2"
        assert update(second, name, k="3") in (200, 204)
        assert show(first, name)["k"] == "3"
        assert second.stop() == first.stop() == 0  # it would lead, and record that it was restored
        assert folder_of(first) == folder_of(second)
