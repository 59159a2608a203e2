"""What a write costs: no more than a multiple of what was sent and of the document that it changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from retain.engine.core.domain import SharedState
from retain.engine.core.errors import TooLarge
from retain.engine.core.event import Cause, Stamp
from retain.engine.settings.commands import MergeValue, PatchValue, PostValue, SettingsWrite
from retain.engine.settings.decide import deciders
from retain.engine.settings.events import DocumentDeleted, unpack_changes
from retain.engine.settings.json_patch import apply_steps, read_steps, work_for
from retain.engine.settings.model import Asker, Level, Place, SettingsPolicy
from retain.engine.settings.queries import owner_of
from retain.engine.settings.slice import SettingsSlice
from retain.engine.settings.state import SettingsState, apply_changes
from retain.engine.settings.value import EncodedValue
from tests.kit.work import assert_linear, assert_linear_in_c

PLACE = Place("app", Level.USER, "ann", "")
FACTS: dict[str, Any] = {
    "actor": "user:ann",
    "asker": Asker("ann"),
    "place": PLACE,
    "path": (),
    "policy": SettingsPolicy(),
    "resource": bytes(16),
}


def perform(state: SettingsState, command: SettingsWrite) -> None:
    """Decide and apply, as the writer does."""
    for number, event in enumerate(deciders(state)[type(command)](command, 0).events, 1):
        SettingsSlice.handlers(state)[type(event)](event, Stamp(number, 0, 0))  # type: ignore[arg-type]


def state_with(value: dict[str, Any]) -> SettingsSlice:
    state = SettingsSlice(SharedState())
    perform(state, PostValue(body=EncodedValue.of(value), **FACTS))
    return state


def posting(size: int) -> Callable[[], None]:
    """A POST of many names to a document that is there."""
    state = state_with({"first": 1})
    command = PostValue(body=EncodedValue.of({f"k{n}": n for n in range(size)}), **FACTS)
    return lambda: perform(state, command)


def patching(size: int) -> Callable[[], None]:
    """A JSON patch whose steps, no more than 1,000, change everything: at once or one by one."""
    state = state_with({f"k{n}": n for n in range(size)})
    steps = [{"op": "replace", "path": "", "value": {f"k{n}": n + 1 for n in range(size)}}]
    command = PatchValue(steps=read_steps(steps), size=20 * size, **FACTS)
    return lambda: perform(state, command)


def merging(size: int) -> Callable[[], None]:
    state = state_with({f"k{n}": n for n in range(size)})
    command = MergeValue(body=EncodedValue.of({f"k{n}": n + 1 for n in range(size)}), **FACTS)
    return lambda: perform(state, command)


def replaying(size: int) -> Callable[[], None]:
    """A record with many changes, as journals have held them from the beginning."""
    packed = json.dumps([[1, [f"k{n}"], n] for n in range(size)]).encode()
    return lambda: apply_changes({"first": 1}, unpack_changes(packed))


def removing(size: int) -> Callable[[], None]:
    value = {f"k{n}": n for n in range(size)}
    packed = json.dumps([[2, [f"k{n}"]] for n in range(size)]).encode()
    return lambda: apply_changes(value, unpack_changes(packed))


@pytest.mark.parametrize("shape", [posting, patching, merging, replaying, removing])
def test_many_names_cost_so_much_each(shape: Callable[[int], Callable[[], None]]) -> None:
    assert_linear(shape, 500)
    assert_linear_in_c(shape, 2_500)


def nested_patch(size: int) -> Callable[[], None]:
    """A document replaced by an equal one but for its last and deepest value."""

    def deep(end: int) -> Any:
        value: Any = {"end": end}
        for level in range(60):
            value = {**{f"k{level}.{n}": n for n in range(size)}, "deeper": value}
        return value

    state = state_with({"c": deep(1)})
    command = PatchValue(
        steps=read_steps([{"op": "replace", "path": "/c", "value": deep(2)}]), size=0, **FACTS
    )
    return lambda: perform(state, command)


def test_a_deep_document_is_compared_once() -> None:
    """Not once a level: 60 levels of 40 members are 2,400 comparisons, and not 70,000."""
    from tests.kit.work import steps

    assert steps(lambda: nested_patch(40)) < 60 * 40 * 400


WIDE = [1] * 50_000


@pytest.mark.parametrize(
    ("document", "step", "inverse"),
    [
        ({"a": WIDE}, {"op": "move", "from": "/a", "path": "/b"}, {"op": "move", "from": "/b", "path": "/a"}),
        ({"a": WIDE}, {"op": "add", "path": "/a/-", "value": 1}, {"op": "remove", "path": "/a/50000"}),
        (
            {"a": WIDE},
            {"op": "replace", "path": "/a/7", "value": 2},
            {"op": "test", "path": "/a/7", "value": 2},
        ),
        (
            {"a": dict.fromkeys(map(str, WIDE + list(range(50_000))), 0)},
            {"op": "add", "path": "/a/new", "value": 1},
            {"op": "remove", "path": "/a/new"},
        ),
    ],
    ids=["move whole", "append", "replace", "member"],
)  # fmt: skip
def test_steps_on_something_wide_copy_it_once(document: Any, step: Any, inverse: Any) -> None:
    """500 times, and for less work than two copies of it."""
    steps = read_steps([step, inverse] * 500)
    copies_of_members = 2 * len(document["a"]) // 4
    found = apply_steps(document, steps, max_bytes=1 << 22, max_depth=64, work=copies_of_members + 2_000)
    assert (found == document) is (inverse["op"] != "test"), "all but a replacement is undone each time"


@pytest.mark.parametrize(
    ("document", "steps"),
    [
        # Deeper at each step, so that the depth of what moves has to be looked for.
        (
            {"a": WIDE, "b": {"c": {}}},
            [
                {"op": "move", "from": "/a", "path": "/b/c/a"},
                {"op": "move", "from": "/b/c/a", "path": "/a"},
            ] * 500,
        ),
        # Elements moved through an array, all others shifted by one.
        ({"a": WIDE}, [{"op": "move", "from": "/a/49999", "path": "/a/0"}] * 1_000),
        # A copy between two changes: both places share the array, and each change copies it.
        (
            {"a": WIDE, "b": []},
            [{"op": "copy", "from": "/b", "path": "/c"}, {"op": "add", "path": "/a/-", "value": 1}] * 500,
        ),
        # Much copied, although nothing of it stays.
        ({"a": WIDE}, [{"op": "copy", "from": "/a", "path": "/b"}, {"op": "remove", "path": "/b"}] * 500),
    ],
    ids=["deeper", "through an array", "shared", "copied"],
)  # fmt: skip
def test_work_beyond_the_budget_is_refused(document: Any, steps: Any) -> None:
    parsed = read_steps(steps)
    spent = 20_000
    with pytest.raises(TooLarge):
        apply_steps(document, parsed, max_bytes=1 << 22, max_depth=3, work=spent)
    assert len(WIDE) == 50_000
    assert document["a"] is WIDE


def test_the_budget_grows_with_the_patch_up_to_a_bound() -> None:
    assert work_for(0) == 250_000
    assert work_for(44_000) == 250_000 + 16 * 44_000
    assert work_for(1 << 30) == 4_000_000


def sharing_a_device(size: int) -> Callable[[], None]:
    """Users who all have a document of one device, read back in no order."""
    state = SettingsSlice(SharedState())
    rows = [
        [["app", Level.DEVICE, "phone", f"u{n * 7919 % size}"], bytes(16), 1, n * 31 % size, 1, b"{}"]
        for n in range(size)
    ]
    return lambda: state.load(rows)


def test_many_users_of_one_device_cost_so_much_each() -> None:
    assert_linear_in_c(sharing_a_device, 1_500)


def test_the_first_of_many_users_owns_a_device() -> None:
    state = SettingsSlice(SharedState())
    state.load([[["app", Level.DEVICE, "phone", user], bytes(16), 1, born, 1, b"{}"] for born, user in BORN])
    state.check()
    assert owner_of(state, "app", "phone") == "b"
    event = DocumentDeleted(
        resource=bytes(16), actor="x", cause=Cause.REQUEST,
        place=Place("app", Level.DEVICE, "phone", "b"), revision=2, method="DELETE",
    )  # fmt: skip
    state.deleted(event, Stamp(9, 0, 0))
    state.check()
    assert owner_of(state, "app", "phone") == "a"


BORN = [(5, "c"), (1, "b"), (3, "a"), (3, "d")]
