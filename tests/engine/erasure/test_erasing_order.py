"""In which order one turn of the eraser erases: after a stop as long as the audit period, content and details
fall due together, and no power cut between the two may bring back what was deleted.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from retain.engine import Engine, open_engine
from retain.engine.areas import CreateArea, DeleteArea
from retain.engine.blobs import expiry
from retain.engine.blobs.commands import DeleteBlob, PutBlob, StageBlock
from retain.engine.blobs.container_commands import CreateContainer, DeleteContainer
from retain.engine.blobs.entries import ContentHeaders
from retain.engine.settings import Asker, DeleteValue, Place, PutValue, SettingsPolicy
from retain.engine.settings import EncodedValue as Json
from retain.engine.testing import SteppedClock, verify
from retain.journal import Part
from retain.journal.testing.memory import DiskOperation, MemoryDisk
from tests.engine.persons.test_end import seen
from tests.kit.crash import SCALE
from tests.kit.engines import SmallOptions
from tests.kit.slices import inline

AUDIT_DAYS = 40
STOPPED_S = (AUDIT_DAYS + 1) * 86_400
OPTIONS = SmallOptions(history_days=10.0, audit_days=AUDIT_DAYS, erase_interval_s=3600.0, snapshot_records=0)
AREA = "00000000-0000-4000-8000-000000000000"
PLACE: dict[str, Any] = {
    "actor": "user",
    "asker": Asker("ann", admin=True),
    "place": Place("app", 0),
    "path": (),
    "policy": SettingsPolicy(put_creates=True),
}


def where(container: str) -> dict[str, Any]:
    return {"actor": "user", "account": "acc", "container": container}


async def put(engine: Engine, container: str, name: str) -> None:
    await engine.submit(
        PutBlob(
            **where(container),
            name=name,
            resource=engine.entropy(16),
            body=inline(f"body of {name}".encode()),
            headers=ContentHeaders(),
            md5=None,
        )
    )


async def live(engine: Engine) -> None:
    """Something of each kind is deleted, and in each domain something stays."""
    for container, names in (("small", "a"), ("large", "abcde"), ("kept", "ab")):
        await engine.submit(CreateContainer(**where(container), resource=engine.entropy(16)))
        for name in names:
            await put(engine, container, name)
    await engine.submit(
        StageBlock(
            **where("small"), name="s", resource=engine.entropy(16), block_id=b"1", body=inline(b"staged")
        )
    )
    for name in (AREA, "1" + AREA[1:]):
        await engine.submit(
            CreateArea(
                actor="user", name=name, resource=engine.entropy(16), values={"k": "text"}, ttl=9 * 10**7
            )
        )
    value = Json.of({"c": {"p": "value"}})
    await engine.submit(PutValue(**PLACE, resource=engine.entropy(16), body=value))
    await engine.submit(DeleteContainer(**where("small")))
    await engine.submit(DeleteContainer(**where("large")))
    await engine.submit(DeleteBlob(**where("kept"), name="a"))
    await engine.submit(DeleteArea(actor="user", name=AREA))
    await engine.submit(DeleteValue(**PLACE, resource=engine.entropy(16)))
    await engine.sweep()


async def check_order(patch: pytest.MonkeyPatch, modes: tuple[str, ...] = ("none", "all", "random")) -> int:
    """Cuts the power at every operation of the first turn after the stop; answers how many cuts that were.

    In each mode; with a scale of 1 in one of them in turn.
    """
    patch.setattr(expiry, "FREED", 3)
    rng = Random(7)
    clock = SteppedClock()
    disk = MemoryDisk()
    async with open_engine(disk, clock=clock, options=OPTIONS) as engine:
        await live(engine)
        assert sorted(engine.state.blobs.accounts["acc"]) == ["kept"]
        assert not engine.state.blobs.closed
    clock.advance(STOPPED_S)
    cuts: list[tuple[DiskOperation, MemoryDisk]] = []
    async with open_engine(disk, clock=clock, options=OPTIONS) as engine:
        await engine.sweep()
        before = await seen(engine)

        def cut(operation: DiskOperation) -> None:
            for mode in modes if SCALE > 1 else (modes[len(cuts) % len(modes)],):
                cuts.append((operation, disk.crash(mode, rng)))  # type: ignore[arg-type]

        disk.before_each = cut
        assert await engine.erase_due() > 10
        disk.before_each = None
        assert engine.state.records.audited > 10, "the audit period was over"
    for operation, left in cuts:
        await nothing_is_back(left, before, clock, operation)
    return len(cuts)


async def nothing_is_back(
    left: MemoryDisk, before: Any, clock: SteppedClock, operation: DiskOperation
) -> None:
    """The start with the snapshot and the replay of everything agree, and clients see what they saw."""
    async with open_engine(left.kill(), clock=clock, options=OPTIONS) as engine:
        assert await seen(engine) == before, operation
        await verify(engine)
    for name in left.names(""):
        if name.startswith("snapshot-"):
            left.unlink(name)
    async with open_engine(left, clock=clock, options=OPTIONS) as engine:
        assert await seen(engine) == before, operation
        await engine.erase_due()
        assert await seen(engine) == before, operation
        await verify(engine)
    async with open_engine(left, clock=clock, options=OPTIONS) as engine:
        assert await seen(engine) == before, operation


async def test_no_power_cut_in_the_first_turn_after_a_long_stop_brings_anything_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await check_order(monkeypatch) > 20


async def test_an_erasure_is_closed_only_once_the_other_folders_have_overwritten_the_bytes() -> None:
    waited: list[tuple[int, int]] = []
    async with open_engine(MemoryDisk(), clock=SteppedClock(), options=OPTIONS) as engine:
        values = {"k": "text"}
        await engine.submit(
            CreateArea(actor="user", name=AREA, resource=engine.entropy(16), values=values, ttl=10**7)
        )
        seq = engine.durable

        async def overwritten(erase: int) -> None:
            waited.append((erase, engine.durable))

        engine._erasing.overwritten = overwritten
        await engine.erase([(seq, Part.CONTENT)], 3)
        assert waited == [(seq + 1, seq + 1)]
        assert engine.durable == seq + 2
