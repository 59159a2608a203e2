"""What waits of a request for its task: merged, never lost, and nobody waits to add to it."""

from __future__ import annotations

import gc
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h2.events
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from retain.api.config.load import ServerConfig
from retain.api.http import bounds
from retain.api.server import http2
from retain.api.server.frames import WORK
from retain.api.server.http1 import RECEIVE_BYTES, TINY_PAUSE_S
from retain.api.server.intake import AHEAD_BYTES, Intake, Reading
from tests.api.server.test_http1 import H2Client, run, trusting
from tests.kit.serving import CLOSED, STARTED, connected, eventually, exchange, serving


def piece(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


GONE = {"type": "http.disconnect"}


async def test_many_tiny_pieces_become_one_of_their_size() -> None:
    intake = Intake()
    for at in range(3000):
        await intake.put(piece(b"%03d" % (at % 1000)))
    await intake.put(piece(b"", more=False))
    held = sum(map(sys.getsizeof, gc.get_referents(intake.__dict__)))
    assert held < 3 * 9000
    message = await intake.receive()
    assert message == piece(b"".join(b"%03d" % (at % 1000) for at in range(3000)), more=False)
    await intake.put(GONE)
    assert [await intake.receive(), await intake.receive()] == [GONE, GONE]


async def test_what_came_before_the_disconnection_is_received_first() -> None:
    intake = Intake()
    await intake.put(piece(b"a"))
    await intake.put(GONE)
    assert [await intake.receive(), await intake.receive()] == [piece(b"a"), GONE]


async def test_an_empty_body_has_an_end_and_then_nothing_comes(autojump_clock: object) -> None:
    intake = Intake()
    await intake.put(piece(b"", more=False))
    assert await intake.receive() == piece(b"", more=False)
    with trio.move_on_after(1) as waiting:
        await intake.receive()
    assert waiting.cancelled_caught


async def test_a_cancelled_reader_loses_nothing() -> None:
    taken: list[int] = []

    async def note(count: int) -> None:
        taken.append(count)

    intake = Intake(note)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(intake.receive)
        await wait_all_tasks_blocked()
        await intake.put(piece(b"abc"))  # its reader is about to run ...
        nursery.cancel_scope.cancel()
    with trio.CancelScope() as scope:
        scope.cancel()
        await intake.receive()
    assert scope.cancelled_caught
    whole = sum(taken)
    await intake.put(piece(b"def", more=False))
    whole += len((await intake.receive())["body"])
    assert whole == 6
    assert sum(taken) == 6


async def test_more_of_a_long_body_is_wanted_only_by_a_waiting_reader(autojump_clock: object) -> None:
    intake = Intake()
    wanted: list[str] = []

    async def ask() -> None:
        await intake.wanted()
        wanted.append("more")

    await intake.put(piece(b"x" * (AHEAD_BYTES - 1)))
    await ask()
    await intake.put(piece(b"x"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        assert len((await intake.receive())["body"]) == AHEAD_BYTES
        await wait_all_tasks_blocked()
        assert wanted == ["more"]
        nursery.start_soon(intake.receive)
        await wait_all_tasks_blocked()
        assert wanted == ["more", "more"]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("end", ["whole", "gone", "closed"])
async def test_nobody_waits_for_a_task_that_reads_no_more(end: str) -> None:
    ends: dict[str, Callable[[], Any]] = {
        "whole": lambda: intake.put(piece(b"", more=False)),
        "gone": lambda: intake.put(GONE),
        "closed": lambda: intake.close(),
    }
    intake = Intake()
    await intake.put(piece(b"x" * AHEAD_BYTES))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(intake.wanted)
        await wait_all_tasks_blocked()
        await ends[end]()


async def test_what_an_ended_task_left_is_given_back() -> None:
    taken: list[int] = []

    async def note(count: int) -> None:
        taken.append(count)

    async def app(*_arguments: Any) -> None:
        await intake.put(piece(b"abc"))

    intake = Intake(note)
    await Reading(app, intake)({}, None, None, None, None)
    await intake.put(piece(b"late"))
    assert taken == [3]


@pytest.mark.parametrize("end", ["reset", "disconnect"])
async def test_tiny_frames_to_a_task_that_reads_nothing_do_not_hide_its_client_s_end(
    tmp_path: Path, end: str
) -> None:
    """The task ends with its stream, however many frames wait for it."""
    CLOSED.clear()

    def attack(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream)
            number = client.request(b"/echo/cut", method=b"POST", end=False)
            while "cut" not in STARTED:
                client.connection.ping(b"are-they")
                client.flush()
                client.events()
            for _ in range(2000):
                client.connection.send_data(number, b"x")
            if end == "reset":
                client.connection.reset_stream(number)
            client.flush()
            if end == "reset":  # and the connection goes on
                assert client.answer(client.request(b"/echo/after"))[0] == 200
            else:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    STARTED.clear()
    served = await run(tmp_path, attack)
    assert CLOSED == ["cut"]
    assert not served.app.bounds._streams


async def test_other_streams_are_answered_beside_one_that_reads_nothing(tmp_path: Path) -> None:
    def ask(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream)
            number = client.request(b"/echo/cut", method=b"POST", end=False)
            for _ in range(1000):
                client.connection.send_data(number, b"x")
            client.flush()
            assert client.answer(client.request(b"/echo/beside"))[0] == 200

    await run(tmp_path, ask)


async def test_thousands_of_frames_at_once_are_handled_in_slices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more than a slice is handled at once (`tests/api/server/test_frames.py`)."""
    parsed: list[int] = []
    receive = http2.h2.connection.H2Connection.receive_data

    def counting(self: Any, data: bytes) -> list[h2.events.Event]:
        if not self.config.client_side:
            parsed.append(len(data))
        return receive(self, data)

    monkeypatch.setattr(http2.h2.connection.H2Connection, "receive_data", counting)

    def flood(port: int, certificate: Path) -> None:
        with trusting(port, certificate, "h2") as stream:
            client = H2Client(stream)
            for _ in range(3000):
                client.connection.ping(b"12345678")
            client.flush()
            assert client.answer(client.request(b"/echo/after-pings"))[0] == 200

    await run(tmp_path, flood)
    assert max(parsed) < (WORK + 2) * 17
    assert sum(parsed) > 3000 * 17


async def test_no_more_than_the_beginning_of_a_body_is_received_for_who_reads_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rest stays in the kernel, where it is bounded, and slows its sender down."""
    sizes: list[int] = []
    put = Intake.put

    async def noting(self: Intake, message: Any) -> None:
        sizes.append(len(message.get("body", b"")))
        await put(self, message)

    monkeypatch.setattr(Intake, "put", noting)
    request = b"POST /echo/cut HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    config = ServerConfig(bind="127.0.0.1:0", stop_timeout=0)
    async with serving(config) as served, connected(served.port) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(peer.send, request + (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 100)
        await eventually(lambda: sum(sizes) >= AHEAD_BYTES)
        for _ in range(20):
            assert (await exchange(served.port, ECHO)).startswith(b"HTTP/1.1 200 ")
        assert sum(sizes) < AHEAD_BYTES + RECEIVE_BYTES
        nursery.cancel_scope.cancel()


ECHO = b"GET /echo/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


async def test_tiny_chunks_beyond_a_number_are_taken_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs the work of a large one; who sends few of them does not notice."""
    monkeypatch.setattr(bounds, "TINY_PIECES_PER_ADDRESS", 50)
    head = b"POST /echo/read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    async with serving() as served:
        for count, least in ((50, 0.0), (10, 10 * TINY_PAUSE_S)):
            began = trio.current_time()
            answer = await exchange(served.port, head + b"1\r\nx\r\n" * count + b"0\r\n\r\n")
            assert answer.endswith(b"\r\n%d" % count)
            assert trio.current_time() - began >= least
            large = await exchange(served.port, head + (b"20\r\n" + b"x" * 32 + b"\r\n") * 9 + b"0\r\n\r\n")
            assert large.endswith(b"\r\n288")
