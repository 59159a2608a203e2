"""Nodes in one process answer as one engine does, whichever of them is asked, and go on when one is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
import trio.testing

from retain.engine import Engine, wire
from retain.engine.areas import AreaFile, CreateArea, DeleteArea, NewFile, queries
from retain.engine.core.errors import EngineError, NodeNotReady, NotFound, StorageFailed, Unavailable
from retain.engine.core.time import SECOND
from retain.engine.history.actions import RecordNodeForgotten
from retain.engine.nodes.node import NodeEngine
from retain.engine.options import Options
from retain.engine.snapshots.schedule import Snapshots
from retain.engine.testing import open_memory_engine
from retain.journal import BadTarget, PayloadStore, Prover
from retain.journal import verify as verify_journal
from retain.journal.errors import TooFarBehind
from retain.journal.testing.memory import MemoryDisk
from retain.journal.testing.shared import MemoryServer, MemoryShared
from tests.kit.nodes import GRANT, LEASE, Site, begin_cluster, begun, run_idle, until

pytestmark = pytest.mark.trio(run=run_idle)


def create(name: str, **values: str | NewFile) -> CreateArea:
    resource = name.encode().ljust(16, b".")
    return CreateArea(actor="user:a", name=name, resource=resource, values=values or {"k": "v"}, ttl=3600)


async def listing(engine: Engine, name: str) -> dict[str, str | AreaFile]:
    return dict(await engine.read(lambda state, now: queries.listing(state.areas, name, None, now)))


@asynccontextmanager
async def running(site: Site, *names: str) -> AsyncIterator[list[NodeEngine]]:
    async with AsyncExitStack() as stack:
        nodes = []
        for name in names:
            nodes.append(await stack.enter_async_context(site.node(name)))
            await until(lambda: nodes[-1].role != "waiting")
        yield nodes


async def test_one_node_leads_and_answers() -> None:
    async with running(begun(), "a") as (a,):
        assert a.role == "leader"
        await a.submit(create("x", k="1"))
        assert await listing(a, "x") == {"k": "1"}


async def test_no_node_searches_for_payload_files_without_an_event() -> None:
    """Another node may have made them, and its event may not have arrived yet."""
    site = begun(Options(sweep_interval_s=0.1))
    stage = PayloadStore(site.disks["a"]).stage()
    stage.write(b"of another node")
    name = stage.seal().name
    async with running(site, "a") as (a,):
        assert a.role == "leader"
        await trio.sleep(1)
        with pytest.raises(Unavailable, match="does not search"):
            await a.sweep_orphans()
    assert PayloadStore(site.disks["a"]).names() == [name]


async def test_what_one_node_was_answered_every_other_one_shows_at_once() -> None:
    site = begun()
    async with running(site, "a", "b", "c") as (a, b, c):
        assert [one.role for one in (a, b, c)] == ["leader", "follower", "follower"]
        await b.submit(create("x", k="1"))
        assert [await listing(one, "x") for one in (a, b, c)] == [{"k": "1"}] * 3
        await a.submit(DeleteArea(actor="user:a", name="x"))
        for one in (b, c):
            with pytest.raises(NotFound):
                await listing(one, "x")
        with pytest.raises(NotFound):
            await c.submit(DeleteArea(actor="user:a", name="x"))
        assert a.state.digest() == b.state.digest() == c.state.digest()
    folders = [site.disks[name] for name in "abc"]
    journals = [
        {name: disk.read(name) for name in disk.files() if name.endswith(".journal")} for disk in folders
    ]
    assert journals[0] == journals[1] == journals[2]


async def test_a_clean_stop_lets_another_node_lead_at_once() -> None:
    site = begun()
    async with running(site, "a") as (a,):
        async with site.node("b") as b:
            await until(lambda: b.role == "follower")
            await a.submit(create("x", k="1"))
            async with site.node("c") as c:
                await until(lambda: c.role == "follower")
                assert b.epoch == c.epoch == a.epoch
        async with running(site, "b") as (b,):
            assert await listing(b, "x") == {"k": "1"}
    began = site.clock.monotonic()
    async with running(site, "b") as (b,):
        assert b.role == "leader"
        assert site.clock.monotonic() - began < LEASE * 10**9
        assert await listing(b, "x") == {"k": "1"}


async def test_a_leader_that_stops_gives_way_before_it_writes_its_snapshot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A snapshot of a large state takes seconds, in which no other node could lead."""
    site = begun()
    remaining: list[float] = []
    take = Snapshots.take_at_stop

    def noting(snapshots: Snapshots) -> None:
        remaining.append(MemoryShared(site.server).head().remaining)
        take(snapshots)

    monkeypatch.setattr(Snapshots, "take_at_stop", noting)
    async with running(site, "a") as (a,):
        await a.submit(create("x", k="1"))
        assert MemoryShared(site.server).head().remaining > 0
    assert len(remaining) == 1
    assert remaining[0] <= 0


