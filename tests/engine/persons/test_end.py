"""Random histories over all domains, erased again and again: what clients see never changes by it, replay
over the holes gives the live state, and at the end nothing of what is gone is left, wherever the power was
cut.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from retain.engine import EngineError, open_engine, wire
from retain.engine.areas import CreateArea, DeleteArea, NewFile, UpdateArea
from retain.engine.areas.state import AreaFile
from retain.engine.blobs import expiry
from retain.engine.blobs.commands import (
    BlockSource,
    CommitBlocks,
    DeleteBlob,
    LeaseBlob,
    PutBlob,
    SetBlobHeaders,
    SetBlobMetadata,
    SetBlobTags,
    StageBlock,
)
from retain.engine.blobs.container_commands import (
    ConfigureRetention,
    CreateContainer,
    DeleteContainer,
    RemoveAccount,
    SetContainerMetadata,
    SetContainerRetention,
    SetServiceProperties,
)
from retain.engine.blobs.entries import BlobEntry, Composite, ContentHeaders
from retain.engine.blobs.leases import LeaseAction, LeaseRequest
from retain.engine.core.body import Inline, OnDisk, StoredBody
from retain.engine.core.command import Command
from retain.engine.core.time import DAY
from retain.engine.engine import Engine
from retain.engine.settings import Asker, DeleteValue, MergeValue, Place, PutValue, SettingsPolicy
from retain.engine.settings import EncodedValue as Json
from retain.engine.testing import SteppedClock, verify
from retain.engine.tokens import IssueTokens, RecordKeyRotation, RevokeTokens, TokenGrant
from retain.journal import Verb, scan
from retain.journal.testing.memory import DiskOperation, MemoryDisk
from tests.kit.crash import SCALE
from tests.kit.engines import LightOptions, SmallOptions
from tests.kit.slices import chain_rows, inline

AREAS = ("00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-000000000001")
ASKER = Asker("ann", admin=True)
POLICY = SettingsPolicy(put_creates=True)


class Life:
    """Random commands about few names, so that they meet."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.tokens: list[bytes] = []

    def command(self, now: int) -> Command[Any]:
        """The next one; it may well be refused."""
        kinds: list[Callable[[int], Command[Any]]] = [self.areas, self.settings, self.blobs, self.tokens_]
        return self.random.choices(kinds, (4, 3, 8, 2))[0](now)

    def areas(self, _now: int) -> Command[Any]:
        pick = self.random
        name = pick.choice(AREAS)
        keys = pick.sample(["a", "b", "c"], pick.randint(0, 3))
        values = {key: pick.choice([self.text(), self.file()]) for key in keys}
        if pick.random() < 0.2:
            return DeleteArea(actor="user", name=name)
        kind = pick.choice([CreateArea, UpdateArea])
        return kind(
            actor="user", name=name, resource=pick.randbytes(16), values=values, ttl=pick.choice([60, 10**7])
        )

    def text(self) -> str:
        return f"text-{self.random.getrandbits(32):08x}"

    def file(self) -> NewFile:
        return NewFile("f", "a/b", inline(self.text().encode()))

    def settings(self, _now: int) -> Command[Any]:
        pick = self.random
        facts = {
            "actor": "user",
            "asker": ASKER,
            "place": Place("app", 0),
            "policy": POLICY,
            "resource": pick.randbytes(16),
        }
        path = pick.choice([(), ("c",), ("d",)])
        value = {pick.choice("pq"): self.text()}
        if not path:
            value = {pick.choice("cd"): value}
        if pick.random() < 0.2:
            return DeleteValue(path=path, **facts)
        return pick.choice([PutValue, MergeValue])(path=path, body=Json.of(value), **facts)

    def blobs(self, _now: int) -> Command[Any]:
        pick = self.random
        where: dict[str, Any] = {"actor": "user", "account": "acc", "container": pick.choice("xy")}
        blob = {**where, "name": pick.choice("ab"), "resource": pick.randbytes(16)}
        written: dict[str, Any] = {
            "headers": ContentHeaders(),
            "md5": None,
            "metadata": (("k", self.text()),),
            "tags": (("t", pick.choice("uv")),),
        }
        metadata = (("m", self.text()),)
        ids = [b"1", b"2", b"3"]
        lists = tuple(
            (pick.choice(list(BlockSource)), block) for block in pick.sample(ids, pick.randint(0, 3))
        )
        named = {key: value for key, value in blob.items() if key != "resource"}
        choices: list[tuple[int, Callable[[], Command[Any]]]] = [
            (
                3,
                lambda: CreateContainer(**where, resource=pick.randbytes(16), metadata=(("m", self.text()),)),
            ),
            (1, lambda: DeleteContainer(**where)),
            (3, lambda: SetContainerMetadata(**where, metadata=metadata)),
            (1, lambda: SetContainerRetention(**where, days=pick.choice([5, 60, 0]))),
            (
                1,
                lambda: ConfigureRetention(
                    actor="user", resource=pick.randbytes(16), days=pick.choice([20, 45])
                ),
            ),
            (
                1,
                lambda: SetServiceProperties(
                    actor="user", account="acc", resource=pick.randbytes(16), document={"v": self.text()}
                ),
            ),
            (0.2, lambda: RemoveAccount(actor="user", account="acc")),
            (5, lambda: PutBlob(**blob, body=inline(self.text().encode()), **written)),
            (10, lambda: StageBlock(**blob, block_id=pick.choice(ids), body=inline(self.text().encode()))),
            (8, lambda: CommitBlocks(**blob, blocks=lists, tier=None, **written)),
            (3, lambda: SetBlobMetadata(**named, metadata=(("k", self.text()),))),
            (2, lambda: SetBlobTags(**named, tags=(("t", pick.choice("uv")),))),
            (2, lambda: SetBlobHeaders(**named, headers=ContentHeaders("a/b"), md5=pick.randbytes(16))),
            (1, lambda: LeaseBlob(**named, request=LeaseRequest(LeaseAction.ACQUIRE, "i" * 36, 15))),
            (2, lambda: DeleteBlob(**named)),
        ]
        return pick.choices([make for _, make in choices], [weight for weight, _ in choices])[0]()

    def tokens_(self, now: int) -> Command[Any]:
        pick = self.random
        roll = pick.random()
        if self.tokens and roll < 0.2:
            return RevokeTokens(actor="user", account="acc", token_ids=(pick.choice(self.tokens),))
        if roll < 0.3:
            return RecordKeyRotation(actor="user", account="acc", key=1, resource=pick.randbytes(16))
        self.tokens.append(pick.randbytes(16))
        grant = TokenGrant(self.tokens[-1], pick.choice([None, "x"]), "r", now, now + 300 * DAY, None)
        if grant.container:
            grant = grant._replace(policy_id=self.text())
        return IssueTokens(actor="user", account="acc", grants=(grant,))


