"""What requests hold is bounded for all and for each address: they wait, and the slowest goes."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from retain.api.http import bounds
from retain.api.http.body import Body, Message
from retain.api.http.bounds import (
    ANSWER_PATIENCE_S,
    BODY_PATIENCE_S,
    MEBIBYTE,
    PATIENCE_S,
    Bounds,
    Pool,
    Share,
)
from retain.api.http.errors import ClientGone, Overloaded

ONE, OTHER = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Bounds:
    for name, value in {
        "INTAKE_BYTES": 1000,
        "INTAKE_BYTES_PER_ADDRESS": 600,
        "ANSWER_BYTES": 1000,
        "ANSWER_BYTES_PER_ADDRESS": 600,
        "ANSWER_GUESS": 200,
        "SLOW_RATE": 50,
        "STREAMS_PER_ADDRESS": 3,
        "RESETS_PER_ADDRESS": 3,
    }.items():
        monkeypatch.setattr(bounds, name, value)
    return Bounds()


class Sender:
    """A client whose body comes in pieces of 100 bytes, as long as somebody takes them."""

    def __init__(self, share: Share, pieces: int, *, pause_s: float = 0.0) -> None:
        self.body = Body(self._receive, None)
        self.body.min_rate = 0
        self.body.count_in(share)
        self.share = share
        self.sent = 0
        self.status = 0
        self._pieces = pieces
        self._pause_s = pause_s

    async def _receive(self) -> Message:
        await trio.sleep(self._pause_s)
        self.sent += 1
        return {"type": "http.request", "body": bytes(100), "more_body": self.sent < self._pieces}

    async def run(self) -> None:
        """Have it read, and held until all is there."""
        try:
            async for _ in self.body:
                pass
        except Overloaded as error:
            self.status = error.status
        self.share.close()


async def test_bodies_in_hand_stay_within_the_bound_of_their_address(
    small: Bounds, autojump_clock: MockClock
) -> None:
    most = 0
    senders = [Sender(small.enter(ONE), 5, pause_s=0.01) for _ in range(50)]
    async with trio.open_nursery() as nursery:
        for sender in senders:
            nursery.start_soon(sender.run)
        while len(nursery.child_tasks) > 0:
            most = max(most, small.intake.used)
            await trio.sleep(0.1)
    # Each of those that had begun when the bound was reached may bring the piece that was on its way.
    assert most <= 600 + 50 * 100
    assert small.intake.used == small.intake.used_by(ONE) == 0
    assert small.holding == set()


async def test_the_slowest_goes_first(small: Bounds, autojump_clock: MockClock) -> None:
    slow = Sender(small.enter(ONE), 100, pause_s=3.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(slow.run)
        await trio.sleep(19)
        fast = [Sender(small.enter(ONE), 4, pause_s=0.001) for _ in range(2)]
        for sender in fast:
            nursery.start_soon(sender.run)
    assert slow.status == 503
    assert [sender.status for sender in fast] == [0, 0]


async def test_another_address_does_not_wait(small: Bounds, mock_clock: MockClock) -> None:
    hoard = small.enter(ONE)
    hoard.took(601)
    other = Sender(small.enter(OTHER), 3)
    await other.run()
    assert (other.sent, other.status) == (3, 0)
    own = small.enter(ONE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(own.room)
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        hoard.close()


async def test_what_is_passed_on_counts_no_more_than_is_held(small: Bounds) -> None:
    share = small.enter(ONE)
    share.streams(250)
    for _ in range(100):
        share.took(100)
        assert small.intake.used <= 250
        await share.room()
    share.close()
    share.close()
    assert small.intake.used == 0


async def test_bodies_that_are_passed_on_begin_only_when_they_can_end(
    small: Bounds, autojump_clock: MockClock
) -> None:
    """However many begin at once, none stops halfway: each of them would keep the others waiting."""
    senders = [Sender(small.enter(ONE), 10, pause_s=0.1) for _ in range(20)]
    most = 0
    async with trio.open_nursery() as nursery:
        for sender in senders:
            sender.share.streams(250)
            nursery.start_soon(sender.run)
        while len(nursery.child_tasks) > 0:
            begun = {number for number, sender in enumerate(senders) if 0 < sender.sent < 10}
            most = max(most, len(begun - {n for n, one in enumerate(senders) if one.status}))
            assert small.intake.used <= 600
            await trio.sleep(0.05)
    assert most == 2
    assert [sender.sent for sender in senders] == [10] * 20
    assert [sender.status for sender in senders] == [0] * 20
    assert small.intake.used == small.intake.used_by(ONE) == 0


async def test_a_body_that_moves_is_not_ended_for_one_that_waits(
    small: Bounds, autojump_clock: MockClock
) -> None:
    moving = small.enter(ONE)
    moving.on_refusal = lambda: pytest.fail("it moves")
    moving.streams(600)
    await moving.room()
    moving.took(100_000)
    waiting = small.enter(ONE)
    waiting.on_refusal = lambda: pytest.fail("it has not begun")
    waiting.streams(100)
    began = trio.current_time()
    with pytest.raises(Overloaded):
        await waiting.room()
    assert trio.current_time() - began == pytest.approx(BODY_PATIENCE_S, abs=PATIENCE_S)


async def test_a_slow_body_that_is_passed_on_is_ended_for_one_that_waits(
    small: Bounds, autojump_clock: MockClock
) -> None:
    slow = small.enter(ONE)
    slow.on_refusal = slow.close
    slow.streams(600)
    await slow.room()
    slow.took(50)
    waiting = small.enter(ONE)
    waiting.on_refusal = lambda: pytest.fail("it has not begun")
    waiting.streams(100)
    await waiting.room()
    assert small.intake.used_by(ONE) == 100


async def test_a_client_that_left_while_its_body_waits_unread_is_noticed(
    small: Bounds, autojump_clock: MockClock
) -> None:
    hoard = small.enter(ONE)
    hoard.took(601)
    waiting = small.enter(ONE)
    waiting.on_refusal = lambda: pytest.fail("it has not begun")
    with pytest.raises(ClientGone):
        await waiting.room(lambda: True)
    with trio.move_on_after(PATIENCE_S * 2) as still_waiting:
        await waiting.room(lambda: False)
    assert still_waiting.cancelled_caught


async def test_answers_in_the_making_wait_for_those_that_are_not_taken(
    small: Bounds, mock_clock: MockClock
) -> None:
    first = small.enter(ONE)
    await first.begin_answer()
    first.made(601)
    assert small.answers.used == 601
    waiting = small.enter(ONE)
    other = small.enter(OTHER)
    await other.begin_answer()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiting.begin_answer)
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        first.close()
    waiting.close()
    other.close()
    assert small.answers.used == small.answers.used_by(ONE) == 0


async def test_an_answer_that_waits_too_long_is_refused(small: Bounds, autojump_clock: MockClock) -> None:
    small.enter(ONE).made(601)
    with pytest.raises(Overloaded) as caught:
        await small.enter(ONE).begin_answer()
    assert trio.current_time() >= ANSWER_PATIENCE_S
    assert caught.value.headers == [("Retry-After", "1")]


async def test_a_waiting_answer_is_not_in_the_making(small: Bounds) -> None:
    share = small.enter(ONE)
    await share.begin_answer()
    body = Body(_gone, 0)
    body.count_in(share)
    await body.wait_gone()
    assert small.answers.used_by(ONE) == 0


async def _gone() -> Message:
    return {"type": "http.disconnect"}


async def test_addresses_take_turns(small: Bounds) -> None:
    hoard = small.enter("192.0.2.9")
    hoard.made(400)
    more = small.enter("192.0.2.8")
    more.made(601)
    order: list[str] = []

    async def wait(place: str) -> None:
        share = small.enter(place)
        await share.begin_answer()
        order.append(place)
        share.close()

    async with trio.open_nursery() as nursery:
        for place in (ONE, ONE, ONE, OTHER):
            nursery.start_soon(wait, place)
            await trio.testing.wait_all_tasks_blocked()
        assert order == []
        hoard.close()
    assert order.index(OTHER) < 3
    assert len(order) == 4


def test_streams_count_by_address_until_they_end(small: Bounds) -> None:
    assert [small.enter_stream(ONE) for _ in range(4)] == [True, True, True, False]
    assert small.enter_stream(OTHER)
    small.leave_stream(ONE)
    assert small.enter_stream(ONE)


async def test_resets_count_by_address_and_not_by_connection(small: Bounds, mock_clock: MockClock) -> None:
    assert [small.resets_too_much(ONE) for _ in range(4)] == [False, False, False, True]
    assert not small.resets_too_much(OTHER)
    mock_clock.jump(bounds.RATE_WINDOW_S + 1)
    assert not small.resets_too_much(ONE)


def test_a_trusted_proxy_stands_for_many() -> None:
    trusted = Bounds((ip_network("192.0.2.0/24"),))
    assert all(trusted.enter_stream(ONE) for _ in range(bounds.STREAMS_PER_ADDRESS + 1))
    assert not any(trusted.resets_too_much(ONE) for _ in range(bounds.RESETS_PER_ADDRESS + 1))
    trusted.intake.add(ONE, bounds.INTAKE_BYTES_PER_ADDRESS + 1)
    assert not trusted.intake.is_over(ONE)


async def test_a_trusted_proxy_may_have_one_address_of_ipv6() -> None:
    trusted = Bounds((ip_network("2001:db8::5/128"),))
    place = trusted.enter("2001:db8::5").place
    assert all(trusted.enter_stream(place) for _ in range(bounds.STREAMS_PER_ADDRESS + 1))


def test_the_bounds_leave_room_in_half_a_gibibyte() -> None:
    assert bounds.INTAKE_BYTES + bounds.ANSWER_BYTES <= 256 * MEBIBYTE
    assert PATIENCE_S < ANSWER_PATIENCE_S


async def test_room_given_to_those_who_have_just_left_goes_to_the_next() -> None:
    """Their waits were cancelled, but had not ended: else the next one would wait for a further release."""
    pool = Pool(10, 10, lambda place: False)
    pool.add("a", 10)
    entered: list[str] = []
    leaving = trio.CancelScope()

    async def wait(name: str) -> None:
        await pool.wait("a")
        entered.append(name)

    async def leave() -> None:
        with leaving:
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(wait, "leaves")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(leave)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(wait, "stays")
        await trio.testing.wait_all_tasks_blocked()
        leaving.cancel()
        pool.add("a", -10)
        await trio.testing.wait_all_tasks_blocked()
        assert entered == ["stays"]
        nursery.cancel_scope.cancel()
