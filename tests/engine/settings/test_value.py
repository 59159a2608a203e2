"""The value rule (docs/wire/settings.md, section 6), sizes, depth, and when two values are the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from retain.engine.core.errors import Invalid
from retain.engine.settings import EncodedValue, SettingsPolicy
from retain.engine.settings.value import check_body, depth_of, from_text, measure, same, to_text
from tests.engine.settings.strategies import VALUES


def verdict(value: Any, depth: int, policy: SettingsPolicy) -> str:
    """Why `value` may not stand `depth` names below its document; "" if it may."""
    try:
        check_body(EncodedValue.of(value), depth, policy)
    except Invalid as error:
        return error.reason
    return ""


STRICT, LENIENT = SettingsPolicy(), SettingsPolicy(allow_object_arrays=True)


@pytest.mark.parametrize(
    "value", [{"a": []}, {"a": [1, "x", None, True, 1.5]}, {"a": [[1], [[2]]]}, {"a": "[{"}, 5, None, "x", []]
)
def test_allowed_values(value: Any) -> None:
    assert verdict(value, 2, STRICT) == ""
    assert verdict([value, {}], 2, STRICT) == "object-array"


@pytest.mark.parametrize("value", [[{}], {"a": [{"b": 1}]}, {"a": {"b": [1, [2, [{}]]]}}, [1, {}]])
def test_arrays_that_hold_objects_are_refused(value: Any) -> None:
    """docs/wire/settings.md, section 6."""
    assert verdict(value, 2, STRICT) == "object-array"
    assert verdict(value, 2, LENIENT) == ""


@pytest.mark.parametrize(
    ("value", "depth"),
    [
        ({"cfg": {"a": {"__metadata": {}}}}, 0),
        ({"a": {"__metadata": {}}}, 1),
        ({"__metadata": {}}, 2),
        ({"x": {"__metadata": 1}}, 3),
        ({"cfg": {"__metadata": {"__metadata": {}}}}, 0),
        ({"__metadata": {}}, 0),
    ],
)
def test_metadata_deeper_than_a_configuration_is_refused(value: Any, depth: int) -> None:
    assert verdict(value, depth, LENIENT) == "metadata"


@pytest.mark.parametrize(("value", "depth"), [({"cfg": {"__metadata": {}}}, 0), ({"__metadata": {}}, 1)])
def test_metadata_of_a_configuration_passes(value: Any, depth: int) -> None:
    assert verdict(value, depth, STRICT) == ""
    assert verdict(value, depth + 1, STRICT) == "metadata"


@pytest.mark.parametrize(
    ("value", "depth"),
    [(1, 0), ("[[", 0), ([], 1), ({}, 1), ({"a": [1, {}]}, 3), ([[[[]]]], 4), ({"a": 1, "b": [[]]}, 3)],
)
def test_depth(value: Any, depth: int) -> None:
    assert depth_of(value) == depth


@given(VALUES)
def test_the_text_keeps_the_value(value: Any) -> None:
    again = from_text(to_text(value))
    assert same(value, again)
    assert to_text(again) == to_text(value)
    assert measure(value) == len(to_text(value))


def test_numbers_are_kept() -> None:
    """Big integers exactly, floats as Python writes them."""
    for text in [b"123456789012345678901234567890", b"-0.0", b"1e+100", b"0.1", b"1.0", b"9007199254740993"]:
        assert to_text(from_text(text)) == text


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [(1, 1.0, True), (1, True, False), (False, 0, False), (None, False, False), ("1", 1, False),
     ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True), ([1, 2], [2, 1], False), ({"a": True}, {"a": 1}, False),
     ([], {}, False), (None, None, True)],
)  # fmt: skip
def test_sameness(one: Any, other: Any, equal: bool) -> None:
    assert same(one, other) is equal
