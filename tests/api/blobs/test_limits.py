"""Every limit at exactly its size and one beyond; every version at which a rule changes, and the day before.

The numbers are written down here once more, from docs/wire/blobs.md, and not read from the code.
"""

from __future__ import annotations

from base64 import b64encode
from uuid import RFC_4122, UUID

import pytest

from retain.api.blobs.routes import copy
from retain.api.blobs.routes.upload import size_limit
from retain.api.blobs.sas import fields, shared_key
from retain.api.blobs.sas import token as sas_token
from retain.api.blobs.tagquery.where import parse_where
from retain.api.blobs.wire import markers, names
from retain.api.blobs.wire.errors import AzureError
from retain.api.blobs.wire.tags import parse_tags_header
from retain.api.blobs.xml.read import parse_block_list, parse_document
from retain.api.http.message import Request
from tests.kit.blob_client import HOST, BlobClient
from tests.kit.requests import make_request

MIB = 1 << 20


@pytest.mark.parametrize(
    ("operation", "version", "limit"),
    [
        ("", "2016-05-30", 64 * MIB),
        ("", "2016-05-31", 256 * MIB),
        ("", "2019-12-11", 256 * MIB),
        ("", "2019-12-12", 5000 * MIB),
        ("?comp=block&blockid=QQ%3D%3D", "2016-05-30", 4 * MIB),
        ("?comp=block&blockid=QQ%3D%3D", "2016-05-31", 100 * MIB),
        ("?comp=block&blockid=QQ%3D%3D", "2019-12-11", 100 * MIB),
        ("?comp=block&blockid=QQ%3D%3D", "2019-12-12", 4000 * MIB),
    ],
)
async def test_the_largest_body_by_version(
    client: BlobClient, operation: str, version: str, limit: int
) -> None:
    target = f"/tenant/recordings/a{operation}{'&' if operation else '?'}{client.service_sas('w')}"
    for length, status in ((limit, 201), (limit + 1, 413)):
        headers = [("x-ms-version", version), ("content-length", str(length))]
        if not operation:
            headers.append(("x-ms-blob-type", "BlockBlob"))
        answer = await client.raw("PUT", target, headers, b"x")
        assert answer.status == status
    assert answer.code == "RequestBodyTooLarge"
    assert answer.xml.findtext("MaxLimit") == str(limit)


def test_versions_of_the_largest_body() -> None:
    found = [size_limit(day, 1, 2, 3) for day in ("2016-05-30", "2016-05-31", "2019-12-11", "2019-12-12")]
    assert found == [1, 2, 2, 3]


def test_versions_of_a_service_tokens_string() -> None:
    def signed(version: str) -> int:
        found = fields.signed_fields(fields.SERVICE_FIELDS, version)
        return 0 if found is None else len(found)

    days = {
        "2012-02-11": 0,
        "2012-02-12": 6,
        "2013-08-14": 6,
        "2013-08-15": 11,
        "2015-04-04": 11,
        "2015-04-05": 13,
        "2018-11-08": 13,
        "2018-11-09": 15,
        "2020-12-05": 15,
        "2020-12-06": 16,
    }
    assert {day: signed(day) for day in days} == days


def test_versions_of_an_account_tokens_string() -> None:
    found = [
        fields.signed_fields(fields.ACCOUNT_FIELDS, day)
        for day in ("2015-04-04", "2015-04-05", "2020-12-05", "2020-12-06")
    ]
    assert [part and len(part) for part in found] == [None, 9, 9, 10]


@pytest.mark.parametrize(("kind", "version"), [("bs", "2018-11-09"), ("bv", "2018-11-09")])
def test_a_token_for_a_snapshot_is_read_from_its_version_on(kind: str, version: str) -> None:
    token = f"sr={kind}&sv={version}&sp=r&se=2030-01-01&sig={'A' * 43}%3D".encode()
    found = sas_token.parse_token(token)
    assert isinstance(found, sas_token.ServiceToken)
    assert found.resource == kind


def test_versions_of_the_resource_in_the_string() -> None:
    assert fields.canonical_resource("2015-02-20", "acct", "c", "b") == "/acct/c/b"
    assert fields.canonical_resource("2015-02-21", "acct", "c", "b") == "/blob/acct/c/b"


def test_versions_of_a_length_of_zero_in_the_string() -> None:
    request = shared_key.Signed("PUT", b"/tenant/c", b"", [("content-length", "0"), ("x-ms-date", "d")])
    for version, line in (("2015-02-20", "0"), ("2015-02-21", "")):
        assert shared_key.strings_to_sign(request, "tenant", version)[0].split("\n")[3] == line