async def seen(engine: Engine) -> Any:
    """All that a client can find out, bodies included, and nothing of where it lies."""
    state = engine.state

    async def body(held: StoredBody) -> bytes:
        if isinstance(held, OnDisk):
            return await (await engine.open_body(held)).read()
        assert isinstance(held, Inline)
        return held.data

    async def value(one: Any) -> Any:
        return (one.filename, one.media_type, await body(one.body)) if isinstance(one, AreaFile) else one

    async def blob(entry: BlobEntry) -> Any:
        if isinstance(entry.body, Composite):
            data: Any = [(block.block_id, await body(block.body)) for block in entry.body.blocks]
        else:
            data = await body(entry.body)
        return entry._replace(seq=0, metadata_seq=0, body=data)

    areas = {
        key: (area[:3], [await value(one) for one in area[3]], area[4])
        for key, area in state.areas.areas.items()
    }
    containers = {
        (container.account, container.name): (
            container.entry,
            container.lifetime,
            {name: await blob(entry) for name, entry in container.blobs.items()},
            dict(container.pending),
            {key: await body(block.body) for key, block in container.staged.items()},
        )
        for container in state.blobs.containers()
    }
    services = {account: document for account, (_, document) in state.blobs.services.items()}
    tokens = dict(state.tokens.records)
    return areas, dict(state.settings.documents), containers, services, tokens, state.blobs.default_days


