"""Each operation takes the headers and parameters of its page at Microsoft, and no other operation's.

`test_parameters` holds the tables against what the SDKs send. Here they are written out once more, so that a
name that falls out of them is missed: its clients would be refused.
"""

from __future__ import annotations

import pytest

from retain.api.blobs.request.parameters import check_request
from retain.api.blobs.sas.permissions import Operation as Op
from retain.api.blobs.wire.errors import AzureError
from retain.api.blobs.wire.query import parse_query

IF = "if-match if-none-match if-modified-since if-unmodified-since"
BLOB = f"{IF} lease-id if-tags"
SUMS = "content-crc64 content-md5"
CONTENT = " ".join(f"blob-content-{name}" for name in ("type", "encoding", "language", "disposition", "md5"))
CONTENT += " blob-cache-control"
NEW = f"{BLOB} meta-any tags access-tier"
FRAMED = "structured-body structured-content-length"
SOURCE = "copy-source source-if-tags source-lease-id " + " ".join(f"source-{name}" for name in IF.split())
SOURCE_SUMS = "source-content-md5 source-content-crc64"
LEASING = "lease-action lease-id proposed-lease-id lease-duration lease-break-period"
TAGS = "lease-id if-tags " + " ".join(f"blob-{name}" for name in IF.split())

HEADERS = {
    Op.LIST_CONTAINERS: "",
    Op.GET_SERVICE_PROPERTIES: "",
    Op.SET_SERVICE_PROPERTIES: SUMS,
    Op.GET_ACCOUNT_INFORMATION: "",
    Op.FIND_BLOBS: "",
    Op.SUBMIT_BATCH: "",
    Op.CREATE_CONTAINER: "meta-any blob-public-access",
    Op.GET_CONTAINER_PROPERTIES: "lease-id",
    Op.SET_CONTAINER_METADATA: f"{IF} lease-id meta-any",
    Op.GET_CONTAINER_ACL: "lease-id",
    Op.SET_CONTAINER_ACL: f"{IF} lease-id {SUMS} blob-public-access",
    Op.DELETE_CONTAINER: f"{IF} lease-id",
    Op.LEASE_CONTAINER: f"{IF} {LEASING}",
    Op.BREAK_CONTAINER_LEASE: f"{IF} {LEASING}",
    Op.LIST_BLOBS: "",
    Op.FIND_BLOBS_IN_CONTAINER: "",
    Op.PUT_BLOB: f"{NEW} {CONTENT} {SUMS} {FRAMED} blob-type",
    Op.PUT_BLOB_FROM_URL: f"{NEW} {CONTENT} {SOURCE} {SOURCE_SUMS} blob-type copy-source-tag-option "
    "copy-source-blob-properties",
    Op.PUT_BLOCK: f"lease-id meta-any {SUMS} {FRAMED}",
    Op.PUT_BLOCK_FROM_URL: f"lease-id {SOURCE} {SOURCE_SUMS} source-range",
    Op.PUT_BLOCK_LIST: f"{NEW} {CONTENT} {SUMS}",
    Op.GET_BLOCK_LIST: BLOB,
    Op.GET_BLOB: f"{BLOB} {FRAMED} range range-get-content-md5 range-get-content-crc64",
    Op.GET_BLOB_PROPERTIES: BLOB,
    Op.GET_BLOB_METADATA: BLOB,
    Op.SET_BLOB_PROPERTIES: f"{BLOB} {CONTENT}",
    Op.SET_BLOB_METADATA: f"{BLOB} meta-any",
    Op.SET_BLOB_TIER: f"{BLOB} access-tier rehydrate-priority",
    Op.GET_BLOB_TAGS: TAGS,
    Op.SET_BLOB_TAGS: f"{TAGS} {SUMS}",
    Op.COPY_BLOB: f"{NEW} {SOURCE} {SOURCE_SUMS} requires-sync copy-source-tag-option rehydrate-priority",
    Op.ABORT_COPY: "lease-id copy-action",
    Op.DELETE_BLOB: f"{BLOB} delete-snapshots",
    Op.LEASE_BLOB: f"{IF} if-tags {LEASING}",
    Op.BREAK_BLOB_LEASE: f"{IF} if-tags {LEASING}",
}
"""Without `x-ms-` in front, which all have but HTTP's own."""

