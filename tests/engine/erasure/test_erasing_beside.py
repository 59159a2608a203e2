"""Erasing while others go on: nobody waits for the zeros, and what was begun is ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio

from retain import journal
from retain.engine import Engine
from retain.engine.core.event import Cause
from retain.engine.testing import open_memory_engine
from retain.journal import Part, Verb, scan
from retain.journal.testing.memory import MemoryDisk
from tests.kit.engines import SmallOptions
from tests.kit.toy import Drop, Put, inline

pytestmark = pytest.mark.usefixtures("toys")

PATIENCE_S = 30


class Held:
    """Stops erasures before the zeros are written, until released."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.released = threading.Event()

    async def wait(self) -> None:
        assert await trio.to_thread.run_sync(self.reached.wait, PATIENCE_S)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    gate = Held()
    original = journal.Journal.blank

    def blank(self: journal.Journal, plan: journal.ErasurePlan) -> None:
        gate.reached.set()
        assert gate.released.wait(PATIENCE_S)
        original(self, plan)

    monkeypatch.setattr(journal.Journal, "blank", blank)
    yield gate
    gate.released.set()


@contextmanager
def let_go(gate: Held) -> Iterator[None]:
    """Whatever happens: a thread that waits keeps a test from ending."""
    try:
        yield
    finally:
        gate.released.set()


async def past(engine: Engine, names: str) -> None:
    """Two records for each name that nothing refers to any more."""
    for name in names:
        await engine.submit(Put(name=name, body=inline(b"secret")))
        await engine.submit(Drop(name=name))


def verbs(disk: MemoryDisk) -> list[int]:
    return [record.header.verb for record in scan(disk)]


async def test_changes_and_reads_go_on_while_zeros_are_written(held: Held) -> None:
    disk = MemoryDisk()
    async with open_memory_engine(disk, options=SmallOptions()) as engine:
        await past(engine, "a")
        with let_go(held), trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(engine.erase, [(1, Part.CONTENT)], Cause.ERASURE_REQUEST)
                await held.wait()
                facts = engine.statistics()
                assert facts.seq == facts.durable, "a read would wait for a batch that never comes"
                await engine.read(lambda state, now: None)
                for name in "bcd":
                    await engine.submit(Put(name=name))
                held.released.set()
        assert verbs(disk)[2:] == [Verb.ERASE, Verb.PUT, Verb.PUT, Verb.PUT, Verb.ERASED]


async def test_cancelled_it_ends_what_it_began(held: Held) -> None:
    disk = MemoryDisk()
    async with open_memory_engine(disk, options=SmallOptions()) as engine:
        await past(engine, "abc")
        with let_go(held):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(engine.erase, [(1, Part.CONTENT)], Cause.ERASURE_REQUEST)
                await held.wait()
                nursery.cancel_scope.cancel()
                held.released.set()
        assert verbs(disk)[6:] == [Verb.ERASE, Verb.ERASED]
    async with open_memory_engine(disk, options=SmallOptions()) as engine:
        assert engine.notices == ()


async def test_two_erasures_take_turns(held: Held) -> None:
    disk = MemoryDisk()
    async with open_memory_engine(disk, options=SmallOptions()) as engine:
        await past(engine, "ab")
        with let_go(held), trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                for seq in (1, 3):
                    nursery.start_soon(engine.erase, [(seq, Part.CONTENT)], Cause.ERASURE_REQUEST)
                await held.wait()
                held.released.set()
        assert verbs(disk)[4:] == [Verb.ERASE, Verb.ERASED, Verb.ERASE, Verb.ERASED]
        assert [record.content for record in scan(disk)][0:4:2] == [None, None]


async def test_state_changes_in_the_thread_of_its_readers(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.released.set()
    threads: list[int] = []
    async with open_memory_engine(MemoryDisk(), options=SmallOptions()) as engine:
        await past(engine, "a")
        original = engine.state.erased
        monkeypatch.setattr(
            engine.state,
            "erased",
            lambda ranges, cause: (threads.append(threading.get_ident()), original(ranges, cause)),
        )
        await engine.erase([(1, Part.CONTENT)], Cause.ERASURE_REQUEST)
    assert threads == [threading.get_ident()]
