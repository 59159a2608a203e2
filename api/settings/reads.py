"""GET and HEAD: values, names of children, waiting for changes, and earlier versions."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import trio

from retain.api.http.message import BadRequest, HeaderFields, Request, Response
from retain.api.settings.answers import JSON_TYPE, unchanged_answer, value_answer
from retain.api.settings.conditions import is_unchanged, read_conditions
from retain.api.settings.errors import COMMON
from retain.api.settings.history import History
from retain.api.settings.jsontext import json_text
from retain.api.settings.query import Query
from retain.api.settings.stream import change_stream
from retain.api.settings.watch import Watch, Watchers
from retain.engine import EngineAccess
from retain.engine.core.time import iso
from retain.engine.settings import Asker, Document, Path, Place, Preconditions, SettingsPolicy
from retain.engine.settings.ahead import reads_long
from retain.engine.settings.queries import ReadResult, check_device, places_concerned, read_value
from retain.engine.settings.shown import ShownText, shown_key
from retain.engine.settings.sliced import is_small
from retain.engine.settings.state import SettingsState
from retain.engine.settings.value import to_text
from retain.engine.state import State


@dataclass(frozen=True, slots=True)
class Wanted:
    """A read request.

    Attributes:
        asker: The caller.
        place: The level document.
        path: The path in it.
        query: The parameters.
        headers: Additional headers of the answer.
        judge: Checks before each delivery of a waiting answer that the caller may still read.
        lifetime_s: Seconds until the caller's credential ends.

    """

    asker: Asker
    place: Place
    path: Path
    query: Query
    headers: HeaderFields
    judge: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
    lifetime_s: float = math.inf


class SettingsReader:
    """Answers reads.

    Args:
        engine: The engine that stores the settings.
        policy: The operator's rules.
        watchers: The requests that wait.
        history: Reads earlier versions.
    """

    def __init__(
        self, engine: EngineAccess, policy: SettingsPolicy, watchers: Watchers, history: History
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._watchers = watchers
        self._history = history

    async def answer(self, request: Request, wanted: Wanted) -> Response:
        """Return the response to a GET or HEAD.

        Raises:
            NotFound: There is no such value.
            Forbidden: The caller may not read it.
            PreconditionFailed: `If-Match` does not hold.
            TooManyWaiting: Too many wait, or read history.
        """
        query = wanted.query
        if query.history:
            return await self._versions(wanted)
        if query.version is not None:
            return await self._version(wanted, query.version)
        if query.watch and request.method == "GET":
            return await self._stream(request, wanted)
        conditions = read_conditions(request)
        found: ReadResult | ShownText = await (self.find(wanted) if query.keys else self._shown(wanted))
        if is_unchanged(conditions, found.tag):
            if query.wait_s and request.method == "GET" and conditions.none_match is not None:
                found = await self._changed(request, wanted, conditions)
            if is_unchanged(conditions, found.tag):
                return unchanged_answer(found.tag, wanted.headers)
        text = found.text if isinstance(found, ShownText) else await json_text(self._engine, found.value)
        return value_answer(text, found.tag, wanted.headers)

    async def _shown(self, wanted: Wanted) -> ReadResult | ShownText:
        """Return the requested value, as the text that an earlier read showed where that is still current."""
        place, path, merged = wanted.place, wanted.path, wanted.query.merged
        key = shown_key(wanted.asker, place, path, merged=merged)

        def look(state: State, _: int) -> ReadResult | ShownText | SettingsState:
            shown = state.settings.shown.find(key)
            if shown is not None:
                check_device(state.settings, place, self._policy)
                return shown
            seen = self._look(wanted, state)
            if not isinstance(seen, ReadResult) or not is_small(seen.value):
                return seen
            shown = ShownText(to_text(seen.value), seen.tag)
            state.settings.shown.add(key, shown, places_concerned(place, merged=merged))
            return shown

        seen = await self._engine.read(look)
        return await self._read_beside(wanted, seen) if isinstance(seen, SettingsState) else seen

    def _look(self, wanted: Wanted, state: State) -> ReadResult | SettingsState:
        """Return the requested value, or what is needed to read it in a thread if it is long."""
        places = places_concerned(wanted.place, merged=wanted.query.merged)
        if reads_long(state.settings, places, wanted.path):
            return state.settings.excerpt(places, usage=False)
        return self._read(wanted, state.settings)

    def _read(self, wanted: Wanted, settings: SettingsState) -> ReadResult:
        merged = wanted.query.merged
        return read_value(settings, wanted.asker, wanted.place, wanted.path, self._policy, merged=merged)

    async def _read_beside(self, wanted: Wanted, excerpt: SettingsState) -> ReadResult:
        return await self._engine.compute(partial(self._read, wanted, excerpt))

    async def find(self, wanted: Wanted) -> ReadResult:
        """Return the requested value, or the names of its children."""
        query = wanted.query
        seen = await self._engine.read(lambda state, _: self._look(wanted, state))
        found = await self._read_beside(wanted, seen) if isinstance(seen, SettingsState) else seen
        if not query.keys:
            return found
        if not isinstance(found.value, dict):
            raise BadRequest("only an object has keys")
        return ReadResult(list(found.value), f"{found.tag}~keys")

    async def _changed(self, request: Request, wanted: Wanted, conditions: Preconditions) -> ReadResult:
        """Return the value once it differs from the client's, or after the requested wait."""
        places = places_concerned(wanted.place, merged=wanted.query.merged)
        with self._watchers.watch(places, wanted.asker.name) as watch:
            watch.arm()
            found = await self.find(wanted)
            with trio.move_on_after(min(wanted.query.wait_s, wanted.lifetime_s)) as waiting:
                while is_unchanged(conditions, found.tag):
                    await _change_or_gone(request, watch, waiting)
                    watch.arm()
                    await wanted.judge()
                    found = await self.find(wanted)
        await wanted.judge()
        return found

    async def _stream(self, request: Request, wanted: Wanted) -> Response:
        """Return a stream of the value's changes. Refusals precede it, as a response of their own."""
        await self.find(wanted)
        places = places_concerned(wanted.place, merged=wanted.query.merged)
        body = change_stream(
            self._watchers.watch(places, wanted.asker.name),
            self._judged(wanted),
            partial(json_text, self._engine),
            lifetime_s=wanted.lifetime_s,
            known=request.header("Last-Event-ID") or "",
        )
        headers = [("Content-Type", "text/event-stream"), ("X-Accel-Buffering", "no"), *COMMON]
        return Response(200, [*headers, *wanted.headers], body)

    def _judged(self, wanted: Wanted) -> Callable[[], Awaitable[ReadResult]]:
        async def find() -> ReadResult:
            await wanted.judge()
            return await self.find(wanted)

        return find

    async def _versions(self, wanted: Wanted) -> Response:
        """Return the versions that changed it, newest first: author, time, method; never a value."""
        document, found = await self._history.past(wanted.asker, wanted.place, wanted.path)
        rows = [
            {
                "revision": version.revision,
                "time": _moment(version.time),
                "actor": version.actor,
                "method": version.method,
                "path": list(version.path),
                "etag": document.resource[:6].hex() + f".{version.revision}",
            }
            for version in reversed(found)
            if _touches(version.path, wanted.path)
        ]
        body = to_text(rows[: wanted.query.history])
        return Response(200, [JSON_TYPE, *COMMON, *wanted.headers], body)

    async def _version(self, wanted: Wanted, revision: int) -> Response:
        value, document = await self.earlier(wanted, revision)
        tag = document.resource[:6].hex() + f".{revision}"
        return value_answer(await json_text(self._engine, value), tag, wanted.headers)

    async def earlier(self, wanted: Wanted, revision: int) -> tuple[Any, Document]:
        """See `History.earlier`."""
        return await self._history.earlier(wanted.asker, wanted.place, wanted.path, revision)


async def _change_or_gone(request: Request, watch: Watch, waiting: trio.CancelScope) -> None:
    """Wait until something changes; if the client disconnects before that, all waiting ends."""

    async def leave() -> None:
        await request.body.wait_gone()
        waiting.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(leave)
        await watch.wait()
        nursery.cancel_scope.cancel()


def _touches(changed: Path, wanted: Path) -> bool:
    shorter = min(len(changed), len(wanted))
    return changed[:shorter] == wanted[:shorter]


def _moment(time: int) -> str:
    return iso(time, 3)
