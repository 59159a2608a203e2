"""A leader that alone does not reach the shared log: the next one tells it, and its changes are settled."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
import trio

from retain.engine.areas import AreaFile, NewFile
from retain.engine.core.errors import EngineError, NodeNotReady, StorageFailed
from retain.engine.core.time import SECOND
from retain.engine.nodes.node import NodeEngine
from retain.engine.nodes.options import SteppedDown
from retain.journal import PayloadStore, Unsettled
from retain.journal.testing.shared import MemoryShared
from tests.engine.nodes.test_nodes import create, listing
from tests.kit.nodes import LEASE, Place, Site, begun, run_idle, until

pytestmark = pytest.mark.trio(run=run_idle)

WITHIN_S = 3 * LEASE + 3
"""The others notice within three leases; the rest is the next leader's beginning."""


def cut_while_appending(site: Site, patch: pytest.MonkeyPatch, *, arrives: bool) -> None:
    """Lose the answer of the next append, and from then on the way of node `a` to the shared log."""
    original = MemoryShared.append

    def append(self: MemoryShared, *values: object) -> None:
        patch.setattr(MemoryShared, "append", original)
        if arrives:
            original(self, *values)  # type: ignore[arg-type]
        site.without_log.add("a")
        raise Unsettled("the answer was lost")

    patch.setattr(MemoryShared, "append", append)


class Trial:
    """Three nodes of which `a` leads, and a change there while it is cut off from the shared log.

    Attributes:
        others: The nodes `b` and `c`.
        error: How the change was refused; None if it was acknowledged.
        seconds: The time until then.

    """

    def __init__(self, site: Site, *, writes: bool = True) -> None:
        self.site = site
        self._writes = writes
        self.others: list[NodeEngine] = []
        self.error: EngineError | None = None
        self.seconds = 0.0

    async def run(self, cut: Callable[[], None]) -> None:
        async with AsyncExitStack() as stack:
            for name in "bc":
                node = await stack.enter_async_context(self.site.node(name, takes_part=False))
                self.others.append(node)
            with pytest.raises(ExceptionGroup) as ended:
                await self._term_of_a(cut)
            assert ended.group_contains(SteppedDown)
            b, c = self.others
            await until(lambda: {b.role, c.role} == {"leader", "follower"})
            await b.submit(create("y", k="2"))
            for node in self.others:
                assert await listing(node, "y") == {"k": "2"}
                self.shows = node.state.areas.areas.keys()

    async def _term_of_a(self, cut: Callable[[], None]) -> None:
        async with self.site.node("a") as a:
            await until(lambda: a.role == "leader")
            for one in self.others:
                one.take_part()
            await until(lambda: {one.role for one in self.others} == {"follower"})
            cut()
            if self._writes:
                await self._change(a)
            await trio.sleep(600)

    async def _change(self, node: NodeEngine) -> None:
        began = self.site.clock.monotonic()
        try:
            await node.submit(create("x", k="1"))
        except EngineError as error:
            self.error = error
        self.seconds = (self.site.clock.monotonic() - began) / SECOND


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("teller", ["leader", "follower"])
async def test_a_change_whose_answer_was_lost_is_answered_once_another_node_leads(
    monkeypatch: pytest.MonkeyPatch, teller: str, *, arrives: bool
) -> None:
    trial = Trial(begun())
    dial = Place.dial

    async def dial_unless(self: Place, url: str) -> trio.abc.Stream:
        leads = any(one.node.name == self._name and one._leadership is not None for one in trial.others)
        if url == "a" and leads != (teller == "leader"):
            raise ConnectionRefusedError
        return await dial(self, url)

    def cut() -> None:
        cut_while_appending(trial.site, monkeypatch, arrives=arrives)
        monkeypatch.setattr(Place, "dial", dial_unless)

    await trial.run(cut)
    assert LEASE < trial.seconds < WITHIN_S
    if arrives:
        assert trial.error is None
    else:
        assert isinstance(trial.error, NodeNotReady)
        assert "nothing was changed" in trial.error.message
    assert ("x" in trial.shows) == arrives


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_change_stays_unknown_where_no_news_arrives(
    monkeypatch: pytest.MonkeyPatch, *, arrives: bool
) -> None:
    trial = Trial(begun())

    def cut() -> None:
        cut_while_appending(trial.site, monkeypatch, arrives=arrives)
        trial.site.network.part("a")

    await trial.run(cut)
    assert 60 <= trial.seconds < 62
    assert isinstance(trial.error, StorageFailed)
    assert ("x" in trial.shows) == arrives


async def test_a_leader_to_which_nobody_writes_ends_once_another_node_leads() -> None:
    trial = Trial(begun(), writes=False)
    began = trial.site.clock.monotonic()
    await trial.run(lambda: trial.site.without_log.add("a"))
    assert (trial.site.clock.monotonic() - began) / SECOND < WITHIN_S


async def test_a_follower_keeps_the_content_of_a_change_whose_outcome_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The change was made; the leader answers when its lease has ended, and cannot know that."""
    site = begun()
    async with site.node("b", takes_part=False) as b:

        async def upload() -> None:
            async with site.node("a") as a:
                await until(lambda: a.role == "leader")
                b.take_part()
                await until(lambda: b.role == "follower")
                cut_while_appending(site, monkeypatch, arrives=True)
                site.without_log.add("b")
                async with b.upload() as upload:
                    await upload.write(bytes(100_000))
                    file = NewFile("f", "a/b", await upload.finish())
                    with pytest.raises(StorageFailed):
                        await b.submit(create("x", f=file))
                await trio.sleep(600)

        with pytest.raises(ExceptionGroup) as ended:
            await upload()
        assert ended.group_contains(SteppedDown)
        site.without_log.clear()
        await until(lambda: b.role == "leader")
        assert isinstance((await listing(b, "x"))["f"], AreaFile)
        assert len(PayloadStore(site.disks["b"]).names()) == 1
