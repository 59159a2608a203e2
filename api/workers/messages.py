"""What a worker and the process that decides say to one another, beside the engine's messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from retain.api.web.metrics import Tallies
from retain.engine.following.codec import Codec
from retain.engine.following.messages import KINDS


@dataclass(frozen=True, slots=True)
class Welcome:
    """The answer to a worker's `Hello`.

    Attributes:
        config: The whole configuration, pickled: only ever sent to a process that the sender has started.
        processes: How many workers share the limits.
        pages: The name of the socket where pages are asked for.

    """

    config: bytes
    processes: int
    pages: bytes


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has loaded the state: from the answer on, erasures wait for it."""


@dataclass(frozen=True, slots=True)
class Listening:
    """A worker accepts connections.

    Attributes:
        urls: Where.

    """

    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """When may a login be tried? Answered with a `Wait`.

    Attributes:
        interface: Whose throttle.
        address: Where the login comes from.
        name: Under which name.

    """

    interface: str
    address: str
    name: str


@dataclass(frozen=True, slots=True)
class Wait:
    """The answer to a `Turn`.

    Attributes:
        seconds: Until its turn.
        refused: Seconds after which to try again, where too many wait already; None where none do.

    """

    seconds: float
    refused: int | None


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A login was right after all. As `Turn`."""

    interface: str
    address: str
    name: str


@dataclass(frozen=True, slots=True)
class Ask:
    """How is the worker? Answered with a `WorkerReport`."""


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """How a worker is.

    Attributes:
        resident: Bytes of memory that it occupies.
        connections: Open ones.
        applied: The last record that it has applied.
        tallies: What it counted.
        seen: What requests look like when they arrive (`web.seen`).

    """

    resident: int
    connections: int
    applied: int
    tallies: Tallies
    seen: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Stop:
    """Finish the requests in hand, then end."""


def codec() -> Codec:
    """Return the codec of both sides."""
    own = (Welcome, Ready, Listening, Turn, Wait, LoggedIn, Ask, WorkerReport, Tallies, Stop)
    return Codec((*KINDS, *own))
