"""The part of an engine that interfaces use: of the leader, or of a follower in another process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from retain import journal
from retain.engine.core.body import StoredBody
from retain.engine.core.command import Command
from retain.engine.core.shortages import Shortages
from retain.engine.state import State
from retain.engine.statistics import Statistics
from retain.engine.writing.bodies import Download, Upload

Value = TypeVar("Value")


class EngineAccess(Protocol):
    """The operations that `Engine` and `Follower` share. They are described there."""

    @property
    def disk(self) -> journal.Disk:
        """Return the data folder, for the journal's reading tools."""

    @property
    def state(self) -> State:
        """Return the live state, for queries inside `read` only."""

    @property
    def shortages(self) -> Shortages:
        """Return the machine's shortages."""

    def now(self) -> int:
        """Return the present, nanoseconds since the epoch. It never decreases, in no process."""

    def wall(self) -> int:
        """Return the machine's clock."""

    def entropy(self, size: int) -> bytes:
        """Return random bytes from the injected source."""

    async def submit(self, command: Command[Value]) -> Value:
        """Decide a command, make it durable, and return its result."""

    async def read(self, query: Callable[[State, int], Value]) -> Value:
        """Return `query(state, now)`, of a durable state with everything that any process answered before."""

    async def compute(self, work: Callable[[], Value]) -> Value:
        """Run `work`, which keeps a processor busy for long, in a thread; it must not look at the state."""

    def glance(self, query: Callable[[State], Value]) -> Value:
        """Return `query(state)` at once, whether or not what it saw is durable."""

    def upload(self, *, md5: bool = True) -> Upload:
        """Return a body to be received; its MD5 is empty without `md5`."""

    async def open_body(self, held: StoredBody) -> Download:
        """Return a body to be sent."""

    def on_commit(self, callback: Callable[[int], None]) -> None:
        """Call `callback(seq)` after durable changes; it must not block."""

    def on_sync(self, callback: Callable[[float], None]) -> None:
        """Call `callback(seconds)` after every sync of the journal by this process."""

    def statistics(self) -> Statistics:
        """Return the statistics of this moment."""
