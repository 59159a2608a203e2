"""The short path for plain requests (`api.server.plain`) answers what the long one answers, byte for byte."""

from __future__ import annotations

import random
import re

import pytest
import trio
import trio.lowlevel

from retain.api.config.load import ServerConfig
from retain.api.http.plain_head import PlainHeads
from retain.api.server.plain import PlainConnection
from tests.kit.serving import Served, connected, serving

HOST = b"Host: localhost\r\n"
GET = b"GET /echo/x HTTP/1.1\r\n"
POST = b"POST /echo/read HTTP/1.1\r\n"

ODD_HEADS: dict[str, bytes] = {
    "plain": GET + HOST + b"\r\n",
    "lower-case field names": GET + b"host: a\r\nx-case: 1\r\n\r\n",
    "a query": b"GET /echo/x?a=b&c=%20 HTTP/1.1\r\n" + HOST + b"\r\n",
    "no space after the colon": GET + b"Host:localhost\r\n\r\n",
    "two spaces after the colon": GET + b"Host:  localhost\r\n\r\n",
    "a space after the value": GET + b"Host: localhost \r\n\r\n",
    "an empty value": GET + HOST + b"X-A:\r\nX-B: \r\n\r\n",
    "a tab in a value": GET + HOST + b"X-A: a\tb\r\n\r\n",
    "bytes above ASCII in a value": GET + HOST + b"X-A: \xc3\xa4\r\n\r\n",
    "length and chunked": POST + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": POST + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "one length twice": POST + HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\na=b",
    "two lengths": POST + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\na=b",
    "a list of lengths": POST + HOST + b"Content-Length: 3, 3\r\n\r\na=b",
    "a signed length": POST + HOST + b"Content-Length: +3\r\n\r\na=b",
    "a hexadecimal length": POST + HOST + b"Content-Length: 0x3\r\n\r\na=b",
    "a length of 19 digits": POST + HOST + b"Content-Length: 1000000000000000000\r\n\r\na=b",
    "a length of 20 digits": POST + HOST + b"Content-Length: 10000000000000000000\r\n\r\na=b",
    "leading zeros": POST + HOST + b"Content-Length: 0003\r\n\r\na=b",
    "an unknown encoding": POST + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "gzip, chunked": POST + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST
    + HOST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a vertical tab in an encoding": POST + HOST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked": POST
    + HOST
    + b"Transfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n"
    + GET
    + HOST
    + b"\r\n",
    "a bad chunk": POST + HOST + b"Transfer-Encoding: chunked\r\n\r\n0x3\r\na=b\r\n0\r\n\r\n",
    "a space before the colon": GET + HOST + b"X-A : b\r\n\r\n",
    "a folded line": GET + HOST + b"X-A: b\r\n c\r\n\r\n",
    "bare line feeds": b"GET /echo/x HTTP/1.1\nHost: x\n\n",
    "a bare carriage return": GET + HOST + b"X-A: b\rc\r\n\r\n",
    "a NUL": GET + HOST + b"X-A: b\x00c\r\n\r\n",
    "a control character": GET + HOST + b"X-A: b\x01c\r\n\r\n",
    "no Host": GET + b"\r\n",
    "two Hosts": GET + HOST + HOST + b"\r\n",
    "a bad Host": GET + b"Host: a b\r\n\r\n",
    "an empty name": GET + HOST + b": b\r\n\r\n",
    "no colon": GET + HOST + b"abc\r\n\r\n",
    "an empty line before": b"\r\n" + GET + HOST + b"\r\n",
    "three empty lines before": b"\r\n\r\n\r\n" + GET + HOST + b"\r\n",
    "version 1.0": b"GET /echo/x HTTP/1.0\r\n" + HOST + b"\r\n",
    "version 1.2": b"GET /echo/x HTTP/1.2\r\n" + HOST + b"\r\n",
    "version 2.0": b"GET /echo/x HTTP/2.0\r\n" + HOST + b"\r\n",
    "no version": b"GET /echo/x\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an unknown method": b"FOO /echo/x HTTP/1.1\r\n" + HOST + b"\r\n",
    "a lower-case method": b"get /echo/x HTTP/1.1\r\n" + HOST + b"\r\n",
    "OPTIONS": b"OPTIONS /echo/x HTTP/1.1\r\n" + HOST + b"\r\n",
    "OPTIONS of all": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "CONNECT": b"CONNECT a:1 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space in the target": b"GET /echo/x y HTTP/1.1\r\n" + HOST + b"\r\n",
    "a raw byte in the target": b"GET /echo/\xc3\xa4 HTTP/1.1\r\n" + HOST + b"\r\n",
    "an absolute target": b"GET http://localhost/echo/x HTTP/1.1\r\n" + HOST + b"\r\n",
    "a fragment": b"GET /echo/x#a HTTP/1.1\r\n" + HOST + b"\r\n",
    "a bad escape": b"GET /echo/%zz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a bad first segment": b"GET /%ff HTTP/1.1\r\n" + HOST + b"\r\n",
    "an upgrade": GET + HOST + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "an upgrade, then another request": GET
    + HOST
    + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    + GET
    + HOST
    + b"\r\n",
    "an upgrade with a body, then another request": POST
    + HOST
    + b"Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n\r\na=b"
    + GET
    + HOST
    + b"\r\n",
    "keep-alive": GET + HOST + b"Connection: keep-alive\r\n\r\n" + GET + HOST + b"\r\n",
    "close": GET + HOST + b"Connection: close\r\n\r\n" + GET + HOST + b"\r\n",
    "an expectation": POST + HOST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\na=b",
    "an unknown expectation": GET + HOST + b"Expect: 42\r\n\r\n",
    "HEAD": b"HEAD /echo/x HTTP/1.1\r\n" + HOST + b"\r\n",
    "HEAD of a refusal": b"HEAD /echo/refuse HTTP/1.1\r\n" + HOST + b"\r\n",
    "HEAD of a refusal before the body": b"HEAD /echo/refuse HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 90000\r\n\r\n",
    "HEAD of a stream": b"HEAD /echo/breaks HTTP/1.1\r\n" + HOST + b"\r\n",
    "a stream that breaks": b"GET /echo/breaks HTTP/1.1\r\n" + HOST + b"\r\n",
    "a body nobody reads": b"GET /echo/x HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 3\r\n\r\nabc"
    + GET
    + HOST
    + b"\r\n",
    "a long body nobody reads": b"PUT /echo/x HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 90000\r\n\r\n"
    + b"a" * 90000,
    "a body too large": b"POST /echo/limited HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 2000\r\n\r\n"
    + b"a" * 2000,
    "a large answer": b"GET /echo/big/300000 HTTP/1.1\r\n" + HOST + b"\r\n" + GET + HOST + b"\r\n",
    "a refusal": b"GET /echo/refuse HTTP/1.1\r\n" + HOST + b"\r\n" + GET + HOST + b"\r\n",
    "nobody's path": b"GET /nobody HTTP/1.1\r\n" + HOST + b"\r\n" + GET + HOST + b"\r\n",
    "70,000 bytes of head": GET + HOST + b"X-A: " + b"a" * 70000 + b"\r\n\r\n",
    "200 fields": GET + HOST + b"".join(b"X-%d: a\r\n" % number for number in range(200)) + b"\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 3 + b"\r\n\r\n",
}


