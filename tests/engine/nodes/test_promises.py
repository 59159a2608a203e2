"""What a cluster promises, hit on purpose: the windows of milliseconds that faults at random seldom hit."""

from __future__ import annotations

import pytest
import trio

from retain.api.web.readiness import readiness
from retain.engine.areas import DeleteArea
from retain.engine.core.clock import RIGHT
from retain.engine.core.errors import NodeNotReady, NotFound
from retain.engine.core.event import Cause
from retain.engine.testing import ManualClock
from retain.journal import Part, scan
from retain.journal.testing.shared import MemoryShared
from tests.engine.nodes.test_nodes import create, listing, running
from tests.kit.nodes import Site, begun, run_idle, until, until_told

pytestmark = pytest.mark.trio(run=run_idle)


async def test_a_read_shows_nothing_that_another_node_may_still_deny() -> None:
    """What node b has applied, c has not: b waits until c may not answer."""
    site = begun()
    async with running(site, "a", "b", "c") as (a, b, c):
        await a.submit(create("x", k="1"))
        await listing(c, "x")
        before = b.state.seq
        site.network.stall("c")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(a.submit, DeleteArea(actor="user:a", name="x"))
            await until(lambda: b.state.seq > before)
            assert await listing(c, "x") == {"k": "1"}  # its grant still runs
            with pytest.raises(NotFound):
                await listing(b, "x")
            with pytest.raises(NodeNotReady):
                await listing(c, "x")
        site.network.flow("c")
        await until(lambda: c.role == "follower")
        with pytest.raises(NotFound):
            await listing(c, "x")


async def test_a_change_is_answered_once_no_node_may_answer_without_it() -> None:
    site = begun()
    async with running(site, "a", "b", "c") as (a, b, c):
        await a.submit(create("x", k="1"))
        site.network.stall("c")
        await b.submit(DeleteArea(actor="user:a", name="x"))
        with pytest.raises(NodeNotReady):
            await listing(c, "x")
        site.network.flow("c")


async def test_what_the_database_may_still_take_back_reaches_no_node() -> None:
    site = begun()
    async with running(site, "a", "b") as (a, b):
        await a.submit(create("x"))
        before = a.durable
        site.server.replicates = False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(a.submit, create("y", k="1"))
            try:
                await until_told(lambda: "settle" in site.server.calls)
                assert visible(site) > before
                assert b.state.seq == before
            finally:
                site.server.fail_over()
        assert await listing(b, "y") == {"k": "1"}


async def test_an_erasure_is_closed_once_no_node_that_may_answer_has_the_bytes() -> None:
    site = begun()
    async with running(site, "a", "b") as (a, b):
        await a.submit(create("x", k="1"))
        target = a.state.seq
        await a.submit(DeleteArea(actor="user:a", name="x"))
        assert has_content(site, "a", target)
        assert has_content(site, "b", target)
        site.network.stall("b")
        await a.erase([(target, Part.CONTENT)], Cause.ERASURE_REQUEST)
        assert not has_content(site, "a", target)
        assert has_content(site, "b", target)
        assert b.role == "waiting"
        site.network.flow("b")
        await until(lambda: b.role == "follower")
        assert not has_content(site, "b", target)


async def test_the_shared_log_drops_a_segment_once_two_folders_have_it() -> None:
    site = begun()
    site.keep_hours = 0.02
    async with running(site, "a") as (a,):
        await a.submit(create("x"))
        last = a.durable
        await trio.sleep(400)
        assert dropped(site) < last
        async with running(site, "b"):
            await until(lambda: dropped(site) >= last)


@pytest.mark.parametrize("skew", [-3600.0, -1.0, 1.0, 3600.0])
async def test_deadlines_follow_the_leaders_clock(skew: float) -> None:
    """A follower's own clock counts for nothing; where it leads, the present does not go back."""
    site = begun()
    other = site.clocks["b"] = ManualClock()
    other.monotonic()
    other.step(skew)
    async with site.node("b", takes_part=False) as b:
        async with running(site, "a") as (a,):
            b.take_part()
            await until(lambda: b.role == "follower")
            await a.submit(create("x", k="1"))  # for an hour
            assert abs(a.now() - b.now()) < 10**8
            assert await listing(a, "x") == await listing(b, "x") == {"k": "1"}
            last = b.now()
        await until(lambda: b.role == "leader")
        assert b.now() >= last
        if skew < 3600:
            assert await listing(b, "x") == {"k": "1"}
        else:
            with pytest.raises(NotFound):
                await listing(b, "x")


