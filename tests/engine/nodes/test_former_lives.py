"""A leader that ended without a stop, and a second node of its name: no answer of either is outdated."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from retain.engine.areas import DeleteArea
from retain.engine.core.errors import NodeNotReady
from retain.engine.nodes.node import NodeEngine
from retain.journal import BadTarget, Unsettled
from retain.journal.testing.shared import MemoryShared
from tests.engine.nodes.test_nodes import create, listing, running
from tests.kit.nodes import LEASE, Site, begun, run_idle, until

pytestmark = pytest.mark.trio(run=run_idle)


@asynccontextmanager
async def after_a_crash(site: Site) -> AsyncIterator[NodeEngine]:
    """Node `b`, which follows, and has a grant of `a`, which has just ended without returning anything."""
    async with site.node("b", takes_part=False) as b:
        async with running(site, "a") as (a,):
            b.take_part()
            await until(lambda: b.role == "follower")
            await a.submit(create("x", k="1"))
            await listing(b, "x")
            site.without_log.add("b")  # it must not lead meanwhile
            assert a._leadership is not None
            a._leave = trio.lowlevel.checkpoint  # type: ignore[method-assign]
            a._leadership.release = lambda: None  # type: ignore[method-assign]
        assert b.role == "follower"
        yield b


async def hang(self: NodeEngine) -> None:
    await trio.sleep_forever()


@pytest.mark.parametrize("ahead", [0.0, 60.0], ids=["", "the lease has ended by the clock of another server"])
async def test_a_leader_that_restarts_waits_for_the_grants_of_its_former_life(ahead: float) -> None:
    site = begun()
    async with after_a_crash(site) as b:
        site.server._clock = lambda: site.clock.monotonic() + round(ahead * 10**9)
        async with running(site, "a") as (a,):
            assert await listing(b, "x") == {"k": "1"}
            await a.submit(DeleteArea(actor="user:a", name="x"))
            with pytest.raises(NodeNotReady):
                await listing(b, "x")


async def test_a_lease_is_not_returned_before_the_grants_of_the_former_life_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The node is stopped before it leads: nobody else may lead while node b may still answer."""
    site = begun()
    async with after_a_crash(site) as b:
        monkeypatch.setattr(NodeEngine, "load_files", hang)
        async with site.node("a") as a:
            await until(lambda: a._leadership is not None)
        assert b.role == "follower"
        assert MemoryShared(site.server).head().remaining > 0


async def test_what_a_leader_could_not_begin_leaves_no_connection_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site, attempts = begun(), 0

    async def load(self: NodeEngine) -> None:
        nonlocal attempts
        attempts += 1
        raise Unsettled("no answer")

    monkeypatch.setattr(NodeEngine, "load_files", load)
    async with site.node("a"):
        await until(lambda: attempts > 3)
        assert len(site.server.connections) <= 3
    assert site.server.connections == set()


async def test_a_second_node_of_the_leaders_name_does_not_replace_it() -> None:
    site = begun()
    site.names["z"] = "a"
    async with running(site, "a", "b") as (a, b):
        await a.submit(create("x", k="1"))
        with pytest.raises(ExceptionGroup) as refused:
            async with site.node("z"):
                await trio.sleep(60)
        assert refused.group_contains(BadTarget, match="another node with the name a runs, at a")
        await trio.sleep(2 * LEASE)
        assert (a.role, b.role) == ("leader", "follower")


async def test_a_folder_of_another_journal_is_refused_before_anything_else_is_checked() -> None:
    site, other = begun(), begun()
    site.disks["b"] = other.disks["a"]
    async with running(site, "a"):
        with pytest.raises(BadTarget, match="belongs to another journal than this data folder"):
            async with site.node("b", takes_part=False):
                pass
    async with running(other, "a") as (a,):
        assert a.role == "leader", "its folder was closed"
