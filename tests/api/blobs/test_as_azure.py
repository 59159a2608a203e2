"""Answers in the words of the service, where clients and the suites of an emulator look at them closely."""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest

from retain.api.blobs.wire import crc64
from tests.api.blobs.test_blocks_and_copies import block_path, commit, copy, stage
from tests.kit.blob_client import ACCOUNT, HOST, readable

SHORT_MD5 = b64encode(b"MDAwMDAwMDA=").decode()
OURS = "01234567-89ab-cdef-0123-456789abcdef"
OTHER = "11111111-89ab-cdef-0123-456789abcdef"


def md5(data):
    return b64encode(hashlib.md5(data).digest()).decode()


async def test_an_md5_that_nobody_can_check_is_stored_as_it_was_sent(client):
    await client.put("a", b"0123456789")
    sent = [("x-ms-blob-content-md5", SHORT_MD5)]
    assert (await client.send("PUT", "/recordings/a?comp=properties", sent)).status == 200
    assert (await client.get("a")).headers["content-md5"] == SHORT_MD5
    part = await client.get("a", [("x-ms-range", "bytes=0-3"), ("x-ms-range-get-content-md5", "true")])
    assert (part.status, part.headers["content-md5"]) == (206, md5(b"0123"))
    assert part.headers["x-ms-blob-content-md5"] == SHORT_MD5
    listed = await client.send("GET", "/recordings?restype=container&comp=list")
    assert listed.texts("Blobs/Blob/Properties/Content-MD5") == [SHORT_MD5]
    await stage(client, b"1", b"x")
    assert (await commit(client, ("Latest", b"1"), headers=sent)).status == 201
    assert (await client.head("a")).headers["content-md5"] == SHORT_MD5


@pytest.mark.parametrize("value", ["nonsense!", b64encode(bytes(65)).decode()])
async def test_what_is_no_md5_at_all_is_refused(client, value):
    await client.put("a", b"1")
    answer = await client.send("PUT", "/recordings/a?comp=properties", [("x-ms-blob-content-md5", value)])
    assert (answer.status, answer.code) == (400, "InvalidMd5")


async def test_the_md5_to_store_takes_precedence_over_that_of_the_request(client):
    right, wrong = md5(b"1"), md5(b"2")
    answer = await client.put("a", b"1", [("content-md5", wrong), ("x-ms-blob-content-md5", right)])
    assert answer.status == 201
    answer = await client.put("b", b"1", [("content-md5", right), ("x-ms-blob-content-md5", wrong)])
    assert answer.code == "Md5Mismatch"
    assert (await client.put("b", b"1", [("x-ms-blob-content-md5", SHORT_MD5)])).code == "InvalidMd5"
    assert (await client.get("b")).status == 404


async def test_a_crc64_that_was_sent_comes_back_and_goes_with_no_md5(client):
    checksum = crc64.encode(crc64.crc64(b"block"))
    answer = await client.send("PUT", block_path(b"1"), [("x-ms-content-crc64", checksum)], b"block")
    assert (answer.status, answer.headers["x-ms-content-crc64"]) == (201, checksum)
    both = [("x-ms-content-crc64", checksum), ("content-md5", md5(b"block"))]
    assert (await client.send("PUT", block_path(b"2"), both, b"block")).code == "BothCrc64AndMd5HeaderPresent"
    assert (await client.put("b", b"block", both)).code == "BothCrc64AndMd5HeaderPresent"


async def test_a_crc64_of_the_source_comes_back_and_goes_with_no_md5(client):
    await client.put("a", b"block")
    checksum = crc64.encode(crc64.crc64(b"block"))
    source = ("x-ms-copy-source", readable("a"))
    named = [source, ("x-ms-source-content-crc64", checksum)]
    answer = await client.send("PUT", block_path(b"1"), named)
    assert (answer.status, answer.headers["x-ms-content-crc64"]) == (201, checksum)
    assert "content-md5" not in answer.headers
    both = [*named, ("x-ms-source-content-md5", md5(b"block"))]
    put = ("x-ms-blob-type", "BlockBlob")
    for path, headers in ((block_path(b"3"), both), ("/recordings/b", [*both, put])):
        answer = await client.send("PUT", path, headers)
        assert (answer.status, answer.code) == (400, "BothCrc64AndMd5HeaderPresent")
    assert (await client.get("b")).status == 404


