"""Followers answer as if there were one process: what was answered is seen, what was erased is gone."""

from __future__ import annotations

import errno
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio

from retain.engine import Cause, Engine, EngineClosed, Invalid, NotFound, StorageFailed, open_engine
from retain.engine.areas import AreaFile, AreasPolicy, CreateArea, DeleteArea, NewFile, UpdateArea, queries
from retain.engine.core.body import OnDisk
from retain.engine.following import follower as following
from retain.engine.following.follower import Follower, _has_many_parts, load_follower
from retain.engine.testing import SteppedClock, open_memory_engine
from retain.journal import Draft, Part, PayloadStore
from retain.journal.testing.memory import MemoryDisk
from tests.kit.engines import LightOptions, SmallOptions
from tests.kit.following import Followed, followed
from tests.kit.serving import eventually

QUIET = LightOptions(sweep_interval_s=3600.0, erase_interval_s=3600.0)
LARGE = b"large" * 20_000


@asynccontextmanager
async def leading(
    disk: MemoryDisk, clock: SteppedClock, options: LightOptions | SmallOptions = QUIET
) -> AsyncIterator[Followed]:
    async with (
        open_memory_engine(disk, clock=clock, options=options) as engine,
        followed(engine, clock) as group,
    ):
        yield group


def create(name: str, ttl: int = 60, **values: str | NewFile) -> CreateArea:
    resource = name.encode().ljust(16, b".")
    return CreateArea(actor="user:a", name=name, resource=resource, values=values or {"k": "v"}, ttl=ttl)


async def listing(engine: Engine | Follower, name: str) -> dict[str, str | AreaFile]:
    return dict(await engine.read(lambda state, now: queries.listing(state.areas, name, None, now)))


async def test_what_one_follower_was_answered_every_other_one_shows_at_once(
    disk: MemoryDisk, clock: SteppedClock
) -> None:
    async with leading(disk, clock) as group:
        first, second = await group.follow(), await group.follow()
        await first.submit(create("a", k="1"))

        assert await listing(second, "a") == {"k": "1"}
        assert await listing(group.engine, "a") == {"k": "1"}
        await second.submit(DeleteArea(actor="user:a", name="a"))
        with pytest.raises(NotFound):
            await listing(first, "a")
        assert first.state.digest() == second.state.digest() == group.engine.state.digest()


async def test_a_refusal_comes_back_as_it_was_raised(disk: MemoryDisk, clock: SteppedClock) -> None:
    async with leading(disk, clock) as group:
        follower = await group.follow()
        with pytest.raises(NotFound) as refused:
            await follower.submit(
                UpdateArea(actor="a", name="x", resource=b"r" * 16, values={"k": "v"}, ttl=1)
            )
        with pytest.raises(NotFound) as expected:
            await group.engine.submit(
                UpdateArea(actor="a", name="x", resource=b"r" * 16, values={"k": "v"}, ttl=1)
            )
        assert (refused.value.message, refused.value.reason) == (
            expected.value.message,
            expected.value.reason,
        )
        with pytest.raises(Invalid):
            await follower.submit(create("a", k=5))  # type: ignore[arg-type]


async def test_bodies_are_taken_in_by_the_follower_and_read_by_any_other(
    disk: MemoryDisk, clock: SteppedClock
) -> None:
    async with leading(disk, clock) as group:
        first, second = await group.follow(), await group.follow()
        async with first.upload() as small, first.upload() as large:
            await small.write(b"small")
            await large.write(LARGE)
            files = {
                "s": NewFile("s", "a/b", await small.finish()),
                "l": NewFile("l", "a/b", await large.finish()),
            }
            await first.submit(create("a", **files))
        found = await listing(second, "a")
        for key, data in (("s", b"small"), ("l", LARGE)):
            value = found[key]
            assert isinstance(value, AreaFile)
            download = await second.open_body(value.body)
            assert await download.read() == data
            await download.aclose()
        assert len(PayloadStore(disk).names()) == 1


