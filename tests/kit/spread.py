"""What an interface is made over: one engine, its followers, or three nodes (RETAIN_NODES).

The nodes are in one process, over a shared log in memory. Each call goes to one of them at random, as
requests behind a load balancer do; RETAIN_NODES is the seed. Leases and grants outlast any test.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from threading import RLock
from typing import Any, cast
from unittest.mock import patch

from retain.engine import Clock, Command, Engine, EngineAccess
from retain.engine.following.follower import Follower
from retain.engine.nodes import leader, reports, roles
from retain.engine.nodes.files import SharedFiles
from retain.engine.nodes.node import NodeEngine
from retain.engine.nodes.open import open_node
from retain.engine.nodes.options import Cluster, NodeOptions
from retain.engine.options import Options
from retain.engine.testing import ManualClock, SteppedClock, open_memory_engine
from retain.journal.testing.memory import MemoryDisk
from retain.journal.testing.sectors import Inode
from retain.journal.testing.shared import MemoryServer, MemoryShared
from tests.kit.following import Spread, access
from tests.kit.nodes import SECRET, Network, begin_cluster, shared_names, until

NODES = ("a", "b", "c")
LONG_S = 4e9
"""Of a lease; a grant is shorter. Seconds on the test's clock."""
LOOKS = ((leader, "WATCH_S"), (leader, "UPKEEP_S"), (reports, "REPORT_S"), (roles, "LOOK_S"))
"""Intervals at which nodes look around. A test whose clock jumps over an hour whenever nothing happens would
stop at each of them, for a moment of real time; no grant ends and no node fails here, so none is needed."""
_STORE = "payloads/"
_OWN = "payloads/staging"


class _Names(MutableMapping[str, Inode | None]):
    """The names of a disk whose payload files are those of all nodes; what is staged is its own."""

    def __init__(self, own: dict[str, Inode | None], store: dict[str, Inode | None]) -> None:
        self._own, self._store = own, store

    def _of(self, name: str) -> dict[str, Inode | None]:
        return self._store if name.startswith(_STORE) and not name.startswith(_OWN) else self._own

    def __getitem__(self, name: str) -> Inode | None:
        return self._of(name)[name]

    def __setitem__(self, name: str, inode: Inode | None) -> None:
        self._of(name)[name] = inode

    def __delitem__(self, name: str) -> None:
        del self._of(name)[name]

    def __iter__(self) -> Iterator[str]:
        return iter([*self._own, *self._store])

    def __len__(self) -> int:
        return len(self._own) + len(self._store)


def _with_one_store(disks: list[MemoryDisk]) -> None:
    store: dict[str, Inode | None] = {}
    tables = RLock()
    for disk in disks:
        names = dict(disk._names)
        moved = {name for name in names if name.startswith(_STORE) and not name.startswith(_OWN)}
        store |= {name: names.pop(name) for name in moved}
        disk._names = cast("dict[str, Inode | None]", _Names(names, store))
        disk._tables = tables


class RandomNodes(Spread):
    """Nodes of which each call goes to one at random."""

    def __init__(self, nodes: list[NodeEngine], random: Random) -> None:
        super().__init__(cast("list[Follower]", nodes), nodes[0])
        self._nodes, self._random = nodes, random

    def _next(self) -> Follower:
        return cast("Follower", self._random.choice(self._nodes))

    async def submit(self, command: Command[Any]) -> Any:
        return await self._next().submit(command)


@asynccontextmanager
async def opened(
    disk: MemoryDisk, clock: ManualClock | SteppedClock, options: Options
) -> AsyncIterator[tuple[Engine, EngineAccess]]:
    """Yield the engine that decides, and what the interface is made over."""
    if seed := os.environ.get("RETAIN_NODES"):
        async with _nodes(disk, clock, options, Random(seed)) as nodes:
            yield nodes[0], RandomNodes(nodes, Random(seed))
        return
    async with (
        open_memory_engine(disk, clock=clock, options=options) as engine,
        access(engine, clock) as served,
    ):
        yield engine, served


@asynccontextmanager
async def _nodes(
    disk: MemoryDisk, clock: Clock, options: Options, random: Random
) -> AsyncIterator[list[NodeEngine]]:
    """Run three nodes, the first of which leads, on `disk`."""
    server, network = MemoryServer(clock.monotonic), Network()
    disks = {NODES[0]: disk} | {name: MemoryDisk() for name in NODES[1:]}
    begin_cluster(disk, server)
    _with_one_store(list(disks.values()))
    async with AsyncExitStack() as stack:
        for module, name in LOOKS:
            stack.enter_context(patch.object(module, name, LONG_S))
        nodes = []
        for name, one in disks.items():
            cluster = Cluster(
                node=NodeOptions(
                    name=name, url=name, release="1", lease_seconds=LONG_S, grant_seconds=LONG_S / 4
                ),
                connect=lambda: MemoryShared(server),
                transport=network.of(name),
                files=SharedFiles(one, SECRET, shared_names),
            )
            node = await stack.enter_async_context(open_node(one, cluster, options=options, clock=clock))
            node.take_part()
            await until(lambda: node.role != "waiting", 60)  # noqa: B023
            nodes.append(node)
        yield nodes
