"""The stop over HTTP/2: each stream ends or is refused, and GOAWAY says so before the connection closes."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import h2.errors
import h2.events
import h2.settings
import pytest
import trio

from retain.api.config.load import ServerConfig
from retain.api.server import connections, http2
from tests.api.server.test_connections import gauge
from tests.api.server.test_http1 import H2Client, certified, trusting
from tests.kit.serving import STARTED, Served, eventually, serving

Stop = Callable[[], None]


def to_the_end(client: H2Client) -> list[h2.events.Event]:
    """Every event until the server closes. A reset of the connection is an error."""
    found: list[h2.events.Event] = []
    while True:
        data = client.stream.recv(65536)
        if not data:
            return found
        found += client.connection.receive_data(data)
        if not any(isinstance(event, h2.events.ConnectionTerminated) for event in found):
            client.flush()


def farewell(events: list[h2.events.Event]) -> h2.events.ConnectionTerminated:
    """The GOAWAY among the events."""
    told = [event for event in events if isinstance(event, h2.events.ConnectionTerminated)]
    assert told, f"closed without a word after {events}"
    assert told[-1].error_code == h2.errors.ErrorCodes.NO_ERROR
    return told[-1]


@asynccontextmanager
async def over_tls(folder: Path) -> AsyncIterator[tuple[Served, Path, Stop]]:
    """A server with HTTP/2, its certificate, and what a thread calls to stop it."""
    certificate, key = certified(folder)
    config = ServerConfig(bind="127.0.0.1:0", tls_certificate=str(certificate), tls_key=str(key))
    async with serving(config) as served:

        async def stop() -> None:
            served.stop.set()
            await served.app.stopping.wait()

        yield served, certificate, partial(trio.from_thread.run, stop)


async def test_an_idle_connection_is_told_before_it_is_closed(tmp_path: Path) -> None:
    def talk(port: int, certificate: Path, stop: Stop) -> None:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream)
            first = client.request(b"/echo/a")
            assert client.answer(first)[0] == 200
            stop()
            assert farewell(to_the_end(client)).last_stream_id == first

    async with over_tls(tmp_path) as (served, certificate, stop):
        await trio.to_thread.run_sync(talk, served.port, certificate, stop)


async def test_a_request_in_hand_gets_its_whole_answer_and_a_later_one_is_refused(tmp_path: Path) -> None:
    def talk(port: int, certificate: Path, stop: Stop) -> None:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream)
            slow = client.request(b"/echo/slow/0.3/http2-stop")
            trio.from_thread.run(eventually, lambda: "slow/0.3/http2-stop" in STARTED)
            stop()
            later = client.connection.get_next_available_stream_id()
            client.request(b"/echo/later/http2-stop")
            events = to_the_end(client)
            farewell(events)
            ended = [event.stream_id for event in events if isinstance(event, h2.events.StreamEnded)]
            assert ended == [slow]
            body = b"".join(event.data for event in events if isinstance(event, h2.events.DataReceived))
            assert body == b'["echo","slow","0.3","http2-stop"]'
            refused = {
                event.stream_id: event.error_code
                for event in events
                if isinstance(event, h2.events.StreamReset)
            }
            # A stream that is refused may be sent again on another connection (RFC 9113 section 8.7).
            assert refused == {later: h2.errors.ErrorCodes.REFUSED_STREAM}
            assert "later/http2-stop" not in STARTED

    async with over_tls(tmp_path) as (served, certificate, stop):
        await trio.to_thread.run_sync(talk, served.port, certificate, stop)


async def test_who_connected_before_the_stop_gets_one_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PRESSED_HEAD_S", 30.0)
    monkeypatch.setattr(http2, "FIRST_REQUEST_S", 30.0)

    def talk(port: int, certificate: Path, stop: Stop) -> None:
        context = ssl.create_default_context(cafile=str(certificate))
        context.set_alpn_protocols(["h2"])
        with trusting_later(port, context) as stream:
            trio.from_thread.run(eventually, lambda: gauge(served, "retain_http_connections") == 1)
            stop()
            stream.do_handshake()
            client = H2Client(stream)
            first = client.request(b"/echo/new/http2-stop")
            events = to_the_end(client)
            assert [event.stream_id for event in events if isinstance(event, h2.events.StreamEnded)] == [
                first
            ]
            assert farewell(events).last_stream_id == first

    async with over_tls(tmp_path) as (served, certificate, stop):
        await trio.to_thread.run_sync(talk, served.port, certificate, stop)


async def test_who_connected_and_asks_nothing_is_told_that_nothing_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http2, "FIRST_REQUEST_S", 0.0)

    def talk(port: int, certificate: Path, stop: Stop) -> None:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream)
            assert client.events()
            stop()
            assert not farewell(to_the_end(client)).last_stream_id

    async with over_tls(tmp_path) as (served, certificate, stop):
        await trio.to_thread.run_sync(talk, served.port, certificate, stop)


def trusting_later(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    """A connection whose handshake is yet to come."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    return context.wrap_socket(plain, server_hostname="localhost", do_handshake_on_connect=False)


async def test_a_handshake_that_does_not_come_does_not_hold_the_stop_up(tmp_path: Path) -> None:
    async with (
        over_tls(tmp_path) as (served, _certificate, _stop),
        await trio.open_tcp_stream("127.0.0.1", served.port) as silent,
    ):
        await eventually(lambda: gauge(served, "retain_http_connections") == 1)
        served.stop.set()
        with trio.fail_after(30):
            assert await silent.receive_some() == b""
