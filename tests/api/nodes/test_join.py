"""A server's accounts, users and configured retention are the same on every node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from retain.api.admin.actions import Administration
from retain.api.config.load import Config, TenantConfig
from retain.api.identity.options import User
from retain.api.identity.passwords import hash_password
from retain.api.nodes.join import join
from retain.api.web.readiness import readiness
from retain.engine.core.errors import NodeNotReady, Unavailable
from retain.engine.nodes.node import NodeEngine
from tests.kit.nodes import Site, begun, run_idle, until

HASH = hash_password("secret")
CONFIG = Config(tenants=(TenantConfig(name="recordings", containers=("calls",)),))


pytestmark = pytest.mark.trio(run=run_idle)


@asynccontextmanager
async def serving(
    site: Site, *names: str, config: Config = CONFIG
) -> AsyncIterator[list[tuple[NodeEngine, Administration]]]:
    async with AsyncExitStack() as stack:
        nodes = []
        for name in names:
            engine = await stack.enter_async_context(site.node(name, takes_part=False))
            await engine.load_files()
            administration = await Administration.open(engine, config)
            join(engine, administration)
            nodes.append((engine, administration))
            await until(lambda: nodes[-1][0].role != "waiting")
        yield nodes


async def test_an_account_added_at_a_follower_is_known_at_every_node() -> None:
    async with serving(begun(), "a", "b", "c") as nodes:
        (a, at_a), (_, at_b), (_, at_c) = nodes
        await until(lambda: at_a.tenants.names() == at_b.tenants.names() == ("recordings",))
        await at_b.add_tenant(actor="cli:x", name="second", containers=["one"])
        keys = [one.tenants.keys_of("second") for one in (at_a, at_b, at_c)]
        assert keys[0] is not None
        assert keys == [keys[0]] * 3
        await at_c.rotate_key(actor="cli:x", name="second", key=1)
        renewed = [one.tenants.keys_of("second") for one in (at_a, at_b, at_c)]
        assert renewed == [renewed[0]] * 3
        assert renewed[0] != keys[0]
        assert {one.name for one in a.state.blobs.containers()} == {"calls", "one"}


async def test_the_key_that_signs_is_one_for_all_nodes() -> None:
    async with serving(begun(), "a", "b") as ((a, _), (b, _)):
        assert a.disk.read("audit.key") == b.disk.read("audit.key")


async def test_a_node_that_may_not_answer_is_not_ready_and_says_why() -> None:
    site = begun()
    async with site.node("a", takes_part=False) as engine:
        ready, why = readiness(engine.statistics())
        assert (ready, why) == (False, "this node may not answer: this node has just started")
        with pytest.raises(NodeNotReady, match="cannot answer at the moment"):
            await engine.read(lambda state, now: now)
        engine.take_part()
        await until(lambda: readiness(engine.statistics()) == (True, "ok"))


async def test_what_only_the_leader_erases_is_refused_elsewhere_before_anything_is_recorded() -> None:
    async with serving(begun(), "a", "b") as ((a, at_a), (b, at_b)):
        before = a.durable
        with pytest.raises(Unavailable, match="only the node that leads"):
            await at_b.actions()["erase due"](actor="cli:x")
        assert a.durable == before
        assert await at_a.actions()["erase due"](actor="cli:x") == {"ended": 0, "erased_records": 0}
        assert b.durable > before


async def test_who_stays_a_user_is_never_unknown_while_the_users_are_read_again() -> None:
    """Nodes read them in a thread whenever another node has changed any; requests do not wait for that."""
    user = User("eve", HASH, frozenset())

    class Watched(dict[str, User]):
        def clear(self) -> None:
            pytest.fail("a request may look for a user now")

    async with serving(begun(), "a") as ((_, at_a),):
        users = at_a.users
        for name in ("eve", "mallory"):
            await users.add(actor="cli:x", name=name, password=HASH, roles=[])
        users._known = Watched(users._known)
        await users.remove(actor="cli:x", name="mallory")
        assert users._known == {"eve": user}
