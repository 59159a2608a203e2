"""The text of an export: what is read, what is refused, and how a difference is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from retain.api.settings.transfer import differences, line_of, pack, read_export, text_of, unpack
from retain.engine.core.errors import Invalid
from retain.engine.settings import Level, Place

WHOLE = {"format": "retain-settings-1", "application": "app", "documents": []}
GLOBAL = Place("app", Level.GLOBAL)
ANN = Place("app", Level.USER, "", "ann")
DESK = Place("app", Level.DEVICE, "desk", "ann")


def document(**changes: Any) -> dict[str, Any]:
    return {"level": "device", "device": "desk", "user": "ann", "value": {}, **changes}


def test_an_export_is_read() -> None:
    assert read_export(json.dumps(WHOLE).encode(), 64) == WHOLE
    entries = [document(level="global"), document(level="user"), document(value={"c": 1})]
    assert unpack("app", entries) == {GLOBAL: {}, ANN: {}, DESK: {"c": 1}}


def test_an_export_is_written_to_the_letter_as_it_is_read() -> None:
    documents = {DESK: {"c": 1}, ANN: {}, GLOBAL: {"g": {}}}
    export = pack("app", documents)
    assert export == {
        "format": "retain-settings-1",
        "application": "app",
        "documents": [
            {"level": "global", "value": {"g": {}}},
            {"level": "user", "user": "ann", "value": {}},
            {"level": "device", "device": "desk", "user": "ann", "value": {"c": 1}},
        ],
    }
    assert unpack(export["application"], export["documents"]) == documents


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "retain-settings-2"},
        {"format": None},
        {"application": None},
        {"application": 1},
        {"documents": {}},
        {"documents": None},
    ],
)
def test_what_is_no_export_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        read_export(json.dumps({**WHOLE, **changes}).encode(), 64)
    assert caught.value.reason == "format"


def test_an_export_is_an_object() -> None:
    for text in (b"[]", b'"retain-settings-1"', b"null"):
        with pytest.raises(Invalid):
            read_export(text, 64)


def test_a_document_in_an_export_may_be_as_deep_as_one_in_a_request() -> None:
    """The export itself is three levels around it."""
    deep: Any = 1
    for _ in range(5):
        deep = {"a": deep}
    for depth, taken in ((5, True), (4, False)):
        text = json.dumps({**WHOLE, "documents": [document(value=deep)]}).encode()
        if taken:
            assert read_export(text, depth)["documents"][0]["value"] == deep
        else:
            with pytest.raises(Invalid):
                read_export(text, depth)


@pytest.mark.parametrize(
    "item",
    [
        None,
        [],
        document(level=None),
        document(level="desk"),
        document(level=["user"]),
        document(value=None),
        document(value=[]),
        document(user=None),
        document(user=""),
        document(user="."),
        document(user=".."),
        document(user="a\0b"),
        document(user="x" * 4097),
        document(user="ä" * 2049),
        document(device=""),
        document(device=5),
        document(level="user", user=""),
        {"level": "device", "user": "ann", "value": {}},
        {"level": "user", "value": {}},
    ],
)
def test_an_entry_that_is_malformed_is_refused(item: Any) -> None:
    with pytest.raises(Invalid) as caught:
        unpack("app", [item])
    assert caught.value.reason == "format"


def test_names_up_to_their_size_are_taken() -> None:
    for name in ("x" * 4096, "ä" * 2048, "...", "a/b"):
        assert unpack(name, [document(user=name, device=name)]) == {Place(name, Level.DEVICE, name, name): {}}
    for name in ("", "..", "x" * 4097):
        with pytest.raises(Invalid):
            unpack(name, [document(level="global")])


def test_one_place_occurs_once() -> None:
    with pytest.raises(Invalid, match="device desk ann occurs twice"):
        unpack("app", [document(), document(value={"other": 1})])


def test_places_in_words() -> None:
    assert [text_of(place) for place in (GLOBAL, ANN, DESK)] == ["global", "user ann", "device desk ann"]


def test_differences_are_told_place_by_place_down_to_what_differs() -> None:
    old = {
        GLOBAL: {"same": {"x": [1]}, "gone": 1, "deep": {"a": {"b": 1, "c": 2}}, "kind": {}},
        ANN: {"a": 1},
    }
    new = {
        GLOBAL: {"same": {"x": [1]}, "deep": {"a": {"b": 1, "c": "ü"}}, "kind": [], "new": None},
        DESK: {"z": 0},
    }
    lines = [
        "- global: gone = 1",
        '~ global: deep/a/c = 2 → "ü"',
        "~ global: kind = {} → []",
        "+ global: new = null",
    ]
    added = '+ device desk ann = {"z": 0}'
    assert [line_of(one) for one in differences(old, new, replace=False)] == [*lines, added]
    removed = '- user ann = {"a": 1}'
    assert [line_of(one) for one in differences(old, new, replace=True)] == [*lines, removed, added]
    assert list(differences(old, old, replace=True)) == []
