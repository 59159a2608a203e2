"""A payload file that is gone although live state stands on it: told after the start, and never a fault."""

from __future__ import annotations

import errno
import logging
from typing import NoReturn

import pytest

from retain.engine import NotFound
from retain.engine.testing import open_memory_engine
from retain.journal.payloads.file import payload_path
from tests.kit.areas import FilePart, areas_client

DATA = bytes(300_000)


async def test_a_lost_file_is_not_found_in_the_interface_s_own_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with areas_client() as client:
        name = await client.create({"f": FilePart(DATA), "k": "v"})
        [file] = client.payload_files()
        client.disk.unlink(payload_path(file))
        with caplog.at_level(logging.ERROR, "retain.engine"):
            answer = await client.get(f"/binary/{name}/f")
        assert answer.status == 404
        assert set(answer.json()) == {"exception", "message"}
        assert [record.getMessage() for record in caplog.records] == ["content lost"]
        assert (await client.get(f"/{name}/k")).body == b"v"
        assert (await client.delete(f"/{name}")).status == 200


async def test_a_search_after_the_start_names_what_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    async with areas_client() as client:
        name = await client.create({"f": FilePart(DATA), "g": FilePart(DATA + b"x")})
        lost, _kept = client.payload_files()
        client.disk.unlink(payload_path(lost))
    async with open_memory_engine(client.disk, clock=client.clock) as engine:
        with caplog.at_level(logging.ERROR, "retain.engine"):
            assert await engine.sweep_orphans() == []
        [record] = caplog.records
        assert record.getMessage() == "payload files missing"
        assert record.__dict__["facts"]["first"] == lost
        assert engine.statistics().payloads_lost == 1
        area = engine.state.areas.areas[name]
        for value in area[3]:
            if value.body.name in lost:  # type: ignore[union-attr]
                with pytest.raises(NotFound) as caught:
                    await engine.open_body(value.body)  # type: ignore[union-attr]
                assert caught.value.reason == "lost"


async def test_a_store_that_does_not_answer_is_a_shortage_until_it_does(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with areas_client() as client:
        name = await client.create({"f": FilePart(DATA), "k": "v"})
        [file] = client.payload_files()

        open_file = client.disk.open

        def silent(*arguments: object) -> NoReturn:
            raise OSError(errno.EHOSTDOWN, "the object store refused: no route")

        def open_unless_sealed(path: str, **options: bool) -> object:
            return silent() if path == payload_path(file) else open_file(path, **options)

        with caplog.at_level(logging.WARNING, "retain.engine"), monkeypatch.context() as patched:
            patched.setattr(client.disk, "open", open_unless_sealed)
            patched.setattr(client.disk, "replace", silent)
            for answer in (
                await client.get(f"/binary/{name}/f"),
                await client.post("/3600", {"f": FilePart(DATA)}),
            ):
                assert (answer.status, answer.headers.get("Retry-After")) == (503, "1")
                assert "the store of large content does not answer" in answer.json()["message"]
            assert (await client.get(f"/{name}/k")).body == b"v"
        [record] = caplog.records
        assert (record.getMessage(), record.__dict__["facts"]["of"]) == ("resource shortage", "store")
        assert (await client.get(f"/binary/{name}/f")).body == DATA
        assert client.payload_files() == [file]
