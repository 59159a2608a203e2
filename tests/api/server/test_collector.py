"""The collector never walks what has survived it once, however much that is."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from retain.api.server import collector
from retain.api.server.collector import GEN0, GEN1, GEN2, KEPT_UNFROZEN

MOST_WALKED = GEN0 * ((GEN1 + 1) * (GEN2 + 2) + 1) + KEPT_UNFROZEN
"""About as many objects as a full collection can meet under the rule of `collector`."""


@pytest.fixture
def settled() -> Iterator[None]:
    thresholds = gc.get_threshold()
    collector.settle()
    yield
    collector.unsettle()
    gc.set_threshold(*thresholds)


class Cycle:
    """An object that only the collector frees."""

    freed = 0

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        Cycle.freed += 1


def walked() -> int:
    return sum(len(gc.get_objects(generation)) for generation in (0, 1, 2))


@pytest.mark.parametrize("loaded", [0, 400_000])
def test_a_full_collection_meets_only_what_is_new(loaded: int, request: pytest.FixtureRequest) -> None:
    state = [[[number]] for number in range(loaded // 2)]
    gc.collect()  # As while a large state is loaded: Python remembers how many objects survived this.
    request.getfixturevalue("settled")
    most = 0

    def measure(phase: str, info: dict[str, int]) -> None:
        nonlocal most
        if phase == "start" and info["generation"] == 2:
            most = max(most, walked())

    gc.callbacks.insert(0, measure)
    try:
        # Lists of lists: containers that the collector cannot take off its lists by itself.
        kept = [[[number]] for number in range(600_000)]
    finally:
        gc.callbacks.remove(measure)
    # A collection begins a few objects late where the interpreter makes several at once.
    assert 0 < most <= MOST_WALKED * 1.01
    assert gc.get_freeze_count() > 600_000
    assert len(kept) == 600_000
    assert len(state) == loaded // 2


@pytest.mark.usefixtures("settled")
def test_young_cycles_are_still_freed() -> None:
    before = Cycle.freed
    for _ in range(100_000):
        Cycle()
    assert Cycle.freed - before > 50_000


@pytest.mark.usefixtures("settled")
def test_what_survives_a_collection_inside_a_request_is_freed_after_it() -> None:
    before = Cycle.freed
    for _ in range(200):
        request = [Cycle() for _ in range(20)]
        gc.collect()
        request.clear()
    gc.collect()
    assert Cycle.freed - before == 200 * 20


def test_unsettle_takes_everything_back() -> None:
    collector.settle()
    collector.settle()
    for _ in range(2):
        collector.unsettle()
    assert gc.get_freeze_count() == 0
    assert not gc.callbacks or all(callback.__module__ != collector.__name__ for callback in gc.callbacks)


def test_threads_take_turns_often_while_settled() -> None:
    own = sys.getswitchinterval()
    collector.settle()
    try:
        assert sys.getswitchinterval() == pytest.approx(collector.SWITCH_S)
    finally:
        collector.unsettle()
    assert sys.getswitchinterval() == pytest.approx(own)
