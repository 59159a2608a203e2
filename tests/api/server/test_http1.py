"""TLS and HTTP/2: served, and their floods ended without anybody else noticing."""

from __future__ import annotations

import select
import socket
import ssl
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import pytest
import trio
import trio.testing
from hypercorn.events import RawData
from hypercorn.protocol.events import Body, StreamClosed
from hypercorn.protocol.h2 import BufferCompleteError
from hypercorn.trio.worker_context import WorkerContext

from retain.api.config.load import ServerConfig
from retain.api.http import bounds
from retain.api.http.bounds import RATE_WINDOW_S, Bounds, Rate
from retain.api.server import connections, http1, http2
from retain.api.server.http2 import Http2
from retain.api.server.outflow import OUTFLOW_BYTES, Outflow
from retain.api.server.serve import WireConfig
from retain.api.server.stream import GuardedStream
from tests.kit.certificates import certified
from tests.kit.serving import CLOSED, SHIELDED, STARTED, TAKEN, Served, serving

Scenario = Callable[[int, Path], None]


async def run(folder: Path, *scenarios: Scenario, **server: Any) -> Served:
    """Serve with TLS and let each scenario talk to the server from a thread: (port, certificate)."""
    certificate, key = certified(folder)
    config = ServerConfig(bind="127.0.0.1:0", tls_certificate=str(certificate), tls_key=str(key), **server)
    async with serving(config) as served:
        for scenario in scenarios:
            with trio.fail_after(30):
                await trio.to_thread.run_sync(scenario, served.port, certificate)
    return served


def trusting(port: int, certificate: Path, *protocols: str) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(certificate))
    context.set_alpn_protocols(list(protocols))
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    return context.wrap_socket(plain, server_hostname="localhost")


def until_closed(stream: socket.socket) -> bytes:
    return b"".join(iter(lambda: stream.recv(65536), b""))


