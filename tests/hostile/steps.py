"""``python -m tests.hostile.steps``: how long each kind of large request holds the event loop.

Requests go to the interfaces without a network. For each, the longest step of any task on the loop's thread
is printed, in milliseconds of the processor: nearly the same on a busy machine. `tests.kit.holds` counts
instructions instead, and does not see what one call into C costs.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode

import trio

from tests.kit.areas import FilePart, areas_client
from tests.kit.blob_client import BlobClient, blob_client
from tests.kit.settings import ROOT, settings_client

Row = tuple[str, float]
Part = Callable[[float], AsyncIterator[Row]]


class Longest(trio.abc.Instrument):
    """The longest step so far, in milliseconds of the processor, and the task that took it."""

    def __init__(self) -> None:
        self.milliseconds = 0.0
        self.task = ""
        self._since = math.inf  # the step in which the measuring begins does not count

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._since = time.thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        spent = (time.thread_time() - self._since) * 1000
        if spent > self.milliseconds:
            self.milliseconds, self.task = spent, task.name


@asynccontextmanager
async def measured() -> AsyncIterator[Longest]:
    """Measure the steps of all tasks as long as the block lasts, without the collector's own pauses."""
    longest = Longest()
    gc.collect()
    gc.disable()
    trio.lowlevel.add_instrument(longest)
    try:
        await trio.lowlevel.checkpoint()
        yield longest
        await trio.lowlevel.checkpoint()
    finally:
        trio.lowlevel.remove_instrument(longest)
        gc.enable()


def _block(number: int) -> str:
    return b64encode(b"%05d" % number).decode()


async def _staged(client: BlobClient, count: int, name: str = "b") -> None:
    async with trio.open_nursery() as nursery:
        limit = trio.CapacityLimiter(100)

        async def stage(number: int) -> None:
            async with limit:
                path = f"/recordings/{name}?comp=block&blockid={quote(_block(number), safe='')}"
                assert (await client.send("PUT", path, [], b"x")).status == 201

        for number in range(count):
            nursery.start_soon(stage, number)


def _blob_requests(blocks: int) -> list[tuple[str, str, str, bytes | None]]:
    latest = "".join(f"<Latest>{_block(number)}</Latest>" for number in range(blocks))
    tagged = quote(" AND ".join(f"\"t{at}\">='0'" for at in range(10)))
    return [
        ("Get Block List, uncommitted", "GET", "/recordings/b?comp=blocklist&blocklisttype=all", None),
        (
            "Put Block List",
            "PUT",
            "/recordings/b?comp=blocklist",
            f"<BlockList>{latest}</BlockList>".encode(),
        ),
        (
            "Put Block List again",
            "PUT",
            "/recordings/b?comp=blocklist",
            f"<BlockList>{latest}</BlockList>".encode(),
        ),
        ("Get Block List, committed", "GET", "/recordings/b?comp=blocklist&blocklisttype=all", None),
        ("Get Blob of many blocks", "GET", "/recordings/b", None),
        ("Snapshotless copy of many blocks", "COPY", "/recordings/c", None),
        ("Delete of many blocks", "DELETE", "/recordings/b", None),
        ("Put Blob over staged blocks", "PUT", "/recordings/s", b"x"),
        ("List Containers", "GET", "/?comp=list", None),
        ("List Containers with metadata", "GET", "/?comp=list&include=metadata", None),
        (
            "List Blobs with uncommitted",
            "GET",
            "/recordings?restype=container&comp=list&include=uncommittedblobs",
            None,
        ),
        ("List Blobs", "GET", "/recordings?restype=container&comp=list", None),
        (
            "List Blobs with all",
            "GET",
            "/recordings?restype=container&comp=list&include=tags,metadata,copy",
            None,
        ),
        ("List Blobs by folder", "GET", "/recordings?restype=container&comp=list&delimiter=/", None),
        ("List Blobs by letter", "GET", "/recordings?restype=container&comp=list&delimiter=n", None),
        ("Find by tags", "GET", f"/recordings?restype=container&comp=blobs&where={tagged}", None),
        (
            "Query string of 60 KiB",
            "GET",
            "/recordings?comp=list&restype=container&" + "a=%41&" * 10_000,
            None,
        ),
        ("Delete Container", "DELETE", "/recordings?restype=container", None),
    ]


