"""Verification of bodies: payload files hold what their records speak of, to the last bit."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from engine.areas.commands import CreateArea, NewFile
from engine.body import payloads_in
from engine.testing import EPOCH, ManualClock, open_memory_engine
from engine.verification import verification
from journal import Disk, Payload, PayloadStore
from journal.payloads import CHUNK_BYTES, payload_path
from journal.testing import MemoryDisk
from journal.verify import Kind
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
    assert (finding.kind, finding.file) == (Kind.PAYLOAD, stored.file)
    assert finding.seq == 2
    assert finding.offset == (16 if offset < CHUNK_BYTES else 32 + CHUNK_BYTES)


async def test_other_bytes_under_the_same_key_are_found(stored: Stored) -> None:
    """Whoever holds the key can make a file that decrypts: it does not have the digest in the record."""
    forger = MemoryDisk()
    name = bytes.fromhex(stored.payload.name)
    store = PayloadStore(forger, lambda count: name if count == len(name) else stored.payload.key)
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
    assert finding.kind is Kind.PAYLOAD


def test_payloads_are_found_wherever_they_stand_in_a_part() -> None:
    one = {"payload": "a" * 32, "key": bytes(32), "size": 1, "md5": bytes(16), "sha256": bytes(32)}
    part = {"body": one, "list": [[1, {"x": one}], "payload"], "n": None}
    assert [found.name for found in payloads_in(part)] == ["a" * 32] * 2
    assert list(payloads_in(None)) == []
