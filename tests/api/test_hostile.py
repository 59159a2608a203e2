"""Names that mean two things, and requests that want too much, at every interface of the real server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import trio

from tests.kit.hostile import NAMES, Bomb, answers, assert_refused_well, bombs, head, multipart_bombs, throw
from tests.kit.server import Server

#: A route with a name in it, for each interface.
PLACES = (
    "/genesys/1/storage/{}",
    "/genesys/1/storage/{}/Key",
    "/genesys/1/storage/custom/{}",
    "/healthz/{}",
    "/{}/x",
)
#: A route that takes a body, for each interface.
SINKS = (("POST", "/genesys/1/storage/60"), ("POST", "/genesys/1/storage/custom/x/60"), ("POST", "/healthz"))


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
        async for answer in answers(server.port, [data + b"a=b"]):
            assert answer.status < 500, name
    added = {path.name for path in server.data.rglob("*")} - before
    assert all(re.fullmatch(r"[0-9a-f-]*\.?[a-z]+", name) for name in added), added


def every_bomb() -> list[Bomb]:
    found = [bomb for method, target in SINKS for bomb in bombs(method, target)]
    return [*found, *multipart_bombs("POST", "/genesys/1/storage/60")]


@pytest.mark.parametrize("bomb", every_bomb(), ids=lambda bomb: bomb.name)
async def test_every_bomb_is_refused_in_bounded_time(server: Server, bomb: Bomb) -> None:
    assert_refused_well(await throw(server.port, bomb, within_s=15), bomb.statuses)


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
    assert "error of ours" not in server.log()