async def blobs(scale: float) -> AsyncIterator[Row]:
    """Lists of blocks, of blobs and of tags; batches; policies."""
    blocks, names = round(50_000 * scale), round(6_000 * scale)
    async with blob_client() as client:
        await client.create()
        await _staged(client, blocks)
        await _staged(client, blocks, "s")
        await _staged(client, blocks, "d")
        for number in range(names):
            metadata = [(f"x-ms-meta-m{at}", "v" * 40) for at in range(10)]
            assert (await client.send("PUT", f"/c{number:06}?restype=container", metadata)).status == 201
        for number in range(names):
            tags = "&".join(f"t{at}={number % 7}" for at in range(10))
            headers = [("x-ms-tags", tags), *((f"x-ms-meta-m{at}", "v" * 40) for at in range(10))]
            assert (await client.put(f"{'n' * 900}/{number:05}", b"", headers)).status == 201
        for name, method, path, body in _blob_requests(blocks):
            async with measured() as longest:
                if method == "COPY":
                    source = [("x-ms-copy-source", f"http://retain.test:8080/{client.account}/recordings/b")]
                    answer = await client.send("PUT", path, source, None)
                else:
                    kind = [("x-ms-blob-type", "BlockBlob")] if body == b"x" else []
                    answer = await client.send(method, path, kind, body)
            yield f"{name} ({answer.status}, {longest.task.rpartition('.')[2]})", longest.milliseconds


async def settings(scale: float) -> AsyncIterator[Row]:
    """Long documents, long patches, long pointers."""
    wide = {f"k{number}": {"v": number} for number in range(round(20_000 * scale))}
    deep: Any = 1
    for _ in range(30):
        deep = {"d": deep}
    patch = [{"op": "test", "path": "/k1/v", "value": 1}] * round(1_000 * scale)
    pointer = [{"op": "test", "path": "/k1" + "/~0~1" * 60, "value": 1}]
    async with settings_client() as client:
        for name, method, tail, value, kind in (
            ("settings POST, wide", "POST", "global", wide, "json"),
            ("settings GET, wide", "GET", "global", None, "json"),
            ("settings GET keys", "GET", "global?keys=true", None, "json"),
            ("settings PATCH, wide", "PATCH", "global", {k: {"v": 0} for k in wide}, "json"),
            ("settings JSON Patch, many", "PATCH", "global", patch, "json-patch+json"),
            ("settings JSON Patch, long pointer", "PATCH", "global", pointer, "json-patch+json"),
            ("settings PUT, deep", "PUT", "device/d", deep, "json"),
            ("settings GET history", "GET", "global?history=100", None, "json"),
            ("settings DELETE, wide", "DELETE", "global", None, "json"),
        ):
            body = b"" if value is None else json.dumps(value, separators=(",", ":")).encode()
            async with measured() as longest:
                headers = [("Content-Type", f"application/{kind}")] if body else []
                answer = await client.send(method, f"{ROOT}/app/{tail}", headers, body)
            yield f"{name} ({answer.status}, {longest.task.rpartition('.')[2]})", longest.milliseconds


async def areas(scale: float) -> AsyncIterator[Row]:
    """Forms of many names."""
    count = round(80_000 * scale)
    async with areas_client() as client:
        base = "/genesys/1/storage/3600"
        encoded = urlencode({f"k{number}": "v" for number in range(count)}).encode()
        form = [("Content-Type", "application/x-www-form-urlencoded")]
        async with measured() as longest:
            answer = await client.send("POST", base, form, encoded)
        yield f"areas POST of {count} names ({answer.status}, {longest.task})", longest.milliseconds
        async with measured() as longest:
            await client.create({f"f{number}": FilePart(b"x") for number in range(count // 100)})
        yield f"areas POST of {count // 100} files ({longest.task})", longest.milliseconds


async def main() -> None:
    """Print a table, the longest last; the exit code tells whether one is above the bound."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.steps")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="how large the requests are; 1 is the largest"
    )
    parser.add_argument("--most", type=float, default=15.0, help="milliseconds that no step may last")
    asked = parser.parse_args()
    rows = [row for part in (blobs, settings, areas) async for row in part(asked.scale)]
    for name, milliseconds in sorted(rows, key=lambda row: row[1]):
        print(f"{milliseconds:8.1f} ms  {name}")
    raise SystemExit(max(milliseconds for _, milliseconds in rows) > asked.most)


if __name__ == "__main__":
    trio.run(main)
