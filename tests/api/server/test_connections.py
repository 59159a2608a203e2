"""Slow, silent and too many peers are cut at their limits; everybody else does not notice."""

from __future__ import annotations

import gc
import logging
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import trio
from hypercorn.events import Closed, RawData
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.worker_context import WorkerContext
from trio.testing import MockClock, wait_all_tasks_blocked

from retain.api.config.load import ServerConfig
from retain.api.http.addresses import counted_address
from retain.api.server import connections
from retain.api.server.connections import PLACE_WAIT_S, Connections
from retain.api.server.http1 import Http1, HttpConnection
from retain.api.server.serve import WireConfig
from retain.api.server.stream import LINGER_S, GuardedStream
from tests.kit.serving import (
    CLOSED,
    STARTED,
    TAKEN,
    Peer,
    Served,
    connected,
    eventually,
    exchange,
    let_pass,
    serving,
)

GET = b"GET /echo/a HTTP/1.1\r\nHost: a\r\n\r\n"
CLOSE = b"GET /echo/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def limits(**changes: object) -> ServerConfig:
    return ServerConfig(bind="127.0.0.1:0", **changes)  # type: ignore[arg-type]


def cuts(served: Served) -> Counter[str]:
    found: Counter[str] = Counter()
    for metric in served.app.counters.registry.collect():
        for sample in metric.samples:
            if sample.name == "retain_http_connections_cut_total":
                found[sample.labels["reason"]] += int(sample.value)
    return found


def gauge(served: Served, name: str) -> float | None:
    return served.app.counters.registry.get_sample_value(name)


async def settled(served: Served, connections: int = 1) -> None:
    """Wait until the server has that many connections."""
    await eventually(lambda: gauge(served, "retain_http_connections") == connections)


@pytest.mark.parametrize(
    "sent", [b"", b"G", b"GET /echo/a HTTP/1.1\r\n", b"GET /echo/a HTTP/1.1\r\nHost: a\r\nX: "]
)
async def test_a_head_that_does_not_come_is_cut(sent: bytes, mock_clock: MockClock) -> None:
    async with serving(limits(header_timeout=10)) as served, connected(served.port) as peer:
        await peer.send(sent)
        await settled(served)
        await let_pass(mock_clock, 9.9)
        assert not cuts(served)
        await let_pass(mock_clock, 1)
        assert await peer.rest() == b""
        assert cuts(served) == {"header-timeout": 1}


async def test_a_trickled_head_is_cut_however_often_a_byte_comes(mock_clock: MockClock) -> None:
    async with serving(limits(header_timeout=10)) as served, connected(served.port) as peer:
        await peer.send(b"GET /echo/a HTTP/1.1\r\nHost: a\r\nX: ")
        await settled(served)
        for _ in range(9):
            await peer.send(b"y")
            await let_pass(mock_clock, 1)
        assert not cuts(served)
        await peer.send(b"y")
        await let_pass(mock_clock, 2)
        assert cuts(served) == {"header-timeout": 1}


async def test_the_second_requests_head_has_its_own_time(mock_clock: MockClock) -> None:
    async with (
        serving(limits(header_timeout=10, keep_alive_timeout=60)) as served,
        connected(served.port) as peer,
    ):
        await peer.send(GET)
        assert (await peer.answer()).status == 200
        await let_pass(mock_clock, 50)
        await peer.send(GET + b"G")
        assert (await peer.answer()).status == 200
        await peer.send(b"ET")
        await let_pass(mock_clock, 9)
        assert not cuts(served)
        await let_pass(mock_clock, 2)
        assert await peer.rest() == b""
        assert cuts(served) == {"header-timeout": 1}


async def test_an_idle_connection_is_closed(mock_clock: MockClock) -> None:
    async with serving(limits(keep_alive_timeout=20)) as served, connected(served.port) as peer:
        await peer.send(GET)
        assert (await peer.answer()).status == 200
        await let_pass(mock_clock, 19)
        assert not cuts(served)
        await let_pass(mock_clock, 2)
        assert await peer.rest() == b""
        assert cuts(served) == {"idle": 1}


