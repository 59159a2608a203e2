"""Earlier versions of a level document, from the events that still exist."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from retain.engine import wire
from retain.engine.core.domain import SharedState
from retain.engine.core.event import Event, Stamp
from retain.engine.settings.events import (
    ChangeContinued,
    DocumentChanged,
    DocumentDeleted,
    DocumentSet,
)
from retain.engine.settings.model import MISSING, Document, Path
from retain.engine.settings.state import SettingsState
from retain.journal.lookup.trail import Trail

Recorded = DocumentSet | DocumentChanged | ChangeContinued | DocumentDeleted
"""The events of a document."""


@dataclass(frozen=True, slots=True)
class Version:
    """One earlier state of a document.

    Attributes:
        revision: Its number; the ETag ends with it.
        time: When it was created, nanoseconds since the epoch.
        actor: Its author.
        method: The request's method; see `SettingsEvent.method`.
        path: The path in the document.
        value: The whole document afterwards; `MISSING` after a deletion.

    """

    revision: int
    time: int
    actor: str
    method: str
    path: Path
    value: Any


def kept_events(trail: Trail, document: Document, durable: int) -> list[tuple[Recorded, Stamp]]:
    """Return all events of a document that the journal still holds, oldest first.

    Blocking: it reads the document's own records.

    Args:
        trail: The places of the journal's records.
        document: The document as it is now.
        durable: The last record that is read.
    """
    found: list[tuple[Recorded, Stamp]] = []
    for spot in trail.after(document.first - 1, resource=document.resource):
        header = spot.header
        if header.seq > durable:
            break
        if isinstance(event := wire.readable(record := spot.read()), Recorded):
            found.append((event, Stamp(header.seq, header.time, record.content_at)))
    return found


def versions(records: Iterable[tuple[Event, Stamp]]) -> list[Version]:
    """Return the versions of one document, oldest first, as far as its records are kept.

    Args:
        records: All remaining events of its resource, in order. Changes whose beginning was erased have no
            effect until the document is stated in full again.
    """
    state = SettingsState(SharedState())
    found: dict[int, Version] = {}
    for event, stamp in records:
        if not isinstance(event, Recorded):
            continue
        match event:
            case DocumentSet():
                state.stated(event, stamp)
            case DocumentChanged():
                state.changed(event, stamp)
            case ChangeContinued():
                state.continued(event, stamp)
            case _:
                state.deleted(event, stamp)
        document = state.documents.get(event.place)
        if document is not None and document.revision != event.revision:
            continue
        value = MISSING if document is None else document.value
        if document is None and not isinstance(event, DocumentDeleted):
            continue
        # A restated document is the version that it restates, with its author.
        found.setdefault(
            event.revision, Version(event.revision, stamp.time, event.actor, event.method, event.path, value)
        )
    return list(found.values())
