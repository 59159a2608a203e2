"""What changed between two moments."""

from __future__ import annotations

from typing import Any

from retain.engine.audit.diff import compare_contents


def thing(number: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "area", "resource": number, **fields}


def test_what_came_changed_or_went_is_told_once() -> None:
    before = [thing("1", a=1), thing("2", keys={"x": {"text": "1"}, "y": 1}), thing("3")]
    after = [thing("1", a=1), thing("2", keys={"x": {"text": "2"}, "z": 1}), thing("4")]
    found = list(compare_contents(before, after))
    assert [(one.what, one.holding["resource"], one.fields) for one in found] == [
        ("changed", "2", ("keys.x.text", "keys.y", "keys.z")),
        ("added", "4", ()),
        ("removed", "3", ()),
    ]
    assert found[0].before == before[1]
    assert found[0].after == after[1]


def test_the_same_number_of_another_kind_is_another_thing() -> None:
    token = {"kind": "token", "resource": "1"}
    assert [one.what for one in compare_contents([thing("1")], [token])] == ["added", "removed"]


def test_a_field_that_became_an_object_is_told_as_a_whole() -> None:
    (one,) = compare_contents([thing("1", a=1)], [thing("1", a={"b": 1})])
    assert one.fields == ("a",)
