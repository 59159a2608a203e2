"""New connections take their steps a few in each pass of the event loop, one address after the other."""

from __future__ import annotations

import trio
import trio.testing

from retain.api.server.turns import STEPS, Turns


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
        nursery.start_soon(turns.run)
        before, most, passes = 0, 0, 0
        while len(done) < STEPS * 5:
            await trio.lowlevel.checkpoint()
            most, before, passes = max(most, len(done) - before), len(done), passes + 1
        assert most <= STEPS
        assert passes >= 5
        await turns.take("192.0.2.1")  # a turn is given at once where nobody waits
        nursery.cancel_scope.cancel()


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
        assert len(done) <= 2 * STEPS
        nursery.cancel_scope.cancel()


async def test_who_goes_away_takes_no_turn(autojump_clock: trio.testing.MockClock) -> None:
    turns = Turns()
    with trio.move_on_after(1) as waiting:
        await turns.take("192.0.2.1")
    assert waiting.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turns.run)
        with trio.fail_after(1):
            await turns.take("192.0.2.1")
        nursery.cancel_scope.cancel()
    assert turns._waiting == {}
