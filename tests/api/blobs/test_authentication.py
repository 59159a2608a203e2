"""Authentication and its refusals: credentials, versions, hosts, proxies, forgeries on the
wire."""

from __future__ import annotations

import pytest

from retain.api.blobs.request.operations import ACCOUNT, BLOB, CONTAINER
from retain.api.blobs.routes import TABLE
from retain.api.blobs.sas import permissions
from retain.api.blobs.sas import verify as sas
from retain.api.blobs.sas.issue import issue_service_sas
from retain.api.blobs.sas.permissions import Operation
from retain.api.http.message import BadRequest, BodyTooLarge, BodyTooSlow, RequestError, UnexpectedError
from retain.engine import EngineClosed, StorageFailed, StorageFull
from retain.engine.blobs.events import BlobPut
from retain.engine.wire import from_record
from retain.journal import scan
from tests.kit.blob_client import HOST, HOUR, KEYS, blob_client
from tests.kit.requests import make_request


async def test_nobody_gets_in_without_credentials(client):
    await client.put("a", b"1")
    for method, path in (
        ("GET", "/recordings/a"),
        ("HEAD", "/recordings/nothing"),
        ("PUT", "/x/y"),
        ("GET", "/"),
    ):
        answer = await client.raw(method, f"/tenant{path}")
        assert (answer.status, answer.code) == (401, "NoAuthenticationInformation")
        assert answer.headers["www-authenticate"] == "SharedKey"


async def test_public_access_is_kept_but_opens_nothing(client):
    path, headers = "/recordings?restype=container&comp=acl", [("x-ms-blob-public-access", "container")]
    assert (await client.send("PUT", path, headers)).status == 200
    assert (await client.send("GET", path)).headers["x-ms-blob-public-access"] == "container"
    assert (await client.raw("GET", "/tenant/recordings?restype=container&comp=list")).status == 401


async def test_either_key_signs(client):
    await client.put("a", b"1")
    expiry = client.engine.now() + HOUR
    for key, status in ((KEYS["tenant"][0], 200), (KEYS["tenant"][1], 200), (b"retired", 403)):
        token = issue_service_sas(
            key, account="tenant", container="recordings", permissions="r", expiry=expiry
        )
        assert (await client.get("a", sas=token)).status == status


async def test_a_signature_is_dated_by_the_right_clock_also_while_the_present_is_ahead(client):
    client.clock.step(-2 * 3600)
    assert (await client.put("a", b"1")).status == 201


async def test_an_authorization_header_that_is_none(client):
    answer = await client.raw("GET", "/tenant/recordings/a", [("authorization", "SharedKey tenant:AAAA")])
    assert (answer.status, answer.code) == (400, "InvalidAuthenticationInfo")
    answer = await client.raw("GET", "/tenant/recordings/a", [("authorization", "Bearer abc")])
    assert (answer.status, answer.code) == (401, "InvalidAuthenticationInfo")


async def test_two_kinds_of_credentials_are_refused(client):
    answer = await client.raw(
        "GET", f"/tenant/recordings/a?{client.service_sas('r')}", [("authorization", "SharedKey tenant:x")]
    )
    assert (answer.status, answer.code) == (400, "InvalidAuthenticationInfo")


async def test_the_version_comes_from_the_header_the_query_the_token_or_the_default(client):
    await client.put("a", b"1")
    token = client.service_sas("r", version="2020-02-10")
    target = f"/tenant/recordings/a?{token}"
    assert (await client.raw("GET", target)).headers["x-ms-version"] == "2020-02-10"
    assert (await client.raw("GET", f"{target}&api-version=2021-01-01")).headers[
        "x-ms-version"
    ] == "2021-01-01"
    answer = await client.raw("GET", target, [("x-ms-version", "2099-12-31")])
    assert (answer.status, answer.headers["x-ms-version"]) == (200, "2099-12-31")
    for headers in ([("x-ms-version", "latest")], [("x-ms-version", "2020-02-10x")]):
        answer = await client.raw("GET", target, headers)
        assert answer.code == "InvalidHeaderValue"
        assert answer.xml.findtext("HeaderName") == "x-ms-version"
    answer = await client.get("a", version=None)
    assert (answer.status, answer.code) == (400, "MissingRequiredHeader")
    inner = b"<DefaultServiceVersion>2021-08-06</DefaultServiceVersion>"
    body = b"<StorageServiceProperties>" + inner + b"</StorageServiceProperties>"
    await client.send("PUT", "/?restype=service&comp=properties", [], body)
    answer = await client.get("a", version=None)
    assert (answer.status, answer.headers["x-ms-version"]) == (200, "2021-08-06")


