"""A page's request and answer are carried between processes as they are, in pieces, and both ways at once."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from retain.api.server.app import Asgi
from retain.api.workers.pages import Pages, make_page


@asynccontextmanager
async def carried(app: Asgi) -> AsyncIterator[Pages]:
    """Yield the pages that `app` makes, at the other end of a Unix socket."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind("")
    listener.listen(8)
    accepting = trio.socket.from_stdlib_socket(listener)
    async with trio.open_nursery() as nursery:

        async def accept() -> None:
            while True:
                accepted, _ = await accepting.accept()
                nursery.start_soon(make_page, trio.SocketStream(accepted), app)

        nursery.start_soon(accept)
        yield Pages(listener.getsockname())
        nursery.cancel_scope.cancel()
    accepting.close()


SCOPE: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.1"},
    "http_version": "1.1",
    "method": "POST",
    "scheme": "http",
    "path": "/console/é",
    "raw_path": b"/console/%C3%A9",
    "query_string": b"a=b",
    "root_path": "",
    "headers": [(b"host", b"x"), (b"cookie", b"c")],
    "client": ("192.0.2.1", 5),
    "server": ("127.0.0.1", 80),
    "extensions": {"http.response.push": {}},
    "state": {"secret": object()},
}


class Client:
    """What a connection gives to an application, and gets from it."""

    def __init__(self, *pieces: bytes, leaves: bool = False) -> None:
        self._messages = [
            {"type": "http.request", "body": piece, "more_body": at < len(pieces) - 1}
            for at, piece in enumerate(pieces)
        ]
        self._leaves = leaves
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> Any:
        if self._messages:
            return self._messages.pop(0)
        if not self._leaves:
            await trio.sleep_forever()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(one["body"] for one in self.sent[1:])


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what arrived."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    what = repr({name: scope[name] for name in sorted(scope) if name != "extensions"}).encode()
    await send({"type": "http.response.start", "status": 201, "headers": [(b"a", b"b"), (b"a", b"c")]})
    await send({"type": "http.response.body", "body": what + b"\n", "more_body": True})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def test_request_and_answer_arrive_as_they_were() -> None:
    client = Client(b"one", b"", b"two")
    async with carried(echo) as pages:
        await pages(SCOPE, client.receive, client.send)
    what, _, body = client.body.partition(b"\n")

    assert client.sent[0]["status"] == 201
    assert [tuple(pair) for pair in client.sent[0]["headers"]] == [(b"a", b"b"), (b"a", b"c")]
    assert body == b"onetwo"
    expected = {name: SCOPE[name] for name in sorted(SCOPE) if name not in ("extensions", "state")}
    assert what == repr(expected).encode()
    assert not client.sent[-1]["more_body"]


async def test_large_bodies_pass_in_pieces_both_ways() -> None:
    pieces = [bytes([number]) * 200_000 for number in range(40)]
    client = Client(*pieces)
    async with carried(echo) as pages:
        await pages(SCOPE, client.receive, client.send)

    assert client.body.endswith(b"".join(pieces))
    assert max(len(one["body"]) for one in client.sent[1:]) <= 1 << 20


async def test_the_application_learns_that_the_client_has_gone() -> None:
    left = trio.Event()

    async def waiting(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["type"] != "http.disconnect":
            pass
        left.set()

    client = Client(b"", leaves=True)
    async with carried(waiting) as pages:
        await pages(SCOPE, client.receive, client.send)
        with trio.fail_after(30):
            await left.wait()


async def test_pages_that_cannot_be_reached_are_said_to_be_so() -> None:
    client = Client(b"")
    await Pages(b"\0retain-nobody-listens-here")(SCOPE, client.receive, client.send)

    assert client.sent[0]["status"] == 503
    assert b"try again" in client.body


async def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one() -> None:
    async def breaks(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    client = Client(b"")
    async with carried(breaks) as pages:
        with pytest.raises(ConnectionError):
            await pages(SCOPE, client.receive, client.send)


async def test_a_worker_takes_part_in_the_lifespan_itself() -> None:
    wanted = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return wanted.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await Pages(b"\0retain-nobody-listens-here")({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
