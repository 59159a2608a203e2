"""Waiting for changes: long polls and streams, woken by the commits that concern them and by no others."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from math import inf
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from retain.api.http.message import Request, Response
from retain.api.identity import Caller, Unauthenticated
from retain.api.settings import stream as stream_module
from retain.api.settings.reads import SettingsReader, Wanted
from retain.api.settings.stream import HEARTBEAT_S
from retain.api.settings.watch import AT_ONCE, Watchers
from retain.engine.settings import Level, Place
from retain.engine.settings.queries import ReadResult
from tests.api.server.test_turns import passes_of
from tests.kit.settings import ANN, BOB, PROXY, ROOT, Client, User, settings_client, whole


@pytest.fixture
def patient_clock() -> MockClock:
    """Time jumps when nothing has happened for a moment: a sync in its thread is no idleness."""
    return MockClock(autojump_threshold=0.05)


def held_request(
    client: Client, target: str, headers: list[tuple[str, str]], user: User = ANN
) -> tuple[Any, Request]:
    """A request whose client stays until told; tells by the memory channel."""
    send, receive = trio.open_memory_channel[dict[str, Any]](1)
    template = client.request("GET", f"{ROOT}/app/{target}", headers, user=user)
    scope = {
        "type": "http", "method": "GET", "scheme": "http", "raw_path": template.raw_path,
        "query_string": template.raw_query, "headers": template.raw_headers, "client": (PROXY, 1),
        "server": ("127.0.0.1", 80), "http_version": "1.1",
    }  # fmt: skip
    return send, Request(scope, receive.receive)


async def poll(client: Client, target: str, tag: str, user: User = ANN) -> Any:
    _, request = held_request(client, target, [("If-None-Match", tag)], user)
    return await whole(await client.settings.handle(request))


@asynccontextmanager
async def polling(client: Client, target: str, tag: str) -> AsyncIterator[list[Any]]:
    """A poll that waits when the block begins, and has its answer when that has ended."""
    answers: list[Any] = []

    async def wait() -> None:
        answers.append(await poll(client, target, tag))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        yield answers


async def put_up(client: Client) -> str:
    await client.call("POST", "global", {"c": {"x": 1}})
    await client.call("POST", "currentuser", {"c": {"y": 1}})
    await client.call("POST", "device/d", {"c": {"z": 1}})
    return (await client.call("GET", "device/d/c")).tag


@pytest.mark.parametrize("level", ["global", "currentuser", "device/d"])
async def test_a_poll_ends_with_the_change_of_any_level_it_shows(client: Client, level: str) -> None:
    tag = await put_up(client)
    async with polling(client, "device/d/c?wait=300", tag) as answers:
        assert len(client.settings.watchers) == 1
        assert (await client.call("PATCH", f"{level}/c", {"new": 7})).status == 204
    assert (answers[0].status, answers[0].json()["new"]) == (200, 7)
    assert len(client.settings.watchers) == 0


async def test_a_poll_without_a_change_ends_with_304_in_time(
    patient_clock: MockClock, client: Client
) -> None:
    tag = await put_up(client)
    start = trio.current_time()
    answer = await poll(client, "device/d/c?wait=60", tag)
    assert (answer.status, answer.body, answer.tag) == (304, b"", tag)
    assert trio.current_time() - start == pytest.approx(60)
    assert len(client.settings.watchers) == 0


async def test_a_longer_wait_is_cut_down(patient_clock: MockClock, client: Client) -> None:
    tag = await put_up(client)
    start = trio.current_time()
    await poll(client, "device/d/c?wait=99999", tag)
    assert trio.current_time() - start == pytest.approx(300)


async def test_other_documents_wake_nobody(client: Client) -> None:
    tag = await put_up(client)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poll, client, "device/d/c?wait=300&overwrite=false", tag)
        nursery.start_soon(poll, client, "device/d/c?wait=300", tag)
        await trio.testing.wait_all_tasks_blocked()
        seen = len(client.settings.watchers)
        for _ in range(3):
            await client.call("PUT", "device/other/c", {}, user=BOB)
            await client.call("PUT", "device/d/c", {}, app="other")
            await client.call("PATCH", "user/bob", {"c": {}}, user=BOB)
        await trio.testing.wait_all_tasks_blocked()
        assert len(client.settings.watchers) == seen
        nursery.cancel_scope.cancel()
    assert len(client.settings.watchers) == 0


async def test_a_poll_that_is_out_of_date_is_answered_at_once(client: Client) -> None:
    await put_up(client)
    assert (await poll(client, "device/d/c?wait=300", '"older"')).status == 200
    _, request = held_request(client, "device/d/c?wait=300", [])
    assert (await client.settings.handle(request)).status == 200


async def test_a_document_that_goes_away_ends_the_poll(client: Client) -> None:
    await client.call("POST", "currentuser", {"c": {"x": 1}})
    tag = (await client.call("GET", "currentuser/c")).tag
    async with polling(client, "currentuser/c?wait=300", tag) as answers:
        await client.call("DELETE", "currentuser")
    assert answers[0].status == 404


async def test_a_client_that_leaves_gives_its_place_back(client: Client) -> None:
    tag = await put_up(client)
    send, request = held_request(client, "device/d/c?wait=300", [("If-None-Match", tag)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.settings.handle, request)
        await trio.testing.wait_all_tasks_blocked()
        assert len(client.settings.watchers) == 1
        await send.send({"type": "http.disconnect"})
    assert len(client.settings.watchers) == 0


async def test_only_so_many_may_wait(patient_clock: MockClock) -> None:
    async with settings_client(max_watchers=3, max_watchers_per_user=2) as client:
        tag = await put_up(client)
        answers: list[int] = []

        async def wait(user: User, tag: str) -> None:
            answers.append((await poll(client, "global/c?wait=100", tag, user)).status)

        tag = (await client.call("GET", "global/c")).tag
        async with trio.open_nursery() as nursery:
            for user in [ANN, ANN, ANN, BOB, BOB]:
                nursery.start_soon(wait, user, tag)
            await trio.sleep(1)
            assert answers == [429, 429]
        assert answers == [429, 429, 304, 304, 304]
        stream = await open_stream(client, "global?watch")
        await stream.body.aclose()


async def test_bad_waits_are_refused(client: Client) -> None:
    await put_up(client)
    for query in ["wait=", "wait=x", "wait=-1", "wait=1.5", "wait=1&wait=2", "wait=99999999999"]:
        assert (await client.call("GET", f"global/c?{query}")).status == 400


class Stream:
    """The events of an open stream, one by one."""

    def __init__(self, response: Response) -> None:
        assert response.status == 200
        assert ("Content-Type", "text/event-stream") in response.headers
        self.body: Any = response.body

    async def next(self) -> dict[str, str]:
        while True:
            chunk = (await anext(self.body)).decode()
            if chunk.startswith("event:"):
                return dict(line.split(": ", 1) for line in chunk.splitlines() if line)


async def open_stream(client: Client, target: str, **headers: str) -> Stream:
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Stream(await client.settings.handle(client.request("GET", f"{ROOT}/app/{target}", pairs)))


async def test_a_stream_begins_with_the_value_and_tells_every_change(client: Client) -> None:
    await put_up(client)
    stream = await open_stream(client, "device/d/c?watch")
    first = await stream.next()
    assert (first["event"], first["data"]) == ("value", '{"x":1,"y":1,"z":1}')
    for level, name in [("global", "x"), ("currentuser", "y"), ("device/d", "z")]:
        written = await client.call("PUT", f"{level}/c/{name}", 2)
        event = await stream.next()
        assert event["data"].count("2") >= 1
        if level == "device/d":
            assert f'"{event["id"]}"' == written.tag
    await stream.body.aclose()
    assert len(client.settings.watchers) == 0


async def test_a_stream_is_written_to_the_letter(client: Client) -> None:
    """WHATWG HTML, section 9.2: a proxy keeps nothing back, and what follows is an event on its own."""
    await put_up(client)
    response = await client.settings.handle(client.request("GET", f"{ROOT}/app/global/c?watch"))
    assert {("Content-Type", "text/event-stream"), ("X-Accel-Buffering", "no")} <= set(response.headers)
    assert ("Cache-Control", "no-cache") in response.headers
    tag = (await client.call("GET", "global/c")).tag.strip('"')
    body: Any = response.body
    assert await anext(body) == b"retry: 2000\n\n"
    assert await anext(body) == f'event: value\nid: {tag}\ndata: {{"x":1}}\n\n'.encode()
    assert (await client.call("DELETE", "global/c")).status == 204
    assert await anext(body) == b"event: gone\nid: 0\ndata: null\n\n"
    await body.aclose()


async def test_a_stream_goes_on_where_it_was(client: Client) -> None:
    await put_up(client)
    tag = (await client.call("GET", "global/c")).tag.strip('"')
    stream = await open_stream(client, "global/c?watch", Last_Event_ID=tag)
    await client.call("PUT", "global/c/x", 9)
    assert (await stream.next())["data"] == '{"x":9}'
    await stream.body.aclose()


async def test_a_stream_does_not_repeat_what_the_client_knows(client: Client) -> None:
    await put_up(client)
    tag = (await client.call("GET", "global/c")).tag.strip('"')
    stream = await open_stream(client, "global/c?watch", Last_Event_ID=tag)
    assert [await anext(stream.body) for _ in range(2)] == [b"retry: 2000\n\n", b":\n\n"]
    await stream.body.aclose()


async def test_a_value_that_stays_away_is_told_once(client: Client) -> None:
    await client.call("POST", "currentuser", {"c": {"x": 1}})
    stream = await open_stream(client, "currentuser/c?watch")
    await stream.next()
    assert (await client.call("DELETE", "currentuser/c")).status == 204
    assert (await stream.next())["event"] == "gone"
    assert (await client.call("POST", "currentuser/other", {})).status == 201
    assert await anext(stream.body) == b":\n\n"
    assert (await client.call("POST", "currentuser/c", {"x": 7})).status == 201
    assert (await stream.next())["data"] == '{"x":7}'
    await stream.body.aclose()


async def test_a_stream_tells_when_the_value_goes_and_comes(client: Client) -> None:
    await client.call("POST", "currentuser", {"c": {"x": 1}})
    stream = await open_stream(client, "currentuser/c?watch")
    assert (await stream.next())["event"] == "value"
    await client.call("DELETE", "currentuser")
    assert (await stream.next())["event"] == "gone"
    await client.call("POST", "currentuser", {"c": {"x": 2}})
    assert (await stream.next())["data"] == '{"x":2}'
    await stream.body.aclose()


async def test_a_stream_ends_with_the_right_to_read(client: Client) -> None:
    await client.call("POST", "global", {"c": {"x": 1}})
    stream = await open_stream(client, "global/c?watch")
    await stream.next()
    await client.call("PATCH", "global/c", {"__metadata": {"readRoles": ["R"]}})
    assert (await stream.next())["event"] == "forbidden"
    with pytest.raises(StopAsyncIteration):
        await anext(stream.body)
    await stream.body.aclose()


async def test_a_silent_stream_beats_and_ends_after_its_time(
    patient_clock: MockClock, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "LIFETIME_S", 3 * HEARTBEAT_S)
    await put_up(client)
    stream = await open_stream(client, "global/c?watch")
    await stream.next()
    start = trio.current_time()
    assert await anext(stream.body) == b":\n\n"
    assert trio.current_time() - start == pytest.approx(HEARTBEAT_S)
    beats = [chunk async for chunk in stream.body]
    assert set(beats) == {b":\n\n"}
    assert trio.current_time() - start == pytest.approx(3 * HEARTBEAT_S)
    await stream.body.aclose()
    await stream.body.aclose()
    assert len(client.settings.watchers) == 0


async def test_a_stream_is_refused_before_it_begins(client: Client) -> None:
    assert (await client.call("GET", "global/none?watch")).status == 404
    await client.call("POST", "global/c", {"__metadata": {"readRoles": ["R"]}})
    assert (await client.call("GET", "global/c?watch")).status == 403
    assert len(client.settings.watchers) == 0


async def test_who_falls_far_behind_looks_again(client: Client, short_memory: None) -> None:
    tag = await put_up(client)
    async with polling(client, "device/d/c?wait=300", tag) as answers, trio.open_nursery() as writers:
        writers.start_soon(client.call, "PUT", "global/c/x", 5)
        for number in range(20):
            writers.start_soon(client.call, "PUT", f"device/o{number}/c", {})
    assert answers[0].status == 200


async def test_every_change_that_is_remembered_is_looked_at(client: Client) -> None:
    tag = await put_up(client)
    client.engine.state.settings.recent = deque(maxlen=1)
    async with polling(client, "device/d/c?wait=300", tag) as answers:
        await client.call("PUT", "device/other/c", {})
        assert answers == []
        await client.call("PUT", "global/c/x", 5)
    assert (answers[0].status, answers[0].json()) == (200, {"x": 5, "y": 1, "z": 1})


@pytest.fixture
def short_memory(client: Client) -> None:
    client.engine.state.settings.recent = deque(maxlen=3)


async def test_an_irrelevant_change_is_looked_at_once(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.call("POST", "global", {"c": {"x": 1}})
    tag = (await client.call("GET", "global/c")).tag
    looks = 0
    find = SettingsReader.find

    async def counting(reader: SettingsReader, wanted: Wanted) -> ReadResult:
        nonlocal looks
        looks += 1
        return await find(reader, wanted)

    monkeypatch.setattr(SettingsReader, "find", counting)
    async with polling(client, "global/c?wait=300", tag) as answers:
        watchers = client.settings.watchers
        for _ in range(3):
            before = looks
            # As after more changes than the engine remembers: whoever watches anything looks again.
            watchers._wake(watchers._watches)
            await trio.testing.wait_all_tasks_blocked()
            assert looks - before == 1
        assert answers == []
        assert (await client.call("PUT", "global/c", {"x": 2})).status == 204
    assert answers[0].status == 200


class Revocable:
    """Recognises callers as the interface's own identity does, until their credential is taken away."""

    def __init__(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        self._authenticate = client.settings._identity.authenticate
        self.change: Callable[[Caller], Caller] | None = None
        self.until: int | None = None
        monkeypatch.setattr(client.settings._identity, "authenticate", self.authenticate)

    async def authenticate(self, request: Request) -> Caller:
        caller = replace(await self._authenticate(request), until=self.until)
        if self.change is None:
            return caller
        return self.change(caller)


def revoked(caller: Caller) -> Caller:
    raise Unauthenticated(f"{caller.name} is not known any more")


def without_roles(caller: Caller) -> Caller:
    return replace(caller, roles=frozenset())


@pytest.mark.parametrize(("change", "kind"), [(revoked, b"forbidden"), (without_roles, b"forbidden")])
async def test_a_stream_is_judged_again_at_each_delivery(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Caller], Caller],
    kind: bytes,
) -> None:
    await put_up(client)
    identity = Revocable(client, monkeypatch)
    _, request = held_request(client, "currentuser/c?watch=true", [], User("ann", ("reader",)))
    response = await client.settings.handle(request)
    body = response.body
    assert not isinstance(body, bytes)
    events = aiter(body)
    assert (await anext(events)).startswith(b"retry")
    assert b"event: value" in await anext(events)
    assert (await client.call("PATCH", "currentuser/c", {"secret": 1})).status == 204
    identity.change = change
    assert await anext(events) == b"event: " + kind + b"\nid: 0\ndata: null\n\n"
    with pytest.raises(StopAsyncIteration):
        await anext(events)
    await body.aclose()  # type: ignore[attr-defined]


