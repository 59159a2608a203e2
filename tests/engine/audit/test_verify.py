"""Verification: of the journal, its events and the payload files they name, to the last bit of the bodies."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import pytest

from retain.engine import open_engine, wire
from retain.engine.areas.commands import CreateArea, DeleteArea, NewFile
from retain.engine.audit.verify import verification
from retain.engine.core.body import payloads_in
from retain.engine.core.event import Interface
from retain.engine.snapshots.load import load
from retain.engine.testing import EPOCH, ManualClock, open_memory_engine
from retain.journal import Disk, Draft, Payload, PayloadStore, Verb
from retain.journal.check.verify import FindingKind
from retain.journal.payloads.file import RUN_BYTES
from retain.journal.payloads.store import CHUNK_BYTES, payload_path
from retain.journal.testing.memory import MemoryDisk
from tests.kit.engines import LightOptions

QUIET = LightOptions(sweep_interval_s=3600.0)


@dataclass
class Stored:
    disk: MemoryDisk
    payload: Payload

    @property
    def file(self) -> str:
        return payload_path(self.payload.name)

    def replaced(self, data: bytes) -> MemoryDisk:
        return MemoryDisk({**self.disk.files(), self.file: data})


@pytest.fixture
async def stored() -> Stored:
    """A journal with a file of two chunks, and an area whose keys are called like the parts of a payload."""
    disk = MemoryDisk()
    async with open_memory_engine(disk, clock=ManualClock(EPOCH), options=QUIET) as engine:
        async with engine.upload() as upload:
            await upload.write(bytes(CHUNK_BYTES + 10))
            body = await upload.finish()
            assert isinstance(body, Payload)
            file = NewFile("a.bin", "application/octet-stream", body)
            await engine.submit(
                CreateArea(actor="a", name="one", resource=b"1" * 16, values={"file": file}, ttl=100)
            )
        misleading = {"payload": "x", "key": "y", "size": "z", "md5": "m", "sha256": "s"}
        await engine.submit(CreateArea(actor="a", name="two", resource=b"2" * 16, values=misleading, ttl=100))
    return Stored(disk, body)


async def test_bodies_that_are_what_they_were_are_sound(stored: Stored) -> None:
    found = verification(stored.disk, bodies=True)
    assert found.sound
    assert found.journal.findings == ()
    assert (found.payloads, found.bodies) == (1, True)


@pytest.mark.parametrize("offset", [20, CHUNK_BYTES + 40])
async def test_a_bit_that_turned_is_found_when_bodies_are_read(stored: Stored, offset: int) -> None:
    damaged = bytearray(stored.disk.files()[stored.file])
    damaged[offset] ^= 1
    disk = stored.replaced(bytes(damaged))
    assert verification(disk).sound
    (finding,) = verification(disk, bodies=True).journal.findings
    assert (finding.kind, finding.file) == (FindingKind.PAYLOAD, stored.file)
    assert finding.seq == 2
    assert finding.offset == (16 if offset < CHUNK_BYTES else 32 + CHUNK_BYTES)


async def test_other_bytes_under_the_same_key_are_found(stored: Stored) -> None:
    """Whoever holds the key can make a file that decrypts: it does not have the digest in the record."""
    forger = MemoryDisk()
    name = bytes.fromhex(stored.payload.name)
    random, run = name[:-RUN_BYTES], name[-RUN_BYTES:]
    store = PayloadStore(
        forger, lambda count: random if count == len(random) else stored.payload.key, run=run
    )
    stage = store.stage()
    stage.write(b"x" * stored.payload.size)
    stage.seal()
    disk = stored.replaced(forger.files()[stored.file])
    with PayloadStore(disk).open(stored.payload) as reader:
        assert bytes(reader.read(0, 3)) == b"xxx"
    (finding,) = verification(disk, bodies=True).journal.findings
    assert "other bytes" in finding.text
    assert not verification(disk, bodies=True).sound


async def test_a_file_that_is_missing_is_found_once(stored: Stored) -> None:
    disk: Disk = MemoryDisk({name: data for name, data in stored.disk.files().items() if name != stored.file})
    (finding,) = verification(disk, bodies=True).journal.findings
    assert finding.kind is FindingKind.PAYLOAD


def test_payloads_are_found_wherever_they_stand_in_a_part() -> None:
    one = {"payload": "a" * 32, "key": bytes(32), "size": 1, "md5": bytes(16), "sha256": bytes(32)}
    part = {"body": one, "list": [[1, {"x": one}], "payload"], "n": None}
    assert [found.name for found in payloads_in(part)] == ["a" * 32] * 2
    assert list(payloads_in(None)) == []


async def test_a_sound_journal_verifies(stored: Stored) -> None:
    disk = stored.disk
    found = verification(disk)
    assert found.sound
    assert found.journal.findings == ()
    assert found.journal.records == 3


async def test_a_missing_payload_file_is_found(stored: Stored) -> None:
    disk, name = stored.disk, stored.payload.name
    disk.unlink(payload_path(name))
    found = verification(disk)
    assert not found.sound
    assert [one.file for one in found.journal.findings] == [payload_path(name)]


async def test_an_orphan_is_a_note(stored: Stored) -> None:
    disk, name = stored.disk, stored.payload.name
    files = disk.files()
    other = payload_path("ab" * 16)
    found = verification(MemoryDisk({**files, other: files[payload_path(name)]}))
    assert found.sound
    assert [one.file for one in found.journal.findings] == [other]


async def test_a_file_that_the_server_removes_meanwhile_is_not_missed(stored: Stored) -> None:
    disk, name = stored.disk, stored.payload.name
    after = disk.kill()
    async with open_memory_engine(after, clock=ManualClock(EPOCH), options=QUIET) as engine:
        await engine.submit(DeleteArea(actor="a", name="one"))
    assert name not in str(after.files())
    half_way = _Removing(disk.files(), after)
    assert verification(half_way).sound


class _Removing(MemoryDisk):
    """Shows another disk's files from the moment on when payload files are first listed."""

    def __init__(self, files: dict[str, bytes], later: MemoryDisk) -> None:
        super().__init__(files)
        self._later = later

    def names(self, folder: str = "") -> list[str]:
        if folder == "payloads":
            self._names = self._later._names
        return super().names(folder)


