"""Checkpoints and receipts: what they prove to someone who has only a public key, and what they refuse."""

from __future__ import annotations

import copy
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import pytest

from retain import journal
from retain.engine import Cause, Engine, Invalid, NotFound, Unavailable
from retain.engine.audit.checkpoints import KEY_FILE, checkpoint, ensure_key, open_signed, read_key
from retain.engine.audit.receipts import BadReceipt, Verdict, check, receipt
from retain.engine.persons.find import Selection, recorded, remains
from retain.engine.testing import SteppedClock, open_memory_engine
from retain.journal import Part
from retain.journal.proofs.note import BadNote, Checkpoint, Signer, sign_checkpoint
from retain.journal.proofs.opening import exhibit, opened
from retain.journal.testing.memory import MemoryDisk
from tests.engine.persons.test_find import QUIET, DeleteArea, Store

SIGNER = Signer("example.org/retain", bytes(range(32)))
OTHER = Signer("example.org/other", bytes(range(1, 33)))
KEY = SIGNER.verifier


async def erased_area(engine: Engine, clock: SteppedClock) -> bytes:
    """The number of an area that was kept, deleted and erased among others."""
    store = Store(engine)
    for number in range(20):
        await store.area(f"before-{number}", "eve")
    await store.area("cart", "bob")
    await store.area("after", "eve")
    (found,) = recorded(engine.disk, Selection(customers=frozenset({"bob"})))
    clock.advance(60)
    await engine.submit(DeleteArea(actor="anonymous", name="cart", user="bob"))
    clock.advance(60)
    await engine.erase(remains(engine.disk, [found.target.resource]), Cause.ERASURE_REQUEST)
    clock.advance(60)
    await store.area("later", "eve")
    return found.target.resource


def noted(engine: Engine, size: int | None = None) -> bytes:
    return checkpoint(engine.disk, SIGNER, engine.state.seq if size is None else size)


@pytest.fixture
async def made() -> tuple[dict[str, Any], bytes, int]:
    """A receipt for an erased area, its number, and when it was created."""
    clock = SteppedClock()
    async with open_memory_engine(clock=clock, options=QUIET) as engine:
        start = engine.now()
        resource = await erased_area(engine, clock)
        return receipt(engine.disk, resource, noted(engine), KEY, names=True), resource, start


# --- keys ----------


def test_the_key_is_made_once_and_is_its_owners_alone() -> None:
    disk = MemoryDisk()
    with pytest.raises(NotFound):
        read_key(disk)
    made = ensure_key(disk, bytes, None)
    assert made.verifier.name == "retain/0000000000000000"
    assert str(ensure_key(disk, lambda size: b"\1" * size, "another").verifier) == str(made.verifier)
    assert str(read_key(disk).verifier) == str(made.verifier)


def test_the_operator_names_the_log() -> None:
    assert ensure_key(MemoryDisk(), bytes, "example.org/retain").verifier.name == "example.org/retain"
    with pytest.raises(Invalid):
        ensure_key(MemoryDisk(), bytes, "with spaces")


@pytest.mark.parametrize("data", [b"", b"PRIVATE+KEY+x", b"\xff\xfe"])
def test_a_file_without_a_key_is_told(data: bytes) -> None:
    disk = MemoryDisk()
    disk.write_atomic(KEY_FILE, data)
    with pytest.raises(Invalid) as refusal:
        ensure_key(disk, bytes)
    assert refusal.value.reason == "audit-key"


# --- checkpoints ----------


async def test_a_checkpoint_signs_the_root_of_what_is_durable() -> None:
    async with open_memory_engine(clock=SteppedClock(), options=QUIET) as engine:
        await Store(engine).area("cart", "bob")
        note = noted(engine)
        found = open_signed(note, KEY)
        assert (found.origin, found.size) == ("example.org/retain", 2)
        await Store(engine).area("more", "bob")
        assert journal.verify(engine.disk, since=found).sound
        assert not journal.verify(engine.disk, since=Checkpoint(found.origin, 2, bytes(32))).sound


async def test_a_damaged_journal_is_not_signed() -> None:
    disk = MemoryDisk()
    async with open_memory_engine(disk, clock=SteppedClock(), options=QUIET) as engine:
        await Store(engine).area("cart", "bob")
    (name,) = [name for name in disk.names("journal") if name.endswith(".journal")]
    with disk.open(f"journal/{name}", write=True) as file:
        file.pwrite(0, bytes(64))
    with pytest.raises(Unavailable):
        checkpoint(disk, SIGNER, 2)


def test_a_checkpoint_of_another_log_is_refused() -> None:
    foreign = sign_checkpoint(Checkpoint("example.org/else", 1, bytes(32)), SIGNER)
    with pytest.raises(BadNote):
        open_signed(foreign, KEY)
    with pytest.raises(BadNote):
        open_signed(sign_checkpoint(Checkpoint(OTHER.verifier.name, 1, bytes(32)), OTHER), KEY)


# --- receipts ----------


async def test_a_receipt_proves_put_and_erasure_and_when(made: tuple[dict[str, Any], bytes, int]) -> None:
    value, resource, start = made
    verdict = check(json.loads(json.dumps(value)), KEY)
    assert verdict.resource == resource
    assert verdict.erased
    created, stored, deleted = verdict.records
    assert [one.header.verb for one in verdict.records] == [1, 2, 3]
    assert created.header.time == start
    for record in (created, stored):
        assert record.content is not None
        assert record.content.cause == Cause.ERASURE_REQUEST
        assert record.content.ordered == record.content.done == start + 120 * 10**9
        assert record.details is None
    assert deleted.content is None
    assert created.about is not None
    assert created.about.details["user"] == "bob"
    assert created.about.kind is not None


