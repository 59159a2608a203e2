"""What one address can do: each attack runs in a process of its own until it is stopped.

``python -m tests.hostile.attacks NAME PORT SCALE`` runs one. Attacks come from 127.0.0.2; the
innocent client comes from 127.0.0.1. One line of standard output for each thing that an attack got done: the
status of an answer, or a word. An attack that is refused before it causes any work is none: `DONE` says which
words show that the work was done.
"""

from __future__ import annotations

import os
import socket
import ssl
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import trio

ADDRESS = "127.0.0.2"
AREAS = b"/genesys/1/storage/"
SETTINGS = b"/mobileservices/Storage/v1/runtime/application/app/global"
#: A file of 200 KB that the campaign puts there before.
LARGE = AREAS + b"binary/large/File"

REFUSED_STREAM = h2.errors.ErrorCodes.REFUSED_STREAM
BROKEN = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)


class Target:
    """The server under attack, and how much of each attack there is to be (1: all of it)."""

    def __init__(self, port: int, scale: float) -> None:
        self.port = port
        self.scale = scale
        self._entering = trio.CapacityLimiter(50)
        self._contexts = {protocols: _context(protocols) for protocols in (("http/1.1",), ("h2",))}

    def note(self, what: object) -> None:
        """Tell the campaign."""
        sys.stdout.write(f"{what}\n")
        sys.stdout.flush()

    def times(self, number: int) -> int:
        """That many at full scale."""
        return max(2, int(number * self.scale))

    @asynccontextmanager
    async def connected(self, *protocols: str) -> AsyncIterator[trio.SSLStream[trio.SocketStream]]:
        """A TLS connection from the attacker's address."""
        sock = trio.socket.socket()
        try:
            await sock.bind((ADDRESS, 0))
            await sock.connect(("127.0.0.1", self.port))
            context = self._contexts[protocols or ("http/1.1",)]
            stream = trio.SSLStream(trio.SocketStream(sock), context, server_hostname="localhost")
            async with self._entering:
                await stream.do_handshake()
            yield stream
        finally:
            sock.close()


def _context(protocols: tuple[str, ...]) -> ssl.SSLContext:
    """Made once: loading the system's certificates for each connection would slow an attack down."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(list(protocols))
    return context


class Http2:
    """HTTP/2 in the plain, with a window of one's choice."""

    def __init__(
        self, stream: trio.SSLStream[trio.SocketStream], window: int, note: Callable[[object], None]
    ) -> None:
        self.stream = stream
        self._note = note
        self._turn = trio.Lock()
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
        self.connection.local_settings = h2.settings.Settings(
            client=True, initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window}
        )
        self.connection.initiate_connection()

    async def get(self, path: bytes) -> int:
        """Ask; nobody waits for the answer."""
        number = self.connection.get_next_available_stream_id()
        self.connection.send_headers(
            number,
            [
                (b":method", b"GET"),
                (b":path", path),
                (b":scheme", b"https"),
                (b":authority", b"localhost"),
                (b"gms_user", b"u"),
            ],
            end_stream=True,
        )
        await self.flush()
        return number

    async def reset(self, number: int) -> None:
        """Give a stream up."""
        self.connection.reset_stream(number)
        await self.flush()

    async def flush(self) -> None:
        """Send what there is to send."""
        async with self._turn:
            await self.stream.send_all(self.connection.data_to_send())

    async def listen(self) -> None:
        """Read frames until the connection ends; never widens a window."""
        while data := await self.stream.receive_some(65536):
            for event in self.connection.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    self._note(dict(event.headers)[b":status"].decode())
                elif isinstance(event, h2.events.StreamReset):
                    self._note("refused" if event.error_code == REFUSED_STREAM else "reset")
            await self.flush()


async def _tried(work: Callable[[], Awaitable[None]]) -> None:
    """Once more whenever the server ends it, like a patient attacker."""
    while True:
        try:
            await work()
        except* (*BROKEN, h2.exceptions.ProtocolError):
            pass
        await trio.sleep(0.05)


async def _each(number: int, work: Callable[[], Awaitable[None]]) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(number):
            nursery.start_soon(_tried, work)


