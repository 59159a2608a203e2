"""Open a data folder as a node."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import trio

from retain import journal
from retain.engine.core.clock import Clock, SystemClock
from retain.engine.core.errors import StorageFailed
from retain.engine.nodes.connection import refuse_other_journal
from retain.engine.nodes.node import NodeEngine
from retain.engine.nodes.options import Cluster, Connect
from retain.engine.options import Options
from retain.engine.snapshots.load import load
from retain.journal.shared.interface import SharedHead


@asynccontextmanager
async def open_node(
    where: str | Path | journal.Disk,
    cluster: Cluster,
    *,
    options: Options | None = None,
    clock: Clock | None = None,
    entropy: Callable[[int], bytes] = os.urandom,
) -> AsyncIterator[NodeEngine]:
    """Open a data folder as a node of a cluster, and run it until the block is left.

    The node follows or leads by itself. Until it may answer, its operations raise `NodeNotReady`.

    Raises:
        journal.Locked, journal.Corrupt, StorageFailed: As `engine.engine.open_engine`.
        journal.BadTarget: The shared log does not belong to this folder.
        journal.Unsettled: The shared log does not answer.
        SteppedDown: Raised where the block ends: this process must end and be started again.

    """
    disk = journal.RealDisk(Path(where)) if isinstance(where, str | Path) else where
    head = await trio.to_thread.run_sync(partial(_head, cluster.connect))
    options = replace(
        options or Options(),
        shared=True,
        identity=head.identity,
        segment_hours=cluster.node.keep_hours,
    )
    try:
        loaded = await trio.to_thread.run_sync(load, disk, options, entropy)
    except journal.WriteFailed as error:
        raise StorageFailed(str(error)) from error
    try:
        refuse_other_journal(head, loaded.log.identity)
    except journal.BadTarget:
        loaded.log.close()
        raise
    engine = NodeEngine(
        disk, loaded, options=options, clock=clock or SystemClock(), entropy=entropy, cluster=cluster
    )
    async with engine._running():
        yield engine


def _head(connect: Connect) -> SharedHead:
    shared = connect()
    try:
        return shared.head()
    finally:
        shared.close()
