"""azure-storage-blob's pipeline: retries, hooks, logs and checks of content, with a real server's answers."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import (
    BlobBlock,
    BlobClient,
    BlobServiceClient,
    ContainerClient,
    ExponentialRetry,
    LocationMode,
    ResourceTypes,
    RetentionPolicy,
    generate_account_sas,
)

from tests.kit.blob_clients import HOST_SUFFIX
from tests.kit.site import EMULATOR_ACCOUNT, EMULATOR_KEY, Site

CONTENT = random.Random(7).randbytes(300_000)


def at_once(**options: Any) -> ExponentialRetry:
    """A retry without its wait, which the client's default spreads over three seconds."""
    return ExponentialRetry(initial_backoff=0, increment_base=0, random_jitter_range=0, **options)


@pytest.fixture(scope="module")
def container(site: Site) -> Iterator[ContainerClient]:
    with site.container("pipeline") as found:
        yield found


class Once:
    """Turn the first answer of a status into another, as a failing network would; count the answers."""

    def __init__(self, status: int, shown: int) -> None:
        self.answers = 0
        self._status, self._shown = status, shown

    def __call__(self, response: Any) -> None:
        self.answers += 1
        if self.answers == 1:
            assert response.http_response.status_code == self._status
            response.http_response.status_code = self._shown


def test_a_block_that_the_client_sends_again_is_there_once(site: Site) -> None:
    blob = site.container("pipeline", retry_policy=at_once()).get_blob_client("again")
    for kind in (bytes, BytesIO):
        hook = Once(201, 408)
        blob.stage_block("1", kind(CONTENT), length=len(CONTENT), raw_response_hook=hook)
        assert hook.answers == 2
    assert [block.size for block in blob.get_block_list("uncommitted")[1]] == [len(CONTENT)]
    hook = Once(201, 500)
    blob.commit_block_list([BlobBlock("1")], raw_response_hook=hook)
    assert hook.answers == 2, "the list names what the first one committed"
    assert blob.download_blob().readall() == CONTENT


