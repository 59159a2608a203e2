"""What a connection over TLS holds goes with it: garbage in cycles that is frozen once is never freed."""

from __future__ import annotations

import gc
import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from retain.api.config.load import ServerConfig
from retain.api.server.http1 import Http1, HttpConnection
from retain.api.server.http2 import Http2
from tests.api.server.test_connections import gauge
from tests.api.server.test_http1 import H2Client, certified, trusting
from tests.kit.serving import eventually, serving

KINDS = (Http1, Http2, HttpConnection, trio.SSLStream, ssl.SSLObject)
GET = b"GET /echo/a HTTP/1.1\r\nHost: localhost\r\n\r\n"


def http_1(port: int, certificate: Path) -> None:
    with trusting(port, certificate, "http/1.1") as stream:
        stream.sendall(GET)
        assert stream.recv(65536)


def http_1_reset(port: int, certificate: Path) -> None:
    with trusting(port, certificate, "http/1.1") as stream:
        stream.sendall(GET)
        assert stream.recv(65536)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def http_2(port: int, certificate: Path) -> None:
    with trusting(port, certificate, "h2") as stream:
        client = H2Client(stream)
        assert client.answer(client.request(b"/echo/a"))[0] == 200


def http_2_in_the_middle(port: int, certificate: Path) -> None:
    with trusting(port, certificate, "h2") as stream:
        client = H2Client(stream, window=0)
        for _ in range(5):
            client.request(b"/echo/big/300001")
        assert client.events()


def no_handshake(port: int, _certificate: Path) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\n\r\n")
        stream.recv(65536)


def half_a_handshake(port: int, _certificate: Path) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as stream:
        stream.sendall(b"\x16\x03\x01\x02")


@pytest.mark.parametrize(
    "client", [http_1, http_1_reset, http_2, http_2_in_the_middle, no_handshake, half_a_handshake]
)
async def test_a_connection_over_tls_needs_no_collector_to_go(
    tmp_path: Path, client: Callable[[int, Path], None]
) -> None:
    def alive() -> list[str]:
        return sorted(type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, KINDS))

    certificate, key = certified(tmp_path)
    config = ServerConfig(bind="127.0.0.1:0", tls_certificate=str(certificate), tls_key=str(key))
    async with serving(config) as served:
        await trio.to_thread.run_sync(http_1, served.port, certificate)
        await eventually(lambda: gauge(served, "retain_http_connections") == 0)
        gc.collect()
        gc.disable()
        try:
            before = alive()
            for _ in range(3):
                await trio.to_thread.run_sync(client, served.port, certificate)
            await eventually(lambda: gauge(served, "retain_http_connections") == 0)
            await eventually(lambda: alive() == before, within_s=5)
        finally:
            gc.enable()


async def test_a_stream_that_is_reset_before_its_answer_leaves_nothing(tmp_path: Path) -> None:
    def talk(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream)
            for _ in range(20):
                client.connection.reset_stream(client.request(b"/echo/slow/60"))
            assert client.answer(client.request(b"/echo/a"))[0] == 200
            [served] = [one for one in gc.get_objects() if isinstance(one, Http2)]
            trio.from_thread.run(eventually, lambda: not served.stream_buffers)

    certificate, key = certified(tmp_path)
    config = ServerConfig(bind="127.0.0.1:0", tls_certificate=str(certificate), tls_key=str(key))
    async with serving(config) as served:
        await trio.to_thread.run_sync(talk, served.port, certificate)