EVERYWHERE = "version date client-request-id return-client-request-id file-request-intent useragent"
OWN = {*IF.split(), "content-md5"}
"""HTTP's own names."""

PAGE = "prefix marker maxresults include"
VERSION = "snapshot versionid"
PARAMETERS = {
    Op.LIST_CONTAINERS: PAGE,
    Op.LIST_BLOBS: f"{PAGE} delimiter startfrom",
    Op.FIND_BLOBS: "where marker maxresults include",
    Op.FIND_BLOBS_IN_CONTAINER: "where marker maxresults include",
    Op.PUT_BLOCK: "blockid",
    Op.PUT_BLOCK_FROM_URL: "blockid",
    Op.GET_BLOCK_LIST: f"{VERSION} blocklisttype",
    Op.ABORT_COPY: "copyid",
} | dict.fromkeys(
    (
        Op.GET_BLOB,
        Op.GET_BLOB_PROPERTIES,
        Op.GET_BLOB_METADATA,
        Op.GET_BLOB_TAGS,
        Op.SET_BLOB_PROPERTIES,
        Op.SET_BLOB_METADATA,
        Op.SET_BLOB_TAGS,
        Op.SET_BLOB_TIER,
        Op.DELETE_BLOB,
        Op.LEASE_BLOB,
        Op.BREAK_BLOB_LEASE,
    ),
    VERSION,
)
IN_EVERY_QUERY = (
    "restype comp api-version timeout sv ss srt sr sp st se si sip spr sig rscc rscd rsce rscl rsct ses"
)

NOTHING_ASKED = {
    "x-ms-legal-hold": "false",
    "x-ms-seal-blob": "false",
    "x-ms-requires-sync": "false",
    "x-ms-deny-encryption-scope-override": "false",
    "x-ms-default-encryption-scope": "$account-encryption-key",
}


def named(words: str) -> set[str]:
    return {word if word in OWN else f"x-ms-{word}" for word in words.split()}


def takes(operation: Op, header: str = "", parameter: str = "", value: str = "x") -> bool:
    headers = {header: value} if header else {}
    try:
        check_request(operation, headers, parse_query(f"{parameter}={value}".encode() if parameter else b""))
    except AzureError as error:
        codes = {"ConditionHeadersNotSupported" if header in IF else "UnsupportedHeader"}
        return error.code not in (codes if header else {"UnsupportedQueryParameter"})
    return True


@pytest.mark.parametrize("operation", Op)
def test_the_headers_of_an_operation_are_taken_and_those_of_others_are_not(operation: Op) -> None:
    known = {name for words in (*HEADERS.values(), EVERYWHERE) for name in named(words)}
    mine = named(f"{HEADERS[operation]} {EVERYWHERE}") | {"content-md5"}
    assert {name for name in known if takes(operation, header=name)} == mine


@pytest.mark.parametrize("operation", Op)
def test_the_parameters_of_an_operation_are_taken_and_those_of_others_are_not(operation: Op) -> None:
    known = {name for words in (*PARAMETERS.values(), IN_EVERY_QUERY) for name in words.split()}
    mine = {*PARAMETERS.get(operation, "").split(), *IN_EVERY_QUERY.split()}
    assert {name for name in known if takes(operation, parameter=name)} == mine


@pytest.mark.parametrize(("name", "value"), NOTHING_ASKED.items())
def test_a_header_that_asks_for_what_is_so_anyway_is_taken_everywhere(name: str, value: str) -> None:
    for operation in Op:
        assert takes(operation, header=name, value=value)
        assert takes(operation, header=name, value=value.upper())
        assert takes(operation, header=name, value="")
        assert not takes(operation, header=name) or name in named(HEADERS[operation])


def test_each_operation_is_written_out() -> None:
    assert HEADERS.keys() == set(Op)