@pytest.mark.parametrize(("version", "element"), [("2020-04-07", "TagValue"), ("2020-04-08", "Tags")])
async def test_versions_of_what_a_search_finds(client: BlobClient, version: str, element: str) -> None:
    await client.put("a", headers=[("x-ms-tags", "k=v")])
    answer = await client.send("GET", "/?comp=blobs&where=k%3D%27v%27", version=version)
    [blob] = answer.xml.iterfind("Blobs/Blob")
    assert {child.tag for child in blob} == {"Name", "ContainerName", element}


async def test_metadata_of_8_kib(client: BlobClient) -> None:
    for value, status in (("v" * (8192 - 4), 201), ("v" * (8192 - 3), 400)):
        answer = await client.put("a", headers=[("x-ms-meta-name", value)])
        assert answer.status == status
    assert answer.code == "MetadataTooLarge"


async def test_a_block_id_of_64_bytes(client: BlobClient) -> None:
    for length, code in ((64, None), (65, "OutOfRangeInput")):
        text = b64encode(bytes(length)).decode().replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
        answer = await client.send("PUT", f"/recordings/b{length}?comp=block&blockid={text}", (), b"x")
        assert answer.code == code


def test_a_block_id_of_64_bytes_in_a_list_as_well() -> None:
    for length, taken in ((0, False), (1, True), (64, True), (65, False)):
        listed = f"<BlockList><Latest>{b64encode(bytes(length)).decode()}</Latest></BlockList>".encode()
        if taken:
            assert [block for _, block in parse_block_list(listed)] == [bytes(length)]
        else:
            with pytest.raises(AzureError, match="InvalidBlockList"):
                parse_block_list(listed)


async def test_the_ids_of_copies_are_random_uuids(client: BlobClient) -> None:
    """RFC 9562: version 4, and the variant of that document."""
    await client.put("a")
    seen = set()
    for _ in range(3):
        answer = await client.send(
            "PUT", "/recordings/b", [("x-ms-copy-source", f"http://{HOST}/tenant/recordings/a")]
        )
        text = answer.headers["x-ms-copy-id"]
        found = UUID(text)
        assert (found.version, found.variant, str(found)) == (4, RFC_4122, text)
        seen.add(found)
    assert len(seen) == 3


def test_a_header_of_tags_of_16_kib() -> None:
    for length, code in ((16384, "InvalidHeaderValue"), (16385, "TagsTooLarge")):
        with pytest.raises(AzureError) as caught:
            parse_tags_header("x" * length)
        assert caught.value.code == code


def test_ten_tags_of_128_and_256_characters() -> None:
    most = {f"{number}" + "k" * 127: "v" * 256 for number in range(10)}
    text = "&".join(f"{key}={value}" for key, value in most.items())
    assert parse_tags_header(text) == most
    for more in (f"{text}&one=more", text.replace("=v", "x=v", 1), text + "v"):
        with pytest.raises(AzureError, match="TagsTooLarge"):
            parse_tags_header(more)


def test_a_marker_of_16_kib() -> None:
    longest = "x" * 12238
    assert markers.read_blob_marker(markers.blob_marker(longest)) == longest
    with pytest.raises(AzureError, match="InvalidQueryParameterValue"):
        markers.read_blob_marker(markers.blob_marker(longest + "x"))


def test_a_query_of_16_kib() -> None:
    text = "k = 'v'"
    assert parse_where(text + " " * (16384 - len(text))).container is None
    with pytest.raises(AzureError, match="InvalidQueryParameterValue"):
        parse_where(text + " " * (16385 - len(text)))


async def test_a_clients_request_id_of_1024_characters_comes_back(client: BlobClient) -> None:
    for length, comes_back in ((1024, True), (1025, False)):
        answer = await client.get("none", [("x-ms-client-request-id", "i" * length)])
        assert ("x-ms-client-request-id" in answer.headers) is comes_back


def test_a_policys_name_of_64_characters() -> None:
    for length in (1, 64):
        token = f"sr=c&sv=2020-12-06&si={'p' * length}&sig={'A' * 43}%3D".encode()
        found = sas_token.parse_token(token)
        assert isinstance(found, sas_token.ServiceToken)
        assert found.policy == "p" * length
    with pytest.raises(AzureError):
        sas_token.parse_token(f"sr=c&sv=2020-12-06&si={'p' * 65}&sig={'A' * 43}%3D".encode())


