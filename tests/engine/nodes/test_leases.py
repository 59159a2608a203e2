"""Leases: a node that may still answer has applied what was answered, whatever messages are lost or late."""

from __future__ import annotations

import itertools
import weakref

import pytest

from retain.engine.nodes.leases import MARGIN, SLOW, Grants, Permit

GRANT = 1000
LONG = 10**9


def test_without_followers_all_that_is_durable_is_settled() -> None:
    assert Grants(GRANT, 0).settled(5, 7) == 7


def test_a_change_waits_for_whoever_holds_a_grant_until_it_ends() -> None:
    grants = Grants(GRANT, 0)
    grants.join("b", 4)
    assert grants.settled(0, 4) == 4
    assert grants.grant("b", 0, LONG, 4, -1) == GRANT
    assert grants.settled(10, 5) == 4
    assert grants.next_end(10) == GRANT
    assert grants.settled(GRANT - 1, 5) == 4
    assert grants.settled(GRANT, 5) == 5


def test_a_change_is_settled_once_applied() -> None:
    grants = Grants(GRANT, 0)
    grants.join("b", 4)
    grants.grant("b", 0, LONG, 4, -1)
    grants.report("b", 5, -1, 0)
    assert grants.settled(10, 5) == 5


def test_a_lost_connection_does_not_end_a_grant() -> None:
    grants = Grants(GRANT, 0)
    grants.join("b", 4)
    grants.grant("b", 0, LONG, 4, -1)
    grants.leave("b", 10)
    assert grants.settled(10, 5) == 4
    grants.release("b")
    assert grants.settled(10, 5) == 5


def test_whoever_lacks_what_is_settled_gets_no_grant() -> None:
    grants = Grants(GRANT, 0)
    grants.join("b", 3)
    assert grants.settled(0, 4) == 4
    assert grants.grant("b", 0, LONG, 4, -1) == 0
    grants.report("b", 4, -1, 0)
    assert grants.grant("b", 0, LONG, 4, -1) == GRANT


def test_whoever_lacks_what_stood_before_this_leader_gets_no_grant() -> None:
    grants = Grants(GRANT, 9)
    grants.assume(500)
    grants.join("b", 8)
    assert grants.grant("b", 0, LONG, 9, -1) == 0


def test_no_grant_outlives_the_leaders_own_lease() -> None:
    grants = Grants(GRANT, 0)
    grants.join("b", 0)
    assert grants.grant("b", 0, 300, 0, -1) == 300
    assert grants.grant("b", 300, 300, 0, -1) == 0


def test_a_restarted_leader_settles_nothing_before_its_former_grants_have_ended() -> None:
    grants = Grants(GRANT, 0)
    grants.assume(GRANT)
    assert grants.settled(GRANT - 1, 5) == 0
    assert not grants.loaded(GRANT - 1, 0)
    assert not grants.overwritten(GRANT - 1, 0)
    assert grants.next_end(0) == GRANT
    assert grants.settled(GRANT, 5) == 5


def test_a_grant_needs_the_present_version_of_the_files() -> None:
    grants = Grants(GRANT, 0)
    grants.join("b", 0)
    assert grants.grant("b", 0, LONG, 0, 1) == 0
    grants.report("b", 0, 1, 0)
    assert grants.grant("b", 0, LONG, 0, 1) == GRANT
    assert not grants.loaded(1, 2)
    grants.report("b", 0, 2, 0)
    assert grants.loaded(1, 2)


def test_erasures_wait_for_those_that_may_answer_alone() -> None:
    grants = Grants(GRANT, 0)
    grants.join("b", 0)
    grants.join("away", 0)
    grants.grant("b", 0, LONG, 0, -1)
    assert not grants.overwritten(1, 7)
    grants.report("b", 0, -1, 7)
    assert grants.overwritten(1, 7)


def test_a_follower_that_stays_slow_gets_no_more_grants() -> None:
    grants = Grants(GRANT, 0)
    grants.join("b", 0)
    now = 0
    assert grants.grant("b", now, LONG, 0, -1) == GRANT
    while grants.grant("b", now, LONG, 5, -1):  # never applies record 5
        now += GRANT // 4
    assert SLOW * GRANT < now <= SLOW * GRANT + GRANT // 4
    grants.report("b", 5, -1, 0)
    assert grants.grant("b", now, LONG, 5, -1) == GRANT


@pytest.mark.parametrize("there", [0, 200, 900])
@pytest.mark.parametrize("back", [0, 200, 900, 5000])
def test_the_holder_stops_before_the_giver_stops_waiting(there: int, back: int) -> None:
    """However long the question and its answer take, on clocks that differ by any offset."""
    offset = 123_456
    grants, permit = Grants(GRANT, 0), Permit()
    grants.join("b", 0)
    length = grants.grant("b", there, LONG, 0, -1)
    permit.granted(offset + 0, length)
    for now in range(there, there + 3 * GRANT, 50):
        if now >= there + back and permit.holds(offset + now):
            assert grants.settled(now, 1) == 0


def test_a_grant_is_counted_from_the_question_less_a_margin() -> None:
    permit = Permit()
    permit.granted(100, GRANT)
    end = 100 + int(GRANT * (1 - MARGIN))
    assert permit.holds(end - 1)
    assert not permit.holds(end)
    permit.granted(50, 0)
    assert permit.holds(end - 1)
    permit.end()
    assert not permit.holds(100)


def test_a_grant_that_was_given_back_does_not_come_back_with_a_late_answer() -> None:
    """A follower may load keys between answer and use; meanwhile the leader takes all grants back."""
    permit = Permit()
    permit.granted(100, GRANT)
    permit.end()
    permit.granted(150, GRANT)
    assert not permit.holds(151)


def test_every_order_of_two_followers_steps_keeps_the_rule() -> None:
    """No settled record is missing at a node that may answer."""
    steps = ("ask b", "ask c", "apply b", "apply c", "wait", "append", "drop b", "settle")
    for order in itertools.product(steps, repeat=5):
        grants, permits, now, durable = Grants(GRANT, 0), {"b": Permit(), "c": Permit()}, 1, 1
        applied = {"b": 1, "c": 1}
        settled = 0
        for name in applied:
            grants.join(name, 1)
        for step in order:
            verb, _, name = step.partition(" ")
            if verb == "ask":
                permits[name].granted(now, grants.grant(name, now, LONG, durable, -1))
            elif verb == "apply":
                applied[name] = durable
                grants.report(name, durable, -1, 0)
            elif verb == "wait":
                now += GRANT // 2
            elif verb == "append":
                durable += 1
            elif verb == "drop":
                grants.leave("b", now)
            elif verb == "settle":
                settled = grants.settled(now, durable)
            for holder, permit in permits.items():
                assert not permit.holds(now) or applied[holder] >= settled, order


def test_a_follower_that_has_gone_is_forgotten_with_its_grant() -> None:
    """What waited to be sent to it would stay in memory, once for each connection that broke."""

    class Follower:
        pass

    grants, follower = Grants(GRANT, 0), Follower()
    gone = weakref.ref(follower)
    grants.join(follower, 4)
    grants.grant(follower, 0, LONG, 4, -1)
    grants.leave(follower, 10)
    del follower
    assert grants.settled(GRANT - 1, 5) == 4
    assert gone() is not None
    assert grants.settled(GRANT, 5) == 5
    assert gone() is None
