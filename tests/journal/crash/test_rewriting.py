"""The power goes at every operation while segments are rewritten, erased from, indexed and opened again."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from retain.journal import verify
from retain.journal.segments.files import find_segments
from retain.journal.testing.memory import DiskOperation, MemoryDisk
from tests.kit.crash import SCALE, STATES, Survivors, cut_twice
from tests.kit.rewritten import RewritingWorkload, assert_wiped

STEPS = 30


@pytest.mark.parametrize("seed", range(4 * SCALE))
def test_every_promise_survives_a_power_cut_at_every_operation(
    seed: int, record_property: Callable[[str, object], None]
) -> None:
    workload = RewritingWorkload(seed)
    disk = MemoryDisk()
    survivors = Survivors(workload.options)

    def cut(operation: DiskOperation) -> None:
        assert_wiped(disk, operation)
        rng = Random(seed << 20 | operation.number)
        states = {"none": disk.crash("none"), "random": disk.crash("random", rng), "kill": disk.kill()}
        for name, state in states.items():
            thorough = rng.randrange(4) == 0
            context = f"seed {seed}, {name} at {operation}"
            new = survivors.check(state, workload.promises, thorough=thorough, context=context)
            if new and rng.randrange(8) == 0:
                assert find_segments(state)[1] == []
                assert verify(state).sound

    disk.before_each = cut
    workload.run(disk, STEPS)
    record_property(STATES, survivors.states)
    assert survivors.states > 100


def test_most_of_these_workloads_rewrite() -> None:
    rewritten = 0
    for seed in range(5):
        disk = MemoryDisk()
        RewritingWorkload(seed).run(disk, STEPS)
        rewritten += any(".0001." in name for name in disk.files())
    assert rewritten >= 3


@pytest.mark.parametrize("seed", range(1000, 1000 + 2 * SCALE))
def test_every_promise_survives_a_second_power_cut_during_recovery(
    seed: int, record_property: Callable[[str, object], None]
) -> None:
    workload = RewritingWorkload(seed)
    survivors = Survivors(workload.options)
    cut_twice(survivors, workload, STEPS, rarely=5)
    record_property(STATES, survivors.states)
    assert survivors.states > 30
