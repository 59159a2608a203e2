"""What the installed SDKs can ask for: each header and parameter is honoured, harmless, or refused.

The names are read from the packages themselves, Python's `azure-storage-blob` and, where it is installed,
JavaScript's `@azure/storage-blob`. A name that a new version of them brings is refused until we decide,
and an operation that it brings fails here until it is mapped.
"""

from __future__ import annotations

import inspect
import re
from base64 import b64encode
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from retain.api.blobs import interface
from retain.api.blobs.request.parameters import (
    HARMLESS_HEADERS,
    HARMLESS_PARAMETERS,
    HEADERS,
    PARAMETERS,
    TAKEN_PARAMETERS,
    takes_header,
)
from retain.api.blobs.sas.permissions import Operation as Op
from retain.api.blobs.wire import crc64
from retain.api.blobs.wire.query import Query
from retain.api.http.message import Request
from tests.kit.blob_client import BlobClient, readable

JAVASCRIPT = (
    Path(__file__).parents[2] / "clients/js/node_modules/@azure/storage-blob/dist/commonjs/generated/src"
)

SOURCE = ("x-ms-copy-source", readable("a"))
BLOCK_TYPE = ("x-ms-blob-type", "BlockBlob")
LEASE = str(UUID(int=7))

Sent = tuple[str, str, list[tuple[str, str]], bytes | None]

REQUESTS: dict[Op, Sent] = {
    Op.LIST_CONTAINERS: ("GET", "/?comp=list", [], None),
    Op.GET_SERVICE_PROPERTIES: ("GET", "/?restype=service&comp=properties", [], None),
    Op.SET_SERVICE_PROPERTIES: (
        "PUT",
        "/?restype=service&comp=properties",
        [],
        b"<StorageServiceProperties/>",
    ),
    Op.GET_ACCOUNT_INFORMATION: ("GET", "/?restype=account&comp=properties", [], None),
    Op.FIND_BLOBS: ("GET", "/?comp=blobs&where=a%3D%27b%27", [], None),
    Op.SUBMIT_BATCH: ("POST", "/?comp=batch", [("content-type", "multipart/mixed; boundary=b")], b"--b--"),
    Op.CREATE_CONTAINER: ("PUT", "/fresh?restype=container", [], b""),
    Op.GET_CONTAINER_PROPERTIES: ("GET", "/recordings?restype=container", [], None),
    Op.SET_CONTAINER_METADATA: ("PUT", "/recordings?restype=container&comp=metadata", [], b""),
    Op.GET_CONTAINER_ACL: ("GET", "/recordings?restype=container&comp=acl", [], None),
    Op.SET_CONTAINER_ACL: ("PUT", "/recordings?restype=container&comp=acl", [], b""),
    Op.DELETE_CONTAINER: ("DELETE", "/fresh?restype=container", [], None),
    Op.LEASE_CONTAINER: (
        "PUT",
        "/recordings?restype=container&comp=lease",
        [("x-ms-lease-action", "renew")],
        b"",
    ),
    Op.BREAK_CONTAINER_LEASE: (
        "PUT",
        "/recordings?restype=container&comp=lease",
        [("x-ms-lease-action", "break")],
        b"",
    ),
    Op.LIST_BLOBS: ("GET", "/recordings?restype=container&comp=list", [], None),
    Op.FIND_BLOBS_IN_CONTAINER: (
        "GET",
        "/recordings?restype=container&comp=blobs&where=a%3D%27b%27",
        [],
        None,
    ),
    Op.PUT_BLOB: ("PUT", "/recordings/b", [BLOCK_TYPE], b"x"),
    Op.PUT_BLOB_FROM_URL: ("PUT", "/recordings/b", [BLOCK_TYPE, SOURCE], b""),
    Op.PUT_BLOCK: ("PUT", "/recordings/b?comp=block&blockid=QQ%3D%3D", [], b"x"),
    Op.PUT_BLOCK_FROM_URL: ("PUT", "/recordings/b?comp=block&blockid=QQ%3D%3D", [SOURCE], b""),
    Op.PUT_BLOCK_LIST: ("PUT", "/recordings/b?comp=blocklist", [], b"<BlockList/>"),
    Op.GET_BLOCK_LIST: ("GET", "/recordings/a?comp=blocklist", [], None),
    Op.GET_BLOB: ("GET", "/recordings/a", [], None),
    Op.GET_BLOB_PROPERTIES: ("HEAD", "/recordings/a", [], None),
    Op.GET_BLOB_METADATA: ("GET", "/recordings/a?comp=metadata", [], None),
    Op.SET_BLOB_PROPERTIES: ("PUT", "/recordings/a?comp=properties", [], b""),
    Op.SET_BLOB_METADATA: ("PUT", "/recordings/a?comp=metadata", [], b""),
    Op.SET_BLOB_TIER: ("PUT", "/recordings/a?comp=tier", [("x-ms-access-tier", "Hot")], b""),
    Op.GET_BLOB_TAGS: ("GET", "/recordings/a?comp=tags", [], None),
    Op.SET_BLOB_TAGS: ("PUT", "/recordings/a?comp=tags", [], b"<Tags><TagSet/></Tags>"),
    Op.COPY_BLOB: ("PUT", "/recordings/b", [SOURCE], b""),
    Op.ABORT_COPY: ("PUT", "/recordings/b?comp=copy&copyid=x", [], b""),
    Op.DELETE_BLOB: ("DELETE", "/recordings/b", [], None),
    Op.LEASE_BLOB: ("PUT", "/recordings/a?comp=lease", [("x-ms-lease-action", "renew")], b""),
    Op.BREAK_BLOB_LEASE: ("PUT", "/recordings/a?comp=lease", [("x-ms-lease-action", "break")], b""),
}
"""One request of each operation that gets as far as it can."""

