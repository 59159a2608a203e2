"""A node's hold of the shared log: answers that are lost, others that take over, leases that end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from retain.journal import Committed
from retain.journal.errors import Fenced, Unsettled
from retain.journal.shared.interface import SharedHead
from retain.journal.shared.leadership import Leadership, take_leadership
from retain.journal.testing.shared import MemoryServer, MemoryShared

SECOND = 1_000_000_000
LEASE = 5.0


class World:
    """A server and the time, which passes where somebody waits."""

    def __init__(self) -> None:
        self.now = 1000 * SECOND
        self.server = MemoryServer(lambda: self.now, self.entered)
        self.slow = 0
        self.meanwhile: Callable[[str], None] = lambda name: None
        self.numbers = count(1)
        self.shared = MemoryShared(self.server)
        self.shared.create(bytes(16), 0, bytes(32), 1)

    def entered(self, name: str) -> None:
        self.now += self.slow
        self.meanwhile(name)

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)

    def entropy(self, size: int) -> bytes:
        return next(self.numbers).to_bytes(size, "big")

    def take(self, name: str = "ann") -> Leadership | None:
        return take_leadership(
            MemoryShared(self.server),
            name,
            f"https://{name}",
            lease=LEASE,
            clock=lambda: self.now,
            pause=self.wait,
            entropy=self.entropy,
            holder=name.encode() * 4,
            patience=60.0,
        )

    def leader(self, name: str = "ann") -> Leadership:
        leader = self.take(name)
        assert leader is not None
        return leader

    def frames(self) -> list[int]:
        head = self.head()
        return [frame.last for frame in self.shared.after(0, head.seq, head.term)]

    def head(self) -> SharedHead:
        return self.shared.head()


@pytest.fixture
def world() -> World:
    return World()


def commit(leader: Leadership, last: int) -> None:
    leader.commit(Committed(1, 512 * last, last, bytes(512)), last - 1, bytes(32))


def test_a_lost_answer_of_an_append_that_was_in_is_settled_without_sending_it_again(world: World) -> None:
    leader = world.leader()
    epoch = leader.term.epoch
    world.server.lose(True)
    commit(leader, 1)
    assert world.frames() == [1]
    assert world.server.calls.count("append") == 1
    assert leader.term.epoch == epoch + 1
    commit(leader, 2)
    assert world.frames() == [1, 2]


def test_an_append_that_never_arrived_is_sent_again(world: World) -> None:
    leader = world.leader()
    world.server.lose(False)
    commit(leader, 1)
    assert world.frames() == [1]
    assert world.server.calls.count("append") == 2


def test_an_append_that_is_still_under_way_never_arrives_after_it_was_settled(world: World) -> None:
    leader = world.leader()
    world.server.hold()
    commit(leader, 1)
    world.server.deliver()
    commit(leader, 2)
    assert world.frames() == [1, 2]


def test_an_append_that_arrives_between_settling_and_sending_again_never_happens(world: World) -> None:
    leader = world.leader()
    world.server.hold()
    world.meanwhile = lambda name: world.server.deliver() if name == "append" else None
    commit(leader, 1)
    assert world.frames() == [1]
    assert world.server.calls.count("append") == 2


def test_every_answer_of_settling_may_be_lost_too(world: World) -> None:
    leader = world.leader()
    world.server.lose(False, True, False, True, False, True, True)
    commit(leader, 1)
    assert world.frames() == [1]
    commit(leader, 2)
    assert world.frames() == [1, 2]


def test_what_is_visible_and_not_replicated_is_not_acknowledged(world: World) -> None:
    leader = world.leader()
    world.server.replicates = False
    tries = len(world.server.calls)

    def entered(name: str) -> None:
        if len(world.server.calls) == tries + 3:
            world.server.fail_over()

    world.server._entered = entered
    commit(leader, 1)
    assert world.server.calls[tries:] == ["append", "settle", "settle", "append"]
    assert world.frames() == [1]


def test_another_leader_is_noticed_where_the_answer_was_lost_and_where_not(world: World) -> None:
    for lost in ([], [True], [False]):
        old = world.leader()
        world.wait(LEASE + 1)
        new = world.leader("ben")
        before = world.frames()
        world.server.lose(*lost)
        with pytest.raises(Fenced):
            commit(old, len(before) + 1)
        assert world.frames() == before
        commit(new, len(before) + 1)
        new.release()


def test_nobody_answers_for_longer_than_the_patience(world: World) -> None:
    leader = world.leader()
    world.server.down = True
    began = world.now
    with pytest.raises(Unsettled):
        commit(leader, 1)
    assert 60 <= (world.now - began) / SECOND < 62


def test_the_lease_counts_from_before_the_statement_was_sent_less_a_margin(world: World) -> None:
    world.slow = SECOND
    began = world.now
    leader = world.leader()
    assert leader.until == began + int(0.8 * LEASE * SECOND)
    began = world.now
    commit(leader, 1)
    assert leader.until == began + int(0.8 * LEASE * SECOND)
    began = world.now
    leader.renew()
    assert leader.until == began + int(0.8 * LEASE * SECOND)
    assert world.now + world.head().remaining * SECOND > leader.until


def test_a_lost_renewal_leaves_the_lease_as_it_was(world: World) -> None:
    leader = world.leader()
    until = leader.until
    world.wait(1)
    world.server.lose(False)
    with pytest.raises(Unsettled):
        leader.renew()
    assert leader.until == until
    leader.renew()
    assert leader.until > until


def test_a_lease_given_back_is_free_at_once(world: World) -> None:
    leader = world.leader()
    assert world.take("ben") is None
    leader.release()
    assert leader.until == 0
    assert world.take("ben") is not None
    with pytest.raises(Fenced):
        leader.renew()


def test_taking_whose_answer_was_lost_is_done_again(world: World) -> None:
    world.server.lose(True)
    with pytest.raises(Unsettled):
        world.take()
    leader = world.leader()
    commit(leader, 1)
    assert world.frames() == [1]
