"""Nodes of a cluster in one process: folders and a shared log in memory, connections that can be cut."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from math import inf
from threading import Lock
from typing import Any, Final, TypeVar

import pytest
import trio
import trio.testing

from retain.engine.audit.checkpoints import ensure_key
from retain.engine.nodes.files import SharedFiles
from retain.engine.nodes.node import NodeEngine
from retain.engine.nodes.open import open_node
from retain.engine.nodes.options import Cluster, NodeOptions
from retain.engine.options import Options
from retain.engine.testing import ManualClock
from retain.journal import JournalOptions, open_journal
from retain.journal.testing.memory import MemoryDisk
from retain.journal.testing.shared import MemoryServer, MemoryShared

Handle = Callable[[trio.abc.Stream], Awaitable[None]]
LEASE, GRANT = 5.0, 2.0
"""Seconds on the test's clock."""
LOOK_S = 0.001
"""Between two looks whether a thread has ended, in real seconds."""
SECRET = b"s" * 32
Value = TypeVar("Value")


class Network:
    """Connections between nodes by name."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handle] = {}
        self.serving: dict[str, trio.Nursery] = {}
        self.cut: set[str] = set()
        self.silent: set[str] = set()
        self.stalled: set[str] = set()
        self._moved = trio.Event()
        self.streams: list[tuple[str, str, trio.StapledStream[object, object]]] = []

    def of(self, name: str) -> Place:
        return Place(self, name)

    def part(self, name: str) -> None:
        """Cut a node off from all others: what is open breaks, nothing new is opened."""
        self.cut.add(name)
        for one, other, stream in list(self.streams):
            if name in (one, other):
                trio.lowlevel.spawn_system_task(trio.aclose_forcefully, stream)

    def join(self, name: str) -> None:
        self.cut.discard(name)

    def stall(self, name: str) -> None:
        """Let nothing that a leader sends arrive at a follower; its connection stays open."""
        self.stalled.add(name)

    def flow(self, name: str) -> None:
        """Let it arrive."""
        self.stalled.discard(name)
        moved, self._moved = self._moved, trio.Event()
        moved.set()

    def pace(self, name: str, stream: trio.testing.MemorySendStream) -> None:
        """Let what is sent to node `name` wait while that is stalled."""
        carry = stream.send_all_hook
        assert carry is not None

        async def wait() -> None:
            while name in self.stalled:
                await self._moved.wait()
            await carry()

        stream.send_all_hook = wait


class Place:
    """One node's transport."""

    def __init__(self, network: Network, name: str) -> None:
        self._network, self._name = network, name

    async def serve(self, handle: Handle) -> None:
        self._network.handlers[self._name] = handle
        try:
            async with trio.open_nursery() as nursery:
                self._network.serving[self._name] = nursery
                await trio.sleep_forever()
        finally:
            del self._network.handlers[self._name], self._network.serving[self._name]

    async def dial(self, url: str) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        network = self._network
        if url in network.silent:
            await trio.sleep_forever()
        if url not in network.handlers or network.cut & {url, self._name}:
            raise ConnectionRefusedError(f"{url} is not reached")
        here, there = trio.testing.memory_stream_pair()
        network.streams.append((self._name, url, here))
        network.pace(self._name, there.send_stream)
        handle = network.handlers[url]

        async def serve() -> None:
            try:
                await handle(there)
            finally:
                await trio.aclose_forcefully(there)

        network.serving[url].start_soon(serve)
        return here