OFFERED: dict[tuple[str, str], Op] = {
    ("service", "set_properties"): Op.SET_SERVICE_PROPERTIES,
    ("service", "get_properties"): Op.GET_SERVICE_PROPERTIES,
    ("service", "list_containers_segment"): Op.LIST_CONTAINERS,
    ("service", "get_account_info"): Op.GET_ACCOUNT_INFORMATION,
    ("service", "submit_batch"): Op.SUBMIT_BATCH,
    ("service", "filter_blobs"): Op.FIND_BLOBS,
    ("container", "create"): Op.CREATE_CONTAINER,
    ("container", "get_properties"): Op.GET_CONTAINER_PROPERTIES,
    ("container", "delete"): Op.DELETE_CONTAINER,
    ("container", "set_metadata"): Op.SET_CONTAINER_METADATA,
    ("container", "get_access_policy"): Op.GET_CONTAINER_ACL,
    ("container", "set_access_policy"): Op.SET_CONTAINER_ACL,
    ("container", "submit_batch"): Op.SUBMIT_BATCH,
    ("container", "filter_blobs"): Op.FIND_BLOBS_IN_CONTAINER,
    ("container", "acquire_lease"): Op.LEASE_CONTAINER,
    ("container", "release_lease"): Op.LEASE_CONTAINER,
    ("container", "renew_lease"): Op.LEASE_CONTAINER,
    ("container", "change_lease"): Op.LEASE_CONTAINER,
    ("container", "break_lease"): Op.BREAK_CONTAINER_LEASE,
    ("container", "list_blob_flat_segment"): Op.LIST_BLOBS,
    ("container", "list_blob_flat_segment_apache_arrow"): Op.LIST_BLOBS,
    ("container", "list_blob_hierarchy_segment"): Op.LIST_BLOBS,
    ("container", "list_blob_hierarchy_segment_apache_arrow"): Op.LIST_BLOBS,
    ("container", "get_account_info"): Op.GET_ACCOUNT_INFORMATION,
    ("blob", "download"): Op.GET_BLOB,
    ("blob", "get_properties"): Op.GET_BLOB_PROPERTIES,
    ("blob", "delete"): Op.DELETE_BLOB,
    ("blob", "set_http_headers"): Op.SET_BLOB_PROPERTIES,
    ("blob", "set_metadata"): Op.SET_BLOB_METADATA,
    ("blob", "acquire_lease"): Op.LEASE_BLOB,
    ("blob", "release_lease"): Op.LEASE_BLOB,
    ("blob", "renew_lease"): Op.LEASE_BLOB,
    ("blob", "change_lease"): Op.LEASE_BLOB,
    ("blob", "break_lease"): Op.BREAK_BLOB_LEASE,
    ("blob", "start_copy_from_url"): Op.COPY_BLOB,
    ("blob", "copy_from_url"): Op.COPY_BLOB,
    ("blob", "abort_copy_from_url"): Op.ABORT_COPY,
    ("blob", "set_tier"): Op.SET_BLOB_TIER,
    ("blob", "get_account_info"): Op.GET_ACCOUNT_INFORMATION,
    ("blob", "get_tags"): Op.GET_BLOB_TAGS,
    ("blob", "set_tags"): Op.SET_BLOB_TAGS,
    ("block_blob", "upload"): Op.PUT_BLOB,
    ("block_blob", "put_blob_from_url"): Op.PUT_BLOB_FROM_URL,
    ("block_blob", "stage_block"): Op.PUT_BLOCK,
    ("block_blob", "stage_block_from_url"): Op.PUT_BLOCK_FROM_URL,
    ("block_blob", "commit_block_list"): Op.PUT_BLOCK_LIST,
    ("block_blob", "get_block_list"): Op.GET_BLOCK_LIST,
}

