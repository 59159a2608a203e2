"""A server with workers: as if from one process, also while workers and the process that decides are killed.

`RETAIN_CRASH_N` multiplies the number of kills: `make crash N=20`.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from random import Random
from urllib.parse import urlencode, urlsplit

import pytest

from retain.api.admin.control_client import ask
from retain.engine.audit.verify import verification
from retain.journal import RealDisk
from tests.kit.crash import SCALE
from tests.kit.linear import Done, why_not
from tests.kit.server import Server, running, start

WORKERS = 2
CONFIG = f"""
[server]
workers = {WORKERS}
[log]
format = "text"
[[tenants]]
name = "acme"
containers = ["recordings", "gim-export"]
"""
STORAGE = "/genesys/1/storage"
BROKEN = (OSError, http.client.HTTPException)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="workers need Linux")


class Client:
    """A connection for each request: workers take turns as the system pleases."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        return self._server.ask(method, path, body, headers)

    def create(self, **values: str) -> str:
        status, body = self.request("POST", f"{STORAGE}/3600", urlencode(values).encode(), FORM)
        assert status == 200, (status, body)
        return str(json.loads(body)["id"])

    def update(self, name: str, **values: str) -> int:
        return self.request("POST", f"{STORAGE}/{name}/3600", urlencode(values).encode(), FORM)[0]

    def show(self, name: str) -> dict[str, str] | None:
        status, body = self.request("GET", f"{STORAGE}/{name}")
        assert status in (200, 404), (status, body)
        return json.loads(body) if status == 200 else None


def children(server: Server) -> list[int]:
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(server.process.pid)], capture_output=True, text=True, check=False
    )
    return [int(line) for line in found.stdout.split()]


def eventually(condition: Callable[[], bool], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("workers"), CONFIG) as one:
        yield one
        assert one.stop() == 0
        assert " error " not in one.log(), one.log()


@pytest.fixture
def client(server: Server) -> Client:
    return Client(server)


def at_every_worker(look: Callable[[], object], times: int = 8 * WORKERS) -> set[object]:
    """Return what comes of it over so many connections: in all likelihood each worker had some."""
    return {look() for _ in range(times)}


def test_what_was_answered_is_seen_whichever_worker_answers(client: Client) -> None:
    name = client.create(k="0")
    for number in range(1, 30):
        assert client.update(name, k=str(number)) in (200, 204)
        assert client.show(name) == {"k": str(number)}


def test_large_bodies_are_taken_in_by_one_worker_and_sent_by_any_other(
    server: Server, client: Client
) -> None:
    data = os.urandom(3 << 20)
    head = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f.bin"\r\n\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    status, body = client.request("POST", f"{STORAGE}/3600", head + data + b"\r\n--x--\r\n", kind)
    assert status == 200, body
    shown = client.show(json.loads(body)["id"])
    assert shown is not None
    path = urlsplit(shown["f"]).path
    assert at_every_worker(lambda: client.request("GET", path)[1] == data) == {True}


def test_a_revoked_token_is_refused_by_the_next_request_at_every_worker(
    server: Server, client: Client
) -> None:
    made = ask(server.data, "token create", actor="test", tenant="acme", expiry="2100-01-01")
    token = next(one for one in made if one["container"] == "recordings")
    path = f"/acme/recordings?restype=container&comp=list&{token['token']}"
    assert at_every_worker(lambda: client.request("GET", path)[0]) == {200}
    ask(server.data, "token revoke", actor="test", tenant="acme", ids=[token["id"]])
    assert at_every_worker(lambda: client.request("GET", path)[0]) == {403}


def test_a_replaced_key_is_dead_at_every_worker(server: Server, client: Client) -> None:
    made = ask(server.data, "token create", actor="test", tenant="acme", expiry="2100-01-01")
    token = next(one for one in made if one["container"] == "recordings")
    path = f"/acme/recordings?restype=container&comp=list&{token['token']}"
    assert at_every_worker(lambda: client.request("GET", path)[0]) == {200}
    ask(server.data, "tenant rotate-key", actor="test", name="acme", key=1)
    assert at_every_worker(lambda: client.request("GET", path)[0]) == {403}