async def test_connections_to_the_shared_log_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each node has one, and the leader one more; a node that does not get to lead keeps no second one."""
    site = begun()
    async with running(site, "a", "b"):
        assert len(site.server.connections) == 3
    assert site.server.connections == set()
    refused = 0

    def take(*_: object) -> None:
        nonlocal refused
        refused += 1

    monkeypatch.setattr(MemoryShared, "take", take)
    async with site.node("a"):
        await until(lambda: refused > 2)
        assert len(site.server.connections) <= 2
    assert site.server.connections == set()


async def test_a_node_cut_off_stops_to_answer_before_a_change_elsewhere_is_answered() -> None:
    site = begun()
    async with running(site, "a", "b", "c") as (a, b, c):
        await a.submit(create("x", k="1"))
        assert await listing(c, "x") == {"k": "1"}
        site.network.part("c")
        assert await listing(c, "x") == {"k": "1"}  # its grant still runs
        await b.submit(DeleteArea(actor="user:a", name="x"))
        with pytest.raises(NodeNotReady):
            await listing(c, "x")
        with pytest.raises(NodeNotReady):
            await c.submit(create("y"))
        with pytest.raises(NodeNotReady):
            c.glance(lambda state: state.seq)
        site.network.join("c")
        await until(lambda: c.role == "follower")
        with pytest.raises(NotFound):
            await listing(c, "x")


async def test_a_leader_that_the_others_cannot_reach_keeps_them_from_answering_only() -> None:
    site = begun()
    async with running(site, "a", "b") as (a, b):
        site.network.part("a")
        await a.submit(create("x", k="1"))
        await until(lambda: b.role == "waiting")
        assert await listing(a, "x") == {"k": "1"}
        site.network.join("a")
        await until(lambda: b.role == "follower")
        assert await listing(b, "x") == {"k": "1"}


async def test_a_leader_without_the_shared_log_answers_nobody_once_its_lease_has_ended() -> None:
    site = begun()
    async with running(site, "a", "b") as (a, b):
        await a.submit(create("x", k="1"))
        site.server.down = True
        await until(lambda: a.role == b.role == "waiting")
        with pytest.raises(NodeNotReady):
            await listing(a, "x")
        # Anybody may ask for readiness: what the database said is in the log only.
        assert "this node's own log has the reason" in a.why
        site.server.down = False
        await until(lambda: {a.role, b.role} == {"leader", "follower"})
        assert await listing(b, "x") == {"k": "1"}


async def test_a_leader_that_alone_does_not_reach_the_shared_log_is_replaced() -> None:
    """The others reach it, and it answers them; but nobody can lead who cannot renew the lease."""
    site = begun()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(site.node("a"))
        b, c = [await stack.enter_async_context(site.node(name)) for name in "bc"]
        await until(lambda: {b.role, c.role} == {"follower"})
        await b.submit(create("x", k="1"))
        site.without_log.add("a")
        began = site.clock.monotonic()
        await until(lambda: {b.role, c.role} == {"leader", "follower"})
        assert site.clock.monotonic() - began < 3 * LEASE * SECOND
        await c.submit(create("y", k="2"))
        assert await listing(b, "y") == {"k": "2"}


async def test_a_leader_whose_lease_lapses_while_it_begins_goes_on() -> None:
    """On a busy machine, each node in turn would begin, end and start again, and none would answer."""
    site = begun()
    lapses: list[bool] = []
    created = trio.Event()
    async with site.node("a", takes_part=False) as a:

        async def configure() -> None:
            if not lapses:
                site.server.down = True
                await until(lambda: a.role == "waiting")
                site.server.down = False
            lapses.append(a.role == "waiting")
            await a.submit(create("x", k="1"))
            created.set()

        a.on_lead(configure)
        a.take_part()
        await until(created.is_set)
        assert (lapses[0], lapses[-1]) == (True, False)
        assert await listing(a, "x") == {"k": "1"}


async def test_changes_wait_for_a_grant_where_a_follower_dies_and_for_a_lease_where_a_leader_does() -> None:
    site = begun()
    async with running(site, "a", "b", "c") as (_, b, c):
        site.network.part("c")
        began = trio.current_time()
        await b.submit(create("x"))
        assert trio.current_time() - began <= GRANT + 1
        site.network.join("c")
        await until(lambda: c.role == "follower")
        site.network.part("a")
        site.without_log.add("a")
        began = trio.current_time()
        while True:
            try:
                await b.submit(create("y"))
                break
            except (NodeNotReady, StorageFailed):
                await trio.sleep(0.05)
        assert trio.current_time() - began <= LEASE + 2


async def test_a_leader_keeps_its_followers_while_nobody_reaches_the_shared_log() -> None:
    """What a follower has sent waits for PostgreSQL's next primary, and is answered."""
    site = begun()
    async with running(site, "a", "b") as (a, b):
        link = b._role
        site.server.down = True
        await until(lambda: a.role == b.role == "waiting")
        await trio.sleep(6 * LEASE)
        site.server.down = False
        await until(lambda: (a.role, b.role) == ("leader", "follower"))
        assert b._role is link


