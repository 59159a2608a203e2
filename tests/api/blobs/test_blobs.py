"""Reading and writing blobs over HTTP (docs/wire/blobs.md, sections 5.1, 5.3, 5.5 and 7)."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode

import pytest

from retain.api.blobs.request.operations import NOT_OFFERED
from retain.api.blobs.wire import crc64
from retain.api.blobs.wire.structured_body import framed_length
from retain.api.blobs.wire.times import http_date
from tests.api.blobs.test_blocks_and_copies import block_path
from tests.kit.blob_client import ACCOUNT, VERSION
from tests.kit.requests import make_request

CREATED = 1_767_225_600 * 10**9


def md5(data):
    return b64encode(hashlib.md5(data).digest()).decode()


async def test_a_blob_is_put_and_read_back(client):
    answer = await client.put("mytenant/a b+c.mp3", b"sound")
    assert (answer.status, answer.body) == (201, b"")
    assert answer.headers["content-md5"] == md5(b"sound")
    assert answer.headers["x-ms-request-server-encrypted"] == "true"
    found = await client.get("mytenant/a b+c.mp3")
    assert (found.status, found.body) == (200, b"sound")
    assert found.headers["etag"] == answer.headers["etag"]
    assert found.headers["last-modified"] == answer.headers["last-modified"]
    for name, value in {
        "accept-ranges": "bytes",
        "content-type": "application/octet-stream",
        "content-md5": md5(b"sound"),
        "x-ms-blob-type": "BlockBlob",
        "x-ms-lease-status": "unlocked",
        "x-ms-lease-state": "available",
        "x-ms-server-encrypted": "true",
        "x-ms-version": "2026-10-06",
        "x-content-type-options": "nosniff",
    }.items():
        assert found.headers[name] == value
    assert "x-ms-tag-count" not in found.headers


async def test_head_tells_the_tier_and_the_length(client):
    await client.put("a", b"12345", [("x-ms-tags", "k=v")])
    answer = await client.head("a")
    assert answer.status == 200
    assert answer.headers["x-ms-access-tier"] == "Hot"
    assert answer.headers["x-ms-access-tier-inferred"] == "true"
    assert answer.headers["x-ms-tag-count"] == "1"
    assert answer.headers["content-md5"] == md5(b"12345")


async def test_no_header_of_an_answer_crashes_the_python_client(client):
    """Its object-replication parser breaks on any name with the letters `or-` (docs/wire/blobs.md, section
    9)."""
    await client.put(
        "a", b"1", [("x-ms-tags", "k=v"), ("x-ms-meta-a", "1"), ("x-ms-blob-cache-control", "x")]
    )
    for answer in (await client.get("a"), await client.head("a")):
        assert not [name for name in answer.names if "or-" in name]


async def test_content_headers_are_kept_and_blank_ones_are_unset(client):
    sent = [
        ("content-type", "text/plain"),
        ("x-ms-blob-content-type", "audio/mpeg"),
        ("content-encoding", "identity"),
        ("x-ms-blob-content-encoding", ""),
        ("x-ms-blob-content-language", "de"),
        ("x-ms-blob-content-disposition", "attachment"),
        ("x-ms-blob-cache-control", "no-store"),
    ]
    await client.put("a", b"1", sent)
    headers = (await client.get("a")).headers
    assert headers["content-type"] == "audio/mpeg"
    assert headers["content-encoding"] == "identity"
    assert headers["content-language"] == "de"
    assert headers["content-disposition"] == "attachment"
    assert headers["cache-control"] == "no-store"


async def test_setting_one_content_header_clears_the_others(client):
    await client.put("a", b"1", [("x-ms-blob-content-language", "de")])
    answer = await client.send("PUT", "/recordings/a?comp=properties", [("x-ms-blob-content-type", "x/y")])
    assert answer.status == 200
    headers = (await client.get("a")).headers
    assert headers["content-type"] == "x/y"
    assert not {"content-language", "content-md5"} & headers.keys()
    assert headers["etag"] == answer.headers["etag"]


async def test_metadata_is_replaced_as_a_whole(client):
    first = await client.put("a", b"1", [("x-ms-meta-one", "1"), ("x-ms-meta-two", "2")])
    assert (await client.head("a")).headers["x-ms-meta-one"] == "1"
    answer = await client.send("PUT", "/recordings/a?comp=metadata", [("x-ms-meta-three", "3")])
    assert answer.status == 200
    assert answer.headers["etag"] != first.headers["etag"]
    for method in ("GET", "HEAD"):
        found = await client.send(method, "/recordings/a?comp=metadata")
        assert found.status == 200
        assert {n: v for n, v in found.headers.items() if n.startswith("x-ms-meta-")} == {
            "x-ms-meta-three": "3"
        }
        assert "content-type" not in found.headers


async def test_tags_change_neither_etag_nor_last_modified(client):
    first = await client.put("a", b"1", [("x-ms-tags", "a=1&b=x%20y")])
    client.clock.advance(10)
    found = await client.send("GET", "/recordings/a?comp=tags")
    assert found.texts("TagSet/Tag/Key") == ["a", "b"]
    body = b"<Tags><TagSet><Tag><Key>c</Key><Value>3</Value></Tag></TagSet></Tags>"
    answer = await client.send("PUT", "/recordings/a?comp=tags", [("content-md5", md5(body))], body)
    assert (answer.status, answer.body) == (204, b"")
    head = await client.head("a")
    assert head.headers["etag"] == first.headers["etag"]
    assert head.headers["last-modified"] == first.headers["last-modified"]
    assert (await client.send("GET", "/recordings/a?comp=tags")).texts("TagSet/Tag/Value") == ["3"]
    refused = await client.send("PUT", "/recordings/a?comp=tags", [("content-md5", md5(b"other"))], body)
    assert (refused.status, refused.code) == (400, "Md5Mismatch")


async def test_overwriting_replaces_content_metadata_properties_and_tags(client):
    await client.put(
        "a", b"1", [("x-ms-meta-one", "1"), ("x-ms-tags", "k=v"), ("x-ms-blob-content-language", "de")]
    )
    created = (await client.head("a")).headers["x-ms-creation-time"]
    client.clock.advance(10)
    await client.put("a", b"22")
    headers = (await client.head("a")).headers
    assert not {"x-ms-meta-one", "x-ms-tag-count", "content-language"} & headers.keys()
    assert headers["x-ms-creation-time"] == created == http_date(CREATED)
    assert headers["last-modified"] == http_date(CREATED + 10 * 10**9)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ([("content-md5", "k0DUvvcVv1f+wZXECIy9dw==")], 400, "Md5Mismatch"),
        ([("content-md5", "nonsense")], 400, "InvalidMd5"),
        ([("content-md5", "QUJD")], 400, "InvalidMd5"),
        ([("x-ms-blob-content-md5", "k0DUvvcVv1f+wZXECIy9dw==")], 400, "Md5Mismatch"),
        ([("x-ms-content-crc64", "AAAAAAAAAAA=")], 400, "Crc64Mismatch"),
        ([("x-ms-content-crc64", "QUJD")], 400, "InvalidHeaderValue"),
        (
            [("x-ms-content-crc64", "AAAAAAAAAAA="), ("content-md5", "x" * 22 + "==")],
            400,
            "BothCrc64AndMd5HeaderPresent",
        ),
        ([("x-ms-blob-type", "PageBlob")], 400, "InvalidHeaderValue"),
        ([("x-ms-access-tier", "Lukewarm")], 400, "InvalidHeaderValue"),
        ([("x-ms-tags", "a")], 400, "InvalidHeaderValue"),
        ([("x-ms-tags", "a=1&a=2")], 400, "DuplicateTagNames"),
        ([("x-ms-meta-a-b", "1")], 400, "InvalidMetadata"),
        ([("if-match", "*"), ("if-none-match", "*")], 400, "MultipleConditionHeadersNotSupported"),
        ([("if-match", "*")], 412, "ConditionNotMet"),
        ([("x-ms-if-tags", "a = '1'")], 412, "ConditionNotMet"),
        (
            [("x-ms-lease-id", "b9b08cc1-e388-4b09-ae39-000000000000")],
            412,
            "LeaseNotPresentWithBlobOperation",
        ),
    ],
)
@pytest.mark.parametrize("size", [3, 200_000])
async def test_a_refused_put_leaves_nothing(client, headers, status, code, size):
    answer = await client.put("a", b"x" * size, headers)
    assert (answer.status, answer.code) == (status, code)
    assert (await client.get("a")).code == "BlobNotFound"
    assert client.payload_files() == []


@pytest.mark.parametrize("tier", ["Hot", "Cool", "Cold", "Archive", "Smart"])
async def test_a_tier_is_kept_in_its_own_spelling(client, tier):
    assert (await client.put("a", b"x", [("x-ms-access-tier", tier.lower())])).status == 201
    assert (await client.get("a")).headers["x-ms-access-tier"] == tier


@pytest.mark.parametrize("tier", ["P4", "P10", "P80", "Premium", "Warm"])
async def test_a_tier_of_other_blobs_or_accounts_is_refused_with_the_reason(client, tier):
    await client.put("a", b"x")
    named = [("x-ms-access-tier", tier)]
    for answer in (
        await client.put("b", b"x", named),
        await client.send("PUT", "/recordings/a?comp=tier", named),
    ):
        assert (answer.status, answer.code) == (400, "InvalidHeaderValue")
        assert "Hot, Cool, Cold, Archive or Smart" in answer.xml.findtext("Reason")
    assert (await client.head("a")).headers["x-ms-access-tier"] == "Hot"


@pytest.mark.parametrize("tags", ["a", "a=%zz", "a=%ff"])
async def test_a_refused_header_is_named_with_its_value(client, tags):
    answer = await client.put("a", b"x", [("x-ms-tags", tags)])
    assert answer.code == "InvalidHeaderValue"
    assert (answer.xml.findtext("HeaderName"), answer.xml.findtext("HeaderValue")) == ("x-ms-tags", tags)


async def test_mismatches_name_both_sums(client):
    answer = await client.put("a", b"abc", [("content-md5", md5(b"other"))])
    assert answer.xml.findtext("UserSpecifiedMd5") == md5(b"other")
    assert answer.xml.findtext("ServerCalculatedMd5") == md5(b"abc")


async def test_a_crc64_is_checked_and_answered(client):
    total = crc64.encode(crc64.crc64(b"abc"))
    answer = await client.put("a", b"abc", [("x-ms-content-crc64", total)])
    assert (answer.status, answer.headers["x-ms-content-crc64"]) == (201, total)
    assert answer.headers["content-md5"] == md5(b"abc")
    wrong = crc64.encode(crc64.crc64(b"abd"))
    assert (await client.put("a", b"abc", [("x-ms-content-crc64", wrong)])).code == "Crc64Mismatch"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ([], 400, "MissingRequiredHeader"),
        ([("x-ms-blob-type", "PageBlob")], 501, "NotImplemented"),
        ([("x-ms-blob-type", "AppendBlob")], 501, "NotImplemented"),
        ([("x-ms-blob-type", "PageBlob"), ("x-ms-blob-content-length", "512")], 501, "NotImplemented"),
        ([("x-ms-blob-type", "Other")], 400, "InvalidHeaderValue"),
    ],
)
async def test_only_block_blobs_live_here(client, headers, status, code):
    answer = await client.send("PUT", "/recordings/a", headers, b"1")
    assert (answer.status, answer.code) == (status, code)


async def test_a_length_is_mandatory(client):
    token = client.service_sas("w")
    headers = [("transfer-encoding", "chunked"), ("x-ms-blob-type", "BlockBlob")]
    answer = await client.raw("PUT", f"/tenant/recordings/a?{token}", headers, b"1")
    assert (answer.status, answer.code) == (411, "MissingContentLengthHeader")


@pytest.mark.parametrize(
    ("version", "limit"),
    [("2015-12-11", 64), ("2018-11-09", 256), ("2019-12-12", 5000), ("2026-10-06", 5000)],
)
async def test_the_size_of_a_put_is_limited_by_version(client, version, limit):
    token = client.service_sas("w")
    size = limit * 1024 * 1024 + 1
    headers = [("content-length", str(size)), ("x-ms-blob-type", "BlockBlob"), ("x-ms-version", version)]
    answer = await client.raw("PUT", f"/tenant/recordings/a?{token}", headers, b"1")
    assert (answer.status, answer.code) == (413, "RequestBodyTooLarge")
    assert answer.xml.findtext("MaxLimit") == str(size - 1)


@pytest.mark.parametrize("size", [10, 300_000])
async def test_ranges(client, size):
    data = bytes(number % 251 for number in range(size))
    await client.put("a", data)
    for header, start, stop in [
        ("bytes=0-4", 0, 5),
        ("bytes=3-", 3, size),
        (f"bytes=0-{size + 5}", 0, size),
        (f"bytes={size - 1}-{size - 1}", size - 1, size),
    ]:
        for name in ("range", "x-ms-range"):
            answer = await client.get("a", [(name, header)])
            assert (answer.status, answer.body) == (206, data[start:stop])
            assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
            assert "content-md5" not in answer.headers
            assert answer.headers["x-ms-blob-content-md5"] == md5(data)
    for header in ("bytes=-3", "bytes=5-4", "bytes=0-1,3-4", "lines=1-2", "garbage"):
        answer = await client.get("a", [("x-ms-range", header)])
        assert (answer.status, answer.body) == (200, data)
    answer = await client.get("a", [("x-ms-range", "bytes=0-1"), ("range", "bytes=4-5")])
    assert answer.body == data[0:2]
    answer = await client.get("a", [("range", f"bytes={size}-")])
    assert (answer.status, answer.code) == (416, "InvalidRange")
    assert answer.headers["content-range"] == f"bytes */{size}"


async def test_an_empty_blob_has_no_range_but_a_whole(client):
    await client.put("a", b"")
    assert (await client.get("a", [("x-ms-range", "bytes=0-33554431")])).status == 416
    answer = await client.get("a")
    assert (answer.status, answer.body, answer.headers["content-md5"]) == (200, b"", md5(b""))


async def test_a_range_has_its_own_checksum_on_request(client):
    data = bytes(5_000_000)
    await client.put("a", data)
    part = [("x-ms-range", "bytes=1-4194304")]
    answer = await client.get("a", [*part, ("x-ms-range-get-content-md5", "true")])
    assert answer.headers["content-md5"] == md5(data[1:4194305])
    answer = await client.get("a", [("range", "bytes=1-9"), ("x-ms-range-get-content-crc64", "true")])
    assert answer.headers["x-ms-content-crc64"] == crc64.encode(crc64.crc64(data[1:10]))
    for headers in (
        [("x-ms-range-get-content-md5", "true")],
        [("x-ms-range", "bytes=0-4194304"), ("x-ms-range-get-content-md5", "true")],
        [*part, ("x-ms-range-get-content-md5", "true"), ("x-ms-range-get-content-crc64", "true")],
    ):
        assert (await client.get("a", headers)).code == "InvalidHeaderValue"


@pytest.mark.parametrize("size", [0, 10, 70_000])
async def test_a_structured_body_is_framed_both_ways(client, size):
    form = "XSM/1.0; properties=crc64"
    data = bytes(number % 251 for number in range(size))
    await client.put("a", data)
    answer = await client.get("a", [("x-ms-structured-body", form)])
    assert answer.headers["x-ms-structured-body"] == form
    assert answer.headers["x-ms-structured-content-length"] == str(size)
    assert len(answer.body) == framed_length(size)
    sent = [("x-ms-structured-body", form), ("x-ms-structured-content-length", str(size))]
    again = await client.put("b", answer.body, sent)
    assert again.status == 201, again.body
    assert again.headers["x-ms-content-crc64"] == crc64.encode(crc64.crc64(data))
    assert again.headers["x-ms-structured-body"] == form
    assert (await client.get("b")).body == data
    staged = await client.send("PUT", block_path(b"1"), sent, answer.body)
    assert staged.headers["x-ms-structured-body"] == form
    assert staged.headers["x-ms-content-crc64"] == crc64.encode(crc64.crc64(data))
    assert "content-md5" not in staged.headers
    for at in range(0, len(answer.body), max(1, len(answer.body) // 12)):
        broken = bytearray(answer.body)
        broken[at] ^= 1
        refused = await client.put("c", bytes(broken), sent)
        assert refused.code in ("Crc64Mismatch", "InvalidInput")
    for wrong in (answer.body[:-1], answer.body + b"x"):
        assert (await client.put("c", wrong, sent)).code == "InvalidInput"
    assert (await client.get("c")).code == "BlobNotFound"
    for headers, named in (
        ([("x-ms-structured-body", "XSM/2.0")], "x-ms-structured-body"),
        ([sent[0]], "x-ms-structured-content-length"),
        ([sent[0], ("x-ms-structured-content-length", "x")], "x-ms-structured-content-length"),
    ):
        refused = await client.put("c", answer.body, headers)
        assert (refused.code, refused.xml.findtext("HeaderName")) == ("InvalidHeaderValue", named)
    assert (await client.get("a", [("x-ms-structured-body", "XSM/2.0")])).code == "InvalidHeaderValue"


async def test_an_md5_beside_a_frame_is_the_one_of_the_message(client):
    data = b"content"
    form = ("x-ms-structured-body", "XSM/1.0; properties=crc64")
    await client.put("a", data)
    message = (await client.get("a", [form])).body
    sent = [form, ("x-ms-structured-content-length", str(len(data)))]
    assert (await client.put("b", message, [*sent, ("content-md5", md5(data))])).code == "Md5Mismatch"
    assert (await client.put("b", message, [*sent, ("content-md5", md5(message))])).status == 201
    assert (await client.head("b")).headers["content-md5"] == md5(data)


@pytest.mark.parametrize("form", [None, "XSM/1.0; properties=crc64", "XSM/2.0"])
@pytest.mark.parametrize("chunks", [0, 1, 2])
async def test_an_answer_nobody_reads_to_its_end_gives_back_its_file_and_its_place(client, form, chunks):
    size = 3 << 20
    await client.put("a", bytes(size))
    before, places = len(client.disk.open_files), client.engine._limits._free
    headers = [("x-ms-structured-body", form)] if form else []
    token = client.service_sas("r")
    request = make_request("GET", f"/{ACCOUNT}/recordings/a?{token}", [("x-ms-version", VERSION), *headers])
    response = await client.interface.handle(request)
    assert response.status == (400 if form == "XSM/2.0" else 200)
    if response.status == 200:
        for _ in range(chunks):
            await anext(response.body)
        await response.body.aclose()
    assert client.engine._limits._free == places
    assert len(client.disk.open_files) <= before + 1  # one handle is kept for all readers of the file
    await client.send("DELETE", "/recordings/a")
    await client.engine.sweep()
    # Each follower keeps handles of its own, at most 64, until it reads other files.
    followers = bool(os.environ.get("RETAIN_FOLLOWERS"))
    assert len(client.disk.open_files) in (before, before + followers)


async def test_conditions_of_reads_and_writes(client):
    etag = (await client.put("a", b"1")).headers["etag"]
    assert (await client.get("a", [("if-match", etag)])).status == 200
    answer = await client.get("a", [("if-none-match", etag)])
    assert (answer.status, answer.body, answer.code) == (304, b"", "ConditionNotMet")
    assert (await client.get("a", [("if-match", '"0x8D91C20AE6F18A7"')])).status == 412
    answer = await client.put("a", b"2", [("if-none-match", "*")])
    assert (answer.status, answer.code) == (409, "BlobAlreadyExists")
    assert (await client.put("a", b"2", [("if-match", etag)])).status == 201
    assert (await client.put("a", b"3", [("if-match", etag)])).code == "ConditionNotMet"
    answer = await client.send("PUT", "/recordings/a?comp=metadata", [("if-none-match", "*")])
    assert (answer.status, answer.code) == (412, "ConditionNotMet")
    assert (await client.send("DELETE", "/recordings/a", [("if-match", etag)])).status == 412


async def test_delete(client):
    await client.put("a")
    answer = await client.send("DELETE", "/recordings/a", [("x-ms-delete-snapshots", "only")])
    assert answer.code == "BlobNotFound"
    answer = await client.send("DELETE", "/recordings/a", [("x-ms-delete-snapshots", "never")])
    assert answer.code == "InvalidHeaderValue"
    answer = await client.send("DELETE", "/recordings/a", [("x-ms-delete-snapshots", "include")])
    assert (answer.status, answer.headers["x-ms-delete-type-permanent"]) == (202, "true")
    for method in ("GET", "HEAD", "DELETE"):
        answer = await client.send(method, "/recordings/a")
        assert (answer.status, answer.code) == (404, "BlobNotFound")
    assert (await client.get("a", container="nothing")).code == "ContainerNotFound"


async def test_a_blob_is_gone_after_its_retention(client):
    await client.put("a", b"x" * 100_000)
    client.clock.advance(30 * 86400 - 1)
    assert (await client.get("a")).status == 200
    client.clock.advance(1.001)  # the write is dated some ticks after its clock, so that every ETag differs
    assert (await client.get("a")).code == "BlobNotFound"
    await client.engine.sweep()


async def test_snapshots_and_versions_do_not_exist(client):
    await client.put("a")
    for parameter in ("snapshot=2026-01-01T00:00:00.0000000Z", "versionid=2026-01-01T00:00:00.0000000Z"):
        for method in ("GET", "HEAD", "DELETE"):
            assert (await client.send(method, f"/recordings/a?{parameter}")).code == "BlobNotFound"
    assert (await client.get("a")).status == 200


@pytest.mark.parametrize(
    "comp", ["snapshot", "page", "appendblock", "undelete", "expiry", "seal", "legalhold"]
)
async def test_what_is_not_offered_says_so(client, comp):
    answer = await client.send("PUT", f"/recordings/a?comp={comp}")
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert answer.xml.findtext("Reason") == NOT_OFFERED[comp]


async def test_the_tier_is_kept(client):
    await client.put("a", b"1", [("x-ms-access-tier", "cool")])
    headers = (await client.head("a")).headers
    assert headers["x-ms-access-tier"] == "Cool"
    assert "x-ms-access-tier-inferred" not in headers
    assert "x-ms-access-tier-change-time" not in headers
    answer = await client.send("GET", "/recordings?restype=container&comp=list")
    assert answer.texts(".//AccessTier") == ["Cool"]
    assert answer.texts(".//AccessTierInferred") == answer.texts(".//AccessTierChangeTime") == []
    client.clock.advance(5)
    answer = await client.send("PUT", "/recordings/a?comp=tier", [("x-ms-access-tier", "Archive")])
    assert answer.status == 200
    headers = (await client.head("a")).headers
    assert headers["x-ms-access-tier-change-time"] == http_date(CREATED + 5 * 10**9)
    assert (await client.send("PUT", "/recordings/a?comp=tier")).code == "MissingRequiredHeader"


async def test_a_blob_without_a_container_lies_in_root(client):
    await client.create("$root")
    answer = await client.send("PUT", "/single", [("x-ms-blob-type", "BlockBlob")], b"1")
    assert answer.status == 201
    assert (await client.get("single", container="$root")).body == b"1"


async def test_names_in_urls_are_decoded_once(client):
    for path in ("/recordings/a%2Fb", "/recordings/a/b"):
        assert (await client.send("PUT", path, [("x-ms-blob-type", "BlockBlob")], b"1")).status == 201
    assert (
        await client.send("PUT", "/recordings/a%252Fb", [("x-ms-blob-type", "BlockBlob")], b"2")
    ).status == 201
    listed = await client.send("GET", "/recordings?restype=container&comp=list")
    assert listed.texts("Blobs/Blob/Name") == ["a%2Fb", "a/b"]
    for path in ("/recordings/%zz", "/recordings/%ff", "/recordings/a%00b"):
        assert (await client.send("GET", path)).code == "InvalidUri"
