"""The settings' part of the state: level documents, owners of devices, and the size of each application."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from retain.engine.core.domain import SharedState
from retain.engine.core.event import Stamp
from retain.engine.core.snapshot_table import SnapshotTable
from retain.engine.settings.events import (
    Change,
    ChangeContinued,
    DocumentChanged,
    DocumentDeleted,
    DocumentSet,
    Op,
    Result,
    SettingsEvent,
    unpack_changes,
)
from retain.engine.settings.merge_patch import merge_sized
from retain.engine.settings.model import Document, Level, Place
from retain.engine.settings.paths import DocumentDraft, removing, setting
from retain.engine.settings.shown import ShownTexts
from retain.engine.settings.sliced import LONG_BYTES
from retain.engine.settings.value import from_text, measure, measure_at_once

RECENT_MAX = 10_000
"""Most recent changes kept for watchers; a watcher that is further behind examines everything again."""


def apply_changes(
    value: Any, changes: Iterable[Change], measured: Callable[[Any], int] = measure
) -> tuple[Any, int]:
    """Return `value` after `changes`, and by how many bytes of compact JSON it is longer. Never refuses.

    `measured` is `measure`, or `measure_at_once` if all of it is known to be short.
    """
    draft, difference = DocumentDraft(value), 0
    for change in changes:
        match change.op:
            case Op.SET:
                edit = setting(change.value, len(change.text) or measured(change.value), measured)
            case Op.REMOVE:
                edit = removing
            case _:
                edit = partial(_merging, change.value)
        difference += draft.change(change.path, edit)
    return draft.value, difference


def _stated(text: bytes) -> Result:
    """Return the document that `text` states, with the size of the text that this version writes."""
    value = from_text(text)
    return Result(value, measure_at_once(value) if len(text) <= LONG_BYTES else measure(value))


def _merging(patch: Any, old: Any) -> tuple[Any, int]:
    return merge_sized(old, patch)


class SettingsState:
    """Level documents by place. See `engine.core.domain.Slice` for the rules that the methods keep.

    Attributes:
        documents: Every level document.
        devices: (application, device) → (born, user) of the documents there, the oldest first.
        usage: Application → bytes of its documents.
        user_devices: (application, user) → how many device documents.
        recent: The last changes as (sequence number, place), for watchers only; not rebuilt at a start.
        shown: The texts that recent reads showed; not rebuilt at a start either.

    """

    def __init__(self, shared: SharedState) -> None:
        self.shared = shared
        self.documents: SnapshotTable[Place, Document] = SnapshotTable()
        self.devices: dict[tuple[str, str], list[tuple[int, str]]] = {}
        self.usage: dict[str, int] = {}
        self.user_devices: dict[tuple[str, str], int] = {}
        self.recent: deque[tuple[int, Place]] = deque(maxlen=RECENT_MAX)
        self.shown = ShownTexts()
        self._begun: tuple[DocumentSet | DocumentChanged, Stamp, list[bytes]] | None = None

    def next_revision(self, own: Document | None) -> int:
        """Return the number of the next change of a document, None if the document is to be created.

        After a restore or repair it is a number that the lost history has not used.
        """
        return max(1 if own is None else own.revision + 1, self.shared.revision)

    def excerpt(self, places: Iterable[Place], *, usage: bool) -> SettingsState:
        """Return a part of this moment's state that does not change: all that requests about one place see.

        Args:
            places: The documents that the request concerns; the last is the place itself.
            usage: Whether to copy the size of the application, which changes with every document.
        """
        part = SettingsState(SharedState())
        part.shared.revision = self.shared.revision
        place: Place | None = None
        for place in places:
            if place in self.documents:
                part.documents[place] = self.documents[place]
        if place is not None:
            shared, owned = (place.application, place.device), (place.application, place.user)
            if shared in self.devices:
                part.devices[shared] = self.devices[shared][:1]
            if owned in self.user_devices:
                part.user_devices[owned] = self.user_devices[owned]
            if usage and place.application in self.usage:
                part.usage[place.application] = self.usage[place.application]
        return part

    def agrees(self, other: SettingsState) -> bool:
        """Return whether an excerpt is the same as another: of the same places, and none has changed."""
        documents = other.documents
        return (
            self.shared.revision == other.shared.revision
            and self.documents.keys() == documents.keys()
            and all(document is documents[place] for place, document in self.documents.items())
            and self.devices == other.devices
            and self.user_devices == other.user_devices
            and self.usage == other.usage
        )

    def stated(self, event: DocumentSet, stamp: Stamp) -> None:
        """Apply `DocumentSet`."""
        self._begun = (event, stamp, []) if event.data.pieces > 1 else None
        if self._begun is None:
            self._state(event, event.result or _stated(event.data.text()), stamp)

    def changed(self, event: DocumentChanged, stamp: Stamp) -> None:
        """Apply `DocumentChanged`."""
        self._begun = (event, stamp, []) if event.data.pieces > 1 else None
        if self._begun is None:
            self._change(event, event.result, event.data.text, stamp)

    def continued(self, event: ChangeContinued, _: Stamp) -> None:
        """Apply `ChangeContinued`: the last piece applies the whole."""
        if self._begun is None or self._begun[0].resource != event.resource:
            return
        whole, begun, pieces = self._begun
        pieces.append(event.piece)
        if len(pieces) + 1 < whole.data.pieces:
            return
        self._begun = None
        text = partial(whole.data.text, pieces)
        if isinstance(whole, DocumentSet):
            self._state(whole, event.result or _stated(text()), begun)
        else:
            self._change(whole, event.result, text, begun)

    def deleted(self, event: DocumentDeleted, stamp: Stamp) -> None:
        """Apply `DocumentDeleted`."""
        self._put(event.place, None)
        self.recent.append((stamp.seq, event.place))

    def _state(self, event: DocumentSet, result: Result, stamp: Stamp) -> None:
        born, first = event.born or stamp.time, event.first or stamp.seq
        document = Document(event.resource, event.revision, result.value, result.size, born, first)
        self._put(event.place, document)
        self.recent.append((stamp.seq, event.place))

    def _change(
        self, event: SettingsEvent, result: Result | None, text: Callable[[], bytes], stamp: Stamp
    ) -> None:
        old = self.documents.get(event.place)
        if old is None:
            return
        self.shared.records.supersede_part()
        if result is None:
            written = text()
            is_short = old.size <= LONG_BYTES and len(written) <= LONG_BYTES
            measured = measure_at_once if is_short else measure
            value, longer = apply_changes(old.value, unpack_changes(written), measured)
            result = Result(value, old.size + longer)
        document = Document(old.resource, event.revision, result.value, result.size, old.born, old.first)
        self._put(event.place, document)
        self.recent.append((stamp.seq, event.place))

    def _put(self, place: Place, document: Document | None) -> None:
        """Add, change or remove a document together with all indexes; nothing else does."""
        self.shown.changed(place)
        old = self.documents.get(place)
        if document is None:
            self.documents.pop(place, None)
        else:
            self.documents[place] = document
        used = self.usage.get(place.application, 0)
        used += (document.size if document else 0) - (old.size if old else 0)
        if used:
            self.usage[place.application] = used
        else:
            self.usage.pop(place.application, None)
        if place.level == Level.DEVICE and (old is None) != (document is None):
            gone_or_new = old or document
            assert gone_or_new is not None
            self._index_device(place, gone_or_new.born, 1 if old is None else -1)

    def _index_device(self, place: Place, born: int, step: int) -> None:
        """Index a device by bisection: a hundred thousand users may share it, and they are never sorted."""
        shared, owned = (place.application, place.device), (place.application, place.user)
        entry = (born, place.user)
        users = self.devices.setdefault(shared, [])
        if step > 0:
            insort(users, entry)
        else:
            del users[bisect_left(users, entry)]
        if not users:
            del self.devices[shared]
        count = self.user_devices.get(owned, 0) + step
        if count:
            self.user_devices[owned] = count
        else:
            self.user_devices.pop(owned, None)
