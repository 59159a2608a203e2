"""The log's events of requests: slow ones, and all of them where that is wanted."""

from __future__ import annotations

import pytest

from retain.api.config.load import Config, LogConfig, ServerConfig
from retain.api.http.message import Mounted, Request, Response, plain_error
from retain.engine import Engine
from tests.engine.persons.test_find import Store
from tests.kit.serving import exchange, serving


async def answer(request: Request) -> Response:
    """As the interfaces do: say what was asked for."""
    request.operation = "Put Blob"
    request.waits = request.raw_path.endswith(b"/wait")
    return Response(201, [("Content-Type", "text/plain")], b"")


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    ("slow_seconds", "requests", "events"),
    [
        (1e-9, False, ["slow request"]),
        (1e-9, True, ["slow request", "request"]),
        (0, True, ["request", "request"]),
        (60, False, []),
        (0, False, []),
    ],
)
async def test_slow_requests_are_logged_unless_they_wait_by_design(
    caplog: pytest.LogCaptureFixture, fast: bool, slow_seconds: float, requests: bool, events: list[str]
) -> None:
    config = Config(
        server=ServerConfig(bind="127.0.0.1:0", fast_http1=fast),
        log=LogConfig(slow_seconds=slow_seconds, requests=requests),
    )
    interface = Mounted(name="x", handle=answer, error=plain_error, prefixes=("x",))
    with caplog.at_level("INFO", "retain.requests"):
        async with serving(interfaces=[interface], config=config) as served:
            for target in "/x/a", "/x/wait":
                await exchange(
                    served.port, f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
                )
            counters = served.app.counters
    logged = [record for record in caplog.records if record.name == "retain.requests"]
    assert [record.getMessage() for record in logged] == events
    for record in logged:
        facts = dict(record.facts)  # type: ignore[attr-defined]
        assert facts.pop("seconds") >= 0
        named = {"method": "GET", "interface": "x", "operation": "Put Blob", "status": 201}
        assert facts == named
    assert counters.totals()["x"].requests == 2


@pytest.mark.parametrize("fast", [True, False])
async def test_a_logged_request_names_the_records_that_it_made(
    caplog: pytest.LogCaptureFixture, fast: bool
) -> None:
    stores: list[Store] = []

    async def change(request: Request) -> Response:
        if request.method == "POST":
            await stores[0].area("cart")
        return Response(200, [("Content-Type", "text/plain")], b"")

    config = Config(
        server=ServerConfig(bind="127.0.0.1:0", fast_http1=fast), log=LogConfig(slow_seconds=0, requests=True)
    )
    interface = Mounted(name="x", handle=change, error=plain_error, prefixes=("x",))
    with caplog.at_level("INFO", "retain.requests"):
        async with serving(interfaces=[interface], config=config) as served:
            assert isinstance(served.app.engine, Engine)
            stores.append(Store(served.app.engine))
            head = "Host: a\r\nContent-Length: 0\r\n"
            text = f"POST /x HTTP/1.1\r\n{head}\r\nGET /x HTTP/1.1\r\n{head}Connection: close\r\n\r\n"
            await exchange(served.port, text.encode())
            last = served.app.engine.state.seq
    facts = [dict(record.facts) for record in caplog.records if record.name == "retain.requests"]  # type: ignore[attr-defined]
    assert [one.get("records") for one in facts] == [f"1-{last}", None]