def over_http_1(port: int, certificate: Path) -> None:
    with trusting(port, certificate, "http/1.1") as stream:
        stream.sendall(b"GET /echo/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert until_closed(stream).endswith(b'["echo","a"]')


async def test_tls_is_served(tmp_path: Path) -> None:
    await run(tmp_path, over_http_1)


async def test_a_refused_upload_over_tls_still_gets_its_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (connections, http1):  # a busy machine may stop this client for seconds
        monkeypatch.setattr(module, "LINGER_S", 60.0)

    def upload(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "http/1.1") as stream:
            stream.sendall(b"POST /echo/limited HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
            stream.sendall(b"y" * 200_000)
            answer = stream.recv(65536)
            assert answer.startswith(b"HTTP/1.1 413 ")

    await run(tmp_path, upload)


async def test_plain_text_and_broken_handshakes_harm_nobody(tmp_path: Path) -> None:
    def plain(port: int, certificate: Path) -> None:
        for data in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b""):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as stream:
                stream.sendall(data)
                if data:
                    assert b"200" not in stream.recv(1000)

    await run(tmp_path, plain, over_http_1)


async def test_tls_1_1_is_refused(tmp_path: Path) -> None:
    def old(port: int, certificate: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(str(certificate))
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as stream,
            pytest.raises((ssl.SSLError, ConnectionResetError)),
        ):
            context.wrap_socket(stream, server_hostname="localhost")

    await run(tmp_path, old)


class H2Client:
    """HTTP/2 in the plain: frames out, events in."""

    def __init__(self, stream: ssl.SSLSocket, *, window: int = 65535) -> None:
        self.stream = stream
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
        initial = {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window}
        self.connection.local_settings = h2.settings.Settings(client=True, initial_values=initial)
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
        """What the next bytes bring; empty at the end of the connection only."""
        while True:
            try:
                data = self.stream.recv(65536)
            except ConnectionResetError:
                return []
            if not data:
                return []
            found = list(self.connection.receive_data(data))
            for event in found:
                if isinstance(event, h2.events.DataReceived):
                    self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.flush()
            if found:
                return found

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


async def test_http_2_is_served(tmp_path: Path) -> None:
    def talk(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            assert stream.selected_alpn_protocol() == "h2"
            client = H2Client(stream)
            assert client.answer(client.request(b"/healthz")) == (200, b"ok\n")
            assert client.answer(client.request(b"/echo/a%2Fb")) == (200, b'["echo","a/b"]')
            assert client.answer(client.request(b"/nothing"))[0] == 404
            assert client.answer(client.request(b"/%ff"))[0] == 400
            assert client.answer(client.request(b"/echo/x", method=b"TRACE"))[0] == 405
            assert len(client.answer(client.request(b"/echo/big/300000"))[1]) == 300_000
            assert client.answer(client.request(b"/healthz")) == (200, b"ok\n")

    await run(tmp_path, talk)


async def test_a_path_that_is_not_ascii_ends_the_connection_at_most(tmp_path: Path) -> None:
    def ask(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream)
            stream_id = client.request(b"/echo/x\xff")
            found = client.events()
            while found and not any(isinstance(event, h2.events.StreamReset) for event in found):
                assert not any(isinstance(event, h2.events.ResponseReceived) for event in found)
                found = client.events()
            assert stream_id

    await run(tmp_path, ask, over_http_1)


async def test_http_2_bodies_are_limited_and_what_comes_later_is_thrown_away(tmp_path: Path) -> None:
    def upload(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream)
            small = client.request(b"/echo/read", method=b"POST", end=False)
            client.connection.send_data(small, b"abc", end_stream=True)
            client.flush()
            assert client.answer(small) == (200, b"3")
            large = client.request(b"/echo/limited", method=b"POST", end=False)
            client.connection.send_data(large, b"y" * 16_000)
            client.flush()
            assert client.answer(large)[0] == 413
            client.connection.send_data(large, b"y" * 16_000)
            client.flush()
            assert client.answer(client.request(b"/healthz")) == (200, b"ok\n")

    await run(tmp_path, upload)


async def test_a_flood_of_resets_ends_the_connection_and_nobody_elses(tmp_path: Path) -> None:
    def flood(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream)
            with ExitStack() as ended:
                ended.enter_context(pytest.raises((OSError, h2.exceptions.ProtocolError, AssertionError)))
                for _ in range(40):
                    for _ in range(20):
                        client.connection.reset_stream(client.request(b"/healthz", end=False))
                    client.flush()
                while True:
                    assert client.events()

    await run(tmp_path, flood, over_http_1)


async def test_an_answer_waits_for_a_closed_window_in_little_memory_and_not_for_ever(tmp_path: Path) -> None:
    TAKEN.clear()

    def wait(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream, window=0)
            endless = client.request(b"/echo/endless/window")
            small = client.request(b"/echo/a")
            ended: dict[int, object] = {}
            while len(ended) < 2:
                events = client.events()
                assert events, "closed"
                for event in events:
                    if isinstance(event, h2.events.StreamReset):
                        ended[event.stream_id] = event.error_code
            assert set(ended) == {endless, small}
            assert set(ended.values()) == {h2.errors.ErrorCodes.CANCEL}
            client.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 65535})
            client.flush()
            assert client.answer(client.request(b"/healthz")) == (200, b"ok\n")

    await run(tmp_path, wait, write_timeout=0.3)
    assert "window" in CLOSED
    assert TAKEN["window"] <= 3 * OUTFLOW_BYTES


async def test_a_slow_reader_gets_all_of_a_large_answer(tmp_path: Path) -> None:
    def read(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream, window=1000)
            assert client.answer(client.request(b"/echo/big/300001")) == (200, b"x" * 300_001)

    await run(tmp_path, read)


GOAWAY = 7

