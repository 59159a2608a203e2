"""Wait for changes: a watcher of a document is woken by the commits that change it, and by no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import trio

from retain.api.settings.errors import TooManyWaiting
from retain.engine import EngineAccess
from retain.engine.settings import Place

AT_ONCE = 4
"""Watchers woken at the same time. Each that wakes lets the next one wake, so that a thousand that wait for
one value do not all read it in the same pass of the event loop.
"""


class Watch:
    """One watcher of some documents.

    Attributes:
        waits: Whether it waits at this moment.
        woken: Whether it is one of the few that are being woken, and has not run yet.

    """

    def __init__(self, on_woken: Callable[[Watch], None]) -> None:
        self._changed = trio.Event()
        self._on_woken = on_woken
        self.waits = False
        self.woken = False

    def arm(self) -> None:
        """Count changes from now on. Read the documents after this, not before."""
        if self._changed.is_set():
            self._changed = trio.Event()

    def wake(self) -> None:
        """Wake the request: a document has changed."""
        self._changed.set()

    async def wait(self) -> None:
        """Wait until something has changed since `arm`."""
        self.waits = True
        try:
            await self._changed.wait()
        finally:
            self.waits = False
            self._on_woken(self)


class Watchers:
    """All watchers of an engine, at most `limit`, and at most `per_user` of one user.

    The cost of a commit depends on its changes, not on the number of watchers.
    """

    def __init__(self, engine: EngineAccess, limit: int, per_user: int) -> None:
        self._engine = engine
        self._limit = limit
        self._per_user = per_user
        self._watches: dict[Place, set[Watch]] = {}
        self._due: dict[Watch, None] = {}
        self._waking = 0
        self._users: dict[str, int] = {}
        self._count = 0
        self._seen = engine.state.seq
        engine.on_commit(self._committed)

    def __len__(self) -> int:
        return self._count

    @contextmanager
    def watch(self, places: Sequence[Place], user: str) -> Iterator[Watch]:
        """Watch `places` until the block is left.

        Raises:
            TooManyWaiting: There are too many watchers, in all or of this user.
        """
        if self._count >= self._limit or self._users.get(user, 0) >= self._per_user:
            raise TooManyWaiting
        watch = Watch(self._woken)
        self._count += 1
        self._users[user] = self._users.get(user, 0) + 1
        for place in places:
            self._watches.setdefault(place, set()).add(watch)
        try:
            yield watch
        finally:
            self._count -= 1
            self._users[user] -= 1
            if not self._users[user]:
                del self._users[user]
            for place in places:
                self._watches[place].discard(watch)
                if not self._watches[place]:
                    del self._watches[place]

    def _committed(self, seq: int) -> None:
        recent = self._engine.state.settings.recent
        complete = len(recent) < (recent.maxlen or 0) or recent[0][0] <= self._seen + 1
        if self._watches and not complete:
            self._wake(self._watches)
        elif self._watches:
            for at, place in reversed(recent):
                if at <= self._seen:
                    break
                if place in self._watches:
                    self._wake((place,))
        self._seen = seq

    def _wake(self, places: Sequence[Place] | dict[Place, set[Watch]]) -> None:
        for place in places:
            for watch in self._watches[place]:
                if watch.waits:
                    self._due[watch] = None
                else:  # it reads the change soon, and does not wake the next one
                    watch.wake()
        self._wake_next()

    def _wake_next(self) -> None:
        while self._due and self._waking < AT_ONCE:
            watch = next(iter(self._due))
            del self._due[watch]
            if not watch.woken:
                watch.woken = True
                self._waking += 1
                watch.wake()

    def _woken(self, watch: Watch) -> None:
        """Let the next one wake: this one runs, or does not wait any longer."""
        if watch in self._due:
            del self._due[watch]
            watch.wake()  # its next wait must not miss the change
        if watch.woken:
            watch.woken = False
            self._waking -= 1
            self._wake_next()
