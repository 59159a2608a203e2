"""Generations against a dict."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain.engine.core import generations
from retain.engine.core.generations import Generations

KEYS = st.integers(0, 12)
STEPS = st.lists(st.tuples(st.booleans(), KEYS), max_size=60)


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Generations of four."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generations, "GENERATION", 4)
        yield


@given(STEPS)
def test_they_are_a_dict_that_keeps_the_order(steps: list[tuple[bool, int]]) -> None:
    table: Generations[int, str] = Generations(str.encode, lambda _, packed: packed.decode())
    model: dict[int, str] = {}
    for number, (comes, key) in enumerate(steps):
        if not comes:
            assert table.pop(key) == model.pop(key, None)
        elif key not in model:
            table.add(key, f"value {number}")
            model[key] = f"value {number}"
        assert len(table) == len(model)
        assert (key in table) == (key in model)
        assert table.get(key) == model.get(key)
    assert list(table) == list(model)
    assert list(table.items()) == list(model.items())
    assert list(table.values()) == list(model.values())


@given(STEPS, STEPS)
def test_views_give_what_was_there(before: list[tuple[bool, int]], after: list[tuple[bool, int]]) -> None:
    table = numbered()
    change(table, before)
    expected = dict(table.items())
    views = table.views()
    change(table, after)
    found = {key: int(packed) for view in views for key, packed in view.items()}
    assert found == expected


def numbered() -> Generations[int, int]:
    return Generations(b"%d".__mod__, lambda _, packed: int(packed))


def change(table: Generations[int, int], steps: list[tuple[bool, int]]) -> None:
    for number, (comes, key) in enumerate(steps):
        if not comes:
            table.pop(key)
        elif key not in table:
            table.add(key, number)


def test_what_is_taken_out_between_two_portions_is_not_in_the_later_one() -> None:
    table = numbered()
    for key in range(10):
        table.add(key, key)
    portions = table.portions()
    assert list(next(portions)) == [0, 1, 2, 3]
    for key in (0, 1, 2, 3, 5):
        table.pop(key)
    table.add(10, 10)
    table.add(11, 11)
    table.add(12, 12)
    assert list(map(list, portions)) == [[4, 6, 7], [8, 9, 10, 11]], (
        "what came into a new generation is not looked at"
    )
    assert list(table) == [4, 6, 7, 8, 9, 10, 11, 12]


def test_what_it_holds_is_nothing_for_the_collector() -> None:
    """A million of these come while as many other things go: Python then never looks, and at last at all."""
    table: Generations[int, tuple[int, bytes]] = Generations(
        lambda value: b"%d %b" % value, lambda _, packed: (int(packed.split()[0]), packed.split()[1])
    )
    table.add(1, (7, b"seven"))
    assert table.get(1) == (7, b"seven")
    [(key, packed)] = [item for view in table.views() for item in view.items()]
    assert not gc.is_tracked(key)
    assert not gc.is_tracked(packed)


def test_no_part_ever_takes_in_more_than_a_generation() -> None:
    """Also where entries come and go, as in a dict that never shrinks."""
    table = numbered()
    for key in range(100):
        table.add(key, key)
        if key % 2:
            table.pop(key)
    assert max(len(list(portion)) for portion in table.portions()) <= 4
    assert sum(1 for _ in table.portions()) == 25
    for key in range(0, 96, 2):
        table.pop(key)
    assert sum(1 for _ in table.portions()) == 1


@given(st.lists(st.integers(0, 9), max_size=6), STEPS)
def test_many_keys_at_once_come_in_order_and_views_do_not_see_them(
    counts: list[int], steps: list[tuple[bool, int]]
) -> None:
    """Also while a view is read: its tables take one key at a time."""
    table = numbered()
    change(table, steps)
    model = dict(table.items())
    fresh = 100
    for count in counts:
        keys = range(fresh, fresh + count)
        views, before = table.views(), dict(model)
        table.add_all(keys, b"7")
        model.update(dict.fromkeys(keys, 7))
        assert {key: int(packed) for view in views for key, packed in view.items()} == before
        table.pop(fresh)
        model.pop(fresh, None)
        fresh += 10
    assert list(table.items()) == list(model.items())
    assert all(len(list(portion)) <= 4 for portion in table.portions())


def test_an_emptied_generation_does_not_stay() -> None:
    table = numbered()
    for key in range(50):
        views = table.views()
        table.add_all([key], b"7")
        table.pop(key)
        del views
    assert len(table.views()) == 1
