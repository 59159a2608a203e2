"""A bounded cache of small contents that were read recently."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock

RECENT_BYTES = 32 << 20
"""Bytes of recently read contents that are kept in memory, with `RECENT_EXTRA` for each."""
RECENT_MOST = 16 << 10
"""Larger contents are not kept."""
RECENT_EXTRA = 200


class Recent:
    """Small contents that were read not long ago, the least recently read forgotten first.

    Erased content must leave memory, too: `drop` forgets places before their erasure is recorded, and what a
    read found that began before an erasure is not kept.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._lock = Lock()
        self.drops = 0

    def get(self, place: tuple[int, int]) -> bytes | None:
        """Return the content at a place; None if it is not cached."""
        with self._lock:
            data = self._kept.get(place)
            if data is not None:
                self._kept.move_to_end(place)
            return data

    def keep(self, place: tuple[int, int], data: bytes, drops: int) -> None:
        """Keep what was read at a place, unless something was dropped since `drops` was noted."""
        if len(data) > RECENT_MOST:
            return
        with self._lock:
            if self.drops != drops or place in self._kept:
                return
            self._kept[place] = data
            self._left -= len(data) + RECENT_EXTRA
            while self._left < 0:
                self._left += len(self._kept.popitem(last=False)[1]) + RECENT_EXTRA

    def drop(self, places: Iterable[tuple[int, int]]) -> None:
        """Forget the contents at these places."""
        with self._lock:
            self.drops += 1
            for place in places:
                data = self._kept.pop(place, None)
                if data is not None:
                    self._left += len(data) + RECENT_EXTRA

    def clear(self) -> None:
        """Forget all."""
        self.drop(list(self._kept))
