"""Recognise long requests, and decide them beside the event loop.

A document may hold half a million values. A request that visits all of them is decided in a worker thread, on
an excerpt of the state; the writer then only checks that the excerpt still agrees with the state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from retain.engine.core.command import Command, Decision
from retain.engine.core.domain import Ahead, LookAhead
from retain.engine.settings import decide, upkeep
from retain.engine.settings.commands import (
    DeleteValue,
    ImportDocument,
    MergeValue,
    PatchValue,
    PostValue,
    PutValue,
    RestateDocument,
    RestoreValue,
    SettingsWrite,
)
from retain.engine.settings.model import Document, Path, Place, SettingsPolicy
from retain.engine.settings.paths import walk
from retain.engine.settings.queries import places_concerned
from retain.engine.settings.sliced import LONG_BYTES, SLICE_VALUES, is_small
from retain.engine.settings.state import SettingsState

FEW_PATHS = 16
"""Most places in a long document that are examined in the event loop."""


class SettingsAhead(Ahead):
    """A decision on an excerpt of the settings.

    Args:
        state: The settings.
        places: The documents that it depends on, the one concerned last.
        policy: The command's policy, if it has one.
        work: Decides, given the excerpt and the time.
    """

    def __init__(
        self,
        state: SettingsState,
        places: Iterable[Place],
        policy: SettingsPolicy | None,
        work: Callable[[SettingsState, int], Decision[Any]],
    ) -> None:
        self._state = state
        self._places = tuple(places)
        self._usage = policy is not None and policy.quota_application_bytes > 0
        self._excerpt = state.excerpt(self._places, usage=self._usage)
        self._work = work

    def decide(self, now: int) -> Decision[Any]:
        """Decide the command; see `Ahead.decide`."""
        return self._work(self._excerpt, now)

    def holds(self) -> bool:
        """Return whether the decision is still valid; see `Ahead.holds`."""
        return self._excerpt.agrees(self._state.excerpt(self._places, usage=self._usage))


def looks_ahead(state: SettingsState) -> Mapping[type[Command[Any]], LookAhead]:
    """Return which commands may be decided ahead."""
    writes: dict[type[Command[Any]], Callable[[SettingsState, Any], bool]] = {
        PostValue: _writes_long,
        PutValue: _writes_long,
        MergeValue: _writes_long,
        RestoreValue: _writes_long,
        PatchValue: _patches_long,
        DeleteValue: _changes_long,
    }
    table: dict[type[Command[Any]], LookAhead] = {
        kind: partial(_write, state, is_long) for kind, is_long in writes.items()
    }
    table[ImportDocument] = partial(_import, state)
    table[RestateDocument] = partial(_restate, state)
    return table


def _write(
    state: SettingsState, is_long: Callable[[SettingsState, Any], bool], command: SettingsWrite
) -> Ahead | None:
    if not is_long(state, command):
        return None
    work = partial(_decided, command)
    return SettingsAhead(state, places_concerned(command.place), command.policy, work)


def _decided(command: SettingsWrite, state: SettingsState, now: int) -> Decision[Any]:
    return decide.deciders(state)[type(command)](command, now)


def _import(state: SettingsState, command: ImportDocument) -> Ahead:
    """Return the decision to be made ahead, always: an import has no known size, and is rare."""
    return SettingsAhead(state, (command.place,), command.policy, partial(_imported, command))


def _imported(command: ImportDocument, state: SettingsState, now: int) -> Decision[bool]:
    return upkeep.import_document(state, command, now)


def _restate(state: SettingsState, command: RestateDocument) -> Ahead | None:
    document = state.documents.get(command.place)
    if document is None or document.size <= LONG_BYTES:
        return None
    return SettingsAhead(state, (command.place,), None, partial(_restated, command))


def _restated(command: RestateDocument, state: SettingsState, now: int) -> Decision[bool]:
    return upkeep.restate(state, command, now)


def _writes_long(state: SettingsState, command: Any) -> bool:
    if len(command.body.text) > LONG_BYTES:
        return True
    named = islice(command.body.value, FEW_PATHS + 1) if _is_named(command) else None
    return _changes_long(state, command, None if named is None else [(name,) for name in named])


def _is_named(command: Any) -> bool:
    """Return whether a command for a whole level touches only what its body names."""
    return (
        isinstance(command, PostValue | MergeValue) and not command.path and type(command.body.value) is dict
    )


def _patches_long(state: SettingsState, command: PatchValue) -> bool:
    return command.size > LONG_BYTES or _changes_long(state, command)


def _changes_long(state: SettingsState, command: SettingsWrite, paths: Sequence[Path] | None = None) -> bool:
    """Return whether the changed value is long, or the objects on the path to it.

    Args:
        state: The settings.
        command: A write.
        paths: The first places that it changes, if not the one path that it names.
    """
    documents = concerned(state, places_concerned(command.place))
    if sum(document.size for document in documents) <= LONG_BYTES:
        return False
    changed = [command.path] if paths is None else paths
    return len(changed) > FEW_PATHS or not all(
        _is_narrow(document.value, path) for document in documents for path in changed
    )


def _is_narrow(value: Any, path: Path) -> bool:
    for name in path:
        if type(value) is not dict:
            break
        if len(value) > SLICE_VALUES:
            return False
        value = value.get(name)
    return is_small(value)


def concerned(state: SettingsState, places: Iterable[Place]) -> list[Document]:
    """Return the documents that exist."""
    found = map(state.documents.get, places)
    return [document for document in found if document is not None]


def reads_long(state: SettingsState, places: Iterable[Place], path: Path) -> bool:
    """Return whether the values under `path` in the documents are long to read."""
    documents = concerned(state, places)
    if sum(document.size for document in documents) <= LONG_BYTES:
        return False
    return not path or not all(is_small(walk(document.value, path)) for document in documents)
