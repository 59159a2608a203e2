"""What every journal behind the seam must do: segment files, alone or leading a shared log, and a list."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from retain.journal import (
    Committed,
    Corrupt,
    Draft,
    Log,
    Part,
    Position,
    PositionMismatch,
    Verb,
    WriteFailed,
    open_journal,
)
from retain.journal.disk.interface import Disk
from retain.journal.format.frame import Chain
from retain.journal.segments.files import pack_opener
from retain.journal.shared.interface import Shared
from retain.journal.shared.leadership import take_leadership
from retain.journal.testing.log import MemoryLog
from retain.journal.testing.memory import MemoryDisk
from retain.journal.testing.shared import MemoryServer, MemoryShared
from tests.kit.journals import SMALL, T0, counting_entropy, draft, opened
from tests.kit.postgres import Server

IDENTITY = bytes(range(16))
OTHER = bytes(range(1, 17))


def opener_bytes(identity: bytes, number: int, chain: Chain) -> int:
    return len(pack_opener(identity, number, chain))


def in_memory(identity: bytes = IDENTITY) -> MemoryLog:
    return MemoryLog(
        identity, counting_entropy(), opener_bytes=opener_bytes, segment_bytes=SMALL.segment_bytes
    )


def in_files(identity: bytes = IDENTITY, disk: Disk | None = None) -> Log:
    """Return a journal over files whose identity is known: the first bytes of its entropy."""
    draws = iter([identity])
    rest = counting_entropy()
    return open_journal(
        disk or MemoryDisk(),
        lambda _: None,
        options=SMALL,
        entropy=lambda size: next(draws, None) or rest(size),
    )


def in_shared(identity: bytes = IDENTITY) -> Log:
    """Return a journal over files that leads a shared log in memory: each frame is committed there first."""
    return leading(MemoryShared(MemoryServer(lambda: 1)), identity)


def in_postgres(identity: bytes = IDENTITY) -> Log:
    """Return a journal over files that leads a shared log in PostgreSQL."""
    return leading(DATABASE[-1], identity)


DATABASE: list[Shared] = []
"""A connection, while a test needs one."""


@pytest.fixture(autouse=True)
def _database(request: pytest.FixtureRequest) -> Iterator[None]:
    callspec = getattr(request.node, "callspec", None)
    if callspec is None or in_postgres not in callspec.params.values():
        yield
        return
    server: Server = request.getfixturevalue("postgres_server")
    from retain.journal.shared.postgres import PostgresShared

    with closing(PostgresShared(server.url)) as shared:
        DATABASE.append(shared)
        yield
        DATABASE.clear()


def leading(shared: Shared, identity: bytes) -> Log:
    draws, rest, now = iter([identity]), counting_entropy(), [1]
    journal = open_journal(
        MemoryDisk(),
        lambda _: None,
        options=replace(SMALL, shared=True),
        entropy=lambda size: next(draws, None) or rest(size),
    )
    head = journal.head
    shared.create(identity, head.seq, head.root, head.segment)
    leadership = take_leadership(
        shared,
        "n1",
        "",
        lease=5.0,
        clock=lambda: now[0],
        pause=lambda _: None,
        entropy=counting_entropy(),
        holder=bytes(16),
    )
    assert leadership is not None
    journal.lead(leadership.commit, head.position, head.segment)
    return journal


Make = Callable[..., Log]
KINDS = pytest.mark.parametrize("make", [in_files, in_memory, in_shared, in_postgres])
PAIRS = pytest.mark.parametrize(
    ("leader", "follower"),
    [
        (in_files, in_files),
        (in_files, in_memory),
        (in_memory, in_files),
        (in_memory, in_memory),
        (in_shared, in_files),
        (in_postgres, in_files),
    ],
)


def commit(log: Log, *drafts: Draft, time: int = T0) -> list[int]:
    reserve = getattr(log, "reserve", None)
    if reserve is not None:
        reserve()
    return log.append(drafts or (draft(),), time)


def committed(log: Log, after: Position | None = None) -> list[Committed]:
    tail = log.tail(after)
    try:
        return [frame for frame, _ in tail.frames(log.head.seq)]
    finally:
        tail.close()


@KINDS
def test_the_head_moves_with_each_append_and_times_never_decrease(make: Make) -> None:
    log = make()
    before = log.head
    commit(log, draft(), draft(), time=T0)
    commit(log, draft(), time=T0 - 5)

    assert (before.seq, log.head.seq, log.head.time) == (0, 3, T0)
    assert log.head.root != before.root
    assert log.identity == IDENTITY


@KINDS
def test_content_is_found_by_the_address_that_append_returned(make: Make) -> None:
    log = make()
    addresses = commit(log, draft(content=b"\xa1a"), draft(content=b""), draft(content=b"\xa1c"))

    assert [log.content(address) for address in addresses if address >= 0] == [b"\xa1a", b"\xa1c"]
    assert addresses[1] == -1
    with pytest.raises(Corrupt):
        log.content(addresses[0] + (7 << 40))


@KINDS
def test_a_batch_that_is_too_large_changes_nothing(make: Make) -> None:
    log = make()
    before = log.head
    with pytest.raises(ValueError, match="larger than the format allows"):
        commit(log, *(draft(content=b"\xc6" + bytes(4) + bytes(900_000)) for _ in range(6)))

    assert log.head == before
    commit(log)
    assert log.head.seq == 1


@KINDS
def test_a_tail_yields_every_frame_once_and_in_order_over_several_segments(make: Make) -> None:
    log = make()
    tail = log.tail()
    seen = []
    for batch in range(12):
        commit(log, *(draft(content=b"\xc4\xc8" + bytes([batch]) * 200) for _ in range(2)), time=T0 + batch)
        if batch % 3 == 2:
            for frame, records in tail.frames(log.head.seq):
                assert frame.last == records[-1].header.seq
                seen += [(record.header.seq, record.content) for record in records]
    tail.close()

    assert log.head.segment > 2
    assert [seq for seq, _ in seen] == list(range(1, 25))
    assert seen[4][1] == b"\xc4\xc8" + bytes([2]) * 200
    assert tail.head == log.head


@KINDS
@pytest.mark.parametrize("bytes_", [7_000, 9_000, 70_000, 900_000])
def test_a_tail_yields_frames_of_any_size(make: Make, bytes_: int) -> None:
    log = make()
    tail = log.tail()
    content = b"\xc6" + bytes_.to_bytes(4, "big") + bytes(bytes_)
    for _ in range(3):
        log.append([draft(), draft(content=content)], T0)
        commit(log)
    taken = [record.content for _, records in tail.frames(log.head.seq) for record in records]
    tail.close()

    assert taken == [b"\xa2hi", content, b"\xa2hi"] * 3


@KINDS
def test_a_tail_stops_where_it_is_told_and_goes_on_from_there(make: Make) -> None:
    log = make()
    for _ in range(3):
        commit(log)
    tail = log.tail()

    assert [frame.last for frame, _ in tail.frames(1)] == [1]
    assert tail.head.seq == 1
    assert [frame.last for frame, _ in tail.frames(3)] == [2, 3]
    assert list(tail.frames(3)) == []
    tail.close()


@KINDS
def test_a_tail_starts_at_any_position_the_journal_was_at(make: Make) -> None:
    log = make()
    positions = [log.head.position]
    for _ in range(12):
        commit(log, draft(content=b"\xc4\xc8" + bytes(200)), draft(content=b"\xc4\xc8" + bytes(200)))
        positions.append(log.head.position)

    assert [len(committed(log, position)) for position in positions] == list(range(12, -1, -1))
    with pytest.raises(PositionMismatch):
        log.tail(Position(4, bytes(32)))
    with pytest.raises(PositionMismatch):
        log.tail(Position(3, positions[1].root))
    with pytest.raises(PositionMismatch):
        log.tail(Position(99, positions[1].root))


@KINDS
def test_a_tail_reports_a_durable_record_that_is_not_there(make: Make) -> None:
    log = make()
    commit(log)
    tail = log.tail()
    with pytest.raises(Corrupt, match="durable"):
        list(tail.frames(2))

    commit(log)
    assert [frame.last for frame, _ in tail.frames(2)] == [2]
    tail.close()


@PAIRS
def test_a_follower_has_the_same_bytes(leader: Make, follower: Make) -> None:
    first, second = leader(), follower()
    for batch in range(12):
        commit(first, *(draft(content=b"\xc4\xc8" + bytes([batch]) * 200) for _ in range(2)), time=T0 + batch)
    frames = committed(first)
    received = [record for frame in frames for record in second.receive(frame)]

    assert second.head == first.head
    assert committed(second) == frames
    assert [second.content(record.content_at) for record in received] == [
        first.content(record.content_at) for record in received
    ]
    commit(second)  # and can go on by itself
    assert second.head.seq == first.head.seq + 1


@PAIRS
def test_a_follower_refuses_what_does_not_follow(leader: Make, follower: Make) -> None:
    first, second = leader(), follower()
    for _ in range(12):
        commit(first, draft(content=b"\xc4\xc8" + bytes(200)), draft(content=b"\xc4\xc8" + bytes(200)))
    frames = committed(first)
    second.receive(frames[0])
    good = frames[1]
    flipped = bytearray(good.frame)
    flipped[-400] ^= 1
    wrong = [
        frames[0],  # again
        frames[2],  # one is missing
        good._replace(offset=good.offset + 512),
        good._replace(segment=2),
        good._replace(last=good.last + 1),
        good._replace(frame=bytes(flipped)),
        good._replace(frame=good.frame[:-512]),
        good._replace(frame=good.frame + bytes(512)),
        good._replace(frame=b""),
    ]
    before = second.head
    for one in wrong:
        with pytest.raises(Corrupt):
            second.receive(one)
        assert second.head == before
    second.receive(good)
    assert second.head.seq == 4


@PAIRS
def test_a_follower_refuses_another_journals_frames(leader: Make, follower: Make) -> None:
    first, second = leader(OTHER), follower(IDENTITY)
    commit(first)
    with pytest.raises(Corrupt):
        second.receive(committed(first)[0])
    assert second.head.seq == 0


def test_a_failed_write_is_final_whichever_journal_failed() -> None:
    disk = MemoryDisk()
    log = in_files(disk=disk)
    commit(log)
    memory = in_memory()
    commit(memory)
    frame = committed(memory)[0]

    memory.fails = True
    disk.fail_at(disk.operations + 1, errno.EIO)
    for failing in (log, memory):
        with pytest.raises(WriteFailed):
            failing.append([draft()], T0)
        with pytest.raises(WriteFailed):
            failing.receive(frame)


def test_a_frame_with_an_erased_part_is_not_received_and_the_tail_shows_it_as_gone() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    commit(log, draft(), draft())
    log.erase([(1, Part.CONTENT)], 3, T0)
    tail = log.tail()
    frames = list(tail.frames(log.head.seq))
    tail.close()

    assert [record.content for record in frames[0][1]] == [None, b"\xa2hi"]
    assert [record.header.verb for _, records in frames[1:] for record in records] == [
        Verb.ERASE,
        Verb.ERASED,
    ]
    with pytest.raises(Corrupt):
        in_memory(log.identity).receive(frames[0][0])


def test_a_tail_follows_a_segment_that_is_rewritten_while_it_reads() -> None:
    disk = MemoryDisk()
    log, _ = opened(disk)
    for _ in range(12):
        commit(log, draft(content=b"\xc4\xc8" + bytes(200)), draft(content=b"\xc4\xc8" + bytes(200)))
    tail = log.tail()
    taken = [frame.last for frame, _ in tail.frames(2)]
    log.erase([(seq, Part.CONTENT) for seq in range(3, 9)], 3, T0)
    for number in log.sparse():
        assert log.rewrite(number) > 0
    taken += [frame.last for frame, _ in tail.frames(log.head.seq)]
    tail.close()

    assert taken == [*range(2, 25, 2), 25, 26]


def test_what_was_received_is_there_after_a_restart() -> None:
    leader, disk = in_memory(), MemoryDisk()
    for batch in range(12):
        commit(leader, *(draft(content=b"\xc4\xc8" + bytes([batch]) * 200) for _ in range(2)))
    follower = in_files(disk=disk)
    for frame in committed(leader):
        follower.receive(frame)
    follower.close()  # type: ignore[attr-defined]

    again, records = opened(disk)
    assert again.head.position == leader.head.position
    assert [record.header.seq for record in records] == list(range(1, 25))
