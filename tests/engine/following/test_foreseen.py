"""Long lists of blocks are found beside a follower's event loop, as beside the leader's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import trio

from retain.engine import Engine
from retain.engine.blobs import ahead, apply_blobs, entries
from retain.engine.blobs.commands import BlockSource, CommitBlocks, DeleteBlob, StageBlock
from retain.engine.blobs.container_commands import CreateContainer
from retain.engine.blobs.entries import ContentHeaders
from retain.engine.core import domain
from retain.engine.following import follower as following
from retain.engine.following import foreseen
from retain.engine.following.follower import Follower
from retain.engine.following.foreseen import foresee, is_long, short_runs
from retain.engine.snapshots.load import replay
from retain.engine.state import State
from retain.engine.testing import SteppedClock
from retain.journal import scan
from retain.journal.log import Committed
from retain.journal.testing.memory import MemoryDisk
from tests.engine.following.test_follower import leading
from tests.kit.slices import inline

WHERE: dict[str, Any] = {"actor": "user:a", "account": "mytenant", "container": "recordings"}
BLOB = b"blob".ljust(16, b".")


@pytest.fixture(autouse=True)
def _any_list_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "LONG_LIST", 0)
    monkeypatch.setattr(entries, "LONG_LIST", 0)
    monkeypatch.setattr(foreseen, "LONG_BYTES", 0)


@pytest.fixture
def found_late(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How often blocks were found where the record was applied."""
    late: list[str] = []
    make_list = apply_blobs.make_list

    def noting(*arguments: Any) -> Any:
        late.append(threading.current_thread().name)
        return make_list(*arguments)

    monkeypatch.setattr(apply_blobs, "make_list", noting)
    return late


async def stage(engine: Engine | Follower, *blocks: bytes) -> None:
    for block in blocks:
        await engine.submit(StageBlock(**WHERE, name="a", resource=BLOB, block_id=block, body=inline(block)))


def committing(*blocks: bytes, source: BlockSource = BlockSource.LATEST) -> CommitBlocks:
    return CommitBlocks(
        **WHERE,
        name="a",
        resource=BLOB,
        blocks=tuple((source, block) for block in blocks),
        headers=ContentHeaders(),
        md5=None,
    )


async def write(engine: Engine | Follower) -> None:
    """Lists of new blocks, of old ones, of both; blocks that no list has."""
    await engine.submit(CreateContainer(**WHERE, resource=b"container".ljust(16, b".")))
    await stage(engine, b"1", b"2", b"3")
    await engine.submit(committing(b"3", b"1"))
    await stage(engine, b"4", b"1")
    await engine.submit(committing(b"1", b"3", b"4", b"3"))
    await engine.submit(committing(b"4", source=BlockSource.COMMITTED))


async def test_a_follower_finds_blocks_in_a_thread(
    disk: MemoryDisk, clock: SteppedClock, found_late: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with leading(disk, clock) as group:
        follower = await group.follow()
        await write(group.engine)
        await follower.read(lambda state, now: None)
        monkeypatch.setattr(domain, "FREED_AT_ONCE", 1)
        await stage(follower, b"7", b"8")
        await follower.submit(committing(b"8", b"7"))
        assert follower.state.digest() == group.engine.state.digest()
        follower.state.check()
        assert found_late == []
        assert follower._foreseen == {}
        await group.engine.submit(DeleteBlob(**WHERE, name="a"))
        await follower.read(lambda state, now: None)
        assert follower.state.shared.buried == []


async def test_a_look_at_the_state_while_blocks_are_found_applies_the_record_itself(
    disk: MemoryDisk, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on = threading.Event(), threading.Event()
    preparing = following.preparing

    def slow(state: State, event: Any) -> Callable[[], Any] | None:
        prepare = preparing(state, event)
        assert prepare is not None

        def wait() -> Any:
            began.set()
            assert go_on.wait(60)
            return prepare()

        return wait

    async with leading(disk, clock) as group:
        follower = await group.follow()
        engine = group.engine
        await engine.submit(CreateContainer(**WHERE, resource=b"container".ljust(16, b".")))
        await stage(engine, b"1", b"2")
        await follower.read(lambda state, now: None)
        monkeypatch.setattr(following, "preparing", slow)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.submit, committing(b"2", b"1"))
            nursery.start_soon(trio.to_thread.run_sync, began.wait)
            while not began.is_set():
                nursery.start_soon(follower.read, lambda state, now: None)
                await trio.to_thread.run_sync(began.wait, 0.01)
            assert follower.glance(lambda state: state.seq) == engine.durable
            monkeypatch.setattr(following, "preparing", preparing)
            await engine.submit(committing(b"1", source=BlockSource.COMMITTED))
            go_on.set()
        await follower.read(lambda state, now: None)
        assert follower.state.digest() == engine.state.digest()
        assert follower._foreseen == {}


@pytest.mark.parametrize("together", [1, 3, 100])
async def test_records_received_together_are_prepared_where_none_before_them_matters(
    disk: MemoryDisk, clock: SteppedClock, found_late: list[str], together: int
) -> None:
    async with leading(disk, clock) as group:
        await write(group.engine)
        expected = group.engine.state.digest()
        records = list(scan(disk))
        state, prepared = State(), 0
        for start in range(0, len(records), together):
            some = records[start : start + together]
            events = foresee(state, some)
            prepared += len(events)
            for record in some:
                replay(state, record, events.get(record.header.seq))
        assert state.digest() == expected
        assert prepared + len(found_late) == 3
        assert prepared == (3 if together == 1 else prepared)


def test_what_precedes_a_long_frame_is_applied_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreseen, "LONG_BYTES", 10)
    frames = [Committed(1, at, at, b"x" * size) for at, size in enumerate((1, 50, 2, 3, 60, 70))]
    assert [[len(one.frame) for one in run] for run in short_runs(frames)] == [[1], [50, 2, 3], [60], [70]]
    assert list(short_runs(frames[1:3])) == [frames[1:3]]


async def test_short_records_are_not_looked_into(
    disk: MemoryDisk, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreseen, "LONG_BYTES", 4_000)
    async with leading(disk, clock) as group:
        await write(group.engine)
        assert not any(map(is_long, scan(disk)))
