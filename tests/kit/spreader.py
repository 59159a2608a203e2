"""A port that sends each HTTP request to one of several nodes, at random.

`python -m tests.kit.spreader SEED PORT…` prints the port. A client's connection stays open, as a load
balancer keeps it, so that two requests on it meet two nodes. It is a process of its own: a client in native
code may wait for an answer without letting other threads run.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from random import Random

import h11
import trio

from tests.kit.server import ROOT

CHUNK = 1 << 16
HEAD_BYTES = 1 << 20
"""The longest head of a message."""


@contextmanager
def spread(ports: list[int], seed: str) -> Iterator[int]:
    """Run a spreader over the servers at `ports` of loopback; give its own port."""
    command = [sys.executable, "-m", "tests.kit.spreader", seed, *map(str, ports)]
    if (setpriv := shutil.which("setpriv")) is not None:  # it ends when the tests are killed, too
        command = [setpriv, "--pdeathsig", "TERM", *command]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


async def _next(stream: trio.abc.Stream, state: h11.Connection) -> h11.Event:
    """Return the next event of a message that arrives."""
    while (event := state.next_event()) is h11.NEED_DATA:
        state.receive_data(await stream.receive_some(CHUNK))
    assert not isinstance(event, type)
    return event


class _Exchange:
    """One request of a client, and the answer of a node."""

    def __init__(self, near: trio.abc.Stream, client: h11.Connection, far: trio.abc.Stream) -> None:
        self._near, self._client = near, client
        self._far, self._node = far, h11.Connection(h11.CLIENT, HEAD_BYTES)

    async def run(self, request: h11.Request) -> None:
        """Carry the request and its answer; what comes after an early answer is dropped."""
        await self._far.send_all(self._node.send(request))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._up)
            await self._down()
            nursery.cancel_scope.cancel()
        while self._client.their_state is h11.SEND_BODY:
            await _next(self._near, self._client)

    async def _up(self) -> None:
        event: h11.Event | None = None
        while not isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
            event = await _next(self._near, self._client)
            if (data := self._node.send(event)) is not None:
                await self._far.send_all(data)

    async def _down(self) -> None:
        event: h11.Event | None = None
        while not isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
            event = await _next(self._far, self._node)
            if (data := self._client.send(event)) is not None:
                await self._near.send_all(data)


async def _head(near: trio.abc.Stream, client: h11.Connection) -> tuple[bytes, h11.Request | None]:
    """Return the bytes that begin with a request, and the request; None if it is not one, or the end."""
    head, _ = client.trailing_data
    try:
        while (event := client.next_event()) is h11.NEED_DATA:
            data = await near.receive_some(CHUNK)
            client.receive_data(data)
            head += data
    except h11.RemoteProtocolError:
        return head, None
    return head, event if isinstance(event, h11.Request) else None


async def _carry(head: bytes, near: trio.abc.Stream, far: trio.abc.Stream) -> None:
    """Carry what is no request in HTTP, and the node's answer to it."""
    await far.send_all(head)
    while data := await far.receive_some(CHUNK):
        await near.send_all(data)


async def _serve(ports: list[int], random: Random, near: trio.SocketStream) -> None:
    client = h11.Connection(h11.SERVER, HEAD_BYTES)
    try:
        goes_on = True
        while goes_on:
            head, request = await _head(near, client)
            goes_on = False
            if head:
                async with await trio.open_tcp_stream("127.0.0.1", random.choice(ports)) as far:
                    if request is None:
                        await _carry(head, near, far)
                    else:
                        await _Exchange(near, client, far).run(request)
                        goes_on = client.our_state is client.their_state is h11.DONE
            if goes_on:
                client.start_next_cycle()
    except* (h11.ProtocolError, trio.BrokenResourceError, OSError) as errors:
        print(f"a connection broke: {errors.exceptions!r}", file=sys.stderr)


async def _main(seed: str, ports: list[int]) -> None:
    async with trio.open_nursery() as nursery:
        serve = partial(_serve, ports, Random(seed))
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        print(listener.socket.getsockname()[1], flush=True)


if __name__ == "__main__":
    trio.run(_main, sys.argv[1], [int(port) for port in sys.argv[2:]])
