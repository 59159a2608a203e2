"""A node's hold of the shared log: answers that are lost, others that take over, leases that end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from retain.journal import Committed
from retain.journal.errors import Fenced, Unsettled
from retain.journal.shared.interface import SharedHead, Succession
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
        self.waited: Callable[[], None] = lambda: None
        self.numbers = count(1)
        self.shared = MemoryShared(self.server)
        self.shared.create(bytes(16), 0, bytes(32), 1)

    def entered(self, name: str) -> None:
        self.now += self.slow
        self.meanwhile(name)

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)
        self.waited()

    def entropy(self, size: int) -> bytes:
        return next(self.numbers).to_bytes(size, "big")

    def take(self, name: str = "ann", is_cut: Callable[[], bool] = lambda: False) -> Leadership | None:
        return take_leadership(
            MemoryShared(self.server, is_cut),
            name,
            f"https://{name}",
            lease=LEASE,
            clock=lambda: self.now,
            pause=self.wait,
            entropy=self.entropy,
            holder=name.encode() * 4,
            patience=60.0,
        )

    def leader(self, name: str = "ann", is_cut: Callable[[], bool] = lambda: False) -> Leadership:
        leader = self.take(name, is_cut)
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
    for lost, error in (([], Fenced), ([True], Fenced), ([False], Unsettled)):
        old = world.leader()
        world.wait(LEASE + 1)
        new = world.leader("ben")
        before = world.frames()
        world.server.lose(*lost)
        with pytest.raises(error):
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


def succession(leader: Leadership) -> Succession:
    """What a leader tells of the beginning of its term."""
    return Succession(leader.term, leader.head.seq, leader.head.batch)


class CutOff:
    """A leader that alone does not reach the shared log while it commits its second frame, and is succeeded.

    Args:
        sent: What happens to the frame on its way.
        grows: How many frames the next leaders commit before the news arrives, each a leader of its own.

    """

    def __init__(self, world: World, sent: Callable[[], None], grows: int = 0) -> None:
        self.world, self._grows, self._is_cut = world, grows, False
        self.old = world.leader("ann", lambda: self._is_cut)
        commit(self.old, 1)
        sent()
        world.meanwhile = self._cut
        world.waited = self._succeed

    def _cut(self, name: str) -> None:
        if name == "append":
            self._is_cut, self.world.meanwhile = True, lambda name: None

    def _succeed(self) -> None:
        world = self.world
        if world.head().remaining > 0 or self.old.until == 0:
            return
        new = world.leader("ben")
        for number in range(self._grows):
            commit(new, world.head().seq + 1)
            world.now += int((LEASE + 1) * SECOND)
            new = world.leader(f"c{number}")
        assert self.old.succeed(succession(new))


def test_a_frame_that_did_not_arrive_before_the_next_term_is_refused_and_never_gets_in(world: World) -> None:
    cut = CutOff(world, world.server.hold)
    began = world.now
    with pytest.raises(Fenced, match="was not committed"):
        commit(cut.old, 2)
    assert LEASE <= (world.now - began) / SECOND < LEASE + 1
    world.server.deliver()
    assert world.frames() == [1]


def test_a_frame_that_arrived_before_the_next_term_is_acknowledged(world: World) -> None:
    cut = CutOff(world, lambda: world.server.lose(True))
    began = world.now
    commit(cut.old, 2)
    assert LEASE <= (world.now - began) / SECOND < LEASE + 1
    assert world.frames() == [1, 2]


@pytest.mark.parametrize("arrived", [False, True])
def test_a_frame_stays_unknown_where_the_log_has_grown_since(world: World, *, arrived: bool) -> None:
    cut = CutOff(world, lambda: world.server.lose(arrived), grows=1)
    with pytest.raises(Unsettled, match="unknown"):
        commit(cut.old, 2)
    assert world.frames() == [1, 2, 3][: 2 + arrived]


def test_a_frame_stays_unknown_where_nobody_tells_where_the_next_term_began(world: World) -> None:
    old = world.leader()
    world.server.lose(True)

    def take_over(name: str) -> None:
        if name == "settle":
            world.meanwhile = lambda name: None
            world.now += int((LEASE + 1) * SECOND)
            world.leader("ben")

    world.meanwhile = take_over
    with pytest.raises(Unsettled, match=r"node ben leads.*unknown"):
        commit(old, 1)
    assert world.frames() == [1]


def test_a_leader_that_was_succeeded_asks_the_shared_log_no_more(world: World) -> None:
    old = world.leader()
    world.wait(LEASE + 1)
    new = world.leader("ben")
    assert old.succeed(succession(new))
    world.server.calls.clear()
    assert old.until == 0
    for ask in (lambda: commit(old, 1), old.renew):
        with pytest.raises(Fenced, match="another node leads"):
            ask()
    assert world.server.calls == []
    commit(new, 1)


def test_news_of_an_earlier_term_or_of_the_own_one_ends_nothing(world: World) -> None:
    first = world.leader()
    earlier = succession(first)
    first.release()
    leader = world.leader("ben")
    world.server.lose(False)
    commit(leader, 1)  # under a later epoch of the same term
    until = leader.until
    assert not leader.succeed(earlier)
    assert not leader.succeed(succession(leader))
    assert leader.until == until
    commit(leader, 2)


def test_a_commit_that_failed_ends_the_lease(world: World) -> None:
    """The state may have what the log has not, so nothing more is committed and no lease renewed."""
    leader = world.leader()
    world.server.down = True
    with pytest.raises(Unsettled):
        commit(leader, 1)
    world.server.down = False
    with pytest.raises(Fenced):
        leader.renew()
    assert leader.until == 0
    with pytest.raises(Fenced):
        commit(leader, 1)
    assert world.frames() == []


def test_a_log_that_somebody_else_changed_in_this_term_leaves_the_outcome_unknown(world: World) -> None:
    leader = world.leader()
    world.server.lose(False)

    def intrude(name: str) -> None:
        if name == "settle":
            world.meanwhile = lambda name: None
            frame = Committed(1, 512, 1, bytes(512))
            world.shared.append(frame, world.head().term, 0, bytes(32), b"another batch id", LEASE)

    world.meanwhile = intrude
    with pytest.raises(Unsettled, match="unknown"):
        commit(leader, 1)
