"""What every shared log must do, whatever keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from math import inf

import pytest

from retain.journal import Committed
from retain.journal.errors import BadTarget, Fenced, TooFarBehind, Unsettled
from retain.journal.shared.interface import NodeReport, Shared, SharedHead, Term
from retain.journal.testing.shared import MemoryServer, MemoryShared
from tests.kit.postgres import Server

IDENTITY = bytes(range(16))
ANN, BEN = b"a" * 16, b"b" * 16
LEASE = 60.0
"""Seconds; longer than a busy machine stalls."""


@dataclass
class Place:
    """A shared log to test: connections to it, and a way to let its server's time pass."""

    connect: Callable[[], Shared]
    passes: Callable[[float], None]


@pytest.fixture(params=["memory", "postgres"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "postgres":
        server: Server = request.getfixturevalue("postgres_server")
        with ExitStack() as stack:

            def connect() -> Shared:
                from retain.journal.shared.postgres import PostgresShared

                return stack.enter_context(closing(PostgresShared(server.url)))

            yield Place(connect, server.pass_time)
        return
    yield in_memory()


def in_memory() -> Place:
    now = [1_000_000_000_000]

    def passes(seconds: float) -> None:
        now[0] += int(seconds * 1_000_000_000)

    server = MemoryServer(lambda: now[0])
    return Place(lambda: MemoryShared(server), passes)


@pytest.fixture
def shared(place: Place) -> Shared:
    one = place.connect()
    one.create(IDENTITY, 0, bytes(32), 1)
    return one


def frame(last: int, segment: int = 1, size: int = 512) -> Committed:
    return Committed(segment, 512 * last, last, bytes([last % 256]) * size)


def root(seq: int) -> bytes:
    return seq.to_bytes(32, "big")


def batch(seq: int) -> bytes:
    return seq.to_bytes(16, "big")


def taken(shared: Shared, name: str = "ann", holder: bytes = ANN) -> SharedHead:
    head = shared.take(name, f"https://{name}", holder, LEASE)
    assert head is not None
    return head


def append(shared: Shared, term: Term, last: int, *, expected: int | None = None, segment: int = 1) -> None:
    before = last - 1 if expected is None else expected
    shared.append(frame(last, segment), term, before, root(last), batch(last), LEASE)


def test_a_log_is_begun_once_at_the_end_of_a_journal(place: Place) -> None:
    shared = place.connect()
    with pytest.raises(BadTarget, match="no shared log"):
        shared.head()
    shared.create(IDENTITY, 7, root(7), 3)
    shared.create(IDENTITY, 7, root(7), 3)
    for wrong in [(bytes(16), 7, root(7)), (IDENTITY, 8, root(7)), (IDENTITY, 7, root(8))]:
        with pytest.raises(BadTarget):
            shared.create(*wrong, 3)

    head = shared.head()
    assert (head.identity, head.seq, head.root, head.segment) == (IDENTITY, 7, root(7), 3)
    assert (head.leader, head.url, head.batch, head.dropped) == ("", "", bytes(16), 7)
    assert head.remaining <= 0


def test_a_lease_keeps_others_out_until_it_ends_or_is_given_back(place: Place, shared: Shared) -> None:
    first = taken(shared)
    other = place.connect()
    assert other.take("ben", "https://ben", BEN, LEASE) is None
    assert 0 < other.head().remaining <= LEASE
    assert (other.head().leader, other.head().url, other.head().term) == ("ann", "https://ann", first.term)

    place.passes(LEASE + 1)
    second = taken(other, "ben", BEN)
    assert second.term.epoch > first.term.epoch
    assert second.term.holder == BEN
    other.renew(second.term, 0.0)
    assert shared.head().remaining == -inf
    assert taken(shared).term.epoch > second.term.epoch


def test_a_restarted_node_takes_over_from_itself_within_its_lease(shared: Shared) -> None:
    first = taken(shared)
    second = taken(shared, "ann", BEN)
    assert second.term.epoch > first.term.epoch
    with pytest.raises(Fenced):
        append(shared, first.term, 1)


def test_another_node_of_the_leaders_name_does_not_take_over_within_its_lease(shared: Shared) -> None:
    taken(shared)
    assert shared.take("ann", "https://another", BEN, LEASE) is None


def test_frames_come_back_in_order_up_to_what_is_durable(place: Place, shared: Shared) -> None:
    term = taken(shared).term
    for last in range(1, 6):
        append(shared, term, last, segment=1 + last // 3)
    reader = place.connect()

    assert reader.after(0, 5, term) == [frame(last, 1 + last // 3) for last in range(1, 6)]
    assert reader.after(2, 4, term) == [frame(3, 2), frame(4, 2)]
    assert reader.after(5, 5, term) == []
    assert reader.after(0, 5, term, 1100) == [frame(1), frame(2)]
    assert reader.after(0, 5, term, 1) == [frame(1)]
    head = reader.head()
    assert (head.seq, head.root, head.segment, head.batch) == (5, root(5), 2, batch(5))


def test_large_frames_come_back_as_they_were(place: Place, shared: Shared) -> None:
    term = taken(shared).term
    large = Committed(1, 512, 1, bytes(range(256)) * 16384)
    shared.append(large, term, 0, root(1), batch(1), LEASE)
    assert place.connect().after(0, 1, term) == [large]


def test_an_append_needs_the_term_and_the_end(place: Place, shared: Shared) -> None:
    term = taken(shared).term
    append(shared, term, 1)
    before = shared.head()
    for wrong, expected in [(term, 0), (term, 2), (Term(term.epoch - 1, ANN), 1), (Term(term.epoch, BEN), 1)]:
        with pytest.raises(Fenced):
            append(shared, wrong, 2, expected=expected)
    after = shared.head()
    assert after._replace(remaining=0) == before._replace(remaining=0)
    assert shared.after(0, 1, term) == [frame(1)]


def test_an_append_and_renew_prolong_the_lease(place: Place, shared: Shared) -> None:
    term = taken(shared).term
    place.passes(LEASE * 0.5)
    append(shared, term, 1)
    assert shared.head().remaining > LEASE * 0.75
    place.passes(LEASE * 0.5)
    shared.renew(term, LEASE)
    assert shared.head().remaining > LEASE * 0.75
    with pytest.raises(Fenced):
        shared.renew(Term(term.epoch, BEN), LEASE)


def test_settling_begins_a_new_epoch_of_the_holder_alone(shared: Shared) -> None:
    term = taken(shared).term
    append(shared, term, 1)
    head = shared.settle(ANN, LEASE)

    assert (head.seq, head.batch, head.root) == (1, batch(1), root(1))
    assert head.term == Term(term.epoch + 1, ANN)
    with pytest.raises(Fenced):
        append(shared, term, 2)
    append(shared, head.term, 2)
    with pytest.raises(Fenced):
        shared.settle(BEN, LEASE)
    assert shared.head().term == head.term


def test_frames_are_read_under_the_term_that_called_them_durable(place: Place, shared: Shared) -> None:
    term = taken(shared).term
    append(shared, term, 1)
    for wrong in (Term(term.epoch + 1, ANN), Term(term.epoch, BEN)):
        with pytest.raises(Fenced):
            place.connect().after(0, 1, wrong)


def test_a_server_that_lacks_a_durable_record_is_not_the_one_to_read_from(
    place: Place, shared: Shared
) -> None:
    term = taken(shared).term
    append(shared, term, 1)
    reader = place.connect()
    with pytest.raises(Unsettled, match="up to 1, not 2"):
        reader.after(0, 2, term)
    assert reader.after(0, 1, term) == [frame(1)]


def report(name: str, durable: int) -> NodeReport:
    return NodeReport(name, f"https://{name}", "0.1.0", durable, durable - 1)


def test_nodes_report_and_are_forgotten(place: Place, shared: Shared) -> None:
    shared.report(report("ben", 3))
    shared.report(report("ann", 2))
    place.passes(120)
    place.connect().report(report("ann", 4))

    nodes = shared.nodes()
    assert [one._replace(age=0) for one in nodes] == [report("ann", 4), report("ben", 3)]
    assert nodes[0].age < 100 < nodes[1].age
    assert shared.forget("ben")
    assert not shared.forget("ben")
    assert [one.name for one in shared.nodes()] == ["ann"]


def test_small_files_are_kept_and_removed_by_the_leader_alone(place: Place, shared: Shared) -> None:
    term = taken(shared).term
    shared.keep({"audit.key": b"one", "accounts/a": b"two"}, term)
    shared.keep({"accounts/a": None, "accounts/b": bytes(range(256))}, term)
    assert place.connect().kept() == {"audit.key": b"one", "accounts/b": bytes(range(256))}
    with pytest.raises(Fenced):
        shared.keep({"audit.key": b"other"}, Term(term.epoch, BEN))
    assert shared.kept()["audit.key"] == b"one"


def test_frames_are_dropped_by_whole_segments_that_are_ended_old_and_in_enough_folders(
    place: Place, shared: Shared
) -> None:
    term = taken(shared).term
    for last in range(1, 7):
        append(shared, term, last, segment=1 + last // 3)  # 1 2 | 3 4 5 | 6
    shared.report(report("ann", 6))
    assert shared.drop(term, 2, 0.0) == []  # one copy
    shared.report(report("ben", 4))
    place.passes(2)
    assert shared.drop(term, 2, 3600.0) == []  # too young
    with pytest.raises(Fenced):
        shared.drop(Term(term.epoch, BEN), 2, 1.0)
    assert shared.drop(term, 2, 1.0) == [1]  # ben lacks record 5
    shared.report(report("ben", 6))
    assert shared.drop(term, 2, 1.0) == [2]  # the last segment has not ended
    assert shared.drop(term, 2, 1.0) == []

    assert shared.head().dropped == 5
    assert shared.after(5, 6, term) == [frame(6, 3)]
    with pytest.raises(TooFarBehind):
        shared.after(2, 6, term)
    append(shared, term, 7, segment=3)
    assert shared.after(6, 7, term) == [frame(7, 3)]


def test_small_files_change_only_from_what_the_caller_knows(shared: Shared) -> None:
    term = taken(shared).term
    shared.keep({"a": b"1"}, term, {"a": None})
    for before in (None, b"0"):
        with pytest.raises(Fenced, match="has changed a at the same time"):
            shared.keep({"b": b"1", "a": b"2"}, term, {"b": None, "a": before})
    assert shared.kept() == {"a": b"1"}
    shared.keep({"b": b"1", "a": None}, term, {"b": None, "a": b"1"})
    assert shared.kept() == {"b": b"1"}
