"""The settings' part of the engine's state, as a `Slice`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from itertools import islice
from typing import Any

from retain.engine.core.body import Inline
from retain.engine.core.command import KEEPER, Command, Decision
from retain.engine.core.common_commands import Restate
from retain.engine.core.deadlines import DeadlineKind
from retain.engine.core.domain import Ahead, Apply, Decide, Expire, LookAhead, Restated, Restater
from retain.engine.core.event import Event
from retain.engine.core.role import Locator
from retain.engine.core.snapshot_table import Frozen
from retain.engine.settings import ahead, decide, upkeep
from retain.engine.settings.commands import RestateDocument
from retain.engine.settings.events import (
    DOCUMENT,
    ChangeContinued,
    DocumentChanged,
    DocumentDeleted,
    DocumentSet,
)
from retain.engine.settings.model import Document, Level, Place
from retain.engine.settings.sliced import LONG_BYTES
from retain.engine.settings.state import SettingsState
from retain.engine.settings.value import from_text, measure, to_text

SORTED_AT_ONCE = 4096
"""Documents sorted in one step, about 5 ms."""


class SettingsSlice(SettingsState):
    """The settings as `engine.core.domain.Slice`."""

    name = "settings"

    def handlers(self) -> Mapping[type[Event], Apply]:
        return {
            DocumentSet: self.stated,
            DocumentChanged: self.changed,
            ChangeContinued: self.continued,
            DocumentDeleted: self.deleted,
        }

    def deciders(self) -> Mapping[type[Command[Any]], Decide]:
        return {**decide.deciders(self), **upkeep.deciders(self)}

    def looks_ahead(self) -> Mapping[type[Command[Any]], LookAhead]:
        """Return which commands may have to be decided ahead."""
        return ahead.looks_ahead(self)

    def expirers(self) -> Mapping[DeadlineKind, Expire]:
        """Return none: settings have no deadline."""
        return {}

    def restaters(self) -> Mapping[str, Restater]:
        return {DOCUMENT: DocumentRestater(self)}

    def resources(self) -> Iterable[bytes]:
        return (document.resource for document in self.documents.values())

    def freeze(self) -> Frozen:
        """Return rows `[place, resource, revision, born, first, JSON text]` in the order of the places.

        A restated document keeps its place in it, whatever else was erased.
        """
        view = self.documents.view()

        def rows() -> Iterator[Any]:
            items = view.items()
            # In pieces: no other thread runs during one sort.
            runs = iter(lambda: sorted(islice(items, SORTED_AT_ONCE)), [])
            for place, document in merge(*runs):
                text = to_text(document.value)
                facts = [document.resource, document.revision, document.born, document.first]
                yield [list(place), *facts, text]

        return Frozen(rows, (view,))

    def load(self, rows: Iterable[Any]) -> None:
        assert not self.documents
        for place, resource, revision, born, first, text in rows:
            document = Document(resource, revision, from_text(text), len(text), born, first)
            self._put(Place(*place), document)

    def check(self) -> None:
        devices: dict[tuple[str, str], list[tuple[int, str]]] = {}
        usage: dict[str, int] = {}
        counts: dict[tuple[str, str], int] = {}
        for place, document in self.documents.items():
            assert len(document.resource) == 16
            assert document.revision > 0
            assert document.size == measure(document.value), "a size was not kept up"
            usage[place.application] = usage.get(place.application, 0) + document.size
            if place.level == Level.DEVICE:
                entry = (document.born, place.user)
                devices.setdefault((place.application, place.device), []).append(entry)
                owned = (place.application, place.user)
                counts[owned] = counts.get(owned, 0) + 1
        assert self.devices == {key: sorted(found) for key, found in devices.items()}
        assert self.usage == usage
        assert self.user_devices == counts


class DocumentRestater(Restater):
    """A level document whole, as it is."""

    def __init__(self, state: SettingsState) -> None:
        self._state = state

    def restate(
        self, locator: Locator, resource: bytes, before: int, bodies: Mapping[int, Inline]
    ) -> Restated:
        return _restated(self._state, Place(*locator[1:]), resource)

    def ahead(self, command: Restate) -> Ahead | None:
        place = Place(*command.locator[1:])
        document = self._state.documents.get(place)
        if document is None or document.size <= LONG_BYTES:
            return None

        def decided(state: SettingsState, _: int) -> Decision[bool]:
            restated = _restated(state, place, command.resource)
            return Decision(tuple(restated.events), restated.more)

        return ahead.SettingsAhead(self._state, (place,), None, decided)


def _restated(state: SettingsState, place: Place, resource: bytes) -> Restated:
    own = state.documents.get(place)
    if own is None or own.resource != resource:
        return Restated((), False)
    command = RestateDocument(actor=KEEPER, place=place)
    return Restated(upkeep.restate(state, command, 0).events, False)
