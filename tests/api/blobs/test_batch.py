"""Blob Batch: strict about its form, each request inside judged and answered as if it had come alone."""

from __future__ import annotations

from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from typing import Any

import pytest

from retain.api.blobs.sas import shared_key
from retain.api.blobs.wire.batch import MAX_BYTES, MAX_PARTS, boundary_of, parse_batch
from retain.api.blobs.wire.errors import AzureError
from retain.api.blobs.wire.times import http_date
from tests.kit.blob_client import ACCOUNT, HOST, KEYS, VERSION, Answer, BlobClient, authorization, blob_client

BOUNDARY = "batch_1"
IN_CONTAINER = "/recordings?restype=container&comp=batch"
IN_ACCOUNT = "/?comp=batch"


def part(line: str, headers: str = "", identity: str | None = "0", end: str = "\r\n") -> str:
    """One request of a batch as Python's client writes it."""
    named = "" if identity is None else f"Content-ID: {identity}\r\n"
    return (
        f"--{BOUNDARY}\r\nContent-Type: application/http\r\n{named}Content-Transfer-Encoding: binary\r\n\r\n"
        f"{line} HTTP/1.1\r\n{headers}{end}\r\n"
    )


def whole(*parts: str) -> bytes:
    return ("".join(parts) + f"--{BOUNDARY}--\r\n").encode("latin-1")


@dataclass
class Sub:
    """The answer to one request of a batch."""

    identity: str | None
    status: int
    headers: Message
    body: str

    @property
    def code(self) -> str | None:
        return self.headers["x-ms-error-code"]


def answers_of(answer: Answer) -> list[Sub]:
    """What the answer to a batch holds, read by another parser than ours."""
    assert answer.status == 202, answer.body
    kind = answer.headers["content-type"].encode()
    assert kind.startswith(b"multipart/mixed; boundary=batchresponse_")
    message = message_from_bytes(b"Content-Type: " + kind + b"\r\n\r\n" + answer.body)
    assert not message.defects
    found = []
    for piece in message.get_payload():  # type: ignore[union-attr]
        assert isinstance(piece, Message)
        assert piece.get_content_type() == "application/http"
        text = piece.get_payload(decode=True)
        assert isinstance(text, bytes)
        line, _, rest = text.partition(b"\r\n")
        version, status, _phrase = line.decode().split(" ", 2)
        assert version == "HTTP/1.1"
        headers = message_from_bytes(rest)
        body = headers.get_payload(decode=True) or b""
        assert isinstance(body, bytes)
        length = int(headers["Content-Length"])
        assert len(body.removesuffix(b"\r\n")) == length
        found.append(Sub(piece["Content-ID"], int(status), headers, body.decode()))
    return found


async def send(client: BlobClient, path: str, body: bytes, **more: Any) -> Answer:
    kind = f"multipart/mixed; boundary={BOUNDARY}"
    return await client.send("POST", path, [("content-type", kind)], body, **more)


def signed(
    client: BlobClient,
    method: str,
    target: str,
    headers: list[tuple[str, str]] | None = None,
    *,
    date: str = "x-ms-date",
    key: bytes = KEYS[ACCOUNT][0],
) -> str:
    """The header lines of a request inside, signed with a key as clients do: without a version."""
    sent = [*(headers or []), (date, http_date(client.engine.now()))]
    path, _, query = target.partition("?")
    own = shared_key.Signed(method, path.encode(), query.encode(), [(n.lower(), v) for n, v in sent])
    value = authorization(key, own, ACCOUNT, VERSION)
    return "".join(f"{name}: {text}\r\n" for name, text in [*sent, ("Authorization", value)])


def deletion(client: BlobClient, name: str, identity: str = "0", **more: Any) -> str:
    target = f"/{ACCOUNT}/recordings/{name}"
    return part(f"DELETE {target}", signed(client, "DELETE", target, **more), identity)


