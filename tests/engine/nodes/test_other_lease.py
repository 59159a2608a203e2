"""Nobody leads before the former lease has ended, whatever the clock of the shared log's server says."""

from __future__ import annotations

from math import inf

import pytest
import trio

from retain.engine.core.time import DAY, SECOND
from retain.engine.nodes.leases import OtherLease
from retain.journal.shared.interface import SharedHead, Term
from tests.engine.nodes.test_nodes import create, listing, running
from tests.kit.nodes import LEASE, begun, run_idle


def head(*, ends: float = 100.0, remaining: float = 0.0, epoch: int = 1, leader: str = "a") -> SharedHead:
    term = Term(epoch, b"h" * 16)
    return SharedHead(bytes(16), 7, bytes(32), 1, bytes(16), term, leader, leader, remaining, 0, ends)


@pytest.mark.trio(run=run_idle)
async def test_a_server_whose_clock_is_set_forward_ends_no_lease() -> None:
    """The leader does not reach it to renew its lease, and answers until that has ended by its own clock."""
    site = begun()
    async with running(site, "a", "b") as (a, b):
        await a.submit(create("x", k="1"))
        site.network.part("b")
        site.without_log.add("a")
        site.server._clock = lambda: site.clock.monotonic() + DAY
        while b.role != "leader":
            led = a.role == "leader"
            await trio.sleep(0.05)
        assert not led
        assert a.role != "leader"
        assert await listing(b, "x") == {"k": "1"}


@pytest.mark.trio(run=run_idle)
async def test_a_lease_that_was_returned_is_not_waited_for() -> None:
    site = begun()
    async with running(site, "b") as (b,):
        async with running(site, "a") as (a,):
            assert (a.role, b.role) == ("follower", "leader")
        began = site.clock.monotonic()
    async with running(site, "a") as (a,):
        assert a.role == "leader"
    assert site.clock.monotonic() - began < LEASE * SECOND


class Watched:
    """A lease of 5 s, looked at on a clock in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.lease = OtherLease(lambda: round(self.now * SECOND), 5.0)

    def is_over(self, at: float, seen: SharedHead) -> bool:
        self.now = 1000.0 + at
        self.lease.saw(seen)
        return self.lease.is_over(seen)


def test_it_is_over_by_both_clocks_only() -> None:
    watched = Watched()
    assert not watched.is_over(0.0, head(remaining=5.0))
    assert not watched.is_over(4.9, head(remaining=-3600.0)), "by the server's clock only"
    assert not watched.is_over(5.0, head(remaining=0.1)), "by this node's clock only"
    assert watched.is_over(5.0, head(remaining=0.0))


def test_it_is_counted_anew_when_it_was_renewed() -> None:
    watched = Watched()
    assert not watched.is_over(0.0, head())
    assert not watched.is_over(5.0, head(ends=101.0)), "renewed"
    assert not watched.is_over(9.9, head(ends=101.0))
    assert not watched.is_over(10.0, head(ends=101.0, epoch=2)), "another term"
    assert watched.is_over(15.0, head(ends=101.0, epoch=2))


def test_nobody_is_waited_for_where_there_is_no_lease() -> None:
    assert Watched().is_over(0.0, head(remaining=-inf)), "returned"
    assert Watched().is_over(0.0, head(leader="")), "nobody has led yet"
