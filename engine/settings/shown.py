"""The JSON texts that recent reads showed, so that the next reader needs neither merge nor encode them.

An entry is the text of one path of one place, as callers with the same rights see it. It is made from level
documents and dropped in the same step that changes, adds or removes one of them (`SettingsState`): an entry
that is found is current. What depends on anything else, such as who owns a device, is not part of it: whoever
reads an entry checks that again.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

from retain.engine.settings.model import Asker, Path, Place

TEXT_BYTES_MAX: Final = 16 << 10
"""The longest text that is kept: a longer one costs more to send than to make."""
SHOWN_BYTES_MAX: Final = 8 << 20
"""Bytes of all entries together. Beyond it the least recently read goes first."""
ENTRY_EXTRA: Final = 900
"""What an entry takes beside its text and the names in its key: tag, tuples, and its place in the index."""

DROPPED_SINGLY_MAX: Final = 500
"""If a document has more texts than this, all texts are dropped, which is several times as fast for each."""

ShownKey: TypeAlias = tuple[Place, Path, bool, frozenset[str], bool]


class ShownText(NamedTuple):
    """A value as a read shows it.

    Attributes:
        text: Its compact JSON text.
        tag: Names the state of all that it may come from; see `queries.ReadResult`.

    """

    text: bytes
    tag: str


def shown_key(asker: Asker, place: Place, path: Path, *, merged: bool) -> ShownKey:
    """Return the key of a read: all that its value depends on, beside the documents.

    Of the asker, that is what `roles.permits` looks at.
    """
    return place, path, merged, asker.roles, asker.admin


def entry_size(key: ShownKey, shown: ShownText) -> int:
    """Return about how many bytes of memory an entry takes. Names count, too: a client chooses them."""
    place, path, _, roles, _ = key
    names = (place.application, place.device, place.user, *path, *roles)
    return len(shown.text) + sum(map(sys.getsizeof, names)) + sys.getsizeof(roles) + ENTRY_EXTRA


class ShownTexts:
    """Texts by key, bounded in bytes."""

    def __init__(self) -> None:
        self._texts: OrderedDict[ShownKey, tuple[ShownText, tuple[Place, ...], int]] = OrderedDict()
        self._made_from: dict[Place, set[ShownKey]] = {}
        self.size = 0

    def __len__(self) -> int:
        return len(self._texts)

    def find(self, key: ShownKey) -> ShownText | None:
        """Return the text of a read; None if it must be made."""
        entry = self._texts.get(key)
        if entry is None:
            return None
        self._texts.move_to_end(key)
        return entry[0]

    def add(self, key: ShownKey, shown: ShownText, places: Iterable[Place]) -> None:
        """Keep the text that was made from the documents at `places`, present or not, in this very step."""
        if len(shown.text) > TEXT_BYTES_MAX or key in self._texts:
            return
        made_from, size = tuple(places), entry_size(key, shown)
        self._texts[key] = shown, made_from, size
        for place in made_from:
            self._made_from.setdefault(place, set()).add(key)
        self.size += size
        while self.size > SHOWN_BYTES_MAX:
            self._drop(next(iter(self._texts)))

    def changed(self, place: Place) -> None:
        """Drop every text that was made from the document at `place`, or from there being none.

        At most some milliseconds, if an application's document changes that thousands were made from.
        """
        keys = self._made_from.get(place)
        if keys is None:
            return
        if len(keys) > DROPPED_SINGLY_MAX:
            self._texts.clear()
            self._made_from.clear()
            self.size = 0
            return
        for key in tuple(keys):
            self._drop(key)

    def _drop(self, key: ShownKey) -> None:
        _, places, size = self._texts.pop(key)
        self.size -= size
        for place in places:
            keys = self._made_from[place]
            keys.discard(key)
            if not keys:
                del self._made_from[place]
