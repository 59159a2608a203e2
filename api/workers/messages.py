"""Messages between a worker and the deciding process, in addition to the engine's."""

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
        config: The whole configuration, pickled: sent only to a process that the sender has started.
        processes: How many workers share the limits.
        pages: The name of the socket for requests for pages.

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
        urls: Its base URLs.

    """

    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """Request a time for a login attempt. Answered with a `Wait`.

    Attributes:
        interface: The interface of the throttle.
        address: The client's address.
        name: The user's name.

    """

    interface: str
    address: str
    name: str


@dataclass(frozen=True, slots=True)
class Wait:
    """The answer to a `Turn`.

    Attributes:
        seconds: Until the attempt may be made.
        refused: Seconds after which to try again, if too many wait already; otherwise None.

    """

    seconds: float
    refused: int | None


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A login succeeded. Attributes as of `Turn`."""

    interface: str
    address: str
    name: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Request a report. Answered with a `WorkerReport`."""


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """The state of a worker.

    Attributes:
        resident: Bytes of memory that it occupies.
        connections: Number of open connections.
        applied: The last record that it has applied.
        tallies: Its counters.
        seen: A sample of requests as they arrive (`web.seen`).

    """

    resident: int
    connections: int
    applied: int
    tallies: Tallies
    seen: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Stop:
    """Finish the requests under way, then end."""


def codec() -> Codec:
    """Return the codec of both sides."""
    own = (Welcome, Ready, Listening, Turn, Wait, LoggedIn, Ask, WorkerReport, Tallies, Stop)
    return Codec((*KINDS, *own))
