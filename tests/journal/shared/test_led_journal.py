"""Journals in folders of their own that share a log: the leader appends there first, all have its bytes."""

from __future__ import annotations

import pytest

from retain.journal import (
    Draft,
    Journal,
    JournalOptions,
    Part,
    Position,
    PositionMismatch,
    Record,
    Verb,
    open_journal,
)
from retain.journal.errors import Closed, Corrupt, Fenced, Unsettled, WriteFailed
from retain.journal.shared.interface import NodeReport
from retain.journal.shared.leadership import Leadership, take_leadership
from retain.journal.testing.memory import MemoryDisk
from retain.journal.testing.shared import MemoryServer, MemoryShared
from tests.kit.journals import SMALL, T0, counting_entropy, draft

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
IDENTITY = bytes(range(16))
SHARED = JournalOptions(
    segment_bytes=SMALL.segment_bytes,
    reserve_bytes=SMALL.reserve_bytes,
    step_bytes=SMALL.step_bytes,
    ballast_bytes=0,
    shared=True,
    segment_age_ns=6 * HOUR,
)


class Node:
    """A folder of its own, and a connection to the shared log."""

    def __init__(self, cluster: Cluster, name: str, disk: MemoryDisk | None = None) -> None:
        self.cluster, self.name = cluster, name
        self.disk = disk or MemoryDisk()
        self.shared = MemoryShared(cluster.server)
        self.leadership: Leadership | None = None
        self.records: list[Record] = []
        self.start()

    def start(self) -> None:
        draws, rest = iter([] if self.disk.files() else [IDENTITY]), counting_entropy()
        self.records.clear()
        self.journal: Journal = open_journal(
            self.disk,
            self.records.append,
            options=SHARED,
            entropy=lambda size: next(draws, None) or rest(size),
        )

    def crash(self, disk: MemoryDisk | None = None) -> None:
        self.disk = disk or self.disk.kill()
        self.leadership = None
        self.start()

    def lead(self) -> None:
        self.cluster.now += 10 * SECOND
        taken = take_leadership(
            self.shared,
            self.name,
            "",
            lease=5.0,
            clock=lambda: self.cluster.now,
            pause=self.cluster.wait,
            entropy=counting_entropy(),
            holder=self.name.encode() * 16,
        )
        assert taken is not None
        self.leadership = taken
        self.follow()
        self.journal.lead(taken.commit, Position(taken.head.seq, taken.head.root), taken.head.segment)

    def follow(self) -> list[Record]:
        head = self.shared.head()
        seen = []
        for frame in self.shared.after(self.journal.head.seq, head.seq, head.term):
            seen += self.journal.receive(frame)
        return seen

    def append(self, *drafts: Draft, time: int = T0) -> list[int]:
        self.journal.reserve()
        return self.journal.append(drafts or (draft(content=b"\xc4\xc8" + bytes([65]) * 200),), time)


class Cluster:
    def __init__(self) -> None:
        self.now = 1000 * SECOND
        self.server = MemoryServer(lambda: self.now)
        self.ann, self.ben = Node(self, "a"), Node(self, "b")
        head = self.ann.journal.head
        self.ann.shared.create(IDENTITY, 0, head.root, head.segment)

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def folder(node: Node) -> dict[str, bytes]:
    """The segments, without the room after the end."""
    return segments(node.disk)


def segments(disk: MemoryDisk) -> dict[str, bytes]:
    return {name: data.rstrip(b"\0") for name, data in disk.files().items() if name.endswith(".journal")}


def test_a_follower_has_the_leaders_bytes_over_segments_and_changes_of_leader(cluster: Cluster) -> None:
    leader, follower = cluster.ann, cluster.ben
    leader.lead()
    for turn in range(30):
        leader.append(draft(content=b"\xc4\xc8" + bytes([turn]) * 200), draft(), time=T0 + turn)
        if turn % 7 == 6:
            leader.crash()
            leader, follower = follower, leader
            leader.lead()
    follower.follow()

    assert leader.journal.head == follower.journal.head
    assert leader.journal.head.segment > 3
    assert folder(leader) == folder(follower)


def test_a_journal_that_follows_appends_nothing(cluster: Cluster) -> None:
    with pytest.raises(AssertionError, match="follows"):
        cluster.ann.append()
    cluster.ann.lead()
    cluster.ann.append()
    frame = cluster.ann.shared.after(0, 1, cluster.ann.shared.head().term)[0]
    with pytest.raises(AssertionError, match="leads"):
        cluster.ann.journal.receive(frame)


def test_leading_needs_the_whole_shared_log(cluster: Cluster) -> None:
    cluster.ann.lead()
    cluster.ann.append()
    head = cluster.ann.shared.head()
    with pytest.raises(PositionMismatch, match="record 0"):
        cluster.ben.journal.lead(lambda *_: None, cluster.ann.journal.head.position, head.segment)
    cluster.ben.follow()
    with pytest.raises(PositionMismatch):
        cluster.ben.journal.lead(lambda *_: None, cluster.ann.journal.head.position, 0)
    cluster.ben.journal.lead(lambda *_: None, cluster.ann.journal.head.position, head.segment)


