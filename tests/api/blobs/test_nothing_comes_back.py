"""Snapshots, versions and soft delete are not offered: what asks for them is refused by name, and changes
nothing."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime

import pytest
from azure.storage.blob import generate_blob_sas

from tests.kit.blob_client import ACCOUNT, HOUR, KEYS

SNAPSHOT = "2026-11-28T12:00:00.0000000Z"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("PUT", "/recordings/a?comp=snapshot", 501, "NotImplemented"),
        ("PUT", "/recordings/a?comp=undelete", 501, "NotImplemented"),
        ("PUT", "/recordings?restype=container&comp=undelete", 501, "NotImplemented"),
        ("GET", f"/recordings/a?snapshot={SNAPSHOT}", 404, "BlobNotFound"),
        ("HEAD", f"/recordings/a?versionid={SNAPSHOT}", 404, "BlobNotFound"),
        ("DELETE", f"/recordings/a?snapshot={SNAPSHOT}", 404, "BlobNotFound"),
        ("DELETE", f"/recordings/a?versionid={SNAPSHOT}", 404, "BlobNotFound"),
        ("PUT", f"/recordings/a?comp=tags&versionid={SNAPSHOT}", 404, "BlobNotFound"),
        ("PUT", f"/recordings/a?comp=tier&snapshot={SNAPSHOT}", 404, "BlobNotFound"),
    ],
)
async def test_what_asks_for_an_earlier_state_is_refused(client, method, path, status, code):
    await client.put("a", b"1")
    answer = await client.send(method, path, [("x-ms-access-tier", "Cool")] if "tier" in path else [])
    assert (answer.status, answer.code) == (status, code)
    found = await client.get("a")
    assert (found.body, found.headers["x-ms-access-tier"]) == (b"1", "Hot")


async def test_deleting_only_snapshots_leaves_the_blob(client):
    await client.put("a", b"1")
    only = await client.send("DELETE", "/recordings/a", [("x-ms-delete-snapshots", "only")])
    assert (only.status, only.code) == (404, "BlobNotFound")
    assert (await client.get("a")).body == b"1"
    answer = await client.send("DELETE", "/recordings/a", [("x-ms-delete-snapshots", "include")])
    assert (answer.status, answer.headers["x-ms-delete-type-permanent"]) == (202, "true")


@pytest.mark.parametrize("include", ["snapshots", "versions", "deleted", "deletedwithversions"])
async def test_a_listing_of_earlier_states_has_the_blobs_that_are_there(client, include):
    await client.put("a", b"1")
    await client.put("a", b"2")
    await client.put("b", b"1")
    await client.send("DELETE", "/recordings/b")
    answer = await client.send("GET", f"/recordings?restype=container&comp=list&include={include}")
    assert answer.texts("Blobs/Blob/Name") == ["a"]
    assert answer.texts("Blobs/Blob/Snapshot") == answer.texts("Blobs/Blob/Deleted") == []


@pytest.mark.parametrize(("name", "argument"), [("snapshot", "snapshot"), ("versionid", "version_id")])
async def test_a_token_for_one_version_is_one_for_that_version(client, name, argument):
    """There is none, which only a token whose signature names it is told."""
    await client.put("a", b"1")
    token = generate_blob_sas(
        ACCOUNT,
        "recordings",
        "a",
        account_key=b64encode(KEYS[ACCOUNT][0]).decode(),
        permission="r",
        expiry=datetime.fromtimestamp((client.engine.now() + HOUR) / 1e9, UTC),
        **{argument: SNAPSHOT},
    )
    answer = await client.raw("GET", f"/{ACCOUNT}/recordings/a?{name}={SNAPSHOT}&{token}")
    assert (answer.status, answer.code) == (404, "BlobNotFound")
    for query in (f"{name}=2020-01-01T00:00:00.0000000Z&", ""):
        answer = await client.raw("GET", f"/{ACCOUNT}/recordings/a?{query}{token}")
        assert (answer.status, answer.code) == (403, "AuthenticationFailed")
