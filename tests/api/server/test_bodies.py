"""Bodies over HTTP/1.1 arrive as they were sent, however they are cut, and what follows them is not lost."""

from __future__ import annotations

import gc
import hashlib
import socket
from random import Random
from typing import Any

import h11
import pytest

from retain.api.http.message import Mounted, Request, Response, plain_error
from retain.api.server.stream import SEND_AHEAD_BYTES, GuardedStream
from tests.kit.requests import make_request
from tests.kit.serving import connected, serving

DATA = Random(5).randbytes(3 << 20)
NEXT = b"GET /sum/none HTTP/1.1\r\nHost: a\r\n\r\n"


async def _sum(request: Request) -> Response:
    seen = hashlib.sha256()
    async for piece in request.body:
        assert isinstance(piece, bytes)
        seen.update(piece)
    return Response.json(200, [request.body.received, seen.hexdigest()])


SUM = Mounted(name="sum", handle=_sum, error=plain_error, prefixes=("sum",))


async def _early(request: Request) -> Response:
    return Response.json(200, request.segments())


EARLY = Mounted(name="sum", handle=_early, error=plain_error, prefixes=("sum",))


def head(size: int, more: str = "") -> bytes:
    return f"PUT /sum/it HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n{more}\r\n".encode()


def summed(data: bytes) -> bytes:
    return f'[{len(data)},"{hashlib.sha256(data).hexdigest()}"]'.encode()


def test_h11_counts_where_we_look_for_it() -> None:
    """Without this attribute bodies are taken all the same, only slower: look for the new place then."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(head(10) + b"abc")
    assert isinstance(connection.next_event(), h11.Request)
    assert isinstance(connection.next_event(), h11.Data)
    reader: Any = connection._reader
    assert reader._remaining == 7


@pytest.mark.parametrize("size", [1, 2, 65536, 65537, len(DATA)])
@pytest.mark.parametrize("pieces", [1, 2, 7])
async def test_a_body_in_any_pieces_is_whole_and_the_next_request_is_answered(size: int, pieces: int) -> None:
    data = DATA[:size]
    step = -(-size // pieces)
    async with serving(interfaces=[SUM]) as served, connected(served.port) as peer:
        for _ in range(2):
            await peer.send(head(size))
            for start in range(0, size, step):
                await peer.send(data[start : start + step] + (NEXT if start + step >= size else b""))
            assert (await peer.answer()).body == summed(data)
            assert (await peer.answer()).body == summed(b"")


async def test_a_body_that_was_waited_for_with_100_continue_is_whole() -> None:
    async with serving(interfaces=[SUM]) as served, connected(served.port) as peer:
        await peer.send(head(len(DATA), "Expect: 100-continue\r\n"))
        while b"\r\n\r\n" not in peer.buffer:
            assert await peer._more()
        await peer.send(DATA)
        assert (await peer.answer()).body == summed(DATA)


async def test_a_client_that_goes_away_inside_a_body_harms_nobody() -> None:
    async with serving(interfaces=[SUM]) as served:
        async with connected(served.port) as peer:
            await peer.send(head(len(DATA)) + DATA[:100_000])
            await peer.send(DATA[100_000:200_000])
        async with connected(served.port) as peer:
            await peer.send(head(3) + b"abc")
            assert (await peer.answer()).body == summed(b"abc")


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="not on this system")
async def test_the_kernel_may_take_the_next_mebibyte_while_one_is_sent() -> None:
    async with serving(interfaces=[SUM]) as served, connected(served.port) as peer:
        await peer.send(NEXT)
        await peer.answer()
        ours = peer.stream.socket.getsockname()
        (stream,) = (
            thing
            for thing in gc.get_objects()
            if isinstance(thing, GuardedStream)
            and thing.socket.fileno() >= 0
            and thing.socket.getpeername() == ours
        )
        assert stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == SEND_AHEAD_BYTES


async def test_a_rest_that_never_comes_is_given_up_quietly() -> None:
    request = make_request("POST", headers=[("Content-Length", "10")], body=b"abc")
    request.body.finished = False
    assert await anext(request.body) == b"abc"
    request.body.finished = False
    await request.body.discard(100)
    assert request.body.received == 3
    assert request.body.declared is None, "so nobody takes the connection to be ready for the next request"


@pytest.mark.parametrize("target", ["/nobody", "/healthz", "/sum/none"])
async def test_an_answer_before_the_whole_body_says_that_the_connection_closes(target: str) -> None:
    """Otherwise a client sends its next request into a connection that is being closed."""
    part = f"PUT {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nonly this".encode()
    async with serving(interfaces=[EARLY]) as served, connected(served.port) as peer:
        await peer.send(part)
        answer = await peer.answer()
        assert answer.header("connection") == "close"
        assert await peer.rest() == b""


@pytest.mark.parametrize("target", ["/nobody", "/healthz", "/sum/none"])
async def test_an_answer_after_the_whole_body_leaves_the_connection_open(target: str) -> None:
    whole = f"PUT {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nonly this".encode()
    async with serving(interfaces=[EARLY]) as served, connected(served.port) as peer:
        for _ in range(2):
            await peer.send(whole)
            answer = await peer.answer()
            assert answer.header("connection") is None