async def test_a_slow_handler_is_nobodys_timeout(mock_clock: MockClock) -> None:
    async with (
        serving(limits(header_timeout=1, keep_alive_timeout=1)) as served,
        connected(served.port) as peer,
    ):
        await peer.send(CLOSE.replace(b"/a", b"/slow/100/handler"))
        await eventually(lambda: "slow/100/handler" in STARTED)
        await let_pass(mock_clock, 99)
        assert not cuts(served)
        await let_pass(mock_clock, 2)
        assert (await peer.answer()).status == 200


async def test_a_reader_that_stalls_is_cut_and_its_answer_ended(mock_clock: MockClock) -> None:
    async with serving(limits(write_timeout=30)) as served, connected(served.port) as peer:
        await peer.send(GET.replace(b"/a", b"/endless/stalls"))
        await eventually(lambda: TAKEN.get("stalls", 0) > 0)
        await let_pass(mock_clock, 29)
        assert not cuts(served)
        # The pipe between the two may take some more when the machine gets to it.
        while not cuts(served):
            await let_pass(mock_clock, 16)
        assert cuts(served) == {"write-timeout": 1}
        await eventually(lambda: "stalls" in CLOSED)


async def test_a_slow_reader_that_goes_on_is_not_cut(mock_clock: MockClock) -> None:
    size = 16 << 20
    async with serving(limits(write_timeout=30)) as served, connected(served.port) as peer:
        await peer.send(CLOSE.replace(b"/a", b"/big/%d" % size))
        total, start = 0, trio.current_time()
        while chunk := await peer.stream.receive_some(256 * 1024):
            total += len(chunk)
            await let_pass(mock_clock, 1)
        assert total > size
        assert trio.current_time() - start > 2 * 30
        assert not cuts(served)["write-timeout"]


@pytest.fixture
def loopback_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests have no other address to come from."""
    monkeypatch.setattr(connections, "UNCOUNTED", ())


@asynccontextmanager
async def many(served: Served, number: int) -> AsyncIterator[list[Peer]]:
    """Connections that stay open."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(connected(served.port)) for _ in range(number)]


@pytest.mark.usefixtures("loopback_counts")
async def test_two_thousand_clients_that_never_close_are_all_answered() -> None:
    async with serving(limits(connections_per_peer=100)) as served, AsyncExitStack() as stack:
        for _ in range(2000):
            peer = await stack.enter_async_context(connected(served.port))
            await peer.send(GET)
            assert (await peer.answer()).status == 200
            assert (gauge(served, "retain_http_connections") or 0) <= 101
        assert cuts(served) == {"evicted": 1900}


@pytest.mark.usefixtures("loopback_counts")
async def test_the_longest_idle_connection_of_an_address_makes_room() -> None:
    async with serving(limits(connections_per_peer=3)) as served, many(served, 3) as (a, b, c):
        for peer in (a, b, c, a):
            await peer.send(GET)
            assert (await peer.answer()).status == 200
        assert b" 200 OK" in await exchange(served.port, CLOSE)
        assert await b.rest() == b""
        for peer in (a, c):
            await peer.send(GET)
            assert (await peer.answer()).status == 200
        assert cuts(served) == {"evicted": 1}


@pytest.mark.usefixtures("loopback_counts")
async def test_who_finds_all_connections_of_the_address_at_work_is_told_so(mock_clock: MockClock) -> None:
    async with serving(limits(connections_per_peer=2)) as served, many(served, 2) as busy:
        for number, peer in enumerate(busy):
            await peer.send(CLOSE.replace(b"/a", b"/slow/9/place%d" % number))
            await eventually(lambda name=f"slow/9/place{number}": name in STARTED)  # type: ignore[misc]
        async with connected(served.port) as late:
            await late.send(GET)
            await settled(served, 3)
            await let_pass(mock_clock, PLACE_WAIT_S + 0.1)
            answer = await late.answer()
            assert (answer.status, answer.header("retry-after")) == (503, "1")
            assert answer.header("connection") == "close"
            assert await late.rest() == b""
        assert cuts(served) == {"peer": 1}
        await let_pass(mock_clock, 9)
        for peer in busy:
            assert (await peer.answer()).status == 200


