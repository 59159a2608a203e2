"""Payloads in a store: there when they are complete, read from there, and all else in the data folder."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Thread

import pytest

from retain.journal.disk.objects import ObjectDisk, StoredObjects
from retain.journal.disk.real import RealDisk
from retain.journal.errors import Corrupt, WriteFailed
from retain.journal.payloads.store import CHUNK_BYTES, Payload, PayloadStore

pytest.importorskip("obstore", reason="obstore is not installed: pip install 'retain[cluster]'")

DATA = Random(1).randbytes(2 * CHUNK_BYTES + 7)


@pytest.fixture
def disk(tmp_path: Path) -> ObjectDisk:
    return ObjectDisk(tmp_path / "data", StoredObjects.at((tmp_path / "store").as_uri()))


def sealed(disk: RealDisk, data: bytes = DATA) -> Payload:
    stage = PayloadStore(disk).stage()
    stage.write(data)
    return stage.seal()


def test_another_node_reads_what_one_sealed(disk: ObjectDisk, tmp_path: Path) -> None:
    payload = sealed(disk)
    other = PayloadStore(ObjectDisk(tmp_path / "other", StoredObjects.at((tmp_path / "store").as_uri())))
    with other.open(payload) as reader:
        assert reader.read(0, len(DATA)) == DATA
        assert reader.read(CHUNK_BYTES - 3, 9) == DATA[CHUNK_BYTES - 3 : CHUNK_BYTES + 6]
    assert other.names() == disk.payloads() == [payload.name]
    assert PayloadStore(RealDisk(disk.path)).names() == []
    assert disk.names("payloads/staging") == []


def test_nothing_is_in_the_store_before_it_is_sealed(disk: ObjectDisk) -> None:
    stage = PayloadStore(disk).stage()
    stage.write(DATA)
    assert disk.payloads() == []
    stage.discard()
    assert disk.payloads() == disk.names("payloads/staging") == []


def test_what_was_removed_is_gone_for_every_node(disk: ObjectDisk) -> None:
    store, payload = PayloadStore(disk), sealed(disk)
    assert store.unlink(payload.name)
    assert not store.unlink(payload.name)
    with pytest.raises(Corrupt, match="missing"):
        store.open(payload)


def test_a_store_that_refuses_fails_the_one_payload(disk: ObjectDisk, tmp_path: Path) -> None:
    stage = PayloadStore(disk).stage()
    stage.write(DATA)
    (tmp_path / "store").rmdir()
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(WriteFailed, match="could not be written"):
        stage.seal()
    stage.discard()
    assert disk.names("payloads/staging") == []


def test_the_payloads_of_a_folder_that_stood_alone_move_into_the_store(disk: ObjectDisk) -> None:
    alone = RealDisk(disk.path)
    payloads = [sealed(alone, DATA[:size]) for size in (1, CHUNK_BYTES, len(DATA))]
    assert disk.take_in() == 3
    assert disk.take_in() == 0
    assert PayloadStore(alone).names() == []
    for payload in payloads:
        with PayloadStore(disk).open(payload) as reader:
            assert reader.read(0, payload.size) == DATA[: payload.size]


def test_of_a_restored_backup_only_what_the_store_has_is_dropped(disk: ObjectDisk, tmp_path: Path) -> None:
    alone = RealDisk(disk.path)
    there, only_here = sealed(alone), sealed(alone)
    elsewhere = ObjectDisk(tmp_path / "first", disk.objects)
    elsewhere.make_folder("payloads/staging")
    name = f"payloads/{there.name[:2]}/{there.name[2:4]}/{there.name}"
    disk.objects.put(name.removeprefix("payloads/"), alone.read(name))
    stage = PayloadStore(disk).stage()
    stage.write(DATA)
    assert disk.drop_copies() == 1
    assert disk.names("payloads/staging") == []
    assert PayloadStore(alone).names() == [only_here.name]


class Bucket(BaseHTTPRequestHandler):
    """What answers a PUT of S3, and no other request."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an S3 bucket behind plain HTTP."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Bucket) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_REGION", "eu-central-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        monkeypatch.delenv("AWS_ALLOW_HTTP", raising=False)
        yield "s3://bucket/prefix"
        server.shutdown()


def test_a_store_without_tls_is_used_if_the_environment_allows_it(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match="the object store refused"):
        StoredObjects.at(bucket).put("a", b"x")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    StoredObjects.at(bucket).put("a", b"x")


@pytest.mark.parametrize("url", ["s3://", "nowhere://x"])
def test_a_url_of_no_store_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        StoredObjects.at(url)
