"""The nodes' reports in the shared log: the last record of each, and what this node last read of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

import trio

from retain import journal
from retain.engine.nodes.connection import Connection
from retain.journal.shared.interface import NodeReport, Shared, SharedHead

REPORT_S: Final = 2.0
"""Between two reports of this node to the shared log, in seconds."""


class Look(NamedTuple):
    """What the shared log had at one moment.

    Attributes:
        head: Where it ended, and who led.
        nodes: Each node's last report.
        at: This node's wall clock then, in nanoseconds since the epoch.
        elapsed: Its monotonic clock then, in nanoseconds.

    """

    head: SharedHead
    nodes: tuple[NodeReport, ...]
    at: int
    elapsed: int


class Clocks(Protocol):
    """The clocks of the machine."""

    def wall(self) -> int:
        """Return the wall clock, nanoseconds since the epoch."""

    def elapsed(self) -> int:
        """Return the monotonic clock, nanoseconds."""


class Reports:
    """Reports this node to the shared log, and looks at what the others reported.

    `look` is the last answer: reading it never waits for the database.

    Args:
        connection: To the shared log.
        clocks: Of this machine.
        own: Returns this node's report.
        excuse: Called with why the shared log did not answer.

    Attributes:
        look: The last look that was answered; None before the first.
        answered: Whether the last attempt was answered.

    """

    def __init__(
        self,
        connection: Connection,
        clocks: Clocks,
        own: Callable[[], NodeReport],
        excuse: Callable[[Sequence[BaseException]], None],
    ) -> None:
        self.look: Look | None = None
        self.answered = False
        self._connection = connection
        self._clocks = clocks
        self._own = own
        self._excuse = excuse

    def behind(self, durable: int) -> int:
        """Return how many records the shared log had at the last look after `durable`, this node's last."""
        return 0 if self.look is None else max(0, self.look.head.seq - durable)

    async def run(self) -> None:
        """Report and look until cancelled."""
        while True:
            report = self._own()
            try:
                head, nodes = await self._connection.run(lambda shared, own=report: _told(shared, own))  # type: ignore[misc]
            except (journal.JournalError, OSError) as error:
                self.answered = False
                self._excuse([error])
            else:
                self.answered = True
                self.look = Look(head, tuple(nodes), self._clocks.wall(), self._clocks.elapsed())
            await trio.sleep(REPORT_S)


def _told(shared: Shared, own: NodeReport) -> tuple[SharedHead, list[NodeReport]]:
    shared.report(own)
    return shared.head(), shared.nodes()