PRIORITY = b"\0\0\x05\x02\0\0\0\0\x07\0\0\0\0\1"
WINDOW_UPDATE = b"\0\0\x04\x08\0\0\0\0\0\0\0\0\1"
PING = b"\0\0\x08\x06\0\0\0\0\0pingpong"
SETTINGS = b"\0\0\0\x04\0\0\0\0\0"
UNKNOWN = b"\0\0\0\xee\0\0\0\0\0"


@pytest.mark.parametrize("frame", [PRIORITY, WINDOW_UPDATE, PING, SETTINGS, UNKNOWN])
async def test_a_flood_of_frames_without_content_ends_the_connection(tmp_path: Path, frame: bytes) -> None:
    def flood(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            H2Client(stream)
            answer = sent_until_closed(stream, frame * 100)
            assert (GOAWAY, h2.errors.ErrorCodes.ENHANCE_YOUR_CALM) in [
                (kind, int.from_bytes(payload[4:8])) for kind, payload in frames(answer)
            ]

    await run(tmp_path, flood, over_http_1)


def sent_until_closed(stream: ssl.SSLSocket, data: bytes) -> bytes:
    """What comes back while `data` is sent over and over, until the server closes.

    One after the other, because two threads must not share a TLS socket. A server that has said goodbye
    throws away some of what still comes, so that the goodbye is not lost in a reset.
    """
    received = bytearray()
    stream.setblocking(False)
    for _ in range(2000):
        with suppress(ssl.SSLWantWriteError):
            stream.send(data)
        select.select([stream], [], [], 0.01)
        with suppress(ssl.SSLWantReadError):
            while piece := stream.recv(65536):
                received += piece
            return bytes(received)
    raise AssertionError("never closed")


def frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and payload of each HTTP/2 frame (RFC 9113 section 4.1)."""
    while data:
        end = 9 + int.from_bytes(data[:3])
        yield data[3], data[9:end]
        data = data[end:]


async def test_streams_reset_while_their_answers_wait_end_alone(tmp_path: Path) -> None:
    TAKEN.clear()

    def ask(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream, window=0)
            asked = [client.request(b"/echo/endless/reset") for _ in range(50)]
            answered: set[int] = set()
            while len(answered) < len(asked):
                answered |= {
                    event.stream_id
                    for event in client.events()
                    if isinstance(event, h2.events.ResponseReceived) and event.stream_id is not None
                }
            for stream_id in asked:
                client.connection.reset_stream(stream_id)
                client.flush()
            client.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 65535})
            client.flush()
            assert client.answer(client.request(b"/healthz")) == (200, b"ok\n")

    await run(tmp_path, ask, over_http_1)
    assert TAKEN["reset"] <= 50 * 3 * OUTFLOW_BYTES


def on_nothing() -> Http2:
    """HTTP/2 on a connection of which nothing came yet, and to which nothing may be sent."""

    async def send(event: object) -> None:
        assert not isinstance(event, RawData), event

    stream = trio.SocketStream(trio.socket.socket())
    stream.socket.close()
    return Http2(
        None,
        WireConfig(ServerConfig()),
        WorkerContext(None),
        None,
        {},
        True,
        None,
        None,
        send,
        write_timeout=1,
        guard=GuardedStream(stream, "192.0.2.1"),
        bounds=Bounds(),
    )


async def test_sending_to_a_stream_that_is_gone_lets_others_run() -> None:
    with trio.testing.assert_checkpoints():
        await on_nothing().stream_send(Body(stream_id=1, data=b"to nobody"))


async def test_giving_up_a_stream_that_the_connection_has_forgotten_harms_nobody() -> None:
    protocol = on_nothing()
    protocol.stream_buffers[1] = Outflow(1)
    protocol.priority.insert_stream(1)
    protocol.priority.block(1)
    await protocol.stream_send(StreamClosed(stream_id=1))
    assert next(protocol.priority) == 1, "the sender forgets what waited"


async def test_what_comes_after_the_end_of_an_answer_is_refused() -> None:
    outflow = Outflow(1)
    await outflow.push(b"abc")
    await outflow.close()
    assert outflow.complete
    with pytest.raises(BufferCompleteError):
        await outflow.push(b"d")


async def test_a_rate_starts_anew_after_its_time(mock_clock: trio.testing.MockClock) -> None:
    rate = Rate(2)
    assert [rate.exceeded() for _ in range(3)] == [False, False, True]
    mock_clock.jump(RATE_WINDOW_S)
    assert rate.exceeded()
    mock_clock.jump(0.1)
    assert [rate.exceeded() for _ in range(3)] == [False, False, True]


async def test_an_answer_that_breaks_off_resets_its_stream(tmp_path: Path) -> None:
    def ask(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream)
            assert client.answer(client.request(b"/echo/breaks")) == (0, b"first")
            assert client.answer(client.request(b"/healthz")) == (200, b"ok\n")

    await run(tmp_path, ask, over_http_1)


async def test_priorities_change_nothing(tmp_path: Path) -> None:
    def ask(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream)
            for stream_id in range(1, 4001, 2):
                client.connection.prioritize(stream_id, weight=7, depends_on=stream_id + 2)
            client.flush()
            assert client.answer(client.request(b"/healthz")) == (200, b"ok\n")

    await run(tmp_path, ask)


async def test_a_flood_of_requests_that_are_refused_ends_the_connection(tmp_path: Path) -> None:
    def flood(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream)
            with ExitStack() as ended:
                ended.enter_context(pytest.raises((OSError, h2.exceptions.ProtocolError, AssertionError)))
                for _ in range(400):
                    client.request(b"/healthz", method=b"C-D")
                while True:
                    assert client.events()

    await run(tmp_path, flood, over_http_1)


async def test_garbage_instead_of_frames_ends_the_connection(tmp_path: Path) -> None:
    def garbage(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            stream.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = until_closed(stream)
        settings = 4
        assert (len(answer), answer[3]) == (9 + int.from_bytes(answer[:3]), settings), "one frame, no answer"

    await run(tmp_path, garbage, over_http_1)


async def test_a_request_ends_with_its_stream(tmp_path: Path) -> None:
    def ask(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream)
            for number in range(30):
                stream_id = client.request(b"/echo/cut/%d" % number)
                deadline = time.monotonic() + 20
                while f"cut/{number}" not in STARTED and time.monotonic() < deadline:
                    time.sleep(0.005)
                client.connection.reset_stream(stream_id)
                client.flush()
            assert client.answer(client.request(b"/healthz")) == (200, b"ok\n")
            deadline = time.monotonic() + 20
            while CLOSED.count("cut") < 30 and time.monotonic() < deadline:
                time.sleep(0.005)

    CLOSED.clear()
    await run(tmp_path, ask)
    assert CLOSED.count("cut") == 30


async def test_requests_in_hand_count_although_their_streams_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be cancelled goes on, and counts for its connection until it has ended."""
    monkeypatch.setattr(http2, "IN_HAND", 5)

    def ask(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream)
            codes = []
            for number in range(8):
                stream_id = client.request(b"/echo/shielded/%d" % number)
                if number < 5:
                    deadline = time.monotonic() + 20
                    while f"shielded/{number}" not in STARTED and time.monotonic() < deadline:
                        time.sleep(0.005)
                    client.connection.reset_stream(stream_id)
                    client.flush()
                    continue
                while not codes or codes[-1][0] != stream_id:
                    codes += [
                        (event.stream_id, event.error_code)
                        for event in client.events()
                        if isinstance(event, h2.events.StreamReset)
                    ]
            assert {code for _, code in codes} == {h2.errors.ErrorCodes.REFUSED_STREAM}
            SHIELDED.set()
            deadline = time.monotonic() + 20
            while CLOSED.count("shielded") < 5 and time.monotonic() < deadline:
                time.sleep(0.005)
            assert client.answer(client.request(b"/healthz")) == (200, b"ok\n")

    CLOSED.clear()
    SHIELDED.clear()
    await run(tmp_path, ask)


async def test_resets_of_many_connections_are_rated_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "RESETS_PER_ADDRESS", 50)

    def burst(port: int, certificate: Path) -> int:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream)
            for number in range(20):
                try:
                    client.connection.reset_stream(client.request(b"/echo/x"))
                    client.flush()
                except OSError:
                    return number
            try:
                return 20 if client.answer(client.request(b"/healthz"))[0] == 200 else 0
            except (AssertionError, OSError, h2.exceptions.ProtocolError):
                return 0

    def ask(port: int, certificate: Path) -> None:
        whole = [burst(port, certificate) for _ in range(6)].count(20)
        assert whole == 2

    await run(tmp_path, ask, over_http_1)