async def test_the_search_for_orphans_spares_what_a_process_of_this_run_has_not_recorded_yet(
    disk: MemoryDisk, clock: SteppedClock
) -> None:
    async with leading(disk, clock) as group:
        engine, follower = group.engine, await group.follow()
        async with engine.upload() as upload, follower.upload() as other, follower.upload() as staged:
            bodies = {}
            for name, one in (("leader", upload), ("follower", other)):
                await one.write(LARGE)
                bodies[name] = await one.finish()
            await staged.write(bytes(2_000_000))
            await staged.write(bytes(2_000_000))  # the first is in its file now
            assert await engine.sweep_orphans() == []
            await engine.submit(create("leader", f=NewFile("f", "a/b", bodies["leader"])))
            await follower.submit(create("follower", f=NewFile("f", "a/b", bodies["follower"])))
            await follower.submit(create("staged", f=NewFile("f", "a/b", await staged.finish())))
        assert await engine.sweep_orphans() == []
        assert len(PayloadStore(disk).names()) == 3
        for name in ("leader", "follower", "staged"):
            value = (await listing(engine, name))["f"]
            assert isinstance(value, AreaFile)
            download = await engine.open_body(value.body)
            assert await download.read()
            await download.aclose()


async def test_long_commands_pass_as_short_ones_do(disk: MemoryDisk, clock: SteppedClock) -> None:
    async with leading(disk, clock) as group:
        follower = await group.follow()
        values = {f"k{number}": "v" * 200 for number in range(1500)}
        assert _has_many_parts(create("a", **values))
        assert not _has_many_parts(create("a", k="v"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                follower.submit, replace(create("a", **values), policy=AreasPolicy(max_keys=2000))
            )
            for number in range(5):
                nursery.start_soon(follower.submit, create(f"b{number}"))
        assert await listing(group.engine, "a") == values
        assert follower.state.digest() == group.engine.state.digest()


async def test_a_refused_command_leaves_no_file(disk: MemoryDisk, clock: SteppedClock) -> None:
    async with leading(disk, clock) as group:
        follower = await group.follow()
        async with follower.upload() as upload:
            await upload.write(LARGE)
            values = {"f": NewFile("f", "a/b", await upload.finish())}
            with pytest.raises(NotFound):
                await follower.submit(
                    UpdateArea(actor="a", name="x", resource=b"r" * 16, values=values, ttl=1)
                )
        assert PayloadStore(disk).names() == []


async def test_where_the_leader_goes_the_outcome_is_unknown_and_the_file_stays(
    disk: MemoryDisk, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with leading(disk, clock) as group:
        follower = await group.follow()
        outcome: list[Exception] = []

        async def change() -> None:
            async with follower.upload() as upload:
                await upload.write(LARGE)
                values = {"f": NewFile("f", "a/b", await upload.finish())}
                try:
                    await follower.submit(create("a", **values))
                except StorageFailed as error:
                    outcome.append(error)

        append = group.engine._log.append
        held, released = threading.Event(), threading.Event()

        def late(drafts: Sequence[Draft], time: int) -> list[int]:
            addresses = append(drafts, time)
            held.set()
            released.wait(60)
            return addresses

        monkeypatch.setattr(group.engine._log, "append", late)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(change)
            await eventually(held.is_set)
            group.links[0].close()
            released.set()
        assert [error.reason for error in outcome if isinstance(error, StorageFailed)] == ["unknown"]
        assert len(PayloadStore(disk).names()) == 1
        assert (await listing(group.engine, "a")).keys() == {"f"}  # it did happen
        with pytest.raises(EngineClosed):
            await follower.submit(create("b"))


async def test_where_writing_fails_the_outcome_is_unknown_and_the_file_stays(
    disk: MemoryDisk, clock: SteppedClock
) -> None:
    async with (
        open_engine(disk, clock=clock, options=QUIET) as engine,
        followed(engine, clock) as group,
    ):
        follower = await group.follow()
        async with follower.upload() as upload:
            await upload.write(LARGE)
            values = {"f": NewFile("f", "a/b", await upload.finish())}
            disk.fail_at(disk.operations + 1, errno.EIO)
            with pytest.raises(StorageFailed):
                await follower.submit(create("a", **values))
        assert len(PayloadStore(disk).names()) == 1
        assert "writing has ended" in engine.statistics().failure


async def test_erasing_waits_until_no_followers_memory_holds_the_content(
    disk: MemoryDisk, clock: SteppedClock
) -> None:
    async with leading(disk, clock) as group:
        follower = await group.follow()
        async with follower.upload() as upload:
            await upload.write(b"secret")
            await follower.submit(create("a", f=NewFile("f", "a/b", await upload.finish())))
        held = (await listing(follower, "a"))["f"]
        assert isinstance(held, AreaFile)
        assert isinstance(held.body, OnDisk)
        download = await follower.open_body(held.body)
        assert await download.read() == b"secret"
        contents = follower._log._contents._recent._kept
        assert contents
        await group.engine.submit(DeleteArea(actor="user:a", name="a"))
        assert contents  # it has not looked since

        await group.engine.erase([(1, Part.CONTENT), (2, Part.CONTENT)], Cause.ERASURE_REQUEST)

        assert not contents
        with pytest.raises(NotFound):
            await follower.open_body(held.body)


async def test_a_follower_that_does_not_follow_is_ended_before_an_erasure_is_done(
    disk: MemoryDisk, clock: SteppedClock, autojump_clock: trio.testing.MockClock
) -> None:
    async with leading(disk, clock) as group:
        follower = await group.follow()

        def broken(until: int) -> None:
            raise OSError(5, "Input/output error")

        follower._log.records = broken  # type: ignore[method-assign,assignment]
        await group.engine.submit(create("a"))
        await group.engine.submit(DeleteArea(actor="user:a", name="a"))
        await group.engine.erase([(1, Part.CONTENT)], Cause.ERASURE_REQUEST)

        assert "Input/output error" in follower.failure
        with pytest.raises(StorageFailed):
            await listing(follower, "a")
        assert group.dropped == 1
        assert not group.followers


async def test_all_hide_by_the_same_time(disk: MemoryDisk, clock: SteppedClock) -> None:
    async with leading(disk, clock) as group:
        first, second = await group.follow(), await group.follow()
        await first.submit(create("a", ttl=60))
        clock.step(30)  # a small step of the wall clock, which only the leader judges
        assert group.engine.now() == first.now() == second.now()
        clock.step(-10)
        assert group.engine.now() == first.now() == second.now()
        clock.advance(29.9)
        assert await listing(second, "a") == {"k": "v"}
        clock.advance(0.2)
        for one in (first, second, group.engine):
            with pytest.raises(NotFound):
                await listing(one, "a")


async def test_watchers_at_a_follower_are_woken(disk: MemoryDisk, clock: SteppedClock) -> None:
    async with leading(disk, clock) as group:
        follower = await group.follow()
        woken = trio.Event()
        follower.on_commit(lambda seq: woken.set())
        await group.engine.submit(create("a"))
        with trio.fail_after(30):
            await woken.wait()
        assert follower.state.seq == group.engine.state.seq


async def test_a_follower_starts_from_a_snapshot_and_over_many_segments(
    disk: MemoryDisk, clock: SteppedClock
) -> None:
    async with leading(disk, clock, SmallOptions()) as group:
        engine = group.engine
        for number in range(60):
            await engine.submit(create(f"a{number}", k="v" * 200))
        await engine.take_snapshot()
        for number in range(60, 90):
            await engine.submit(create(f"a{number}", k="v" * 200))
        follower = await group.follow()
        from_all, log = load_follower(disk, engine.durable)
        log.close()

        assert follower.state.digest() == engine.state.digest() == from_all.digest()
        for number in range(90, 130):
            await engine.submit(create(f"a{number}", k="v" * 200))
        assert await listing(follower, "a129") == {"k": "v" * 200}
        follower.state.check()
        assert follower.state.digest() == engine.state.digest()


async def test_a_follower_tells_what_the_leader_knows(disk: MemoryDisk, clock: SteppedClock) -> None:
    async with leading(disk, clock) as group:
        follower = await group.follow()
        await group.engine.submit(create("a"))
        await eventually(
            lambda: follower._facts is not None and follower._facts.deadlines == 1 == follower.state.seq
        )
        facts, own = group.engine.statistics(), follower.statistics()
        assert (own.durable, own.deadlines, own.failure) == (facts.durable, 1, "")


async def test_a_read_far_behind_applies_in_slices_and_sees_all(
    disk: MemoryDisk, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other requests have their turns between two slices."""
    monkeypatch.setattr(following, "SLICE", 10)
    applied: list[int] = []
    catch_up = Follower.catch_up

    def counted(self: Follower, until: int) -> None:
        before = self.state.seq
        catch_up(self, until)
        applied.append(self.state.seq - before)

    monkeypatch.setattr(Follower, "catch_up", counted)
    async with leading(disk, clock) as group:
        follower = await group.follow()

        async def nothing(message: object) -> None:
            return

        monkeypatch.setattr(follower, "receive", nothing)
        for number in range(55):
            await group.engine.submit(create(f"a{number}"))
        assert await listing(follower, "a54") == {"k": "v"}
        assert max(applied) <= 10
        assert sum(applied) >= 55
