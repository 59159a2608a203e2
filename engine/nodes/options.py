"""Options of a node, and how nodes reach one another."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import trio

from retain.engine.nodes.files import SharedFiles
from retain.journal.shared.interface import Shared

Connect = Callable[[], Shared]
"""Return a connection to the shared log; blocking. Raises `Unsettled`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """One node of a cluster.

    Attributes:
        name: The name of the node; no other node has it.
        url: The address at which the other nodes reach it.
        release: The release of Retain.
        lease_seconds: How long the leader holds the shared log without renewing it. A leader that dies is
            replaced after that.
        grant_seconds: How long a follower may answer without hearing from the leader. A follower that dies
            delays changes for so long.
        copies: The number of folders in which a segment must be durable before the shared log drops it.
        keep_hours: How long the shared log keeps frames, at least.

    """

    name: str
    url: str
    release: str = ""
    lease_seconds: float = 5.0
    grant_seconds: float = 2.0
    copies: int = 2
    keep_hours: float = 6.0


class Transport(Protocol):
    """Connections between nodes."""

    async def serve(self, handle: Callable[[trio.abc.Stream], Awaitable[None]]) -> None:
        """Call `handle` with each connection that another node opens, until cancelled."""

    async def dial(self, url: str) -> trio.abc.Stream:
        """Return a connection to the node at `url`.

        Raises:
            OSError: The node cannot be reached, or does not belong to this cluster.

        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What a node needs beside its folder.

    Attributes:
        node: The options of the node.
        connect: Returns a connection to the shared log.
        transport: Connections to other nodes.
        files: The small files that all nodes have.
        pause: Lets a thread wait a number of seconds.

    """

    node: NodeOptions
    connect: Connect
    transport: Transport
    files: SharedFiles
    pause: Callable[[float], None] = time.sleep


class SteppedDown(Exception):
    """The process can no longer be a node of the cluster: it must end, and be started again.

    Another node leads, or the outcome of a change is unknown. Nothing that was acknowledged is lost.
    """