BLOCK_LIST = b"<BlockList><Latest>MQ==</Latest></BlockList>"
PUT = ("x-ms-blob-type", "BlockBlob")
FROM_URL = ("x-ms-copy-source", readable("source"))
SYNC = ("x-ms-requires-sync", "true")


@pytest.mark.parametrize(
    ("path", "headers", "body", "summed", "always_md5"),
    [
        ("/recordings/b", [PUT], b"block", b"block", True),
        (block_path(b"1"), [], b"block", b"block", False),
        ("/recordings/a?comp=blocklist", [], BLOCK_LIST, BLOCK_LIST, True),
        ("/recordings/b", [PUT, FROM_URL], b"", b"source", True),
        (block_path(b"2"), [FROM_URL], b"", b"source", False),
        ("/recordings/b", [FROM_URL, SYNC], b"", b"source", False),
    ],
    ids=["blob", "block", "list", "blob-from-url", "block-from-url", "copy-from-url"],
)
@pytest.mark.parametrize("fast", [True, False])
async def test_a_write_answers_the_sums_that_it_computed(
    client, monkeypatch, path, headers, body, summed, always_md5, fast
):
    """CRC-64 where that costs little, MD5 where it is stored, was sent, or is all there is."""
    monkeypatch.setattr(crc64, "IS_FAST", fast)
    await client.put("source", b"source")
    await stage(client, b"1", b"block")
    own, copied = ("content-md5", md5(summed)), ("x-ms-source-content-md5", md5(summed))
    is_copy = FROM_URL in headers
    is_sync = SYNC in headers
    for sent in ([], [copied if is_copy else own]):
        await stage(client, b"1", b"block")
        answer = await client.send("PUT", path, [*headers, *sent], body)
        assert answer.status == (202 if is_sync else 201), answer.body
        expected = crc64.encode(crc64.crc64(summed)) if fast else None
        assert answer.headers.get("x-ms-content-crc64") == expected
        has_md5 = bool(sent) or always_md5 or not (fast or is_sync)
        assert answer.headers.get("content-md5") == (md5(summed) if has_md5 else None)


async def test_a_version_before_crc64_answers_the_md5(client):
    answer = await client.send("PUT", block_path(b"1"), [], b"block", version="2018-11-09")
    assert answer.headers["content-md5"] == md5(b"block")
    assert "x-ms-content-crc64" not in answer.headers
    answer = await client.send("PUT", block_path(b"1"), [], b"block", version="2019-02-02")
    assert "x-ms-content-crc64" in answer.headers or not crc64.IS_FAST


async def test_a_copy_that_need_not_finish_answers_no_sums(client):
    await client.put("source", b"source")
    answer = await client.send("PUT", "/recordings/b", [FROM_URL])
    assert answer.status == 202
    assert not {"content-md5", "x-ms-content-crc64"} & answer.headers.keys()


async def test_a_content_type_that_was_cleared_is_none(client):
    await client.put("a", b"1")
    assert (await client.get("a")).headers["content-type"] == "application/octet-stream"
    await client.send("PUT", "/recordings/a?comp=properties")
    assert "content-type" not in (await client.get("a")).headers
    assert "content-type" not in (await client.head("a")).headers
    await copy(client)
    assert "content-type" not in (await client.head("b")).headers


async def test_a_copy_answers_an_md5_where_one_was_asked_for(client):
    await client.put("a", b"1")
    sync = ("x-ms-requires-sync", "true")
    assert "content-md5" not in (await copy(client, headers=[sync])).headers
    answer = await copy(client, headers=[sync, ("x-ms-source-content-md5", md5(b"1"))])
    assert answer.headers["content-md5"] == md5(b"1")


@pytest.mark.parametrize("back", ["Hot", "Cool", "Cold"])
async def test_no_blob_is_offline_and_none_is_rehydrated(client, back):
    """docs/blobs.md, tiers: an archived blob is read, copied and changed, and is back with the answer."""
    await client.put("a", b"1", [("x-ms-access-tier", "Archive")])
    assert (await client.get("a")).body == b"1"
    changed = await client.send("PUT", "/recordings/a?comp=metadata", [("x-ms-meta-k", "v")])
    assert changed.status == 200
    assert (await copy(client)).status == 202
    for priority in ("Standard", "High"):
        headers = [("x-ms-access-tier", back), ("x-ms-rehydrate-priority", priority)]
        answer = await client.send("PUT", "/recordings/a?comp=tier", headers)
        assert answer.status == 200
    told = (await client.head("a")).headers
    assert told["x-ms-access-tier"] == back
    assert not {"x-ms-archive-status", "x-ms-rehydrate-priority"} & set(told)
    listed = await client.send("GET", "/recordings?restype=container&comp=list&prefix=a")
    assert listed.texts("Blobs/Blob/Properties/AccessTier") == [back]
    assert listed.texts("Blobs/Blob/Properties/ArchiveStatus") == []


