"""Any bytes at all, with every right, to any URL: always a well-formed answer below 500."""

from __future__ import annotations

import random
from urllib.parse import quote
from xml.etree.ElementTree import fromstring

import pytest

from tests.kit.blob_client import HOST

METHODS = ["GET", "HEAD", "PUT", "PUT", "PUT", "DELETE", "POST", "OPTIONS", "PATCH"]
NASTY = [
    "",
    "*",
    "true",
    "0",
    "-1",
    "99999999999999999999",
    "bytes=0-1",
    "é",
    "ü" * 5,
    "'",
    "a=b",
    "%",
    "\t",
    "QQ==",
]
NASTY += [
    "2!4!AAAA",
    "2026-01-01",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    '"0x8D91C20AE6F18A7"',
    "\x01",
    "\x7f",
    "BlockBlob",
]
NASTY += [
    f"http://{HOST}/tenant/recordings/a",
    "acquire",
    "break",
    "renew",
    "XSM/1.0; properties=crc64",
    "k = '1'",
]
HEADERS = """
    if-match if-none-match if-modified-since if-unmodified-since x-ms-if-tags range x-ms-range
    content-md5 x-ms-content-crc64 x-ms-blob-type x-ms-blob-content-type x-ms-blob-content-md5
    x-ms-blob-content-language x-ms-tags x-ms-meta-a x-ms-meta- x-ms-meta-a-b x-ms-access-tier
    x-ms-copy-source x-ms-requires-sync x-ms-source-range x-ms-source-if-match
    x-ms-copy-source-tag-option x-ms-lease-id x-ms-lease-action x-ms-lease-duration
    x-ms-proposed-lease-id x-ms-lease-break-period x-ms-version x-ms-client-request-id
    x-ms-structured-body x-ms-structured-content-length x-ms-range-get-content-md5
    x-ms-range-get-content-crc64 origin content-type access-control-request-method
    x-ms-delete-snapshots x-ms-blob-public-access x-ms-blob-if-match date x-ms-date
    x-ms-encryption-key x-forwarded-for forwarded
""".split()  # noqa: SIM905 - read as a paragraph
PARAMETERS = """
    comp restype prefix delimiter marker maxresults include where blockid blocklisttype snapshot
    versionid timeout api-version copyid
""".split()  # noqa: SIM905 - read as a paragraph
WORDS = """
    list container account service properties metadata acl lease blobs block blocklist tags tier
    copy batch page stats all committed uncommittedblobs
""".split()  # noqa: SIM905 - read as a paragraph
PATHS = [
    "",
    "/",
    "/recordings",
    "/recordings/",
    "/recordings/a",
    "/recordings/a/b",
    "/nothing/a",
    "/ab",
    "//",
    "/%zz",
]
PATHS += [
    "/recordings/%ff",
    "/recordings/" + "x" * 1100,
    "/recordings//",
    "/$root/a",
    "/recordings/%00",
    "/%F0%9F%99%82",
]
BODIES = [b"", b"x", b"<", b"<BlockList/>", b"<BlockList><Latest>QQ==</Latest></BlockList>", b"\xff\xfe\x00"]
BODIES += [b"<Tags><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tags>", b"<SignedIdentifiers/>"]
BODIES += [b"<StorageServiceProperties><Cors/></StorageServiceProperties>", bytes(70_000)]


def make(rng, token):
    parameters = [
        f"{name}={quote(rng.choice([*WORDS, *NASTY]), safe='')}" if rng.random() < 0.9 else name
        for name in rng.sample(PARAMETERS, rng.choice([0, 1, 1, 2, 2, 3, 5]))
    ]
    if rng.random() < 0.7:
        chosen = {"restype": rng.choice(["container", "service", "account"]), "comp": rng.choice(WORDS)}
        parameters += [f"{n}={v}" for n, v in chosen.items() if rng.random() < 0.6]
    headers = [(name, rng.choice(NASTY)) for name in rng.sample(HEADERS, rng.choice([0, 1, 2, 4, 8]))]
    headers.append(("host", rng.choice([HOST, "", "x", "[::1]:80"])))
    if rng.random() < 0.5:
        headers.append(("x-ms-blob-type", "BlockBlob"))
    body = rng.choice(BODIES)
    if rng.random() < 0.8:
        headers.append(("content-length", str(len(body))))
    query = "&".join([*parameters, token])
    return rng.choice(METHODS), f"/tenant{rng.choice(PATHS)}?{query}", headers, body


@pytest.mark.parametrize("seed", range(8))
async def test_every_request_gets_a_well_formed_answer(client, seed):
    rng = random.Random(seed)
    token = client.account_sas("rwdxylacupfti")
    for _ in range(150):
        method, target, headers, body = make(rng, token)
        answer = await client.raw(method, target, headers, body)
        assert answer.status < 500 or answer.status == 501, (method, target, headers)
        if answer.headers.get("content-type") == "application/xml" and answer.body:
            fromstring(answer.body)
