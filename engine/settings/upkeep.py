"""Decide operators' commands: import and restatement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from retain.engine.core.command import Command, Decision
from retain.engine.core.errors import Invalid, QuotaExceeded
from retain.engine.core.event import Cause
from retain.engine.settings.commands import ImportDocument, RestateDocument
from retain.engine.settings.events import DocumentDeleted, SettingsEvent, stated
from retain.engine.settings.model import METADATA, Level
from retain.engine.settings.roles import without_metadata
from retain.engine.settings.state import SettingsState
from retain.engine.settings.value import EncodedValue, same, to_text


def deciders(state: SettingsState) -> Mapping[type[Command[Any]], Callable[[Any, int], Decision[Any]]]:
    """Return which function decides which command."""
    return {
        ImportDocument: partial(import_document, state),
        RestateDocument: partial(restate, state),
    }


def import_document(state: SettingsState, command: ImportDocument, _: int) -> Decision[bool]:
    """Record a document from an export; an unchanged one is not recorded again."""
    place, policy = command.place, command.policy
    own = state.documents.get(place)
    if command.value is None:
        if own is None:
            return Decision((), False)
        ended = DocumentDeleted(
            resource=own.resource,
            actor=command.actor,
            cause=Cause.IMPORT,
            place=place,
            revision=state.next_revision(own),
            method="IMPORT",
        )
        return Decision((ended,), True)
    value = dict(command.value) if place.level == Level.GLOBAL else without_metadata(command.value)
    if METADATA in value:
        raise Invalid("a configuration cannot have this name", reason="name")
    body = EncodedValue.of(value)
    if body.depth > policy.max_depth:
        raise Invalid(f"the document is nested deeper than {policy.max_depth} levels", reason="depth")
    if len(body.text) > policy.max_document_bytes:
        raise QuotaExceeded(
            "the document is larger than a level may be", reason="document", limit=policy.max_document_bytes
        )
    if own is not None and same(own.value, value):
        return Decision((), False)
    events = stated(
        body.text,
        value,
        resource=own.resource if own else command.resource,
        actor=command.actor,
        cause=Cause.IMPORT,
        place=place,
        revision=state.next_revision(own),
        method="IMPORT",
        born=own.born if own else 0,
        first=own.first if own else 0,
    )
    return Decision(tuple(events), True)


def restate(state: SettingsState, command: RestateDocument, _: int) -> Decision[bool]:
    """Record the same document again, in full: afterwards it depends on this record alone."""
    own = state.documents.get(command.place)
    if own is None:
        return Decision((), False)
    events: tuple[SettingsEvent, ...] = tuple(
        stated(
            to_text(own.value),
            own.value,
            resource=own.resource,
            actor=command.actor,
            cause=Cause.RESTATED,
            place=command.place,
            revision=own.revision,
            method="RESTATE",
            born=own.born,
            first=own.first,
        )
    )
    return Decision(events, True)
