"""The application served inside the test, on a real socket; and a client that sends given bytes."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio
import trio.testing
from quart import Blueprint

from retain.api.config.load import Config, ServerConfig
from retain.api.http.message import Mounted, Request, Response, plain_error
from retain.api.server.app import App
from retain.api.server.serve import serve
from retain.engine import NotFound
from retain.engine.testing import open_memory_engine
from tests.kit.engines import LightOptions


@dataclass
class Answer:
    """One HTTP/1.1 answer as it came."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of that name, any case."""
        found = re.search(rb"(?im)^%s:[ \t]*(.*?)\r$" % re.escape(name.encode()), self.head + b"\r\n")
        return found[1].decode("latin-1") if found else None


class Peer:
    """One connection to a server, in bytes."""

    def __init__(self, stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]) -> None:
        self.stream = stream
        self.buffer = b""

    async def send(self, data: bytes) -> None:
        """Send `data`; a server that has closed already is no error here."""
        try:
            await self.stream.send_all(data)
        except trio.BrokenResourceError:
            return

    async def _more(self) -> bool:
        try:
            data = await self.stream.receive_some(65536)
        except trio.BrokenResourceError:
            data = b""
        self.buffer += data
        return bool(data)

    async def answer(self, *, head_only: bool = False) -> Answer:
        """Read one answer; informational ones stay in its `head`."""
        informational = b""
        while True:
            while b"\r\n\r\n" not in self.buffer:
                assert await self._more(), f"closed after {self.buffer!r}"
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
            if status >= 200:
                break
            informational += head + b"\r\n\r\n"
        result = Answer(status, informational + head, b"")
        if head_only or status in (204, 304):
            return result
        if (length := result.header("content-length")) is not None:
            while len(self.buffer) < int(length):
                assert await self._more(), "closed inside the body"
            result.body, self.buffer = self.buffer[: int(length)], self.buffer[int(length) :]
        elif result.header("transfer-encoding") == "chunked":
            result.body = await self._chunks()
        else:
            result.body = await self.rest()
        return result

    async def _chunks(self) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in self.buffer:
                assert await self._more(), "closed inside a chunk's head"
            size, _, self.buffer = self.buffer.partition(b"\r\n")
            length = int(size, 16)
            while len(self.buffer) < length + 2:
                assert await self._more(), "closed inside a chunk"
            body, self.buffer = body + self.buffer[:length], self.buffer[length + 2 :]
            if not length:
                return body

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        while await self._more():
            continue
        rest, self.buffer = self.buffer, b""
        return rest