NOT_OFFERED = {
    ("service", "get_statistics"),
    ("service", "get_user_delegation_key"),
    ("container", "restore"),
    ("container", "rename"),
    ("blob", "undelete"),
    ("blob", "set_expiry"),
    ("blob", "set_immutability_policy"),
    ("blob", "delete_immutability_policy"),
    ("blob", "set_legal_hold"),
    ("blob", "create_snapshot"),
    ("blob", "query"),
}
"""Refused as operations, see `operations.NOT_OFFERED`; so are all of page and append blobs."""

OTHER_KINDS = ("page_blob", "append_blob")

Names = tuple[set[str], set[str]]


def python_names() -> dict[tuple[str, str], Names]:
    """Headers and parameters by operation, as Python's SDK builds its requests."""
    found: dict[tuple[str, str], Names] = {}
    for kind in ("service", "container", "blob", "block_blob", *OTHER_KINDS):
        module = import_module(f"azure.storage.blob._generated.operations._{kind}_operations")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            match = re.fullmatch(r"build_(?:block_blob_|blob_|container_|service_)?(\w+?)_request", name)
            if match is None or function.__module__ != module.__name__:
                continue
            source = inspect.getsource(function)
            headers = set(re.findall(r'_headers\["([^"]+)"\]', source))
            parameters = set(re.findall(r'_params\["([^"]+)"\]', source))
            found[kind, match[1]] = headers, parameters
    return found


def javascript_names() -> dict[tuple[str, str], Names]:
    """The same of JavaScript's, out of the tables that its code is generated into."""
    if not JAVASCRIPT.exists():
        return {}
    text = (JAVASCRIPT / "models/parameters.js").read_text()
    wire = {
        match[1]: name[1]
        for match in re.finditer(r"^const (\w+) = \{(.*?)^\};", text, re.M | re.S)
        if (name := re.search(r'serializedName: "([^"]+)"', match[2]))
    }
    found: dict[tuple[str, str], Names] = {}
    for kind in ("service", "container", "blob", "blockBlob", "pageBlob", "appendBlob"):
        text = (JAVASCRIPT / f"operations/{kind}.js").read_text()
        for match in re.finditer(r"^const (\w+)OperationSpec = (\{.*?^\};)", text, re.M | re.S):
            lists = dict(re.findall(r"(headerParameters|queryParameters): \[(.*?)\]", match[2], re.S))
            names = [
                {wire[name] for name in re.findall(r"Parameters\.(\w+)", lists.get(which, ""))}
                for which in ("headerParameters", "queryParameters")
            ]
            snake = re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()
            operation = re.sub(r"(?<!^)(?=[A-Z])", "_", match[1]).lower()
            found[snake, operation.replace("h_t_t_p", "http").replace("u_r_l", "url")] = names[0], names[1]
    return found


METADATA = {"x-ms-meta": "x-ms-meta-any"}
"""Both SDKs write one name for all metadata."""


def sent() -> Iterator[tuple[str, tuple[str, str], Names]]:
    for sdk, names in (("python", python_names()), ("javascript", javascript_names())):
        for key, (headers, parameters) in names.items():
            yield sdk, key, ({METADATA.get(name.lower(), name.lower()) for name in headers}, parameters)


def value_of(name: str) -> str:
    if name.startswith("x-ms-if-sequence"):
        return "1"
    return {
        "x-ms-copy-source": SOURCE[1],
        "x-ms-legal-hold": "true",
        "x-ms-seal-blob": "true",
        "x-ms-immutability-policy-until-date": "Sun, 06 Nov 2044 08:49:37 GMT",
    }.get(name, "x")


