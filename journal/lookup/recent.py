"""A bounded cache of small contents that were read recently."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock

RECENT_BYTES = 32 << 20
"""Bytes of cached contents, with `RECENT_EXTRA` for each."""
RECENT_MOST = 16 << 10
"""Larger contents are not kept."""
RECENT_EXTRA = 200


class Recent:
    """A cache of small contents, which evicts the least recently read first.

    Erased content must leave the memory, too: `drop` removes contents before their erasure is recorded, and
    the result of a read that began before an erasure is not cached.
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
        """Cache the content read at a place, unless something was dropped since `drops` was noted."""
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
        """Remove the contents at these places."""
        with self._lock:
            self.drops += 1
            for place in places:
                data = self._kept.pop(place, None)
                if data is not None:
                    self._left += len(data) + RECENT_EXTRA

    def clear(self) -> None:
        """Remove all contents."""
        self.drop(list(self._kept))