OPTIONS = LightOptions(
    sweep_interval_s=3600.0, segment_bytes=1 << 20, history_days=10.0, audit_days=40.0, snapshot_records=0
)


@pytest.mark.parametrize(("seed", "freed"), [*((seed, 500) for seed in range(3 * SCALE)), (8, 1)])
async def test_erasing_changes_nothing_that_anybody_sees(
    monkeypatch: pytest.MonkeyPatch, seed: int, freed: int
) -> None:
    monkeypatch.setattr(expiry, "FREED", freed)
    life = Life(seed)
    clock = SteppedClock()
    disk = MemoryDisk()
    for _session in range(3):
        async with open_engine(disk, clock=clock, options=OPTIONS) as engine:
            for _ in range(6):
                for _ in range(25):
                    clock.advance(life.random.choice([1, 3600, 30 * 3600]))
                    with suppress(EngineError):
                        await engine.submit(life.command(engine.now()))
                await engine.sweep()
                before = await seen(engine)
                await engine.erase_due()
                assert await seen(engine) == before
                await verify(engine)
                due_is_gone(engine, disk)
            digest = engine.state.digest()
        async with open_engine(disk, clock=clock, options=OPTIONS) as engine:
            assert engine.state.digest() == digest, "the snapshot differs"
            assert await seen(engine) == before
        for name in disk.names(""):
            if name.startswith("snapshot-") and life.random.random() < 0.5:
                disk.unlink(name)


def due_is_gone(engine: Engine, disk: MemoryDisk) -> None:
    """Assert that all content left is referenced or history, and that records older than the audit period
    name nobody."""
    state = engine.state
    standing = {seq for chain in chain_rows(state.records).values() for seq in chain}
    audited = engine.now() - 40 * DAY
    for record in scan(disk):
        header = record.header
        event = wire.from_record(record) if header.verb < Verb.ERASE else None
        apart = (
            event is not None
            and bool(event.locator())
            and (header.seq in state.restaters[event.locator()[0]].apart(event.locator(), header.resource))
        )
        needed = header.seq in standing or apart
        if header.verb >= Verb.ERASE or needed or state.records.waits(header.seq):
            assert not needed or header.time > audited or not event.locator() or apart, record
            continue
        assert not record.content, record
        assert header.time > audited or not record.details, record


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2 * SCALE))
async def test_a_power_cut_at_any_moment_of_an_erasure_is_made_up_for(seed: int) -> None:
    life = Life(seed)
    clock = SteppedClock()
    disk = MemoryDisk()
    options = SmallOptions(history_days=10.0, audit_days=40.0, erase_interval_s=3600.0)
    cuts: list[MemoryDisk] = []
    async with open_engine(disk, clock=clock, options=options) as engine:
        for _ in range(60):
            clock.advance(life.random.choice([1, 3600, 30 * 3600]))
            with suppress(EngineError):
                await engine.submit(life.command(engine.now()))
        await engine.sweep()
        before = await seen(engine)

        def cut(operation: DiskOperation) -> None:
            mode = life.random.choice(["none", "all", "random"])
            cuts.append(disk.crash(mode, life.random))  # type: ignore[arg-type]

        disk.before_each = cut
        await engine.erase_due()
        disk.before_each = None
    assert len(cuts) > 20
    for left in life.random.sample(cuts, min(len(cuts), 60 * SCALE)):
        async with open_engine(left, clock=clock, options=options) as engine:
            assert await seen(engine) == before
            await engine.erase_due()
            assert await seen(engine) == before
            await verify(engine)
            due_is_gone(engine, left)
