"""Names that mean two things, and requests that want too much, at every interface of the real server.

The callers may do nearly everything: nothing is refused for who they are before it is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from retain.api.blobs.sas.issue import issue_account_sas
from tests.kit.hostile import (
    NAMES,
    Bomb,
    answers,
    assert_refused_well,
    bombs,
    head,
    json_bombs,
    multipart_bombs,
    throw,
)
from tests.kit.server import Server, running

#: A tenant with a known key; anybody may use settings.
CONFIG = """
[identity]
anonymous = true

[[tenants]]
name = "hostile"
key = "dGhlIGtleSBvZiB0aGUgaG9zdGlsZSB0ZW5hbnQ="
containers = ["recordings"]
"""
TOKEN = issue_account_sas(
    b"the key of the hostile tenant",
    account="hostile",
    permissions="rwdlacupft",
    expiry=4_000_000_000 * 10**9,
)
APPLICATION = "/mobileservices/Storage/v1/runtime/application"

#: A route with a name in it, for each interface.
PLACES = (
    "/genesys/1/storage/{}",
    "/genesys/1/storage/{}/Key",
    "/genesys/1/storage/custom/{}",
    "/healthz/{}",
    "/{}/x",
    APPLICATION + "/{}/global",
    APPLICATION + "/app/global/{}",
    APPLICATION + "/app/currentuser/{}",
    f"/hostile/recordings/{{}}?{TOKEN}",
    f"/hostile/recordings/{{}}?comp=tags&{TOKEN}",
    f"/hostile/{{}}?restype=container&comp=list&{TOKEN}",
    f"/hostile/recordings?restype=container&comp=list&prefix={{}}&{TOKEN}",
    f"/hostile/?comp=blobs&where={{}}&{TOKEN}",
    "/console/api/{}",
)
#: A route that takes a body, for each interface.
SINKS = (
    ("POST", "/genesys/1/storage/60"),
    ("POST", "/genesys/1/storage/custom/x/60"),
    ("POST", "/healthz"),
    ("POST", APPLICATION + "/app/currentuser"),
    ("PUT", f"/hostile/recordings/x?{TOKEN}"),
    ("PUT", f"/hostile/recordings/x?comp=blocklist&{TOKEN}"),
    ("PUT", f"/hostile/recordings/x?comp=tags&{TOKEN}"),
    ("PUT", f"/hostile/?restype=service&comp=properties&{TOKEN}"),
    ("POST", "/console/api/tokens"),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("hostile"), CONFIG) as instance:
        yield instance


@pytest.mark.parametrize("place", PLACES)
async def test_every_name_gets_a_well_formed_answer(server: Server, place: str) -> None:
    requests = [head("GET", place.format(name)) for name in NAMES]
    number = 0
    async for answer in answers(server.port, requests):
        assert answer.status < 500, (NAMES[number], answer)
        assert b"Traceback" not in answer.body
        assert b"\r\nset-cookie" not in answer.head.lower()
        assert answer.header("location") is None
        number += 1
    assert number == len(NAMES)


async def test_no_file_is_named_by_a_client(server: Server) -> None:
    before = {path.name for path in server.data.rglob("*")}
    for name in NAMES:
        data = head(
            "POST",
            f"/genesys/1/storage/custom/{name}/60",
            "gms_user: u",
            "Content-Type: application/x-www-form-urlencoded",
            "Content-Length: 3",
        )
        lines = ("x-ms-blob-type: BlockBlob", "Content-Length: 70000")
        large = head("PUT", f"/hostile/recordings/{name}?{TOKEN}", *lines) + b"y" * 70000
        async for answer in answers(server.port, [data + b"a=b", large]):
            assert answer.status < 500, name
    added = {path.name for path in server.data.rglob("*")} - before
    assert all(re.fullmatch(r"[0-9a-f-]+|[0-9a-f-]*\.?[a-z]+", name) for name in added), added


def every_bomb() -> list[Bomb]:
    found = [bomb for method, target in SINKS for bomb in bombs(method, target)]
    found += json_bombs("POST", APPLICATION + "/app/currentuser")
    found += json_bombs("POST", "/console/api/tokens")
    return [*found, *multipart_bombs("POST", "/genesys/1/storage/60")]


@pytest.mark.parametrize("bomb", every_bomb(), ids=lambda bomb: bomb.name)
async def test_every_bomb_is_refused_in_bounded_time(server: Server, bomb: Bomb) -> None:
    assert_refused_well(await throw(server.port, bomb), bomb.statuses)


async def test_a_flood_of_headers_does_not_fill_the_memory(server: Server) -> None:
    async def flood() -> None:
        await throw(server.port, next(bomb for bomb in bombs("GET", "/x") if "100 MB" in bomb.name))

    await flood()
    before = resident(server)
    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(flood)
    assert resident(server) - before < 20 << 20


def resident(server: Server) -> int:
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS")


async def test_the_server_is_well_afterwards(server: Server) -> None:
    async for answer in answers(server.port, [head("GET", "/readyz")]):
        assert answer.body == b"ok\n"
    assert "unhandled exception" not in server.log()
