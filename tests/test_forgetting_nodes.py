"""What ended at one of three nodes is nowhere in time: in no node's folder, the store, or PostgreSQL's files.

Recognisable bytes go through all three interfaces. Then they, the keys of their payload files and these
files are looked for in every file. PostgreSQL has frames as the journals have them, whitened: what stood for
the bytes is noted before they are erased.
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest
import trio

from retain.api.cli import with_nodes
from retain.api.config.load import Config
from retain.engine.nodes import leader, reports
from retain.engine.nodes.node import NodeEngine
from retain.engine.nodes.open import open_node
from retain.engine.testing import SteppedClock
from tests.kit.forgetting import DAY_S, ERASE_WITHIN_S, OPTIONS, Site, forms, payload_keys
from tests.kit.nodes import until
from tests.kit.postgres import Postgres, Server

NODES = ("a", "b", "c")
LONG_S = 3e8
"""Of a lease on the test's clock, which jumps over days; a grant is shorter."""
OFTEN_S = 0.1
LIMIT_S = 120.0
KEEP_S = 6 * 3600.0
"""As long as `cluster.keep_hours` by default."""


def configured(root: Path, server: Server, name: str) -> Config:
    """Return the configuration of a node; the store is a folder that all reach."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        link = f"127.0.0.1:{free.getsockname()[1]}"
    config = Config()
    return replace(
        config,
        storage=replace(config.storage, data=root / name, payloads=(root / "store").as_uri()),
        cluster=replace(
            config.cluster,
            log=server.url,
            name=name,
            link=link,
            secret_file=str(root / "secret"),
            lease_seconds=LONG_S,
            grant_seconds=LONG_S / 4,
        ),
    )


@asynccontextmanager
async def three_nodes(root: Path, server: Server, clock: SteppedClock) -> AsyncIterator[list[NodeEngine]]:
    """Run three nodes in this process, the first of which leads. They look around often."""
    (root / "secret").write_text(os.urandom(32).hex())
    (root / "secret").chmod(0o600)
    options = replace(OPTIONS, sweep_interval_s=OFTEN_S, erase_interval_s=OFTEN_S)
    configs = [configured(root, server, name) for name in NODES]
    with_nodes.begin(configs[0])
    async with AsyncExitStack() as stack:
        stack.enter_context(patch.object(leader, "UPKEEP_S", OFTEN_S))
        stack.enter_context(patch.object(reports, "REPORT_S", OFTEN_S))
        nodes = []
        for config in configs:
            disk = with_nodes.node_disk(config)
            cluster = with_nodes.cluster_of(config, disk)
            node = await stack.enter_async_context(open_node(disk, cluster, options=options, clock=clock))
            node.take_part()
            await until(lambda: node.role != "waiting", LIMIT_S)  # noqa: B023
            nodes.append(node)
        yield nodes


def holding(wanted: Iterable[bytes], *roots: Path) -> dict[str, int]:
    """Return the files below `roots` that have any of these bytes, and how many of them."""
    wanted = list(wanted)
    found = {}
    for root in roots:
        for path in root.rglob("*"):
            try:
                data = path.read_bytes() if path.is_file() else b""
            except FileNotFoundError:
                continue  # removed meanwhile
            if count := sum(one in data for one in wanted):
                found[str(path)] = count
    return found


async def nowhere(search: Callable[[], object]) -> None:
    """Look until a search finds nothing; fail with what it found last."""
    found: object = True
    with trio.move_on_after(LIMIT_S):
        while found:
            found = await trio.to_thread.run_sync(search)
    assert not found


@dataclass
class Cells:
    """What is searched: the nodes' folders and their store below `root`, the files of PostgreSQL."""

    sites: list[Site]
    root: Path
    server: Server

    def pass_time(self, seconds: float) -> None:
        self.sites[0].clock.advance(seconds)
        self.server.pass_time(seconds)

    def bodies(self, names: Iterable[str]) -> dict[str, bytes]:
        """How payload files begin in the store."""
        return {name: next((self.root / "store").rglob(name)).read_bytes()[:64] for name in names}

    def check_beforehand(self, bodies: Iterable[bytes], whitened: Iterable[bytes]) -> None:
        """What will be looked for is there, and a search finds it."""
        assert holding(bodies, self.root / "store")
        assert holding(whitened, self.server.data / "pg_wal"), "PostgreSQL's log has the frames"
        self.server.sql("CHECKPOINT")
        assert holding(whitened, self.server.data / "base"), "and its tables"
        for site in self.sites:
            assert site.found("content-dead")
            assert site.found("name-dead")

    async def nowhere_in_postgres(self, wanted: Iterable[bytes]) -> None:
        """Let the hours pass for which the shared log keeps frames: tables and WAL have nothing then."""
        self.pass_time(KEEP_S)
        await nowhere(partial(holding, wanted, self.server.folder))

    def files(self) -> set[str]:
        return {path.name for path in self.root.rglob("*")}


@pytest.mark.slow
async def test_what_was_erased_is_in_no_file_of_the_nodes_the_store_and_postgres(
    postgres_servers: Postgres, tmp_path: Path
) -> None:
    pytest.importorskip("obstore", reason="obstore is not installed: pip install 'retain[cluster]'")
    server, clock = postgres_servers.server(), SteppedClock()
    server.configure(wal_keep_size="0")
    try:
        async with three_nodes(tmp_path, server, clock) as nodes:
            sites = [Site(node, tmp_path / name, clock) for node, name in zip(nodes, NODES, strict=True)]
            await _forget(Cells(sites, tmp_path, server))
    finally:
        postgres_servers.close(server)


async def _forget(cells: Cells) -> None:
    first, second, third = cells.sites
    await second.fill("dead")
    await third.fill("alive")
    for site in cells.sites:
        await site.engine.take_snapshot()

    keys = payload_keys(first.engine)
    contents, names = forms("content-dead"), forms("name-dead")
    bodies = cells.bodies(keys)
    traces, name_traces = first.whitened(contents), first.whitened(names)
    key_traces = {name: first.whitened([key]) for name, key in keys.items()}
    assert all(key_traces.values()), "each key is in the journal"
    for site in cells.sites:
        assert site.whitened(contents) == traces, "the journals are alike"
    cells.check_beforehand(bodies.values(), traces | name_traces | set().union(*key_traces.values()))

    await third.end()
    gone = keys.keys() - payload_keys(first.engine).keys()
    assert len(gone) == 3, "the area's long text and large file, the large blob"
    gone_keys = {keys[name] for name in gone}
    gone_traces = traces.union(*(key_traces[name] for name in gone))
    erased = contents | gone_keys | gone_traces | {bodies[name] for name in gone}

    cells.pass_time(ERASE_WITHIN_S)
    for site in cells.sites:
        await nowhere(partial(site.found, "content-dead"))
        await nowhere(partial(site.whitened, gone_keys))
    await nowhere(partial(holding, erased, cells.root))
    await cells.nowhere_in_postgres(contents | gone_keys | gone_traces)
    for site in cells.sites:
        assert site.found("name-dead"), "who did what is kept for the audit period"
        assert site.found("content-alive")
    assert gone.isdisjoint(cells.files())

    cells.pass_time(60 * DAY_S)
    for site in cells.sites:
        await nowhere(partial(site.found, "name-dead"))
    await nowhere(partial(holding, erased | names | name_traces, cells.root))
    await cells.nowhere_in_postgres(erased | names | name_traces)
    for site in cells.sites:
        answer = await site.areas.get("/custom/name-alive-id", [("gms_user", "name-alive-user")])
        assert "content-alive-second" in answer.text
        site.sound()
