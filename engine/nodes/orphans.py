"""Removes payloads from the store that no record names, because a node ended before it recorded them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from typing import Final

import trio

from retain.engine.writing.threads import in_thread

LOG = logging.getLogger("retain.nodes")

LOOK_S: Final = 6 * 3600.0
"""Seconds between two searches."""
ORPHAN_S: Final = 24 * 3600.0
"""Seconds that a payload must have been an orphan before it is removed; an upload takes minutes."""


class StoreOrphans:
    """Removes orphans, at the leader only.

    Args:
        names: Return the names of all payloads in the store. Blocking.
        remove: Remove one. Blocking. Raises `OSError`.
        named: Return the payloads that live state names.
        leads: Return whether this node leads at this moment.

    """

    def __init__(
        self,
        names: Callable[[], Iterable[str]],
        remove: Callable[[str], object],
        named: Callable[[], Collection[str]],
        leads: Callable[[], bool],
    ) -> None:
        self._names, self._remove = names, remove
        self._named, self._leads = named, leads
        self._since: dict[str, float] = {}

    async def run(self) -> None:
        """Search at intervals, until cancelled."""
        while True:
            try:
                await self.look()
            except OSError as error:
                LOG.warning(
                    "the search for payloads without a record failed", extra={"facts": {"why": str(error)}}
                )
            await trio.sleep(LOOK_S)

    async def look(self) -> list[str]:
        """Search once; remove and return the payloads that have been orphans for long enough.

        Only this process's own clock counts.
        """
        there = await in_thread(lambda: list(self._names()))
        named, now = self._named(), trio.current_time()
        self._since = {name: self._since.get(name, now) for name in there if name not in named}
        removed = []
        for name, since in list(self._since.items()):
            # If the process was paused meanwhile, its state may be old; but then its lease has ended.
            if now - since < ORPHAN_S or name in self._named() or not self._leads():
                continue
            await in_thread(self._remove, name)
            del self._since[name]
            removed.append(name)
        if removed:
            LOG.info("removed payloads that no record names", extra={"facts": {"count": len(removed)}})
        return removed
