"""Records that an embedding program once had written and no server could read: a start passes over them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from retain import journal
from retain.engine import wire
from retain.engine.areas.commands import CreateArea
from retain.engine.areas.events import AreaCreated, KeysExpired
from retain.engine.audit.log import entry_of
from retain.engine.core.event import Cause, Event
from retain.engine.snapshots.load import present
from retain.engine.testing import ManualClock, open_memory_engine
from retain.journal import Draft
from retain.journal.testing.memory import MemoryDisk

SOUND = CreateArea(actor="anonymous", name="a" * 36, resource=bytes(16), values={"k": "v"}, ttl=600)


def created(**odd: Any) -> Event:
    facts: dict[str, Any] = {
        "resource": bytes(15) + b"\1", "actor": "a", "cause": Cause.REQUEST, "name": "b", "user": None,
        "until": 1, "base": 0, "keys": ("k",), "values": ("v",),
    }  # fmt: skip
    return AreaCreated(**{**facts, **odd})


def expired(**odd: Any) -> Event:
    facts: dict[str, Any] = {
        "resource": SOUND.resource, "actor": "a", "cause": Cause.EXPIRED, "name": SOUND.name, "user": None,
        "keys": ("k",),
    }  # fmt: skip
    return KeysExpired(**{**facts, **odd})


def bare(details: bytes) -> Draft:
    draft = wire.to_draft(created())
    return Draft(
        verb=draft.verb, interface=draft.interface, resource=draft.resource, cause=draft.cause,
        details=details, content=draft.content,
    )  # fmt: skip


ODD = {
    "a number for a text": wire.to_draft(created(values=(1,))),
    "bytes for a key": wire.to_draft(created(keys=(b"k",))),
    "text for a deadline": wire.to_draft(created(until="soon")),
    "no keys": wire.to_draft(expired(keys=None)),
    "a name that is none": wire.to_draft(created(name={"a": 1})),
    "no event": bare(b"\xc0"),
    "no details": bare(wire._pack([101, 1, None, None])),
    "a code that is none": bare(wire._pack([[101], 1, "a", {}])),
    "no msgpack": bare(b"\xc1"),
}


async def written(draft: Draft) -> MemoryDisk:
    """A journal with a sound record, an odd one, and another sound one."""
    disk = MemoryDisk()
    async with open_memory_engine(disk, clock=ManualClock()) as engine:
        await engine.submit(SOUND)
        time = engine.now()
    with closing(journal.open_journal(disk, lambda record: None)) as log:
        log.append([draft], time)
        log.append([wire.to_draft(created(name="c", resource=bytes(15) + b"\2", until=1 << 62))], time)
    return disk


@pytest.mark.parametrize("draft", ODD.values(), ids=ODD.keys())
async def test_a_start_passes_over_an_odd_record_and_names_it(draft: Draft) -> None:
    disk = await written(draft)
    odd = [record.header.seq for record in journal.scan(disk) if record.details == draft.details]
    async with open_memory_engine(disk, clock=ManualClock()) as engine:
        assert {SOUND.name, "c"} <= set(engine.state.areas.areas)
        assert "b" not in engine.state.areas.areas
        [notice] = [text for text in engine.notices if "wrong type" in text]
        assert f": {odd[0]};" in notice
        await engine.submit(replace(SOUND, name="d" * 36, resource=bytes(15) + b"\3"))
    assert set(present(disk).areas.areas) >= {SOUND.name, "c"}


@pytest.mark.parametrize("draft", ODD.values(), ids=ODD.keys())
async def test_the_audit_log_shows_an_odd_record(draft: Draft) -> None:
    disk = await written(draft)
    entries = [entry_of(record) for record in journal.scan(disk)]
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert all(isinstance(entry.subject, str) and isinstance(entry.actor, str) for entry in entries)


async def test_a_sound_journal_is_named_nowhere() -> None:
    disk = await written(wire.to_draft(created()))
    async with open_memory_engine(disk, clock=ManualClock()) as engine:
        assert not [text for text in engine.notices if "wrong type" in text]
