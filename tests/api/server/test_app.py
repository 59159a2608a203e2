"""What every request meets before any interface: weak defaults closed, faults that tell nothing."""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing
from quart import Blueprint
from quart import request as quart_request

from retain.api.cli.assemble import interfaces
from retain.api.config.load import (
    AreasConfig,
    Config,
    LogConfig,
    OperationsConfig,
    ServerConfig,
    SettingsConfig,
)
from retain.api.http.message import Message, Mounted, Request, Response, plain_error
from retain.api.refusals import worded
from retain.api.server.app import create_app
from retain.engine import NotFound
from retain.engine.testing import open_memory_engine
from tests.kit.serving import CLOSED, ECHO, connected, eventually, exchange, serving

HOST = b"Host: localhost\r\n"


def head(method: str, target: str, *lines: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/{version}", "Host: localhost", *lines, "", ""]).encode(
        "latin-1"
    )


async def ask(port: int, data: bytes, *, head_only: bool = False) -> tuple[int, bytes, bytes]:
    async with connected(port) as peer:
        await peer.send(data)
        answer = await peer.answer(head_only=head_only)
        return answer.status, answer.head, answer.body


async def test_a_request_reaches_its_interface_with_raw_names_and_case_is_kept() -> None:
    async with serving() as served:
        status, lines, body = await ask(served.port, head("GET", "/echo/a%2Fb//%252F"))
        assert (status, json.loads(body)) == (200, ["echo", "a/b", "", "%2F"])
        assert b"HTTP/1.1 200 OK\r\n" in lines
        assert b"\r\nX-Case-Kept: yes\r\n" in lines
        assert b"\r\nDate: " in lines
        assert b"server:" not in lines.lower()
        status, _, body = await ask(served.port, head("GET", "/%65cho/x"))
        assert (status, json.loads(body)) == (200, ["echo", "x"])
        status, _, _ = await ask(served.port, head("GET", "http://elsewhere.example/echo/x"))
        assert status == 200


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (head("POST", "/echo/read", "Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
        (head("POST", "/echo/read", "Transfer-Encoding: chunked", "Content-Length: 3") + b"0\r\n\r\n", 400),
        (head("POST", "/echo/read", "Content-Length: 3", "Content-Length: 4") + b"abc", 400),
        (head("POST", "/echo/read", "Content-Length: -3") + b"abc", 400),
        (head("POST", "/echo/read", "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", 501),
        (head("POST", "/echo/read", "Expect: miracles", "Content-Length: 1") + b"a", 417),
        (head("TRACE", "/echo/x"), 405),
        (head("TRACK", "/echo/x"), 405),
        (head("CONNECT", "localhost:1"), 405),
        (head("GET", "/echo/x", version="2.0"), 505),
        (head("GET", "/%ff/x"), 400),
        (head("GET", "/nothing/%ff"), 400),
        (b"GET /echo/x HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET /echo/x HTTP/1.1\r\nHost: evil/..\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a..b\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: .a\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: " + b"a" * 64 + b"\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: " + b"a." * 140 + b"\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a:b\r\n\r\n", 400),
        (b"GET /echo/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /echo/x HTTP/1.1\r\n\r\n", 400),
        (b"GET http://evil<>/echo/x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (head("GET", "/echo/x", *[f"X-{n}: 1" for n in range(100)]), 431),
        (head("GET", "/echo/x", *[f"X-{n}: {'y' * 700}" for n in range(50)]), 431),
        (head("GET", "/echo/x", f"X: {'y' * 65536}"), 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /echo/x\r\n\r\n", 400),
    ],
)
async def test_what_is_wrong_with_any_request_is_refused(data: bytes, status: int) -> None:
    async with serving() as served:
        got, lines, body = await ask(served.port, data)
        assert got == status
        assert b"Traceback" not in body
        assert b"connection: close" in lines.lower()


@pytest.mark.parametrize("target", ["/echo/%00", "/echo/%ff", "/echo/%zz", "/echo/x/%C0%AF"])
async def test_a_name_that_cannot_be_is_refused_by_the_interface_in_its_own_words(target: str) -> None:
    async with serving() as served, connected(served.port) as peer:
        await peer.send(head("GET", target))
        assert (await peer.answer()).status == 400
        await peer.send(head("GET", "/echo/x"))
        assert (await peer.answer()).status == 200


@pytest.mark.parametrize(
    "target", ["//evil.example/x", "//", "/echo//..", "/healthz/", "/nothing//x", "/metrics//"]
)
async def test_no_redirect_is_ever_made_and_host_is_never_repeated(target: str) -> None:
    async with serving() as served:
        data = f"GET {target} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".encode()
        answer = await exchange(served.port, data)
        assert int(answer.split(b" ", 2)[1]) in (200, 404)
        assert b"location" not in answer.lower()
        assert b"evil" not in answer


@pytest.mark.parametrize("host", ["", "localhost.", "a-b_c.example:80", "[::1]:8080", "127.0.0.1:", "A" * 63])
async def test_every_host_that_can_be_is_served(host: str) -> None:
    async with serving() as served:
        for target in ("/echo/x", "/healthz"):
            data = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
            assert (await exchange(served.port, data)).startswith(b"HTTP/1.1 200 OK")


async def test_http_1_0_is_served() -> None:
    async with serving() as served:
        answer = await exchange(served.port, b"GET /echo/x HTTP/1.0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b'["echo","x"]')


async def test_head_has_the_length_and_no_body() -> None:
    async with serving() as served, connected(served.port) as peer:
        await peer.send(head("HEAD", "/echo/x") + head("GET", "/echo/x"))
        first = await peer.answer(head_only=True)
        assert first.header("Content-Length") == "12"
        assert (await peer.answer()).body == b'["echo","x"]'


async def test_a_body_whose_head_cannot_be_sent_is_closed() -> None:
    CLOSED.clear()
    async with serving() as served:
        status, _, _ = await ask(served.port, head("GET", "/echo/split-stream"))
        assert status == 500
    assert CLOSED == ["closing"]


CLOSING = "Connection: close"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (head("POST", "/echo/read", "Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
        (head("POST", "/echo/read", CLOSING, "Content-Length: 3") + b"a=b", 200),
        (head("GET", "/echo/slow", CLOSING), 200),
        (head("GET", "/echo/big/300000", CLOSING), 200),
        (head("TRACE", "/echo/x"), 405),
    ],
)
@pytest.mark.parametrize("rest", [b"\r\n", head("GET", "/healthz"), b"x" * 70_000])
async def test_what_follows_the_last_request_does_not_cost_its_answer(
    data: bytes, status: int, rest: bytes
) -> None:
    async with serving() as served:
        for together in (True, False) * 3:
            async with connected(served.port) as peer:
                await peer.send(data + rest if together else data)
                if not together:
                    await peer.send(rest)
                answer = await peer.answer()
                assert answer.status == status
                assert answer.header("connection") == "close"


async def test_a_connection_serves_many_requests_also_pipelined() -> None:
    async with serving() as served, connected(served.port) as peer:
        await peer.send(b"".join(head("GET", f"/echo/{n}") for n in range(50)))
        assert [json.loads((await peer.answer()).body)[1] for _ in range(50)] == [str(n) for n in range(50)]


async def test_a_small_unread_body_does_not_cost_the_connection() -> None:
    async with serving() as served, connected(served.port) as peer:
        await peer.send(
            head("POST", "/echo/x", "Content-Length: 1000") + b"y" * 1000 + head("GET", "/echo/z")
        )
        assert (await peer.answer()).status == 200
        assert json.loads((await peer.answer()).body) == ["echo", "z"]


async def test_pages_get_a_body_where_their_package_says_that_they_read_one() -> None:
    pages = Blueprint("pages", "pages")

    @pages.post("/<part>")
    async def told(part: str) -> str:
        return f"{part}: {len(await quart_request.get_data())}"

    body = b"y" * 1000
    async with (
        serving(pages=[lambda: pages], read_under=["forms"]) as served,
        connected(served.port) as peer,
    ):
        for part, length in (("forms", 1000), ("other", 0), ("forms", 1000)):
            await peer.send(head("POST", f"/{part}", "Content-Length: 1000") + body)
            assert (await peer.answer()).body == b"%s: %d" % (part.encode(), length)


@pytest.mark.parametrize("length", [8 << 20, 20 << 30])
async def test_a_long_unread_body_is_answered_at_once_and_the_answer_arrives(length: int) -> None:
    async with serving() as served, connected(served.port) as peer:
        await peer.send(head("POST", "/echo/limited", f"Content-Length: {length}") + b"y" * (2 << 20))
        answer = await peer.answer()
        assert answer.status == 413
        assert answer.header("Connection") == "close"
        assert await peer.rest() == b""


async def test_a_chunked_body_without_end_is_answered_at_its_limit() -> None:
    async with serving() as served, connected(served.port) as peer:
        await peer.send(head("POST", "/echo/limited", "Transfer-Encoding: chunked"))
        await peer.send(b"400\r\n" + b"y" * 1024 + b"\r\n")
        assert (await peer.answer()).status == 413


async def test_the_client_is_asked_for_the_body_only_if_it_is_read() -> None:
    async with serving() as served:
        async with connected(served.port) as peer:
            await peer.send(head("POST", "/echo/limited", "Expect: 100-continue", "Content-Length: 5000"))
            answer = await peer.answer()
            assert (answer.status, b" 100 " in answer.head) == (413, False)
        async with connected(served.port) as peer:
            await peer.send(head("POST", "/echo/limited", "Expect: 100-continue", "Content-Length: 3"))
            await trio.testing.wait_all_tasks_blocked(0.05)
            await peer.send(b"abc")
            answer = await peer.answer()
            assert (answer.status, b" 100 " in answer.head, answer.body) == (200, True, b"3")


async def test_a_client_that_sends_its_body_unasked_is_not_asked_for_it() -> None:
    async with serving() as served, connected(served.port) as peer:
        await peer.send(head("POST", "/echo/read", "Expect: 100-continue", "Content-Length: 3") + b"abc")
        answer = await peer.answer()
        assert (answer.status, b" 100 " in answer.head, answer.body) == (200, False, b"3")


async def test_where_no_interface_is_the_body_is_asked_for_and_the_connection_goes_on() -> None:
    async with serving() as served, connected(served.port) as peer:
        await peer.send(head("POST", "/nothing", "Expect: 100-continue", "Content-Length: 3"))
        assert (await peer.stream.receive_some(1000)).startswith(b"HTTP/1.1 100 ")
        await peer.send(b"abc" + head("GET", "/echo/a"))
        assert [(await peer.answer()).status for _ in range(2)] == [404, 200]


@pytest.mark.parametrize("length", [2, 4])
async def test_an_answer_of_another_length_than_announced_is_cut_and_logged(
    length: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of ours, and never the beginning of another answer."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"

    async def wrong(request: Request) -> Response:
        return Response(200, [], pieces(), length=length)

    interface = Mounted(name="wrong", handle=wrong, error=plain_error, prefixes=("wrong",))
    async with serving(interfaces=[interface]) as served:
        answer = await exchange(served.port, head("GET", "/wrong") * 2)
        assert answer.count(b"HTTP/1.1 ") == answer.count(b"200 OK") <= 1
        assert not answer.endswith(b"abc") or length == 4
        assert (await ask(served.port, head("GET", "/healthz")))[0] == 200
    assert [record.levelname for record in caplog.records if record.name == "retain.http"] == ["ERROR"]


@pytest.mark.parametrize("target", ["/echo/fault", "/echo/split"])
async def test_a_fault_of_ours_tells_an_id_and_nothing_else(
    target: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as served:
        status, lines, body = await ask(served.port, head("GET", target))
        assert status == 500
        assert b"secret" not in body
        assert b"Set-Cookie" not in lines
        log_id = body.decode().split()[-1]
        record = next(record for record in caplog.records if record.exc_info)
        assert getattr(record, "facts", None) == {"id": log_id}


async def test_an_engine_error_is_worded_by_the_interface() -> None:
    def word(request: Request, error: Exception) -> Response:
        return Response.json(410, [type(error).__name__, str(error)])

    async def refuse(request: Request) -> Response:
        async with trio.open_nursery():
            raise NotFound("gone")

    async with serving(interfaces=[Mounted(name="x", handle=refuse, error=word, prefixes=("x",))]) as served:
        status, _, body = await ask(served.port, head("GET", "/x"))
        assert (status, json.loads(body)) == (410, ["NotFound", "gone"])


@pytest.mark.parametrize(
    ("errors", "status"),
    [
        ([OSError(errno.EMFILE, "x"), OSError(errno.EMFILE, "y")], 503),
        ([NotFound("gone"), OSError(errno.ENOMEM, "x")], 503),
        ([NotFound("gone"), NotFound("gone")], 404),
        ([ValueError("secret"), NotFound("gone")], 500),
        ([NotFound("gone"), ValueError("secret")], 500),
    ],
)
async def test_errors_of_several_tasks_are_answered_like_one(
    errors: list[Exception], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    def word(request: Request, error: Exception) -> Response:
        return Response(worded(error)[0], [], b"")

    async def fail(error: Exception, together: trio.Event) -> None:
        with trio.CancelScope(shield=True):
            await together.wait()
        raise error

    async def refuse(request: Request) -> Response:
        together = trio.Event()
        async with trio.open_nursery() as outer, trio.open_nursery() as nursery:
            for error in errors:
                nursery.start_soon(fail, error, together)
            outer.start_soon(trio.lowlevel.checkpoint)
            together.set()
        raise AssertionError

    async with serving(interfaces=[Mounted(name="x", handle=refuse, error=word, prefixes=("x",))]) as served:
        assert (await ask(served.port, head("GET", "/x")))[0] == status
    assert ("secret" in caplog.text) == (status == 500)


async def test_a_client_that_goes_away_ends_a_streaming_answer() -> None:
    CLOSED.clear()
    async with serving() as served:
        async with connected(served.port) as peer:
            await peer.send(head("GET", "/echo/endless"))
            assert await peer.stream.receive_some(1000)
        await eventually(lambda: CLOSED == ["endless"])


async def test_an_answer_that_breaks_midway_is_cut_short_not_completed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as served:
        answer = await exchange(served.port, head("GET", "/echo/breaks"))
        assert b"first" in answer
        assert not answer.endswith(b"0\r\n\r\n")
        assert "secret" not in answer.decode()


async def test_the_host_suffix_wins_over_the_path() -> None:
    async def hosted(request: Request) -> Response:
        return Response.text(200, "hosted")

    hosting = Mounted(name="h", handle=hosted, error=plain_error, host_suffixes=(".blob.example",))
    claimed = Mounted(name="c", handle=hosted, error=plain_error, claims=lambda first: first == "acct")
    async with serving(interfaces=[hosting, claimed]) as served:
        for host, target, expected in [
            ("a.BLOB.example:8080", "/healthz", 200),
            ("blob.example", "/healthz", 200),
            ("blob.example", "/acct/x", 200),
            ("blob.example", "/other/x", 404),
        ]:
            data = f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
            status, _, body = await ask(served.port, data)
            assert status == expected
            assert (body == b"hosted") == (host.startswith("a.") or "acct" in target)


async def test_an_empty_line_before_a_request_is_passed_over() -> None:
    """RFC 9112 section 2.2: old clients send one after a body."""
    blank = b"\r\n"
    async with serving() as served, connected(served.port) as peer:
        await peer.send(blank + head("GET", "/echo/a"))
        assert (await peer.answer()).status == 200
        await peer.send(head("POST", "/echo/read", "Content-Length: 4") + b"body" + blank)
        assert (await peer.answer()).status == 200
        await peer.send(blank)
        await peer.send(b"GET /echo/b HTTP/1.1")
        await trio.testing.wait_all_tasks_blocked(0.05)
        await peer.send(b"\r\nHost: a\r\n\r\n")
        assert (await peer.answer()).status == 200
        await peer.send(blank * 1000)
        assert (await peer.answer()).status == 400


async def test_a_client_that_leaves_inside_its_body_is_nobodys_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as served:
        async with connected(served.port) as peer:
            await peer.send(head("POST", "/echo/read", "Content-Length: 1000") + b"half")
        labels = {"interface": "echo", "method": "POST", "status": "0"}
        value = served.app.counters.registry.get_sample_value
        await eventually(lambda: value("retain_http_requests_total", labels) == 1)
    assert [record for record in caplog.records if record.name.startswith("retain")] == []


async def test_the_pages_are_made_once_however_many_ask_for_them_first() -> None:
    async with open_memory_engine() as engine, trio.open_nursery() as nursery:
        app = create_app(engine, Config())
        made: list[object] = []

        async def ask_for_them() -> None:
            made.append(await app.pages())

        for _ in range(3):
            nursery.start_soon(ask_for_them)
    assert len(made) == 3
    assert len(set(map(id, made))) == 1


async def test_the_configuration_says_which_interfaces_there_are() -> None:
    async with open_memory_engine() as engine:
        names = [interface.name for interface in interfaces(engine, Config(), {}.get)]
        assert names == ["areas", "settings", "blobs"]
        without = Config(areas=AreasConfig(enabled=False), settings=SettingsConfig(enabled=False))
        assert [interface.name for interface in interfaces(engine, without, {}.get)] == ["blobs"]
        assert {interface.name for interface in create_app(engine, without).interfaces} == {
            "landing",
            "documentation",
        }
        pages = Blueprint("pages", "pages")
        app = create_app(engine, without, [ECHO], pages=[lambda: pages])
        assert app.interfaces[0] is ECHO
        assert "pages" in (await app.pages()).blueprints


async def test_a_websocket_scope_is_closed() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing is to be received")

    async with open_memory_engine() as engine:
        await create_app(engine, Config())({"type": "websocket"}, receive, send)
    assert sent == [{"type": "websocket.close"}]


async def test_a_websocket_is_not_opened() -> None:
    upgrade = (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: eA==",
    )
    async with serving() as served:
        status, _, _ = await ask(served.port, head("GET", "/echo/x", *upgrade))
        assert status == 200
        status, _, _ = await ask(served.port, head("GET", "/echo/x", "Connection: Upgrade", "Upgrade: h2c"))
        assert status == 200


async def test_metrics_are_for_listed_addresses_only() -> None:
    config = Config(
        server=ServerConfig(bind="127.0.0.1:0", trusted_proxies=("127.0.0.1",)),
        operations=OperationsConfig(),
    )
    async with serving(config=config) as served:
        assert (await ask(served.port, head("GET", "/metrics")))[0] == 200
        assert (await ask(served.port, head("GET", "/metrics", "X-Forwarded-For: 192.0.2.1")))[0] == 403


async def test_each_request_is_logged_without_what_it_carries(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "retain.requests")
    config = Config(server=ServerConfig(bind="127.0.0.1:0"), log=LogConfig(requests=True))
    async with serving(config=config) as served:
        await ask(served.port, head("GET", "/echo/private-name?sig=private", "Authorization: Basic private"))
    facts = [record.__dict__["facts"] for record in caplog.records if record.name == "retain.requests"]
    assert facts
    assert facts[0].items() >= {"method": "GET", "interface": "echo", "status": 200}.items()
    assert "private" not in str(
        [record.__dict__ for record in caplog.records if record.name.startswith("retain")]
    )
