"""What an interface is made over: one engine, its followers, or three nodes (RETAIN_NODES).

The nodes are in one process, over a shared log in memory, each with an interface of its own. One of them,
chosen at random, answers a request; RETAIN_NODES and the test's name are the seed. Leases and grants outlast
any test.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from threading import RLock
from typing import Any, TypeVar, cast
from unittest.mock import patch
from urllib.parse import parse_qsl

import pytest

from retain.api.http.message import Request, Response
from retain.engine import Clock, Engine, EngineAccess
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
from tests.kit.following import access
from tests.kit.nodes import SECRET, Network, begin_cluster, shared_names, until

NODES = ("a", "b", "c")
Interface = TypeVar("Interface")
LONG_S = 4e9
"""Of a lease; a grant is shorter. Seconds on the test's clock."""
LOOKS = ((leader, "WATCH_S"), (leader, "UPKEEP_S"), (reports, "REPORT_S"), (roles, "LOOK_S"))
"""Intervals at which nodes look around. A test whose clock jumps over an hour whenever nothing happens would
stop at each of them, for a moment of real time; no grant ends and no node fails here, so none is needed."""
_SEVERAL = bool({"RETAIN_FOLLOWERS", "RETAIN_NODES"} & os.environ.keys())
own_texts = pytest.mark.skipif(_SEVERAL, reason="each follower and each node keeps texts of its own")
own_event_loop = pytest.mark.skipif(
    _SEVERAL, reason="those who follow share the test's event loop, and apply a long document in one step"
)
"""What can mean nothing over several engines in one process: these tests are skipped, and no others."""
_STORE = "payloads"
_OWN = "payloads/staging"


def _is_shared(name: str) -> bool:
    return f"{name}/".startswith(f"{_STORE}/") and not name.startswith(_OWN)


class _Names(MutableMapping[str, Inode | None]):
    """The names of a disk whose payload files are those of all nodes; what is staged is its own."""

    def __init__(self, own: dict[str, Inode | None], store: dict[str, Inode | None]) -> None:
        self._own, self._store = own, store

    def _of(self, name: str) -> dict[str, Inode | None]:
        return self._store if _is_shared(name) else self._own

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
        moved = {name for name in names if _is_shared(name)}
        store |= {name: names.pop(name) for name in moved}
        disk._names = cast("dict[str, Inode | None]", _Names(names, store))
        disk._tables = tables


class Served:
    """The engines that answer requests: one, or three nodes."""

    def __init__(self, engines: Sequence[EngineAccess], random: Random | None = None) -> None:
        self._engines, self._random = engines, random

    def interface(self, make: Callable[[EngineAccess], Interface]) -> Interface:
        """Return the interface that `make` gives an engine; with nodes, one that stands for that of each."""
        if self._random is None:
            return make(self._engines[0])
        return cast("Interface", AnyNode([make(engine) for engine in self._engines], self._random))


class AnyNode:
    """An interface at several nodes. A node chosen at random answers a request, as behind a load balancer.

    Requests that wait for a change all meet the same node, because each node counts and wakes its own ones.
    It was chosen at random, too, and is the one whose attributes a test sees.
    """

    def __init__(self, interfaces: Sequence[Any], random: Random) -> None:
        self._interfaces, self._random = random.sample(interfaces, len(interfaces)), random

    async def handle(self, request: Request) -> Response:
        interface = self._interfaces[0] if _waits(request) else self._random.choice(self._interfaces)
        response: Response = await interface.handle(request)
        return response

    def __getattr__(self, name: str) -> Any:
        return getattr(self._interfaces[0], name)


def _waits(request: Request) -> bool:
    query = parse_qsl(request.raw_query.decode("latin-1"), keep_blank_values=True)
    return any(name in {"wait", "watch"} for name, _ in query)


@asynccontextmanager
async def opened(
    disk: MemoryDisk, clock: ManualClock | SteppedClock, options: Options
) -> AsyncIterator[tuple[Engine, Served]]:
    """Yield the engine that decides, and what the interface is made over."""
    if seed := os.environ.get("RETAIN_NODES"):
        random = Random(f"{seed} {os.environ.get('PYTEST_CURRENT_TEST')}")
        async with _nodes(disk, clock, options) as nodes:
            yield nodes[0], Served(nodes, random)
        return
    async with (
        open_memory_engine(disk, clock=clock, options=options) as engine,
        access(engine, clock) as served,
    ):
        yield engine, Served([served])


@asynccontextmanager
async def _nodes(disk: MemoryDisk, clock: Clock, options: Options) -> AsyncIterator[list[NodeEngine]]:
    """Run three nodes, the first of which leads, on `disk`.

    The others have empty folders; if `disk` has a journal, they have a copy, as from a backup, since the
    shared log begins at its end.
    """
    server, network = MemoryServer(clock.monotonic), Network()
    copied = disk.files()
    disks = {NODES[0]: disk} | {name: MemoryDisk(copied) for name in NODES[1:]}
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
