"""A node that is away is forgotten, and the audit log says by whom."""

from __future__ import annotations

import pytest
import trio

from retain.engine.audit.log import AuditEntry, Filter, log
from retain.engine.core.errors import Conflict, NotFound, Unavailable
from retain.engine.nodes.members import FORGETTABLE_S
from retain.engine.nodes.node import NodeEngine
from tests.kit.node_console import opened
from tests.kit.nodes import begun, run_idle, until

pytestmark = pytest.mark.trio(run=run_idle)


def forgotten(engine: NodeEngine) -> list[AuditEntry]:
    return [one for one in log(engine.disk, Filter()) if one.event == "node-forgotten"]


async def test_who_forgot_which_node_is_in_the_audit_log() -> None:
    site = begun()
    async with opened(site) as (engine, administration, _):
        forget = administration.actions()["node forget"]
        async with site.node("b") as b:
            await until(lambda: b.role == "follower")
            await until(lambda: engine.reports.look is not None and len(engine.reports.look.nodes) == 2)
            erased_to = b.overwritten
        for name in "ab":  # the leader, and one that has just stopped
            with pytest.raises(Conflict, match=f"node {name} runs"):
                await forget(actor="cli:eve", name=name)
        with pytest.raises(NotFound, match="no node c"):
            await forget(actor="cli:eve", name="c")
        assert forgotten(engine) == []
        await trio.sleep(FORGETTABLE_S + 1)
        assert await forget(actor="cli:eve", name="b") == {"forgotten": "b", "erased_to": erased_to}
        (entry,) = forgotten(engine)
        assert (entry.subject, entry.actor) == ("node:b", "cli:eve")
        assert entry.details == {"name": "b", "overwritten_to": erased_to}
        assert [one.name for one in await engine.with_shared(lambda shared: shared.nodes())] == ["a"]


async def test_a_shared_log_that_does_not_answer_forgets_nothing() -> None:
    site = begun()
    async with opened(site) as (_, administration, _):
        site.server.down = True
        with pytest.raises(Unavailable, match="may still be in the list"):
            await administration.actions()["node forget"](actor="cli:eve", name="b")
        site.server.down = False