def test_what_was_committed_and_not_written_is_received_after_the_crash(cluster: Cluster) -> None:
    cluster.ann.lead()
    cluster.ann.append()
    before = cluster.ann.disk.kill()
    cluster.ann.append()
    cluster.ann.crash(before)
    assert cluster.ann.journal.head.seq == 1
    assert [record.header.seq for record in cluster.ann.follow()] == [2]
    cluster.ben.follow()
    assert folder(cluster.ann) == folder(cluster.ben)


def test_a_new_segment_begins_only_with_a_frame_that_is_committed(cluster: Cluster) -> None:
    cluster.ann.lead()
    while cluster.ann.journal.head.offset < SHARED.segment_bytes:
        cluster.ann.append()
    cluster.ben.lead()
    with pytest.raises(Fenced):
        cluster.ann.append()
    assert len(folder(cluster.ann)) == 1
    cluster.ben.append()
    assert len(folder(cluster.ben)) == 2
    cluster.ann.crash()
    cluster.ann.follow()
    assert folder(cluster.ann) == folder(cluster.ben)


@pytest.mark.parametrize("error", [Fenced, Unsettled])
def test_an_append_that_was_not_acknowledged_is_final(cluster: Cluster, error: type[Exception]) -> None:
    cluster.ann.lead()
    cluster.ann.append()
    if error is Fenced:
        cluster.ben.lead()
    else:
        cluster.server.down = True
    with pytest.raises(error):
        cluster.ann.append()
    cluster.server.down = False
    with pytest.raises(WriteFailed):
        cluster.ann.append()
    assert cluster.ann.journal.head.seq == 1


def test_a_segment_ends_by_age_also_where_nobody_writes(cluster: Cluster) -> None:
    cluster.ann.lead()
    cluster.ann.append(time=T0)
    assert not cluster.ann.journal.end_segment(T0 + 5 * HOUR)
    assert cluster.ann.journal.end_segment(T0 + 6 * HOUR)
    assert not cluster.ann.journal.end_segment(T0 + 60 * HOUR)  # it has nothing to end
    cluster.ann.append(time=T0 + 7 * HOUR)
    cluster.ann.append(time=T0 + 13 * HOUR)
    cluster.ann.append(time=T0 + 13 * HOUR)
    cluster.ben.follow()

    assert [one.segment for one in cluster.ann.shared.after(0, 5, cluster.ann.shared.head().term)] == [
        1,
        2,
        2,
        2,
        3,
    ]
    assert folder(cluster.ann) == folder(cluster.ben)
    cluster.ann.crash()
    assert [record.header.verb for record in cluster.ann.records].count(Verb.ERASED) == 1


def erase(node: Node, seq: int) -> None:
    (plan,) = node.journal.plan_erasures([(seq, Part.CONTENT)], 3)
    node.journal.begin_erasure(plan, T0)
    node.journal.blank(plan)
    node.journal.end_erasure(plan, T0)


def test_a_follower_blanks_its_own_folder_at_an_erase_record(cluster: Cluster) -> None:
    cluster.ann.lead()
    addresses = [cluster.ann.append()[0] for _ in range(8)]
    (plan,) = cluster.ann.journal.plan_erasures([(1, Part.CONTENT), (7, Part.CONTENT)], 3)
    cluster.ann.journal.begin_erasure(plan, T0)
    assert (cluster.ann.journal.overwritten, cluster.ann.journal.open_erasures) == (8, [9])
    cluster.ben.follow()

    assert (cluster.ben.journal.overwritten, cluster.ben.journal.head.seq) == (8, 9)
    cluster.ben.journal.overwrite_owed()
    assert (cluster.ben.journal.overwritten, cluster.ben.journal.open_erasures) == (9, [9])
    cluster.ann.journal.blank(plan)
    assert cluster.ann.journal.overwritten == 9
    cluster.ann.journal.end_erasure(plan, T0)
    cluster.ben.follow()
    assert cluster.ann.journal.open_erasures == cluster.ben.journal.open_erasures == []
    assert folder(cluster.ann) == folder(cluster.ben)
    assert cluster.ann.journal.content(addresses[0]) is cluster.ben.journal.content(addresses[6]) is None
    assert cluster.ben.journal.content(addresses[1]) == b"\xc4\xc8" + b"A" * 200


def test_no_folder_has_an_erased_record_before_it_has_overwritten_the_bytes(cluster: Cluster) -> None:
    cluster.ann.lead()
    (address,) = cluster.ann.append()
    erase(cluster.ann, 1)
    frames = cluster.ben.shared.after(0, 3, cluster.ann.shared.head().term)
    for frame in frames[:2]:
        cluster.ben.journal.receive(frame)
    assert cluster.ben.journal.content(address) is not None
    cluster.ben.journal.receive(frames[2])
    assert cluster.ben.journal.content(address) is None
    cluster.ben.crash()
    assert folder(cluster.ann) == folder(cluster.ben)