@pytest.mark.usefixtures("loopback_counts")
async def test_who_waits_for_a_place_gets_that_of_the_next_that_falls_idle(mock_clock: MockClock) -> None:
    async with serving(limits(connections_per_peer=1)) as served, connected(served.port) as busy:
        await busy.send(GET.replace(b"/a", b"/slow/0.5/handed-on"))
        await eventually(lambda: "slow/0.5/handed-on" in STARTED)
        async with connected(served.port) as late:
            await late.send(CLOSE)
            await settled(served, 2)
            await let_pass(mock_clock, 0.6)
            assert (await busy.answer()).status == 200
            assert (await late.answer()).status == 200
        assert cuts(served) == {"evicted": 1}


@pytest.mark.usefixtures("loopback_counts")
async def test_few_may_wait_for_a_place(monkeypatch: pytest.MonkeyPatch, mock_clock: MockClock) -> None:
    monkeypatch.setattr(connections, "WAITING_MAX", 2)
    async with serving(limits(connections_per_peer=1)) as served, connected(served.port) as busy:
        await busy.send(CLOSE.replace(b"/a", b"/slow/9/few"))
        await eventually(lambda: "slow/9/few" in STARTED)
        async with many(served, 2):
            await settled(served, 3)
            assert await exchange(served.port, b"") == b""
            assert cuts(served) == {"peer": 1}
            await let_pass(mock_clock, PLACE_WAIT_S + 0.1)
            assert cuts(served) == {"peer": 3}


async def test_loopback_stands_for_many_clients() -> None:
    async with serving(limits(connections_per_peer=1)) as served, many(served, 3) as peers:
        for peer in peers:
            await peer.send(GET)
            assert (await peer.answer()).status == 200
        assert not cuts(served)


@pytest.mark.parametrize(
    ("address", "neighbour", "same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", True),
        ("2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:2::", False),
        ("2001:db8:0:2::", "2001:db8:0:1:ffff:ffff:ffff:ffff", False),
        ("2001:db8:0:2::1", "2001:db8:0:3::1", False),  # one /63 network
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("", "unix", False),
    ],
)
def test_one_network_of_ipv6_counts_as_one_address(address: str, neighbour: str, same: bool) -> None:
    assert (counted_address(address) == counted_address(neighbour)) is same


async def test_an_answer_that_nobody_reads_makes_room(mock_clock: MockClock) -> None:
    async with serving(limits(max_connections=2, write_timeout=30)) as served, many(served, 2) as stuck:
        for number, peer in enumerate(stuck):
            await peer.send(GET.replace(b"/a", b"/endless/unread%d" % number))
            await eventually(lambda name=f"unread{number}": TAKEN.get(name, 0) > 0)  # type: ignore[misc]
        async with connected(served.port) as innocent:
            await innocent.send(CLOSE)
            start = trio.current_time()
            while not cuts(served):
                await let_pass(mock_clock, 0.5)
            assert trio.current_time() - start < 4
            assert (await innocent.answer()).status == 200
        assert cuts(served)["evicted"] == 1


@pytest.mark.usefixtures("loopback_counts")
async def test_an_address_at_work_is_not_walked_through_for_each_connection_that_comes(
    monkeypatch: pytest.MonkeyPatch, mock_clock: MockClock
) -> None:
    walks = 0
    spare = connections._spare

    def counting(*arguments: Any) -> Any:
        nonlocal walks
        walks += 1
        return spare(*arguments)

    async with serving(limits(connections_per_peer=1)) as served, connected(served.port) as busy:
        await busy.send(CLOSE.replace(b"/a", b"/slow/9/walks"))
        await eventually(lambda: "slow/9/walks" in STARTED)
        monkeypatch.setattr(connections, "_spare", counting)
        async with many(served, 60):
            await settled(served, 61)
            assert walks <= 2  # a flood is looked at once, and once more by the watch


