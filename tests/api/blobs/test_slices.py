"""Reading a blob of many blocks lets others have their turn; a download outlives its token."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import trio

from retain.api.blobs.routes.reading import read_blob
from retain.engine.blobs.container_commands import SetContainerAccess
from retain.engine.blobs.entries import BlobEntry, Block, Composite, ContentHeaders, StoredPolicy
from retain.engine.core.body import Inline, StoredBody
from retain.engine.writing.bodies import Download
from tests.kit.blob_client import HOST, VERSION, blob_client
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
