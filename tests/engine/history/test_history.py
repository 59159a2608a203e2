"""A restore or repair is a record, and no counter gives a number again that the lost history gave."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import trio

from retain.engine import Engine, StorageFailed, open_engine
from retain.engine.audit.backups import create
from retain.engine.audit.verify import verification
from retain.engine.core.time import DAY
from retain.engine.history.slice import MOST_LOSSES, RecordChange
from retain.engine.options import Options
from retain.engine.testing import EPOCH, SteppedClock, open_memory_engine, verify
from retain.journal import Corrupt, Disk, scan
from retain.journal.backup.restore import restore
from retain.journal.check.repair import repair
from retain.journal.erasure.manifest import export_erasures
from retain.journal.mended import MENDED_FILE, Mended, Ordered, leave_mended, read_mended
from retain.journal.testing.memory import MemoryDisk
from tests.kit.blob_client import blob_client
from tests.kit.disks import fail_next
from tests.kit.settings import settings_client

QUIET = Options(sweep_interval_s=3600.0)
BY = Ordered("cli:ann", EPOCH + 5)


async def backed_up(engine: Engine) -> MemoryDisk:
    target = MemoryDisk()
    await trio.to_thread.run_sync(create, engine.disk, target, lambda: trio.from_thread.run(engine.moment))
    return target


async def test_a_stale_settings_tag_matches_nothing_after_a_restore() -> None:
    async with settings_client() as client:
        await client.call("POST", "currentuser/a", {"x": 1})
        backup = await backed_up(client.engine)
        unchanged = (await client.call("GET", "currentuser")).tag
        await client.call("PUT", "currentuser/a", {"x": 2})
        stale = (await client.call("GET", "currentuser")).tag
        lost = (await client.call("GET", "currentuser?history=9")).json()
    for _ in range(3):  # each restore of the same backup is another history
        disk = MemoryDisk()
        restore(backup, disk, None, ordered=BY)
        async with settings_client(disk) as client:
            same = await client.call("GET", "currentuser", headers=[("If-None-Match", unchanged)])
            assert same.status == 304, "what was not changed is still what the client has"
            await client.call("PUT", "currentuser/a", {"x": 3})
            answer = await client.call("GET", "currentuser", headers=[("If-None-Match", stale)])
            assert (answer.status, answer.json()) == (200, {"a": {"x": 3}})
            refused = await client.call("PUT", "currentuser/a", {"x": 2}, headers=[("If-Match", stale)])
            assert refused.status == 412
            assert (await client.call("GET", f"currentuser?version={lost[0]['revision']}")).status == 404
            await client.call("PUT", "currentuser/a", {"x": 4})
            revisions = [
                one["revision"] for one in (await client.call("GET", "currentuser?history=9")).json()
            ]
            assert revisions[0] == revisions[1] + 1
            assert revisions[1] > 1 << 32
            assert revisions[0] < 1 << 53, "JSON clients read it exactly"


async def test_a_document_made_anew_after_a_restore_has_no_number_of_the_lost_one() -> None:
    async with settings_client() as client:
        backup = await backed_up(client.engine)
        assert (await client.call("POST", "currentuser/a", {})).status == 201
        lost = (await client.call("GET", "currentuser?history=9")).json()[0]["revision"]
    disk = MemoryDisk()
    restore(backup, disk, None)
    async with settings_client(disk) as client:
        assert (await client.call("POST", "currentuser/b", {})).status == 201
        assert (await client.call("GET", f"currentuser?version={lost}")).status == 404


async def test_a_stale_blob_tag_matches_nothing_after_a_restore_in_the_same_instant() -> None:
    async with blob_client() as client:
        await client.create()
        await client.put("a", b"first")
        backup = await backed_up(client.engine)
        stale = (await client.put("a", b"lost")).headers["etag"]
    tags = set()
    for _ in range(3):
        disk = MemoryDisk()
        restore(backup, disk, None)
        async with blob_client(disk=disk) as client:
            await client.put("a", b"second")
            tags.add((await client.get("a")).headers["etag"])
            assert (await client.get("a", [("if-none-match", stale)])).body == b"second"
    assert len(tags | {stale}) == 4


async def test_a_restore_is_a_record_made_before_anything_else() -> None:
    disk = MemoryDisk()
    async with settings_client(disk) as client:
        assert (await client.call("POST", "currentuser/a", {})).status == 201
        backup = await backed_up(client.engine)
        head = (await client.engine.moment()).head
        await client.call("PUT", "currentuser/a", {"x": 1})
    assert head is not None
    target = MemoryDisk()
    restore(backup, target, export_erasures(disk), ordered=BY)
    [mended] = read_mended(target)
    cut = target.kill()
    async with open_memory_engine(target, clock=SteppedClock(), options=QUIET) as engine:
        [change] = engine.state.history.changes.values()
        assert not target.exists(MENDED_FILE)
    assert (change.change, change.time, change.kept, change.root) == (
        "restored",
        EPOCH + 5,
        head.seq,
        head.root,
    )
    assert change.lost == head.seq + 1
    assert change.source.startswith("the backup of 20")
    [record] = [one for one in scan(target) if one.header.resource == mended.number]
    assert record.header.seq == head.seq + 1
    assert b"cli:ann" in (record.details or b"")
    # A crash between the record and the end of the file: once is enough.
    leave_mended(target, mended)
    async with open_memory_engine(target, clock=SteppedClock(), options=QUIET) as engine:
        assert len(engine.state.history.changes) == 1
    async with open_memory_engine(cut, clock=SteppedClock(), options=QUIET) as engine:
        await engine.take_snapshot()
        killed = cut.kill()
    async with open_memory_engine(killed, clock=SteppedClock(), options=QUIET) as engine:
        assert engine.state.history.changes[mended.number].kept == change.kept
        assert engine.state.shared.revision > 1 << 32


async def test_a_start_that_cannot_record_a_restore_fails_by_its_reason() -> None:
    """And not by a group around it: who embeds the engine catches `EngineError`."""
    disk = MemoryDisk()
    async with open_memory_engine(disk, options=QUIET):
        pass
    leave_mended(disk, Mended(bytes(16), "repaired", "cli:ann", EPOCH, 0, bytes(32), 0, "", ()))
    fail_next(disk, "sync")
    with pytest.raises(StorageFailed):
        async with open_memory_engine(disk, options=QUIET):
            raise AssertionError("it was opened")


async def test_a_repair_is_a_record_that_says_what_was_lost() -> None:
    disk = MemoryDisk()
    async with settings_client(disk) as client:
        for number in range(3):
            head = (await client.engine.moment()).head
            await client.call("POST", f"currentuser/a{number}", {"x": number})
        seq = client.engine.state.seq
    assert head is not None
    [segment] = [name for name in disk.files() if name.endswith(".journal")]
    with disk.open(segment, write=True) as file:
        file.pwrite(head.offset + 40, b"\xff\xff")
        file.sync()
    report = repair(disk, accept_loss=True, ordered=BY, entropy=Random(1).randbytes)
    assert report.seq < seq
    async with open_memory_engine(disk, clock=SteppedClock(), options=QUIET) as engine:
        [change] = engine.state.history.changes.values()
    assert (change.change, change.kept, change.lost) == ("repaired", report.seq, seq)
    assert change.losses == tuple(f"{one.file}: {one.text}" for one in report.losses)
    assert f"records up to {report.seq} were kept" in verification(disk).changes[0]


async def test_what_is_restored_and_repaired_outlives_the_audit_period_without_a_name() -> None:
    disk, clock = MemoryDisk(), SteppedClock()
    async with open_memory_engine(disk, clock=clock, options=QUIET):
        pass
    leave_mended(disk, mended(1))
    async with open_memory_engine(disk, clock=clock, options=QUIET) as engine:
        base = engine.state.shared.revision
        clock.advance(366 * DAY / 10**9)
        await engine.erase_due()
        await verify(engine)
    [record] = [one for one in scan(disk) if one.details]
    assert b"cli:ann" not in (record.details or b"")
    async with open_memory_engine(disk, clock=clock, options=QUIET) as engine:
        assert engine.state.shared.revision == base


def mended(number: int, **more: Any) -> Mended:
    facts = {"change": "restored", "actor": "cli:ann", "time": EPOCH, "kept": 4, "root": bytes(32), "lost": 9}
    return Mended(number=bytes([number]) * 16, **{**facts, **more})


async def test_several_are_recorded_in_order_and_losses_are_bounded() -> None:
    disk = MemoryDisk()
    async with open_memory_engine(disk, clock=SteppedClock(), options=QUIET):
        pass
    leave_mended(disk, mended(2, losses=tuple(map(str, range(500)))))
    leave_mended(disk, mended(1, change="repaired"))
    async with open_memory_engine(disk, clock=SteppedClock(), options=QUIET) as engine:
        first, second = engine.state.history.changes.values()
        assert (first.change, second.change) == ("restored", "repaired")
        assert len(first.losses) == MOST_LOSSES
        assert second.revision > first.revision
        assert not await engine.submit(RecordChange(actor="a", mended=mended(1), random=bytes(8)))


@pytest.mark.parametrize("content", [b"{}\n", b"no\n", b'{"number": "zz"}\n', b"\xff\n"])
async def test_a_file_that_cannot_be_read_stops_the_start(content: bytes) -> None:
    disk: Disk = MemoryDisk()
    async with open_memory_engine(disk, clock=SteppedClock(), options=QUIET):
        pass
    disk.write_atomic(MENDED_FILE, content)
    with pytest.raises((Corrupt, ExceptionGroup)):
        async with open_engine(disk, clock=SteppedClock(), options=QUIET):
            pass
    assert disk.exists(MENDED_FILE)
