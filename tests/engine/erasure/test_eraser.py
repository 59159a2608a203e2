"""The eraser: what is left behind goes from the disk, in bounded slices, and live state stays as it is."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio.testing

from retain.engine import Engine, EngineError, Options, StorageFailed, open_engine
from retain.engine.areas import CreateArea, DeleteArea, NewFile, UpdateArea
from retain.engine.areas import queries as areas
from retain.engine.blobs.commands import (
    BlockSource,
    CommitBlocks,
    DeleteBlob,
    PutBlob,
    SetBlobMetadata,
    SetBlobTags,
    StageBlock,
)
from retain.engine.blobs.container_commands import CreateContainer
from retain.engine.blobs.entries import ContentHeaders
from retain.engine.core.body import Inline
from retain.engine.core.event import Cause
from retain.engine.core.ledger import LONG_CHAIN
from retain.engine.core.time import HOUR
from retain.engine.holds import HoldKind, LiftHold, SetHold
from retain.engine.settings import Asker, DeleteValue, Place, PutValue, SettingsPolicy
from retain.engine.settings import EncodedValue as Json
from retain.engine.testing import ManualClock, SteppedClock, verify
from retain.journal import JournalError, Part, scan
from retain.journal.segments.files import broken_files
from retain.journal.testing.memory import MemoryDisk
from tests.kit.disks import fail_next
from tests.kit.engines import LightOptions, pass_time
from tests.kit.slices import chain_rows

OPTIONS = LightOptions(sweep_interval_s=3600.0, history_days=10, audit_days=30)
NAME = "0" * 8 + "-0000-4000-8000-" + "0" * 12
ASKER = Asker("ann", admin=True)
PLACE = Place("app", 0)


class Site:
    """An engine, a disk and a clock, with short ways to change things."""

    def __init__(self, engine: Engine, disk: MemoryDisk, clock: SteppedClock) -> None:
        self.engine = engine
        self.disk = disk
        self.clock = clock

    async def area(self, name: str = NAME, ttl: int = 10**7, **values: Any) -> None:
        await self.engine.submit(
            CreateArea(actor="a", name=name, resource=self.engine.entropy(16), values=values, ttl=ttl)
        )

    async def update(self, name: str = NAME, **values: Any) -> None:
        await self.engine.submit(
            UpdateArea(actor="a", name=name, resource=self.engine.entropy(16), values=values, ttl=10**7)
        )

    async def put(self, value: dict[str, Any], path: tuple[str, ...] = ()) -> None:
        await self.engine.submit(
            PutValue(
                actor="a",
                asker=ASKER,
                place=PLACE,
                path=path,
                policy=SettingsPolicy(put_creates=True),
                resource=self.engine.entropy(16),
                body=Json.of(value),
            )
        )

    async def put_blob(self, name: str, data: bytes) -> None:
        await self.engine.submit(
            PutBlob(
                actor="a",
                account="acc",
                container="box",
                name=name,
                resource=self.engine.entropy(16),
                body=small(data),
                md5=None,
                headers=ContentHeaders(),
                metadata=(),
                tags=(),
                tier=None,
            )
        )

    async def erase(self, hours: float = 1) -> int:
        self.clock.advance(hours * 3600)
        await self.engine.sweep()
        erased = await self.engine.erase_due()
        await verify(self.engine)
        return erased

    def found(self, marker: bytes) -> list[str]:
        """Files that hold ``marker``; the journal is whitened, so it is read as records."""
        found = [
            f"record {record.header.seq}"
            for record in scan(self.disk)
            if marker in (record.details or b"") + (record.content or b"")
        ]
        for name in self.disk.names(""):
            if name.startswith("snapshot-"):
                with self.disk.open(name) as file:
                    if marker in file.pread(0, file.size()):
                        found.append(name)
        return found


def small(data: bytes) -> Inline:
    return Inline(data, hashlib.md5(data).digest())


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with opened(MemoryDisk(), SteppedClock()) as site:
        yield site


@asynccontextmanager
async def opened(disk: MemoryDisk, clock: SteppedClock, options: Options = OPTIONS) -> AsyncIterator[Site]:
    async with open_engine(disk, clock=clock, options=options) as engine:
        yield Site(engine, disk, clock)


async def test_what_was_deleted_is_gone_and_the_rest_stays(site: Site) -> None:
    await site.area(secret="gone-marker")
    await site.area("1" + NAME[1:], other="live-marker")
    await site.engine.submit(DeleteArea(actor="a", name=NAME))
    assert site.found(b"gone-marker")
    assert await site.erase() == 1
    assert site.found(b"gone-marker") == []
    assert site.found(b"live-marker") == ["record 2"]
    assert await site.erase() == 0


async def test_an_overwritten_text_goes_once_the_area_is_restated(site: Site) -> None:
    await site.area(first="old-marker", second="kept")
    await site.update(first="new")
    before = await site.engine.read(lambda state, now: areas.listing(state.areas, NAME, None, now))
    assert await site.erase(0) == 2
    assert site.found(b"old-marker") == []
    assert await site.engine.read(lambda state, now: areas.listing(state.areas, NAME, None, now)) == before


async def test_a_replaced_file_goes_without_restating(site: Site) -> None:
    await site.area(text="t", file=NewFile("f", "a/b", small(b"old-marker")))
    await site.update(file=NewFile("g", "a/b", small(b"new-marker")))
    assert await site.erase() == 1
    assert site.found(b"old-marker") == []
    assert len(site.found(b"new-marker")) == 1
    assert site.engine.state.seq == 5


async def test_details_go_with_the_audit_period_and_content_that_lives_stays(site: Site) -> None:
    await site.area(
        "name-marker", text="text-marker", file=NewFile("file-marker", "a/b", small(b"body-marker"))
    )
    await site.area("gone-marker", text="x")
    await site.engine.submit(DeleteArea(actor="actor-marker", name="gone-marker"))
    await site.erase()
    assert site.found(b"actor-marker")
    await site.erase(31 * 24)
    assert site.found(b"actor-marker") == []
    assert site.found(b"gone-marker") == []
    for marker in (b"text-marker", b"file-marker", b"body-marker"):
        assert len(site.found(marker)) == 1
    [file] = [
        value
        for key, value in await site.engine.read(
            lambda state, now: areas.listing(state.areas, "name-marker", None, now)
        )
        if key == "file"
    ]
    download = await site.engine.open_body(file.body)
    assert await download.read() == b"body-marker"


async def test_history_of_settings_is_kept_for_its_period_and_no_longer(site: Site) -> None:
    await site.put({"c": {"p": "first-marker"}})
    await site.put({"p": "second-marker"}, ("c",))
    await site.erase(24)
    assert site.found(b"first-marker")
    await site.erase(10 * 24)
    assert site.found(b"first-marker") == []
    assert len(site.found(b"second-marker")) == 1


async def test_a_deleted_document_takes_its_history_along(site: Site) -> None:
    await site.put({"c": {"p": "first-marker"}})
    await site.put({"d": {"p": "second-marker"}})
    await site.engine.submit(
        DeleteValue(actor="a", asker=ASKER, place=PLACE, path=(), policy=SettingsPolicy(), resource=bytes(16))
    )
    assert await site.erase() == 2
    assert site.found(b"marker") == []


async def test_a_snapshot_from_before_is_replaced(site: Site) -> None:
    await site.area(secret="gone-marker")
    await site.engine.take_snapshot()
    assert "snapshot-0000000000000001.msgpack" in site.found(b"gone-marker")
    await site.engine.submit(DeleteArea(actor="a", name=NAME))
    await site.erase()
    assert site.found(b"gone-marker") == []
    assert any(name.startswith("snapshot-") for name in site.disk.names(""))


async def test_a_blob_of_blocks_is_restated_block_by_block(site: Site) -> None:
    where = {"actor": "a", "account": "acc", "container": "box"}
    await site.engine.submit(CreateContainer(**where, resource=site.engine.entropy(16)))
    for number in (b"1", b"2"):
        await site.engine.submit(
            StageBlock(
                **where,
                name="b",
                resource=site.engine.entropy(16),
                block_id=number,
                body=small(b"block-" + number),
            )
        )
    await site.engine.submit(
        CommitBlocks(
            **where,
            name="b",
            resource=site.engine.entropy(16),
            blocks=((BlockSource.LATEST, b"1"), (BlockSource.LATEST, b"2")),
            headers=ContentHeaders(),
            md5=None,
            metadata=(("k", "old-marker"),),
            tags=(),
            tier=None,
        )
    )
    await site.engine.submit(SetBlobMetadata(**where, name="b", metadata=(("k", "new"),)))
    await site.erase()
    assert site.found(b"old-marker") == []
    assert len(site.found(b"block-1")) == 1
    await site.erase(31 * 24)
    assert len(site.found(b"block-2")) == 0  # 30 days after its last write


async def test_nothing_is_erased_by_a_clock_in_doubt_but_what_was_due_before(site: Site) -> None:
    await site.area(secret="marker")
    await site.area("1" + NAME[1:], ttl=3600, secret="due-by-the-jump")
    await site.engine.submit(DeleteArea(actor="a", name=NAME))
    site.clock.step(10 * 3600)
    assert await site.engine.sweep() == 0
    assert await site.engine.erase_due() == 1
    assert not site.found(b"marker")
    assert site.found(b"due-by-the-jump")
    site.clock.advance(600)
    await site.erase(0)
    assert not site.found(b"due-by-the-jump")


async def test_how_far_erasing_lags_behind_is_told(site: Site) -> None:
    await site.area(secret="marker")
    await site.engine.submit(DeleteArea(actor="a", name=NAME))
    site.clock.advance(7200)
    assert site.engine.statistics().erasure_lag_ns == 2 * HOUR
    assert site.engine.statistics().to_erase == 1
    await site.erase(0)
    assert site.engine.statistics().erasure_lag_ns == 0


async def test_what_a_hold_keeps_stays_and_is_not_late(site: Site) -> None:
    where = {"actor": "a", "account": "acc", "container": "box"}
    await site.engine.submit(CreateContainer(**where, resource=site.engine.entropy(16)))
    await site.put_blob("b", b"old-marker")
    await site.put_blob("b", b"new")
    held = await site.engine.submit(
        SetHold(actor="a", hold_id=bytes(16), kind=HoldKind.CONTAINER, names=("acc", "box"), reason="case 7")
    )
    await site.area(secret="gone-marker")
    await site.engine.submit(DeleteArea(actor="a", name=NAME))
    assert await site.erase() == 1
    await site.erase(40 * 24)
    assert site.found(b"old-marker")
    assert site.engine.statistics().erasure_lag_ns == 0
    assert site.engine.statistics().to_erase == 3, "what was restated for the audit stays as well"
    await site.engine.submit(LiftHold(actor="a", hold_id=held.hold_id))
    await site.erase()
    assert site.found(b"old-marker") == []
    assert site.found(b"new") == [], "its retention had ended meanwhile"
    assert site.found(b"box"), "names of what just ended are kept for the audit period"
    await site.erase(31 * 24)
    assert site.found(b'"b"') == []


async def test_a_long_chain_is_restated_although_nothing_in_it_is_dead(site: Site) -> None:
    where = {"actor": "a", "account": "acc", "container": "box"}
    await site.engine.submit(CreateContainer(**where, resource=site.engine.entropy(16)))
    await site.put_blob("b", b"body")
    for number in range(300):
        await site.engine.submit(SetBlobTags(**where, name="b", tags=(("t", str(number)),)))
    assert len(site.engine.state.records.long_chains) == 1
    await site.erase()
    assert site.engine.state.records.long_chains == {}
    assert max(map(len, chain_rows(site.engine.state.records).values())) == 1


async def test_the_eraser_works_by_itself_and_survives_a_full_disk(
    mock_clock: trio.testing.MockClock,
) -> None:
    disk = MemoryDisk()
    options = Options(history_days=10, audit_days=30)
    async with open_engine(disk, clock=ManualClock(), options=options) as engine:
        site = Site(engine, disk, SteppedClock())
        await site.area(secret="gone-marker")
        await engine.submit(DeleteArea(actor="a", name=NAME))
        fail_next(disk, "allocate", error=errno.ENOSPC)
        await pass_time(engine, mock_clock, 20)
        disk.before_each = None
        await pass_time(engine, mock_clock, 20)
        assert site.found(b"gone-marker") == []


async def test_without_room_for_a_newer_snapshot_there_is_none(site: Site) -> None:
    await site.area(secret="gone-marker")
    await site.engine.take_snapshot()
    await site.engine.submit(DeleteArea(actor="a", name=NAME))
    fail_next(site.disk, "create", "snapshot", errno.ENOSPC)
    await site.erase()
    assert not [name for name in site.disk.names("") if name.startswith("snapshot-")]


async def test_a_body_that_is_erased_while_it_is_restated_ends_the_attempt(site: Site) -> None:
    where = {"actor": "a", "account": "acc", "container": "box"}
    await site.engine.submit(CreateContainer(**where, resource=site.engine.entropy(16)))
    await site.put_blob("b", b"body")
    await site.engine.erase([(2, Part.CONTENT)], Cause.ERASURE_REQUEST)
    state = site.engine.state
    [(resource, _)] = [
        row for row in state.records.chains.items() if chain_rows(state.records)[row[0]] == (2,)
    ]
    await site.engine._eraser.restate([(("blob", "acc", "box", "b"), resource)])
    assert chain_rows(state.records)[resource] == (2,)
    await site.engine.submit(DeleteBlob(**where, name="b"))


async def test_content_that_cannot_be_read_ends_a_round_and_not_the_engine(site: Site) -> None:
    """Restatements run in tasks: their errors reach the eraser as they are, not in a group."""
    where = {"actor": "a", "account": "acc", "container": "box"}
    await site.engine.submit(CreateContainer(**where, resource=site.engine.entropy(16)))
    await site.put_blob("b", b"body")
    [(resource, _)] = [row for row in chain_rows(site.engine.state.records).items() if row[1] == (2,)]
    site.disk.count_reads = True
    fail_next(site.disk, "pread", error=errno.EIO)
    with pytest.raises((OSError, EngineError, JournalError)):
        await site.engine._eraser.restate([(("blob", "acc", "box", "b"), resource)], 9)
    await site.engine._eraser.restate([(("blob", "acc", "box", "b"), resource)], 9)


async def test_torn_tails_that_were_kept_are_discarded_after_an_hour(site: Site) -> None:
    await site.area(secret="x")
    [segment] = [name for name in site.disk.names("journal") if name.endswith(".journal")]
    with site.disk.open(f"journal/{segment}.00000400.broken", create=True) as file:
        file.pwrite(0, b"torn")
    await site.engine._eraser.turn()
    assert broken_files(site.disk)
    site.clock.advance(3600)
    await site.engine._eraser.turn()
    assert broken_files(site.disk) == []


async def test_space_of_what_was_erased_comes_back(tmp_path: Path) -> None:
    clock = SteppedClock()
    options = Options(sweep_interval_s=3600.0, segment_bytes=1 << 20, history_days=10, audit_days=30)
    async with open_engine(tmp_path, clock=clock, options=options) as engine:
        for number in range(60):
            body = small(number.to_bytes(4, "big") * 10_000)
            values = {"f": NewFile("f", "a/b", body)}
            await engine.submit(
                CreateArea(actor="a", name=f"n{number}", resource=engine.entropy(16), values=values, ttl=60)
            )
        size = sealed_bytes(tmp_path)
        clock.advance(3600)
        await engine.sweep()
        await engine.erase_due()
        await verify(engine)
        after = sealed_bytes(tmp_path)
    assert size > 1 << 20
    assert after < size // 10


def sealed_bytes(folder: Path) -> int:
    """Of the segments that are full: the last one has room ahead."""
    return sum(path.stat().st_size for path in sorted((folder / "journal").glob("*.journal"))[:-1])


async def test_a_failing_disk_ends_a_restatement(site: Site) -> None:
    await site.area(first="old", second="kept")
    await site.update(first="new")
    fail_next(site.disk, "sync")
    with pytest.raises(StorageFailed):
        await site.engine.erase_due()
    with pytest.raises(StorageFailed):
        await site.engine.erase_due()


async def test_a_document_that_is_patched_all_day_is_restated_once_in_a_while(site: Site) -> None:
    await site.put({"c": {"p": "0"}})
    for number in range(LONG_CHAIN + 5):
        await site.put({"p": str(number)}, ("c",))
    assert len(site.engine.state.records.long_chains) == 1
    await site.erase()
    assert site.engine.state.records.long_chains == {}
    assert site.engine.statistics().to_erase == LONG_CHAIN + 6, "history"
    await site.erase(10 * 24)
    assert site.engine.statistics().to_erase == 0