@pytest.fixture
async def filled(client: BlobClient) -> BlobClient:
    for name in ("a", "b", "c d/e"):
        assert (await client.put(name)).status == 201
    return client


async def names(client: BlobClient) -> list[str | None]:
    answer = await client.send("GET", "/recordings?restype=container&comp=list")
    return answer.texts("Blobs/Blob/Name")


@pytest.mark.parametrize("path", [IN_CONTAINER, IN_ACCOUNT, "?restype=container&comp=batch"])
async def test_one_refused_request_does_not_stop_the_others(filled: BlobClient, path: str) -> None:
    body = whole(
        deletion(filled, "a", "0"), deletion(filled, "none", "1"), deletion(filled, "c%20d/e", "x-2")
    )
    found = answers_of(await send(filled, path, body))
    assert [(sub.identity, sub.status, sub.code) for sub in found] == [
        ("0", 202, None),
        ("1", 404, "BlobNotFound"),
        ("x-2", 202, None),
    ]
    assert found[0].headers["x-ms-delete-type-permanent"] == "true"
    assert len({sub.headers["x-ms-request-id"] for sub in found}) == 3
    assert {sub.headers["x-ms-version"] for sub in found} == {VERSION}
    assert "<Code>BlobNotFound</Code>" in found[1].body
    assert await names(filled) == ["b"]


async def test_a_tier_is_set_and_the_client_id_comes_back(filled: BlobClient) -> None:
    target = f"/{ACCOUNT}/recordings/a?comp=tier"
    own = [("x-ms-access-tier", "Cool"), ("x-ms-client-request-id", "mine")]
    body = whole(part(f"PUT {target}", signed(filled, "PUT", target, own)))
    [sub] = answers_of(await send(filled, IN_CONTAINER, body))
    assert (sub.status, sub.headers["x-ms-client-request-id"]) == (200, "mine")
    assert (await filled.head("a")).headers["x-ms-access-tier"] == "Cool"


async def test_every_request_needs_credentials_of_its_own(filled: BlobClient) -> None:
    target = f"/{ACCOUNT}/recordings/a"
    old = http_date(filled.engine.now() - 16 * 60 * 10**9)
    foreign = signed(filled, "DELETE", target, key=b"another key")
    stale = signed(filled, "DELETE", target).replace(http_date(filled.engine.now()), old)
    moved = signed(filled, "DELETE", f"/{ACCOUNT}/recordings/b")
    found = answers_of(
        await send(
            filled,
            IN_CONTAINER,
            whole(*(part(f"DELETE {target}", lines) for lines in ("", foreign, stale, moved))),
        )
    )
    assert [(sub.status, sub.code) for sub in found] == [
        (401, "NoAuthenticationInformation"),
        *[(403, "AuthenticationFailed")] * 3,
    ]
    assert len(await names(filled)) == 3


async def test_shared_key_by_date_and_with_a_version_of_its_own(filled: BlobClient) -> None:
    target = f"/{ACCOUNT}/recordings/b"
    versioned = signed(filled, "DELETE", target, [("x-ms-version", "2023-11-03")], date="Date")
    body = whole(deletion(filled, "a", date="Date"), part(f"DELETE {target}", versioned, "1"))
    found = answers_of(await send(filled, IN_CONTAINER, body))
    assert [(sub.status, sub.headers["x-ms-version"]) for sub in found] == [
        (202, VERSION),
        (202, "2023-11-03"),
    ]


async def test_the_token_of_the_url_counts_for_requests_without_credentials(filled: BlobClient) -> None:
    target = f"/{ACCOUNT}/recordings/a"
    body = whole(part(f"DELETE {target}"))
    for permissions, status in (("r", 403), ("d", 202)):
        token = filled.service_sas(permissions)
        [sub] = answers_of(await send(filled, IN_CONTAINER, body, sas=token))
        assert sub.status == status
        assert sub.headers["x-ms-version"] == VERSION
    [sub] = answers_of(await send(filled, IN_ACCOUNT, body, sas=filled.account_sas("d")))
    assert (sub.status, sub.code) == (404, "BlobNotFound")


