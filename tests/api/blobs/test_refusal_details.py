"""What a refusal says besides its code: the name and the value at fault, the limits, the checksums.

Clients and their logs show these elements; people find the mistake by them.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import md5
from typing import Any

import pytest

from retain.api.blobs.wire import crc64
from tests.api.blobs.test_containers import PROPERTIES, RULE, properties
from tests.kit.blob_client import HOST, BlobClient

ACL = "/recordings?restype=container&comp=acl"
POLICY = (
    "<SignedIdentifiers><SignedIdentifier><Id>{id}</Id><AccessPolicy><Start>{start}</Start>"
    "<Expiry>{expiry}</Expiry><Permission>{letters}</Permission></AccessPolicy></SignedIdentifier>"
    "</SignedIdentifiers>"
)
ZEROS = {"md5": b64encode(bytes(16)).decode(), "crc64": b64encode(bytes(8)).decode()}
DAY = "2030-01-01"


def policy(**changes: str) -> bytes:
    fields = {"id": "p", "start": DAY, "expiry": DAY, "letters": "r", **changes}
    return POLICY.format(**fields).encode()


def website(inner: str) -> bytes:
    return properties(f"<StaticWebsite><Enabled>true</Enabled>{inner}</StaticWebsite>")


def deletion(inner: str) -> bytes:
    return properties(f"<DeleteRetentionPolicy><Enabled>true</Enabled>{inner}</DeleteRetentionPolicy>")


def value_of(name: str, value: str) -> dict[str, str]:
    return {"XmlNodeName": name, "XmlNodeValue": value}


@pytest.mark.parametrize(
    ("body", "code", "details"),
    [
        (properties("<Nonsense/>"), "UnsupportedXmlNode", {"XmlNodeName": "Nonsense"}),
        (
            properties("<DefaultServiceVersion>new</DefaultServiceVersion>"),
            "InvalidXmlNodeValue",
            value_of("DefaultServiceVersion", "new"),
        ),
        (
            properties(f"<Cors>{RULE.replace('GET', 'STEAL')}</Cors>"),
            "InvalidXmlNodeValue",
            value_of("AllowedMethods", "STEAL,PUT"),
        ),
        (
            properties(f"<Cors>{RULE.replace('60', 'long')}</Cors>"),
            "InvalidXmlNodeValue",
            value_of("MaxAgeInSeconds", "long"),
        ),
        (
            properties(f"<Cors>{RULE.replace('<ExposedHeaders>x-ms-*', '<ExposedHeaders>a b')}</Cors>"),
            "InvalidXmlNodeValue",
            value_of("ExposedHeaders", "a b"),
        ),
        (
            properties("<Cors><CorsRule><AllowedMethods>GET</AllowedMethods></CorsRule></Cors>"),
            "MissingRequiredXmlNode",
            {"XmlNodeName": "AllowedOrigins"},
        ),
        (deletion(""), "MissingRequiredXmlNode", {"XmlNodeName": "Days"}),
        (deletion("<Days>0</Days>"), "InvalidXmlNodeValue", value_of("Days", "0")),
        (
            deletion("<Days>1</Days><AllowPermanentDelete>yes</AllowPermanentDelete>"),
            "InvalidXmlNodeValue",
            value_of("AllowPermanentDelete", "yes"),
        ),
        (
            deletion("<Days>1</Days><More/>"),
            "UnsupportedXmlNode",
            {"XmlNodeName": "DeleteRetentionPolicy/More"},
        ),
        (
            properties("<Logging><Version>9</Version></Logging>"),
            "MissingRequiredXmlNode",
            {"XmlNodeName": "Delete"},
        ),
        (
            website(f"<DefaultIndexDocumentPath>{'x' * 1025}</DefaultIndexDocumentPath>"),
            "InvalidXmlNodeValue",
            {"XmlNodeName": "DefaultIndexDocumentPath"},
        ),
    ],
)
async def test_a_property_that_is_refused_is_named(
    client: BlobClient, body: bytes, code: str, details: dict[str, str]
) -> None:
    answer = await client.send("PUT", PROPERTIES, [], body)
    assert (answer.status, answer.code) == (400, code)
    assert {name: answer.xml.findtext(name) for name in details} == details


@pytest.mark.parametrize(
    "inner",
    [
        "<Enabled>true</Enabled><DefaultIndexDocumentPath>a/b.html</DefaultIndexDocumentPath>",
        "<Enabled>true</Enabled><IndexDocument>i</IndexDocument>"
        "<ErrorDocument404Path>e</ErrorDocument404Path>",
    ],
)
async def test_every_page_of_a_website_is_remembered(client: BlobClient, inner: str) -> None:
    document = f"<StaticWebsite>{inner}</StaticWebsite>"
    assert (await client.send("PUT", PROPERTIES, [], properties(document))).status == 202
    assert document in (await client.send("GET", PROPERTIES)).body.decode()


@pytest.mark.parametrize("allowed", ["true", "false"])
async def test_permanent_deletion_is_remembered_where_it_was_set(client: BlobClient, allowed: str) -> None:
    inner = f"<Days>3</Days><AllowPermanentDelete>{allowed}</AllowPermanentDelete>"
    assert (await client.send("PUT", PROPERTIES, [], deletion(inner))).status == 202
    assert inner in (await client.send("GET", PROPERTIES)).body.decode()
    assert (await client.send("PUT", PROPERTIES, [], deletion("<Days>3</Days>"))).status == 202
    assert "AllowPermanentDelete" not in (await client.send("GET", PROPERTIES)).body.decode()


@pytest.mark.parametrize(
    ("changes", "details"),
    [
        ({"start": "soon"}, value_of("Start", "soon")),
        ({"expiry": "2030-13-01"}, value_of("Expiry", "2030-13-01")),
        ({"letters": "rq"}, value_of("Permission", "rq")),
    ],
)
async def test_a_policy_that_is_refused_is_named(
    client: BlobClient, changes: dict[str, str], details: dict[str, str]
) -> None:
    answer = await client.send("PUT", ACL, [], policy(**changes))
    assert (answer.status, answer.code) == (400, "InvalidXmlNodeValue")
    assert {name: answer.xml.findtext(name) for name in details} == details
    assert (await client.send("PUT", ACL, [], policy())).status == 200


@pytest.mark.parametrize(
    ("path", "code", "minimum", "maximum"),
    [
        ("/ab?restype=container", "OutOfRangeInput", "3", "63"),
        (f"/{'a' * 64}?restype=container", "OutOfRangeInput", "3", "63"),
        (f"/recordings/{'a' * 1025}", "OutOfRangeInput", "1", "1024"),
        (
            "/recordings?restype=container&comp=list&maxresults=0",
            "OutOfRangeQueryParameterValue",
            "1",
            "5000",
        ),
        ("/?comp=list&maxresults=-1", "OutOfRangeQueryParameterValue", "1", "5000"),
    ],
)
async def test_a_refusal_for_a_length_or_a_number_names_its_limits(
    client: BlobClient, path: str, code: str, minimum: str, maximum: str
) -> None:
    answer = await client.send("GET", path)
    assert (answer.status, answer.code) == (400, code)
    found = (answer.xml.findtext("MinimumAllowed"), answer.xml.findtext("MaximumAllowed"))
    assert found == (minimum, maximum)


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("/recordings/a", [("x-ms-blob-type", "BlockBlob")], b"content"),
        ("/recordings/a?comp=block&blockid=QQ%3D%3D", [], b"content"),
        ("/recordings/a?comp=blocklist", [], b"<BlockList/>"),
        ("/recordings/a?comp=tags", [], b"<Tags><TagSet/></Tags>"),
        (ACL, [], b"<SignedIdentifiers/>"),
        (PROPERTIES, [], b"<StorageServiceProperties/>"),
    ],
)
async def test_a_wrong_checksum_is_answered_with_both(
    client: BlobClient, path: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    await client.put("a")
    for header, code, kind, right in (
        ("content-md5", "Md5Mismatch", "Md5", b64encode(md5(body).digest()).decode()),
        ("x-ms-content-crc64", "Crc64Mismatch", "Crc", crc64.encode(crc64.crc64(body))),
    ):
        sent = ZEROS["md5" if kind == "Md5" else "crc64"]
        answer = await client.send("PUT", path, [*headers, (header, sent)], body)
        assert (answer.status, answer.code) == (400, code)
        assert answer.xml.findtext(f"UserSpecified{kind}") == sent
        assert answer.xml.findtext(f"ServerCalculated{kind}") == right


@pytest.mark.parametrize(
    ("name", "headers", "status", "code"),
    [
        ("missing", [], "404", "BlobNotFound"),
        ("a", [("x-ms-source-if-match", '"0x1"')], "412", "ConditionNotMet"),
    ],
)
async def test_a_source_that_refuses_is_quoted(
    client: BlobClient, name: str, headers: list[tuple[str, str]], status: str, code: str
) -> None:
    await client.put("a")
    source = f"http://{HOST}/tenant/recordings/{name}?{client.service_sas('r')}"
    sent: list[tuple[str, Any]] = [("x-ms-blob-type", "BlockBlob"), ("x-ms-copy-source", source), *headers]
    answer = await client.send("PUT", "/recordings/b", sent, b"")
    assert answer.code == "CannotVerifyCopySource"
    assert answer.headers["x-ms-copy-source-status-code"] == status
    assert answer.headers["x-ms-copy-source-error-code"] == code
    assert answer.xml.findtext("CopySourceStatusCode") == status
    assert answer.xml.findtext("CopySourceErrorCode") == code
    message = answer.xml.findtext("CopySourceErrorMessage") or ""
    assert message
    assert (answer.xml.findtext("Message") or "").startswith(message)


@pytest.mark.parametrize(
    "source",
    [
        "ftp://{host}/tenant/recordings/a",
        "HTTPX://{host}/tenant/recordings/a",
        "//{host}/tenant/recordings/a",
        "/tenant/recordings/a",
        "http:///tenant/recordings/a",
        "http://user@{host}/tenant/recordings/a",
        "http://@{host}/tenant/recordings/a",
        "http://{host}:port/tenant/recordings/a",
        "http://[{host}/tenant/recordings/a",
        "http://{host}/tenant/recordings/%",
        "http://{host}/tenant",
        "a",
    ],
)
@pytest.mark.parametrize("path", ["/recordings/b", "/recordings/b?comp=block&blockid=QQ%3D%3D"])
async def test_a_source_that_is_no_address_of_a_blob_is_named_without_its_token(
    client: BlobClient, source: str, path: str
) -> None:
    await client.put("a")
    text = source.format(host=HOST) + f"?{client.service_sas('r')}"
    answer = await client.send("PUT", path, [("x-ms-copy-source", text)], b"")
    assert (answer.status, answer.code) == (400, "InvalidHeaderValue"), answer.body
    assert answer.xml.findtext("HeaderName") == "x-ms-copy-source"
    assert answer.xml.findtext("HeaderValue") == text.partition("?")[0]
    assert b"sig=" not in answer.body
    assert (await client.get("b")).status == 404


@pytest.mark.parametrize(("length", "code"), [(8192, None), (8193, "InvalidHeaderValue")])
async def test_a_source_has_at_most_8192_characters(
    client: BlobClient, length: int, code: str | None
) -> None:
    await client.put("a")
    source = f"http://{HOST}/tenant/recordings/a?{client.service_sas('r')}&x="
    source += "x" * (length - len(source))
    answer = await client.send("PUT", "/recordings/b", [("x-ms-copy-source", source)], b"")
    assert answer.code == code


async def test_the_kind_of_account_is_told_in_full(client: BlobClient) -> None:
    answer = await client.send("GET", "/?restype=account&comp=properties")
    told = {name: value for name, value in answer.headers.items() if name.startswith("x-ms-")}
    kept = {name: told[name] for name in ("x-ms-sku-name", "x-ms-account-kind", "x-ms-is-hns-enabled")}
    assert kept == {
        "x-ms-sku-name": "Standard_LRS",
        "x-ms-account-kind": "StorageV2",
        "x-ms-is-hns-enabled": "false",
    }
