"""T3: the power goes at every operation of a workload; and SIGKILL first, then the power.

Small workloads and every place in them: the studies of crash states found that better than big random ones.
"""

from __future__ import annotations

from random import Random

import pytest

from journal.testing import MemoryDisk, Operation
from tests.kit.crash import SCALE, Survivors, Workload, check_survivor

STEPS = 22
SEEDS = 12
"""Workloads in one campaign: some 8,500 states, of which 2,500 differ."""


@pytest.mark.parametrize("campaign", range(6 * SCALE))
def test_every_promise_survives_a_power_cut_at_every_operation(campaign: int) -> None:
    survivors = Survivors()
    for seed in range(campaign * SEEDS, (campaign + 1) * SEEDS):
        assert cut_everywhere(survivors, seed) > 2 * STEPS
    assert survivors.states > 2000
    assert all(survivors.met[kind] > 10 for kind in ("rolled", "unasked", "torn", "erased again")), (
        survivors.met
    )


def cut_everywhere(survivors: Survivors, seed: int) -> int:
    """Check what the power leaves at each operation of a workload; how many operations it has."""
    workload = Workload(seed)
    disk = MemoryDisk()

    def cut(operation: Operation) -> None:
        rng = Random(seed << 20 | operation.number)
        states = {
            "none": disk.crash("none"),
            "all": disk.crash("all"),
            "random": disk.crash("random", rng),
            "random 2": disk.crash("random", rng),
            "kill": disk.kill(),
        }
        for name, state in states.items():
            thorough = rng.randrange(4) == 0
            context = f"seed {seed}, {name} at {operation}"
            survivors.check(state, workload.promises, thorough=thorough, context=context)

    disk.before_each = cut
    workload.run(disk, STEPS)
    return disk.operations


@pytest.mark.parametrize("seed", range(1000, 1000 + 8 * SCALE))
def test_every_promise_survives_a_second_power_cut_during_recovery(seed: int) -> None:
    workload = Workload(seed)
    disk = MemoryDisk()
    survivors = Survivors()

    def cut(operation: Operation) -> None:
        rng = Random(seed << 20 | operation.number)
        if rng.randrange(6):
            return
        first = rng.choice((disk.kill(), disk.crash("random", rng)))

        def cut_again(second: Operation) -> None:
            context = f"seed {seed}, at {operation}, and again at {second} of the recovery"
            survivors.check(first.crash("random", rng), workload.promises, context=context)

        first.before_each = cut_again
        check_survivor(first, workload.promises, context=f"seed {seed}, at {operation}")

    disk.before_each = cut
    workload.run(disk, STEPS)
    assert survivors.states > 30