async def test_damage_is_told_by_the_journal_alone(stored: Stored) -> None:
    files = stored.disk.files()
    (segment,) = [name for name in files if name.endswith(".journal")]
    damaged = bytearray(files[segment])
    damaged[600] ^= 0xFF
    found = verification(MemoryDisk({**files, segment: bytes(damaged)}))
    assert not found.sound
    assert found.events == ()
    assert found.journal.findings


@pytest.mark.parametrize(
    ("code", "details", "expected"), [(9999, {}, "event 9999"), (101, {}, "of record 4 does not replay")]
)
async def test_events_that_cannot_be_read_are_found(
    stored: Stored, code: int, details: dict[str, Any], expected: str
) -> None:
    disk = stored.disk
    log_ = load(disk, QUIET, os.urandom).log
    packed = wire._pack([code, 1, "a", details])
    log_.append([Draft(Verb.PUT, Interface.AREAS, bytes(16), 1, packed, b"")], EPOCH)
    log_.close()
    found = verification(disk)
    assert found.journal.sound
    assert not found.sound
    assert expected in found.events[0]


async def test_works_beside_a_running_engine() -> None:
    disk = MemoryDisk()
    async with open_engine(disk, clock=ManualClock(EPOCH), options=QUIET) as engine:
        for number in range(5):
            await engine.submit(
                CreateArea(actor="a", name=str(number), resource=bytes(16), values={"a": "b"}, ttl=100)
            )
            assert verification(disk).sound


async def test_tells_how_far_it_is_with_the_events_and_then_with_the_bodies(stored: Stored) -> None:
    told: list[int] = []
    verification(stored.disk, told.append)
    assert told == [1, 2, 3, 2, 3]  # the events, one by one, then the journal, frame by frame
    told.clear()
    assert verification(stored.disk, told.append, bodies=True).sound
    assert told == [1, 2, 3, 2, 3, 1, 2, 3]
