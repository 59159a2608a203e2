"""How failed logins slow the next ones: each number of `ThrottleOptions` at exactly its size."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from retain.api.identity import ThrottleOptions
from retain.api.identity import throttle as module
from retain.api.identity.caller import TooManyAttempts
from retain.api.identity.throttle import KNOWN_S, Throttle

OPTIONS = ThrottleOptions(free=3, base_s=1.0, max_s=4.0, queue_s=10.0, forget_s=100.0)
HERE, THERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture
def throttle(mock_clock: MockClock) -> Throttle:
    return Throttle(OPTIONS)


def names(count: int) -> list[str]:
    return [f"made up {number}" for number in range(count)]


async def test_delays_double_up_to_the_most_and_attempts_wait_for_one_another(
    throttle: Throttle, mock_clock: MockClock
) -> None:
    assert [throttle.book(HERE, name) for name in names(6)] == [0, 0, 0, 1, 3, 7]
    with pytest.raises(TooManyAttempts) as caught:
        throttle.book(HERE, "one more")
    assert dict(caught.value.headers)["Retry-After"] == "12"
    mock_clock.jump(1)
    assert throttle.book(HERE, "one more") == 10, "what was refused has not counted"


@pytest.mark.parametrize("by_name", [False, True], ids=["address", "name"])
async def test_addresses_and_names_are_counted_apart(
    throttle: Throttle, mock_clock: MockClock, by_name: bool
) -> None:
    for number in range(4):
        throttle.book(f"203.0.113.{number}" if by_name else HERE, "ann" if by_name else f"n{number}")
    assert throttle.book(THERE, "ann") == (3 if by_name else 0)
    assert throttle.book(HERE, "nobody") == (0 if by_name else 3)


async def test_a_success_takes_back_one_failure_of_the_address_and_all_of_the_name(
    throttle: Throttle, mock_clock: MockClock
) -> None:
    """Who has one account cannot guess the others' passwords at full speed by logging in between."""
    for name in names(4):
        throttle.book(HERE, name)
    assert throttle.book(HERE, "ann") == 3
    throttle.succeeded(HERE, "ann")
    assert throttle.book(HERE, "ann") == 2, "the address has four failures still, made at this moment"
    throttle.succeeded(HERE, "ann")
    mock_clock.jump(1)
    assert throttle.book(HERE, "nobody") == 1
    assert throttle.book(THERE, "ann") == 0


async def test_a_success_never_makes_an_attempt_later(throttle: Throttle, mock_clock: MockClock) -> None:
    for name in names(4):
        throttle.book(HERE, name)
    mock_clock.jump(2.5)
    assert throttle.book(HERE, "ann") == 0.5
    throttle.succeeded(HERE, "ann")
    mock_clock.jump(2)
    assert throttle.book(HERE, "nobody") == 0


async def test_successes_alone_leave_nothing_behind(throttle: Throttle, mock_clock: MockClock) -> None:
    for _ in range(5):
        assert throttle.book(HERE, "ann") == 0
        throttle.succeeded(HERE, "ann")
    assert len(throttle._tracks) == 0
    throttle.succeeded(THERE, "bob")
    assert len(throttle._tracks) == 0


async def test_failures_are_forgotten_after_their_time_and_not_at_it(
    throttle: Throttle, mock_clock: MockClock
) -> None:
    for _ in range(3):
        throttle.book(HERE, "ann")
    mock_clock.jump(100)
    assert throttle.book(HERE, "ann") == 0
    assert throttle.book(HERE, "ann") == 2, "the fourth counted on the three before"
    mock_clock.jump(100 + 2 + 0.5)
    assert [throttle.book(HERE, "ann") for _ in range(4)] == [0, 0, 0, 1]


async def test_where_a_user_has_logged_in_others_failures_do_not_slow_the_name_for_a_day(
    throttle: Throttle, mock_clock: MockClock
) -> None:
    throttle.book(HERE, "ann")
    throttle.succeeded(HERE, "ann")
    mock_clock.jump(KNOWN_S - 1)
    for number in range(4):
        throttle.book(f"203.0.113.{number}", "ann")
    assert throttle.book(HERE, "ann") == 0
    mock_clock.jump(1)
    assert throttle.book(HERE, "ann") == 2
    assert throttle.book(THERE, "bob") == 0


@pytest.mark.parametrize(("passed", "kept"), [(99.0, True), (100.0, True), (101.0, False)])
async def test_who_is_slowed_makes_room_only_when_forgotten(
    throttle: Throttle, mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch, passed: float, kept: bool
) -> None:
    """Otherwise invented names would drive out those that are guessed at."""
    monkeypatch.setattr(module, "KEYS_MAX", 4)
    mock_clock.jump(1000)
    for _ in range(3):
        throttle.book(HERE, "ann")
    mock_clock.jump(passed)
    for number in range(2):
        throttle.book(f"203.0.113.{number}", f"made up {number}")
    assert len(throttle._tracks) == 4
    assert (("name", "ann") in throttle._tracks._slowed) == kept


async def test_the_addresses_of_a_user_are_remembered_up_to_a_number(
    throttle: Throttle, mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KNOWN_MAX", 2)
    for place in ("203.0.113.1", "203.0.113.2", "203.0.113.1", "203.0.113.3"):
        throttle.succeeded(place, "ann")
    assert [place for place, _ in throttle._known] == ["203.0.113.1", "203.0.113.3"]
