"""Long lists and large bodies let others have their turn; a download outlives its token."""

from __future__ import annotations

import struct
import threading
from base64 import b64encode
from contextlib import aclosing
from hashlib import md5
from typing import Any
from urllib.parse import quote

import pytest
import trio

from retain.api.blobs.routes import account
from retain.api.blobs.routes.reading import read_blob
from retain.api.blobs.wire import crc64
from retain.engine.blobs.container_commands import SetContainerAccess
from retain.engine.blobs.entries import BlobEntry, Block, Composite, ContentHeaders, StoredPolicy
from retain.engine.core.body import Inline, StoredBody
from retain.engine.writing import bodies
from retain.engine.writing.bodies import Download
from tests.kit.areas import FilePart, areas_client
from tests.kit.blob_client import HOST, VERSION, blob_client
from tests.kit.holds import steps_counted
from tests.kit.requests import make_request

BLOCKS = 50_000
MOST_AT_ONCE = 64


class LongestStep(trio.abc.Instrument):
    """Counts the bodies opened in one step of a task."""

    def __init__(self) -> None:
        self.now = self.longest = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.now = 0

    def opened(self) -> None:
        self.now += 1
        self.longest = max(self.longest, self.now)


async def test_fifty_thousand_blocks_are_read_in_slices() -> None:
    blocks = tuple(Block(n.to_bytes(4), Inline(b"x", bytes(16)), n + 1) for n in range(BLOCKS))
    entry = BlobEntry(
        bytes(16),
        1,
        1,
        1,
        Composite(blocks, BLOCKS),
        None,
        ContentHeaders(),
        (),
        (),
        None,
        None,
        None,
        None,
        0,
    )
    meter = LongestStep()
    async with blob_client() as client:
        original = client.engine.open_body

        async def counted(held: StoredBody) -> Download:
            meter.opened()
            return await original(held)

        client.engine.open_body = counted  # type: ignore[method-assign]
        trio.lowlevel.add_instrument(meter)
        size = 0
        async with aclosing(read_blob(client.engine, entry, 0, BLOCKS)) as chunks:
            async for chunk in chunks:
                size += len(chunk)
        trio.lowlevel.remove_instrument(meter)
    assert size == BLOCKS
    assert meter.longest <= MOST_AT_ONCE


async def test_a_download_that_has_begun_ends_whole_though_its_token_was_revoked() -> None:
    data = bytes(range(256)) * 16_384
    async with blob_client() as client:
        await client.create()
        await client.put("b", data)

        async def allow(*policies: StoredPolicy) -> None:
            command: Any = SetContainerAccess(
                actor="a",
                account=client.account,
                container="recordings",
                public_access=None,
                policies=policies,
            )
            await client.engine.submit(command)

        await allow(StoredPolicy("p", None, client.engine.now() + 3600 * 10**9, "r"))
        sas = client.service_sas(None, policy="p", expiry=None)
        target = f"/{client.account}/recordings/b?{sas}"
        headers = [("host", HOST), ("x-ms-version", VERSION)]
        response = await client.interface.handle(make_request("GET", target, headers, b""))
        assert response.status == 200
        assert not isinstance(response.body, bytes)
        received = [await anext(aiter(response.body))]
        await allow()
        received += [chunk async for chunk in response.body]
        assert b"".join(received) == data
        assert (await client.raw("GET", target, headers)).status == 403


def block(number: int) -> str:
    return b64encode(b"%05d" % number).decode()


async def test_long_lists_are_read_and_written_beside_the_event_loop() -> None:
    """Blocks and tags of thousands of items: at most some hundreds at once."""
    names = "".join(f"<Latest>{block(number % 9)}</Latest>" for number in range(8_000))
    document = f"<BlockList>{names}</BlockList>".encode()
    where = quote("\"a\"='1'")
    async with blob_client() as client:
        await client.create()
        for number in range(9):
            path = f"/recordings/b?comp=block&blockid={quote(block(number), safe='')}"
            assert (await client.send("PUT", path, [], b"x")).status == 201
        for number in range(600):
            assert (await client.put(f"t{number}", b"", [("x-ms-tags", "a=1")])).status == 201
        steps: list[int] = []
        for method, path, body in (
            ("PUT", "/recordings/b?comp=blocklist", document),
            ("GET", "/recordings/b?comp=blocklist", None),
            ("GET", f"/recordings?restype=container&comp=blobs&where={where}", None),
            ("GET", "/recordings?restype=container&comp=list&include=tags", None),
        ):
            with steps_counted() as counted:
                answer = await client.send(method, path, [], body)
            assert answer.status in (200, 201)
            steps.append(counted.longest)
    # What is left: a look at the type of each field, 10 instructions a block, and half a page.
    written, *read = steps
    assert written < 8_000 * 12, steps
    assert max(read) < 170_000, steps


