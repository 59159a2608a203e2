"""The deadline index: what is due, in order, with nothing dead left behind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain.engine.core.deadlines import DeadlineKind, Deadlines

NAMES = st.sampled_from("abcdef")
TIMES = st.integers(0, 20)


def test_nothing_ends_in_an_empty_index() -> None:
    index = Deadlines()
    assert index.next() is None
    assert index.due(1 << 62, 10) == []
    assert len(index) == 0


def test_due_means_at_or_before_now() -> None:
    index = Deadlines()
    index.arm(100, DeadlineKind.AREA, "a")
    assert index.due(99, 10) == []
    assert index.due(100, 10) == [(100, DeadlineKind.AREA, "a")]


def test_due_is_ordered_and_bounded() -> None:
    index = Deadlines()
    index.load(DeadlineKind.AREA, [9, 1], ["d", "a"])
    index.load(DeadlineKind.BLOB, [3], ["c"])
    index.load(DeadlineKind.TOKEN, [2], ["b"])
    assert index.next() == 1
    assert index.due(5, 2) == [(1, DeadlineKind.AREA, "a"), (2, DeadlineKind.TOKEN, "b")]
    assert [key for _, _, key in index.due(5, 10)] == ["a", "b", "c"]
    assert [kind for _, kind, _ in index.due(5, 10)] == [
        DeadlineKind.AREA,
        DeadlineKind.TOKEN,
        DeadlineKind.BLOB,
    ]


def test_keys_of_different_kinds_are_never_compared() -> None:
    index = Deadlines()
    index.arm(1, DeadlineKind.AREA, "text")
    index.arm(1, DeadlineKind.BLOB, 7)
    index.arm(1, DeadlineKind.TOKEN, (1, b"bytes"))
    assert len(index.due(1, 10)) == 3


def test_disarming_what_was_not_armed_is_a_bug() -> None:
    index = Deadlines()
    index.arm(1, DeadlineKind.AREA, "a")
    with pytest.raises(ValueError, match="not in list"):
        index.disarm(2, DeadlineKind.AREA, "a")
    with pytest.raises(ValueError, match="not in list"):
        index.disarm(1, DeadlineKind.BLOB, "a")


@given(st.lists(st.tuples(NAMES, TIMES | st.none()), max_size=60), TIMES, st.integers(1, 8))
def test_equals_a_sorted_dict_and_leaves_nothing_dead(
    moves: list[tuple[str, int | None]], now: int, limit: int
) -> None:
    index = Deadlines()
    model: dict[str, int] = {}
    for name, at in moves:
        if name in model:
            index.disarm(model.pop(name), DeadlineKind.AREA, name)
        if at is not None:
            index.arm(at, DeadlineKind.AREA, name)
            model[name] = at
    expected = sorted((at, name) for name, at in model.items())
    assert [(at, key) for at, _, key in index.entries()] == expected
    assert len(index) == len(model)
    assert index.next() == (expected[0][0] if expected else None)
    due = [(at, key) for at, _, key in index.due(now, limit)]
    assert due == [(at, key) for at, key in expected if at <= now][:limit]


def test_in_bulk_comes_to_the_same_in_the_end() -> None:
    index = Deadlines()
    index.arm(5, DeadlineKind.AREA, "kept")
    index.arm(6, DeadlineKind.AREA, "moved")
    with index.in_bulk():
        index.disarm(6, DeadlineKind.AREA, "moved")
        index.arm(2, DeadlineKind.AREA, "moved")
        index.load(DeadlineKind.BLOB, [9, 1], ["b", "a"])
    assert index.next() == 1
    assert [key for _, _, key in index.due(9, 10)] == ["a", "moved", "kept", "b"]


def test_in_bulk_what_comes_and_goes_takes_no_room() -> None:
    index = Deadlines()
    with index.in_bulk():
        for at in range(1000):
            index.arm(at, DeadlineKind.AREA, "a")
            index.arm(at, DeadlineKind.BLOB, at)
            index.disarm(at, DeadlineKind.AREA, "a")
            if at >= 10:
                index.disarm(at - 10, DeadlineKind.BLOB, at - 10)
            assert len(vars(index._entries)["_came"]) <= 2 * 12
        index.arm(5, DeadlineKind.AREA, "a")
    assert [key for _, _, key in index.due(5000, 20)] == ["a", *range(990, 1000)]


def test_in_bulk_disarming_what_was_not_armed_is_a_bug_too() -> None:
    index = Deadlines()

    def broken() -> None:
        with index.in_bulk():
            for key in "abc":
                index.arm(1, DeadlineKind.AREA, key)
            index.disarm(3, DeadlineKind.AREA, "never armed")

    with pytest.raises(AssertionError, match="had not been armed"):
        broken()


def test_in_bulk_orders_although_it_was_left_by_an_error() -> None:
    index = Deadlines()

    def broken_replay() -> None:
        with index.in_bulk():
            index.arm(2, DeadlineKind.AREA, "b")
            index.arm(1, DeadlineKind.AREA, "a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_replay()
    assert index.next() == 1


def test_what_sleeps_is_never_due_until_it_wakes() -> None:
    index = Deadlines()
    index.arm(1, DeadlineKind.AREA, "armed before")
    index.arm(2, DeadlineKind.AREA, "free")
    index.sleep(DeadlineKind.AREA, "armed before", 1)
    index.sleep(DeadlineKind.AREA, "armed after", None)
    index.arm(1, DeadlineKind.AREA, "armed after")
    index.sleep(DeadlineKind.AREA, "loaded", None)
    index.load(DeadlineKind.AREA, [1, 3], ["loaded", "beside it"])
    assert index.next() == 2
    assert [key for _, _, key in index.due(9, 9)] == ["free", "beside it"]
    assert len(index) == len(index.entries()) == 5
    assert index.entries() == sorted(index.entries())
    index.disarm(1, DeadlineKind.AREA, "armed after")
    for key in ("armed before", "armed after", "loaded"):
        index.wake(DeadlineKind.AREA, key)
    assert [key for _, _, key in index.due(1, 9)] == ["armed before", "loaded"]
    assert not index.asleep


def test_only_what_is_armed_is_disarmed_asleep_or_not() -> None:
    index = Deadlines()
    index.arm(1, DeadlineKind.AREA, "a")
    index.sleep(DeadlineKind.AREA, "a", 1)
    with pytest.raises(ValueError, match="not in list"):
        index.disarm(2, DeadlineKind.AREA, "a")