async def closed_windows(target: Target) -> None:
    """Connections with a closed window, a hundred downloads on each."""

    async def hold() -> None:
        async with target.connected("h2") as stream:
            client = Http2(stream, 0, target.note)
            await client.flush()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.listen)
                for _ in range(100):
                    await client.get(LARGE)
                await trio.sleep(60)
                nursery.cancel_scope.cancel()

    await _each(target.times(23), hold)


async def resets(target: Target) -> None:
    """Connections in a row, 190 downloads given up on each as soon as they are asked for."""

    async def burst() -> None:
        async with target.connected("h2") as stream:
            client = Http2(stream, 65535, target.note)
            for _ in range(190):
                await client.reset(await client.get(LARGE))
            target.note("given up")

    await _each(target.times(8), burst)


async def slow_bodies(target: Target) -> None:
    """Forms of 9 MB, of which all but a little is sent at once, and the rest byte by byte."""

    async def form() -> None:
        async with target.connected() as stream:
            await stream.send_all(
                b"POST %b60 HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9000000\r\n\r\na="
                % AREAS
            )
            for _ in range(137):
                await stream.send_all(b"x" * 65536)
                target.note("piece taken")
            while True:
                await stream.send_all(b"x" * 1024)
                await trio.sleep(0.5)

    await _each(target.times(95), form)


async def slow_uploads(target: Target) -> None:
    """Files that come slowly from their second mebibyte on: each holds a descriptor of the server's."""

    async def upload() -> None:
        async with target.connected() as stream:
            await stream.send_all(
                b"POST %b60 HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
                b"Content-Length: 50000000\r\n\r\n--b\r\n"
                b"Content-Disposition: form-data; name=f; filename=f\r\n"
                b"Content-Type: application/octet-stream\r\n\r\n" % AREAS
            )
            for _ in range(24):
                await stream.send_all(b"x" * 65536)
                target.note("piece taken")
            while True:
                await stream.send_all(b"x" * 1024)
                await trio.sleep(0.5)

    await _each(target.times(400), upload)


async def unread_downloads(target: Target) -> None:
    """Downloads that nobody reads."""

    async def hold() -> None:
        async with target.connected() as stream:
            await stream.send_all(b"GET %b HTTP/1.1\r\nHost: localhost\r\ngms_user: u\r\n\r\n" % LARGE * 20)
            target.note("asked")
            await trio.sleep(60)

    await _each(target.times(1100), hold)


async def idle_connections(target: Target) -> None:
    """More connections than an address may have, each with half a head."""

    async def hold() -> None:
        async with target.connected() as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: ")
            target.note("begun")
            await trio.sleep(60)

    await _each(target.times(3000), hold)


async def logins(target: Target) -> None:
    """Wrong passwords, half of them for made-up names."""
    count = 0

    async def attempt() -> None:
        nonlocal count
        count += 1
        name = b"operator" if count % 2 else b"made-up-%d" % count
        credential = ssl.RAND_bytes(4).hex().encode()
        async with target.connected() as stream:
            await stream.send_all(
                b"GET %b HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic %b\r\nConnection: close\r\n\r\n"
                % (SETTINGS, b64encode(name + b":" + credential))
            )
            await _answered(target, stream)

    await _each(target.times(200), attempt)


async def _answered(target: Target, stream: trio.SSLStream[trio.SocketStream]) -> int:
    """Read one answer to its end; note and return its status, 0 if there is none."""
    head = bytes(await stream.receive_some(65536))
    with suppress(*BROKEN):
        while await stream.receive_some(65536):
            pass
    status = int(head[9:12]) if head[:7] == b"HTTP/1." else 0
    target.note(status)
    return status


async def _sent(target: Target, path: bytes, kind: bytes, body: bytes, method: bytes = b"POST") -> int:
    async with target.connected() as stream:
        head = b"Host: localhost\r\nContent-Type: %b\r\nContent-Length: %d\r\n" % (kind, len(body))
        await stream.send_all(b"%b %b HTTP/1.1\r\n%bConnection: close\r\n\r\n" % (method, path, head))
        with suppress(*BROKEN):  # refused before all of it was sent
            await stream.send_all(body)
        return await _answered(target, stream)