async def eventually(condition: Callable[[], bool], within_s: float = 60) -> None:
    """Wait until `condition` holds, for what a server does in its own time; also while trio's clock stands.

    Raises trio.TooSlowError: not within that many seconds of the machine's clock.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise trio.TooSlowError
        await trio.to_thread.run_sync(time.sleep, 0.005)


async def let_pass(clock: trio.testing.MockClock, seconds: float) -> None:
    """Trio's clock goes on by `seconds` at once; returns when everybody has done what that makes them do."""
    await trio.testing.wait_all_tasks_blocked(0.01)
    clock.jump(seconds)
    await trio.testing.wait_all_tasks_blocked(0.01)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Peer]:
    """A plain connection to 127.0.0.1."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    try:
        yield Peer(stream)
    finally:
        await trio.aclose_forcefully(stream)


async def exchange(port: int, data: bytes) -> bytes:
    """Send `data` on a connection of its own; all that comes back until the server closes."""
    async with connected(port) as peer:
        await peer.send(data)
        return await peer.rest()


@dataclass
class Served:
    """A server inside the test."""

    app: App
    port: int
    stop: trio.Event


async def _echo(request: Request) -> Response:
    """A interface that shows what reached it; the second segment says what to do."""
    segments = request.segments()
    what = segments[1] if len(segments) > 1 else ""
    STARTED.append("/".join(segments[1:]))
    if what == "read":
        return Response.json(200, len(await request.read_body(1 << 20)))
    if what == "limited":
        return Response.json(200, len(await request.read_body(1000)))
    if what == "fault":
        raise RuntimeError("a secret value")
    if what == "refuse":
        raise NotFound("nothing here")
    if what == "split":
        return Response(200, [("X-Bad", "a\r\nSet-Cookie: b")])
    if what == "split-stream":
        return Response(200, [("X-Bad", "a\r\nb")], Closing())
    if what == "endless":
        return Response(200, [], _endless(request))
    if what == "breaks":
        return Response(200, [], _breaks())
    if what == "events":
        return Response(200, [("Content-Type", "text/event-stream")], _silent())
    if what == "wait":
        await request.body.wait_gone()
        return Response.text(200, "nothing new")
    if what == "cut":
        try:
            await trio.sleep_forever()
        finally:
            CLOSED.append("cut")
    if what == "shielded":
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(SHIELDED.wait, 60)
        CLOSED.append("shielded")
    if what == "slow":
        await trio.sleep(float(segments[2]) if len(segments) > 2 else 0.3)
    if what == "big":
        return Response(200, [], b"x" * int(segments[2]))
    return Response.json(200, segments, [("X-Case-Kept", "yes")])


#: What was asked of the echo, by all tests of this process: each test asks for a name of its own.
STARTED: list[str] = []
CLOSED: list[str] = []
#  Ends the requests that cannot be cancelled earlier.
SHIELDED = threading.Event()
#: Bytes taken from each endless answer.
TAKEN: dict[str, int] = {}


class Closing:
    """A body that counts in `CLOSED` however it ends, even if it never began."""

    def __aiter__(self) -> Closing:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Tell."""
        CLOSED.append("closing")


async def _endless(request: Request) -> AsyncIterator[bytes]:
    name = request.segments()[-1]
    try:
        while True:
            TAKEN[name] = TAKEN.get(name, 0) + 65536
            yield b"x" * 65536
    finally:
        CLOSED.append(name)


async def _silent() -> AsyncIterator[bytes]:
    yield b"data: 1\n\n"
    await trio.sleep_forever()


async def _breaks() -> AsyncIterator[bytes]:
    yield b"first"
    raise RuntimeError("a secret value")


ECHO = Mounted(name="echo", handle=_echo, error=plain_error, prefixes=("echo",))


@asynccontextmanager
async def serving(
    server: ServerConfig | None = None,
    *,
    interfaces: Sequence[Mounted] = (ECHO,),
    config: Config | None = None,
    pages: Sequence[Callable[[], Blueprint]] = (),
    read_under: Sequence[str] = (),
) -> AsyncIterator[Served]:
    """Serve `interfaces` and `pages` over an engine in memory, on a free port of 127.0.0.1.

    A clock of the test's own may stand still until the end; from there on it goes.
    """
    config = config or Config(server=server or ServerConfig(bind="127.0.0.1:0"))
    async with (
        open_memory_engine(options=LightOptions()) as engine,
        app_serving(App(engine, config, interfaces, pages, read_under=read_under)) as served,
    ):
        yield served


@asynccontextmanager
async def app_serving(app: App) -> AsyncIterator[Served]:
    """Serve `app` where its configuration says."""
    ready = trio.Event()
    urls: list[str] = []

    async def announce(found: Sequence[str]) -> None:
        urls.extend(found)
        ready.set()

    async with trio.open_nursery() as nursery:
        stop = trio.Event()
        ended = trio.Event()

        async def run() -> None:
            await serve(app, stop=stop, announce=announce)
            ended.set()

        nursery.start_soon(run)
        await ready.wait()
        try:
            yield Served(app, int(urls[0].rpartition(":")[2]), stop)
            if isinstance(clock := trio.lowlevel.current_clock(), trio.testing.MockClock):
                clock.rate = 1.0
            stop.set()
            await ended.wait()
        finally:
            nursery.cancel_scope.cancel()