async def test_a_trusted_proxy_is_not_counted() -> None:
    config = limits(connections_per_peer=1, trusted_proxies=("127.0.0.0/8",))
    async with serving(config) as served, connected(served.port):
        assert b" 200 OK" in await exchange(served.port, CLOSE)


async def test_idle_connections_make_room_for_new_ones() -> None:
    async with (
        serving(limits(max_connections=2)) as served,
        connected(served.port) as first,
        connected(served.port) as second,
    ):
        for peer in (first, second):
            await peer.send(GET)
            assert (await peer.answer()).status == 200
        with trio.fail_after(60):
            assert b" 200 OK" in await exchange(served.port, CLOSE)
            assert await first.rest() == b""
        assert cuts(served)["evicted"] >= 1


async def test_a_full_server_serves_the_next_as_soon_as_one_ends(mock_clock: MockClock) -> None:
    """Who is silent has less time than else while others wait."""
    async with (
        serving(limits(max_connections=1, header_timeout=30)) as served,
        connected(served.port) as silent,
        connected(served.port) as next_one,
    ):
        await settled(served)
        await next_one.send(CLOSE)
        start = trio.current_time()
        while not cuts(served):
            await let_pass(mock_clock, 0.5)
        assert trio.current_time() - start < 3
        assert cuts(served) == {"evicted": 1}
        assert await silent.rest() == b""
        assert (await next_one.answer()).status == 200


async def test_a_peer_that_goes_on_sending_after_its_answer_is_cut(mock_clock: MockClock) -> None:
    async with serving(limits()) as served, connected(served.port) as peer:
        await peer.send(b"POST /echo/limited HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n")
        assert (await peer.answer()).status == 413
        start = trio.current_time()
        while not cuts(served):
            await peer.send(b"y" * 1000)
            await let_pass(mock_clock, 0.5)
        assert cuts(served) == {"linger": 1}
        assert LINGER_S < trio.current_time() - start < LINGER_S + 2
        await eventually(lambda: gauge(served, "retain_http_connections") == 0)


@pytest.mark.parametrize(
    "sent",
    [
        GET * 3,
        b"GARBAGE\r\n\r\n",
        b"POST /echo/limited HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n",
        b"G",
    ],
)
async def test_a_connection_that_ended_needs_no_collector_to_go(sent: bytes) -> None:
    def alive() -> int:
        return sum(isinstance(thing, Http1) for thing in gc.get_objects())

    async with serving() as served:
        await exchange(served.port, CLOSE)
        gc.collect()
        gc.disable()
        try:
            before = alive()
            for _ in range(5):
                async with connected(served.port) as peer:
                    await peer.send(sent)
                    if sent != b"G":
                        await peer.answer()
            await eventually(lambda: gauge(served, "retain_http_connections") == 0 and alive() <= before)
            assert alive() <= before
        finally:
            gc.enable()


@asynccontextmanager
async def accepted() -> AsyncIterator[tuple[trio.SocketStream, trio.SocketStream]]:
    """Both ends of a connection: the server's, the client's."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with (
        listener,
        await trio.open_tcp_stream(*listener.socket.getsockname()) as client,
        await listener.accept() as server,
    ):
        yield server, client


async def vanish(client: trio.SocketStream) -> None:
    """The client's machine resets the connection."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await trio.aclose_forcefully(client)


async def test_a_connection_closed_from_two_sides_at_once_still_lets_its_answer_be_read() -> None:
    async with accepted() as (server, client), trio.open_nursery() as nursery:
        stream = GuardedStream(server, "127.0.0.1")
        await stream.send_all(b"answer")
        for _ in range(2):
            nursery.start_soon(stream.aclose)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.ClosedResourceError):
            await stream.receive_some()
        await client.send_all(b"more of the request")
        assert await client.receive_some() == b"answer"
        assert await client.receive_some() == b""
        assert stream.socket.fileno() != -1
        await client.send_eof()
        with trio.fail_after(60):
            while stream.socket.fileno() != -1:
                await trio.lowlevel.checkpoint()


