"""The present as the engine judges it (docs/architecture.md, Time)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain.engine.core.clock import CONFIRMATION, DAY, HOUR, JUMP, SECOND, Horizon, SystemClock
from retain.engine.testing import EPOCH, ManualClock, SteppedClock

YEAR = 365 * DAY // SECOND
"""Seconds, as clocks are told."""
MINUTE = 60


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def horizon(clock: SteppedClock) -> Horizon:
    return Horizon(clock)


def test_follows_the_wall_clock(clock: SteppedClock, horizon: Horizon) -> None:
    assert horizon.now() == EPOCH
    clock.advance(1.5)
    assert horizon.now() == EPOCH + 3 * SECOND // 2
    assert horizon.trusted()


def test_stands_still_while_the_clock_is_set_back(clock: SteppedClock, horizon: Horizon) -> None:
    clock.step(-2 * 3600)
    assert horizon.now() == EPOCH
    clock.advance(3600)
    assert horizon.now() == EPOCH
    clock.advance(3601)
    assert horizon.now() == EPOCH + SECOND
    assert horizon.trusted()


def test_a_jump_hides_at_once_and_destroys_only_after_ten_minutes(
    clock: SteppedClock, horizon: Horizon
) -> None:
    clock.step(10 * YEAR)
    assert horizon.now() == EPOCH + 10 * YEAR * SECOND
    assert not horizon.trusted()
    clock.advance(10 * MINUTE - 1)
    assert not horizon.trusted()
    clock.advance(1)
    assert horizon.trusted()
    assert horizon.trusted()


def test_a_jump_that_is_undone_is_forgotten(clock: SteppedClock, horizon: Horizon) -> None:
    clock.step(10 * YEAR)
    assert not horizon.trusted()
    clock.advance(MINUTE)
    clock.step(-10 * YEAR)
    assert horizon.trusted()
    assert horizon.now() == EPOCH + MINUTE * SECOND


def test_undoing_a_jump_does_not_go_behind_what_was_vouched_for(
    clock: SteppedClock, horizon: Horizon
) -> None:
    clock.advance(1000)
    assert horizon.now() == EPOCH + 1000 * SECOND
    clock.step(10 * YEAR)
    assert not horizon.trusted()
    clock.step(-10 * YEAR - 500)
    assert horizon.now() == EPOCH + 1000 * SECOND
    assert horizon.trusted()


def test_undoing_a_part_of_a_jump_earns_no_trust(clock: SteppedClock, horizon: Horizon) -> None:
    clock.step(10 * YEAR)
    assert not horizon.trusted()
    clock.step(-2 * 3600)
    assert not horizon.trusted()
    assert horizon.now() == EPOCH + 10 * YEAR * SECOND
    clock.advance(10 * MINUTE)
    assert horizon.trusted()


def test_a_second_jump_begins_the_ten_minutes_anew(clock: SteppedClock, horizon: Horizon) -> None:
    clock.step(YEAR)
    assert not horizon.trusted()
    clock.advance(9 * MINUTE)
    clock.step(YEAR)
    assert not horizon.trusted()
    clock.advance(9 * MINUTE)
    assert not horizon.trusted()
    clock.step(-2 * YEAR)
    assert horizon.trusted()
    assert horizon.now() == EPOCH + 18 * MINUTE * SECOND


def test_a_step_within_the_hour_is_believed(clock: SteppedClock, horizon: Horizon) -> None:
    clock.step(JUMP // SECOND)
    assert horizon.trusted()
    assert horizon.now() == EPOCH + HOUR


def test_a_long_sleep_of_the_machine_is_no_jump(clock: SteppedClock, horizon: Horizon) -> None:
    clock.advance(31 * DAY / SECOND)
    assert horizon.trusted()


@pytest.mark.parametrize(
    ("ahead", "expected"), [(-HOUR, 0), (HOUR, HOUR), (DAY, DAY), (DAY + 1, 0), (3650 * DAY, 0)]
)
def test_starts_at_the_journals_time_unless_that_is_absurd(
    clock: SteppedClock, ahead: int, expected: int
) -> None:
    assert Horizon(clock, floor=EPOCH + ahead).now() == EPOCH + expected


def test_measures_durations_on_the_monotonic_clock(clock: SteppedClock, horizon: Horizon) -> None:
    before = horizon.elapsed()
    clock.step(YEAR)
    clock.advance(2)
    assert horizon.elapsed() - before == 2 * SECOND


@given(
    st.lists(
        st.tuples(st.sampled_from(["advance", "step"]), st.integers(-7200, 7200).filter(bool)), max_size=30
    )
)
def test_never_goes_back_while_no_jump_is_in_doubt(moves: list[tuple[str, int]]) -> None:
    clock = SteppedClock()
    horizon = Horizon(clock)
    vouched = horizon.now()
    for kind, seconds in moves:
        if kind == "advance":
            clock.advance(abs(seconds))
        else:
            clock.step(seconds)
        assert horizon.now() >= max(vouched, clock.wall())
        if horizon.trusted():
            vouched = horizon.now()


def test_the_machines_clocks_run() -> None:
    clock = SystemClock()
    assert clock.wall() > EPOCH - 365 * DAY
    first = clock.monotonic()
    assert clock.monotonic() >= first


async def test_a_manual_clock_follows_trio_and_can_be_stepped(autojump_clock: object) -> None:
    import trio

    clock = ManualClock()
    start = clock.wall()
    await trio.sleep(5)
    assert clock.wall() - start == 5 * SECOND
    clock.advance(1)
    clock.step(-10)
    assert clock.wall() - start == -4 * SECOND
    assert await trio.to_thread.run_sync(clock.monotonic) == clock.monotonic()


def test_constants_relate() -> None:
    assert CONFIRMATION < JUMP < DAY