async def test_the_client_request_id_is_echoed_if_it_can_be(client):
    for value, echoed in (
        ("abc-123", True),
        ("x" * 1024, True),
        ("x" * 1025, False),
        ("é", False),
        ("", False),
    ):
        answer = await client.raw("GET", "/tenant/", [("x-ms-client-request-id", value)])
        assert (answer.headers.get("x-ms-client-request-id") == value) is echoed


async def test_an_unknown_account_is_a_resource_that_is_not_there():
    async with blob_client(host_suffixes=(".blob.core.retain.test",)) as client:
        answer = await client.raw("GET", "/", [("host", "nobody.blob.core.retain.test")])
        assert (answer.status, answer.code) == (404, "ResourceNotFound")
        interface = client.interface.mount()
        assert interface.claims("tenant")
        assert not interface.claims("nobody")


async def test_virtual_hosts_put_the_account_into_the_name():
    async with blob_client(host_suffixes=(".blob.core.retain.test",)) as client:
        await client.create()
        await client.put("dir/a", b"1")
        token = client.service_sas("rl")
        for host in ("tenant.blob.core.retain.test", "TENANT-secondary.blob.core.retain.test:8080"):
            answer = await client.raw("GET", f"/recordings/dir/a?{token}", [("host", host)])
            assert answer.body == b"1"
        for host in ("tenant.blob.core.retain.test:http", "8080", "[::1]", "[::1]:8080"):
            answer = await client.raw("GET", f"/tenant/recordings/dir/a?{token}", [("host", host)])
            assert answer.body == b"1", "a name without our ending: the account is in the path"
            answer = await client.raw("GET", f"/recordings/dir/a?{token}", [("host", host)])
            assert answer.code == "ResourceNotFound", host
        listed = await client.raw(
            "GET",
            f"/recordings?restype=container&comp=list&{token}",
            [("host", "tenant.blob.core.retain.test")],
        )
        assert listed.xml.attrib["ServiceEndpoint"] == "http://tenant.blob.core.retain.test/"
        source = f"http://tenant.blob.core.retain.test/recordings/dir/a?{token}"
        answer = await client.send("PUT", "/recordings/b", [("x-ms-copy-source", source)])
        assert answer.status == 202


async def test_https_and_addresses_are_believed_of_a_trusted_proxy_only():
    async with blob_client(server={"trusted_proxies": ("10.0.0.1",)}) as client:
        await client.create()
        await client.put("a", b"1")
        secure = client.service_sas("r", protocol="https")
        near = client.service_sas("r", addresses="192.0.2.77")
        told = [("x-forwarded-proto", "https"), ("x-forwarded-for", "192.0.2.77")]
        for token, code in (
            (secure, "AuthorizationProtocolMismatch"),
            (near, "AuthorizationSourceIPMismatch"),
        ):
            target = f"/tenant/recordings/a?{token}"
            assert (await client.raw("GET", target, told, peer="10.0.0.1")).status == 200
            assert (await client.raw("GET", target, told, peer="203.0.113.9")).code == code
            assert (await client.raw("GET", target, peer="10.0.0.1")).code == code
        assert (await client.raw("GET", f"/tenant/recordings/a?{secure}", scheme="https")).status == 200


async def test_an_external_https_url_counts_behind_its_proxy_only():
    server = {"trusted_proxies": ("10.0.0.1",), "external_url": "https://retain.test"}
    async with blob_client(server=server) as client:
        await client.create()
        target = f"/tenant/recordings?restype=container&comp=list&{client.service_sas('l', protocol='https')}"
        assert (await client.raw("GET", target, peer="10.0.0.1")).status == 200
        assert (await client.raw("GET", target, peer="203.0.113.9")).code == "AuthorizationProtocolMismatch"


