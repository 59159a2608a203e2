"""Blobs over HTTP beside Azurite and s3rver, one core each.

Azurite answers a PUT seconds before it is on disk, and s3rver never syncs; when Retain answers a PUT, it is
durable.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Final

from retain.bench import blob_data as blobs
from retain.bench.load import Load
from retain.bench.load import measure as ask
from retain.bench.load.requests import Client, request
from retain.bench.metrics import Measurement, resident_bytes
from retain.bench.peers import servers
from retain.bench.result import RunResult
from retain.bench.scenario import Case, RunSettings, Scenario, in_rounds, processors

FEW: Final = 1000
MANY: Final = 20_000
PAGE: Final = 5000
OURS, AZURITE, S3RVER = "retain", "Azurite", "s3rver"

_GOALS: Final = {f"GET 1 KiB of {FEW:,}": 8.0, f"PUT 1 KiB of {FEW:,}": 9.0, f"GET 1 KiB of {MANY:,}": 40.0}
"""The goals relative to Azurite."""


def measure(settings: RunSettings, result: RunResult) -> None:
    """Measure small blobs among few and many, a page, a search, one large blob, memory and the start."""
    many = settings.scaled(MANY, 2 * FEW)
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name:
        folder = Path(name)
        with ExitStack() as stack:
            peers = _started(stack, folder, settings, result)
            empty = {peer.name: resident_bytes(peer.pid) for peer in peers}
            for peer in peers:
                blobs.create_container(peer.port)
                blobs.fill(peer.port, range(FEW), many)
            few = _small(peers, FEW, many, settings)
            if settings.with_peers:
                few |= _s3rver(stack, folder, settings, result)
            in_rounds(settings, result, few)
            for peer in peers:
                blobs.fill(peer.port, range(FEW, many), many)
            in_rounds(
                settings,
                result,
                _small(peers, many, many, settings)
                | _indexes(peers, many, settings)
                | _large(peers, settings),
            )
            for peer in peers:
                result.add(
                    f"memory with {many:,} blobs",
                    Measurement({"mib": resident_bytes(peer.pid) / 2**20}),
                    peer.name,
                )
                result.notes.append(f"{peer.name}: {empty[peer.name] / 2**20:,.0f} MiB with none")
        if len(peers) > 1:
            _starts(settings, result, folder, many)
    for row in list(result.rows):
        if row.server != OURS:
            metric = next(iter(row.figures))
            ours = result.row(row.case)
            result.ratio(
                f"{row.case}: Retain / {row.server}", ours, row, metric, goal=_goal(row.case, row.server)
            )


def _goal(case: str, server: str) -> float | None:
    return _GOALS.get(case) if server == AZURITE else None


def _started(
    stack: ExitStack, folder: Path, settings: RunSettings, result: RunResult
) -> list[blobs.BlobPeer]:
    """Start both servers on their folders, Retain first."""
    core = processors()[0]
    ours = servers.retain(folder / "retain", blobs.configuration(folder), core, checkout=settings.checkout)
    started = [blobs.BlobPeer(OURS, *stack.enter_context(ours))]
    if settings.with_peers:
        try:
            theirs = stack.enter_context(servers.azurite(folder / "azurite", core))
        except RuntimeError as error:
            result.notes.append(str(error))
        else:
            started.append(blobs.BlobPeer(AZURITE, *theirs))
    return started


def _load(
    peer: blobs.BlobPeer, requests: list[bytes], expect: int, connections: int, settings: RunSettings
) -> Case:
    load = Load(
        peer.port,
        requests,
        expect,
        connections,
        settings.seconds,
        pid=peer.pid,
        processor=processors()[1],
        seed=settings.seed,
    )
    return lambda: ask(load)


def _small(
    peers: list[blobs.BlobPeer], there: int, many: int, settings: RunSettings
) -> dict[tuple[str, str], Case]:
    """Return the cases of small blobs among `there` existing ones."""
    step = max(1, there // FEW)
    reads, writes = blobs.gets(range(0, there, step)), blobs.puts(range(0, there, step), many)
    cases = {}
    for peer in peers:
        cases[f"GET 1 KiB of {there:,}", peer.name] = _load(peer, reads, 200, settings.connections, settings)
        cases[f"PUT 1 KiB of {there:,}", peer.name] = _load(peer, writes, 201, settings.connections, settings)
    return cases


def _indexes(peers: list[blobs.BlobPeer], many: int, settings: RunSettings) -> dict[tuple[str, str], Case]:
    """Return the cases of a page of the listing and of a selective search, one request after the other."""
    page = [request("GET", blobs.list_target(PAGE), headers=blobs.HEADERS)]
    find = [request("GET", blobs.find_target(), headers=blobs.HEADERS)]
    cases = {}
    for peer in peers:
        cases[f"page of {PAGE:,} of {many:,}", peer.name] = _load(peer, page, 200, 1, settings)
        cases[f"find {blobs.FOUND} of {many:,} by tags", peer.name] = _load(peer, find, 200, 1, settings)
    return cases


def _large(peers: list[blobs.BlobPeer], settings: RunSettings) -> dict[tuple[str, str], Case]:
    """Return the cases of one large blob, up and down."""
    where = blobs.target(f"/{blobs.CONTAINER}/large")
    up = [request("PUT", where, blobs.body_of(0, blobs.LARGE), blobs.PUT)]
    down = [request("GET", where, headers=blobs.HEADERS)]
    cases: dict[tuple[str, str], Case] = {}
    for peer in peers:
        for name, requests, expect in (("PUT 64 MiB", up, 201), ("GET 64 MiB", down, 200)):
            cases[name, peer.name] = _in_mebibytes(_load(peer, requests, expect, 1, settings))
    return cases


def _in_mebibytes(case: Case) -> Case:
    def measured() -> Measurement:
        rate = case().figures["per_second"]
        return Measurement({"mib_per_second": rate * blobs.LARGE / 2**20})

    return measured


def _s3rver(
    stack: ExitStack, folder: Path, settings: RunSettings, result: RunResult
) -> dict[tuple[str, str], Case]:
    try:
        peer = blobs.BlobPeer(S3RVER, *stack.enter_context(servers.s3rver(folder / "s3", processors()[0])))
    except RuntimeError as error:
        result.notes.append(str(error))
        return {}
    with Client(peer.port) as client:
        for number in range(FEW):
            client.send("PUT", f"/bench/{blobs.name_of(number)}", blobs.body_of(number))
        reads = [request("GET", f"/bench/{blobs.name_of(number)}") for number in range(FEW)]
        writes = [
            request("PUT", f"/bench/{blobs.name_of(number)}", blobs.body_of(number)) for number in range(FEW)
        ]
        return {
            (f"GET 1 KiB of {FEW:,}", S3RVER): _load(peer, reads, 200, settings.connections, settings),
            (f"PUT 1 KiB of {FEW:,}", S3RVER): _load(peer, writes, 200, settings.connections, settings),
        }


def _starts(settings: RunSettings, result: RunResult, folder: Path, many: int) -> None:
    """Measure from the start of the process to the first blob read, with all data written before."""
    core = processors()[0]
    for _ in range(settings.rounds):
        theirs = first_answer(lambda: servers.azurite(folder / "azurite", core), many)
        ours = first_answer(
            lambda: servers.retain(
                folder / "retain", blobs.configuration(folder), core, checkout=settings.checkout
            ),
            many,
        )
        result.add(f"start with {many:,} blobs", Measurement({"seconds": ours}), OURS)
        result.add(f"start with {many:,} blobs", Measurement({"seconds": theirs}), AZURITE)


def first_answer(server: Callable[[], AbstractContextManager[tuple[int, int]]], count: int) -> float:
    """Return the seconds until a blob could be read."""
    begin = time.perf_counter()
    with server() as (port, _pid):
        with Client(port) as client:
            client.send("GET", blobs.blob_target(count - 1), headers=blobs.HEADERS)
        return time.perf_counter() - begin


SCENARIO = Scenario(
    "blobs-http",
    "The blobs interface: small and large blobs, a page, a search, memory and start.",
    measure,
    ("Azurite", "s3rver"),
    over_http=True,
)
