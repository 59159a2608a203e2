"""Everything that is kept about a person: bodies whole, wherever they lie, and what no client sees."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from retain import journal
from retain.engine import Cause, Inline
from retain.engine.areas import CreateArea, DeleteArea, NewFile, UpdateArea
from retain.engine.audit.dossier import CHUNK, HIDDEN, Attachment, Dossier
from retain.engine.blobs.commands import BlockSource, CommitBlocks, DeleteBlob, SetBlobMetadata
from retain.engine.blobs.container_commands import DeleteContainer
from retain.engine.blobs.entries import ContentHeaders
from retain.engine.core.pattern import Pattern
from retain.engine.persons.end import ENDED
from retain.engine.persons.find import Selection, remains
from retain.engine.settings import DeleteValue, PutValue
from retain.engine.testing import SteppedClock, open_memory_engine
from tests.engine.persons.test_find import ANN, QUIET, Store

BIG = bytes(range(256)) * (CHUNK // 200)


class Kept(Store):
    """A store with the contents of a dossier."""

    def dossier(self, **asked: Any) -> Dossier:
        return Dossier(self.engine.disk, Selection(**asked), self.engine.now())

    def facts(self, **asked: Any) -> list[dict[str, Any]]:
        return [entry.facts for entry in self.dossier(**asked).entries()]

    def files(self, **asked: Any) -> dict[str, bytes]:
        return {file.name: read(file) for entry in self.dossier(**asked).entries() for file in entry.files}

    async def large(self, name: str, user: str) -> None:
        """An area with a file in a payload file."""
        async with self.engine.upload() as upload:
            for start in range(0, len(BIG), CHUNK):
                await upload.write(BIG[start : start + CHUNK])
            file = NewFile("", "video/mp4", await upload.finish())
            await self.engine.submit(
                CreateArea(
                    actor="x",
                    name=name,
                    user=user,
                    resource=self.engine.entropy(16),
                    values={"film": file},
                    ttl=60,
                )
            )

    def where(self, name: str) -> dict[str, Any]:
        return {"actor": "sas", "account": "mytenant", "container": "recordings", "name": name}


def read(file: Attachment) -> bytes:
    data = b"".join(file.chunks())
    assert len(data) == file.size
    return data


@pytest.fixture
async def kept() -> AsyncIterator[tuple[Kept, SteppedClock]]:
    clock = SteppedClock()
    async with open_memory_engine(clock=clock, options=QUIET) as engine:
        kept = Kept(engine)
        await kept.container()
        yield kept, clock


Fixture = tuple[Kept, SteppedClock]


async def test_a_large_body_is_read_from_its_file(kept: Fixture) -> None:
    store, _ = kept
    await store.large("cart", "bob")
    assert store.files(customers=frozenset({"bob"})) == {"film": BIG}


async def test_what_is_past_its_deadline_is_told_as_hidden(kept: Fixture) -> None:
    store, clock = kept
    await store.large("cart", "bob")
    clock.advance(61)
    (facts,) = store.facts(customers=frozenset({"bob"}))
    assert (facts["status"], facts["present"]) == (HIDDEN, None)
    assert store.files(customers=frozenset({"bob"})) == {"film": BIG}


async def test_a_file_that_went_with_its_deletion_is_not_promised(kept: Fixture) -> None:
    store, _ = kept
    await store.large("cart", "bob")
    await store.engine.submit(DeleteArea(actor="x", name="cart", user="bob"))
    assert list(store.files(customers=frozenset({"bob"}))) == ["record-3"], "until it is removed"
    await store.engine.sweep()
    (facts,) = store.facts(customers=frozenset({"bob"}))
    assert (facts["status"], facts["files"]) == (ENDED, [])


async def test_a_blob_of_blocks_is_one_file(kept: Fixture) -> None:
    store, _ = kept
    for _ in range(2):
        await store.block("film")
    await store.engine.submit(
        CommitBlocks(
            **store.where("film"),
            resource=bytes(16),
            blocks=((BlockSource.LATEST, b"1"), (BlockSource.LATEST, b"1")),
            headers=ContentHeaders(),
            md5=None,
        )
    )
    await store.block("film")
    await store.block("other")
    assert store.files(tenants=frozenset({"mytenant"})) == {
        "film": b"block" * 2,
        "film.block-31": b"block",
        "record-2": b"block",
        "other.block-31": b"block",
    }
    await store.engine.submit(DeleteBlob(**store.where("film")))
    found = {one["name"]: one["status"] for one in store.facts(tenants=frozenset({"mytenant"}))}
    assert found == {"mytenant/recordings/film": ENDED, "mytenant/recordings/other": HIDDEN}
    where = {name: value for name, value in store.where("film").items() if name != "name"}
    await store.engine.submit(DeleteContainer(**where))
    assert {one["status"] for one in store.facts(tenants=frozenset({"mytenant"}))} == {ENDED}


async def test_an_empty_body_needs_no_record(kept: Fixture) -> None:
    store, _ = kept
    empty = NewFile("empty.txt", "text/plain", Inline(b"", bytes(16)))
    await store.engine.submit(
        CreateArea(actor="x", name="cart", user="bob", resource=b"\1" * 16, values={"file": empty}, ttl=60)
    )
    assert store.files(customers=frozenset({"bob"})) == {"empty.txt": b""}


async def test_what_is_erased_while_it_is_read_is_told(kept: Fixture) -> None:
    store, _ = kept
    await store.area("cart", "bob")
    await store.large("film", "bob")
    entries = list(store.dossier(customers=frozenset({"bob"})).entries())
    (file,) = entries[0].files
    broken = Attachment(file.name, file.size, store.dossier()._attached("x", _on_disk(store), {}).chunks)
    with pytest.raises(journal.Corrupt):
        read(broken)
    await store.engine.submit(DeleteArea(actor="x", name="film", user="bob"))
    await store.engine.sweep()
    (film,) = entries[1].files
    with pytest.raises(journal.Corrupt):
        read(film)


def _on_disk(store: Kept) -> Any:
    return store.engine.state.areas.areas["\0bob\0cart"][3][1].body  # type: ignore[union-attr]


async def test_earlier_values_come_with_their_records(kept: Fixture) -> None:
    store, clock = kept
    await store.area("cart", "bob")
    clock.advance(500)
    values = {"note": "later"}
    update = UpdateArea(actor="x", name="cart", user="bob", resource=bytes(16), values=values, ttl=1000)
    await store.engine.submit(update)
    clock.advance(600)
    await store.engine.sweep()
    await store.engine.erase_due()
    await store.blob("call.opus", metadata=(("case", "7"),))
    change = SetBlobMetadata(**store.where("call.opus"), metadata=(("case", "8"),))
    await store.engine.submit(change)
    area, blob = store.facts(customers=frozenset({"bob"}), tenants=frozenset({"mytenant"}))
    assert {"note": "later"} in [line.get("values") for line in area["history"]]
    assert [line["event"] for line in area["history"]][-1] == "area-restated"
    assert [line["metadata"] for line in blob["history"]] == [{"case": "7"}, {"case": "8"}]


async def test_documents_come_with_their_versions(kept: Fixture) -> None:
    store, _ = kept
    await store.document(ANN, PutValue, {"theme": {"dark": True}})
    await store.document(ANN, DeleteValue)
    (facts,) = store.facts(users=frozenset({"ann"}))
    assert facts["status"] == ENDED
    assert [version["document"] for version in facts["versions"]] == [{"theme": {"dark": True}}, None]
    await store.engine.erase(
        remains(store.engine.disk, [bytes.fromhex(facts["resource"])]), Cause.ERASURE_REQUEST
    )
    (facts,) = store.facts(users=frozenset({"ann"}))
    assert facts["history"][0]["erased"] == ["content"]
    assert [version["document"] for version in facts["versions"]] == [None]


async def test_what_a_person_did_is_told_wherever(kept: Fixture) -> None:
    store, _ = kept
    await store.area("cart", "carol", actor="user:ann")
    await store.area("other", "carol", actor="cli:eve")
    assert [line["name"] for line in store.dossier(users=frozenset({"ann"})).actions()] == ["carol/cart"] * 2
    both = store.dossier(users=frozenset({"ann"}), actors=frozenset({Pattern("cli:*"), "*:eve"}))
    assert [line["actor"] for line in both.actions()] == ["user:ann"] * 2 + ["cli:eve"] * 2
