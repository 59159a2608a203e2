"""An answer without a body has no header that describes one: every refusal to HEAD, every 204 and 304."""

from __future__ import annotations

from typing import Any

import pytest

from retain.api.cli.assemble import interfaces
from retain.api.config.load import Config
from retain.api.http.message import Mounted, Response, plain_error
from retain.api.server.app import App, create_app
from retain.engine.testing import open_memory_engine
from tests.kit.serving import ECHO, connected, serving

DESCRIBING = {
    "content-type",
    "content-length",
    "content-encoding",
    "content-language",
    "content-disposition",
    "content-md5",
}

REFUSED = [
    ("/tenant/recordings/x", 401),  # blobs: no credentials
    ("/tenant/recordings/x?sv=2020-02-10&sr=c&sig=x", 403),
    ("/tenant/%ff", 400),
    ("/genesys/1/storage/unknown", 404),  # areas
    ("/genesys/nothing", 404),
    ("/mobileservices/Storage/v1/runtime/application/app/global/x", 401),  # settings
    ("/nothing", 404),  # no interface
    ("/%ff", 400),
]


async def head(app: App, target: str, headers: list[tuple[bytes, bytes]]) -> tuple[int, set[str]]:
    """The status and the names of the headers of the answer to HEAD; the server drops a body."""
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "method": "HEAD",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", b"localhost"), *headers],
        "client": ("127.0.0.1", 4000),
        "server": ("127.0.0.1", 8080),
        "http_version": "1.1",
        "asgi": {"spec_version": "2.3"},
        "root_path": "",
        "extensions": {},
    }
    messages = [{"type": "http.request", "body": b"", "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = sent[0]
    names = {name.decode().lower() for name, _ in start["headers"]}
    return start["status"], names


@pytest.mark.parametrize(("target", "status"), REFUSED)
async def test_a_refused_head_describes_no_body(target: str, status: int) -> None:
    async with open_memory_engine() as engine:
        config = Config()
        app = create_app(engine, config, interfaces(engine, config, {"tenant": (b"key",)}.get))
        found, names = await head(app, target, [])
        assert (found, names & DESCRIBING) == (status, set())


async def test_head_refused_before_any_interface_sees_it_describes_no_body() -> None:
    async with open_memory_engine() as engine:
        app = create_app(engine, Config(), interfaces(engine, Config(), {}.get))
        for headers, status in (
            ([(b"x", b"1")] * 200, 431),
            ([(b"expect", b"magic")], 417),
            ([(b"content-length", b"x")], 400),
        ):
            for target in ("/genesys/1/storage/x", "/healthz"):
                found, names = await head(app, target, headers)
                assert (found, names & DESCRIBING) == (status, set())


async def test_a_head_that_succeeds_describes_what_get_would_bring() -> None:
    async with open_memory_engine() as engine:
        app = create_app(engine, Config())
        for target in ("/", "/healthz"):
            status, names = await head(app, target, [])
            assert status == 200
            assert {"content-type", "content-length"} <= names


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_never_has_a_body_describes_none(status: int) -> None:
    async def handle(_request: object) -> Response:
        return Response(status, [("Content-Type", "text/plain"), ("ETag", '"1"')], length=5)

    interface = Mounted(name="bare", handle=handle, error=plain_error, prefixes=("bare",))
    async with serving(interfaces=[interface]) as served, connected(served.port) as peer:
        await peer.send(b"GET /bare HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await peer.answer()
        assert answer.status == status
        assert answer.header("ETag") == '"1"'
        assert not any(answer.header(name) for name in DESCRIBING)


async def test_a_connection_goes_on_after_a_refused_head() -> None:
    async with serving(interfaces=[ECHO]) as served, connected(served.port) as peer:
        for _ in range(2):
            await peer.send(b"HEAD /echo/fault HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = await peer.answer(head_only=True)
            assert answer.status == 500
            assert not any(answer.header(name) for name in DESCRIBING)
        await peer.send(b"GET /echo/x HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await peer.answer()).body == b'["echo","x"]'
