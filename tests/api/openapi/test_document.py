"""The OpenAPI documents are valid, and say what the tables of the code say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from retain.api.areas.errors import EXCEPTION
from retain.api.areas.routes import targets_of
from retain.api.blobs.request import parameters
from retain.api.blobs.request.operations import ACCOUNT, BLOB, CONTAINER
from retain.api.blobs.routes.upload import TIERS
from retain.api.blobs.sas.permissions import Operation
from retain.api.blobs.wire.errors import TABLE
from retain.api.identity.caller import IdentityError
from retain.api.openapi import NAMES, areas, blobs, console, document_of, settings, whole
from retain.api.refusals import STATUS
from retain.api.settings.address import Address, Me, parse
from retain.api.settings.errors import CODE, METHODS

BASE = "https://retain.example.org/below"
TRANSPORT = {417, 505}
"""What the server answers for every interface, before it looks at the path."""


def operations(name: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(path, method, operation) of an interface."""
    for path, methods in document_of(name, BASE)["paths"].items():
        for method, found in methods.items():
            yield path, method, found


def followed(found: dict[str, Any], of: dict[str, Any]) -> dict[str, Any]:
    """What a reference leads to."""
    while "$ref" in found:
        _, _, kind, name = found["$ref"].split("/")
        found = of["components"][kind][name]
    return found


@pytest.mark.parametrize("name", [*NAMES, "whole"])
def test_the_document_is_valid(name: str) -> None:
    validator = pytest.importorskip("openapi_spec_validator", reason="pip install -e '.[openapi]'")
    validator.validate(whole(NAMES, BASE) if name == "whole" else document_of(name, BASE))


def test_an_operation_has_one_id() -> None:
    ids = [found["operationId"] for name in NAMES for _, _, found in operations(name)]
    assert len(ids) > 150
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", NAMES)
def test_a_path_names_each_parameter_once_and_describes_it(name: str) -> None:
    """OpenAPI admits a template expression once; generators and test tools drop other paths."""
    document = document_of(name, "http://h")
    for path, _, found in operations(name):
        named = re.findall(r"\{([^}]+)\}", path)
        assert len(set(named)) == len(named), path
        parameters = [followed(one, document) for one in found.get("parameters", [])]
        assert {one["name"] for one in parameters if one["in"] == "path"} == set(named), path


def test_the_address_of_the_server_is_the_readers_own() -> None:
    assert document_of("areas", BASE)["servers"] == [{"url": BASE}]
    assert whole(NAMES, BASE)["servers"] == [{"url": BASE}]


def test_the_whole_document_has_what_the_parts_have() -> None:
    found = whole(["areas", "blobs"], BASE)
    assert set(found["paths"]) == {path for name in ("areas", "blobs") for path, _, _ in operations(name)}


def test_every_component_is_used_and_every_reference_leads_somewhere() -> None:
    for name in NAMES:
        made = document_of(name, BASE)
        used = set(re.findall(r"'#/components/(\w+/[\w-]+)'", str(made)))
        offered = {
            f"{kind}/{one}"
            for kind, found in made["components"].items()
            if kind != "securitySchemes"
            for one in found
        }
        assert used == offered, name


def test_areas_has_the_paths_and_methods_of_its_routes() -> None:
    described: set[tuple[str, str]] = set()
    for path, method, _ in operations("areas"):
        if path.startswith("/genesys/1/storage/"):
            parts = ["name" if part.startswith("{") else part for part in path.split("/")[4:]]
            if method not in ("head", "options"):
                described.add(("/".join(parts), method.upper()))
                assert method.upper() in targets_of(parts)
    for words, fewest in ([], 0), (["custom"], 1), (["binary"], 2), (["binary", "custom"], 2):
        for names in range(fewest, 4):
            parts = [*words, *["name"] * names]
            for method in targets_of(parts):
                assert ("/".join(parts), method) in described