JSON = b"application/json"
MERGE_PATCH = b"application/merge-patch+json"
JSON_PATCH = b"application/json-patch+json"
FORM = b"application/x-www-form-urlencoded"


async def many_names(target: Target) -> None:
    """80,000 names changed at once, over and over."""
    names = target.times(80_000)
    turn = 0

    async def change() -> None:
        nonlocal turn
        turn += 1
        body = b"{" + b",".join(b'"k%d":%d' % (number, turn % 9) for number in range(names)) + b"}"
        await _sent(target, SETTINGS + b"/names", MERGE_PATCH, body, b"PATCH")

    await _sent(target, SETTINGS + b"/names", JSON, b"{}")
    await _each(2, change)


async def patches(target: Target) -> None:
    """JSON patches of a large array: one value replaced, and moves until the patch's budget is spent."""
    length = target.times(500_000)
    await _sent(target, SETTINGS, JSON, b'{"a":{"x":[%b]}}' % b",".join([b"1"] * length))
    moves = b",".join([b'{"op":"move","from":"/x/%d","path":"/x/0"}' % (length - 1)] * 900)
    one = b'{"op":"replace","path":"/x/7","value":%d}'
    turn = 0

    async def change() -> None:
        nonlocal turn
        turn += 1
        steps = moves if turn % 2 else one % (turn % 9)
        await _sent(target, SETTINGS + b"/a", JSON_PATCH, b"[" + steps + b"]", b"PATCH")

    await _each(2, change)


async def large_documents(target: Target) -> None:
    """The largest document that there can be, read over and over."""
    for number in range(3):
        values = b",".join([b"%d" % number] * target.times(500_000))
        await _sent(target, SETTINGS, JSON, b'{"d%d":{"x":[%b]}}' % (number, values))

    async def read() -> None:
        async with target.connected() as stream:
            await stream.send_all(
                b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % SETTINGS
            )
            await _answered(target, stream)

    await _each(4, read)


async def percent_signs(target: Target) -> None:
    """Forms of nothing but escapes, as long as one may be."""
    body = b"a=" + b"%41" * target.times(1_000_000)
    await _each(4, partial(_noted, target, AREAS + b"60", FORM, body))


async def near_boundaries(target: Target) -> None:
    """Multipart bodies of what nearly is a boundary."""
    head = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    body = head + b"\r\n--a" * target.times(1_000_000) + b"\r\n--b--\r\n"
    await _each(4, partial(_noted, target, AREAS + b"60", b"multipart/form-data; boundary=b", body))


async def _noted(target: Target, path: bytes, kind: bytes, body: bytes) -> None:
    await _sent(target, path, kind, body)


async def long_polls(target: Target) -> None:
    """Thousands of reads that wait for a change of one value, which changes all the time."""
    place = SETTINGS + b"/polled"
    wait = b"GET %b?wait=60 HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: %b\r\n\r\n"

    async def poll() -> None:
        async with target.connected() as stream:
            tag = b'"none"'
            while True:
                await stream.send_all(wait % (place, tag))
                head = b""
                while b"\r\n\r\n" not in head:
                    received = bytes(await stream.receive_some(65536))
                    if not received:
                        return
                    head += received
                target.note(head[9:12].decode())
                tag = head.partition(b"ETag: ")[2].partition(b"\r\n")[0] or tag
                if head[9:12] != b"200":  # refused; the value is short and came with the head
                    return

    async def change() -> None:
        turn = 0
        while True:
            turn += 1
            await _sent(target, SETTINGS, JSON, b'{"polled":{"x":%d}}' % (turn % 9))
            await trio.sleep(0.5)

    await _sent(target, SETTINGS, JSON, b'{"polled":{"x":0}}')
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_tried, change)
        nursery.start_soon(_each, target.times(3000), poll)


