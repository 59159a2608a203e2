"""Earlier versions of a settings document: read from the journal, for callers who may read all of it."""

from __future__ import annotations

from functools import partial
from typing import Any

import trio

from retain.api.settings.errors import TooManyWaiting
from retain.engine import EngineAccess, Forbidden, NotFound
from retain.engine.audit.settings_versions import Version, kept_events, versions
from retain.engine.audit.timeline import Trail
from retain.engine.settings import Asker, Document, Level, Missing, Path, Place, SettingsPolicy, sliced
from retain.engine.settings.paths import walk
from retain.engine.settings.queries import NO_RIGHT, NO_SUCH, check_device
from retain.engine.settings.roles import Right, as_stored, permits

HISTORY_WAITING_MAX = 8
"""Readers of history that may queue: each reads the journal from the document's beginning on."""


class History:
    """Reads earlier versions, one reader after the other.

    Args:
        engine: The engine with the settings.
        policy: The operator's policy.
        trail: The places of the journal's records; created if none is given.
    """

    def __init__(self, engine: EngineAccess, policy: SettingsPolicy, trail: Trail | None = None) -> None:
        self._engine = engine
        self._policy = policy
        self._trail = trail or Trail(engine.disk)
        self._one = trio.CapacityLimiter(1)

    async def past(self, asker: Asker, place: Place, path: Path = ()) -> tuple[Document, list[Version]]:
        """Return the present document and its stored versions, oldest first.

        Raises:
            NotFound: There is no such document.
            Forbidden: This asker may not read all of it.
            TooManyWaiting: Too many requests read history.
        """
        document = await self._engine.read(
            lambda state, _: _own_document(state.settings, place, self._policy)
        )
        await self._check(asker, place, path, document.value)
        if self._one.statistics().tasks_waiting >= HISTORY_WAITING_MAX:
            raise TooManyWaiting
        engine = self._engine
        durable = engine.statistics().durable  # only the Trio thread may read the state

        def read() -> list[Version]:
            return versions(kept_events(self._trail, document, durable))

        return document, await trio.to_thread.run_sync(read, limiter=self._one)

    async def earlier(self, asker: Asker, place: Place, path: Path, revision: int) -> tuple[Any, Document]:
        """Return the target's value at its own level in an earlier revision, and the present document.

        Raises:
            NotFound: The revision is not stored, or had no value there.
            Forbidden: The former or the present role lists do not permit this caller to read it.
            TooManyWaiting: Too many requests read history.
        """
        document, found = await self.past(asker, place, path)
        version = next((version for version in found if version.revision == revision), None)
        if version is None:
            raise NotFound(f"revision {revision} is not stored any more, or never was", reason="version")
        await self._check(asker, place, path, version.value)
        value = walk(version.value, as_stored(version.value, path))
        if isinstance(value, Missing):
            raise NotFound(NO_SUCH)
        return value, document

    async def _check(self, asker: Asker, place: Place, path: Path, value: Any) -> None:
        check = partial(check_readable, asker, place, path, value)
        if path or sliced.is_small(value):
            check()
        else:
            await self._engine.compute(check)


def check_readable(asker: Asker, place: Place, path: Path, value: Any) -> None:
    """Refuse unless everything is readable, because history shows whole configurations or levels.

    Raises:
        Forbidden: A part of it is not readable.
    """
    if place.level != Level.GLOBAL or not isinstance(value, dict):
        return
    for name in path[:1] or tuple(value):
        if not permits(value.get(name), Right.READ, asker):
            raise Forbidden(NO_RIGHT, reason="role")


def _own_document(state: Any, place: Place, policy: SettingsPolicy) -> Document:
    check_device(state, place, policy)
    document: Document | None = state.documents.get(place)
    if document is None:
        raise NotFound(NO_SUCH)
    return document
