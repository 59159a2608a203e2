"""Health, readiness, metrics."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
from quart import Blueprint
from trio.testing import MockClock

from retain.api.config.load import Config, OperationsConfig, ServerConfig
from retain.api.server.app import create_app
from retain.api.web.readiness import OVERDUE_ALARM_S, OVERDUE_WARNING_S, readiness, watch_readiness
from retain.engine import Statistics
from retain.engine.core.clock import BEHIND, ClockState
from retain.engine.testing import open_memory_engine
from tests.kit.serving import exchange, serving

WELL = Statistics(
    seq=5, durable=5, waiting=0, deadlines=3, overdue_ns=0, full=False, failure="", payload_files=1
)


async def test_changes_of_readiness_are_logged_and_told(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []
    states = [
        WELL,
        WELL,
        replace(WELL, full=True),
        replace(WELL, full=True),
        replace(WELL, failure="EIO"),
        WELL,
    ]
    with caplog.at_level("INFO"), trio.move_on_after(5.5):
        await watch_readiness(lambda: states.pop(0), told.append)
    assert [word.partition(";")[0] for word in told] == ["degraded: the disk is full", "storage failed", "ok"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR", "INFO"]
    assert [record.facts["ready"] for record in caplog.records] == [True, False, True]  # type: ignore[attr-defined]


async def test_a_node_that_starts_or_waits_is_no_error(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Each start of a node begins so; what an operator is called for is that others do not lead either."""
    states = [
        replace(WELL, standby="this node has just started"),
        replace(WELL, standby="it waits for the leader, node n1"),
        WELL,
        replace(WELL, standby="the leader, node n1, does not answer"),
        replace(WELL, failure="EIO"),
    ]
    with caplog.at_level("INFO"), trio.move_on_after(4.5):
        await watch_readiness(lambda: states.pop(0), lambda why: None)
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO", "INFO", "WARNING", "ERROR"]


@pytest.mark.parametrize(
    ("statistics", "ready", "word"),
    [
        (WELL, True, "ok"),
        (replace(WELL, full=True), True, "disk is full"),
        (replace(WELL, overdue_ns=(OVERDUE_WARNING_S + 1) * 10**9), True, "hour behind"),
        (replace(WELL, overdue_ns=(OVERDUE_ALARM_S + 1) * 10**9), False, "12 hours"),
        (replace(WELL, erasure_lag_ns=(OVERDUE_WARNING_S + 1) * 10**9), True, "erasure is more than an hour"),
        (replace(WELL, erasure_lag_ns=(OVERDUE_ALARM_S + 1) * 10**9), False, "erasure is more than 12 hours"),
        (replace(WELL, clock=ClockState(0, 2 * 10**9, 10**9)), True, "degraded: the clock jumped ahead"),
        (replace(WELL, clock=ClockState(BEHIND + 1, 0, 0)), True, "degraded: the clock is behind"),
        (replace(WELL, clock=ClockState(BEHIND, 0, 0)), True, "ok"),
        (replace(WELL, records_ahead_ns=BEHIND + 1), True, "degraded: the journal's last record"),
        (replace(WELL, apart_ns=BEHIND + 1), True, "degraded: the clock differs from the leader's"),
        (replace(WELL, apart_ns=-BEHIND - 1), True, "degraded: the clock differs from the leader's"),
        (replace(WELL, apart_ns=-BEHIND), True, "ok"),
        (replace(WELL, payloads_lost=1), True, "degraded: 1 body is lost; `retain journal lost` lists"),
        (replace(WELL, payloads_lost=2), True, "degraded: 2 bodies are lost"),
        (replace(WELL, failure="fdatasync: EIO"), False, "storage failed"),
    ],
)
def test_readiness_tells_what_is_wrong(statistics: Statistics, ready: bool, word: str) -> None:
    assert readiness(statistics)[0] is ready
    assert word in readiness(statistics)[1]


def test_readiness_does_not_repeat_the_systems_words() -> None:
    assert "EIO" not in readiness(replace(WELL, failure="fdatasync: EIO /secret/path"))[1]


async def get(port: int, target: str, method: str = "GET") -> bytes:
    return await exchange(
        port, f"{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    )


async def test_health_and_readiness_answer() -> None:
    async with serving() as served:
        for target in ("/healthz", "/readyz"):
            answer = await get(served.port, target)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(b"ok\n")
            assert b"no-store" in answer
            assert (await get(served.port, target, "HEAD")).endswith(b"\r\n\r\n")
            assert (await get(served.port, target, "DELETE")).startswith(b"HTTP/1.1 405 ")


async def test_metrics_count_requests_and_show_the_engine() -> None:
    async with serving() as served:
        await get(served.port, "/echo/a")
        await get(served.port, "/echo/a", "BREW")
        text = (await get(served.port, "/metrics")).decode()
        assert 'retain_http_requests_total{interface="echo",method="GET",status="200"} 1.0' in text
        assert 'retain_http_requests_total{interface="echo",method="other",status="200"} 1.0' in text
        assert "retain_journal_sequence 0.0" in text
        assert "retain_http_connections 1.0" in text


async def test_metrics_can_be_switched_off() -> None:
    config = Config(server=ServerConfig(bind="127.0.0.1:0"), operations=OperationsConfig(metrics=False))
    async with serving(config=config) as served:
        assert (await get(served.port, "/metrics")).startswith(b"HTTP/1.1 404 ")
        assert (await get(served.port, "/healthz")).startswith(b"HTTP/1.1 200 ")


async def test_a_page_with_a_fault_tells_nothing_and_logs_it(caplog: pytest.LogCaptureFixture) -> None:
    page = Blueprint("faulty", __name__)

    @page.get("/faulty")
    async def faulty() -> str:
        raise RuntimeError("a secret value")

    async with open_memory_engine() as engine:
        app = await create_app(engine, Config(), pages=[lambda: page]).pages()
        answer = await app.test_client().get("/faulty")
        assert (answer.status_code, await answer.get_data()) == (500, b"Internal Server Error\n")
        assert answer.headers["Cache-Control"] == "no-store"
    [record] = [record for record in caplog.records if record.name == "retain.http"]
    assert record.exc_info
