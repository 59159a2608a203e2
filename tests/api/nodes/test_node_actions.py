"""A node that is away is forgotten, and the audit log says by whom."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from quart_trio import QuartTrio

from retain.api.nodes.actions import show_node
from retain.api.web.health import operations
from retain.api.web.metrics import Counters
from retain.engine.audit.log import AuditEntry, Filter, log
from retain.engine.core.errors import Conflict, NotFound, Unavailable
from retain.engine.nodes.members import FORGETTABLE_S
from retain.engine.nodes.node import NodeEngine
from retain.journal import Committed
from tests.engine.nodes.test_nodes import create, running
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


async def test_a_follower_that_is_too_slow_says_so_on_readyz_and_its_metric_shows_the_lag(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site, counters = begun(), Counters()
    async with running(site, "a", "b") as (a, b):
        show_node(counters, b)
        counters.watch(b, lambda: 0)
        app = QuartTrio(__name__)
        app.register_blueprint(operations(b, counters, metrics=True))
        client = app.test_client()

        async def readyz() -> tuple[int, str]:
            answer = await client.get("/readyz")
            return answer.status_code, await answer.get_data(as_text=True)

        async def lag() -> float:
            text = await (await client.get("/metrics")).get_data(as_text=True)
            return float(text.partition("\nretain_node_behind_records ")[2].partition("\n")[0])

        assert (await readyz(), await lag()) == ((200, "ok\n"), 0)
        disk, receive, before = trio.Event(), b.receive, a.durable

        async def receive_slowly(frames: Sequence[Committed]) -> None:
            await disk.wait()
            await receive(frames)

        monkeypatch.setattr(b, "receive", receive_slowly)
        await a.submit(create("x"))  # it waits until b may not answer any more
        await a.submit(create("y"))
        assert b.role == "waiting"
        await until(lambda: b.reports.behind(b.durable) == a.durable - before > 0)
        words = "this node may not answer: it waits for the leader, node a; it lacks records that the shared"
        assert (await readyz(), await lag()) == ((503, f"{words} log has\n"), a.durable - before)
        disk.set()
        await until(lambda: b.role == "follower")
        assert (await readyz(), await lag()) == ((200, "ok\n"), 0)
