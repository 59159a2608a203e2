"""A unit test against a server of its own: started once, on a free port, with a new data folder."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient

# Any key, in Base64. This one is for tests only.
KEY = "dGhlIGtleSBvZiB0aGUgdGVzdHM="
CONFIG = f"""
[[tenants]]
name = "mytenant"
key = "{KEY}"
containers = ["recordings"]
"""


@pytest.fixture(scope="session")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a server; return its connection string."""
    folder: Path = tmp_path_factory.mktemp("retain")
    (folder / "retain.toml").write_text(CONFIG)
    options = ["--config", folder / "retain.toml", "--data", folder / "data", "--bind", "127.0.0.1:0"]
    command = ["retain", "serve", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - fixed options
        # The first line names the address; it is printed when the server listens.
        first = server.stdout.readline() if server.stdout else ""
        try:
            url = first.removeprefix("Retain listens on ").strip()
            assert url.startswith("http://"), "the server did not start; standard error says why"
            yield f"BlobEndpoint={url}/mytenant;AccountName=mytenant;AccountKey={KEY};"
        finally:
            server.terminate()


@pytest.fixture
def recordings(connection: str) -> Iterator[ContainerClient]:
    """Return the container, which is empty before each test."""
    with BlobServiceClient.from_connection_string(connection) as service:
        container = service.get_container_client("recordings")
        for blob in container.list_blobs():
            container.delete_blob(blob.name)
        yield container


def test_a_recording_is_found_by_its_tag(recordings: ContainerClient) -> None:
    recordings.upload_blob("calls/1.mp3", b"sound", tags={"Agent": "otto"})
    recordings.upload_blob("calls/2.mp3", b"sound", tags={"Agent": "uwe"})
    assert [blob.name for blob in recordings.find_blobs_by_tags("Agent='uwe'")] == ["calls/2.mp3"]


def test_each_test_begins_with_an_empty_container(recordings: ContainerClient) -> None:
    assert list(recordings.list_blobs()) == []
