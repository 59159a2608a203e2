"""Traces: a span for each request, without names; nothing at all where they are off."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from retain.api.cli import assemble
from retain.api.config.load import Config, ConfigError, OperationsConfig, ServerConfig
from retain.api.http.message import Mounted, Request, Response, plain_error
from tests.kit.serving import exchange, serving

WANTED = OperationsConfig(traces_url="http://127.0.0.1:9/v1/traces")


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes what an OpenTelemetry collector takes."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append((self.path, self.headers.get("Content-Encoding"), body))  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def collecting() -> Iterator[tuple[str, list[tuple[str, str | None, bytes]]]]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    server.bodies = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", server.bodies  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def answer(request: Request) -> Response:
    """As an interface does."""
    request.operation, request.id = "Put Blob", "id-1"
    return Response(
        503 if request.raw_path.endswith(b"/fails") else 201, [("Content-Type", "text/plain")], b""
    )


async def test_each_request_is_a_span_that_continues_its_callers_trace() -> None:
    pytest.importorskip("opentelemetry.sdk", reason="pip install '.[otel]'")
    proto = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    interface = Mounted(name="x", handle=answer, error=plain_error, prefixes=("x",))
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with collecting() as (url, bodies):
        config = Config(server=ServerConfig(bind="127.0.0.1:0"), operations=OperationsConfig(traces_url=url))
        async with serving(interfaces=[interface], config=config) as served:
            for target, extra in (
                ("/x/secret-name?sig=secret", f"traceparent: 00-{trace}-{parent}-01\r\n"),
                ("/x/fails", "traceparent: nonsense\r\n"),
            ):
                head = f"PUT {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
                text = f"{head}{extra}Connection: close\r\n\r\n"
                await exchange(served.port, text.encode())
    spans = []
    for path, _, body in bodies:
        assert path == "/v1/traces"
        assert b"secret" not in body
        assert b"127.0.0.1" not in body
        for resource in proto.ExportTraceServiceRequest.FromString(body).resource_spans:
            spans += [span for scope in resource.scope_spans for span in scope.spans]
    first, second = sorted(spans, key=lambda span: span.start_time_unix_nano)
    facts = {one.key: one.value.string_value or one.value.int_value for one in first.attributes}
    assert first.name == "x Put Blob"
    assert (first.trace_id.hex(), first.parent_span_id.hex()) == (trace, parent)
    assert facts == {
        "http.request.method": "PUT",
        "http.response.status_code": 201,
        "network.protocol.version": "1.1",
        "retain.interface": "x",
        "retain.operation": "Put Blob",
        "retain.request_id": "id-1",
    }
    assert first.end_time_unix_nano >= first.start_time_unix_nano
    assert second.parent_span_id == b""
    assert (first.status.code, second.status.code) == (0, 2)


def test_without_traces_nothing_of_it_is_imported() -> None:
    program = (
        "import sys, trio\n"
        "from retain.api.cli import assemble\n"
        "from retain.api.config.load import Config\n"
        "from retain.api.server.app import create_app\n"
        "from retain.engine.testing import open_memory_engine\n"
        "async def main():\n"
        "    async with open_memory_engine() as engine:\n"
        "        app = create_app(engine, Config())\n"
        "        await app.pages()\n"
        "        print(app.traces, [name for name in sys.modules if name.startswith('opentelemetry')])\n"
        "trio.run(main)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "None []\n"


def test_traces_without_their_packages_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assemble.check_traces(Config())
    monkeypatch.setattr(assemble, "missing", lambda: True)
    assemble.check_traces(Config())
    with pytest.raises(ConfigError, match=r"pip install 'retain\[otel\]'"):
        assemble.check_traces(Config(operations=WANTED))
