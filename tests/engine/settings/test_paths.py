"""Changing values by path: sharing what stays, and keeping up the size."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from retain.engine.settings.model import MISSING, Missing, Path
from retain.engine.settings.paths import DocumentDraft, Edit, removing, setting, walk
from retain.engine.settings.value import measure
from tests.engine.settings.strategies import OBJECTS, PATHS, VALUES


def update(document: Any, path: Path, edit: Edit) -> tuple[Any, int]:
    draft = DocumentDraft(document)
    longer = draft.change(path, edit)
    return draft.value, longer


@given(OBJECTS, st.lists(st.tuples(PATHS, st.none() | VALUES), max_size=5))
def test_many_changes_are_as_one_after_another(document: Any, changes: list[tuple[Path, Any]]) -> None:
    before, asked = repr(document), repr(changes)
    draft, longer, one_by_one = DocumentDraft(document), 0, document
    for path, value in changes:
        edit = removing if value is None else setting(value, measure(value))
        longer += draft.change(path, edit)
        one_by_one, _ = update(one_by_one, path, edit)
    assert draft.value == one_by_one
    assert measure(draft.value) == measure(document) + longer
    assert repr(document) == before
    assert repr(changes) == asked


def test_what_a_change_brings_is_not_changed_by_the_next_one() -> None:
    brought = {"b": {"c": 1}}
    draft = DocumentDraft({})
    draft.change(("a",), setting(brought, measure(brought)))
    draft.change(("a", "b", "c"), setting(2, 1))
    assert draft.value == {"a": {"b": {"c": 2}}}
    assert brought == {"b": {"c": 1}}


@given(OBJECTS, PATHS, VALUES)
def test_what_is_set_is_there_and_the_size_is_right(document: Any, path: Path, value: Any) -> None:
    before = repr(document)
    result, longer = update(document, path, setting(value, measure(value)))
    assert walk(result, path) == value
    assert measure(result) == measure(document) + longer
    assert repr(document) == before


@given(OBJECTS, PATHS)
def test_what_is_removed_is_gone_and_the_size_is_right(document: Any, path: Path) -> None:
    result, longer = update(document, path, removing)
    assert isinstance(walk(result, path), Missing)
    assert measure(result) == measure(document) + longer
    if path and isinstance(walk(document, path), Missing):
        assert result is document


def test_walking_stops_at_arrays_and_primitives() -> None:
    """Array elements are not addressable (docs/wire/settings.md, section 2)."""
    document = {"a": [1, {"b": 2}], "c": "text", "d": None}
    for path in [("a", "0"), ("a", "1", "b"), ("c", "0"), ("d", "x"), ("e",)]:
        assert walk(document, path) is MISSING
    assert walk(document, ("d",)) is None


def test_members_keep_their_order() -> None:
    document = {"a": 1, "b": 2, "c": 3}
    assert list(update(document, ("b",), setting(9, 1))[0]) == ["a", "b", "c"]
