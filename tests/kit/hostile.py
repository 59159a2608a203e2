"""Hostile requests for any route: ambiguous names, and requests that need too many resources.

Every interface's tests can run both lists over its own routes: `NAMES` in a path, `bombs` at a route that
takes a body. The demand is always the same: a well-formed answer below 500 in bounded time, without a
traceback.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import trio

from tests.kit.serving import Answer, connected

#: Path segments as they stand on the wire. Each is refused with 400, or is a name like any other.
NAMES: tuple[str, ...] = (
    ".",
    "..",
    "%2e%2e",
    "%2e%2e%2f",
    "..%2f..%2fetc%2fpasswd",
    "%252e%252e%252f",
    "a%2Fb",
    "%2F",
    "%5c..%5c",
    "a%5Cb",
    "a//b",
    "%00",
    "a%00b",
    "a%0D%0ASet-Cookie:%20x",
    "%0a",
    "%7f",
    "%1b%5b31m",
    "%ff%fe",
    "%c0%af",
    "%ed%a0%80",
    "%zz",
    "%",
    "%c3%a9",  # é, composed
    "e%cc%81",  # é, decomposed: another name
    "%e2%80%ae%67%6e%70",  # right-to-left override
    "%ef%bb%bf",
    "n" * 1025,
    "%e2%82%ac" * 400,
    "CON",
    "NUL.txt",
    "COM1",
    "C:",
    "name.",
    "name%20",
    "%20",
    "+",
    "~root",
    "-rf",
    "%24%28id%29",
    "%3Cscript%3E",
    "%27%20or%201=1",
)


@dataclass(frozen=True)
class Bomb:
    """A request that needs too many resources: opening bytes, then bytes that are repeated while the server
    accepts them.
    """

    name: str
    opening: bytes
    rest: list[bytes] = field(default_factory=list)
    statuses: frozenset[int] = frozenset(range(400, 500))


def head(method: str, target: str, *lines: str) -> bytes:
    """A request head for localhost."""
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode("latin-1")


def bombs(method: str, target: str) -> Iterator[Bomb]:
    """For any route; those with a body need one that takes bodies."""
    yield Bomb("one header of 64 KiB", head(method, target, f"X: {'y' * 65536}"))
    yield Bomb("two thousand headers", head(method, target, *[f"X-{n}: 1" for n in range(2000)]))
    yield Bomb("a target of 64 KiB", head(method, f"{target}?{'y' * 65536}"))
    yield Bomb("100 MB of headers", head(method, target)[:-2], [b"X: " + b"y" * 8000 + b"\r\n"] * 12_500)
    yield Bomb("20 GiB declared", head(method, target, f"Content-Length: {20 << 30}"))
    yield Bomb("a length that is none", head(method, target, "Content-Length: 1e9"))
    yield Bomb("a length beyond 64 bits", head(method, target, f"Content-Length: {1 << 70}"))
    yield Bomb(
        "both lengths", head(method, target, "Content-Length: 3", "Transfer-Encoding: chunked") + b"abc"
    )
    yield Bomb("a bad chunk", head(method, target, "Transfer-Encoding: chunked") + b"zz\r\nabc\r\n")
    yield Bomb(
        "a chunk head without end", head(method, target, "Transfer-Encoding: chunked"), [b"0" * 65536] * 64
    )
    packed = gzip.compress(b"y" * (1 << 20))
    yield Bomb(
        "a gzip body",
        head(method, target, "Content-Encoding: gzip", f"Content-Length: {len(packed)}") + packed,
    )


def json_bombs(method: str, target: str) -> Iterator[Bomb]:
    """For routes that take JSON."""
    for name, text in {
        "depth": b"[" * 100_000 + b"]" * 100_000,
        "object depth": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "a number of 10,000 digits": b'{"a":' + b"9" * 10_000 + b"}",
        "NaN": b'{"a":NaN}',
        "Infinity": b'{"a":-Infinity}',
        "a duplicate key": b'{"a":1,"a":2}',
        "a lone surrogate": b'{"a":"\\ud800"}',
        "bad UTF-8": b'{"a":"\xff"}',
        "a byte order mark": b"\xef\xbb\xbf[",
        "cut short": b'{"a":',
        "nothing": b"",
    }.items():
        lines = ("Content-Type: application/json", f"Content-Length: {len(text)}")
        yield Bomb(f"JSON: {name}", head(method, target, *lines) + text)


def multipart_bombs(method: str, target: str, parts: int = 5000) -> Iterator[Bomb]:
    """For routes that take forms."""
    body = io.BytesIO()
    for number in range(parts):
        body.write(b'--b\r\nContent-Disposition: form-data; name="k%d"\r\n\r\nv\r\n' % number)
    body.write(b"--b--\r\n")
    for name, data, boundary in [
        ("many parts", body.getvalue(), "b"),
        ("no end", b'--b\r\nContent-Disposition: form-data; name="k"\r\n\r\nv', "b"),
        ("no boundary", b"--b--", ""),
        ("a long boundary", b"--b--", "b" * 5000),
        ("a part's header without end", b"--b\r\nContent-Disposition: " + b"y" * 200_000, "b"),
        ("many part headers", b"--b\r\n" + b"X: y\r\n" * 20_000 + b"\r\nv\r\n--b--\r\n", "b"),
    ]:
        lines = (f"Content-Type: multipart/form-data; boundary={boundary}", f"Content-Length: {len(data)}")
        yield Bomb(f"multipart: {name}", head(method, target, *lines) + data)


async def throw(port: int, bomb: Bomb, *, within_s: float = 60) -> Answer | None:
    """Send `bomb`; the answer, or None if the server closed without one. Raises trio.TooSlowError."""
    with trio.fail_after(within_s):
        async with connected(port) as peer, trio.open_nursery() as nursery:

            async def push() -> None:
                await peer.send(bomb.opening)
                for piece in bomb.rest:
                    await peer.send(piece)

            nursery.start_soon(push)
            try:
                answer = await peer.answer()
            except AssertionError:
                answer = None
            nursery.cancel_scope.cancel()
    return answer


async def answers(port: int, requests: list[bytes]) -> AsyncIterator[Answer]:
    """The answers to `requests`, each on a connection of its own."""
    for data in requests:
        async with connected(port) as peer:
            await peer.send(data)
            with trio.fail_after(60):
                yield await peer.answer()


def assert_refused_well(answer: Answer | None, statuses: frozenset[int] = frozenset(range(400, 500))) -> None:
    """An answer, if there is one, has one of `statuses` and reveals no internals."""
    if answer is not None:
        assert answer.status in statuses, answer
        for word in (b"Traceback", b'File "', b".py", b"Error("):
            assert word not in answer.body, answer
