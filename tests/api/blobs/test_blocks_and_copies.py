"""Blobs made of blocks, and copies inside the server (docs/wire/blobs.md, sections 5.1 and 5.2)."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from urllib.parse import quote
from uuid import UUID

import pytest

from retain.api.blobs.wire import crc64
from retain.api.blobs.wire.times import http_date
from tests.kit.blob_client import HOST, readable


def md5(data):
    return b64encode(hashlib.md5(data).digest()).decode()


def block_path(identity, name="a"):
    return f"/recordings/{name}?comp=block&blockid={quote(b64encode(identity).decode(), safe='')}"


def block_list(*blocks):
    inner = "".join(f"<{kind}>{b64encode(identity).decode()}</{kind}>" for kind, identity in blocks)
    return f'<?xml version="1.0" encoding="utf-8"?><BlockList>{inner}</BlockList>'.encode()


async def stage(client, identity, data, headers=(), **more):
    return await client.send("PUT", block_path(identity), headers, data, **more)


async def commit(client, *blocks, headers=(), **more):
    return await client.send("PUT", "/recordings/a?comp=blocklist", headers, block_list(*blocks), **more)


async def listed(client, kind="all"):
    answer = await client.send("GET", f"/recordings/a?comp=blocklist&blocklisttype={kind}")
    return answer, [
        [(b.findtext("Name"), int(b.findtext("Size"))) for b in answer.xml.iterfind(f"{name}/Block")]
        for name in ("CommittedBlocks", "UncommittedBlocks")
    ]


async def test_blocks_become_a_blob_in_the_order_of_the_list(client):
    for identity, data in ((b"2", b"world"), (b"1", b"hello "), (b"3", b"never")):
        answer = await stage(client, identity, data, [("content-md5", md5(data))])
        assert (answer.status, answer.headers["content-md5"]) == (201, md5(data))
        assert not {"etag", "last-modified"} & answer.headers.keys()
    assert (await client.get("a")).code == "BlobNotFound"
    answer, blocks = await listed(client)
    assert blocks == [[], [("MQ==", 6), ("Mg==", 5), ("Mw==", 5)]]
    assert "etag" not in answer.headers
    body = block_list(("Latest", b"1"), ("Uncommitted", b"2"), ("Latest", b"1"))
    answer = await client.send("PUT", "/recordings/a?comp=blocklist", [("x-ms-meta-m", "1")], body)
    assert (answer.status, answer.headers["content-md5"]) == (201, md5(body))
    found = await client.get("a")
    assert found.body == b"hello worldhello "
    assert found.headers["content-type"] == "application/octet-stream"
    assert "content-md5" not in found.headers
    assert "content-md5" not in (await client.head("a")).headers
    answer, blocks = await listed(client)
    assert blocks == [[("MQ==", 6), ("Mg==", 5), ("MQ==", 6)], []]
    assert answer.headers["x-ms-blob-content-length"] == "17"
    assert answer.headers["etag"] == found.headers["etag"]
    assert b"Uncommitted" not in (await listed(client, "committed"))[0].body
    assert b"<Committed" not in (await listed(client, "uncommitted"))[0].body


async def test_headers_of_a_block_list_are_those_of_the_blob_and_blank_ones_are_unset(client):
    await stage(client, b"1", b"x")
    headers = [
        ("content-type", "text/plain; charset=UTF-8"),
        ("x-ms-blob-content-type", "audio/mpeg"),
        ("x-ms-blob-content-encoding", ""),
        ("x-ms-blob-content-md5", md5(b"anything at all")),
        ("x-ms-tags", "k=v"),
    ]
    await commit(client, ("Latest", b"1"), headers=headers)
    found = await client.get("a")
    assert found.headers["content-type"] == "audio/mpeg"
    assert found.headers["content-md5"] == md5(b"anything at all")
    assert found.headers["x-ms-tag-count"] == "1"
    assert "content-encoding" not in found.headers


async def test_ranges_cross_blocks(client):
    data = bytes(number % 251 for number in range(300_000))
    for number in range(3):
        await stage(client, b"%d" % number, data[number * 100_000 : (number + 1) * 100_000])
    await commit(client, *(("Latest", b"%d" % number) for number in range(3)))
    for start, stop in ((0, 300_000), (99_999, 100_001), (150_000, 250_000), (299_999, 300_000), (0, 1)):
        answer = await client.get("a", [("x-ms-range", f"bytes={start}-{stop - 1}")])
        assert answer.body == data[start:stop]


async def test_an_empty_list_makes_an_empty_blob(client):
    assert (await commit(client)).status == 201
    assert (await client.get("a")).body == b""


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("?comp=block", b"1", 400, "MissingRequiredQueryParameter"),
        ("?comp=block&blockid=%21", b"1", 400, "InvalidQueryParameterValue"),
        (f"?comp=block&blockid={quote(b64encode(b'x' * 65).decode())}", b"1", 400, "OutOfRangeInput"),
        ("?comp=block&blockid=QUJD", b"1", 400, "InvalidBlobOrBlock"),
        ("?comp=blocklist", b"<BlockList>", 400, "InvalidXmlDocument"),
        ("?comp=blocklist", block_list(("Latest", b"9")), 400, "InvalidBlockList"),
        ("?comp=blocklist", block_list(("Committed", b"1")), 400, "InvalidBlockList"),
        ("?comp=blocklist", block_list(*[("Latest", b"1")] * 50_001), 400, "BlockListTooLong"),
    ],
)
async def test_what_is_refused_of_blocks(client, path, body, status, code):
    await stage(client, b"1", b"x")
    answer = await client.send("PUT", f"/recordings/a{path}", [], body)
    assert (answer.status, answer.code) == (status, code)


async def test_the_body_of_a_list_is_held_against_its_md5(client):
    answer = await commit(client, headers=[("content-md5", md5(b"other"))])
    assert answer.code == "Md5Mismatch"
    assert (await stage(client, b"1", b"x", [("content-md5", md5(b"y"))])).code == "Md5Mismatch"
    assert (await client.send("GET", "/recordings/a?comp=blocklist&blocklisttype=none")).status == 400


async def test_conditions_of_a_block_list(client):
    etag = (await client.put("a", b"x", [("x-ms-tags", "k=v")])).headers["etag"]
    for headers, status in (
        ([("if-match", etag)], 200),
        ([("x-ms-if-tags", "k = 'v'")], 200),
        ([("if-match", '"0x8"')], 412),
        ([("x-ms-if-tags", "k <> 'v'")], 412),
    ):
        answer = await client.send("GET", "/recordings/a?comp=blocklist", headers)
        assert (headers, answer.status) == (headers, status)
        assert answer.code == (None if status == 200 else "ConditionNotMet")


async def test_a_blob_with_staged_blocks_only_is_listed_on_request(client):
    await stage(client, b"1", b"x")
    path = "/recordings?restype=container&comp=list"
    assert (await client.send("GET", path)).texts("Blobs/Blob/Name") == []
    assert (await client.send("GET", f"{path}&include=uncommittedblobs")).texts("Blobs/Blob/Name") == ["a"]


async def test_the_size_of_a_block_is_limited_by_version(client):
    for version, limit in (("2015-12-11", 4), ("2018-11-09", 100), ("2020-02-10", 4000)):
        size = limit * 1024 * 1024 + 1
        headers = [("content-length", str(size)), ("x-ms-version", version)]
        target = f"/tenant{block_path(b'1')}&{client.service_sas('w')}"
        answer = await client.raw("PUT", target, headers, b"1")
        assert (answer.code, answer.xml.findtext("MaxLimit")) == ("RequestBodyTooLarge", str(size - 1))


SOURCE = f"http://{HOST}/tenant/recordings/a"
PUT = ("x-ms-blob-type", "BlockBlob")


async def copy(client, source=None, headers=(), target="/recordings/b", **more):
    if source is None:
        source = readable("a") if PUT in headers or "comp=block" in target else SOURCE
    return await client.send("PUT", target, [("x-ms-copy-source", source), *headers], **more)


@pytest.mark.parametrize("size", [0, 5, 300_000])
async def test_a_copy_finishes_at_once_and_can_be_polled(client, size):
    data = bytes(number % 251 for number in range(size))
    await client.put(
        "a", data, [("x-ms-meta-m", "1"), ("x-ms-tags", "k=v"), ("x-ms-blob-content-language", "de")]
    )
    answer = await copy(client)
    assert (answer.status, answer.headers["x-ms-copy-status"]) == (202, "success")
    assert "content-md5" not in answer.headers
    found = await client.get("b")
    assert found.body == data
    assert found.headers["etag"] == answer.headers["etag"]
    for name, value in {
        "x-ms-copy-id": answer.headers["x-ms-copy-id"],
        "x-ms-copy-status": "success",
        "x-ms-copy-progress": f"{size}/{size}",
        "x-ms-copy-source": SOURCE,
        "x-ms-copy-completion-time": http_date(client.engine.now()),
        "x-ms-meta-m": "1",
        "content-language": "de",
        "content-md5": md5(data),
    }.items():
        assert found.headers[name] == value
    assert "x-ms-tag-count" not in found.headers
    await client.send("PUT", "/recordings/b?comp=metadata")
    assert "x-ms-copy-id" not in (await client.head("b")).headers


async def test_a_copy_takes_its_own_metadata_and_tags(client):
    await client.put("a", b"1", [("x-ms-meta-m", "1"), ("x-ms-tags", "k=v")])
    await copy(client, headers=[("x-ms-meta-n", "2"), ("x-ms-tags", "x=y")])
    headers = (await client.head("b")).headers
    assert "x-ms-meta-m" not in headers
    assert headers["x-ms-meta-n"] == "2"
    await copy(client, headers=[("x-ms-requires-sync", "true"), ("x-ms-copy-source-tag-option", "COPY")])
    assert (await client.send("GET", "/recordings/b?comp=tags")).texts("TagSet/Tag/Key") == ["k"]
    answer = await copy(client, headers=[("x-ms-copy-source-tag-option", "MERGE")])
    assert answer.code == "InvalidHeaderValue"


async def test_put_blob_from_url(client):
    await client.put("a", b"1", [("x-ms-blob-content-language", "de")])
    answer = await copy(client, headers=[("x-ms-blob-type", "BlockBlob"), ("x-ms-blob-content-type", "x/y")])
    assert (answer.status, answer.headers["content-md5"]) == (201, md5(b"1"))
    found = await client.get("b")
    assert (found.headers["content-type"], found.headers["content-language"]) == ("x/y", "de")
    assert "x-ms-copy-id" not in found.headers


async def test_what_a_target_refuses_is_worded_by_the_operation(client):
    etag = (await client.put("a", b"1")).headers["etag"]
    await client.put("b", b"2")
    put = ("x-ms-blob-type", "BlockBlob")
    for headers, code in (
        ([put, ("if-match", etag)], "ConditionNotMet"),
        ([("if-match", etag)], "TargetConditionNotMet"),
        ([("x-ms-lease-id", str(UUID(int=1)))], "LeaseNotPresentWithBlobOperation"),
    ):
        answer = await copy(client, headers=headers)
        assert (answer.status, answer.code) == (412, code)
    assert (await client.get("b")).body == b"2"


async def test_a_long_source_is_copied_only_by_who_can_wait_for_it(client, monkeypatch):
    monkeypatch.setattr("retain.api.blobs.routes.copy.MAX_SYNC", 10)
    await client.put("a", b"x" * 11)
    answer = await copy(client, headers=[("x-ms-requires-sync", "true")])
    assert (answer.status, answer.code) == (413, "RequestBodyTooLarge")
    assert answer.xml.findtext("MaxLimit") == "10"
    assert (await copy(client)).status == 202


async def test_put_block_from_url(client):
    await client.put("a", b"0123456789")
    headers = [("x-ms-copy-source", readable("a")), ("x-ms-source-range", "bytes=2-5")]
    summed = ("x-ms-source-content-md5", md5(b"2345"))
    answer = await client.send("PUT", block_path(b"1", "b"), [*headers, summed])
    assert (answer.status, answer.headers["content-md5"]) == (201, md5(b"2345"))
    for wrong, code in (("bytes=20-", "InvalidRange"), ("bytes=-3", "InvalidHeaderValue")):
        answer = await client.send("PUT", block_path(b"1", "b"), [headers[0], ("x-ms-source-range", wrong)])
        assert answer.code == code


async def test_a_copy_onto_itself(client):
    await client.put("a", b"x" * 100_000, [("x-ms-meta-m", "1")])
    assert (await copy(client, target="/recordings/a", headers=[("x-ms-meta-n", "2")])).status == 202
    found = await client.get("a")
    assert found.body == b"x" * 100_000
    assert found.headers["x-ms-meta-n"] == "2"
    await client.engine.sweep()
    assert len(client.payload_files()) >= 1


async def test_conditions_of_a_copy(client):
    etag = (await client.put("a", b"1")).headers["etag"]
    assert (await copy(client, headers=[("x-ms-source-if-match", etag)])).status == 202
    for headers, status, code in (
        ([("x-ms-source-if-none-match", etag)], 412, "SourceConditionNotMet"),
        ([("x-ms-source-if-tags", "k = 'v'")], 412, "ConditionNotMet"),
        (
            [("x-ms-source-if-none-match", etag), ("x-ms-source-if-tags", "k = 'v'")],
            412,
            "SourceConditionNotMet",
        ),
        ([("x-ms-if-tags", "k = 'v'")], 412, "ConditionNotMet"),
        ([("if-match", etag)], 412, "TargetConditionNotMet"),
        ([("if-none-match", "*")], 409, "BlobAlreadyExists"),
    ):
        answer = await copy(client, headers=headers)
        assert (answer.status, answer.code) == (status, code)


async def test_the_source_of_a_copy_must_be_here_and_readable(client):
    await client.put("a", b"1")
    read, write = client.service_sas("r"), client.service_sas("w")
    await client.create("other")
    for source, status, code in (
        (f"http://{HOST}/tenant/recordings/none", 404, "CannotVerifyCopySource"),
        (f"http://{HOST}/tenant/nothing/a", 404, "CannotVerifyCopySource"),
        (f"http://{HOST}/nobody/recordings/a", 404, "CannotVerifyCopySource"),
        ("http://elsewhere.test/tenant/recordings/a", 404, "CannotVerifyCopySource"),
        ("http://retain.test:8081/tenant/recordings/a", 404, "CannotVerifyCopySource"),
        (f"http://{HOST}/second/recordings/a", 401, "CannotVerifyCopySource"),
        (f"{SOURCE}?{write}", 403, "CannotVerifyCopySource"),
        (f"{SOURCE}?{read}0", 403, "CannotVerifyCopySource"),
        ("file:///etc/passwd", 400, "InvalidHeaderValue"),
        (f"http://user@{HOST}/tenant/recordings/a", 400, "InvalidHeaderValue"),
        (f"http://{HOST}/tenant", 400, "InvalidHeaderValue"),
        (f"http://{HOST}/tenant/recordings/%zz", 400, "InvalidHeaderValue"),
        ("http://[::1/tenant/recordings/a", 400, "InvalidHeaderValue"),
        ("nonsense", 400, "InvalidHeaderValue"),
    ):
        answer = await copy(client, source)
        assert (source, answer.status, answer.code) == (source, status, code)
    assert (await copy(client, f"{SOURCE}?{read}")).status == 202
    assert read not in (await client.head("b")).headers["x-ms-copy-source"]


@pytest.mark.parametrize("target", ["/recordings/b", "/recordings/b?comp=block&blockid=QQ%3D%3D"])
async def test_what_is_put_from_a_url_is_read_as_by_any_client(client, target):
    etag = (await client.put("a", b"1")).headers["etag"]
    kind = [] if "?" in target else [PUT]
    answer = await copy(client, SOURCE, kind, target)
    assert (answer.status, answer.code) == (401, "CannotVerifyCopySource")
    assert answer.headers["x-ms-copy-source-error-code"] == "NoAuthenticationInformation"
    for header in (("x-ms-source-if-none-match", etag), ("x-ms-source-if-match", '"0x1"')):
        answer = await copy(client, None, [*kind, header], target)
        assert (answer.status, answer.code) == (412, "CannotVerifyCopySource")
        assert answer.headers["x-ms-copy-source-status-code"] == "412"
        assert answer.headers["x-ms-copy-source-error-code"] == "ConditionNotMet"
    assert (await copy(client, None, [*kind, ("x-ms-source-if-match", etag)], target)).status == 201


async def test_a_token_reads_no_source_without_a_token_of_its_own(client):
    await client.put("a", b"1")
    token, read = client.service_sas("w"), client.service_sas("r")
    answer = await copy(client, sas=token)
    assert (answer.status, answer.code) == (401, "CannotVerifyCopySource")
    assert (await copy(client, f"{SOURCE}?{read}", sas=token)).status == 202
    assert (await copy(client, f"{SOURCE}?{token}", sas=token)).status == 403


async def test_a_token_that_creates_copies_to_new_names_only(client):
    await client.put("a", b"1")
    token, read = client.service_sas("c"), client.service_sas("r")
    assert (await copy(client, f"{SOURCE}?{read}", sas=token)).status == 202
    answer = await copy(client, f"{SOURCE}?{read}", sas=token)
    assert (answer.status, answer.code) == (403, "UnauthorizedBlobOverwrite")


async def test_no_copy_is_ever_pending(client):
    await client.put("a", b"1")
    answer = await client.send("PUT", "/recordings/a?comp=copy&copyid=1", [("x-ms-copy-action", "abort")])
    assert (answer.status, answer.code) == (409, "NoPendingCopyOperation")


async def test_put_blob_from_url_replaces_the_headers_that_it_names(client):
    content = [
        ("x-ms-blob-content-language", "de"),
        ("x-ms-blob-content-disposition", "attachment"),
        ("x-ms-blob-content-type", "a/b"),
    ]
    await client.put("a", b"1", content)
    named = [PUT, ("x-ms-blob-cache-control", "no-store"), ("x-ms-blob-content-disposition", "inline")]
    assert (await copy(client, headers=named)).status == 201
    found = (await client.get("b")).headers
    kept = ("content-type", "content-language", "content-disposition", "cache-control")
    assert [found.get(name) for name in kept] == ["a/b", "de", "inline", "no-store"]
    alone = [*named, ("x-ms-copy-source-blob-properties", "false")]
    assert (await copy(client, headers=alone)).status == 201
    found = (await client.get("b")).headers
    assert [found.get(name) for name in kept] == ["application/octet-stream", None, "inline", "no-store"]
    answer = await copy(client, headers=[PUT, ("x-ms-copy-source-blob-properties", "perhaps")])
    assert (answer.status, answer.code) == (400, "InvalidHeaderValue")


@pytest.mark.parametrize("kind", ["PageBlob", "AppendBlob", "OtherBlob"])
async def test_put_blob_from_url_makes_block_blobs_only(client, kind):
    await client.put("a", b"1")
    answer = await copy(client, headers=[("x-ms-blob-type", kind)])
    assert answer.code == ("InvalidHeaderValue" if kind == "OtherBlob" else "NotImplemented")
    assert (await client.get("b")).status == 404


@pytest.mark.parametrize("target", ["/recordings/b", "/recordings/b?comp=block&blockid=QQ%3D%3D"])
async def test_a_source_is_held_against_its_checksums(client, target):
    await client.put("a", b"1" * 100_000)
    first = [PUT] if "?" not in target else []
    right = crc64.encode(crc64.crc64(b"1" * 100_000))
    for header, value, code in (
        ("x-ms-source-content-md5", md5(b"2"), "Md5Mismatch"),
        ("x-ms-source-content-md5", "short", "InvalidMd5"),
        ("x-ms-source-content-crc64", crc64.encode(1), "Crc64Mismatch"),
        ("x-ms-source-content-crc64", "short", "InvalidHeaderValue"),
        ("x-ms-source-content-crc64", right, None),
    ):
        answer = await copy(client, headers=[*first, (header, value)], target=target)
        assert (answer.status, answer.code) == (400 if code else 201, code)


async def test_a_whole_blobs_md5_is_checked_when_it_is_put_from_a_url(client):
    await client.put("a", b"1")
    answer = await copy(client, headers=[PUT, ("x-ms-blob-content-md5", md5(b"2"))])
    assert (answer.status, answer.code) == (400, "Md5Mismatch")
    assert (await copy(client, headers=[PUT, ("x-ms-blob-content-md5", md5(b"1"))])).status == 201


async def test_a_source_may_be_named_with_its_lease(client):
    await client.put("a", b"1")
    lease = str(UUID(int=5))
    own = [("x-ms-lease-action", "acquire"), ("x-ms-lease-duration", "60"), ("x-ms-proposed-lease-id", lease)]
    assert (await client.send("PUT", "/recordings/a?comp=lease", own)).status == 201
    for value, status in ((str(UUID(int=6)), 412), (lease, 202)):
        answer = await copy(client, headers=[("x-ms-source-lease-id", value)])
        assert answer.status == status
    assert answer.code is None


@pytest.mark.parametrize("first", [[], [PUT]])
async def test_tags_are_copied_or_given_never_both(client, first):
    await client.put("a", b"1", [("x-ms-tags", "k=v")])
    answer = await copy(
        client, headers=[*first, ("x-ms-copy-source-tag-option", "COPY"), ("x-ms-tags", "a=b")]
    )
    assert (answer.status, answer.code) == (409, "BothUserTagsAndSourceTagsCopyPresentException")
    given = [*first, ("x-ms-copy-source-tag-option", "REPLACE"), ("x-ms-tags", "a=b")]
    assert (await copy(client, headers=given)).status < 300
    assert (await client.send("GET", "/recordings/b?comp=tags")).texts("TagSet/Tag/Key") == ["a"]


async def test_the_type_of_a_block_list_is_not_the_blobs(client):
    """Nor are its language, its encoding and its cache control: only `x-ms-blob-` headers are."""
    await client.send("PUT", block_path(b"1", "b"), [], b"x")
    own = [
        ("content-type", "text/xml"),
        ("content-language", "de"),
        ("content-encoding", "gzip"),
        ("cache-control", "no-store"),
    ]
    body = block_list(("Latest", b"1"))
    assert (await client.send("PUT", "/recordings/b?comp=blocklist", own, body)).status == 201
    found = (await client.head("b")).headers
    assert found["content-type"] == "application/octet-stream"
    assert not {"content-language", "content-encoding", "cache-control"} & found.keys()


async def test_a_copys_source_is_here_under_each_name_that_the_request_uses(client):
    await client.put("a", b"1")
    read, write = client.service_sas("r"), client.service_sas("w")
    target = f"/tenant/recordings/b?{write}"
    headers = [PUT, ("x-ms-version", "2020-12-06"), ("content-length", "0")]

    async def status(host, source, absolute=""):
        sent = [*headers, ("x-ms-copy-source", f"http://{source}/tenant/recordings/a?{read}")]
        return (await client.raw("PUT", absolute + target, [("host", host), *sent])).status

    assert await status("one.test", "one.test") == 201
    assert await status("one.test", "one.test:80") == 201
    assert await status("one.test:443", "one.test") == 201
    assert await status("ONE.test", "one.TEST") == 201
    assert await status("one.test", "two.test") == 404
    assert await status("one.test:81", "one.test") == 404
    assert await status("[::1]:8080", "[::1]:8080") == 201
    assert await status("one.test", "two.test", "http://two.test") == 201, "the target's authority counts"
    assert await status("two.test", "two.test", "http://one.test") == 404


@pytest.mark.parametrize("option", ["MERGE", "COPYX", "REPLAC"])
async def test_an_unknown_tag_option_of_a_copy_is_named(client, option):
    await client.put("a", b"1")
    answer = await copy(client, headers=[PUT, ("x-ms-copy-source-tag-option", option)])
    assert (answer.status, answer.code) == (400, "InvalidHeaderValue")
    assert answer.texts("HeaderName") == ["x-ms-copy-source-tag-option"]