async def test_a_policys_id_of_64_characters_and_five_policies(client: BlobClient) -> None:
    def document(*identities: str) -> bytes:
        inner = "".join(f"<SignedIdentifier><Id>{one}</Id></SignedIdentifier>" for one in identities)
        return f"<SignedIdentifiers>{inner}</SignedIdentifiers>".encode()

    path = "/recordings?restype=container&comp=acl"
    for identities, status in (
        (["x" * 64], 200),
        (["x" * 65], 400),
        (["1", "2", "3", "4", "5"], 200),
        (["1", "2", "3", "4", "5", "6"], 400),
    ):
        assert (await client.send("PUT", path, (), document(*identities))).status == status


async def test_a_summed_range_of_4_mib(client: BlobClient) -> None:
    await client.put("a", bytes(4 * MIB + 1))
    wanted = ("x-ms-range-get-content-md5", "true")
    for last, status in ((4 * MIB - 1, 206), (4 * MIB, 400)):
        answer = await client.get("a", [("x-ms-range", f"bytes=0-{last}"), wanted])
        assert answer.status == status


async def test_the_source_of_a_synchronous_copy(client: BlobClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert copy.MAX_SYNC == 256 * MIB
    monkeypatch.setattr(copy, "MAX_SYNC", 5)
    for body, status in ((b"x" * 5, 202), (b"x" * 6, 413)):
        await client.put("a", body)
        source = [("x-ms-copy-source", f"http://{HOST}/tenant/recordings/a"), ("x-ms-requires-sync", "true")]
        assert (await client.send("PUT", "/recordings/b", source)).status == status


async def test_the_url_of_a_source_of_8192_characters(client: BlobClient) -> None:
    base = f"http://{HOST}/tenant/recordings/none?"
    for length, code in ((8192, "CannotVerifyCopySource"), (8193, "InvalidHeaderValue")):
        url = base + "x" * (length - len(base))
        answer = await client.send("PUT", "/recordings/b", [("x-ms-copy-source", url)])
        assert answer.code == code


async def test_small_bodies_of_256_kib(client: BlobClient) -> None:
    document = b"<Tags><TagSet/></Tags>"
    for length, status in ((262_144, 204), (262_145, 413)):
        await client.put("a")
        body = document + b" " * (length - len(document))
        assert (await client.send("PUT", "/recordings/a?comp=tags", (), body)).status == status


async def test_a_block_list_of_8_mib(client: BlobClient) -> None:
    document = b"<BlockList/>"
    for length, status in ((8 * MIB, 201), (8 * MIB + 1, 413)):
        body = document + b" " * (length - len(document))
        assert (await client.send("PUT", "/recordings/a?comp=blocklist", (), body)).status == status


def test_a_list_of_50_000_blocks() -> None:
    def document(count: int) -> bytes:
        return b"<BlockList>" + b"<Latest>QQ==</Latest>" * count + b"</BlockList>"

    assert len(parse_block_list(document(50_000))) == 50_000
    with pytest.raises(AzureError, match="BlockListTooLong"):
        parse_block_list(document(50_001))


def test_xml_of_eight_levels() -> None:
    def document(depth: int) -> bytes:
        return b"<a>" * depth + b"</a>" * depth

    assert parse_document(document(8), "a").tag == "a"
    with pytest.raises(AzureError, match="InvalidXmlDocument"):
        parse_document(document(9), "a")


@pytest.mark.parametrize(
    ("name", "good"), [("abc", True), ("ab", False), ("x" * 63, True), ("x" * 64, False)]
)
def test_a_containers_name_of_3_to_63_characters(name: str, good: bool) -> None:
    if good:
        names.check_container(name)
    else:
        with pytest.raises(AzureError, match="OutOfRangeInput"):
            names.check_container(name)


@pytest.mark.parametrize(("text", "size"), [("4999", 4999), ("5000", 5000), ("5001", 5000), ("9" * 30, 5000)])
async def test_a_page_of_5000(client: BlobClient, text: str, size: int) -> None:
    answer = await client.send("GET", f"/recordings?restype=container&comp=list&maxresults={text}")
    assert answer.xml.findtext("MaxResults") == str(size)


@pytest.mark.parametrize("name", ["rscc", "rscd", "rsce", "rscl", "rsct"])
async def test_a_token_replaces_each_header_of_the_answer(client: BlobClient, name: str) -> None:
    header = {
        "rscc": "cache-control",
        "rscd": "content-disposition",
        "rsce": "content-encoding",
        "rscl": "content-language",
        "rsct": "content-type",
    }[name]
    stored = f"x-ms-blob-{header}"
    await client.put("a", headers=[(stored, "stored")])
    assert (await client.get("a")).headers[header] == "stored"
    token = client.service_sas("r", overrides={name: "said"})
    for answer in (await client.get("a", sas=token), await client.head("a", sas=token)):
        assert (answer.status, answer.headers[header]) == (200, "said")
    forged = token.replace("said", "forged")
    assert (await client.get("a", sas=forged)).code == "AuthenticationFailed"


@pytest.mark.parametrize("comp", ["metadata", "acl"])
async def test_a_container_is_not_changed_under_a_foreign_lease(client: BlobClient, comp: str) -> None:
    base = "/recordings?restype=container&comp="
    own, foreign = ("00000000-0000-0000-0000-00000000000" + end for end in "12")
    change = [("x-ms-meta-a", "1")] if comp == "metadata" else [("x-ms-blob-public-access", "blob")]
    lease = ("x-ms-lease-id", foreign)
    answer = await client.send("PUT", base + comp, [*change, lease])
    assert (answer.status, answer.code) == (412, "LeaseNotPresentWithContainerOperation")
    acquire = [
        ("x-ms-lease-action", "acquire"),
        ("x-ms-lease-duration", "-1"),
        ("x-ms-proposed-lease-id", own),
    ]
    assert (await client.send("PUT", f"{base}lease", acquire)).status == 201
    answer = await client.send("PUT", base + comp, [*change, lease])
    assert (answer.status, answer.code) == (412, "LeaseIdMismatchWithContainerOperation")
    found = await client.send("GET", "/recordings?restype=container")
    assert not {"x-ms-meta-a", "x-ms-blob-public-access"} & found.headers.keys()
    for headers in ([*change, ("x-ms-lease-id", own)], change):
        assert (await client.send("PUT", base + comp, headers)).status == 200


class Unread:
    """A request of which the server has only the head."""

    def __init__(self, target: str, *headers: tuple[str, str]) -> None:
        head = make_request("PUT", target, [("host", HOST), *headers])
        scope = {
            "type": "http", "method": "PUT", "scheme": "http", "raw_path": head.raw_path,
            "query_string": head.raw_query, "headers": head.raw_headers, "client": ("192.0.2.1", 1),
            "server": ("127.0.0.1", 80), "http_version": "1.1",
        }  # fmt: skip
        self.asked = 0
        self.request = Request(scope, self._receive)

    async def _receive(self) -> dict[str, object]:
        self.asked += 1
        return {"type": "http.request", "body": b"x", "more_body": False}


@pytest.mark.parametrize(
    ("operation", "kind", "limit"),
    [("", [("x-ms-blob-type", "BlockBlob")], 5000 * MIB), ("&comp=block&blockid=QQ%3D%3D", [], 4000 * MIB)],
)
async def test_a_write_that_is_refused_anyway_is_refused_before_its_body(
    client: BlobClient, operation: str, kind: list[tuple[str, str]], limit: int
) -> None:
    await client.put("a")
    headers = [("x-ms-lease-action", "acquire"), ("x-ms-lease-duration", "-1")]
    assert (await client.send("PUT", "/recordings/a?comp=lease", headers)).status == 201
    for length, status in ((1, 412), (limit, 412), (limit + 1, 413)):
        target = f"/tenant/recordings/a?{client.service_sas('w')}{operation}"
        unread = Unread(target, ("content-length", str(length)), ("x-ms-version", "2020-12-06"), *kind)
        answer = await client.interface.handle(unread.request)
        assert (answer.status, unread.asked) == (status, 0), length
    target = f"/tenant/none/a?{client.service_sas('w', container='none')}{operation}"
    unread = Unread(target, ("content-length", "9"), ("x-ms-version", "2020-12-06"), *kind)
    assert ((await client.interface.handle(unread.request)).status, unread.asked) == (404, 0)


@pytest.mark.parametrize("changed", ["2!{}!{}AAAA", "2!0{}!{}"])
def test_a_marker_of_another_length_is_none(changed: str) -> None:
    marker = markers.blob_marker("name")
    kind, length, encoded = marker.split("!", 2)
    assert markers.read_blob_marker(f"{kind}!{length}!{encoded}") == "name"
    with pytest.raises(AzureError):
        markers.read_blob_marker(changed.format(length, encoded))
