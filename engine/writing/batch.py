"""Commands and jobs that wait for the writer, and the batch that it makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import outcome
import trio

from retain import journal
from retain.engine.core.command import Command, Decision
from retain.engine.core.domain import Ahead


class DecidedAhead:
    """A decision made beside the event loop, and whether it is still valid."""

    __slots__ = ("_ahead", "_outcome")

    def __init__(self, ahead: Ahead, now: int) -> None:
        """Decide. Blocking, for a worker thread."""
        self._ahead = ahead
        self._outcome: outcome.Outcome[Decision[Any]] = outcome.capture(ahead.decide, now)

    def decision(self, now: int) -> Decision[Any]:
        """Return the decision at `now`, or raise the refusal, if nothing has changed that it depends on.

        Raises:
            Moved: Something it depends on has changed.
            Refused: The command cannot be done.

        """
        if not self._ahead.holds():
            raise Moved
        return self._ahead.settle(self._outcome.unwrap(), now)


class Moved(Exception):
    """The state that a decision made ahead depends on has changed."""


class PendingCommand:
    """A command between `submit` and its result, with its time of arrival and the numbers of its records."""

    __slots__ = ("ahead", "answered", "command", "error", "queued", "records", "result", "taken", "withdrawn")

    def __init__(self, command: Command[Any], ahead: DecidedAhead | None = None) -> None:
        self.command = command
        self.ahead = ahead
        self.queued = trio.current_time()
        self.records = range(0)
        self.answered = trio.Event()
        self.result: Any = None
        self.error: Exception | None = None
        self.taken = False
        self.withdrawn = False


class Job:
    """Work that needs state and journal to be still, between its request and its end."""

    __slots__ = ("broken", "done", "error", "follow", "result", "work")

    def __init__(self, work: Callable[[], Any], follow: Callable[[Any], None] | None) -> None:
        self.work = work
        self.follow = follow
        self.done = trio.Event()
        self.result: Any = None
        self.error: Exception | None = None
        self.broken = False

    def run(self) -> None:
        """Run the work. Blocking; an exception is stored for the requester."""
        try:
            self.result = self.work()
        except Exception as error:  # raised where the work was requested
            self.error = error

    def finish(self) -> None:
        """Run the follow-up in the caller's thread; an exception is stored for the requester.

        `broken` is then true: the state may lack a part of what the work wrote to the journal.
        """
        if self.error is None and self.follow is not None:
            try:
                self.follow(self.result)
            except Exception as error:  # raised where the work was requested
                self.error, self.broken = error, True


class CommandBatch:
    """The content of one frame, and the commands that wait for it.

    Attributes:
        never: Whether the frame is certainly in no journal, because another node of the cluster leads.

    """

    __slots__ = ("answers", "drafts", "never", "size")

    def __init__(self) -> None:
        self.never = False
        self.drafts: list[journal.Draft] = []
        self.answers: list[PendingCommand] = []
        self.size = 0
