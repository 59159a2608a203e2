"""The real server as a process: starting, refusing to start, stopping, bearing what the network brings."""

from __future__ import annotations

import errno
import http.client
import os
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import trio
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from trio.testing import MockClock

from retain.api.config.load import ServerConfig
from retain.api.server.serve import capacity
from retain.engine.core.clock import is_synchronized
from tests.kit.certificates import certified
from tests.kit.passwords import cheap_hash
from tests.kit.server import ROOT, Server, command
from tests.kit.serving import CLOSED, STARTED, connected, eventually, let_pass, serving

Launch = Callable[..., Server]


def get(server: Server, target: str = "/healthz") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=120)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def refused(folder: Path, config: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a server that must not start."""
    folder.mkdir(exist_ok=True)
    (folder / "retain.toml").write_text(config)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RETAIN_")}
    environment |= {"RETAIN_STORAGE_DATA": str(folder / "data"), **environ}
    return subprocess.run(
        command(folder), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200, check=False
    )


def test_it_starts_says_where_it_is_and_stops_cleanly(launch: Launch) -> None:
    server = launch()
    assert get(server) == (200, b"ok\n")
    assert get(server, "/readyz") == (200, b"ok\n")
    assert f"Retain listens on {server.url}\n" in server.output
    assert server.stop() == 0
    assert "Traceback" not in server.log()
    assert '"event": "stopping"' in server.log()


def test_a_new_data_folder_says_that_no_time_service_sets_the_clock(launch: Launch) -> None:
    server = launch()
    assert server.stop() == 0
    doubted = is_synchronized() is False
    assert ('"event": "a new data folder has an unconfirmed clock"' in server.log()) is doubted


def test_the_data_folder_is_the_owners_alone(launch: Launch) -> None:
    server = launch()
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    for path in server.data.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_sigint_stops_it_as_well(launch: Launch) -> None:
    server = launch()
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(60) == 0


@pytest.mark.parametrize("bind", ["0.0.0.0:0", "[::]:0"])
def test_an_open_address_without_encryption_is_refused(tmp_path: Path, bind: str) -> None:
    result = refused(tmp_path, f"[server]\nbind = '{bind}'\n")
    assert result.returncode == 2
    assert "without encryption" in result.stderr
    assert not (tmp_path / "data").exists()


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    certificate, key = certified(tmp_path)
    key.chmod(0o640)
    result = refused(tmp_path, f"[server]\ntls_certificate = '{certificate}'\ntls_key = '{key}'\n")
    assert result.returncode == 2
    assert "chmod 600" in result.stderr
    assert "PRIVATE KEY" not in result.stderr


@pytest.mark.parametrize("what", ["another key's", "no PEM", "missing"])
def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path, what: str) -> None:
    for folder in ("mine", "other"):
        (tmp_path / folder).mkdir()
    certificate, key = certified(tmp_path / "mine")
    if what == "another key's":
        certificate, _ = certified(tmp_path / "other")
    elif what == "no PEM":
        certificate.write_text("hello")
    else:
        certificate.unlink()
    result = refused(tmp_path, f"[server]\ntls_certificate = '{certificate}'\ntls_key = '{key}'\n")
    assert result.returncode == 2
    assert f"{certificate}: server.tls_certificate: " in result.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot read the key set: No such file or directory"),
        (b"{", "not JSON"),
        (b'{"keys": []}', "no usable key: RSA of 2048 bits or more, EC, or Ed25519, for signatures"),
    ],
)
def test_a_key_set_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None, reason: str) -> None:
    if content is not None:
        (tmp_path / "keys.json").write_bytes(content)
    result = refused(tmp_path, "[identity]\njwt_jwks = 'keys.json'\n", RETAIN_SERVER_BIND="127.0.0.1:0")
    assert result.returncode == 2
    assert result.stderr == f"Error: {tmp_path / 'keys.json'}: identity.jwt_jwks: {reason}\n"
    assert not (tmp_path / "data").exists()


def test_a_user_that_nobody_can_be_is_named(tmp_path: Path) -> None:
    user = f"[[users]]\nname = '{'a' * 256}'\npassword = '{cheap_hash('x')}'\n"
    result = refused(tmp_path, user, RETAIN_SERVER_BIND="127.0.0.1:0")
    assert result.returncode == 2
    assert "cannot be a user name" in result.stderr


def test_an_encrypted_key_is_refused_without_asking_for_its_passphrase(tmp_path: Path) -> None:
    certificate, key = certified(tmp_path)
    private = load_pem_private_key(key.read_bytes(), None)
    secret = BestAvailableEncryption(b"secret")
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
    result = refused(tmp_path, f"[server]\ntls_certificate = '{certificate}'\ntls_key = '{key}'\n")
    assert result.returncode == 2
    assert "server.tls_certificate" in result.stderr


def test_a_data_folder_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    data = str(tmp_path / "file" / "data")
    result = refused(tmp_path, "", RETAIN_STORAGE_DATA=data, RETAIN_SERVER_BIND="127.0.0.1:0")
    assert result.returncode == 1
    assert result.stderr == f"Error: {data} cannot be used: Not a directory; --data names another folder\n"


def test_an_unknown_key_is_refused_with_its_name(tmp_path: Path) -> None:
    result = refused(tmp_path, "[areas]\ndefault_tll = 3\n")
    assert result.returncode == 2
    assert f"{tmp_path}/retain.toml: areas.default_tll: unknown key" in result.stderr


def test_a_taken_address_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        result = refused(tmp_path, "", RETAIN_SERVER_BIND=bind)
    assert result.returncode == 1
    assert result.stderr == (
        f"Error: cannot listen on {bind}: Address already in use; "
        "choose another with --bind HOST:PORT (make serve BIND=HOST:PORT), or port 0\n"
    )


def test_a_second_server_on_the_folder_is_told_who_has_it(launch: Launch, tmp_path: Path) -> None:
    server = launch()
    (tmp_path / "link").symlink_to(server.data)
    environ = {"RETAIN_STORAGE_DATA": str(tmp_path / "link"), "RETAIN_SERVER_BIND": "127.0.0.1:0"}
    result = refused(tmp_path / "second", "", **environ)
    assert result.returncode == 3
    assert f"process {server.process.pid}" in result.stderr
    server.kill()
    again = launch(environ={"RETAIN_STORAGE_DATA": str(server.data)})
    assert get(again)[0] == 200


@pytest.mark.slow
def test_of_servers_that_start_at_once_on_a_folder_one_goes_on_and_the_others_are_told(
    tmp_path: Path,
) -> None:
    """Whoever is refused was refused by one that holds the folder; so not all can be."""
    (tmp_path / "retain.toml").write_text("[server]\nbind = '127.0.0.1:0'\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RETAIN_")}
    environment |= {"RETAIN_STORAGE_DATA": str(tmp_path / "data"), "PYTHONUNBUFFERED": "1"}
    (tmp_path / "data").mkdir()
    crowd = [
        subprocess.Popen(
            command(tmp_path),
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    with ExitStack() as stack:
        for process in crowd:
            stack.enter_context(process)
            stack.callback(process.kill)
        first_lines = [process.stdout.readline() for process in crowd if process.stdout is not None]
        [going] = [process for process, line in zip(crowd, first_lines, strict=True) if "listens" in line]
        for process in crowd:
            if process is not going:
                _, told = process.communicate(timeout=120)
                assert process.returncode == 3
                assert "in use by process" in told
        assert going.poll() is None
        going.terminate()
        going.communicate(timeout=120)
        assert going.returncode == 0


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit is not installed")
def test_two_hundred_connections_at_sixty_four_open_files_do_not_hurt(launch: Launch) -> None:
    server = launch(prefix=("prlimit", "--nofile=64:64"))
    crowd = [socket.create_connection((server.host, server.port), timeout=60) for _ in range(200)]
    try:
        assert get(server, "/readyz")[0] == 200
    finally:
        for one in crowd:
            one.close()
    assert get(server, "/readyz") == (200, b"ok\n")
    assert "Traceback" not in server.log()


async def test_running_out_of_files_is_told_once_waited_out_and_forgotten(launch: Launch) -> None:
    server = launch()
    pid = server.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + 1, limits[1]))
    told = "resource shortage"
    crowd = [socket.create_connection((server.host, server.port), timeout=60) for _ in range(5)]
    await eventually(lambda: told in server.log())
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    status, text = await trio.to_thread.run_sync(get, server, "/readyz")
    assert (status, text.startswith(b"degraded: short of descriptors")) == (200, True)
    assert server.log().count(told) == 1
    for one in crowd:
        one.close()


async def test_a_machine_short_of_files_is_not_asked_again_and_again(
    monkeypatch: pytest.MonkeyPatch, mock_clock: MockClock
) -> None:
    tries = 0

    async def short(_: trio.SocketListener) -> trio.SocketStream:
        nonlocal tries
        tries += 1
        await trio.lowlevel.checkpoint()
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(trio.SocketListener, "accept", short)
    async with serving():
        for _ in range(100):
            await let_pass(mock_clock, 0.1)
        assert 10 <= tries <= 50


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "expected"),
    [
        (1024, 1_000_000, 4096, 4096),
        (1024, 1024, 4096, 512),
        (1024, 4096, 4096, 3584),
        (256, 256, 4096, 64),
        (64, 64, 1024, 16),
        (600, 600, 20, 20),
        (-1, -1, 9, 9),
    ],
)
def test_connections_leave_room_for_the_journals_files(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, wanted: int, expected: int
) -> None:
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))
    assert capacity(ServerConfig(max_connections=wanted)) == expected
    assert all(limit[0] <= hard for limit in raised)


async def test_a_connection_that_breaks_before_it_is_accepted_costs_no_other(
    monkeypatch: pytest.MonkeyPatch, mock_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    accept = trio.SocketListener.accept
    broken = iter([OSError(errno.ECONNABORTED, "Software caused connection abort")])

    async def once(listener: trio.SocketListener) -> trio.SocketStream:
        for error in broken:
            raise error
        return await accept(listener)

    monkeypatch.setattr(trio.SocketListener, "accept", once)
    async with serving() as served, connected(served.port) as peer:
        await let_pass(mock_clock, 1)
        await peer.send(b"GET /echo/a HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await peer.answer()).status == 200
    told = [record for record in caplog.records if record.name == "retain.serve"]
    assert [(record.levelname, record.__dict__["facts"]) for record in told] == [
        ("WARNING", {"errno": errno.ECONNABORTED})
    ]


async def test_five_hundred_slow_clients_do_not_slow_anybody_else(launch: Launch) -> None:
    limits = "max_connections = 600\nconnections_per_peer = 600\nheader_timeout = 6.0\n"
    server = launch(f"[server]\n{limits}")
    before = resident(server)
    openings = (
        b"GET /healthz HTTP/1.1\r\nX: ",
        b"POST /genesys/1/storage/60 HTTP/1.1\r\nHost: a\r\nContent-Type: "
        b"application/x-www-form-urlencoded\r\nContent-Length: 9999\r\n\r\na=",
    )
    sent = 0

    async def trickle(opening: bytes) -> None:
        nonlocal sent
        async with connected(server.port) as peer:
            await peer.send(opening)
            while True:
                await trio.sleep(0.5)
                await peer.send(b"y")
                sent += 1

    async with trio.open_nursery() as nursery:
        for number in range(500):
            nursery.start_soon(trickle, openings[number % 2])
        await eventually(lambda: sent > 500)
        taken = []
        async with connected(server.port) as peer:
            for _ in range(100):
                start = trio.current_time()
                await peer.send(b"GET /genesys/1/storage/x HTTP/1.1\r\nHost: a\r\n\r\n")
                assert (await peer.answer()).status == 404
                taken.append(trio.current_time() - start)
        # A busy machine stalls by itself: the median tells about the server. Waiting for one of the slow
        # clients would take seconds.
        assert sorted(taken)[50] < 1
        assert resident(server) - before < 50 << 20
        await eventually(lambda: cut_by(server, "header-timeout") >= 250)
        nursery.cancel_scope.cancel()


def resident(server: Server) -> int:
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS:"))


def cut_by(server: Server, reason: str) -> float:
    text = get(server, "/metrics")[1].decode()
    found = re.search(rf'retain_http_connections_cut_total{{reason="{reason}"}} (\S+)', text)
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize("fast", [True, False])
async def test_the_stop_finishes_requests_in_flight_and_closes_idle_ones(
    mock_clock: MockClock, fast: bool
) -> None:
    STARTED.clear()
    config = ServerConfig(bind="127.0.0.1:0", fast_http1=fast)
    async with (
        serving(config) as served,
        connected(served.port) as busy,
        connected(served.port) as idle,
    ):
        await idle.send(b"GET /echo/a HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await idle.answer()).status == 200
        await busy.send(b"GET /echo/slow/5/stop HTTP/1.1\r\nHost: a\r\n\r\n")
        await eventually(lambda: "slow/5/stop" in STARTED)
        served.stop.set()
        assert await idle.rest() == b""
        await let_pass(mock_clock, 4.9)
        assert busy.buffer == b""
        await let_pass(mock_clock, 0.2)
        answer = await busy.answer()
        assert answer.status == 200
        assert answer.header("connection") == "close"
        await let_pass(mock_clock, 1)
        assert await busy.rest() == b""
        with pytest.raises(OSError, match="connect"):
            await trio.open_tcp_stream("127.0.0.1", served.port)


async def test_the_stop_ends_answers_that_wait_for_something() -> None:
    async with serving() as served, connected(served.port) as events, connected(served.port) as waiting:
        await events.send(b"GET /echo/events HTTP/1.1\r\nHost: a\r\n\r\n")
        await waiting.send(b"GET /echo/wait/stop HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200 OK" in await events.stream.receive_some(1000)
        await eventually(lambda: "wait/stop" in STARTED)
        served.stop.set()
        with trio.fail_after(60):
            assert (await waiting.answer()).body == b"nothing new"
            assert (await events.rest()).endswith(b"0\r\n\r\n")


async def test_the_stop_does_not_wait_for_ever(mock_clock: MockClock) -> None:
    config = ServerConfig(bind="127.0.0.1:0", stop_timeout=10)
    async with serving(config) as served, connected(served.port) as endless:
        await endless.send(b"GET /echo/endless/stop HTTP/1.1\r\nHost: a\r\n\r\n")
        assert await endless.stream.receive_some(1000)
        served.stop.set()
        await let_pass(mock_clock, 9)
        assert "stop" not in CLOSED
        await let_pass(mock_clock, 2)
        await endless.rest()
        await eventually(lambda: "stop" in CLOSED)