async def test_a_token_inside_beats_the_one_of_the_url(filled: BlobClient) -> None:
    weak, strong = filled.service_sas("r"), filled.service_sas("d")
    inside = part(f"DELETE /{ACCOUNT}/recordings/a?{weak}"), part(f"DELETE /{ACCOUNT}/recordings/b?{strong}")
    found = answers_of(await send(filled, IN_CONTAINER, whole(*inside), sas=strong))
    assert [sub.code for sub in found] == ["AuthorizationPermissionMismatch", None]
    keyed = whole(part(f"DELETE /{ACCOUNT}/recordings/a", signed(filled, "DELETE", "/wrong")))
    [sub] = answers_of(await send(filled, IN_CONTAINER, keyed, sas=strong))
    assert sub.code == "AuthenticationFailed"
    assert await names(filled) == ["a", "c d/e"]


async def test_a_request_comes_the_way_the_batch_came() -> None:
    server = {"trusted_proxies": ["192.0.2.1"]}
    async with blob_client(server=server) as client:
        await client.create()
        await client.put("a")
        token = client.service_sas("d", addresses="10.0.0.1", protocol="https")
        target = f"DELETE /{ACCOUNT}/recordings/a?{token}"
        invented = "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\nForwarded: proto=https\r\n"
        [sub] = answers_of(await send(client, IN_CONTAINER, whole(part(target, invented))))
        assert sub.code == "AuthorizationProtocolMismatch"
        told = [("x-forwarded-for", "10.0.0.1"), ("x-forwarded-proto", "https")]
        kind = ("content-type", f"multipart/mixed; boundary={BOUNDARY}")
        answer = await client.send("POST", IN_CONTAINER, [kind, *told], whole(part(target)))
        assert answers_of(answer)[0].status == 202


@pytest.mark.parametrize(
    ("line", "headers", "code"),
    [
        ("PUT /tenant/recordings/a", "x-ms-blob-type: BlockBlob\r\n", "InvalidInput"),
        ("GET /tenant/recordings/a", "", "InvalidInput"),
        ("POST /tenant/recordings?restype=container&comp=batch", "", "InvalidInput"),
        ("DELETE /tenant/recordings?restype=container", "", "InvalidInput"),
        ("DELETE /tenant/other/a", "", "InvalidInput"),
        ("DELETE /tenant/recordings/a?comp=nonsense", "", "InvalidQueryParameterValue"),
        ("DELETE /tenant/recordings/%ff", "", "InvalidUri"),
        ("DELETE /tenant/recordings/a", "x-ms-lease-id: x\r\n", "InvalidHeaderValue"),
        ("DELETE /tenant/recordings/a", 'if-match: "0x8D91C20AE6F18A7"\r\n', "ConditionNotMet"),
    ],
)
async def test_what_a_batch_may_not_hold_is_refused_alone(
    filled: BlobClient, line: str, headers: str, code: str
) -> None:
    token = filled.account_sas("rwdl")
    body = whole(part(line, headers), deletion(filled, "b", "1"))
    found = answers_of(await send(filled, IN_CONTAINER, body, sas=token))
    assert (found[0].code, found[1].status) == (code, 202)
    assert await names(filled) == ["a", "c d/e"]


async def test_another_account_is_not_reached(filled: BlobClient) -> None:
    filled.account = "second"
    await filled.create()
    await filled.put("x")
    token = filled.account_sas("d")
    filled.account = ACCOUNT
    body = whole(
        part(f"DELETE /second/recordings/x?{token}"), part(f"DELETE http://{HOST}/second/recordings/x")
    )
    [fault] = answers_of(await send(filled, IN_ACCOUNT, body))
    assert (fault.identity, fault.status, fault.code) == (None, 400, "InvalidInput")
    [sub] = answers_of(await send(filled, IN_ACCOUNT, whole(part(f"DELETE /second/recordings/x?{token}"))))
    assert sub.status == 403
    filled.account = "second"
    assert await names(filled) == ["x"]


