"""GET and HEAD: values, names of children, waiting for changes, and earlier versions."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import trio

from retain.api.http.message import BadRequest, HeaderFields, Request, Response
from retain.api.settings.answers import JSON_TYPE, unchanged_answer, value_answer
from retain.api.settings.conditions import is_unchanged, read_conditions
from retain.api.settings.errors import COMMON, TooManyWaiting
from retain.api.settings.query import Query
from retain.api.settings.stream import change_stream
from retain.api.settings.watch import Watch, Watchers
from retain.engine import Engine, Forbidden, NotFound
from retain.engine.audit.settings_versions import Version, kept_events, versions
from retain.engine.core.time import iso
from retain.engine.settings import Asker, Document, Level, Missing, Path, Place, Preconditions, SettingsPolicy
from retain.engine.settings.paths import walk
from retain.engine.settings.queries import (
    NO_RIGHT,
    NO_SUCH,
    ReadResult,
    check_device,
    places_concerned,
    read_value,
)
from retain.engine.settings.roles import Right, as_stored, permits
from retain.engine.settings.value import to_text

HISTORY_WAITING_MAX = 8
"""Readers of history that may queue: each reads the journal from the document's beginning on."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a read is about.

    Attributes:
        asker: Who reads.
        place: Which level document.
        path: Where in it.
        query: The parameters.
        headers: What the answer carries beside its own.
        judge: Asks again whether the caller may still read, before each delivery of an answer that waited.
        lifetime_s: Seconds until the caller's credential ends.

    """

    asker: Asker
    place: Place
    path: Path
    query: Query
    headers: HeaderFields
    judge: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
    lifetime_s: float = math.inf


class Reader:
    """Answers reads.

    Args:
        engine: Where settings are kept.
        policy: What the operator allows.
        watchers: Who waits.

    """

    def __init__(self, engine: Engine, policy: SettingsPolicy, watchers: Watchers) -> None:
        self._engine = engine
        self._policy = policy
        self._watchers = watchers
        self._history = trio.CapacityLimiter(1)

    async def answer(self, request: Request, wanted: Wanted) -> Response:
        """The answer to a GET or HEAD.

        Raises:
            NotFound: Nothing there.
            Forbidden: No right to read it.
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
        found = await self.find(wanted)
        if is_unchanged(conditions, found.tag):
            if query.wait_s and request.method == "GET" and conditions.none_match is not None:
                found = await self._changed(request, wanted, conditions)
            if is_unchanged(conditions, found.tag):
                return unchanged_answer(found.tag, wanted.headers)
        return value_answer(to_text(found.value), found.tag, wanted.headers)

    async def find(self, wanted: Wanted) -> ReadResult:
        """The value asked for, or the names of its children."""
        place, path, policy, query = wanted.place, wanted.path, self._policy, wanted.query
        found = await self._engine.read(
            lambda state, _: read_value(
                state.settings, wanted.asker, place, path, policy, merged=query.merged
            )
        )
        if not query.keys:
            return found
        if not isinstance(found.value, dict):
            raise BadRequest("only an object has keys")
        return ReadResult(list(found.value), f"{found.tag}~keys")

    async def _changed(self, request: Request, wanted: Wanted, conditions: Preconditions) -> ReadResult:
        """What is there when it is no longer what the client has, or after the time it wants to wait."""
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
        """A stream of the value's changes. Refusals come before it begins, as an answer of their own."""
        await self.find(wanted)
        places = places_concerned(wanted.place, merged=wanted.query.merged)
        body = change_stream(
            self._watchers.watch(places, wanted.asker.name),
            self._judged(wanted),
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
        """The versions that touched the target, newest first: who, when and how; never a value."""
        document, found = await self._past(wanted)
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
        return value_answer(to_text(value), tag, wanted.headers)

    async def earlier(self, wanted: Wanted, revision: int) -> tuple[Any, Document]:
        """What stood at the target of its own level in an earlier revision, and the document as it is now.

        Raises:
            NotFound: No such revision is kept, or nothing stood there.
            Forbidden: The role lists of then or of now do not let this asker read it.

        """
        document, found = await self._past(wanted)
        version = next((version for version in found if version.revision == revision), None)
        if version is None:
            raise NotFound("this version is not kept", reason="version")
        self._check_readable(wanted, version.value)
        value = walk(version.value, as_stored(version.value, wanted.path))
        if isinstance(value, Missing):
            raise NotFound(NO_SUCH)
        return value, document

    async def _past(self, wanted: Wanted) -> tuple[Document, list[Version]]:
        """The document and its versions, oldest first."""
        document = await self._engine.read(
            lambda state, _: _own_document(state.settings, wanted.place, self._policy)
        )
        self._check_readable(wanted, document.value)
        if self._history.statistics().tasks_waiting >= HISTORY_WAITING_MAX:
            raise TooManyWaiting
        engine = self._engine
        durable = engine.statistics().durable  # which is for the Trio thread to ask

        def read() -> list[Version]:
            return versions(kept_events(engine.disk, document, durable))

        return document, await trio.to_thread.run_sync(read, limiter=self._history)

    def _check_readable(self, wanted: Wanted, value: Any) -> None:
        """History shows all of a configuration, and a level's history all of them: so all must be
        readable.
        """
        if wanted.place.level != Level.GLOBAL or not isinstance(value, dict):
            return
        names = wanted.path[:1] or tuple(value)
        for name in names:
            if not permits(value.get(name), Right.READ, wanted.asker):
                raise Forbidden(NO_RIGHT, reason="role")


def _own_document(state: Any, place: Place, policy: SettingsPolicy) -> Document:
    check_device(state, place, policy)
    document: Document | None = state.documents.get(place)
    if document is None:
        raise NotFound(NO_SUCH)
    return document


async def _change_or_gone(request: Request, watch: Watch, waiting: trio.CancelScope) -> None:
    """Until something changes; if the client goes away before that, all waiting ends."""

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
