"""azure-storage-blob moves bytes with its own defaults: one shot, in blocks, in ranges, checked, retried."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO

import pytest
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.core.rest import HttpRequest, HttpResponse
from azure.storage.blob import (
    BlobBlock,
    ContainerClient,
    ContentSettings,
    RehydratePriority,
    StandardBlobTier,
)

from tests.kit.site import Site

MEBIBYTE = 1 << 20
#: Above the 64 MiB the SDK sends at once, and above the 32 MiB it first asks for.
LARGE = 65 * MEBIBYTE + 4711


@pytest.fixture(scope="module")
def container(site: Site) -> Iterator[ContainerClient]:
    with site.container("transfers") as found:
        yield found


@pytest.fixture(scope="module")
def large() -> bytes:
    return random.Random(1).randbytes(MEBIBYTE) * (LARGE // MEBIBYTE) + b"x" * (LARGE % MEBIBYTE)


@pytest.mark.parametrize("size", [0, 1, 100, 65536, 65537, MEBIBYTE, MEBIBYTE + 1, 5 * MEBIBYTE])
def test_every_size_comes_back_as_it_went(container: ContainerClient, size: int) -> None:
    data = random.Random(size).randbytes(size)
    blob = container.upload_blob(f"size/{size}", data)
    properties = blob.get_blob_properties()
    assert properties.size == size
    assert bytes(properties.content_settings.content_md5 or b"") == hashlib.md5(data).digest()
    assert blob.download_blob().readall() == data
    if size > 2:
        assert blob.download_blob(offset=1, length=size - 2).readall() == data[1:-1]


def test_blocks_bring_along_all_that_a_blob_has(site: Site, container: ContainerClient) -> None:
    """The SDK sends the metadata with each block, not only with the list."""
    in_blocks = site.container(container.container_name, max_single_put_size=1024, max_block_size=1024)
    settings = ContentSettings(content_type="audio/mpeg", content_language="de", cache_control="no-store")
    for turn in range(2):
        blob = in_blocks.upload_blob(
            "everything",
            bytes(5000),
            overwrite=True,
            metadata={"turn": str(turn)},
            tags={"kind": "call"},
            content_settings=settings,
            standard_blob_tier=StandardBlobTier.COOL,
            max_concurrency=2,
            validate_content=True,
        )
        assert len(blob.get_block_list()[0]) == 5
        found = blob.get_blob_properties()
        assert (found.metadata, found.tag_count, found.blob_tier) == ({"turn": str(turn)}, 1, "Cool")
        assert found.content_settings.content_type == "audio/mpeg"
        assert found.content_settings.content_language == "de"
        assert found.content_settings.cache_control == "no-store"


def test_a_blob_comes_back_from_the_archive_at_once(container: ContainerClient) -> None:
    """docs/blobs.md, tiers: what a client that waits for a rehydration looks at is never there."""
    blob = container.upload_blob("old", b"1", standard_blob_tier=StandardBlobTier.ARCHIVE)
    assert blob.download_blob().readall() == b"1"
    blob.set_standard_blob_tier(StandardBlobTier.HOT, rehydrate_priority=RehydratePriority.high)
    found = blob.get_blob_properties()
    assert (found.blob_tier, found.archive_status, found.rehydrate_priority) == ("Hot", None, None)
    [listed] = container.list_blobs("old")
    assert (listed.blob_tier, listed.archive_status) == ("Hot", None)


def test_a_large_blob_goes_up_in_parallel_blocks_and_down_in_ranges(
    container: ContainerClient, large: bytes
) -> None:
    blob = container.upload_blob("large", large, max_concurrency=4)
    committed, uncommitted = blob.get_block_list("all")
    assert len(committed) == -(-LARGE // (4 * MEBIBYTE))
    assert uncommitted == []
    assert blob.download_blob(max_concurrency=4).readall() == large
    into = BytesIO()
    assert blob.download_blob(offset=33 * MEBIBYTE - 5, length=MEBIBYTE).readinto(into) == MEBIBYTE
    assert into.getvalue() == large[33 * MEBIBYTE - 5 : 34 * MEBIBYTE - 5]
    assert b"".join(blob.download_blob().chunks()) == large


def test_streams_of_unknown_length_are_sent_in_blocks(container: ContainerClient) -> None:
    pieces = [bytes([number]) * 700_000 for number in range(15)]
    blob = container.upload_blob("stream", iter(pieces))
    assert blob.download_blob().readall() == b"".join(pieces)


def test_a_blob_that_is_there_is_kept_unless_told_otherwise(container: ContainerClient, large: bytes) -> None:
    container.upload_blob("kept", b"first")
    with pytest.raises(ResourceExistsError) as caught:
        container.upload_blob("kept", b"second")
    assert caught.value.error_code == "BlobAlreadyExists"
    with pytest.raises(ResourceExistsError):
        container.upload_blob("kept", large, max_concurrency=4)
    container.upload_blob("kept", b"third", overwrite=True)
    assert container.download_blob("kept").readall() == b"third"


def test_content_is_validated_both_ways(container: ContainerClient) -> None:
    data = random.Random(2).randbytes(9 * MEBIBYTE)
    blob = container.upload_blob("validated", data, validate_content=True)
    assert blob.download_blob(validate_content=True).readall() == data
    spoiled = HttpRequest(
        "PUT",
        blob.url,
        content=b"abc",
        headers={"x-ms-blob-type": "BlockBlob", "Content-MD5": "A" * 22 + "=="},
    )
    with pytest.raises(HttpResponseError) as caught:
        raise_for(container, spoiled)
    assert caught.value.status_code == 400
    assert blob.download_blob().readall() == data


def raise_for(container: ContainerClient, request: HttpRequest) -> HttpResponse:
    response: HttpResponse = container._client._client.send_request(request)
    response.raise_for_status()
    return response


def test_blocks_by_hand(container: ContainerClient) -> None:
    blob = container.get_blob_client("blocks")
    blob.stage_block("b1", b"one ", validate_content=True)
    blob.stage_block("b2", b"two ")
    blob.stage_block("b2", b"TWO ")
    with pytest.raises(ResourceNotFoundError):
        blob.download_blob()
    assert [found.name for found in container.list_blobs(name_starts_with="blocks")] == []
    shown = container.list_blobs(name_starts_with="blocks", include=["uncommittedblobs"])
    assert [found.name for found in shown] == ["blocks"]
    blob.commit_block_list([BlobBlock("b2"), BlobBlock("b1"), BlobBlock("b2")])
    assert blob.download_blob().readall() == b"TWO one TWO "
    with pytest.raises(HttpResponseError) as caught:
        blob.commit_block_list([BlobBlock("no")])
    assert caught.value.error_code == "InvalidBlockList"


def test_a_blob_that_changes_under_a_download_is_noticed(container: ContainerClient, large: bytes) -> None:
    blob = container.upload_blob("changing", large[: 34 * MEBIBYTE])
    download = blob.download_blob()
    blob.upload_blob(b"other", overwrite=True)
    with pytest.raises(ResourceModifiedError):
        download.readall()


class LosesAnswers(threading.Thread):
    """A network that carries the first requests to the server, and drops their answers."""

    def __init__(self, port: int, losses: int) -> None:
        super().__init__(daemon=True)
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.losses = losses

    def run(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._server)
            threading.Thread(target=self._carry, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near, True), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with suppress(OSError):  # once the other direction has ended both
            while data := source.recv(65536):
                if answers and self.losses:
                    self.losses -= 1
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def losing(port: int, losses: int) -> Iterator[LosesAnswers]:
    network = LosesAnswers(port, losses)
    network.start()
    try:
        yield network
    finally:
        network.stop()


def test_lost_answers_are_retried_and_leave_one_blob(site: Site) -> None:
    container = site.container("retries")
    with losing(site.server.port, losses=2) as network:
        through = f"http://127.0.0.1:{network.port}"
        text = site.connection_string.replace(site.server.url, through)
        with ContainerClient.from_connection_string(
            text, "retries", retry_total=3, initial_backoff=0, increment_base=1
        ) as client:
            client.upload_blob("once", b"content", overwrite=True)
            assert client.download_blob("once").readall() == b"content"
        assert network.losses == 0
    assert [blob.name for blob in container.list_blobs()] == ["once"]
