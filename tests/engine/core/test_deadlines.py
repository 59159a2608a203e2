"""The deadline index: what is due, in order, with nothing dead left behind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain.engine.core.deadlines import Deadlines, Kind

NAMES = st.sampled_from("abcdef")
TIMES = st.integers(0, 20)


def test_nothing_ends_in_an_empty_index() -> None:
    index = Deadlines()
    assert index.next() is None
    assert index.due(1 << 62, 10) == []
    assert len(index) == 0


def test_due_means_at_or_before_now() -> None:
    index = Deadlines()
    index.arm(100, Kind.AREA, "a")
    assert index.due(99, 10) == []
    assert index.due(100, 10) == [(100, Kind.AREA, "a")]


def test_due_is_ordered_and_bounded() -> None:
    index = Deadlines()
    index.load(Kind.AREA, [9, 1], ["d", "a"])
    index.load(Kind.BLOB, [3], ["c"])
    index.load(Kind.TOKEN, [2], ["b"])
    assert index.next() == 1
    assert index.due(5, 2) == [(1, Kind.AREA, "a"), (2, Kind.TOKEN, "b")]
    assert [key for _, _, key in index.due(5, 10)] == ["a", "b", "c"]
    assert [kind for _, kind, _ in index.due(5, 10)] == [Kind.AREA, Kind.TOKEN, Kind.BLOB]


def test_keys_of_different_kinds_are_never_compared() -> None:
    index = Deadlines()
    index.arm(1, Kind.AREA, "text")
    index.arm(1, Kind.BLOB, 7)
    index.arm(1, Kind.TOKEN, (1, b"bytes"))
    assert len(index.due(1, 10)) == 3


def test_disarming_what_was_not_armed_is_a_bug() -> None:
    index = Deadlines()
    index.arm(1, Kind.AREA, "a")
    with pytest.raises(ValueError, match="not in list"):
        index.disarm(2, Kind.AREA, "a")
    with pytest.raises(ValueError, match="not in list"):
        index.disarm(1, Kind.BLOB, "a")


@given(st.lists(st.tuples(NAMES, TIMES | st.none()), max_size=60), TIMES, st.integers(1, 8))
def test_equals_a_sorted_dict_and_leaves_nothing_dead(
    moves: list[tuple[str, int | None]], now: int, limit: int
) -> None:
    index = Deadlines()
    model: dict[str, int] = {}
    for name, at in moves:
        if name in model:
            index.disarm(model.pop(name), Kind.AREA, name)
        if at is not None:
            index.arm(at, Kind.AREA, name)
            model[name] = at
    expected = sorted((at, name) for name, at in model.items())
    assert [(at, key) for at, _, key in index.entries()] == expected
    assert len(index) == len(model)
    assert index.next() == (expected[0][0] if expected else None)
    due = [(at, key) for at, _, key in index.due(now, limit)]
    assert due == [(at, key) for at, key in expected if at <= now][:limit]


def test_in_bulk_comes_to_the_same_in_the_end() -> None:
    index = Deadlines()
    index.arm(5, Kind.AREA, "kept")
    index.arm(6, Kind.AREA, "moved")
    with index.in_bulk():
        index.disarm(6, Kind.AREA, "moved")
        index.arm(2, Kind.AREA, "moved")
        index.load(Kind.BLOB, [9, 1], ["b", "a"])
    assert index.next() == 1
    assert [key for _, _, key in index.due(9, 10)] == ["a", "moved", "kept", "b"]


def test_in_bulk_what_comes_and_goes_takes_no_room() -> None:
    index = Deadlines()
    with index.in_bulk():
        for at in range(1000):
            index.arm(at, Kind.AREA, "a")
            index.arm(at, Kind.BLOB, at)
            index.disarm(at, Kind.AREA, "a")
            if at >= 10:
                index.disarm(at - 10, Kind.BLOB, at - 10)
            assert len(vars(index._entries)["_came"]) <= 2 * 12
        index.arm(5, Kind.AREA, "a")
    assert [key for _, _, key in index.due(5000, 20)] == ["a", *range(990, 1000)]


def test_in_bulk_disarming_what_was_not_armed_is_a_bug_too() -> None:
    index = Deadlines()

    def broken() -> None:
        with index.in_bulk():
            for key in "abc":
                index.arm(1, Kind.AREA, key)
            index.disarm(3, Kind.AREA, "never armed")

    with pytest.raises(AssertionError, match="had not been armed"):
        broken()


def test_in_bulk_orders_although_it_was_left_by_an_error() -> None:
    index = Deadlines()

    def broken_replay() -> None:
        with index.in_bulk():
            index.arm(2, Kind.AREA, "b")
            index.arm(1, Kind.AREA, "a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_replay()
    assert index.next() == 1


def test_what_sleeps_is_never_due_until_it_wakes() -> None:
    index = Deadlines()
    index.arm(1, Kind.AREA, "armed before")
    index.arm(2, Kind.AREA, "free")
    index.sleep(Kind.AREA, "armed before", 1)
    index.sleep(Kind.AREA, "armed after", None)
    index.arm(1, Kind.AREA, "armed after")
    index.sleep(Kind.AREA, "loaded", None)
    index.load(Kind.AREA, [1, 3], ["loaded", "beside it"])
    assert index.next() == 2
    assert [key for _, _, key in index.due(9, 9)] == ["free", "beside it"]
    assert len(index) == len(index.entries()) == 5
    assert index.entries() == sorted(index.entries())
    index.disarm(1, Kind.AREA, "armed after")
    for key in ("armed before", "armed after", "loaded"):
        index.wake(Kind.AREA, key)
    assert [key for _, _, key in index.due(1, 9)] == ["armed before", "loaded"]
    assert not index.asleep


def test_only_what_is_armed_is_disarmed_asleep_or_not() -> None:
    index = Deadlines()
    index.arm(1, Kind.AREA, "a")
    index.sleep(Kind.AREA, "a", 1)
    with pytest.raises(ValueError, match="not in list"):
        index.disarm(2, Kind.AREA, "a")
