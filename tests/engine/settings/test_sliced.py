"""JSON in slices comes to the same as JSON at once, whatever the slices; and the slices are short."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retain.engine.settings import sliced
from tests.engine.settings.strategies import VALUES

SHAPES: list[Any] = [
    [1] * 60_000,
    {f"k{number}": {"a": [number]} for number in range(20_000)},
    [[]] * 40_000,
    [[[[[{"a": 1}]]]]] * 8_000,
    {"a": ["x" * 50_000, 'y\\"' * 30_000, {"b": list(range(40_000))}]},
]


@contextmanager
def tiny_slices() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sliced, "SLICE_VALUES", 3)
        patch.setattr(sliced, "SLICE_CHARACTERS", 9)
        patch.setattr(sliced, "GROUP", 2)
        yield


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise sliced.DoubledName
    return dict(pairs)


STRICT = partial(json.loads, object_pairs_hook=unique)


def read(loads: Any, text: str) -> Any:
    """What a reader makes of a text; None in a tuple of its own if it refuses."""
    try:
        return repr(loads(text))
    except ValueError:
        return None


@given(VALUES, st.sampled_from([(",", ":"), (" , ", " :\n")]))
def test_values_come_back(value: Any, separators: tuple[str, str]) -> None:
    with tiny_slices():
        assert sliced.encode(value) == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        text = json.dumps(value, separators=separators)
        assert repr(sliced.decode(text)) == repr(value)


@given(st.text('[]{},:" \\ab1-e.\n', min_size=1, max_size=40))
@example("[1,2,3,4,5,6,]")
@example('{"a":1,"b":2,"c":3,"a":4}')
@example('{"a":[1,2,3,4,5],"a":[1,2,3,4,5]}')
@example('{"a":1,"a":[1,2,3,4,5,6]}')
@example("[[1,2,3,4,5,6},1]")
@example("[,1,2,3,4,5,6]")
@example("[1,,2,3,4,5,6]")
@example("[[1,2,3,4,5,6] [1]]")
@example('{"aaaaaaaaaaa" 1}')
@example('{"a":1,"bbbbbbbbbb":}')
@example('["aaaaaaaaaaaaaaaaaaaaaaaaa')
@example("[1,2,3,4,5,6,7,8] 9")
def test_what_is_no_json_is_refused_all_the_same(text: str) -> None:
    with tiny_slices():
        assert read(partial(sliced.decode, loads=STRICT), text) == read(STRICT, text)


@given(VALUES, st.data())
def test_damaged_texts_are_refused_all_the_same(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value)
    at = data.draw(st.integers(0, len(text)))
    text = (
        text[:at] + data.draw(st.sampled_from(["", ",", "]", "}", "[", "{", '"', ":", "1"])) + text[at + 1 :]
    )
    with tiny_slices():
        assert read(partial(sliced.decode, loads=STRICT), text) == read(STRICT, text)


@pytest.mark.parametrize("value", SHAPES, ids=["numbers", "objects", "empty", "nested", "long"])
def test_no_slice_is_long(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps(value, separators=(",", ":"))
    slices: list[str] = []

    def loads(slice_: str) -> Any:
        slices.append(slice_)
        return json.loads(slice_)

    assert sliced.decode(text, loads) == value
    strings = [json.dumps(one) for one in value["a"][:2]] if "a" in value else []
    assert max(len(one) for one in slices if one not in strings) <= sliced.SLICE_CHARACTERS + 2
    assert len(slices) < len(text) / 20

    written: list[Any] = []
    encode = sliced._encode

    def spy(part: Any) -> str:
        written.append(part)
        return encode(part)

    monkeypatch.setattr(sliced, "_encode", spy)
    assert sliced.encode(value) == text
    assert all(map(sliced.is_small, written))
    assert len(written) < len(text) / 20


def test_one_slice_more_than_is_small() -> None:
    assert sliced.is_small([0] * sliced.SLICE_VALUES)
    assert not sliced.is_small([0] * (sliced.SLICE_VALUES + 1))
    assert not sliced.is_small([[0]] * (sliced.SLICE_VALUES // 2 + 1))
    assert not sliced.is_small({"a": ({"b": [0] * sliced.SLICE_VALUES},)})
    assert sliced.is_small("x" * 100_000)
