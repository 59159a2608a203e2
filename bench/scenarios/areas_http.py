"""Areas over HTTP, beside handlers that do nothing and beside Redis that syncs each write."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from retain.bench.load import Load
from retain.bench.load import measure as ask
from retain.bench.load.requests import Client, request
from retain.bench.peers import servers
from retain.bench.result import RunResult
from retain.bench.scenario import Case, RunSettings, Scenario, in_rounds, processors

FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
BODY: Final = b"Key1=Value1&Key2=Value2&Key3=Value3"
PREPARED: Final = 1000

EMPTY, BARE, REDIS = "empty Quart-Trio handler", "bare ASGI callable", "Redis, always synced"


def measure(settings: RunSettings, result: RunResult) -> None:
    """Measure queries and durable creations."""
    ours, theirs = processors()
    cases: dict[tuple[str, str], Case] = {}

    def case(name: str, server: str, at: tuple[int, int], requests: list[bytes]) -> None:
        load = Load(
            at[0],
            requests,
            200,
            settings.connections,
            settings.seconds,
            pid=at[1],
            processor=theirs,
            seed=settings.seed,
        )
        cases[name, server] = lambda: ask(load)

    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        configuration = folder / "retain.toml"
        configuration.write_text("")
        at = stack.enter_context(
            servers.retain(folder / "data", configuration, ours, checkout=settings.checkout)
        )
        client = stack.enter_context(Client(at[0]))
        ids = [
            json.loads(client.send("POST", "/genesys/1/storage/36000", BODY, FORM))["id"]
            for _ in range(PREPARED)
        ]
        case("query all", "retain", at, [request("GET", f"/genesys/1/storage/{one}") for one in ids])
        case("query one", "retain", at, [request("GET", f"/genesys/1/storage/{one}/Key1") for one in ids])
        case("create", "retain", at, [request("POST", "/genesys/1/storage/3600", BODY, FORM)])
        if settings.with_peers:
            empty = stack.enter_context(servers.empty_handler(ours))
            case("GET", EMPTY, empty, [request("GET", "/")])
            case("POST", EMPTY, empty, [request("POST", "/", BODY, FORM)])
            case("GET", BARE, stack.enter_context(servers.bare_callable(ours)), [request("GET", "/")])
            try:
                redis = stack.enter_context(servers.webdis(folder / "redis", ours))
            except RuntimeError as error:
                result.notes.append(str(error))
            else:
                stack.enter_context(Client(redis[0])).send("GET", "/SET/held/value")
                case("GET", REDIS, redis, [request("GET", "/GET/held")])
                case(
                    "SET",
                    REDIS,
                    redis,
                    [request("GET", f"/SET/held{n}/{'x' * 64}") for n in range(PREPARED)],
                )
        in_rounds(settings, result, cases)
    if settings.with_peers:
        _compared(result)


def _compared(result: RunResult) -> None:
    query, create = result.row("query all"), result.row("create")
    result.ratio("query all / empty GET", query, result.row("GET", EMPTY), goal=8)
    result.ratio("query one / empty GET", result.row("query one"), result.row("GET", EMPTY), goal=8)
    result.ratio("create / empty POST", create, result.row("POST", EMPTY), goal=2.5)
    result.ratio("query all / bare callable", query, result.row("GET", BARE))
    if any(row.server == REDIS for row in result.rows):
        result.ratio("query all / Redis GET", query, result.row("GET", REDIS))
        result.ratio("create / Redis SET", create, result.row("SET", REDIS))


SCENARIO = Scenario(
    "areas-http",
    "The areas interface: queries and durable creations.",
    measure,
    ("an empty handler", "a bare callable", "Redis behind webdis"),
    over_http=True,
)