async def test_a_followers_clock_is_judged_by_the_leaders() -> None:
    """A folder that ends in the past, as one from a backup does, is no jump of the follower's clock."""
    site = begun()
    async with site.node("b", takes_part=False):
        pass
    await trio.sleep(3600)
    async with running(site, "a", "b") as (a, b):
        await a.submit(create("x", k="1"))
        assert b.statistics().clock == RIGHT
        assert abs(b.statistics().apart_ns) < 10**8
        other = site.clocks["c"] = ManualClock()
        other.monotonic()
        other.step(-90.0)
        async with running(site, "c") as (c,):
            assert abs(c.statistics().apart_ns + 90 * 10**9) < 10**8
            assert c.statistics().clock == RIGHT
            other.step(180.0)
            assert abs(c.statistics().apart_ns - 90 * 10**9) < 10**8
            assert c.statistics().clock == RIGHT
        assert a.statistics().apart_ns == 0


async def test_a_jump_of_the_leaders_clock_destroys_nothing_at_the_next_leader() -> None:
    """The jump is in doubt, so it hides data and deletes none; the leader then fails before it is refuted."""
    site = begun()
    wrong = site.clocks["a"] = ManualClock()
    wrong.monotonic()
    async with site.node("b", takes_part=False) as b:
        async with running(site, "a") as (a,):
            b.take_part()
            await until(lambda: b.role == "follower")
            await a.submit(create("x", k="1"))  # for an hour
            wrong.step(86400.0)
            await trio.sleep(10)
            assert a.statistics().clock.ahead
            with pytest.raises(NotFound):
                await listing(b, "x")
            last = b.now()
        await until(lambda: b.role == "leader")
        assert await b.sweep() == 0
        assert b.now() >= last, "what was hidden stays hidden"
        assert b.horizon.now() < last - 86000 * 10**9


async def test_records_dated_by_a_jump_destroy_nothing_at_a_leader_that_never_followed() -> None:
    """It learns of the jump from records only, which a jump in doubt may date."""
    site = begun()
    wrong = site.clocks["a"] = ManualClock()
    wrong.monotonic()
    async with running(site, "a") as (a,):
        await a.submit(create("x", k="1"))  # for an hour
        wrong.step(86400.0)
        await a.submit(create("y", k="1"))
    async with running(site, "b") as (b,):
        assert b.role == "leader"
        assert b.statistics().records_ahead_ns > 86000 * 10**9
        assert await b.sweep() == 0
        assert await listing(b, "x") == {"k": "1"}


async def test_what_is_late_is_judged_by_the_leaders_clock() -> None:
    """A follower that is days ahead must not take itself out of service for what only it thinks is late."""
    site = begun()
    ahead = site.clocks["b"] = ManualClock()
    ahead.monotonic()
    ahead.step(3 * 86400.0)
    async with site.node("b", takes_part=False) as b, running(site, "a") as (a,):
        b.take_part()
        await until(lambda: b.role == "follower")
        await a.submit(create("x", k="1"))
        await a.submit(create("y", k="1"))
        await a.submit(DeleteArea(actor="user:a", name="y"))
        for node in (a, b):
            assert node.statistics().overdue_ns == node.statistics().erasure_lag_ns == 0
        assert readiness(b.statistics()) == (True, "degraded: the clock differs from the leader's")


def has_content(site: Site, name: str, seq: int) -> bool:
    return any(record.header.seq == seq and record.content is not None for record in scan(site.disks[name]))


def visible(site: Site) -> int:
    return MemoryShared(site.server).head().seq


def dropped(site: Site) -> int:
    return MemoryShared(site.server).head().dropped