async def test_paths_without_the_account_are_below_it(filled: BlobClient) -> None:
    """As Python's client writes them when the host has a name of its own."""
    target = "/recordings/a"
    body = whole(part(f"DELETE {target}", signed(filled, "DELETE", target)))
    [sub] = answers_of(await send(filled, IN_CONTAINER, body))
    assert sub.status == 202
    assert await names(filled) == ["b", "c d/e"]


@pytest.mark.parametrize("path", [IN_ACCOUNT, f"/{ACCOUNT}?restype=container&comp=batch"])
async def test_a_path_that_names_two_blobs_is_refused(client: BlobClient, path: str) -> None:
    """With a container of the account's name, `/tenant/x` is a blob of `$root` or of that container."""
    blobs = [("$root", "x"), (ACCOUNT, "x"), (ACCOUNT, "recordings/x"), ("recordings", "x")]
    await client.create("$root")
    await client.create(ACCOUNT)
    for container, name in blobs:
        assert (await client.put(name, b"1", container=container)).status == 201
    for target in (f"/{ACCOUNT}/x", f"/{ACCOUNT}/recordings/x", f"/{ACCOUNT}/{ACCOUNT}/x"):
        body = whole(part(f"DELETE {target}", signed(client, "DELETE", target)))
        [sub] = answers_of(await send(client, path, body))
        assert (sub.status, sub.code) == (400, "InvalidInput"), target
    for container, name in blobs:
        assert (await client.get(name, container=container)).status == 200
    body = whole(deletion(client, "x"))
    [sub] = answers_of(await send(client, IN_CONTAINER, body))
    assert sub.status == 202, "in a batch of another container it names one"


async def test_a_path_that_may_name_the_secondary_location_is_refused(client: BlobClient) -> None:
    """With a container called like that location, `/tenant-secondary/recordings/x` is a blob of that one."""
    own = f"{ACCOUNT}-secondary"
    await client.create(own)
    for container, name in [(own, "recordings/x"), ("recordings", "x")]:
        assert (await client.put(name, b"1", container=container)).status == 201
    target = f"/{own}/recordings/x"
    body = whole(part(f"DELETE {target}", signed(client, "DELETE", target)))
    [sub] = answers_of(await send(client, IN_ACCOUNT, body))
    assert (sub.status, sub.code) == (400, "InvalidInput")
    assert own in sub.body
    for container, name in [(own, "recordings/x"), ("recordings", "x")]:
        assert (await client.get(name, container=container)).status == 200
    [sub] = answers_of(await send(client, f"/{own}?restype=container&comp=batch", body))
    assert (sub.status, sub.code) == (400, "InvalidInput")


async def test_a_virtual_host_names_the_account() -> None:
    async with blob_client(host_suffixes=[".blob.core.test"]) as client:
        await client.create()
        await client.put("a")
        token = client.service_sas("d")
        kind = f"multipart/mixed; boundary={BOUNDARY}"
        body = whole(part("DELETE /recordings/a", "Host: second.blob.core.test\r\n"))
        headers = [
            ("host", "tenant.blob.core.test"),
            ("content-type", kind),
            ("content-length", str(len(body))),
        ]
        answer = await client.raw("POST", f"{IN_CONTAINER}&{token}", headers, body)
        assert answers_of(answer)[0].status == 202


@pytest.mark.parametrize(
    "spelling", [f"/{ACCOUNT}/recordings/%61%2Fb", "/recordings/a/b", "/recordings/a%5Cb"]
)
async def test_requests_for_one_blob_run_in_their_order(filled: BlobClient, spelling: str) -> None:
    for turn in range(8):
        name = f"{spelling}{turn}"
        await filled.put(f"a/b{turn}")
        again = part(f"DELETE {name}", signed(filled, "DELETE", name), "1")
        body = whole(deletion(filled, f"a/b{turn}"), again)
        found = answers_of(await send(filled, IN_CONTAINER, body))
        assert [sub.status for sub in found] == [202, 404]


