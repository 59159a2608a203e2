"""The present as the engine judges it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain.engine.core.clock import (
    BEHIND,
    CONFIRMATION,
    EXPLAINED,
    JUMP,
    LONG_CONFIRMATION,
    SIGHTING_INTERVAL,
    ClockState,
    Horizon,
    SystemClock,
)
from retain.engine.core.time import DAY, HOUR, SECOND
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


def test_a_clock_set_back_leaves_the_present_to_the_monotonic_one(
    clock: SteppedClock, horizon: Horizon
) -> None:
    clock.step(-40)
    assert horizon.now() == EPOCH
    clock.advance(2)
    assert horizon.now() == horizon.vouched() == horizon.record_time() == EPOCH + 2 * SECOND
    assert horizon.trusted()
    assert horizon.state() == ClockState(40 * SECOND, 0, 0)
    clock.step(39)
    assert horizon.now() == EPOCH + 2 * SECOND
    clock.step(2)
    assert horizon.now() == EPOCH + 3 * SECOND
    assert horizon.state() == ClockState(0, 0, 0)


def test_set_back_again_and_again_no_time_is_lost_or_counted_twice(
    clock: SteppedClock, horizon: Horizon
) -> None:
    for _ in range(100):
        clock.step(-3600)
        horizon.now()
        clock.advance(0.1)
        horizon.vouched()
    assert horizon.now() == EPOCH + 10 * SECOND


@pytest.mark.parametrize(
    ("jump", "wait"),
    [
        (JUMP // SECOND + 1, 10 * MINUTE),
        (EXPLAINED // SECOND, 10 * MINUTE),
        (EXPLAINED // SECOND + 1, 24 * 60 * MINUTE),
        (10 * YEAR, 24 * 60 * MINUTE),
    ],
)
def test_a_jump_hides_at_once_and_destroys_only_once_it_has_held(
    clock: SteppedClock, horizon: Horizon, jump: int, wait: int
) -> None:
    clock.step(jump)
    assert horizon.now() == EPOCH + jump * SECOND
    assert horizon.vouched() == EPOCH
    assert not horizon.trusted()
    clock.advance(wait - 1)
    assert not horizon.trusted()
    assert horizon.vouched() == EPOCH + (wait - 1) * SECOND
    assert horizon.state() == ClockState(0, jump * SECOND, SECOND)
    clock.advance(1)
    assert horizon.trusted()
    assert horizon.vouched() == horizon.now() == EPOCH + (jump + wait) * SECOND
    assert horizon.state() == ClockState(0, 0, 0)


def test_records_get_the_time_of_a_jump_only_if_downtime_may_explain_it(
    clock: SteppedClock, horizon: Horizon
) -> None:
    clock.step(EXPLAINED // SECOND)
    assert horizon.record_time() == EPOCH + EXPLAINED
    clock.step(1)
    assert horizon.record_time() == EPOCH
    clock.advance(24 * 3600)
    assert horizon.record_time() == clock.wall()


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
    clock.step(DAY // SECOND)
    assert not horizon.trusted()
    clock.advance(9 * MINUTE)
    clock.step(-2 * 3600)
    assert not horizon.trusted()
    assert horizon.now() == EPOCH + DAY + 9 * MINUTE * SECOND
    clock.advance(10 * MINUTE - 1)
    assert not horizon.trusted(), "the new time has not held for ten minutes"
    clock.advance(1)
    assert horizon.trusted()
    assert horizon.now() == horizon.vouched() == clock.wall(), "what did not hold is not believed"


def test_undoing_a_part_of_an_unexplained_jump_does_not_shorten_the_wait(
    clock: SteppedClock, horizon: Horizon
) -> None:
    clock.step(10 * YEAR)
    assert not horizon.trusted()
    clock.step(-10 * YEAR + 3600)
    assert not horizon.trusted()
    clock.advance(24 * 3600 - 1)
    assert not horizon.trusted()
    clock.advance(1)
    assert horizon.trusted()


def test_a_second_jump_begins_the_ten_minutes_anew(clock: SteppedClock, horizon: Horizon) -> None:
    clock.step(3600)
    assert not horizon.trusted()
    clock.advance(9 * MINUTE)
    clock.step(3600)
    assert not horizon.trusted()
    clock.advance(9 * MINUTE)
    assert not horizon.trusted()
    clock.step(-7200)
    assert horizon.trusted()
    assert horizon.now() == EPOCH + 18 * MINUTE * SECOND


def test_many_small_steps_are_no_way_around_the_doubt(clock: SteppedClock, horizon: Horizon) -> None:
    clock.step(30)
    clock.advance(5)
    clock.step(30)
    assert horizon.trusted()
    clock.step(1)
    assert not horizon.trusted()
    assert horizon.vouched() == EPOCH + 65 * SECOND
    assert horizon.now() == EPOCH + 66 * SECOND


def test_small_steps_far_apart_are_believed(clock: SteppedClock, horizon: Horizon) -> None:
    for _ in range(5):
        clock.step(50)
        assert horizon.trusted()
        clock.advance(10 * MINUTE)
    assert horizon.vouched() == EPOCH + (5 * 50 + 50 * MINUTE) * SECOND


def test_steps_after_an_accepted_or_confirmed_time_are_counted_from_it(
    clock: SteppedClock, horizon: Horizon
) -> None:
    clock.step(JUMP // SECOND)
    assert horizon.trusted()
    horizon.accept()
    clock.step(JUMP // SECOND)
    assert horizon.trusted()
    clock.step(1)
    assert not horizon.trusted()
    clock.step(YEAR)
    assert not horizon.trusted()
    clock.advance(24 * 60 * MINUTE)
    assert horizon.trusted()
    clock.step(JUMP // SECOND)
    assert horizon.trusted()
    clock.step(1)
    assert not horizon.trusted()


def test_a_step_within_the_minute_is_believed(clock: SteppedClock, horizon: Horizon) -> None:
    clock.step(JUMP // SECOND)
    assert horizon.trusted()
    assert horizon.now() == horizon.vouched() == EPOCH + JUMP


def test_a_long_sleep_of_the_machine_is_no_jump(clock: SteppedClock, horizon: Horizon) -> None:
    clock.advance(31 * DAY / SECOND)
    assert horizon.trusted()


@pytest.mark.parametrize("ahead", [SECOND, HOUR, DAY, DAY + 1, 3650 * DAY])
def test_a_start_with_the_clock_behind_goes_on_from_the_journals_time(
    clock: SteppedClock, ahead: int
) -> None:
    horizon = Horizon(clock, floor=EPOCH + ahead)
    assert horizon.now() == EPOCH + ahead
    assert horizon.state().behind == ahead
    clock.advance(30)
    assert horizon.now() == horizon.vouched() == EPOCH + ahead + 30 * SECOND


@pytest.mark.parametrize(
    ("jump", "wait"),
    [(JUMP, 0), (JUMP + 1, 600), (EXPLAINED, 600), (EXPLAINED + 1, 86_400), (31 * DAY, 86_400)],
)
def test_a_start_with_the_clock_ahead_hides_and_waits(clock: SteppedClock, jump: int, wait: int) -> None:
    horizon = Horizon(clock, floor=EPOCH - jump)
    assert horizon.now() == EPOCH
    assert horizon.trusted() == (not wait)
    if wait:
        assert horizon.vouched() == EPOCH - jump
        clock.advance(wait - 0.001)
        assert not horizon.trusted()
        clock.advance(0.001)
    assert horizon.vouched() == horizon.now() == clock.wall()


def test_a_new_journal_believes_the_clock(clock: SteppedClock) -> None:
    assert Horizon(clock).trusted()


def test_a_start_on_the_same_run_of_the_machine_knows_how_long_the_server_was_down(
    clock: SteppedClock, horizon: Horizon
) -> None:
    seen = horizon.sighting(EPOCH)
    clock.advance(60 * YEAR)
    later = Horizon(clock, EPOCH, seen)
    assert later.trusted()
    assert later.vouched() == clock.wall()


@pytest.mark.parametrize(("step", "trusted"), [(JUMP // SECOND, True), (JUMP // SECOND + 1, False)])
def test_a_clock_set_while_the_server_was_down_is_doubted(
    clock: SteppedClock, horizon: Horizon, step: int, trusted: bool
) -> None:
    seen = horizon.sighting(EPOCH)
    clock.advance(100)
    clock.step(step)
    assert Horizon(clock, EPOCH, seen).trusted() is trusted


def test_time_that_passed_without_records_counts_at_the_next_start(
    clock: SteppedClock, horizon: Horizon
) -> None:
    clock.advance(500)
    seen = horizon.sighting(EPOCH)
    clock.step(-3600)
    assert Horizon(clock, EPOCH, seen).now() == EPOCH + 500 * SECOND


def test_a_machine_that_was_started_again_is_not_taken_for_the_same_run() -> None:
    clock = SteppedClock()
    clock.advance(1000)
    seen = Horizon(clock).sighting(EPOCH)
    again = SteppedClock(EPOCH)  # shows the same difference of its two clocks, and less on the monotonic one
    assert Horizon(again, EPOCH, seen).now() == EPOCH + 1000 * SECOND


def test_records_newer_than_the_sighting_count(clock: SteppedClock, horizon: Horizon) -> None:
    seen = horizon.sighting(EPOCH)
    assert Horizon(clock, EPOCH + 1, seen).now() == EPOCH + 1
    assert Horizon(clock, EPOCH + 2 * SIGHTING_INTERVAL, seen).now() == EPOCH + 2 * SIGHTING_INTERVAL


def test_records_that_a_doubted_clock_dated_vouch_for_nothing(clock: SteppedClock, horizon: Horizon) -> None:
    """The process was killed before it could note that their time was in doubt."""
    seen = horizon.sighting(EPOCH)
    clock.step(DAY // SECOND)
    dated = horizon.record_time()
    again = Horizon(clock, dated, seen)
    assert again.now() == dated
    assert again.vouched() == EPOCH


def test_an_operator_accepts_a_jump(clock: SteppedClock, horizon: Horizon) -> None:
    clock.step(10 * YEAR)
    assert not horizon.trusted()
    horizon.accept()
    assert horizon.trusted()
    assert horizon.vouched() == horizon.record_time() == clock.wall()


def test_an_operator_sets_a_present_back_that_was_ahead_and_the_next_start_knows(clock: SteppedClock) -> None:
    journal = EPOCH + 10 * 365 * DAY
    horizon = Horizon(clock, journal)
    assert horizon.now() == journal
    horizon.accept()
    assert horizon.now() == horizon.vouched() == EPOCH
    seen = horizon.sighting(journal)
    clock.advance(100)
    assert Horizon(clock, journal, seen).now() == EPOCH + 100 * SECOND


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
    assert BEHIND < JUMP < CONFIRMATION < LONG_CONFIRMATION < EXPLAINED