async def slow_receivers(target: Target) -> None:
    """Webhooks that trickle their answer, never end or begin it, send it in circles, or a gigabyte of it.

    They are told of areas that are deleted. The campaign configures one for each path.
    """
    listener = trio.SocketListener(trio.socket.fromfd(RECEIVER, socket.AF_INET, socket.SOCK_STREAM))

    async def receive(stream: trio.SocketStream) -> None:
        with suppress(*BROKEN):
            path = bytes(await stream.receive_some(65536)).split(b" ")[1]
            target.note(path.decode())
            await RECEIVERS[path.decode()](stream)

    async def delete() -> None:
        """Create an area and delete it."""
        form = b"a=b"
        async with target.connected() as stream:
            head = b"Host: localhost\r\nContent-Type: %b\r\nContent-Length: %d\r\n" % (FORM, len(form))
            await stream.send_all(b"POST %b60 HTTP/1.1\r\n%b\r\n%b" % (AREAS, head, form))
            answer = bytes(await stream.receive_some(65536))
            name = answer.partition(b"\r\n\r\n")[2].partition(b'"id":"')[2].partition(b'"')[0]
            await stream.send_all(
                b"DELETE %b%b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % (AREAS, name)
            )
            await _answered(target, stream)
        await trio.sleep(0.02)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(trio.serve_listeners, receive, [listener]))
        nursery.start_soon(_each, 2, delete)


async def _trickle(stream: trio.SocketStream) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000:
        await stream.send_all(bytes((byte,)))
        await trio.sleep(0.2)


async def _never(stream: trio.SocketStream) -> None:
    await trio.sleep(3600)


async def _circle(stream: trio.SocketStream) -> None:
    await stream.send_all(b"HTTP/1.1 307 Again\r\nLocation: /circle\r\nContent-Length: 0\r\n\r\n")


async def _gigabyte(stream: trio.SocketStream) -> None:
    await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    for _ in range(1000):
        await stream.send_all(b"x" * 1_000_000)


async def _continues(stream: trio.SocketStream) -> None:
    for _ in range(100_000):
        await stream.send_all(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


async def _head(stream: trio.SocketStream) -> None:
    await stream.send_all(b"HTTP/1.1 200 OK\r\n")
    for _ in range(100_000):
        await stream.send_all(b"X: " + b"x" * 60_000 + b"\r\n")


RECEIVERS: dict[str, Callable[[trio.SocketStream], Awaitable[None]]] = {
    "/trickle": _trickle,
    "/never": _never,
    "/circle": _circle,
    "/gigabyte": _gigabyte,
    "/continues": _continues,
    "/head": _head,
}
#: The descriptor of the socket on which webhooks listen, which an attack inherits.
RECEIVER = int(os.environ.get("HOSTILE_RECEIVER", "-1"))


ATTACKS: dict[str, Callable[[Target], Awaitable[None]]] = {
    attack.__name__: attack
    for attack in (
        closed_windows,
        resets,
        slow_bodies,
        slow_uploads,
        unread_downloads,
        idle_connections,
        logins,
        many_names,
        patches,
        large_documents,
        percent_signs,
        near_boundaries,
        long_polls,
        slow_receivers,
    )
}


#: What shows that the server did the work of an attack, and did not refuse it at the door.
DONE: dict[str, frozenset[str]] = {
    "closed_windows": frozenset({"200"}),
    "resets": frozenset({"given up"}),
    "slow_bodies": frozenset({"piece taken"}),
    "slow_uploads": frozenset({"piece taken"}),
    "unread_downloads": frozenset({"asked"}),
    "idle_connections": frozenset({"begun"}),
    "logins": frozenset({"401"}),
    "many_names": frozenset({"204"}),
    "patches": frozenset({"204"}),
    "large_documents": frozenset({"200"}),
    "percent_signs": frozenset({"200"}),
    "near_boundaries": frozenset({"200"}),
    "long_polls": frozenset({"200"}),
    "slow_receivers": frozenset(RECEIVERS),
}


def main(name: str, port: str, scale: str) -> None:
    """Attack until killed."""
    trio.run(ATTACKS[name], Target(int(port), float(scale)))


if __name__ == "__main__":
    main(*sys.argv[1:])