def test_settings_has_the_levels_and_methods_of_its_addresses() -> None:
    for path, method, _ in operations("settings"):
        assert method.upper() in METHODS
        named = path.replace("{sameApplication}", "application")
        found = parse(re.sub(r"\{(\w+)\}", r"\1", named).split("/"), "hcpms", 255)
        assert isinstance(found, Me if path.endswith("/Me") else Address)
    methods = {method.upper() for path, method, _ in operations("settings") if not path.endswith("/Me")}
    assert methods == set(METHODS)


def test_the_statuses_are_those_that_the_code_can_answer() -> None:
    identity = {IdentityError.status, *(kind.status for kind in IdentityError.__subclasses__())}
    assert set(areas.ERRORS) == set(EXCEPTION) | TRANSPORT
    assert set(settings.ERRORS) == set(CODE)
    blob_statuses = {row.status for row in TABLE.values()} | {431}
    assert set(blobs.ERRORS) == blob_statuses | TRANSPORT
    assert identity | set(STATUS.values()) <= set(settings.ERRORS)
    console_statuses = identity | set(STATUS.values()) - {412}
    assert console_statuses <= set(console.ERRORS)


def level(path: str) -> dict[tuple[str, str, str], Operation]:
    """The table that a path of blobs belongs to."""
    return {1: ACCOUNT, 2: CONTAINER, 3: BLOB}[path.partition("?")[0].rstrip("/").count("/")]


def chosen(path: str, method: str) -> Operation:
    """What the server takes a request for this path for, before it looks at headers."""
    query = dict(pair.split("=") for pair in path.partition("?")[2].split("&") if pair)
    return level(path)[query.get("restype", ""), query.get("comp", ""), method.upper()]


def test_blobs_describes_each_operation_under_azures_name() -> None:
    described: set[str] = set()
    places: set[tuple[int, str, str, str]] = set()
    for path, method, found in operations("blobs"):
        if method == "options":
            continue
        named = {name.lower() for name in found["x-azure-operations"]}
        described |= named
        assert chosen(path, method).value.lower() in named, path
        query = dict(pair.split("=") for pair in path.partition("?")[2].split("&") if pair)
        places.add((id(level(path)), query.get("restype", ""), query.get("comp", ""), method.upper()))
    assert described == {operation.value.lower() for operation in Operation}
    # Words describe two spellings for clients of path-style accounts (api/blobs/request/operations.py).
    aliases = {(id(ACCOUNT), "container", "batch", "POST"), (id(CONTAINER), "", "blobs", "GET")}
    offered = {(id(table), *row) for table in (ACCOUNT, CONTAINER, BLOB) for row in table}
    assert offered - places == aliases
    assert places <= offered


def test_blobs_describes_the_headers_and_parameters_that_each_operation_takes() -> None:
    made = document_of("blobs", BASE)
    by_value = {operation.value.lower(): operation for operation in Operation}
    for _, method, found in operations("blobs"):
        if method == "options":
            continue
        several = [by_value[name.lower()] for name in found["x-azure-operations"]]
        listed = [followed(one, made) for one in found["parameters"]]
        headers = {one["name"].lower() for one in listed if one["in"] == "header"}
        wanted: set[str] = set()
        for operation in several:
            wanted |= parameters.HEADERS[operation] | parameters.HARMLESS_HEADERS.get(operation, set())
        wanted = {f"{name}name" if name == parameters.METADATA_PREFIX else name for name in wanted}
        assert headers - {"x-ms-version", "x-ms-client-request-id", "range"} == wanted, found["operationId"]
        query = {one["name"].lower() for one in listed if one["in"] == "query"}
        offered: set[str] = set()
        for operation in several:
            offered |= parameters.PARAMETERS.get(operation, set())
            offered |= parameters.HARMLESS_PARAMETERS.get(operation, set())
        assert query - {"timeout"} == offered, found["operationId"]


def test_the_tiers_are_those_that_are_taken() -> None:
    (tier,) = (
        one
        for one in document_of("blobs", BASE)["components"]["parameters"].values()
        if one["name"] == "x-ms-access-tier"
    )
    assert tier["schema"]["enum"] == list(TIERS.values())