async def test_a_lease_protects_against_a_batch(filled: BlobClient) -> None:
    lease = [("x-ms-lease-action", "acquire"), ("x-ms-lease-duration", "15")]
    assert (await filled.send("PUT", "/recordings/a?comp=lease", lease)).status == 201
    [sub] = answers_of(await send(filled, IN_CONTAINER, whole(deletion(filled, "a"))))
    assert (sub.status, sub.code) == (412, "LeaseIdMissing")


async def test_256_requests_are_the_most(filled: BlobClient) -> None:
    token = filled.service_sas("d")
    most = [part(f"DELETE /tenant/recordings/n{n}", identity=str(n)) for n in range(MAX_PARTS)]
    found = answers_of(await send(filled, IN_CONTAINER, whole(*most), sas=token))
    assert [sub.identity for sub in found] == [str(n) for n in range(256)]
    assert {sub.code for sub in found} == {"BlobNotFound"}
    more = whole(part("DELETE /tenant/recordings/a"), *most)
    [fault] = answers_of(await send(filled, IN_CONTAINER, more, sas=token))
    assert (fault.identity, fault.status, fault.code) == (None, 400, "ExceedsMaxBatchRequestCount")
    assert len(await names(filled)) == 3


async def test_the_body_is_bounded_and_its_length_declared(client: BlobClient) -> None:
    long = b"x" * (MAX_BYTES + 1)
    answer = await send(client, IN_CONTAINER, long)
    assert (answer.status, answer.code) == (413, "RequestBodyTooLarge")
    fits = await send(client, IN_CONTAINER, long[1:])
    assert fits.status == 202
    token = client.service_sas("d")
    headers = [("content-type", "multipart/mixed; boundary=x"), ("transfer-encoding", "chunked")]
    chunked = await client.raw("POST", f"/tenant{IN_CONTAINER}&{token}", headers, b"--x--")
    assert (chunked.status, chunked.code) == (411, "MissingContentLengthHeader")


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        ("multipart/mixed; boundary=batch_+Ah7/04u", b"batch_+Ah7/04u"),
        ('Multipart/Mixed;boundary="a b"', b"a b"),
        ("multipart/mixed; BOUNDARY=" + "x" * 70, b"x" * 70),
        ("multipart/mixed; boundary=" + "x" * 71, None),
        ("multipart/mixed; boundary=", None),
        ('multipart/mixed; boundary="a "', None),
        ("multipart/mixed; boundary=a; boundary=b", None),
        ("multipart/form-data; boundary=a", None),
        ("multipart/mixed", None),
        ("application/xml", None),
    ],
)
def test_the_boundary(kind: str, boundary: bytes | None) -> None:
    if boundary is None:
        with pytest.raises(AzureError, match="InvalidHeaderValue"):
            boundary_of(kind)
    else:
        assert boundary_of(kind) == boundary


async def test_the_content_type_is_needed(client: BlobClient) -> None:
    answer = await client.send("POST", IN_CONTAINER, [], b"--x--")
    assert (answer.status, answer.code) == (400, "MissingRequiredHeader")
    answer = await client.send("POST", IN_CONTAINER, [("content-type", "text/plain")], b"--x--")
    assert (answer.status, answer.code) == (400, "InvalidHeaderValue")


GOOD = part("DELETE /a/b", "Accept: */*\r\n")