def test_the_packages_are_read() -> None:
    names = python_names()
    assert len(names) > 50
    assert "x-ms-blob-type" in names["block_blob", "upload"][0]
    if JAVASCRIPT.exists():
        names = javascript_names()
        assert len(names) > 50
        assert "x-ms-tags" in names["block_blob", "upload"][0]
        assert "startFrom" in names["container", "list_blob_flat_segment"][1]


def test_every_operation_of_the_packages_is_known() -> None:
    unknown = {
        (sdk, key)
        for sdk, key, _ in sent()
        if key not in OFFERED and key not in NOT_OFFERED and key[0] not in OTHER_KINDS
    }
    assert not unknown


def test_every_operation_has_its_tables_and_a_request() -> None:
    assert set(Op) == HEADERS.keys() == REQUESTS.keys()
    assert PARAMETERS.keys() | HARMLESS_HEADERS.keys() | HARMLESS_PARAMETERS.keys() <= set(Op)
    for operation in Op:
        assert not HEADERS[operation] & HARMLESS_HEADERS.get(operation, frozenset())
        assert not PARAMETERS.get(operation, frozenset()) & HARMLESS_PARAMETERS.get(operation, frozenset())


def with_query(path: str, name: str, value: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}{name}={value}"


@pytest.mark.parametrize("operation", Op)
async def test_what_an_sdk_may_send_and_is_not_done_is_refused(client: BlobClient, operation: Op) -> None:
    await client.put("a")
    method, path, headers, body = REQUESTS[operation]
    refused_headers, refused_parameters = set(), set()
    for _, key, (names, parameters) in sent():
        if OFFERED.get(key) is operation:
            refused_headers |= {name for name in names if not takes_header(operation, name)}
            refused_parameters |= {
                name for name in parameters if name.lower() not in TAKEN_PARAMETERS[operation]
            }
    # What any SDK sends anywhere, and what none does.
    refused_headers |= {
        name
        for name in ("x-ms-encryption-key", "x-ms-seal-blob", "x-ms-legal-hold", "x-ms-nonsense", "if-match")
        if not takes_header(operation, name)
    }
    refused_parameters |= {"nonsense", "deletetype", "endBefore", "prevsnapshot"}
    for name in refused_headers:
        answer = await client.send(method, path, [*headers, (name, value_of(name))], body)
        expected = "ConditionHeadersNotSupported" if name.startswith("if-") else "UnsupportedHeader"
        assert (answer.status, answer.code) == (400, expected), name
        if method != "HEAD":
            assert answer.xml.findtext("HeaderName") == name
    for name in refused_parameters:
        answer = await client.send(method, with_query(path, name, "x"), headers, body)
        assert (answer.status, answer.code) == (400, "UnsupportedQueryParameter"), name


class Noting(dict[str, str]):
    """A mapping that notes which keys are looked up."""

    def __init__(self, items: dict[str, str], noted: set[str]) -> None:
        super().__init__(items)
        self._noted = noted

    def get(self, key: str, default: Any = None) -> Any:
        self._noted.add(key)
        return super().get(key, default)


NEEDED = {"x-ms-tags": "k=v"}
"""Header values that make an operation look at others."""


@pytest.mark.parametrize("operation", Op)
async def test_what_the_tables_call_honoured_is_looked_at(
    client: BlobClient, monkeypatch: pytest.MonkeyPatch, operation: Op
) -> None:
    """A name in a table that no code reads would be dropped silently, table or not."""
    await client.put("a")
    noted: set[str] = set()
    read_headers, read_query = Request.joined_headers, interface.parse_query

    def parse(raw: bytes) -> Query:
        query = read_query(raw)
        return Query(query.pairs, query.doubled, Noting(query.values, noted))

    monkeypatch.setattr(Request, "joined_headers", lambda request: Noting(read_headers(request), noted))
    monkeypatch.setattr(interface, "parse_query", parse)
    method, path, headers, body = REQUESTS[operation]
    extra: list[list[tuple[str, str]]] = [[]]
    if operation in (Op.PUT_BLOB, Op.PUT_BLOCK):
        framed = ("x-ms-structured-body", "XSM/1.0; properties=crc64")
        extra.append([framed, ("x-ms-structured-content-length", "0")])
    if operation in (Op.LEASE_BLOB, Op.LEASE_CONTAINER):
        extra.append([("x-ms-lease-id", LEASE)])
    if operation is Op.COPY_BLOB:
        extra.append([("x-ms-copy-source-tag-option", "COPY")])
    for more in extra:
        await client.send(method, path, [*headers, *more], body)
    honoured = HEADERS[operation] - {"x-ms-meta-"}
    assert honoured <= noted
    assert PARAMETERS.get(operation, frozenset()) <= noted


