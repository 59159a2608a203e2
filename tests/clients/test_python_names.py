"""azure-storage-blob manages what is stored: containers, lists, metadata, tags, leases, copies."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import (
    AccessPolicy,
    AccountSasPermissions,
    BlobClient,
    BlobPrefix,
    BlobServiceClient,
    ContainerClient,
    ContainerSasPermissions,
    ContentSettings,
    CorsRule,
    ResourceTypes,
    generate_account_sas,
    generate_blob_sas,
    generate_container_sas,
)

from tests.kit.site import AT_ONCE, EMULATOR_ACCOUNT, EMULATOR_KEY, Site

NAMES = ["a/b/1", "a/b/2", "a/c", "d", "e f+g/ä%2Fh", "ü"]


@pytest.fixture(scope="module")
def container(site: Site) -> Iterator[ContainerClient]:
    with site.container("names") as found:
        for name in NAMES:
            found.upload_blob(name, name.encode(), overwrite=True)
        yield found


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def test_a_suite_written_for_an_emulator_runs_unchanged(site: Site) -> None:
    with BlobServiceClient.from_connection_string(site.connection_string, **AT_ONCE) as service:
        assert service.account_name == EMULATOR_ACCOUNT
        container = service.create_container("from-nothing")
        assert "from-nothing" in [found.name for found in service.list_containers()]
        with pytest.raises(ResourceExistsError):
            service.create_container("from-nothing")
        container.upload_blob("x", b"1", metadata={"a": "b"})
        assert [found.name for found in container.list_blobs()] == ["x"]
        assert container.download_blob("x").readall() == b"1"
        container.delete_blob("x")
        with pytest.raises(ResourceNotFoundError):
            container.download_blob("x")
        service.delete_container("from-nothing")
        assert not container.exists()
        service.create_container("from-nothing")
        service.delete_container("from-nothing")


def test_lists_flat_by_pages_and_by_hierarchy(container: ContainerClient) -> None:
    assert [blob.name for blob in container.list_blobs()] == NAMES
    pages = [[blob.name for blob in page] for page in container.list_blobs(results_per_page=4).by_page()]
    assert pages == [NAMES[:4], NAMES[4:]]
    assert list(container.list_blob_names(name_starts_with="a/")) == NAMES[:3]
    walked = {item.name: item for item in container.walk_blobs(delimiter="/")}
    assert sorted(walked) == ["a/", "d", "e f+g/", "ü"]
    first = walked["a/"]
    assert isinstance(first, BlobPrefix)
    assert [item.name for item in first] == ["a/b/", "a/c"]
    found = next(iter(container.list_blobs(name_starts_with="d")))
    assert (found.size, found.blob_tier, found.content_settings.content_type) == (
        1,
        "Hot",
        "application/octet-stream",
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_read_by_every_kind_of_token(container: ContainerClient, name: str) -> None:
    base = {"account_name": EMULATOR_ACCOUNT, "account_key": EMULATOR_KEY, "expiry": soon()}
    permission = ContainerSasPermissions(read=True)
    one = generate_blob_sas(container_name="names", blob_name=name, permission="r", **base)
    many = generate_container_sas(container_name="names", permission=permission, **base)
    whole = generate_account_sas(
        resource_types=ResourceTypes(object=True), permission=AccountSasPermissions(read=True), **base
    )
    url = container.get_blob_client(name).url
    for token in (one, many, whole):
        with BlobClient.from_blob_url(f"{url}?{token}", **AT_ONCE) as blob:
            assert blob.download_blob().readall() == name.encode()
    other = container.get_blob_client("other")
    with (
        BlobClient.from_blob_url(f"{other.url}?{one}", **AT_ONCE) as blob,
        pytest.raises(ClientAuthenticationError),
    ):
        blob.download_blob()


def test_stored_policies_give_and_take(container: ContainerClient) -> None:
    container.set_container_access_policy({"first": AccessPolicy(ContainerSasPermissions(list=True), soon())})
    shown = container.get_container_access_policy()["signed_identifiers"]
    assert [(policy.id, policy.access_policy.permission) for policy in shown] == [("first", "l")]
    token = generate_container_sas(EMULATOR_ACCOUNT, "names", EMULATOR_KEY, policy_id="first")
    with ContainerClient.from_container_url(f"{container.url}?{token}", **AT_ONCE) as limited:
        assert list(limited.list_blob_names()) == NAMES
        with pytest.raises(HttpResponseError):
            limited.download_blob("d")
        container.set_container_access_policy({})
        with pytest.raises(ClientAuthenticationError):
            list(limited.list_blob_names())


def test_metadata_keeps_its_case_and_properties_are_set_together(container: ContainerClient) -> None:
    blob = container.upload_blob("cased", b"1", metadata={"FooBar": "1", "lower": "2", "UP_3": "x y"})
    assert blob.get_blob_properties().metadata == {"FooBar": "1", "lower": "2", "UP_3": "x y"}
    listed = next(iter(container.list_blobs(name_starts_with="cased", include=["metadata"])))
    assert listed.metadata == {"FooBar": "1", "lower": "2", "UP_3": "x y"}
    blob.set_blob_metadata({"Other": "3"})
    assert blob.get_blob_properties().metadata == {"Other": "3"}
    blob.set_http_headers(ContentSettings(content_type="audio/mpeg", cache_control="no-cache"))
    settings = blob.get_blob_properties().content_settings
    assert (settings.content_type, settings.cache_control, settings.content_md5) == (
        "audio/mpeg",
        "no-cache",
        None,
    )
    container.set_container_metadata({"Owner": "Anna"})
    assert container.get_container_properties().metadata == {"Owner": "Anna"}
    blob.delete_blob(delete_snapshots="include")


def test_metadata_keeps_its_case_in_bytes(site: Site, container: ContainerClient) -> None:
    token = generate_container_sas(EMULATOR_ACCOUNT, "names", EMULATOR_KEY, permission="rcwd", expiry=soon())
    path = urlsplit(container.url).path + "/wire?" + token
    address = (site.server.host, site.server.port)
    with socket.create_connection(address, timeout=120) as raw:
        for line, status in (
            (
                f"PUT {path} HTTP/1.1\r\nX-MS-BLOB-TYPE: BlockBlob\r\nX-Ms-Meta-CamelCase: v"
                "\r\nContent-Length: 0",
                201,
            ),
            (f"HEAD {path} HTTP/1.1", 200),
            (f"DELETE {path} HTTP/1.1\r\nConnection: close", 202),
        ):
            raw.sendall(f"{line}\r\nHost: x\r\n\r\n".encode())
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += raw.recv(65536)
            assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
            assert (b"\r\nx-ms-meta-CamelCase: v\r\n" in answer) is line.startswith("HEAD")


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (f"/{EMULATOR_ACCOUNT}/names/\xfc", b"application/xml"),
        (f"/{EMULATOR_ACCOUNT}/names?restype=container&comp=list&prefix=\xfc", b"application/xml"),
        ("/genesys/1/storage/\xfc", b"application/json"),
        ("/mobileservices/Storage/v1/runtime/application/app/global/\xfc", b"application/json"),
        ("/\xfc", b"text/plain"),
    ],
)
def test_a_raw_byte_in_the_target_is_refused_in_the_interfaces_own_shape(
    site: Site, target: str, kind: bytes
) -> None:
    with socket.create_connection((site.server.host, site.server.port), timeout=120) as raw:
        raw.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode("latin-1"))
        answer = b""
        while more := raw.recv(65536):
            answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nContent-Type: " + kind in head
    assert body
    assert b"\xfc" not in answer


def test_tags_are_set_listed_and_found(site: Site, container: ContainerClient) -> None:
    for number in range(3):
        tags = {"RecordingType": "CALL", "StoredTime": f"2022-01-{number + 10}T00:00:00Z"}
        container.upload_blob(f"tagged/{number}", b"", tags=tags)
    blob = container.get_blob_client("tagged/1")
    assert blob.get_blob_tags()["RecordingType"] == "CALL"
    assert blob.get_blob_properties().tag_count == 2
    where = "RecordingType = 'CALL' AND StoredTime >= '2022-01-11T00:00:00Z'"
    assert [found.name for found in container.find_blobs_by_tags(where)] == ["tagged/1", "tagged/2"]
    with site.service() as service:
        pages = service.find_blobs_by_tags(f"@container='names' AND {where}", results_per_page=1).by_page()
        assert [[found.name for found in page] for page in pages] == [["tagged/1"], ["tagged/2"]]
    blob.set_blob_tags({"RecordingType": "SCREEN"})
    assert [found.name for found in container.find_blobs_by_tags(where)] == ["tagged/2"]
    with pytest.raises(ResourceModifiedError):
        blob.delete_blob(if_tags_match_condition="RecordingType='CALL'")
    listed = {found.name: found.tags for found in container.list_blobs("tagged/", include=["tags"])}
    assert listed["tagged/1"] == {"RecordingType": "SCREEN"}
    for name in listed:
        container.delete_blob(name)


def test_a_lease_locks_out_everybody_else(container: ContainerClient) -> None:
    blob = container.upload_blob("leased", b"1")
    with blob.acquire_lease(lease_duration=15) as lease:
        with pytest.raises(HttpResponseError) as caught:
            blob.upload_blob(b"2", overwrite=True)
        assert caught.value.error_code == "LeaseIdMissing"
        blob.upload_blob(b"3", overwrite=True, lease=lease)
        lease.renew()
        assert blob.get_blob_properties().lease.status == "locked"
    assert blob.get_blob_properties().lease.status == "unlocked"
    held = container.acquire_lease(lease_duration=-1)
    with pytest.raises(HttpResponseError):
        container.delete_container()
    held.break_lease(lease_break_period=0)
    blob.delete_blob()


def test_copies_finish_before_the_answer(container: ContainerClient) -> None:
    source = container.upload_blob("source", b"content" * 20_000, metadata={"Kept": "1"}, tags={"t": "1"})
    target = container.get_blob_client("target")
    token = generate_blob_sas(
        EMULATOR_ACCOUNT, "names", "source", account_key=EMULATOR_KEY, permission="r", expiry=soon()
    )
    copied = target.start_copy_from_url(f"{source.url}?{token}")
    assert copied["copy_status"] == "success"
    properties = target.get_blob_properties()
    assert properties.copy.status == "success"
    assert properties.copy.progress == "140000/140000"
    assert properties.metadata == {"Kept": "1"}
    assert properties.tag_count is None
    assert target.download_blob().readall() == b"content" * 20_000
    target.start_copy_from_url(source.url, requires_sync=True)
    target.upload_blob_from_url(f"{source.url}?{token}", overwrite=True)
    assert target.download_blob().readall() == b"content" * 20_000
    for name in ("source", "target"):
        container.delete_blob(name)


def test_conditions_are_kept(container: ContainerClient) -> None:
    blob = container.upload_blob("conditional", b"1")
    first = blob.get_blob_properties().etag
    blob.upload_blob(b"2", overwrite=True, etag=first, match_condition=MatchConditions.IfNotModified)
    with pytest.raises(ResourceModifiedError):
        blob.upload_blob(b"3", overwrite=True, etag=first, match_condition=MatchConditions.IfNotModified)
    now = blob.get_blob_properties().etag
    with pytest.raises(HttpResponseError) as caught:
        blob.download_blob(etag=now, match_condition=MatchConditions.IfModified)
    assert caught.value.status_code == 304
    blob.delete_blob(etag=now, match_condition=MatchConditions.IfNotModified)


def test_the_account_tells_of_itself_and_keeps_its_rules(site: Site) -> None:
    with site.service() as service:
        assert service.get_account_information()["account_kind"] == "StorageV2"
        service.set_service_properties(cors=[CorsRule(["https://a.example"], ["GET"], max_age_in_seconds=5)])
        shown = service.get_service_properties()
        assert [rule.allowed_origins for rule in shown["cors"]] == ["https://a.example"]
        service.set_service_properties(cors=[])
        assert service.get_service_properties()["cors"] == []
        listed = {found.name: found for found in service.list_containers(include_metadata=True)}
        assert listed["names"].etag


def test_what_is_not_offered_is_refused_with_azures_own_words(container: ContainerClient) -> None:
    blob = container.get_blob_client("other-kind")
    for refused in (
        lambda: blob.create_append_blob(),
        lambda: blob.create_page_blob(512),
        lambda: container.get_blob_client("d").create_snapshot(),
    ):
        with pytest.raises(HttpResponseError) as caught:
            refused()
        assert caught.value.status_code in (400, 501)
        assert caught.value.error_code, caught.value
    assert container.get_blob_client("d").exists()