async def test_a_node_tells_since_when_it_has_its_role_also_when_its_lease_ended() -> None:
    site = begun()
    async with running(site, "a") as (a,):
        began = site.clock.wall()
        site.clock.step(100.0)
        site.server.down = True
        await until(lambda: a.role == "waiting")
        await until(lambda: a.since - began > 100 * SECOND, 1)
        site.clock.step(100.0)
        site.server.down = False
        await until(lambda: a.role == "leader")
        await until(lambda: a.since - began > 200 * SECOND, 1)


async def test_a_node_of_another_release_reads_and_forwards_nothing() -> None:
    site = begun()
    site.releases["b"] = "2"
    async with running(site, "a", "b") as (a, b):
        await a.submit(create("x", k="1"))
        assert await listing(b, "x") == {"k": "1"}
        with pytest.raises(NodeNotReady, match="release 2 and the leader 1"):
            await b.submit(create("y"))


async def test_a_node_that_meets_an_event_of_a_later_release_ends_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The leader of a cluster that is being upgraded may record what a follower does not know yet."""
    site = begun()
    monkeypatch.setitem(wire.CODES, 607, None)  # for whoever reads the record, not for who made it

    async def meet(leader: NodeEngine) -> None:
        async with running(site, "b"):
            await leader.submit(
                RecordNodeForgotten(actor="u", resource=bytes(16), name="c", overwritten_to=0)
            )
            await trio.sleep(60)

    async with running(site, "a") as (a,):
        with pytest.raises(ExceptionGroup) as ended:
            await meet(a)
        assert ended.group_contains(wire.UnknownEvent, match="event 607")
        await a.submit(create("x", k="1"))
        assert await listing(a, "x") == {"k": "1"}


async def test_files_with_keys_change_on_every_node_before_the_change_is_answered() -> None:
    site = begun()
    async with running(site, "a", "b", "c") as (a, b, c):
        for node in (b, a):
            node.disk.make_folder("accounts")
            node.disk.write_atomic("accounts/one", node.node.name.encode())
            await node.share_files()
            assert [one.disk.read("accounts/one") for one in (a, b, c)] == [node.node.name.encode()] * 3
        assert b"a" not in site.server.look("kept", lambda rows, _: rows.kept)["accounts/one"][12:13]
        c.disk.unlink("accounts/one")
        await c.share_files()
        assert not any(one.disk.exists("accounts/one") for one in (a, b, c))


async def test_only_the_leader_erases_on_demand() -> None:
    async with running(begun(), "a", "b") as (a, b):
        assert await a.erase_due() == 0
        with pytest.raises(EngineError, match="only the leading node"):
            await b.erase_due()


async def test_a_database_restored_to_an_earlier_moment_is_refused() -> None:
    site = begun()
    async with running(site, "a") as (a,):
        await a.submit(create("x"))
        earlier = site.server._rows
        await a.submit(create("y"))
    site.server._rows = site.server._durable = earlier
    with pytest.raises(ExceptionGroup) as refused:
        async with site.node("a"):
            await trio.sleep(60)
    assert refused.group_contains(BadTarget, match="restored to an earlier moment")


async def test_a_second_node_of_a_cluster_that_began_with_data_is_seeded_first() -> None:
    """The shared log begins after the records of the first node's folder: an empty folder cannot get them."""
    site = begun()
    async with running(site, "a") as (a,):
        await a.submit(create("x", k="1"))
    seed = site.disks["a"].kill()
    site.server = MemoryServer(site.clock.monotonic)
    begin_cluster(site.disks["a"], site.server)
    async with running(site, "a") as (a,):
        with pytest.raises(ExceptionGroup) as refused:
            async with running(site, "b"):
                await trio.sleep(60)
        assert refused.group_contains(TooFarBehind, match="lacks record 1, which the shared log")
        site.disks["b"] = seed
        await a.submit(create("y", k="2"))
        async with running(site, "b") as (b,):
            assert await listing(b, "x") == {"k": "1"}
            assert await listing(b, "y") == {"k": "2"}


