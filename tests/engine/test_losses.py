"""Content that is gone with its payload file: found, given up, and recorded for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from retain.engine import Engine, NotFound
from retain.engine.areas.commands import CreateArea, NewFile
from retain.engine.audit.backups import create
from retain.engine.audit.log import Filter, log
from retain.engine.audit.verify import verification
from retain.engine.blobs.commands import BlockSource, CommitBlocks, PutBlob, StageBlock
from retain.engine.blobs.container_commands import CreateContainer
from retain.engine.blobs.entries import ContentHeaders
from retain.engine.core.event import Cause
from retain.engine.holds import HoldKind, SetHold
from retain.engine.losses.accept import MOST_AT_ONCE
from retain.engine.testing import EPOCH, ManualClock, open_memory_engine
from retain.journal import Corrupt, Payload
from retain.journal.backup.restore import restore
from retain.journal.mended import Ordered
from retain.journal.payloads.file import payload_path
from retain.journal.testing.memory import MemoryDisk
from tests.kit.areas import QUIET

WHERE: dict[str, Any] = {"actor": "user:alice", "account": "acme", "container": "c"}


@asynccontextmanager
async def opened(disk: MemoryDisk) -> AsyncIterator[Engine]:
    async with open_memory_engine(disk, clock=ManualClock(EPOCH), options=QUIET) as engine:
        yield engine


async def uploaded(engine: Engine, size: int, command: Any) -> Payload:
    async with engine.upload() as upload:
        await upload.write(bytes(size))
        body = await upload.finish(inline=False)
        assert isinstance(body, Payload)
        await engine.submit(command(body))
        return body


async def filled(engine: Engine) -> dict[str, Payload]:
    """One of each kind of thing that stands on a payload file, and some that keep theirs."""
    await engine.submit(CreateContainer(resource=b"c" * 16, **WHERE))

    def area(name: str, mark: bytes, **more: str) -> Any:
        return lambda body: CreateArea(
            actor="user:alice",
            name=name,
            resource=mark * 16,
            values={"file": NewFile("f", "text/plain", body), **more},
            ttl=1000,
        )

    def put(name: str, mark: bytes) -> Any:
        return lambda body: PutBlob(
            name=name, resource=mark * 16, headers=ContentHeaders(), md5=None, body=body, **WHERE
        )

    def block(name: str, mark: bytes, number: bytes) -> Any:
        return lambda body: StageBlock(name=name, resource=mark * 16, block_id=number, body=body, **WHERE)

    found = {
        "alone": await uploaded(engine, 10, area("alone", b"1")),
        "beside": await uploaded(engine, 11, area("beside", b"2", text="kept")),
        "blob": await uploaded(engine, 12, put("blob", b"3")),
        "kept": await uploaded(engine, 13, put("kept", b"4")),
        "block-1": await uploaded(engine, 14, block("blocks", b"5", b"1")),
        "block-2": await uploaded(engine, 15, block("blocks", b"5", b"2")),
    }
    await engine.submit(
        CommitBlocks(
            name="blocks",
            resource=b"5" * 16,
            headers=ContentHeaders(),
            md5=None,
            blocks=((BlockSource.LATEST, b"1"), (BlockSource.LATEST, b"2")),
            **WHERE,
        )
    )
    found["staged"] = await uploaded(engine, 16, block("staged", b"6", b"1"))
    return found


HIT = {"alone", "beside", "blob", "block-2", "staged"}


async def with_losses(disk: MemoryDisk) -> dict[str, Payload]:
    async with opened(disk) as engine:
        found = await filled(engine)
    for name in HIT:
        disk.unlink(payload_path(found[name].name))
    return found


async def test_what_is_lost_is_given_up_and_the_journal_verifies_with_the_loss_recorded() -> None:
    disk = MemoryDisk()
    bodies = await with_losses(disk)
    async with opened(disk) as engine:
        await engine.sweep_orphans()
        assert engine.statistics().payloads_lost == len(HIT)
        lost = await engine.lost_bodies()
        assert {one.body.payload.name for one in lost} == {bodies[name].name for name in HIT}
        seqs = {one.body.seq for one in lost}
        assert await engine.accept_lost(lost, "cli:operator") == len(HIT)
        assert engine.statistics().payloads_lost == 0
        assert await engine.lost_bodies(read=True) == []
        digest = engine.state.digest()
        assert "alone" not in engine.state.areas.areas
        assert engine.state.areas.areas["beside"][2] == ("text",)
        container = engine.state.blobs.find("acme", "c")
        assert container is not None
        assert (set(container.blobs), set(container.pending)) == ({"kept"}, set())
        engine.state.check()
        assert engine.replayed().digest() == digest
    for bodies_read in (False, True):
        found = verification(disk, bodies=bodies_read)
        assert found.sound, found
        [change] = found.changes
        assert "the loss of content was accepted" in change
        assert all(f"content of record {seq}, payloads/" in change for seq in seqs)
    [entry] = [one for one in log(disk, Filter(cause="lost")) if one.event == "history-changed"]
    assert (entry.actor, entry.subject) == ("cli:operator", "loss accepted: 5 bodies")
    ended = {one.event for one in log(disk, Filter(cause="lost"))} - {"history-changed"}
    assert ended == {"area-deleted", "keys-expired", "blob-deleted", "blocks-dropped"}


async def test_a_start_after_it_has_nothing_to_say_with_a_snapshot_and_without() -> None:
    disk = MemoryDisk()
    await with_losses(disk)
    async with opened(disk) as engine:
        await engine.accept_lost(await engine.lost_bodies(), "cli:operator")
        digest = engine.state.digest()
    without = MemoryDisk({name: data for name, data in disk.files().items() if "snapshot" not in name})
    for start in (disk, without):
        async with opened(start) as engine:
            await engine.sweep_orphans()
            assert engine.statistics().payloads_lost == 0
            assert engine.state.digest() == digest
            assert len(engine.state.history.changes) == 1


async def test_a_legal_hold_does_not_keep_what_is_gone_from_being_given_up() -> None:
    disk = MemoryDisk()
    bodies = await with_losses(disk)
    async with opened(disk) as engine:
        hold = SetHold(
            actor="cli:operator",
            hold_id=b"h" * 16,
            kind=HoldKind.BLOB,
            names=("acme", "c", "blob"),
            reason="court",
        )
        await engine.submit(hold)
        lost = [one for one in await engine.lost_bodies() if one.body.payload == bodies["blob"]]
        assert await engine.accept_lost(lost, "cli:operator") == 1
        assert engine.state.holds.holds


async def test_what_was_deleted_or_came_back_meanwhile_is_passed_over() -> None:
    disk = MemoryDisk()
    bodies = await with_losses(disk)
    async with opened(disk) as engine:
        lost = await engine.lost_bodies()
        assert await engine.accept_lost(lost, "cli:first") == len(HIT)
        seq = engine.state.seq
        assert await engine.accept_lost(lost, "cli:second") == 0
        assert engine.state.seq == seq
        again = await uploaded(
            engine,
            20,
            lambda body: PutBlob(
                name="blob", resource=b"3" * 16, headers=ContentHeaders(), md5=None, body=body, **WHERE
            ),
        )
        assert await engine.accept_lost(lost, "cli:third") == 0, "a new blob of that name has its content"
        assert again.name in engine.state.shared.payloads
    assert bodies["blob"].name != again.name


async def test_a_file_that_is_put_back_is_not_lost_any_more() -> None:
    disk = MemoryDisk()
    bodies = await with_losses(disk)
    async with opened(disk) as engine:
        await engine.sweep_orphans()
        path = payload_path(bodies["kept"].name)
        data = disk.files()[path]
        disk.unlink(path)
        with pytest.raises(NotFound):
            await engine.open_body(bodies["kept"])
        assert engine.statistics().payloads_lost == len(HIT) + 1
        disk.write_atomic(path, data)
        await (await engine.open_body(bodies["kept"])).aclose()
        assert engine.statistics().payloads_lost == len(HIT)


async def test_wrong_bytes_are_lost_where_bodies_are_read() -> None:
    disk = MemoryDisk()
    async with opened(disk) as engine:
        bodies = await filled(engine)
    path = payload_path(bodies["kept"].name)
    data = bytearray(disk.files()[path])
    data[20] ^= 1
    disk.write_atomic(path, bytes(data))
    async with opened(disk) as engine:
        assert await engine.lost_bodies() == []
        [one] = await engine.lost_bodies(read=True)
        assert one.body.payload == bodies["kept"]
        assert "damaged" in one.reason
        await engine.accept_lost([one], "cli:operator")
    assert verification(disk, bodies=True).sound


async def test_damage_met_in_the_middle_of_a_download_is_told_until_it_is_mended() -> None:
    disk = MemoryDisk()
    async with opened(disk) as engine:
        bodies = await filled(engine)
        path = payload_path(bodies["kept"].name)
        whole = disk.files()[path]
        disk.write_atomic(path, whole[:-1] + bytes([whole[-1] ^ 1]))
        for _ in range(2):  # that the file opens is no sign of its health
            download = await engine.open_body(bodies["kept"])
            with pytest.raises(Corrupt):
                await download.read()
            await download.aclose()
            assert engine.statistics().payloads_lost == 1
        assert await engine.lost_bodies() == []
        assert engine.statistics().payloads_lost == 1, "lengths were looked at, not bytes"
        disk.write_atomic(path, whole)
        assert await engine.lost_bodies(read=True) == []
        assert engine.statistics().payloads_lost == 0


async def test_an_accepted_loss_is_in_a_backup_and_comes_back_with_it() -> None:
    disk, target, restored = MemoryDisk(), MemoryDisk(), MemoryDisk()
    await with_losses(disk)
    async with opened(disk) as engine:
        await engine.accept_lost(await engine.lost_bodies(), "cli:operator")
        moment = engine.moment
        await trio.to_thread.run_sync(create, disk, target, lambda: trio.from_thread.run(moment))
    restore(target, restored, None, ordered=Ordered("cli:ann", EPOCH))
    async with opened(restored) as engine:
        assert engine.statistics().payloads_lost == 0
        assert await engine.lost_bodies(read=True) == []
        assert "alone" not in engine.state.areas.areas
        assert engine.state.areas.areas["beside"][2] == ("text",)
        kinds = [one.change for one in engine.state.history.changes.values()]
        assert kinds == ["loss accepted", "restored"]
        engine.state.check()
        assert engine.replayed().digest() == engine.state.digest()
    found = verification(restored, bodies=True)
    assert found.sound
    assert any("the loss of content was accepted" in change for change in found.changes)


async def test_more_than_one_record_names_are_given_up_in_several() -> None:
    disk = MemoryDisk()
    async with opened(disk) as engine:
        for number in range(MOST_AT_ONCE + 1):
            mark = number.to_bytes(16)
            await uploaded(
                engine,
                1,
                lambda body, mark=mark: CreateArea(
                    actor="a",
                    name=mark.hex(),
                    resource=mark,
                    values={"f": NewFile("f", None, body)},
                    ttl=1000,
                ),
            )
        for name in list(engine.state.shared.payloads):
            disk.unlink(payload_path(name))
        assert await engine.accept_lost(await engine.lost_bodies(), "cli:operator") == MOST_AT_ONCE + 1
        assert not engine.state.areas.areas
    assert len(verification(disk).changes) == 2
    assert int(Cause.LOST) == 10, "numbers on disk never move"