async def test_a_silent_stream_is_judged_at_each_heartbeat(
    patient_clock: MockClock, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put_up(client)
    identity = Revocable(client, monkeypatch)
    _, request = held_request(client, "currentuser/c?watch=true", [])
    body = (await client.settings.handle(request)).body
    assert not isinstance(body, bytes)
    events = aiter(body)
    await anext(events)
    await anext(events)
    assert await anext(events) == b":\n\n"
    identity.change = revoked
    assert (await anext(events)).startswith(b"event: forbidden")
    await body.aclose()  # type: ignore[attr-defined]


async def test_a_stream_ends_with_the_token(
    patient_clock: MockClock, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put_up(client)
    Revocable(client, monkeypatch).until = client.settings._engine.now() + 50 * 10**9
    _, request = held_request(client, "currentuser/c?watch=true", [])
    body = (await client.settings.handle(request)).body
    assert not isinstance(body, bytes)
    start = trio.current_time()
    async for _ in body:
        pass
    assert trio.current_time() - start == pytest.approx(50, abs=1)
    await body.aclose()  # type: ignore[attr-defined]


async def test_a_poll_is_judged_again_before_it_is_answered(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = await put_up(client)
    identity = Revocable(client, monkeypatch)
    async with polling(client, "device/d/c?wait=300", tag) as answers:
        identity.change = lambda caller: revoked(caller) if caller.name == ANN.name else caller
        assert (await client.call("PATCH", "global/c", {"secret": 1}, user=BOB)).status == 204
    assert answers[0].status == 401
    assert b"secret" not in answers[0].body


@pytest.mark.parametrize(
    ("method", "tail", "value"),
    [("PATCH", "currentuser", {"beside": 1}), ("DELETE", "currentuser/c", ...)],
    ids=["a value beside it changes", "the value goes away"],
)
async def test_a_poll_of_a_caller_who_lost_the_right_is_refused_at_the_next_change(
    patient_clock: MockClock,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    tail: str,
    value: Any,
) -> None:
    """Not at the end of its wait, and without a word about what became of the value."""
    await client.call("POST", "currentuser", {"c": {"y": 1}})
    tag = (await client.call("GET", "currentuser/c")).tag
    identity, start = Revocable(client, monkeypatch), trio.current_time()
    async with polling(client, "currentuser/c?wait=300", tag) as answers:
        lost = iter([False, True, True])  # the write itself is still the caller's; what follows is not
        identity.change = lambda caller: revoked(caller) if next(lost) else caller
        assert (await client.call(method, tail, value)).status in (201, 204)
    assert answers[0].status == 401
    assert trio.current_time() - start < 100


async def test_a_poll_of_a_caller_who_lost_the_right_is_refused_at_its_end_too(
    patient_clock: MockClock, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the value has not changed is nothing for him either."""
    tag = await put_up(client)
    identity = Revocable(client, monkeypatch)
    async with polling(client, "device/d/c?wait=60", tag) as answers:
        identity.change = revoked
    assert (answers[0].status, "ETag" in answers[0].headers) == (401, False)


async def test_a_poll_ends_with_the_token(
    patient_clock: MockClock, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = await put_up(client)
    Revocable(client, monkeypatch).until = client.settings._engine.now() + 50 * 10**9
    start = trio.current_time()
    assert (await poll(client, "device/d/c?wait=300", tag)).status == 304
    assert trio.current_time() - start == pytest.approx(50, abs=1)


async def test_a_change_elsewhere_wakes_no_watcher(client: Client) -> None:
    watchers = Watchers(client.engine, 10, 10)
    mine = Place("app", Level.USER, "", "ann")
    with watchers.watch([mine], "user:ann") as watch:
        watch.arm()
        await client.call("POST", "global", {"c": {"x": 1}})
        assert not watch._changed.is_set()
        await client.call("POST", "currentuser", {"c": {"y": 1}})
        assert watch._changed.is_set()


async def test_many_watchers_of_one_value_are_woken_a_few_at_a_time(client: Client) -> None:
    """A thousand that wake in one pass of the event loop would hold up everybody else."""
    watchers = Watchers(client.engine, 100, 100)
    place = Place("app", Level.USER, "", "ann")
    woken: list[int] = []

    async def wait(number: int) -> None:
        with watchers.watch([place], "user:ann") as watch:
            watch.arm()
            with trio.move_on_after(inf if number % 7 else 0.01):
                await watch.wait()
            woken.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(70):
            nursery.start_soon(wait, number)
        await trio.testing.wait_all_tasks_blocked()
        with passes_of(woken) as passes:
            watchers._wake([place])
            while len(woken) < 70:
                await trio.lowlevel.checkpoint()
    assert max(passes.steps) <= AT_ONCE + 10  # ten of them have given up
    assert (watchers._due, watchers._waking, len(watchers)) == ({}, 0, 0)


async def test_who_stops_waiting_misses_no_change_and_holds_nobody_up(client: Client) -> None:
    watchers = Watchers(client.engine, 100, 100)
    place = Place("app", Level.USER, "", "ann")
    scopes: list[trio.CancelScope] = []
    saw: list[bool] = []

    async def wait() -> None:
        with watchers.watch([place], "user:ann") as watch:
            watch.arm()
            with trio.CancelScope() as scope:
                scopes.append(scope)
                await watch.wait()
            with trio.fail_after(5):
                await watch.wait()
            saw.append(scope.cancelled_caught)

    async with trio.open_nursery() as nursery:
        for _ in range(3 * AT_ONCE):
            nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        watchers._wake([place])
        for scope in scopes:
            scope.cancel()
    assert len(saw) == 3 * AT_ONCE
    assert any(saw)


@pytest.mark.parametrize("lifetime", [HEARTBEAT_S / 2, HEARTBEAT_S, 2.5 * HEARTBEAT_S])
async def test_a_stream_that_ends_with_its_credential_does_not_ask_for_it_again(
    patient_clock: MockClock, client: Client, lifetime: float
) -> None:
    """At its last beat the credential has expired: the stream ends, and does not say `forbidden`."""
    ends = trio.current_time() + lifetime

    async def find() -> ReadResult:
        if trio.current_time() >= ends:
            raise Unauthenticated("expired")
        return ReadResult({"x": 1}, "1")

    async def text(value: Any) -> bytes:
        return b"{}"

    watching = client.settings.watchers.watch([Place("app", Level.GLOBAL, "", "")], "ann")
    stream = stream_module.change_stream(watching, find, text, lifetime_s=lifetime, known="")
    told = b"".join([chunk async for chunk in stream])
    assert b"forbidden" not in told
    assert trio.current_time() == pytest.approx(ends)


async def test_head_and_reads_without_a_wait_take_no_place(patient_clock: MockClock) -> None:
    async with settings_client(max_watchers=1, max_watchers_per_user=1) as client:
        await put_up(client)
        tag = (await client.call("GET", "global/c")).tag
        stream = await open_stream(client, "global?watch")
        start = trio.current_time()
        same = [("If-None-Match", tag)]
        assert (await client.send("GET", f"{ROOT}/app/global/c", same)).status == 304
        assert (await client.send("HEAD", f"{ROOT}/app/global/c?wait=60", same)).status == 304
        assert (await client.send("HEAD", f"{ROOT}/app/global/c?watch")).status == 200
        assert (await client.send("GET", f"{ROOT}/app/global/c?wait=60")).status == 200, "nothing to wait for"
        assert trio.current_time() - start < 1
        assert (await client.send("GET", f"{ROOT}/app/global/c?wait=60", same)).status == 429
        await stream.body.aclose()