def test_a_user_who_is_removed_cannot_log_in_at_any_worker(server: Server, client: Client) -> None:
    from retain.api.identity.passwords import hash_password

    path = "/mobileservices/Storage/v1/runtime/application/app/global"
    login = {"Authorization": "Basic " + base64.b64encode(b"eve:secret").decode()}
    ask(server.data, "user add", actor="test", name="eve", password=hash_password("secret"), roles=[])
    known = at_every_worker(lambda: client.request("GET", path, headers=login)[0])
    assert known == {404}  # nothing is stored there, and she may know
    ask(server.data, "user remove", actor="test", name="eve")
    assert at_every_worker(lambda: client.request("GET", path, headers=login)[0], 4) <= {401, 429}


def test_a_watcher_at_one_worker_is_woken_by_a_write_at_another(server: Server, client: Client) -> None:
    from retain.api.identity.passwords import hash_password

    ask(
        server.data,
        "user add",
        actor="test",
        name="ann",
        password=hash_password("pw"),
        roles=["Administrator"],
    )
    login = {"Authorization": "Basic " + base64.b64encode(b"ann:pw").decode()}
    path = "/mobileservices/Storage/v1/runtime/application/watched/global"
    json_body = {"Content-Type": "application/json", **login}
    assert client.request("POST", path, b'{"c":{"v":1}}', json_body)[0] in (200, 201, 204)
    status, _ = client.request("GET", f"{path}/c", headers=login)
    assert status == 200
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
    connection.request("GET", f"{path}/c?watch=true", headers=login)
    events = connection.getresponse()
    assert events.status == 200
    assert client.request("PUT", f"{path}/c", b'{"v":2}', json_body)[0] in (200, 204)
    seen = b""
    while b'"v":2' not in seen.replace(b" ", b""):
        data = events.read1(65536)
        assert data, seen
        seen += data
    connection.close()


def test_pages_metrics_and_status_tell_of_all_workers(server: Server, client: Client) -> None:
    def answered() -> float:
        text = client.request("GET", "/metrics")[1].decode()
        found = re.search(
            r'retain_http_requests_total\{interface="areas",method="GET",status="404"\} (\d+)', text
        )
        return float(found[1]) if found else 0.0

    before = answered()
    for _ in range(40):
        client.show("00000000-0000-0000-0000-000000000000")
    assert answered() == before + 40
    assert at_every_worker(lambda: client.request("GET", "/readyz")) == {(200, b"ok\n")}
    assert at_every_worker(lambda: client.request("GET", "/console/sign-in")[0]) == {200}
    assert at_every_worker(lambda: client.request("GET", "/nothing-here")[0]) == {404}
    shown = ask(server.data, "status", actor="test")["workers"]
    assert [one["worker"] for one in shown] == [1, 2]
    assert all(one["listening"] and one["memory_bytes"] > 20_000_000 for one in shown)
    assert ask(server.data, "doctor", actor="test")["requests"]


def test_failed_logins_are_slowed_in_sum(client: Client) -> None:
    path = "/mobileservices/Storage/v1/runtime/application/app/global"
    login = {"Authorization": "Basic " + base64.b64encode(b"nobody:x").decode()}
    began = time.monotonic()
    outcomes = [client.request("GET", path, headers=login)[0] for _ in range(8)]
    # Five are free; then 0.5 and 1 seconds, whichever worker is asked. With a throttle each none were slow.
    assert set(outcomes) <= {401, 429}
    assert 429 in outcomes or time.monotonic() - began > 1.4