async def test_rights_are_judged_before_existence(client):
    token = client.service_sas("l")
    for path in ("/recordings/nothing", "/recordings/a"):
        answer = await client.send("GET", path, sas=token)
        assert (answer.status, answer.code) == (403, "AuthorizationPermissionMismatch")
    missing = client.account_sas("l", types="c")
    assert (await client.send("GET", "/nothing/a", sas=missing)).code == "AuthorizationResourceTypeMismatch"
    only_queue = client.account_sas("r", services="q")
    assert (await client.send("GET", "/nothing/a", sas=only_queue)).code == "AuthorizationServiceMismatch"


async def test_a_token_that_creates_never_overwrites(client):
    token = client.service_sas("c")
    assert (await client.put("new", b"1", sas=token)).status == 201
    for size in (1, 200_000):
        answer = await client.put("new", b"2" * size, sas=token)
        assert (answer.status, answer.code) == (403, "UnauthorizedBlobOverwrite")
    assert (await client.get("new")).body == b"1"
    assert (await client.put("tagged", b"1", [("x-ms-tags", "a=1")], sas=token)).code == (
        "AuthorizationPermissionMismatch"
    )


async def test_overrides_of_a_token_replace_headers_of_the_blob(client):
    await client.put("a", b"1", [("x-ms-blob-content-type", "text/html"), ("x-ms-blob-cache-control", "x")])
    token = client.service_sas("r", overrides={"rscd": 'attachment; filename="ü.mp3"', "rsct": "audio/mpeg"})
    for answer in (await client.get("a", sas=token), await client.head("a", sas=token)):
        assert answer.headers["content-type"] == "audio/mpeg"
        assert (
            answer.headers["content-disposition"].encode("latin-1").decode() == 'attachment; filename="ü.mp3"'
        )
        assert answer.headers["cache-control"] == "x"


async def test_a_token_ends_at_its_second(client):
    await client.put("a", b"1")
    token = client.service_sas("r", expiry=client.engine.now() // 10**9 * 10**9 + HOUR)
    client.clock.advance(3599)
    assert (await client.get("a", sas=token)).status == 200
    client.clock.advance(1)
    answer = await client.get("a", sas=token)
    assert answer.xml.findtext("AuthenticationErrorDetail").startswith(
        "Signature not valid in the specified time"
    )


async def test_a_token_of_one_account_is_nothing_to_another(client):
    await client.put("a", b"1")
    token = client.account_sas("rwl")
    answer = await client.raw("GET", f"/second/recordings/a?{token}")
    assert answer.code == "AuthenticationFailed"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/?restype=service&comp=stats", 501, "NotImplemented"),
        ("POST", "/?restype=service&comp=userdelegationkey", 501, "NotImplemented"),
        ("PATCH", "/recordings/a", 405, "UnsupportedHttpVerb"),
        ("POST", "/recordings/a", 405, "UnsupportedHttpVerb"),
        ("DELETE", "/recordings/a?comp=tags", 405, "UnsupportedHttpVerb"),
        ("GET", "/recordings/a?comp=nonsense", 400, "InvalidQueryParameterValue"),
        ("GET", "/recordings?restype=nonsense&comp=list", 400, "InvalidQueryParameterValue"),
        ("GET", "/?restype=nonsense", 400, "InvalidQueryParameterValue"),
        ("GET", "/", 400, "InvalidQueryParameterValue"),
    ],
)
async def test_what_has_no_operation_is_refused_by_name(client, method, path, status, code):
    answer = await client.send(method, path)
    assert (answer.status, answer.code) == (status, code)
    if code == "UnsupportedHttpVerb":
        assert answer.headers["allow"]


