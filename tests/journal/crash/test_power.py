"""T3: the power goes at every operation of a workload; and SIGKILL first, then the power.

Small workloads and every place in them: the studies of crash states found that better than big random ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from retain.journal.options import JournalOptions
from retain.journal.testing.memory import DiskOperation, MemoryDisk
from tests.kit.crash import SCALE, SMALL, STATES, Survivors, Workload, cut_twice

STEPS = 22
SEEDS = 12
"""Workloads in one campaign: some 9,500 states, of which 2,850 differ."""
SHORT_STEPS = 5
SHORT_SEEDS = 37
"""Workloads of a few steps: 2,300 differing states, for half the time that those of long ones take."""
TIGHT = replace(SMALL, segment_bytes=2 << 10)
"""Few batches fill a segment, so that short histories roll as well."""
MET = ("rolled", "unasked", "torn", "erased again")
Tell = Callable[[str, object], None]


@pytest.mark.parametrize("campaign", range(SCALE))
def test_every_promise_survives_a_power_cut_at_every_operation(campaign: int, record_property: Tell) -> None:
    survivors = Survivors()
    for seed in range(campaign * SEEDS, (campaign + 1) * SEEDS):
        assert cut_everywhere(survivors, seed, STEPS) > 2 * STEPS
    record_property(STATES, survivors.states)
    assert survivors.states > 2500
    assert all(survivors.met[kind] > 10 for kind in MET), survivors.met


@pytest.mark.parametrize("options", [SMALL, TIGHT], ids=["", "tight"])
@pytest.mark.parametrize("campaign", range(SCALE))
def test_every_promise_survives_a_power_cut_in_many_short_histories(
    campaign: int, options: JournalOptions, record_property: Tell
) -> None:
    survivors = Survivors(options)
    first = 100_000 * (1 + (options is TIGHT)) + campaign * SHORT_SEEDS
    for seed in range(first, first + SHORT_SEEDS):
        assert cut_everywhere(survivors, seed, SHORT_STEPS) > 2 * SHORT_STEPS
    record_property(STATES, survivors.states)
    assert survivors.states > 2000
    assert all(survivors.met[kind] > 10 for kind in MET), survivors.met


def cut_everywhere(survivors: Survivors, seed: int, steps: int) -> int:
    """Check what the power leaves at each operation of a workload; how many operations it has."""
    workload = Workload(seed, survivors.options)
    disk = MemoryDisk()

    def cut(operation: DiskOperation) -> None:
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
    workload.run(disk, steps)
    return disk.operations


@pytest.mark.parametrize("seed", range(1000, 1000 + 3 * SCALE))
def test_every_promise_survives_a_second_power_cut_during_recovery(seed: int, record_property: Tell) -> None:
    survivors = Survivors()
    cut_twice(survivors, Workload(seed), STEPS, rarely=6)
    record_property(STATES, survivors.states)
    assert survivors.states > 30