def test_one_order_explains_what_workers_answer_at_the_same_time(client: Client) -> None:
    names = [client.create(k="v0") for _ in range(2)]
    histories: list[list[Done]] = [[], []]
    values = count(1)

    def work(seed: int) -> None:
        random = Random(seed)
        for _ in range(40):
            which = random.randrange(2)
            begin = time.monotonic()
            if random.random() < 0.4:
                value = f"v{next(values)}"
                assert client.update(names[which], k=value) in (200, 204)
                histories[which].append(Done(begin, time.monotonic(), True, value))
            else:
                shown = client.show(names[which])
                assert shown is not None
                histories[which].append(Done(begin, time.monotonic(), False, shown["k"]))

    in_threads(*(lambda seed=seed: work(seed) for seed in range(4)))
    for history in histories:
        assert why_not(history, "v0") is None


def in_threads(*works: Callable[[], None]) -> None:
    failures: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    if failures:
        raise failures[0]


class Writers:
    """Threads that write until told to stop, and remember what was acknowledged and what is unknown."""

    def __init__(self, server: Server, threads: int = 4) -> None:
        self.acknowledged: dict[str, str] = {}
        self.odd: list[tuple[int, bytes]] = []
        self._stop = threading.Event()
        self._client = Client(server)
        self._threads = [threading.Thread(target=self._write, args=(one,)) for one in range(threads)]
        for thread in self._threads:
            thread.start()

    def _write(self, seed: int) -> None:
        for number in count():
            if self._stop.is_set():
                return
            body = urlencode({"k": f"{seed}.{number}"}).encode()
            try:
                status, answer = self._client.request("POST", f"{STORAGE}/3600", body, FORM)
            except BROKEN:
                time.sleep(0.01)
                continue
            if status == 200:
                self.acknowledged[json.loads(answer)["id"]] = f"{seed}.{number}"
            else:
                self.odd.append((status, answer))

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)


def test_workers_killed_while_they_write_lose_nothing_and_are_replaced(tmp_path: Path) -> None:
    random = Random(5)
    with running(tmp_path, CONFIG) as server:
        client, writers = Client(server), Writers(server)
        for _ in range(3 * SCALE):
            eventually(lambda: len(children(server)) == WORKERS)
            seen = len(writers.acknowledged)
            eventually(lambda seen=seen: len(writers.acknowledged) > seen + 5)
            os.kill(random.choice(children(server)), signal.SIGKILL)
            time.sleep(random.random() * 0.3)
        writers.end()
        eventually(lambda: ask(server.data, "status", actor="test")["ready"])
        assert not writers.odd, writers.odd[:3]
        assert len(writers.acknowledged) > 15 * SCALE
        for name, value in writers.acknowledged.items():
            assert client.show(name) == {"k": value}
        assert server.log().count("a worker ended and is replaced") == 3 * SCALE
        assert server.stop() == 0
    assert verification(RealDisk(server.data)).sound


def test_the_process_that_decides_killed_while_it_writes_loses_nothing_and_takes_its_workers_along(
    tmp_path: Path,
) -> None:
    acknowledged: dict[str, str] = {}
    for _ in range(SCALE):
        server = start(tmp_path, CONFIG)
        try:
            writers = Writers(server)
            eventually(lambda writers=writers: len(writers.acknowledged) > 20)
            workers = children(server)
            server.kill()
            eventually(lambda workers=workers: not any(map(alive, workers)), 10)
            writers.end()
            # Those who were still answered while it died were told that they cannot know.
            assert {status for status, _ in writers.odd} <= {500, 503}, writers.odd[:3]
            acknowledged |= writers.acknowledged
        finally:
            server.kill()
            assert server.process.stdout is not None
            server.process.stdout.close()
    with running(tmp_path, CONFIG) as server:
        client = Client(server)
        for name, value in acknowledged.items():
            assert client.show(name) == {"k": value}


def alive(process: int) -> bool:
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_an_address_that_cannot_be_had_stops_the_start_with_a_reason(server: Server, tmp_path: Path) -> None:
    environ = {**os.environ, "RETAIN_STORAGE_DATA": str(tmp_path / "data"), "RETAIN_SERVER_WORKERS": "2"}
    environ["RETAIN_SERVER_BIND"] = f"127.0.0.1:{server.port}"
    command = [sys.executable, "-m", "retain", "serve"]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{server.port}" in ended.stderr