async def ask(served: Served, pieces: list[bytes]) -> bytes:
    """All that comes back until the server closes, or has answered and our side is closed."""
    async with connected(served.port) as peer:
        for piece in pieces:
            await peer.send(piece)
            await trio.lowlevel.checkpoint()
        try:
            await peer.stream.send_eof()
        except trio.BrokenResourceError:  # closed there already
            return b"closed"
        answer = await peer.rest()
    answer = re.sub(rb"(?m)^Date: .*\r\n", b"", answer)
    return re.sub(rb"internal error [0-9a-f-]+", b"internal error", answer)


@pytest.mark.parametrize("name", ODD_HEADS)
async def test_every_head_is_answered_as_on_the_long_path(name: str) -> None:
    async with serving(ServerConfig(bind="127.0.0.1:0")) as fast:
        short = await ask(fast, [ODD_HEADS[name]])
    async with serving(ServerConfig(bind="127.0.0.1:0", fast_http1=False)) as slow:
        assert short == await ask(slow, [ODD_HEADS[name]])


def requests_of(source: random.Random) -> bytes:
    """Pipelined requests, most of them plain; their number is random."""
    kinds = [
        GET + HOST + b"\r\n",
        b"POST /echo/read HTTP/1.1\r\n" + HOST + b"Content-Length: 70000\r\n\r\n" + b"b" * 70000,
        b"POST /echo/read HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n",
        b"PUT /echo/y HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc",
        b"GET /echo/big/70000 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"HEAD /echo/z HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /echo/refuse HTTP/1.1\r\n" + HOST + b"\r\n",
    ]
    odd = POST + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n"
    chosen = [source.choice(kinds) for _ in range(source.randrange(1, 7))]
    if source.random() < 0.5:
        chosen.insert(source.randrange(len(chosen) + 1), odd)
    return b"".join(chosen)


