"""Nodes connect to nodes that know the same secret, and to nobody else."""

from __future__ import annotations

import socket
import ssl

import pytest
import trio
import trio.testing

from retain.api.nodes.transport import TlsTransport

SECRET = b"s" * 32


async def echo(stream: trio.abc.Stream) -> None:
    await stream.send_all(await stream.receive_some(100))


@pytest.fixture
def link() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


async def dialled(transport: TlsTransport, url: str) -> trio.abc.Stream:
    while True:
        try:
            return await transport.dial(url)
        except ConnectionRefusedError as error:
            if "not a node" in str(error):
                raise
            await trio.sleep(0.01)


async def test_two_nodes_of_one_secret_speak_over_tls(link: str) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(TlsTransport(link, SECRET).serve, echo)
        with trio.fail_after(5):
            stream = await dialled(TlsTransport("127.0.0.1:1", SECRET), link)
            await stream.send_all(b"hello")
            assert await stream.receive_some(100) == b"hello"
            await trio.aclose_forcefully(stream)
        nursery.cancel_scope.cancel()


async def test_another_secret_connects_to_nothing(link: str) -> None:
    served: list[trio.abc.Stream] = []

    async def note(stream: trio.abc.Stream) -> None:
        served.append(stream)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(TlsTransport(link, SECRET).serve, note)
        with trio.fail_after(5):
            with pytest.raises(ConnectionRefusedError, match="not a node of this cluster"):
                await dialled(TlsTransport("127.0.0.1:1", b"t" * 32), link)
            plain = ssl.create_default_context()
            plain.check_hostname, plain.verify_mode = False, ssl.CERT_NONE
            host, _, port = link.partition(":")
            stranger = trio.SSLStream(await trio.open_tcp_stream(host, int(port)), plain)
            await stranger.do_handshake()
            with pytest.raises(trio.BrokenResourceError):
                await stranger.receive_some(1)
            await trio.aclose_forcefully(stranger)
        assert served == []
        nursery.cancel_scope.cancel()


async def test_a_node_that_is_not_reached_is_named_with_the_keys_that_say_where(link: str) -> None:
    with pytest.raises(
        ConnectionRefusedError,
        match=rf"node at {link} cannot be reached \(Connection refused\).*cluster\.announce",
    ):
        await TlsTransport("127.0.0.1:1", SECRET).dial(link)


async def test_a_peer_that_says_nothing_is_left(link: str, mock_clock: trio.testing.MockClock) -> None:
    mock_clock.rate = 100
    async with trio.open_nursery() as nursery:
        nursery.start_soon(TlsTransport(link, SECRET).serve, echo)
        host, _, port = link.partition(":")
        with trio.fail_after(60):
            while True:
                try:
                    silent = await trio.open_tcp_stream(host, int(port))
                    break
                except OSError:
                    await trio.sleep(0.1)
            async with silent:
                assert await silent.receive_some(1) == b""
        nursery.cancel_scope.cancel()