async def test_containers_are_listed_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    longest: list[int] = []
    async with blob_client() as client:
        for number in range(100):
            answer = await client.send("PUT", f"/c-{number}?restype=container", [("x-ms-meta-a", "b")])
            assert answer.status == 201
        for at_once in (10, 100):
            monkeypatch.setattr(account, "AT_ONCE", at_once)
            with steps_counted() as counted:
                answer = await client.send("GET", "?comp=list&include=metadata")
            assert answer.status == 200
            assert answer.body.count(b"<Container>") == 100
            longest.append(counted.longest)
    sliced, whole = longest
    assert sliced < whole / 2, longest


@pytest.mark.parametrize("framed", [False, True])
async def test_sums_of_much_are_made_beside_the_event_loop(
    framed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where only tables are at hand, which take 80 ms a mebibyte."""
    own, here = threading.get_ident(), []

    def spy(data: bytes, before: int = 0) -> int:
        if threading.get_ident() == own:
            here.append(len(data))
        return by_tables(data, before)

    by_tables = crc64.crc64_by_tables
    data = bytes(range(256)) * 2_000
    total = crc64.encode(crc64.crc64_by_tables(data))
    monkeypatch.setattr(crc64, "_update", spy)
    monkeypatch.setattr(crc64, "_at_once", crc64.SLOW_BYTES)
    async with blob_client() as client:
        await client.create()
        framing = [("x-ms-structured-body", "XSM/1.0; properties=crc64")]
        for path in ("/recordings/b", "/recordings/b?comp=block&blockid=MDAx"):
            if framed:
                sent = [*framing, ("x-ms-structured-content-length", str(len(data)))]
                body = structured(data)
            else:
                sent, body = [("x-ms-content-crc64", total)], data
            kind = [] if "comp=block" in path else [("x-ms-blob-type", "BlockBlob")]
            answer = await client.send("PUT", path, [*kind, *sent], body)
            assert answer.status == 201, answer.body
            assert answer.headers["x-ms-content-crc64"] == total
        ranged = [("range", f"bytes=0-{len(data) - 1}"), ("x-ms-range-get-content-crc64", "true")]
        assert (await client.get("b", ranged)).headers["x-ms-content-crc64"] == total
        assert structured(data) == (await client.get("b", framing)).body
    assert sum(here) < 4 * crc64.SLOW_BYTES


def structured(data: bytes) -> bytes:
    """One segment with its sum."""
    total = crc64.crc64_by_tables(data).to_bytes(8, "little")
    length = 13 + 10 + len(data) + 16
    head = struct.pack("<BQHH", 1, length, 1, 1) + struct.pack("<HQ", 1, len(data))
    return head + data + total + total


async def test_no_md5_is_made_where_none_is_answered_or_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    class Counted:
        def __init__(self, *_: Any, **__: Any) -> None:
            made.append(0)
            self._digest = md5(usedforsecurity=False)

        def update(self, data: bytes) -> None:
            made[-1] += len(data)
            self._digest.update(data)

        def digest(self) -> bytes:
            return self._digest.digest()

    data = bytes(300_000)
    crc = ("x-ms-content-crc64", crc64.encode(crc64.crc64(data)))
    monkeypatch.setattr(bodies.hashlib, "md5", Counted)
    async with blob_client() as client:
        await client.create()
        own_sum = b64encode(md5(data).digest()).decode()
        for headers in ([], [("content-md5", own_sum)]):
            made.clear()
            monkeypatch.setattr(crc64, "IS_FAST", bool(headers))
            plain = await client.send("PUT", "/recordings/b?comp=block&blockid=MDAx", headers, data)
            assert plain.headers["content-md5"] == own_sum
            assert sum(made) == len(data)
        await client.send("PUT", "/recordings/b?comp=block&blockid=MDAx", [], data)
        assert sum(made) == len(data), "a CRC-64 is answered instead"
        await client.send("PUT", "/recordings/b?comp=block&blockid=MDAy", [crc], data)
        assert sum(made) == len(data)
        await client.put("c", data, [crc])
        assert sum(made) == 2 * len(data), "a blob has an MD5 always"
        assert (await client.head("c")).headers["content-md5"] == b64encode(md5(data).digest()).decode()
    async with areas_client() as areas:
        assert await areas.create({"f": FilePart(data)})
    assert sum(made) == 2 * len(data)