async def test_the_tier_is_told_by_every_read(client):
    await client.put("a", b"1")
    for answer in (await client.get("a"), await client.head("a")):
        assert (answer.headers["x-ms-access-tier"], answer.headers["x-ms-access-tier-inferred"]) == (
            "Hot",
            "true",
        )
    await client.send("PUT", "/recordings/a?comp=tier", [("x-ms-access-tier", "smart")])
    for answer in (await client.get("a"), await client.head("a")):
        assert (answer.headers["x-ms-access-tier"], answer.headers["x-ms-smart-access-tier"]) == (
            "Smart",
            "Hot",
        )
        assert "x-ms-access-tier-change-time" in answer.headers
        assert "x-ms-access-tier-inferred" not in answer.headers
    listed = await client.send("GET", "/recordings?restype=container&comp=list")
    assert listed.texts("Blobs/Blob/Properties/SmartAccessTier") == ["Hot"]
    await client.put("a", b"1", [("x-ms-access-tier", "Cool")])
    assert "x-ms-smart-access-tier" not in (await client.head("a")).headers


async def test_a_container_tells_that_none_of_its_versions_are_immutable(client):
    name = "x-ms-immutable-storage-with-versioning-enabled"
    assert (await client.send("HEAD", "/recordings?restype=container")).headers[name] == "false"
    listed = await client.send("GET", "/?comp=list")
    assert listed.texts("Containers/Container/Properties/ImmutableStorageWithVersioningEnabled") == ["false"]


async def test_a_policy_that_says_nothing_has_no_access_policy(client):
    policy = b"<SignedIdentifier><Id>empty</Id><AccessPolicy /></SignedIdentifier>"
    body = b"<SignedIdentifiers>%b</SignedIdentifiers>" % policy
    path = "/recordings?restype=container&comp=acl"
    assert (await client.send("PUT", path, [], body)).status == 200
    answer = await client.send("GET", path)
    assert answer.texts("SignedIdentifier/Id") == ["empty"]
    assert answer.texts("SignedIdentifier/AccessPolicy") == []


async def test_names_of_the_wrong_length_and_tags_over_their_limits_in_the_words_of_the_service(client):
    for path, headers, message in (
        (
            "/ab?restype=container",
            [],
            "The specified resource name length is not within the permissible limits.",
        ),
        (
            "/recordings/a",
            [("x-ms-tags", f"{'k' * 129}=v")],
            "The tags specified exceed the maximum permissible limit.",
        ),
        (
            "/recordings/a",
            [("x-ms-tags", "k=%40")],
            "The tags specified are invalid. It contains characters that are not permitted.",
        ),
    ):
        answer = await client.send("PUT", path, [("x-ms-blob-type", "BlockBlob"), *headers], b"")
        assert answer.status == 400
        assert answer.xml.findtext("Message").startswith(message + "\n")


async def test_names_that_xml_cannot_hold_are_encoded_in_listings(client):
    for name in ("dir/a\uffff", "dir\ufffe/b"):
        assert (await client.put(name, b"1")).status == 201
        assert (await client.get(name)).body == b"1"
    listed = await client.send("GET", "/recordings?restype=container&comp=list")
    assert listed.texts("Blobs/Blob/Name") == ["dir/a%EF%BF%BF", "dir%EF%BF%BE/b"]
    assert [name.get("Encoded") for name in listed.xml.iterfind("Blobs/Blob/Name")] == ["true", "true"]
    folded = await client.send("GET", "/recordings?restype=container&comp=list&delimiter=/")
    assert folded.texts("Blobs/BlobPrefix/Name") == ["dir/", "dir%EF%BF%BE/"]