def test_a_follower_that_starts_finishes_the_erasure_and_appends_nothing(cluster: Cluster) -> None:
    cluster.ann.lead()
    (address,) = cluster.ann.append()
    (plan,) = cluster.ann.journal.plan_erasures([(1, Part.CONTENT)], 3)
    cluster.ann.journal.begin_erasure(plan, T0)
    cluster.ben.follow()
    cluster.ben.crash()

    assert (cluster.ben.journal.head.seq, cluster.ben.journal.overwritten) == (2, 2)
    assert cluster.ben.journal.open_erasures == [2]
    assert cluster.ben.journal.content(address) is None


def test_a_new_leader_closes_what_the_old_one_began(cluster: Cluster) -> None:
    cluster.ann.lead()
    while cluster.ann.journal.head.offset < SHARED.segment_bytes - 1024:
        cluster.ann.append()
    (plan,) = cluster.ann.journal.plan_erasures([(1, Part.CONTENT)], 3)
    cluster.ann.journal.begin_erasure(plan, T0)
    erase_seq = plan.seq
    cluster.ben.lead()
    cluster.ben.journal.overwrite_owed()
    for _ in range(3):
        cluster.ben.append()
    assert cluster.ben.journal.head.segment == 1  # none begins while an erasure is open
    cluster.ben.journal.close_erasures(cluster.ben.journal.open_erasures, T0)
    assert cluster.ben.journal.open_erasures == []
    cluster.ben.append()
    assert cluster.ben.journal.head.segment == 2
    erase(cluster.ben, 2)

    cluster.ann.crash()
    assert cluster.ann.journal.open_erasures == [erase_seq]
    cluster.ann.follow()
    assert folder(cluster.ann) == folder(cluster.ben)


def test_frames_that_do_not_follow_are_refused_and_nothing_changes(cluster: Cluster) -> None:
    cluster.ann.lead()
    for _ in range(8):
        cluster.ann.append()
    frames = cluster.ann.shared.after(0, 8, cluster.ann.shared.head().term)
    cluster.ben.journal.receive(frames[0])
    flipped = bytearray(frames[1].frame)
    flipped[-300] ^= 1
    before = folder(cluster.ben)
    for wrong in (frames[0], frames[2], frames[1]._replace(frame=bytes(flipped)), frames[1]._replace(last=3)):
        with pytest.raises(Corrupt):
            cluster.ben.journal.receive(wrong)
    assert folder(cluster.ben) == before
    for frame in frames[1:]:
        cluster.ben.journal.receive(frame)
    assert folder(cluster.ben) == folder(cluster.ann)


def test_segments_are_dropped_once_two_folders_have_them(cluster: Cluster) -> None:
    cluster.ann.lead()
    for _ in range(12):
        cluster.ann.append()
    cluster.ben.follow()
    for node in (cluster.ann, cluster.ben):
        node.shared.report(NodeReport(node.name, "", "", node.journal.head.seq, node.journal.overwritten))
    term = cluster.ann.shared.head().term
    assert cluster.ann.shared.drop(term, 2, 0.0) == list(range(1, cluster.ann.journal.head.segment))
    cluster.ann.append()
    cluster.ben.follow()
    assert folder(cluster.ann) == folder(cluster.ben)


def test_every_moment_of_a_power_cut_of_the_leader_leaves_what_can_go_on(cluster: Cluster) -> None:
    cluster.ann.lead()
    for _ in range(5):
        cluster.ann.append()
    erase(cluster.ann, 2)
    cuts: list[MemoryDisk] = []
    disk = cluster.ann.disk
    disk.before_each = lambda _: cuts.extend((disk.crash("none"), disk.crash("all"), disk.kill()))
    for _ in range(6):
        cluster.ann.append()
    erase(cluster.ann, 8)
    cluster.ben.follow()
    assert len(cuts) > 60
    for number, cut in enumerate(cuts):
        node = Node(cluster, "c", cut)
        node.follow()
        assert folder(node) == folder(cluster.ben), number
        assert node.journal.open_erasures == []


def test_an_alone_journal_and_a_shared_one_write_the_same_bytes(cluster: Cluster) -> None:
    alone = MemoryDisk()
    draws, rest = iter([IDENTITY]), counting_entropy()
    options = JournalOptions(
        segment_bytes=SMALL.segment_bytes, reserve_bytes=16384, step_bytes=8192, ballast_bytes=0
    )
    journal = open_journal(
        alone, lambda _: None, options=options, entropy=lambda size: next(draws, None) or rest(size)
    )
    cluster.ann.lead()
    for turn in range(12):
        journal.reserve()
        journal.append([draft(content=b"\xc4\xc8" + bytes([turn]) * 200)], T0)
        cluster.ann.append(draft(content=b"\xc4\xc8" + bytes([turn]) * 200))
    assert segments(alone) == folder(cluster.ann)
    journal.close()
    with pytest.raises(Closed):
        journal.reserve()
