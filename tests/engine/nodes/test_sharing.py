"""Keys and users change on all nodes or on none, also where two nodes change them or answers are lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import trio

from retain.engine.core.errors import NodeNotReady
from retain.engine.nodes.files import SharedFiles
from retain.engine.nodes.node import NodeEngine
from retain.engine.nodes.sharing import FileSharing
from retain.journal import Unsettled
from retain.journal.shared.interface import Shared, Term
from retain.journal.testing.memory import MemoryDisk
from retain.journal.testing.shared import MemoryShared
from tests.engine.nodes.test_nodes import create, running
from tests.kit.nodes import begun, run_idle, until

pytestmark = pytest.mark.trio(run=run_idle)


def write(node: NodeEngine, name: str, data: bytes) -> None:
    """Change a file of this node's folder, which is not shared yet."""
    node.disk.make_folder("accounts")
    node.disk.write_atomic(f"accounts/{name}", data)


def held(node: NodeEngine) -> dict[str, bytes]:
    disk = node.disk
    return {name: disk.read(f"accounts/{name}") for name in disk.names("accounts")}


async def test_a_follower_changes_keys_after_its_leader_settled_a_lost_answer() -> None:
    """The leader's epoch has grown, and no message tells the followers."""
    site = begun()
    async with running(site, "a", "b") as (a, b):
        epoch = a.epoch
        while a.epoch == epoch:  # the answer of a renewal or report may be the one that is lost
            site.server.lose(True)
            await a.submit(create(f"x{len(site.server.calls)}"))
        write(b, "one", b"1")
        await b.share_files()
        assert held(a) == held(b) == {"one": b"1"}


@pytest.mark.parametrize("removes", [False, True])
async def test_a_change_that_is_to_be_shared_survives_another_nodes_change(removes: bool) -> None:
    async with running(begun(), "a", "b", "c") as (a, b, c):
        write(a, "old", b"0")
        await a.share_files()
        if removes:
            b.disk.unlink("accounts/old")
        else:
            write(b, "old", b"2")
        write(c, "one", b"1")
        await c.share_files()
        await b.share_files()
        assert held(a) == held(b) == held(c) == {"one": b"1"} | ({} if removes else {"old": b"2"})


async def test_of_two_changes_of_one_file_at_once_the_second_is_refused() -> None:
    """It was made from what the first one replaced: a key that was rotated would come back."""
    async with running(begun(), "a", "b", "c") as (a, b, c):
        write(b, "one", b"b")
        write(c, "one", b"c")
        await b.share_files()
        with pytest.raises(NodeNotReady, match="has changed accounts/one at the same time"):
            await c.share_files()
        await until(lambda: held(a) == held(b) == held(c) == {"one": b"b"})
        write(c, "one", b"c")
        await c.share_files()
        assert held(a) == held(b) == held(c) == {"one": b"c"}


@pytest.mark.parametrize("arrives", [False, True])
@pytest.mark.parametrize("place", ["leader", "follower"])
async def test_a_change_whose_answer_was_lost_is_soon_in_effect_at_all_nodes_or_at_none(
    monkeypatch: pytest.MonkeyPatch, arrives: bool, place: str
) -> None:
    keep, lost = MemoryShared.keep, False

    def losing(
        self: MemoryShared,
        files: Mapping[str, bytes | None],
        term: Term,
        before: Mapping[str, bytes | None] | None = None,
    ) -> None:
        nonlocal lost
        if arrives or lost:
            keep(self, files, term, before)
        if not lost:
            lost = True
            raise Unsettled("the answer was lost")

    site = begun()
    async with running(site, "a", "b", "c") as (a, b, c):
        node = a if place == "leader" else b
        write(node, "one", b"1")
        await node.share_files()
        monkeypatch.setattr(MemoryShared, "keep", losing)
        write(node, "one", b"2")
        loads = site.server.calls.count("kept")
        with pytest.raises(NodeNotReady, match="the answer was lost; try again"):
            await node.share_files()
        assert held(node) == {"one": b"1"}, "until it is known, the node holds what the others hold"
        await until(lambda: site.server.calls.count("kept") >= loads + 3)
        expected = {"one": b"2" if arrives else b"1"}
        await until(lambda: held(a) == held(b) == held(c) == expected, 5)
        write(node, "one", b"3")
        await node.share_files()
        assert held(a) == held(b) == held(c) == {"one": b"3"}


async def test_a_change_at_a_node_that_may_not_answer_is_undone() -> None:
    site = begun()
    async with running(site, "a", "b") as (a, b):
        write(b, "one", b"1")
        await b.share_files()
        site.network.part("b")
        await until(lambda: b.role == "waiting")
        write(b, "one", b"2")
        with pytest.raises(NodeNotReady):
            await b.share_files()
        assert held(a) == held(b) == {"one": b"1"}


async def test_a_change_that_could_not_be_undone_is_not_shared_later(monkeypatch: pytest.MonkeyPatch) -> None:
    site = begun()
    async with running(site, "a", "b") as (a, b):
        write(b, "one", b"1")
        await b.share_files()
        site.network.part("b")
        await until(lambda: b.role == "waiting")
        write(b, "one", b"2")
        with monkeypatch.context() as full:
            full.setattr(b.disk, "write_atomic", refuse)
            with pytest.raises(NodeNotReady):
                await b.share_files()
        site.network.join("b")
        await until(lambda: b.role == "follower")
        assert held(a) == held(b) == {"one": b"1"}


def refuse(name: str, data: bytes) -> None:
    raise OSError("the disk is full")


class Busy:
    """A leader whose nodes load files, and a shared log that answers nobody."""

    term = Term(1, b"h" * 16)

    def __init__(self) -> None:
        self.loads = 0
        self.sharing = FileSharing(
            SharedFiles(MemoryDisk(), b"s" * 32, lambda disk: []),
            lambda: self,
            self.asked,
        )

    async def asked(self, call: Callable[[Shared], None]) -> None:
        raise Unsettled("no answer")

    async def change_files(self) -> None:
        self.loads += 1
        if self.loads == 1:
            await self.fail()

    async def fail(self) -> None:
        with pytest.raises(NodeNotReady):
            await self.sharing.keep()


async def test_a_change_that_fails_while_the_nodes_load_files_has_them_load_once_more() -> None:
    busy = Busy()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(busy.sharing.run)
        await busy.fail()
        await until(lambda: busy.loads == 2)
        nursery.cancel_scope.cancel()