async def test_what_is_not_erased_is_not_said_to_be() -> None:
    clock = SteppedClock()
    async with open_memory_engine(clock=clock, options=QUIET) as engine:
        resource = await erased_area(engine, clock)
        before = check(receipt(engine.disk, resource, noted(engine, 44), KEY), KEY)
        assert not before.erased
        assert [one.content for one in before.records] == [None, None]
        ordered = check(receipt(engine.disk, resource, noted(engine, engine.state.seq - 3), KEY), KEY)
        assert not ordered.erased, "ordered, and not said to be done"
        assert [one.content.done for one in ordered.records if one.content] == [None, None]
        assert all(one.about is None for one in ordered.records)


async def test_erased_names_are_not_in_a_receipt() -> None:
    clock = SteppedClock()
    async with open_memory_engine(clock=clock, options=QUIET) as engine:
        resource = await erased_area(engine, clock)
        await engine.erase(remains(engine.disk, [resource], names=True), Cause.ERASURE_REQUEST)
        value = receipt(engine.disk, resource, noted(engine), KEY, names=True)
        assert "bob" not in str(value)
        verdict = check(value, KEY)
        assert all(one.details is not None and one.about is None for one in verdict.records)


async def test_there_is_no_receipt_for_nothing() -> None:
    async with open_memory_engine(options=QUIET) as engine:
        await Store(engine).area("cart", "bob")
        with pytest.raises(BadReceipt):
            receipt(engine.disk, b"?" * 16, noted(engine), KEY)
        with pytest.raises(BadNote):
            receipt(engine.disk, b"?" * 16, noted(engine), OTHER.verifier)


Tamper = Callable[[dict[str, Any]], Any]


def flipped(text: str) -> str:
    data = bytearray(b64decode(text))
    data[-1] ^= 1
    return b64encode(data).decode()


TAMPERINGS: dict[str, Tamper] = {
    "another format": lambda value: value.update(format="retain-receipt/9"),
    "another resource": lambda value: value.update(resource="00" * 16),
    "no resource": lambda value: value.pop("resource"),
    "another checkpoint": lambda value: value.update(checkpoint=noted_by(OTHER)),
    "a forged size": lambda value: value.update(
        checkpoint=re.sub(r"\n\d+\n", "\n999\n", value["checkpoint"], count=1)
    ),
    "no records": lambda value: value.update(records=[]),
    "records in another order": lambda value: value["records"].reverse(),
    "a record twice": lambda value: value["records"].append(value["records"][-1]),
    "a changed header": lambda value: value["records"][0].update(
        header=flipped(value["records"][0]["header"])
    ),
    "no header": lambda value: value["records"][0].update(header=""),
    "another number": lambda value: value["records"][0].update(seq=1),
    "a short proof": lambda value: value["records"][0]["proof"].pop(),
    "a changed proof": lambda value: value["records"][0]["proof"].append("AAAA"),
    "a changed name": lambda value: value["records"][0].update(part=flipped(value["records"][0]["part"])),
    "an empty name": lambda value: value["records"][0].update(part=""),
    "no base64": lambda value: value["records"][0].update(header="%"),
    "an erasure that is none": lambda value: value["erasures"][0].update(erase=value["records"][0]),
    "a changed erasure": lambda value: value["erasures"][0]["erase"].update(
        part=flipped(value["erasures"][0]["erase"]["part"])
    ),
    "an end that is none": lambda value: value["erasures"][0].update(erased=value["erasures"][0]["erase"]),
    "records that are none": lambda value: value.update(records=7),
}


def noted_by(signer: Signer) -> str:
    return sign_checkpoint(Checkpoint(signer.verifier.name, 48, bytes(32)), signer).decode()


@pytest.mark.parametrize("name", TAMPERINGS)
async def test_what_was_tampered_with_does_not_hold(
    name: str, made: tuple[dict[str, Any], bytes, int]
) -> None:
    value = copy.deepcopy(made[0])
    TAMPERINGS[name](value)
    assert value != made[0]
    with pytest.raises(BadReceipt):
        check(value, KEY)


async def test_left_out_erasures_only_prove_less(made: tuple[dict[str, Any], bytes, int]) -> None:
    verdict: Verdict = check({**made[0], "erasures": []}, KEY)
    assert not verdict.erased


async def test_an_erasure_of_another_log_proves_nothing(made: tuple[dict[str, Any], bytes, int]) -> None:
    clock = SteppedClock()
    async with open_memory_engine(clock=clock, options=QUIET) as engine:
        resource = await erased_area(engine, clock)
        foreign = receipt(engine.disk, resource, noted(engine), KEY)
    with pytest.raises(BadReceipt):
        check({**made[0], "erasures": foreign["erasures"]}, KEY)


# --- exhibits ----------


async def test_an_exhibit_opens_the_commitment_and_no_other() -> None:
    async with open_memory_engine(options=QUIET) as engine:
        store = Store(engine)
        await store.area("cart", "bob")
        await engine.submit(DeleteArea(actor="x", name="cart", user="bob"))
        records = list(journal.scan(engine.disk))
        for record in records:
            part = exhibit(engine.disk, record.header.seq, Part.DETAILS)
            assert part is not None
            assert opened(part, record.header.details_commitment) == record.details
            assert opened(part, records[0].header.content_commitment) is None
            content = exhibit(engine.disk, record.header.seq, Part.CONTENT)
            assert (content is None) == (record.content == b"")
        assert opened(b"", bytes(32)) is None
        with pytest.raises(journal.BadTarget):
            exhibit(engine.disk, 99, Part.CONTENT)
        await engine.erase([(1, Part.CONTENT)], Cause.ERASURE_REQUEST)
        assert exhibit(engine.disk, 1, Part.CONTENT) is None