class Failing(RequestsTransport):
    """Answer 503 for the primary location; reach the host by its address, as there is no name service."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self._url, self.hosts = site.server.url, []

    def send(self, request: Any, **options: Any) -> Any:  # type: ignore[override]
        host = request.url.split("/")[2]
        self.hosts.append(host)
        request.headers["Host"] = host
        request.url = request.url.replace(f"http://{host}", self._url)
        response = super().send(request, **options)
        if "-secondary" not in host:
            response.status_code = 503
        return response


def test_a_client_that_fails_at_the_primary_reads_at_the_secondary(
    site: Site, container: ContainerClient
) -> None:
    container.upload_blob("everywhere", CONTENT, overwrite=True)
    transport = Failing(site)
    service = BlobServiceClient(
        f"http://{EMULATOR_ACCOUNT}{HOST_SUFFIX}",
        credential={"account_name": EMULATOR_ACCOUNT, "account_key": EMULATOR_KEY},
        retry_policy=at_once(retry_to_secondary=True),
        transport=transport,
    )
    found = service.get_blob_client(container.container_name, "everywhere").get_blob_properties()
    assert found.size == len(CONTENT)
    assert transport.hosts == [
        f"{EMULATOR_ACCOUNT}{HOST_SUFFIX}",
        f"{EMULATOR_ACCOUNT}-secondary{HOST_SUFFIX}",
    ]


@pytest.mark.parametrize("kind", ["key", "token"])
def test_a_client_of_the_secondary_reads_there_with_the_account_in_the_path(
    site: Site, container: ContainerClient, kind: str
) -> None:
    container.upload_blob("in/path", CONTENT, overwrite=True)
    credential: Any = {"account_name": EMULATOR_ACCOUNT, "account_key": EMULATOR_KEY}
    if kind == "token":
        credential = generate_account_sas(
            EMULATOR_ACCOUNT,
            EMULATOR_KEY,
            ResourceTypes(service=True, container=True, object=True),
            "rwdl",
            datetime.now(UTC) + timedelta(hours=1),
        )
    url = f"{site.server.url}/{EMULATOR_ACCOUNT}"
    service = BlobServiceClient(
        url,
        credential=credential,
        secondary_hostname=f"{url.removeprefix('http://')}-secondary",
        retry_policy=at_once(total=0),
    )
    service.location_mode = LocationMode.SECONDARY
    assert "-secondary" in service.url
    assert container.container_name in [found.name for found in service.list_containers()]
    there = service.get_container_client(container.container_name)
    assert "in/path" in [found.name for found in there.list_blobs()]
    blob = there.get_blob_client("in/path")
    assert blob.url.partition("?")[0] == f"{url}-secondary/{container.container_name}/in/path"
    assert blob.download_blob().readall() == CONTENT
    with pytest.raises(HttpResponseError) as caught:
        blob.delete_blob()
    assert (caught.value.status_code, caught.value.error_code) == (403, "InsufficientAccountPermissions")


@pytest.mark.parametrize("validate", [True, "md5", "auto", "crc64"])
@pytest.mark.parametrize("make", [bytes, BytesIO], ids=["bytes", "stream"])
def test_content_is_checked_both_ways(
    site: Site, validate: bool | str, make: Callable[[bytes], bytes | BytesIO]
) -> None:
    if validate in ("auto", "crc64"):
        pytest.importorskip("azure.storage.extensions", reason="the client's own checksums are not installed")
    in_blocks = site.container("pipeline", max_single_put_size=1 << 16, max_block_size=1 << 16)
    for container in (site.container("pipeline"), in_blocks):
        options: dict[str, Any] = {"validate_content": validate}
        blob = container.upload_blob("checked", make(CONTENT), overwrite=True, **options)
        assert blob.download_blob(**options).readall() == CONTENT
        assert blob.download_blob(offset=10, length=1000, **options).readall() == CONTENT[10:1010]
        blob.stage_block("1", make(CONTENT), length=len(CONTENT), **options)
        blob.commit_block_list([BlobBlock("1")], **options)
        assert blob.download_blob().readall() == CONTENT


def test_an_upload_that_changed_on_its_way_is_refused(container: ContainerClient) -> None:
    def change(request: Any) -> None:
        request.http_request.headers["Content-MD5"] = "AAAAAAAAAAAAAAAAAAAAAA=="

    blob = container.get_blob_client("changed")
    for send in (blob.upload_blob, lambda data, **options: blob.stage_block("1", data, **options)):
        with pytest.raises(HttpResponseError) as caught:
            send(CONTENT, validate_content=True, raw_request_hook=change)
        assert caught.value.error_code == "Md5Mismatch"
    assert not blob.exists()


@pytest.mark.parametrize(
    "send",
    [
        lambda blob: blob.create_page_blob(512),
        lambda blob: blob.create_append_blob(),
        lambda blob: blob.upload_page(bytes(512), 0, 512, validate_content=True),
        lambda blob: blob.append_block(b"1", validate_content=True),
        lambda blob: blob.undelete_blob(),
        lambda blob: blob.create_snapshot(),
    ],
    ids=["page-blob", "append-blob", "pages", "append", "undelete", "snapshot"],
)
def test_what_is_not_offered_is_refused_with_its_reason(
    container: ContainerClient, send: Callable[[BlobClient], object]
) -> None:
    blob = container.upload_blob("plain", CONTENT, overwrite=True)
    with pytest.raises(HttpResponseError) as caught:
        send(blob)
    assert caught.value.status_code == 501
    assert caught.value.error_code == "NotImplemented"
    assert caught.value.additional_info["reason"]
    assert blob.download_blob().readall() == CONTENT


def test_a_policy_that_keeps_deleted_blobs_is_returned_and_keeps_none(site: Site) -> None:
    container = site.container("policy")
    policy = RetentionPolicy(enabled=True, days=7)
    service = site.service()
    service.set_service_properties(delete_retention_policy=policy)
    found = service.get_service_properties()["delete_retention_policy"]
    assert (found.enabled, found.days) == (True, 7)
    blob = container.upload_blob("gone", b"1")
    blob.delete_blob()
    assert list(container.list_blobs(include=["deleted"])) == []
    with pytest.raises(HttpResponseError) as caught:
        blob.undelete_blob()
    assert "A deletion is final here" in caught.value.message
    service.set_service_properties(delete_retention_policy=RetentionPolicy(enabled=False))


def test_a_log_has_bodies_only_on_request_and_never_signatures(
    site: Site, container: ContainerClient, caplog: pytest.LogCaptureFixture
) -> None:
    text = "a body that may be logged"
    service = site.service(logging_enable=True)
    blob = service.get_blob_client(container.container_name, "logged")
    blob.upload_blob(text, overwrite=True)
    with caplog.at_level(logging.DEBUG, "azure.storage"):
        blob.download_blob().readall()
        assert text not in caplog.text
        assert "x-ms-request-id" in caplog.text
        blob.download_blob(logging_body=True).readall()
    assert caplog.text.count(text) == 1
    assert "SharedKey" not in caplog.text