async def test_a_connection_whose_answers_are_not_read_makes_room(tmp_path: Path) -> None:
    def ask(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream, window=0)
            client.request(b"/echo/endless/closed")
            while not any(isinstance(event, h2.events.ResponseReceived) for event in client.events()):
                pass
            with trusting(port, certificate, "http/1.1") as innocent:
                innocent.sendall(b"GET /echo/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                assert until_closed(innocent).endswith(b'["echo","a"]')

    await run(tmp_path, ask, max_connections=1)


async def test_who_finds_no_place_over_http_2_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "UNCOUNTED", ())
    monkeypatch.setattr(connections, "PLACE_WAIT_S", 0.05)

    def come_late(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            busy = H2Client(stream)
            asked = busy.request(b"/echo/slow/1/only-place")
            while "slow/1/only-place" not in STARTED:
                time.sleep(0.005)
            with trusting(port, certificate, "h2") as second:
                late = h2.connection.H2Connection()
                late.initiate_connection()
                found = late.receive_data(until_closed(second))
            [ended] = [event for event in found if isinstance(event, h2.events.ConnectionTerminated)]
            assert ended.error_code == h2.errors.ErrorCodes.ENHANCE_YOUR_CALM
            assert ended.last_stream_id == 0, "nothing was begun, so all may be tried again"
            assert ended.additional_data is not None
            assert ended.additional_data.startswith(b"too many connections")
            assert busy.answer(asked)[0] == 200

    await run(tmp_path, come_late, connections_per_peer=1)


async def test_what_waits_unread_of_all_bodies_of_a_connection_is_one_window(tmp_path: Path) -> None:
    """A queue for each of a hundred streams would be memory that no bound counts."""

    def upload(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream)
            unread = [
                client.request(b"/echo/slow/0.5/unread%d" % at, method=b"POST", end=False) for at in range(5)
            ]
            sent = 0
            for number in unread * 2:
                size = min(16_000, client.connection.local_flow_control_window(number))
                client.connection.send_data(number, b"x" * size)
                sent += size
            assert sent == 65_535
            client.connection.ping(b"received")
            client.flush()
            found: list[h2.events.Event] = []
            while not any(isinstance(event, h2.events.PingAckReceived) for event in found):
                found += client.events()
            assert not any(isinstance(event, h2.events.WindowUpdated) for event in found)
            # The answers end the tasks, and what they never took gives the window back.
            assert all(client.answer(number)[0] == 200 for number in unread[-1:])
            read = client.request(b"/echo/read", method=b"POST", end=False)
            left = 200_000
            while left:
                while not client.connection.local_flow_control_window(read):
                    assert client.events()
                size = min(left, 16_384, client.connection.local_flow_control_window(read))
                client.connection.send_data(read, b"x" * size, end_stream=size == left)
                client.flush()
                left -= size
            assert client.answer(read) == (200, b"200000")

    await run(tmp_path, upload)
