"""RFC 7396: the whole of appendix A, the examples of sections 1 and 3, and the laws that hold."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain.engine.settings.merge_patch import merge_patch, merge_sized
from retain.engine.settings.value import measure
from tests.engine.settings.strategies import OBJECTS, PRIMITIVES, VALUES

APPENDIX_A: list[tuple[int, Any, Any, Any]] = [
    (1, {"a": "b"}, {"a": "c"}, {"a": "c"}),
    (2, {"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    (3, {"a": "b"}, {"a": None}, {}),
    (4, {"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    (5, {"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    (6, {"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    (7, {"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    (8, {"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (9, ["a", "b"], ["c", "d"], ["c", "d"]),
    (10, {"a": "b"}, ["c"], ["c"]),
    (11, {"a": "foo"}, None, None),
    (12, {"a": "foo"}, "bar", "bar"),
    (13, {"e": None}, {"a": 1}, {"e": None, "a": 1}),
    (14, [1, 2], {"a": "b", "c": None}, {"a": "b"}),
    (15, {}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("row", "original", "patch", "result"), APPENDIX_A, ids=lambda item: f"{item}"[:12])
def test_appendix_a(row: int, original: Any, patch: Any, result: Any) -> None:
    before = copy.deepcopy(original)
    assert merge_patch(original, patch) == result
    assert original == before


def test_the_example_of_section_1() -> None:
    original = {"a": "b", "c": {"d": "e", "f": "g"}}
    assert merge_patch(original, {"a": "z", "c": {"f": None}}) == {"a": "z", "c": {"d": "e"}}


def test_the_example_of_section_3() -> None:
    original = {
        "title": "Goodbye!",
        "author": {"givenName": "John", "familyName": "Doe"},
        "tags": ["example", "sample"],
        "content": "This will be unchanged",
    }
    patch = {
        "title": "Hello!",
        "phoneNumber": "+01-123-456-7890",
        "author": {"familyName": None},
        "tags": ["example"],
    }
    assert merge_patch(original, patch) == {
        "title": "Hello!",
        "author": {"givenName": "John"},
        "tags": ["example"],
        "content": "This will be unchanged",
        "phoneNumber": "+01-123-456-7890",
    }


SHAPED = st.recursive(
    st.just({}),
    lambda inner: st.builds(
        lambda objects, others: {**objects, **others},
        st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
        st.dictionaries(st.sampled_from("cd"), PRIMITIVES.filter(lambda item: item is not None), max_size=2),
    ),
    max_leaves=6,
)
"""Patches that remove nothing, and agree on which names hold objects."""


@given(VALUES, VALUES)
def test_a_patch_applied_twice_is_applied_once(target: Any, patch: Any) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


@given(VALUES, VALUES)
def test_the_size_is_kept_up(target: Any, patch: Any) -> None:
    result, longer = merge_sized(target, patch)
    assert measure(result) == measure(target) + longer


@given(VALUES, SHAPED, SHAPED)
def test_patches_of_one_shape_compose(target: Any, first: Any, second: Any) -> None:
    """Associativity where it holds: neither removes anything, and no name changes its kind between them."""
    assert merge_patch(merge_patch(target, first), second) == merge_patch(target, merge_patch(first, second))


@given(OBJECTS)
def test_an_empty_patch_changes_nothing(target: Any) -> None:
    assert merge_patch(target, {}) is target


def test_what_a_patch_does_not_name_is_shared() -> None:
    target = {"a": {"x": 1}, "b": {"y": 2}}
    result = merge_patch(target, {"b": {"y": 3}})
    assert result["a"] is target["a"]
    assert target == {"a": {"x": 1}, "b": {"y": 2}}