async def test_a_listing_repeats_a_prefix_that_xml_cannot_hold(client):
    await client.put("a\uffffb/c", b"1")
    page = "/recordings?restype=container&comp=list&prefix=a%EF%BF%BF&delimiter=b%EF%BF%BE"
    listed = await client.send("GET", page)
    assert listed.texts("Blobs/Blob/Name") == ["a%EF%BF%BFb/c"]
    for tag, text in (("Prefix", "a%EF%BF%BF"), ("Delimiter", "b%EF%BF%BE")):
        element = listed.xml.find(tag)
        assert (element.text, element.get("Encoded")) == (text, "true")


async def test_a_source_that_cannot_be_read_tells_what_it_answered(client):
    await client.put("a", b"1")
    elsewhere = f"http://{HOST}/{ACCOUNT}"
    token = client.service_sas("w")
    for source, sas, status, inner in (
        (f"{elsewhere}/recordings/missing", None, 404, ("404", "BlobNotFound")),
        (f"{elsewhere}/missing/a", None, 404, ("404", "ContainerNotFound")),
        (f"{elsewhere}/recordings/a", client.service_sas("rw"), 401, ("401", "NoAuthenticationInformation")),
        (f"{elsewhere}/recordings/a?{token}", None, 403, ("403", "AuthorizationPermissionMismatch")),
    ):
        answer = await client.send("PUT", "/recordings/b", [("x-ms-copy-source", source)], sas=sas)
        assert (answer.status, answer.code) == (status, "CannotVerifyCopySource")
        told = (answer.headers["x-ms-copy-source-status-code"], answer.headers["x-ms-copy-source-error-code"])
        assert told == inner
        assert (
            answer.xml.findtext("CopySourceStatusCode"),
            answer.xml.findtext("CopySourceErrorCode"),
        ) == inner
    outside = [("x-ms-copy-source", "https://elsewhere.test/tenant/recordings/a")]
    for path in ("/recordings/b", block_path(b"1", "b")):
        answer = await client.send("PUT", path, outside)
        assert (answer.status, answer.code) == (404, "CannotVerifyCopySource")


async def test_the_holder_of_a_lease_overwrites_and_nobody_else(client):
    await client.put("a", b"1")
    await client.put("source", b"copied")
    source = f"http://{HOST}/{ACCOUNT}/recordings/source"
    await client.send(
        "PUT",
        "/recordings/a?comp=lease",
        [("x-ms-lease-action", "acquire"), ("x-ms-lease-duration", "15"), ("x-ms-proposed-lease-id", OURS)],
    )
    fresh = ("if-none-match", "*")
    held, wrong = ("x-ms-lease-id", OURS), ("x-ms-lease-id", OTHER)
    assert (await client.put("a", b"2", [fresh])).code == "LeaseIdMissing"
    assert (await client.put("a", b"2", [fresh, wrong])).code == "LeaseIdMismatchWithBlobOperation"
    assert (
        await client.put("a", b"2", [held, ("if-match", '"0x8DEADBEEF000000"')])
    ).code == "ConditionNotMet"
    assert (await client.get("a")).body == b"1"
    assert (await client.put("a", b"2", [fresh, held])).status == 201
    assert (await copy(client, source, [fresh, held], "/recordings/a")).status == 202
    await stage(client, b"1", b"3", [held])
    assert (await commit(client, ("Latest", b"1"), headers=[fresh])).code == "LeaseIdMissing"
    assert (await commit(client, ("Latest", b"1"), headers=[fresh, held])).status == 201
    client.clock.advance(16)
    assert (await client.put("a", b"4", [fresh])).code == "BlobAlreadyExists"
    assert (await client.put("a", b"4", [fresh, held])).code == "BlobAlreadyExists"
    assert (await client.get("a")).body == b"3"


@pytest.mark.parametrize(("length", "status"), [(0, 200), (1, 200), (64, 200), (65, 400)])
async def test_a_stored_md5_has_at_most_64_bytes(client, length, status):
    await client.put("a", b"1")
    text = b64encode(bytes(length)).decode()
    answer = await client.send("PUT", "/recordings/a?comp=properties", [("x-ms-blob-content-md5", text)])
    assert (answer.status, answer.code) == (status, None if status == 200 else "InvalidMd5")


async def test_a_blob_that_exists_is_not_deleted_if_it_should_not_exist(client):
    """RFC 9110, section 13.1.2; an emulator deletes it."""
    await client.put("a", b"1")
    answer = await client.send("DELETE", "/recordings/a", [("if-none-match", "*")])
    assert (answer.status, answer.code) == (412, "ConditionNotMet")
    assert (await client.get("a")).body == b"1"
