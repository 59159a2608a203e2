"""The secondary location of an account: the same server once more, for clients that read there."""

from __future__ import annotations

import pytest

from retain.api.blobs.sas import shared_key
from retain.api.blobs.wire.times import http_date
from tests.kit.blob_client import HOST, KEYS, VERSION, authorization, blob_client

SUFFIX = ".blob.core.retain.test"


async def signed(client, method, path, *, signs=None, host=HOST, body=b"", headers=()):
    """A request with the account's key; `signs` is the path that its signature is made over."""
    sent = [("host", host), ("x-ms-version", VERSION), ("x-ms-date", http_date(client.engine.wall()))]
    sent += [*headers, ("content-length", str(len(body)))] if body else headers
    raw_path, _, query = (signs or path).partition("?")
    value = authorization(
        KEYS["tenant"][0],
        shared_key.Signed(method, raw_path.encode(), query.encode(), sent),
        "tenant",
        VERSION,
    )
    return await client.raw(method, path, [*sent, ("authorization", value)], body)


@pytest.fixture
async def client():
    async with blob_client(host_suffixes=(SUFFIX,)) as made:
        await made.create()
        await made.put("dir/a", b"content")
        yield made


@pytest.mark.parametrize(
    "signs",
    [None, "/tenant/recordings/dir/a"],
    ids=["as the clients of Python and JavaScript sign", "as Azurite reads it"],
)
async def test_the_key_reads_in_path_style(client, signs):
    for method, body in (("GET", b"content"), ("HEAD", b"")):
        answer = await signed(client, method, "/tenant-secondary/recordings/dir/a", signs=signs)
        assert (answer.status, answer.body) == (200, body)


async def test_a_token_reads_and_lists_in_both_styles(client):
    token = client.service_sas("rl")
    for host, account in ((HOST, "/tenant-secondary"), (f"tenant-secondary{SUFFIX}", "")):
        read = await client.raw("GET", f"{account}/recordings/dir/a?{token}", [("host", host)])
        assert read.body == b"content"
        path = f"{account}/recordings?restype=container&comp=list&{token}"
        assert b"<Name>dir/a</Name>" in (await client.raw("GET", path, [("host", host)])).body


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/recordings/b"),
        ("PUT", "/recordings/dir/a?comp=lease"),
        ("PUT", "/other?restype=container"),
        ("DELETE", "/recordings/dir/a"),
        ("DELETE", "/recordings?restype=container"),
        ("POST", "/?comp=batch"),
        ("PUT", "/?restype=service&comp=properties"),
    ],
)
async def test_writes_are_refused_in_both_styles(client, method, path):
    for host, account in ((HOST, "/tenant-secondary"), (f"tenant-secondary{SUFFIX}", "")):
        kind = [("x-ms-blob-type", "BlockBlob"), ("x-ms-lease-action", "acquire")]
        answer = await signed(client, method, account + path, host=host, headers=kind, body=b"1")
        assert (answer.status, answer.code) == (403, "InsufficientAccountPermissions")
        assert b"without -secondary" in answer.body
    assert (await client.get("dir/a")).body == b"content"
    assert (await client.get("b")).status == 404


async def test_credentials_are_checked_before_anything_is_said(client):
    for method in ("GET", "PUT"):
        path = "/tenant-secondary/recordings/dir/a"
        assert (await client.raw(method, path)).code == "NoAuthenticationInformation"
        for signs in ("/tenant/recordings/dir/b", "/tenant-secondary-secondary/recordings/dir/a"):
            refused = await signed(client, method, path, signs=signs)
            assert refused.code == "AuthenticationFailed"
    assert (await client.raw("GET", "/nobody-secondary/recordings/dir/a")).code == "ResourceNotFound"


async def test_only_the_account_names_a_location(client):
    """A container may be called so; its path is signed as it is, and it is written to like any other."""
    host = f"tenant{SUFFIX}"
    created = await signed(client, "PUT", "/tenant-secondary?restype=container", host=host)
    assert created.status == 201
    await client.put("a", b"another", container="tenant-secondary")
    at_secondary = f"tenant-secondary{SUFFIX}"
    for where in (host, at_secondary):
        read = await signed(client, "GET", "/tenant-secondary/a", host=where)
        assert read.body == b"another"
        refused = await signed(client, "GET", "/tenant-secondary/a", signs="/tenant/a", host=where)
        assert refused.code == "AuthenticationFailed"


async def test_a_signature_over_another_blob_does_not_read_this_one(client):
    """However the location is escaped, it is left out of the account's name only."""
    await client.put("b-secondary", b"secret")
    for account in ("/tenant%2Dsecondary", "/tenant%2dsecondary", "/%74enant-secondary", "/tenant-secondary"):
        path = f"{account}/recordings/b-secondary"
        assert (await signed(client, "GET", path)).body == b"secret"
        for signs in (f"{account}/recordings/b", "/tenant/recordings/b"):
            refused = await signed(client, "GET", path, signs=signs)
            assert refused.code == "AuthenticationFailed"


async def test_a_blob_is_copied_from_the_secondary(client):
    source = f"http://{HOST}/tenant-secondary/recordings/dir/a"
    copied = await client.send("PUT", "/recordings/b", [("x-ms-copy-source", source)])
    assert copied.status == 202
    assert (await client.get("b")).body == b"content"


async def test_the_interface_claims_both_locations_of_its_accounts(client):
    claims = client.interface.mount().claims
    assert [claims(name) for name in ("tenant-secondary", "tenant", "nobody-secondary", "-secondary")] == [
        True,
        True,
        False,
        False,
    ]