def split(data: bytes, source: random.Random) -> list[bytes]:
    """`data` in pieces, cut at random places, near the ends of heads more often than elsewhere."""
    ends = [match.end() - source.randrange(5) for match in re.finditer(rb"\r\n\r\n", data)]
    cuts = sorted({*source.sample(ends, source.randrange(len(ends) + 1)), source.randrange(len(data))})
    return [data[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True)]


async def test_pipelined_requests_in_any_pieces_are_answered_as_on_the_long_path() -> None:
    source = random.Random(20261128)
    async with (
        serving(ServerConfig(bind="127.0.0.1:0")) as fast,
        serving(ServerConfig(bind="127.0.0.1:0", fast_http1=False)) as slow,
    ):
        for _ in range(60):
            data = requests_of(source)
            pieces = split(data, source)
            assert await ask(fast, pieces) == await ask(slow, [data]), pieces


async def test_plain_requests_take_the_short_path_and_others_leave_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left: list[bytes | None] = []
    run = PlainConnection.run

    async def noting(connection: PlainConnection) -> bytes | None:
        left.append(await run(connection))
        return left[-1]

    monkeypatch.setattr(PlainConnection, "run", noting)
    async with serving() as served:
        await ask(served, [ODD_HEADS["plain"]])
        await ask(served, [ODD_HEADS["chunked"]])
    assert left == [None, ODD_HEADS["chunked"]]


def test_a_head_at_the_limits_is_plain_and_one_beyond_is_not() -> None:
    heads = PlainHeads(max_headers=3, max_header_bytes=60)
    full = GET + b"Host: a\r\nX: 1\r\nY: 2\r\n\r\n"
    assert heads.read(full, len(full)) is not None
    more = GET + b"Host: a\r\nX: 1\r\nY: 2\r\nZ: 3\r\n\r\n"
    assert heads.read(more, len(more)) is None
    longest = GET + b"Host: a\r\nX: " + b"1" * (60 - len(GET) - len(b"Host: a\r\nX: \r\n\r\n")) + b"\r\n\r\n"
    assert len(longest) == 60
    assert heads.read(longest, len(longest)) is not None
    assert heads.read(longest.replace(b"X: ", b"X: 1"), 61) is None


def test_a_plain_head_says_what_the_client_wrote() -> None:
    data = b"PUT /a/b?c=d HTTP/1.1\r\nHost: a\r\nX-Ms-Meta-Name: V\xe4lue\r\nContent-Length: 07\r\n\r\nrest"
    head = PlainHeads(100, 16384).read(data, data.index(b"rest"))
    assert head is not None
    assert (head.method, head.target, head.length) == ("PUT", b"/a/b?c=d", 7)
    assert head.headers == [(b"host", b"a"), (b"x-ms-meta-name", b"V\xe4lue"), (b"content-length", b"07")]
    assert head.cased()[1] == (b"X-Ms-Meta-Name", b"V\xe4lue")
    assert head.fields == dict(head.headers)