def test_every_operation_is_reachable_and_has_a_handler():
    reached = {*ACCOUNT.values(), *CONTAINER.values(), *BLOB.values()}
    derived = {
        Operation.COPY_BLOB,
        Operation.PUT_BLOB_FROM_URL,
        Operation.PUT_BLOCK_FROM_URL,
        Operation.BREAK_BLOB_LEASE,
        Operation.BREAK_CONTAINER_LEASE,
    }
    assert reached | derived == TABLE.keys() == set(Operation) == permissions.RULES.keys()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (BadRequest("bad"), 400, "InvalidUri"),
        (BodyTooLarge(5), 413, "RequestBodyTooLarge"),
        (BodyTooSlow("slow"), 408, "OperationTimedOut"),
        (RequestError("other"), 400, "InvalidUri"),
        (UnexpectedError("id"), 500, "InternalError"),
        (StorageFull("full"), 507, "InsufficientAccountStorage"),
        (StorageFailed("failed"), 503, "ServerBusy"),
        (EngineClosed("closed"), 503, "ServerBusy"),
    ],
)
async def test_what_goes_wrong_around_a_request_is_worded_as_azure_does(client, error, status, code):
    response = client.interface.error(make_request("GET", "/tenant/a"), error)
    headers = dict(response.headers)
    assert (response.status, headers["x-ms-error-code"]) == (status, code)
    assert headers["Content-Type"] == "application/xml"


def test_a_grant_shows_no_secret():
    assert "sig" not in repr(sas.KEY_GRANT)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([("x-ms-encryption-key", "AAAA")], "UnsupportedHeader"),
        ([("x-ms-encryption-scope", "mine")], "UnsupportedHeader"),
        ([("x-ms-immutability-policy-until-date", "later")], "UnsupportedHeader"),
        ([("content-type", "a\x01b")], "InvalidHeaderValue"),
        ([("x-ms-meta-a", "a\x7fb")], "InvalidHeaderValue"),
    ],
)
async def test_headers_that_cannot_be_honoured_are_refused(client, headers, code):
    answer = await client.put("a", b"1", headers)
    assert (answer.status, answer.code) == (400, code)


async def test_a_bad_api_version_is_refused(client):
    answer = await client.raw("GET", f"/tenant/recordings/a?{client.service_sas('r')}&api-version=new")
    assert answer.code == "InvalidHeaderValue"


async def test_a_repeated_header_is_one_list_and_no_second_value(client):
    await client.put("a", b"1")
    other = '"0x8D91C20AE6F18A7"'
    etag = (await client.head("a")).headers["etag"]
    target = f"/tenant/recordings/a?{client.service_sas('rw')}"
    assert (await client.raw("GET", target, [("if-match", other), ("if-match", etag)])).status == 200
    twice = [("x-ms-blob-type", "BlockBlob"), ("x-ms-blob-type", "BlockBlob"), ("content-length", "0")]
    assert (await client.raw("PUT", target, twice)).code == "InvalidHeaderValue"


async def test_a_copy_source_may_name_the_default_port(client):
    await client.put("a", b"1")
    token = client.account_sas("rwc")
    for host, source in (
        ("retain.test", "retain.test:80"),
        ("retain.test:80", "retain.test"),
        ("[::1]", "[::1]"),
    ):
        url = f"http://{source}/tenant/recordings/a?{token}"
        headers = [("host", host), ("x-ms-copy-source", url), ("content-length", "0")]
        assert (await client.raw("PUT", f"/tenant/recordings/b?{token}", headers)).status == 202


async def test_a_copy_refuses_foreign_authorization_and_sources_too_large(client):
    await client.put("a", b"1")
    url = ("x-ms-copy-source", f"http://{HOST}/tenant/recordings/a")
    answer = await client.send("PUT", "/recordings/b", [url, ("x-ms-copy-source-authorization", "Bearer x")])
    assert answer.code == "UnsupportedHeader"


async def test_a_record_says_what_kind_of_credential_wrote_it(client):
    acl = "/recordings?restype=container&comp=acl"
    policy = (
        b"<SignedIdentifiers><SignedIdentifier><Id>uploads</Id><AccessPolicy><Expiry>2100-01-01</Expiry>"
        b"<Permission>rcw</Permission></AccessPolicy></SignedIdentifier></SignedIdentifiers>"
    )
    assert (await client.send("PUT", acl, [], policy)).status == 200
    tokens = {
        "ad-hoc token": client.service_sas("cw"),
        "token of policy uploads": client.service_sas(None, expiry=None, policy="uploads"),
        "account token": client.account_sas("cw"),
    }
    for token in tokens.values():
        assert (await client.put("a", b"1", sas=token)).status == 201
    written = [event for record in scan(client.disk) if isinstance(event := from_record(record), BlobPut)]
    assert [event.actor for event in written] == list(tokens)