async def test_a_write_may_block_until_the_peer_takes_what_was_sent() -> None:
    async with accepted() as (server, client), trio.open_nursery() as nursery:
        stream = GuardedStream(server, "127.0.0.1")
        await stream.wait_send_all_might_not_block()
        nursery.start_soon(stream.send_all, bytes(32 << 20))
        await wait_all_tasks_blocked(0.05)
        assert stream.stuck_since <= trio.current_time()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            with trio.move_on_after(0) as early:
                await stream.wait_send_all_might_not_block()
            assert early.cancelled_caught
            await trio.aclose_forcefully(client)
            with trio.fail_after(60):
                await stream.wait_send_all_might_not_block()


async def test_a_peer_that_is_gone_before_it_is_looked_at_is_not_counted() -> None:
    async with accepted() as (server, client):
        held = Connections(ServerConfig(), 1, on_cut=lambda reason: None)
        await vanish(client)
        assert held.admit(server) is None
        assert len(held) == 0


async def test_a_peer_that_is_gone_before_its_first_request_is_no_error_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "retain")
    async with accepted() as (server, client):
        stream = GuardedStream(server, "127.0.0.1")
        await vanish(client)
        await HttpConnection(None, WireConfig(ServerConfig()), WorkerContext(None), stream, 1.0).run()
        assert stream.socket.fileno() == -1
    assert [record.levelname for record in caplog.records if record.name.startswith("retain")] == ["DEBUG"]


async def test_bytes_whose_sender_is_cancelled_while_another_sends_still_go_out() -> None:
    """They may be frames of other streams, which would wait for ever, and move the header compression on."""
    async with accepted() as (server, client), trio.open_nursery() as nursery:
        stream = GuardedStream(server, "127.0.0.1")
        connection = HttpConnection(None, WireConfig(ServerConfig()), WorkerContext(None), stream, 1.0)
        cancelled = trio.CancelScope()

        async def second() -> None:
            with cancelled:
                await connection.protocol_send(RawData(data=b"second"))

        first = b"x" * (32 << 20)
        nursery.start_soon(connection.protocol_send, RawData(data=first))
        await wait_all_tasks_blocked(0.05)
        nursery.start_soon(second)
        await wait_all_tasks_blocked(0.05)
        cancelled.cancel()
        await wait_all_tasks_blocked(0.05)
        received = 0
        with trio.fail_after(60):
            while received < len(first):
                received += len(await client.receive_some(len(first) - received))
            assert await client.receive_some(6) == b"second"


async def test_a_closing_whose_task_is_cancelled_still_discards_what_the_peer_sends() -> None:
    """The task that answers is cancelled once the request is over; a reset would lose its answer."""
    async with accepted() as (server, client), trio.open_nursery() as nursery:
        stream = GuardedStream(server, "127.0.0.1")
        connection = HttpConnection(None, WireConfig(ServerConfig()), WorkerContext(None), stream, 1.0)
        connection.protocol = connection._protocol("http/1.1", TaskGroup())
        cancelled = trio.CancelScope()

        async def close() -> None:
            with cancelled:
                await connection.protocol_send(Closed())

        nursery.start_soon(close)
        await wait_all_tasks_blocked(0.05)
        cancelled.cancel()
        with trio.fail_after(60):
            for _ in range(20):
                await client.send_all(b"y" * 100_000)
            assert await client.receive_some(1) == b""
            await client.send_eof()


async def test_a_reader_that_is_cancelled_loses_no_bytes() -> None:
    async with accepted() as (server, client):
        stream = GuardedStream(server, "127.0.0.1")
        await client.send_all(b"abcdef")
        assert await stream.receive_some(2) == b"ab"
        received = b""
        with trio.CancelScope() as cancelled:
            cancelled.cancel()
            received = await stream.receive_some(2)
        with trio.fail_after(60):
            while len(received) < 4:
                received += await stream.receive_some(2)
        assert received == b"cdef"
