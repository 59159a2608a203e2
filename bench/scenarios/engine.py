"""Commands and queries of the three domains through the engine, without HTTP."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import count as numbers
from pathlib import Path
from typing import Any, Final

import trio

from retain import engine
from retain.bench import blob_data as blobs
from retain.bench.metrics import Latencies, Measurement
from retain.bench.result import RunResult
from retain.bench.scenario import Case, RunSettings, Scenario, in_rounds
from retain.bench.workloads import areas
from retain.engine.areas import queries as area_queries
from retain.engine.blobs import queries as blob_queries
from retain.engine.blobs.commands import PutBlob
from retain.engine.blobs.container_commands import EnsureContainers
from retain.engine.blobs.entries import ContentHeaders
from retain.engine.core.command import Command
from retain.engine.settings import Asker, EncodedValue, Level, Place, PutValue, SettingsPolicy

HELD: Final = 1000
CLIENTS: Final = 64


def measure(settings: RunSettings, result: RunResult) -> None:
    """Measure durable commands of 64 clients, and queries one after the other."""
    commands: dict[str, Callable[[engine.Engine], Iterator[Command[Any]]]] = {
        "create an area": lambda store: areas(settings.seed, 64),
        "put a blob of 1 KiB": _blobs,
        "put a settings document": _documents,
    }
    cases: dict[tuple[str, str], Case] = {
        (name, "retain"): partial(trio.run, _written, made, settings) for name, made in commands.items()
    }
    for name in ("query an area", "query a blob"):
        cases[name, "retain"] = partial(trio.run, _read, name, settings)
    in_rounds(settings, result, cases)
    result.notes.append(
        f"commands of {CLIENTS} clients, durable; queries one after the other, of {HELD:,} entries"
    )


async def _written(
    made: Callable[[engine.Engine], Iterator[Command[Any]]], settings: RunSettings
) -> Measurement:
    latencies, done = Latencies(), 0

    async def client(store: engine.Engine, commands: Iterator[Command[Any]], end: float) -> None:
        nonlocal done
        while (begin := time.perf_counter()) < end:
            await store.submit(next(commands))
            latencies.record(time.perf_counter() - begin)
            done += 1

    with tempfile.TemporaryDirectory(prefix="retain-bench-") as folder:
        async with engine.open_engine(Path(folder)) as store:
            await _container(store)
            commands = made(store)
            spent, begin = time.process_time(), time.perf_counter()
            async with trio.open_nursery() as nursery:
                for _ in range(CLIENTS):
                    nursery.start_soon(client, store, commands, begin + settings.seconds)
            elapsed, spent = time.perf_counter() - begin, time.process_time() - spent
    return Measurement.of(done, elapsed, latencies.curve(), spent)


async def _read(name: str, settings: RunSettings) -> Measurement:
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as folder:
        async with engine.open_engine(Path(folder)) as store:
            await _container(store)
            made, names = areas(settings.seed, 64), []
            puts = _blobs(store)
            for _ in range(HELD):
                area = next(made)
                names.append(area.name)
                await store.submit(area)
                await store.submit(next(puts))
            query = _area(store, names) if name == "query an area" else _blob(store)
            return await _repeated(query, settings.seconds)


def _area(store: engine.Engine, names: list[str]) -> Callable[[int], Awaitable[object]]:
    return lambda n: store.read(
        lambda state, now: area_queries.listing(state.areas, names[n % HELD], None, now)
    )


def _blob(store: engine.Engine) -> Callable[[int], Awaitable[object]]:
    account, container = blobs.ACCOUNT, blobs.CONTAINER
    return lambda n: store.read(
        lambda state, now: blob_queries.get_blob(
            state.blobs, account, container, blobs.name_of(n % HELD), now
        )
    )


async def _repeated(query: Callable[[int], Awaitable[object]], seconds: float) -> Measurement:
    latencies, done = Latencies(), 0
    spent = time.process_time()
    begin = now = time.perf_counter()
    while now < begin + seconds:
        await query(done)
        after = time.perf_counter()
        latencies.record(after - now)
        done, now = done + 1, after
    return Measurement.of(done, now - begin, latencies.curve(), time.process_time() - spent)


async def _container(store: engine.Engine) -> None:
    wanted = ((blobs.CONTAINER, store.entropy(16)),)
    await store.submit(EnsureContainers(actor="bench", account=blobs.ACCOUNT, containers=wanted))


def _blobs(store: engine.Engine) -> Iterator[Command[Any]]:
    body = engine.Inline(blobs.body_of(0), bytes(16))
    for number in numbers():
        yield PutBlob(
            actor="bench",
            account=blobs.ACCOUNT,
            container=blobs.CONTAINER,
            name=blobs.name_of(number),
            resource=store.entropy(16),
            body=body,
            headers=ContentHeaders(),
            md5=body.md5,
        )


def _documents(store: engine.Engine) -> Iterator[Command[Any]]:
    asker, policy = Asker("ann", admin=True), SettingsPolicy(put_creates=True)
    for number in numbers():
        yield PutValue(
            actor="user:ann",
            asker=asker,
            place=Place("app", Level.DEVICE, user="ann", device=f"d{number}"),
            path=(),
            resource=store.entropy(16),
            policy=policy,
            body=EncodedValue.of({"ui": {"theme": "light", "text": "x" * 200}}),
        )


SCENARIO = Scenario("engine", "Commands and queries of the three domains, without HTTP.", measure)