@dataclass
class Site:
    """A shared log, and the nodes on it."""

    clock: ManualClock
    server: MemoryServer
    network: Network
    options: Options
    disks: dict[str, MemoryDisk] = field(default_factory=dict)
    releases: dict[str, str] = field(default_factory=dict)
    keep_hours: float = 6.0
    clocks: dict[str, ManualClock] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Of nodes that have another name than their place."""
    without_log: set[str] = field(default_factory=set)
    """Nodes that do not reach the shared log."""

    def cluster(self, name: str) -> Cluster:
        disk = self.disks.setdefault(name, MemoryDisk())
        node = NodeOptions(
            name=self.names.get(name, name),
            url=name,
            release=self.releases.get(name, "1"),
            lease_seconds=LEASE,
            grant_seconds=GRANT,
            keep_hours=self.keep_hours,
        )
        files = SharedFiles(disk, SECRET, shared_names)
        return Cluster(
            node=node,
            connect=lambda: MemoryShared(self.server, lambda: name in self.without_log),
            transport=self.network.of(name),
            files=files,
            pause=pause,
        )

    @asynccontextmanager
    async def node(self, name: str, *, takes_part: bool = True) -> AsyncIterator[NodeEngine]:
        cluster = self.cluster(name)
        clock = self.clocks.get(name, self.clock)
        async with open_node(self.disks[name], cluster, options=self.options, clock=clock) as engine:
            if takes_part:
                engine.take_part()
            yield engine


def shared_names(disk: object) -> list[str]:
    assert isinstance(disk, MemoryDisk)
    keys = ["audit.key"] if disk.exists("audit.key") else []
    return keys + ([f"accounts/{name}" for name in disk.names("accounts")] if disk.exists("accounts") else [])


def begin_cluster(disk: MemoryDisk, server: MemoryServer) -> None:
    """Begin a cluster on an empty folder, as `retain node init` does."""
    journal = open_journal(disk, lambda record: None, options=JournalOptions(ballast_bytes=0, shared=True))
    head = journal.head
    shared = MemoryShared(server)
    shared.create(journal.identity, head.seq, head.root, head.segment)
    ensure_key(disk, os.urandom)
    shared.keep(SharedFiles(disk, SECRET, shared_names).changes(), shared.head().term)
    shared.close()
    journal.close()


def begun(options: Options | None = None) -> Site:
    """Return a cluster that was begun on the empty folder of node `a`."""
    clock = ManualClock()
    clock.monotonic()
    server = MemoryServer(clock.monotonic)
    site = Site(clock, server, Network(), options or Options(erase_interval_s=3600.0))
    disk = site.disks["a"] = MemoryDisk()
    begin_cluster(disk, server)
    return site


def pause(seconds: float) -> None:
    """Let a thread of Trio's wait on the test's clock, which moves meanwhile."""

    async def wait() -> None:
        with _IDLE.get().waiting():
            await trio.sleep(seconds)

    trio.from_thread.run(wait)


class Idle:
    """Moves the test's clock to the next deadline, but only while nothing else can happen.

    A clock that jumps whenever all tasks wait would let leases end while a thread still works, because tasks
    wait for threads, too. This one counts the threads. So no test depends on how fast the machine is.
    """

    def __init__(self, clock: trio.testing.MockClock) -> None:
        self._clock = clock
        self._working = 0
        self._changes = 0
        self._lock = Lock()

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count the threads that Trio starts."""
        run_sync, start = trio.to_thread.run_sync, trio.lowlevel.start_thread_soon

        async def counted(*args: Any, **options: Any) -> Any:
            self._count(1)
            try:
                return await run_sync(*args, **options)
            finally:
                self._count(-1)

        def start_counted(work: Callable[[], Any], deliver: Callable[[Any], object]) -> None:
            def delivered(result: Any) -> None:
                deliver(result)
                self._count(-1)

            start(work, delivered)
            self._count(1)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trio.to_thread, "run_sync", counted)
            patch.setattr(trio.lowlevel, "start_thread_soon", start_counted)
            patch.delattr(os, "eventfd", raising=False)  # the writer then works in Trio's threads
            yield

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count a thread that waits for the clock as none."""
        self._count(-1)
        try:
            yield
        finally:
            self._count(1)

    def _count(self, change: int) -> None:
        with self._lock:
            self._working += change
            self._changes += 1

    async def run(self) -> None:
        """Move the clock until cancelled."""
        while True:
            before = self._changes
            await trio.testing.wait_all_tasks_blocked(LOOK_S if self._working else 0.0)
            seconds = trio.lowlevel.current_statistics().seconds_to_next_deadline
            # A thread that ended meanwhile may have a result that no task has seen yet.
            if not self._working and self._changes == before:
                assert seconds < inf, "nothing will ever happen: the test hangs"
                self._clock.jump(max(seconds, 0.0))


_IDLE: Final[trio.lowlevel.RunVar[Idle]] = trio.lowlevel.RunVar("idle")


def run_idle(
    work: Callable[[], Awaitable[Value]], *, clock: None, instruments: Sequence[trio.abc.Instrument]
) -> Value:
    """Run a test under a clock that moves while all is idle: `pytest.mark.trio(run=run_idle)`."""
    assert clock is None, "the test must not ask for a clock"
    mock = trio.testing.MockClock()
    idle = Idle(mock)

    async def main() -> Value:
        _IDLE.set(idle)
        trio.lowlevel.spawn_system_task(idle.run)
        return await work()

    with idle.counting():
        return trio.run(main, clock=mock, instruments=instruments)


async def until(condition: Callable[[], bool], seconds: float = 300.0) -> None:
    """Wait, on the test's clock, until something holds."""
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - what the nodes do tells no event
            await trio.sleep(0.05)


async def until_told(condition: Callable[[], bool]) -> None:
    """Wait, while the test's clock stands because a thread works, until something holds."""
    for _ in range(30_000):
        if condition():
            return
        await trio.testing.wait_all_tasks_blocked(LOOK_S)
    raise AssertionError("not in time")
