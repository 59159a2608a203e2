"""Lease ids and blob names have one form, however a client writes them; block ids only while uncommitted."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from retain.api.blobs.sas.issue import issue_service_sas
from tests.api.blobs.test_blocks_and_copies import block_list, block_path, commit, listed, stage
from tests.kit.blob_client import ACCOUNT, HOST, HOUR, KEYS, readable

PLAIN = "0123456789abcdef0123456789ABCDEF"
NORMAL = "01234567-89ab-cdef-0123-456789abcdef"
FORMS = [PLAIN, NORMAL.upper(), f"{{{NORMAL}}}", f"({NORMAL})"]


async def test_a_client_overwrites_what_another_wrote_in_blocks_with_longer_ids(client):
    await stage(client, b"\0\0\0\1", b"of the first")
    await commit(client, ("Latest", b"\0\0\0\1"))
    assert (await stage(client, b"0" * 48, b"of the second")).status == 201
    assert (await stage(client, b"short", b"")).code == "InvalidBlobOrBlock"
    answer = await commit(client, ("Committed", b"\0\0\0\1"), ("Uncommitted", b"0" * 48))
    assert answer.status == 201
    assert (await client.get("a")).body == b"of the firstof the second"
    _, blocks = await listed(client)
    assert len(blocks[0]) == 2
    await stage(client, b"short", b"of the third")
    await commit(client, ("Latest", b"short"))
    assert (await client.get("a")).body == b"of the third"


async def leased(client, form, path="/recordings/a?comp=lease"):
    headers = [
        ("x-ms-lease-action", "acquire"),
        ("x-ms-lease-duration", "-1"),
        ("x-ms-proposed-lease-id", form),
    ]
    return await client.send("PUT", path, headers)


@pytest.mark.parametrize("form", FORMS)
async def test_a_lease_id_is_known_in_each_form_to_each_operation_on_a_blob(client, form):
    await client.put("a", b"1")
    answer = await leased(client, form)
    assert (answer.status, answer.headers["x-ms-lease-id"]) == (201, NORMAL)
    named = [("x-ms-lease-id", form)]
    copied = ("x-ms-copy-source", readable("source"))
    await client.put("source", b"2")
    for method, path, headers, body, status in (
        ("PUT", "/recordings/a", [("x-ms-blob-type", "BlockBlob")], b"2", 201),
        ("PUT", "/recordings/a", [copied], None, 202),
        ("PUT", block_path(b"1"), [], b"3", 201),
        ("PUT", block_path(b"2"), [copied], None, 201),
        ("PUT", "/recordings/a?comp=blocklist", [], block_list(("Latest", b"1")), 201),
        ("PUT", "/recordings/a?comp=metadata", [], None, 200),
        ("PUT", "/recordings/a?comp=properties", [], None, 200),
        ("PUT", "/recordings/a?comp=tags", [], b"<Tags><TagSet /></Tags>", 204),
        ("PUT", "/recordings/a?comp=tier", [("x-ms-access-tier", "Cool")], None, 200),
        ("GET", "/recordings/a", [], None, 200),
        ("HEAD", "/recordings/a", [], None, 200),
        ("GET", "/recordings/a?comp=tags", [], None, 200),
        ("GET", "/recordings/a?comp=blocklist", [], None, 200),
        ("DELETE", "/recordings/a", [], None, 202),
    ):
        answer = await client.send(method, path, [*headers, *named], body)
        assert answer.status == status, (method, path, answer.body)


@pytest.mark.parametrize("form", FORMS)
async def test_a_lease_id_is_known_in_each_form_to_each_operation_on_a_container(client, form):
    container = "/recordings?restype=container"
    assert (await leased(client, form, f"{container}&comp=lease")).headers["x-ms-lease-id"] == NORMAL
    named = [("x-ms-lease-id", form)]
    for method, path, status in (
        ("GET", container, 200),
        ("GET", f"{container}&comp=acl", 200),
        ("PUT", f"{container}&comp=metadata", 200),
        ("PUT", f"{container}&comp=acl", 200),
        ("DELETE", container, 202),
    ):
        assert (await client.send(method, path, named)).status == status, (method, path)


@pytest.mark.parametrize("text", ["guid", PLAIN[1:], f"{{{PLAIN}}}", f"{{{NORMAL}", f"urn:uuid:{NORMAL}"])
async def test_what_is_no_lease_id_is_refused_where_it_stands(client, text):
    await client.put("a", b"1")
    for method, path in (
        ("GET", "/recordings/a"),
        ("DELETE", "/recordings/a"),
        ("PUT", "/recordings/a?comp=metadata"),
        ("PUT", block_path(b"1")),
        ("GET", "/recordings?restype=container"),
    ):
        answer = await client.send(method, path, [("x-ms-lease-id", text)])
        assert (answer.status, answer.code) == (400, "InvalidHeaderValue"), (method, path)
        assert answer.xml.findtext("HeaderName") == "x-ms-lease-id"
    assert (await client.get("a")).status == 200


async def test_a_backslash_in_a_name_is_a_slash(client):
    for path in ("/recordings/a%5Cb", "/recordings/c\\d", "/recordings%5Ce"):
        assert (
            await client.send("PUT", path, [("x-ms-blob-type", "BlockBlob")], path.encode())
        ).status == 201
    answer = await client.send("GET", "/recordings?restype=container&comp=list")
    assert answer.texts("Blobs/Blob/Name") == ["a/b", "c/d", "e"]
    assert (await client.get("a/b")).body == b"/recordings/a%5Cb"
    assert (await client.get("a\\b")).body == b"/recordings/a%5Cb"


async def test_a_backslash_is_a_slash_in_the_source_of_a_copy_and_under_a_token(client):
    await client.put("a/b", b"1")
    headers = [("x-ms-copy-source", f"http://{HOST}/{ACCOUNT}/recordings/a%5Cb")]
    assert (await client.send("PUT", "/recordings/c%5Cd", headers)).status == 202
    token = issue_service_sas(
        KEYS[ACCOUNT][0],
        account=ACCOUNT,
        container="recordings",
        blob="c/d",
        permissions="r",
        expiry=client.engine.now() + HOUR,
    )
    assert (await client.send("GET", "/recordings/" + quote("c\\d"), sas=token)).body == b"1"
    assert (await client.get("a\\b", sas=token)).code == "AuthenticationFailed"
