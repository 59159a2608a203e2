"""T3: the power goes at every operation of a workload; and SIGKILL first, then the power.

Small workloads and every place in them: the studies of crash states found that better than big random ones.
"""

from __future__ import annotations

from random import Random

import pytest

from journal.testing import MemoryDisk, Operation
from tests.kit.crash import SCALE, SEEN, Workload, check_survivor

STEPS = 22


@pytest.mark.parametrize("seed", range(10 * SCALE))
def test_every_promise_survives_a_power_cut_at_every_operation(seed: int) -> None:
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
            check_survivor(
                state,
                workload.promises,
                thorough=rng.randrange(4) == 0,
                context=f"seed {seed}, {name} at {operation}",
            )

    disk.before_each = cut
    workload.run(disk, STEPS)
    assert disk.operations > 2 * STEPS


@pytest.mark.parametrize("seed", range(100, 100 + 4 * SCALE))
def test_every_promise_survives_a_second_power_cut_during_recovery(seed: int) -> None:
    workload = Workload(seed)
    disk = MemoryDisk()

    def cut(operation: Operation) -> None:
        rng = Random(seed << 20 | operation.number)
        if rng.randrange(6):
            return
        first = rng.choice((disk.kill(), disk.crash("random", rng)))

        def cut_again(second: Operation) -> None:
            check_survivor(
                first.crash("random", rng),
                workload.promises,
                context=f"seed {seed}, at {operation}, and again at {second} of the recovery",
            )

        first.before_each = cut_again
        check_survivor(first, workload.promises, context=f"seed {seed}, at {operation}")

    disk.before_each = cut
    workload.run(disk, STEPS)


def test_the_campaign_met_what_it_is_about() -> None:
    if SEEN["states"] < 5000:
        pytest.skip("only a part of the campaign was run")
    assert all(SEEN[kind] > 50 for kind in ("rolled", "unasked", "torn", "erased again")), SEEN
