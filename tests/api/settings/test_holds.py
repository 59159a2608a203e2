"""No request about a long document holds the event loop: what visits all of it happens in a thread."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trio

from retain.engine.settings import sliced
from retain.engine.settings.ahead import SettingsAhead
from retain.engine.writing.writer import AHEAD_TRIES
from tests.kit.holds import steps_counted
from tests.kit.settings import ROOT, Client, settings_client
from tests.kit.spread import own_event_loop

WIDE = {f"k{number}": {"v": number} for number in range(9_000)}
LONG = {"c": {"x": list(range(40_000))}}
JSON_PATCH = ("Content-Type", "application/json-patch+json")
JSON = ("Content-Type", "application/json")

MOST = 25_000
"""Instructions in one step: half a millisecond. The long documents cost hundreds of thousands to visit."""

REQUESTS: list[tuple[Any, str, str, tuple[str, str], Any]] = [
    (LONG, "PATCH", "global/c", JSON_PATCH, [{"op": "replace", "path": "/x/7", "value": 2}]),
    (LONG, "PATCH", "global", JSON_PATCH, [{"op": "replace", "path": "/c/x/7", "value": 2}]),
    (LONG, "PUT", "global", JSON, LONG),
    (LONG, "POST", "global/c/y", JSON, 7),
    (LONG, "GET", "global", JSON, None),
    (LONG, "GET", "global/c/x", JSON, None),
    (LONG, "GET", "device/d", JSON, None),
    (LONG, "GET", "global?history=9", JSON, None),
    (LONG, "GET", "global?version=1", JSON, None),
    (LONG, "POST", "global?restore=1", JSON, None),
    (WIDE, "GET", "global", JSON, None),
    (WIDE, "GET", "global?keys=true", JSON, None),
    (WIDE, "GET", "device/d", JSON, None),
    (WIDE, "GET", "global?version=1", JSON, None),
    (WIDE, "PATCH", "global", JSON, {"k1": {"v": 5}}),
    (WIDE, "PATCH", "global", JSON, WIDE),
    (WIDE, "PUT", "global", JSON, WIDE),
    (WIDE, "PUT", "device/d", JSON, WIDE),
    (WIDE, "DELETE", "global", JSON, None),
    (None, "POST", "global", JSON, WIDE),
]


@asynccontextmanager
async def holding(document: Any) -> AsyncIterator[Client]:
    async with settings_client() as client:
        if document is not None:
            assert (await client.call("POST", "global", document)).status == 201
            assert (await client.call("PUT", "device/d", {"k1": {"v": 1}, "c": {"z": 1}})).status < 300
        yield client


@own_event_loop
@pytest.mark.parametrize(("document", "method", "tail", "kind", "value"), REQUESTS)
async def test_no_step_is_long(
    document: Any, method: str, tail: str, kind: tuple[str, str], value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b"" if value is None else json.dumps(value, separators=(",", ":")).encode()
    own, in_loop = threading.get_ident(), []
    encode = sliced._encode

    def spy(part: Any) -> str:
        if threading.get_ident() == own:
            in_loop.append(part)
        return encode(part)

    monkeypatch.setattr(sliced, "_encode", spy)
    async with holding(document) as client:
        in_loop.clear()
        with steps_counted() as steps:
            answer = await client.send(method, f"{ROOT}/app/{tail}", [kind] if body else [], body)
        assert answer.status in (200, 201, 204)
        assert steps.longest < MOST
        # Slices of a large value would be short each, but many.
        assert sum(len(part) if isinstance(part, dict | list) else 1 for part in in_loop) < 2_000


@pytest.mark.parametrize("overtakers", [0, 1, 3, 7])
async def test_a_write_decided_ahead_counts_only_if_nothing_changed_meanwhile(
    overtakers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often others are faster: in the end it has the writer alone."""
    async with holding(LONG) as client:
        assert (await client.call("POST", "global/e", {"y": -1})).status == 201
        decide, left = SettingsAhead.decide, overtakers

        async def overtake() -> None:
            assert (await client.call("PUT", "global/e", {"y": left})).status == 204

        def slow(ahead: SettingsAhead, now: int) -> Any:
            nonlocal left
            with suppress(RuntimeError):  # the writer's own thread is none of Trio's: nobody overtakes it
                trio.from_thread.check_cancelled()
                if left > 0:
                    left -= 1
                    trio.from_thread.run(overtake)
            return decide(ahead, now)

        monkeypatch.setattr(SettingsAhead, "decide", slow)
        answer = await client.call(
            "PATCH", "global", {"c": {"z": 1}, "d": {str(at): 1 for at in range(9_000)}}
        )
        assert answer.status == 204
        assert left == max(0, overtakers - AHEAD_TRIES)
        found = (await client.call("GET", "global")).json()
        assert len(found["d"]) == 9_000
        assert found["c"] == {**LONG["c"], "z": 1}
        assert found["e"] == {"y": left if overtakers else -1}


async def test_a_refusal_decided_ahead_changes_nothing() -> None:
    async with holding(LONG) as client:
        before = client.digest()
        patch = [{"op": "test", "path": "/x/7", "value": -1}, {"op": "remove", "path": "/x"}]
        answer = await client.call("PATCH", "global/c", patch, headers=[JSON_PATCH])
        assert answer.status == 412 or answer.status == 409, answer
        assert client.digest() == before
