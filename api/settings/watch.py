"""Wait for changes: a watcher of a document is woken by the commits that change it, and by no others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import trio

from retain.api.settings.errors import TooManyWaiting
from retain.engine import EngineAccess
from retain.engine.settings import Place


class Watch:
    """One watcher of some documents."""

    def __init__(self, start: trio.Event) -> None:
        self._changed = start

    def arm(self) -> None:
        """Count changes from now on. Read the documents after this, not before."""
        if self._changed.is_set():
            self._changed = trio.Event()

    def wake(self) -> None:
        """Wake the request: a document has changed."""
        self._changed.set()

    async def wait(self) -> None:
        """Wait until something has changed since `arm`."""
        await self._changed.wait()


class Watchers:
    """All watchers of an engine, at most `limit`, and at most `per_user` of one user.

    The cost of a commit depends on its changes, not on the number of watchers.
    """

    def __init__(self, engine: EngineAccess, limit: int, per_user: int) -> None:
        self._engine = engine
        self._limit = limit
        self._per_user = per_user
        self._watches: dict[Place, set[Watch]] = {}
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
        watch = Watch(trio.Event())
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
                watch.wake()
