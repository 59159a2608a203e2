"""The real server as a process: starting, refusing to start, stopping, bearing what the network brings."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import ssl
import stat
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.kit.server import ROOT, Server, command
from tests.kit.serving import connected, serving

Launch = Callable[..., Server]


def get(server: Server, target: str = "/healthz") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
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
        command(folder), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_it_starts_says_where_it_is_and_stops_cleanly(launch: Launch) -> None:
    server = launch()
    assert get(server) == (200, b"ok\n")
    assert get(server, "/readyz") == (200, b"ok\n")
    assert f"Retain listens on {server.url}\n" in server.output
    assert server.stop() == 0
    assert "Traceback" not in server.log()
    assert '"event": "stopping"' in server.log()


def test_the_data_folder_is_the_owners_alone(launch: Launch) -> None:
    server = launch()
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    for path in server.data.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_sigint_stops_it_as_well(launch: Launch) -> None:
    server = launch()
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(30) == 0


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
    assert bind in result.stderr
    assert "Traceback" not in result.stderr


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


def certified(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    paths[1].chmod(0o600)
    return paths


@pytest.fixture
def encrypted(launch: Launch, tmp_path: Path) -> Server:
    certificate, key = certified(tmp_path)
    return launch(f"[server]\ntls_certificate = '{certificate}'\ntls_key = '{key}'\n")


def trusting(server: Server, *protocols: str) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(server.folder.parent / "cert.pem"))
    context.set_alpn_protocols(list(protocols))
    plain = socket.create_connection((server.host, server.port), timeout=10)
    return context.wrap_socket(plain, server_hostname="localhost")


def test_tls_is_served(encrypted: Server) -> None:
    assert encrypted.url.startswith("https://")
    with trusting(encrypted, "http/1.1") as stream:
        stream.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"".join(iter(lambda: stream.recv(65536), b"")).endswith(b"ok\n")


def test_old_tls_and_plain_text_are_refused_and_harm_nobody(encrypted: Server) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname = False
    old.verify_mode = ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection((encrypted.host, encrypted.port), timeout=10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200" not in plain.recv(1000)
    test_tls_is_served(encrypted)


class H2Client:
    """HTTP/2 in the plain: frames out, events in."""

    def __init__(self, stream: ssl.SSLSocket) -> None:
        self.stream = stream
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
        self.connection.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.stream.sendall(self.connection.data_to_send())

    def request(self, path: bytes, *, method: bytes = b"GET", end: bool = True) -> int:
        stream_id = self.connection.get_next_available_stream_id()
        headers = [
            (b":method", method),
            (b":path", path),
            (b":scheme", b"https"),
            (b":authority", b"localhost"),
        ]
        self.connection.send_headers(stream_id, headers, end_stream=end)
        self.flush()
        return stream_id

    def events(self) -> list[h2.events.Event]:
        """What the next bytes bring; empty at the end of the connection."""
        try:
            data = self.stream.recv(65536)
        except ConnectionResetError:
            data = b""
        found = list(self.connection.receive_data(data)) if data else []
        self.flush()
        return found if data else []

    def answer(self, stream_id: int) -> tuple[int, bytes]:
        status, body = 0, b""
        while True:
            events = self.events()
            assert events, "closed before the answer"
            for event in events:
                if getattr(event, "stream_id", None) != stream_id:
                    continue
                if isinstance(event, h2.events.ResponseReceived):
                    status = int(dict(event.headers)[b":status"])
                    assert b"server" not in dict(event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data
                elif isinstance(event, h2.events.StreamEnded):
                    return status, body
                elif isinstance(event, h2.events.StreamReset):
                    return 0, body


def test_http_2_is_served(encrypted: Server) -> None:
    with trusting(encrypted, "h2") as stream:
        assert stream.selected_alpn_protocol() == "h2"
        client = H2Client(stream)
        assert client.answer(client.request(b"/healthz")) == (200, b"ok\n")
        assert client.answer(client.request(b"/nothing"))[0] == 404
        assert client.answer(client.request(b"/%ff"))[0] == 400
        assert client.answer(client.request(b"/healthz", method=b"TRACE"))[0] in (0, 405)
        assert client.answer(client.request(b"/healthz", method=b"POST", end=False))[0] == 405
        assert client.answer(client.request(b"/healthz")) == (200, b"ok\n")


def test_a_flood_of_resets_ends_the_connection_and_nobody_elses(encrypted: Server) -> None:
    with trusting(encrypted, "h2") as stream:
        client = H2Client(stream)
        ended = False
        for _ in range(40):
            try:
                for _ in range(20):
                    client.connection.reset_stream(client.request(b"/healthz", end=False))
                client.flush()
            except (OSError, h2.exceptions.ProtocolError):
                ended = True
                break
        while not ended:
            ended = not client.events()
    with trusting(encrypted, "h2") as stream:
        client = H2Client(stream)
        assert client.answer(client.request(b"/healthz")) == (200, b"ok\n")
    assert "error of ours" not in encrypted.log()


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit is not installed")
def test_two_hundred_connections_at_sixty_four_open_files_do_not_hurt(launch: Launch) -> None:
    server = launch("[server]\nheader_timeout = 0.5\n", prefix=("prlimit", "--nofile=64:64"))
    crowd = [socket.create_connection((server.host, server.port), timeout=10) for _ in range(200)]
    try:
        before = cpu_seconds(server)
        assert get(server, "/readyz")[0] == 200
        assert cpu_seconds(server) - before < 5, "the accept loop spins"
    finally:
        for one in crowd:
            one.close()
    assert get(server, "/readyz") == (200, b"ok\n")
    assert "Traceback" not in server.log()


def cpu_seconds(server: Server) -> float:
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_the_stop_finishes_requests_in_flight_and_closes_idle_ones() -> None:
    async with serving() as served, connected(served.port) as busy, connected(served.port) as idle:
        await idle.send(b"GET /echo/a HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await idle.answer()).status == 200
        await busy.send(b"GET /echo/slow HTTP/1.1\r\nHost: a\r\n\r\n")
        await trio.sleep(0.1)
        served.stop.set()
        with trio.fail_after(5):
            assert await idle.rest() == b""
            assert (await busy.answer()).status == 200
            assert await busy.rest() == b""
        with pytest.raises(OSError, match="connect"):
            await trio.open_tcp_stream("127.0.0.1", served.port)


async def test_the_stop_does_not_wait_for_ever() -> None:
    from api.config import ServerConfig

    config = ServerConfig(bind="127.0.0.1:0", stop_timeout=0.2)
    async with serving(config) as served, connected(served.port) as endless:
        await endless.send(b"GET /echo/endless HTTP/1.1\r\nHost: a\r\n\r\n")
        assert await endless.stream.receive_some(1000)
        served.stop.set()
        with trio.fail_after(5):
            await endless.rest()
