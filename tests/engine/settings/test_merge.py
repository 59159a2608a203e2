"""Laying levels over one another (docs/wire/settings.md, section 4)."""

from __future__ import annotations

from functools import reduce
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from retain.engine.settings.merge import is_blocked, overlay, resolve
from retain.engine.settings.model import MISSING, Missing, Path
from retain.engine.settings.paths import walk
from tests.engine.settings.strategies import NAMES, OBJECTS, PATHS, VALUES

SMALL = st.recursive(
    st.integers(0, 3) | st.none(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)
LAYERS = st.lists(st.dictionaries(st.sampled_from("ab"), SMALL, max_size=2), max_size=3)


def test_objects_merge_and_all_else_replaces() -> None:
    below = {"a": {"x": 1, "y": [1, 2]}, "b": 1, "c": {"z": 1}}
    above = {"a": {"y": [3]}, "b": {"k": 1}, "c": 5}
    assert overlay(below, above) == {"a": {"x": 1, "y": [3]}, "b": {"k": 1}, "c": 5}


def test_a_null_of_the_lower_level_wins() -> None:
    assert overlay({"a": 1, "b": {"c": 2}}, {"a": None, "b": {"c": None}}) == {"a": None, "b": {"c": None}}


@given(LAYERS, st.lists(st.sampled_from("ab"), max_size=3).map(tuple))
def test_walking_the_layers_is_walking_the_whole(layers: list[Any], path: Path) -> None:
    whole = reduce(overlay, layers) if layers else MISSING
    assert resolve(layers, path) == walk(whole, path)


@given(LAYERS, st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map(tuple))
def test_a_path_is_blocked_where_a_parent_shows_that_is_no_object(layers: list[Any], path: Path) -> None:
    whole = reduce(overlay, layers) if layers else MISSING
    parents = [walk(whole, path[:length]) for length in range(len(path))]
    expected = any(not isinstance(parent, dict | Missing) for parent in parents)
    assert is_blocked(layers, path) == expected


@given(VALUES, VALUES)
def test_overlaying_an_object_keeps_what_it_does_not_name(below: Any, above: Any) -> None:
    merged = overlay(below, above)
    if isinstance(below, dict) and isinstance(above, dict):
        assert set(merged) == set(below) | set(above)
        assert all(merged[name] == below[name] for name in below if name not in above)
    else:
        assert merged == above


@given(OBJECTS, PATHS, NAMES)
def test_nothing_is_changed_in_place(document: Any, path: Path, name: str) -> None:
    before = repr(document)
    overlay(document, {name: {"new": 1}})
    assert repr(document) == before
