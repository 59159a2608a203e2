"""Much content due at once, in records and in files: the wait of other requests while it is erased."""

from __future__ import annotations

import gc
import hashlib
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import trio

from retain import engine
from retain.bench.metrics import Measurement
from retain.bench.result import RunResult
from retain.bench.scenario import RunSettings, Scenario
from retain.bench.scenarios.expiry import LateClock, durations
from retain.bench.workloads import areas
from retain.engine.blobs.commands import PutBlob
from retain.engine.blobs.container_commands import CreateContainer
from retain.engine.blobs.entries import ContentHeaders
from retain.engine.core.body import Inline

MEBIBYTES: Final = 1024
MEBIBYTE: Final = 1 << 20
INLINE_BYTES: Final = 65_536
"""Size of a blob that is in a record."""
FILE_BYTES: Final = 4 * MEBIBYTE
"""Size of a blob in a file."""
DAY_NS = 86_400 * 10**9
WHERE = {"actor": "bench", "account": "bench", "container": "recordings"}


def measure(settings: RunSettings, result: RunResult) -> None:
    """Fill an engine with blobs, let all of them fall due, and probe commits until they are erased."""
    trio.run(_run, settings, result)


async def _run(settings: RunSettings, result: RunResult) -> None:
    size = settings.scaled(MEBIBYTES, 16) * MEBIBYTE
    clock = LateClock()
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as folder:
        async with engine.open_engine(Path(folder), clock=clock) as store:
            await store.submit(
                CreateContainer(
                    actor=WHERE["actor"],
                    account=WHERE["account"],
                    container=WHERE["container"],
                    resource=bytes(15) + b"c",
                )
            )
            await _fill_records(store, size // 2 // INLINE_BYTES, INLINE_BYTES)
            await _fill_files(store, size // 2 // FILE_BYTES, FILE_BYTES)
            gc.collect()
            gc.freeze()
            quiet: list[float] = []
            with trio.move_on_after(5):
                await _probe(store, 2, quiet)
            clock.lead = 31 * DAY_NS
            begin = time.perf_counter()
            busy: list[float] = []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_probe, store, 3, busy)
                while _waiting(store):  # noqa: ASYNC110, nobody signals that all is erased
                    await trio.sleep(0.1)
                elapsed = time.perf_counter() - begin
                nursery.cancel_scope.cancel()
            assert store.statistics().failure == ""
    result.add("a commit, nothing else to do", durations(quiet))
    result.add("a commit beside expiry and erasure", durations(busy))
    result.add("erase", Measurement({"mib_per_second": size / MEBIBYTE / elapsed, "seconds": elapsed}))
    result.notes.append(f"{size / MEBIBYTE:,.0f} MiB of due content: half in records, half in files")


def _waiting(store: engine.Engine) -> bool:
    statistics = store.statistics()
    blobs = sum(len(container.blobs) for container in store.state.blobs.containers())
    return bool(blobs or statistics.to_erase or statistics.payload_files)


def _bodies(count: int, size: int) -> Iterator[tuple[int, bytes]]:
    source = random.Random(1)
    block = source.randbytes(size)
    return ((number, number.to_bytes(8, "big") + block[8:]) for number in range(count))


async def _fill_records(store: engine.Engine, count: int, size: int) -> None:
    bodies = _bodies(count, size)

    async def client() -> None:
        for number, data in bodies:
            await store.submit(_put(f"r{number}", number, Inline(data, hashlib.md5(data).digest())))

    async with trio.open_nursery() as nursery:
        for _ in range(32):
            nursery.start_soon(client)


async def _fill_files(store: engine.Engine, count: int, size: int) -> None:
    for number, data in _bodies(count, size):
        async with store.upload() as upload:
            for start in range(0, size, MEBIBYTE):
                await upload.write(data[start : start + MEBIBYTE])
            body = await upload.finish(inline=False)
            await store.submit(_put(f"f{number}", 1 << 40 | number, body))


def _put(name: str, number: int, body: engine.Body) -> PutBlob:
    return PutBlob(
        actor=WHERE["actor"],
        account=WHERE["account"],
        container=WHERE["container"],
        name=name,
        resource=(number + 1).to_bytes(16, "little"),
        body=body,
        md5=body.md5,
        headers=ContentHeaders(),
        metadata=(),
        tags=(),
        tier=None,
    )


async def _probe(store: engine.Engine, seed: int, durations: list[float]) -> None:
    for command in areas(seed, 16):
        begin = time.perf_counter()
        await store.submit(command)
        durations.append(time.perf_counter() - begin)
        await trio.sleep(0.005)


SCENARIO = Scenario(
    "erasure", "A gibibyte of due content erased: how long a commit beside it waits.", measure
)
