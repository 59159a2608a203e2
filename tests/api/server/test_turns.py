"""Connections take their steps a few in each pass of the event loop, one address after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import trio
import trio.testing

from retain.api.server.turns import PASS_S, STEP_S, STEPS, Turns


class Passes(trio.abc.Instrument):
    """How many steps were done at the beginning of each pass of the event loop."""

    def __init__(self, done: list[Any], begins: Callable[[], object]) -> None:
        self._done = done
        self._begins = begins
        self.counts: list[int] = []

    def after_io_wait(self, timeout: float) -> None:
        self._begins()
        self.counts.append(len(self._done))

    @property
    def steps(self) -> list[int]:
        """How many in each pass."""
        return [after - before for before, after in pairwise(self.counts)]


@contextmanager
def passes_of(done: list[Any], begins: Callable[[], object] = lambda: None) -> Iterator[Passes]:
    passes = Passes(done, begins)
    trio.lowlevel.add_instrument(passes)
    try:
        yield passes
    finally:
        trio.lowlevel.remove_instrument(passes)


@pytest.mark.usefixtures("mock_clock")
async def test_a_few_steps_in_each_pass() -> None:
    turns = Turns()
    done: list[int] = []

    async def begin(number: int) -> None:
        await turns.take("192.0.2.1")
        done.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(STEPS * 5):
            nursery.start_soon(begin, number)
        await trio.testing.wait_all_tasks_blocked()
        assert len(done) == STEPS, "the first are taken at once"
        nursery.start_soon(turns.run)
        with passes_of(done) as passes:
            while len(done) < STEPS * 5:
                await trio.lowlevel.checkpoint()
        assert max(passes.steps) <= STEPS
        await turns.take("192.0.2.1")  # a turn is given at once where nobody waits
        nursery.cancel_scope.cancel()


@pytest.mark.usefixtures("mock_clock")
async def test_addresses_take_turns() -> None:
    turns = Turns()
    done: list[str] = []

    async def begin(address: str) -> None:
        await turns.take(address)
        done.append(address)

    async with trio.open_nursery() as nursery:
        for address in ["192.0.2.1"] * STEPS * 20 + ["192.0.2.2"]:
            nursery.start_soon(begin, address)
            await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(turns.run)
        while "192.0.2.2" not in done:
            await trio.lowlevel.checkpoint()
        assert len(done) <= 3 * STEPS
        nursery.cancel_scope.cancel()


async def test_who_goes_away_takes_no_turn(autojump_clock: trio.testing.MockClock) -> None:
    turns = Turns()
    for _ in range(STEPS):
        await turns.take("192.0.2.1")
    with trio.move_on_after(STEP_S / 2) as waiting:
        await turns.take("192.0.2.1")
    assert waiting.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turns.run)
        with trio.fail_after(1):
            await turns.take("192.0.2.1")
        nursery.cancel_scope.cancel()
    assert turns._waiting == {}


async def test_one_step_a_moment_needs_no_waiting(mock_clock: trio.testing.MockClock) -> None:
    turns = Turns()  # and nobody gives any
    for _ in range(3 * STEPS):
        with trio.fail_after(1):
            await turns.take("192.0.2.1")
        mock_clock.jump(STEP_S * 1.01)


@pytest.mark.usefixtures("mock_clock")
async def test_after_a_long_pass_fewer_steps_are_given() -> None:
    """What the steps begin costs more than they do."""
    spent = 0.0
    turns = Turns(lambda: spent)
    done: list[int] = []

    def spend(seconds: float) -> None:
        nonlocal spent
        spent += seconds

    async def begin(number: int) -> None:
        await turns.take("192.0.2.1")
        done.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(STEPS * 20):
            nursery.start_soon(begin, number)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(turns.run)
        for pause, steps in ((PASS_S * 2, 1), (0, STEPS)):
            with passes_of(done, partial(spend, pause)) as passes:
                for _ in range(12):
                    await trio.lowlevel.checkpoint()
            assert passes.steps[-5:] == [steps] * 5
        nursery.cancel_scope.cancel()