@pytest.mark.parametrize("end", ["", "\r\n", "\r\n\r\n"])
def test_forms_that_clients_write(end: str) -> None:
    body = whole(part("DELETE /a/b?c=d&e", "X-A:  b c \r\nx-empty:\r\n", None, end))
    [found] = parse_batch(body, BOUNDARY.encode())
    assert (found.content_id, found.method, found.raw_path, found.raw_query) == (
        None,
        "DELETE",
        b"/a/b",
        b"c=d&e",
    )
    assert found.headers == [(b"x-a", b"b c"), (b"x-empty", b"")]
    assert parse_batch(body.removesuffix(b"\r\n"), BOUNDARY.encode()) == [found]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        whole(),
        b"preamble\r\n" + whole(GOOD),
        b"\r\n" + whole(GOOD),
        whole(GOOD) + b"epilogue",
        whole(GOOD) + b"\r\n",
        GOOD.encode(),
        whole(GOOD).replace(b"\r\n", b"\n"),
        whole(GOOD.replace("HTTP/1.1\r\n", "HTTP/1.1\n")),
        whole(GOOD.replace("Accept: */*", "Accept: */*\r\n folded")),
        whole(GOOD.replace("Accept: */*", "Accept : */*")),
        whole(GOOD.replace("Accept: */*", "Accept: a\x00b")),
        whole(GOOD.replace("Accept: */*", "Accept: a\rb")),
        whole(GOOD.replace("Accept: */*", "Accept: 1\r\nACCEPT: 2")),
        whole(GOOD.replace("Accept: */*", ": 1")),
        whole(GOOD.replace("Accept: */*", "Content-Length: 5")),
        whole(GOOD.replace("Accept: */*", "Transfer-Encoding: chunked")),
        whole(GOOD.replace("\r\n\r\n", "\r\n\r\nbody\r\n")),
        whole(GOOD + "body\r\n"),
        whole(GOOD.replace("DELETE /a/b", "DELETE http://h/a/b")),
        whole(GOOD.replace("DELETE /a/b", "DELETE a/b")),
        whole(GOOD.replace("DELETE /a/b", "DELETE /a b")),
        whole(GOOD.replace("DELETE /a/b", "DELETE /a\xe9")),
        whole(GOOD.replace("DELETE /a/b", "delete /a/b")),
        whole(GOOD.replace("HTTP/1.1", "HTTP/2")),
        whole(GOOD.replace("application/http", "text/plain")),
        whole(GOOD.replace("binary", "base64")),
        whole(GOOD.replace("Content-Transfer-Encoding: binary\r\n", "")),
        whole(GOOD.replace("Content-Type: application/http\r\n", "")),
        whole(GOOD.replace("Content-ID: 0", "Content-ID: 0\r\nContent-ID: 1")),
        whole(GOOD, GOOD.replace(f"--{BOUNDARY}", f"--{BOUNDARY}x")),
        whole(GOOD, GOOD.replace(f"--{BOUNDARY}\r\n", f"--{BOUNDARY}xx")),
        whole(GOOD).replace(f"--{BOUNDARY}--".encode(), f"--{BOUNDARY}-".encode()),
        whole(f"--{BOUNDARY}\r\n"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(body: bytes) -> None:
    with pytest.raises(AzureError, match="InvalidInput"):
        parse_batch(body, BOUNDARY.encode())


async def test_a_malformed_batch_has_one_answer_and_does_nothing(filled: BlobClient) -> None:
    body = whole(deletion(filled, "a"), GOOD.replace("binary", "base64"))
    [fault] = answers_of(await send(filled, IN_CONTAINER, body))
    assert (fault.identity, fault.status, fault.code) == (None, 400, "InvalidInput")
    assert len(await names(filled)) == 3


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"--B\r\nContent-Type: application/http\r\n--B--", "A part has no empty line"),
        (b"--B\r\nX: y\r\n\r\n\r\n--B--", "A part needs the header content-type"),
        (b"--B\r\n--B", "The body does not end"),
        (b"--B--", "The batch holds no request"),
        (b"--BB\r\n--B--", "A line begins with the boundary"),
        (b"x--B\r\n--B--", "The body does not begin"),
    ],
)
def test_a_malformed_batch_says_what_is_wrong_with_it(body: bytes, words: str) -> None:
    with pytest.raises(AzureError) as refused:
        parse_batch(body, b"B")
    assert refused.value.code == "InvalidInput"
    assert refused.value.message.startswith(words)