async def test_one_node_becomes_a_cluster_and_one_node_again_with_all_its_proofs() -> None:
    disk, site = MemoryDisk(), begun()
    async with open_memory_engine(disk, clock=site.clock, options=site.options) as alone:
        await alone.submit(create("x", k="1"))
    site.disks, site.server = {"a": disk}, MemoryServer(site.clock.monotonic)
    before = Prover(disk)
    old = before.inclusion(1)
    root = before.root(old.size)
    begin_cluster(disk, site.server)
    site.disks["b"] = MemoryDisk(disk.files())
    async with running(site, "a", "b") as (_, b):
        await b.submit(create("y", k="2"))
    shared = Prover(site.disks["b"])
    new = shared.inclusion(old.size + 1)
    async with open_memory_engine(disk, clock=site.clock, options=site.options) as alone:
        await alone.submit(create("z", k="3"))
        for name, value in (("x", "1"), ("y", "2"), ("z", "3")):
            assert await listing(alone, name) == {"k": value}
    after = Prover(disk)
    assert after.root(old.size) == root
    assert after.root(new.size) == shared.root(new.size)
    assert after.inclusion(1, old.size) == old
    assert after.inclusion(new.seq, new.size) == new
    assert old.holds(root)
    assert new.holds(after.root(new.size))
    assert verify_journal(disk).findings == ()


async def test_no_key_is_removed_where_the_cluster_was_not_begun_to_its_end() -> None:
    site = begun()
    key = site.disks["a"].read("audit.key")
    shared = MemoryShared(site.server)
    shared.keep({"audit.key": None}, shared.head().term)  # as if `node init` had ended before it kept them
    shared.close()
    with pytest.raises(ExceptionGroup) as refused:
        async with site.node("a"):
            await trio.sleep(60)
    assert refused.group_contains(BadTarget, match="run `retain node init` again")
    assert site.disks["a"].read("audit.key") == key


async def test_a_leader_whose_machine_is_silent_is_waited_for_and_replaced() -> None:
    site = begun()
    async with site.node("b", takes_part=False) as b:
        async with site.node("a") as a:
            await until(lambda: a.role == "leader")
            site.network.silent.add("a")  # as if its machine had lost its power
            b.take_part()
            await until(lambda: "does not answer" in b.why)
            await trio.sleep(1.5 * LEASE)
            assert (a.role, b.role) == ("leader", "waiting")
        await until(lambda: b.role == "leader")


async def test_a_leader_that_speaks_another_language_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    async def strange(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"\xc1 HTTP/1.1 400 Bad Request")
        await trio.sleep_forever()

    site = begun()
    async with site.node("a") as a:
        await until(lambda: a.role == "leader")
        right, site.network.handlers["a"] = site.network.handlers["a"], strange
        async with site.node("b") as b:
            await until(lambda: any("not a message" in str(vars(one)) for one in caplog.records))
            site.network.handlers["a"] = right
            await until(lambda: b.role == "follower")
