"""Backups of an open engine: everything a restored one needs, of one moment."""

from __future__ import annotations

import pytest
import trio

from retain.engine import StorageFailed, Unavailable, open_engine
from retain.engine.audit.backups import ACCOUNTS, create, facts_of, others
from retain.engine.audit.checkpoints import KEY_FILE
from retain.engine.testing import SteppedClock, open_memory_engine
from retain.journal.backup.restore import restore
from retain.journal.testing.memory import MemoryDisk
from tests.engine.conftest import QUIET
from tests.kit.disks import fail_next
from tests.kit.toy import Put, inline

pytestmark = pytest.mark.usefixtures("toys")


async def test_what_is_restored_goes_on_where_the_backup_was_made(disk: MemoryDisk) -> None:
    target, restored = MemoryDisk(), MemoryDisk()
    async with open_memory_engine(disk, clock=SteppedClock(), options=QUIET) as engine:
        disk.write_atomic(KEY_FILE, b"key of the notes")
        disk.make_folder(ACCOUNTS)
        disk.write_atomic(f"{ACCOUNTS}/tenant", b"key of a tenant")
        assert others(disk) == [KEY_FILE, f"{ACCOUNTS}/tenant"]
        await engine.submit(Put(name="a", body=inline(b"kept")))
        moment = await engine.moment()
        notes = list(engine.state.slices[0].freeze().rows())
        assert (moment.head, moment.payloads) == (engine._log.head, frozenset())
        await engine.submit(Put(name="later"))
        report = await trio.to_thread.run_sync(create, engine.disk, target, lambda: moment)
        facts = facts_of(report.manifest)
        assert (facts["seq"], facts["root"]) == (1, moment.head.root.hex() if moment.head else "")
        assert facts["journal"] == engine._log.identity.hex()
        assert facts["files"] == len(report.manifest.entries)
        assert facts["bytes"] == sum(entry.size for entry in report.manifest.entries)
    restore(target, restored, None)
    assert restored.read(KEY_FILE) == b"key of the notes"
    assert restored.read(f"{ACCOUNTS}/tenant") == b"key of a tenant"
    async with open_memory_engine(restored, clock=SteppedClock(), options=QUIET) as engine:
        assert list(engine.state.slices[0].freeze().rows()) == notes
        assert [one.change for one in engine.state.history.changes.values()] == ["restored"]


async def test_a_folder_without_keys_has_no_others(disk: MemoryDisk) -> None:
    assert others(disk) == []


async def test_a_backup_that_cannot_be_written_is_told(disk: MemoryDisk) -> None:
    async with open_memory_engine(disk, clock=SteppedClock(), options=QUIET) as engine:
        await engine.submit(Put())
        moment = await engine.moment()
        target = MemoryDisk()
        fail_next(target, "create", "")
        with pytest.raises(Unavailable, match="no backup was made"):
            create(disk, target, lambda: moment)


async def test_an_engine_that_cannot_write_any_more_has_no_moment(disk: MemoryDisk) -> None:
    async with open_engine(disk, clock=SteppedClock(), options=QUIET) as engine:
        fail_next(disk, "sync")
        with pytest.raises(StorageFailed):
            await engine.submit(Put())
        with pytest.raises(StorageFailed):
            await engine.moment()
