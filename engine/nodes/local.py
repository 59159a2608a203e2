"""What the two roles need from their node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from retain.engine.core.clock import Horizon
from retain.engine.core.command import Command
from retain.engine.nodes.former_leaders import FormerLeaders
from retain.engine.nodes.present import Present
from retain.engine.state import State
from retain.journal.log import Committed
from retain.journal.shared.interface import Shared, SharedHead, Term

Value = TypeVar("Value")


class Local(Protocol):
    """The node's own folder, state and clock: `node.NodeEngine`. `NodeEngine` documents the operations."""

    @property
    def state(self) -> State:
        """Return the state."""

    @property
    def durable(self) -> int:
        """Return the last record that is durable here, and applied."""

    @property
    def overwritten(self) -> int:
        """Return the record up to which this folder has overwritten all erased bytes."""

    @property
    def identity(self) -> bytes:
        """Return the journal's identity."""

    @property
    def failure(self) -> str:
        """Return why writing has ended; empty while all is well."""

    @property
    def horizon(self) -> Horizon:
        """Return this machine's judgement of the present."""

    @property
    def present(self) -> Present:
        """Return what the leader has told about the present."""

    @property
    def former_leaders(self) -> FormerLeaders:
        """Return what tells a former leader that another node leads."""

    def elapsed(self) -> int:
        """Return the monotonic clock, nanoseconds."""

    async def submit(self, command: Command[Value]) -> Value:
        """Have the leader decide a command."""

    async def decide(self, command: Command[Value]) -> Value:
        """Decide a command here and make it durable."""

    async def wait_durable(self, seq: int) -> None:
        """Return once record `seq` is durable here."""

    async def receive(self, frames: Sequence[Committed]) -> None:
        """Write committed frames here, and apply them."""

    async def fetch(self, until: int, term: Term) -> None:
        """Receive from the shared log what is missing here, up to the durable record `until`."""

    async def load_files(self) -> None:
        """Replace the small files by those in the shared log."""

    async def end_old_segment(self) -> None:
        """Begin a new segment if the last one is old."""

    async def shared_head(self) -> SharedHead:
        """Return where the shared log ends, and who leads it."""

    async def with_shared(self, work: Callable[[Shared], Value]) -> Value:
        """Return `work(connection)`, run in a thread."""