async def test_metadata_is_taken_where_the_table_says_so(client: BlobClient) -> None:
    await client.put("a")
    for operation in Op:
        if "x-ms-meta-" in HEADERS[operation]:
            method, path, headers, body = REQUESTS[operation]
            answer = await client.send(method, path, [*headers, ("x-ms-meta-", "1")], body)
            assert answer.code == "EmptyMetadataKey", operation


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("x-ms-legal-hold", "false", 201),
        ("x-ms-legal-hold", "true", 400),
        ("x-ms-seal-blob", "False", 201),
        ("x-ms-encryption-scope", "", 201),
        ("x-ms-encryption-scope", "scope", 400),
        ("x-ms-immutability-policy-mode", "unlocked", 400),
        ("x-ms-requires-sync", "false", 201),
        ("x-ms-requires-sync", "true", 400),
    ],
)
async def test_a_value_that_asks_for_nothing_is_taken(
    client: BlobClient, name: str, value: str, status: int
) -> None:
    assert (await client.put("a", headers=[(name, value)])).status == status
    assert (await client.get("a")).status == (200 if status == 201 else 404)


async def test_a_deletion_under_a_condition_that_is_not_known_does_not_happen(client: BlobClient) -> None:
    await client.put("a")
    late = ("x-ms-access-tier-if-modified-since", "Sun, 06 Nov 2044 08:49:37 GMT")
    answer = await client.send("DELETE", "/recordings/a", [late])
    assert (answer.status, answer.code) == (400, "UnsupportedHeader")
    assert (await client.send("DELETE", "/recordings/a?deletetype=permanent")).status == 400
    assert (await client.get("a")).status == 200


async def test_nobody_learns_what_is_taken_without_the_right_to_do_it(client: BlobClient) -> None:
    answer = await client.send(
        "DELETE", "/recordings/a?nonsense=1", [("x-ms-nonsense", "1")], sas=client.service_sas("r")
    )
    assert answer.code == "AuthorizationPermissionMismatch"


WRONG_CRC = b64encode(bytes(8)).decode()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/recordings/a?comp=blocklist", b"<BlockList/>"),
        ("/recordings/a?comp=tags", b"<Tags><TagSet/></Tags>"),
        ("/recordings?restype=container&comp=acl", b"<SignedIdentifiers/>"),
        ("/?restype=service&comp=properties", b"<StorageServiceProperties/>"),
    ],
)
async def test_small_bodies_are_held_against_their_checksums(
    client: BlobClient, path: str, body: bytes
) -> None:
    await client.put("a")
    for header, value, code in (
        ("x-ms-content-crc64", WRONG_CRC, "Crc64Mismatch"),
        ("x-ms-content-crc64", "short", "InvalidHeaderValue"),
        ("content-md5", b64encode(bytes(16)).decode(), "Md5Mismatch"),
    ):
        answer = await client.send("PUT", path, [(header, value)], body)
        assert (answer.status, answer.code) == (400, code)
    right = ("x-ms-content-crc64", crc64.encode(crc64.crc64(body)))
    assert (await client.send("PUT", path, [right], body)).status < 300


async def test_query_names_are_read_in_any_case(client: BlobClient) -> None:
    await client.put("a")
    await client.put("b")
    answer = await client.send("GET", "/recordings?RESTYPE=container&Comp=list&StartFrom=b")
    assert answer.texts("Blobs/Blob/Name") == ["b"]
    answer = await client.send("GET", "/recordings?restype=container&comp=list&prefix=a&PREFIX=b")
    assert (answer.status, answer.code) == (400, "InvalidQueryParameterValue")


async def test_of_parameters_given_twice_the_first_in_the_alphabet_is_named(client):
    path = (
        "/recordings?restype=container&comp=list&prefix=a&prefix=b&marker=a&marker=b&delimiter=/&delimiter=/"
    )
    answer = await client.send("GET", path)
    assert (answer.status, answer.xml.findtext("QueryParameterName")) == (400, "delimiter")
