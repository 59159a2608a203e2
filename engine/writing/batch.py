"""What waits for the writer, and the batch that it makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from retain import journal
from retain.engine.core.command import Command


class PendingCommand:
    """A command between ``submit`` and its answer."""

    __slots__ = ("answered", "command", "error", "result", "taken", "withdrawn")

    def __init__(self, command: Command[Any]) -> None:
        self.command = command
        self.answered = trio.Event()
        self.result: Any = None
        self.error: Exception | None = None
        self.taken = False
        self.withdrawn = False


class Job:
    """Work that needs state and journal to stand still, between its request and its end."""

    __slots__ = ("done", "error", "follow", "result", "work")

    def __init__(self, work: Callable[[], Any], follow: Callable[[Any], None] | None) -> None:
        self.work = work
        self.follow = follow
        self.done = trio.Event()
        self.result: Any = None
        self.error: Exception | None = None

    def run(self) -> None:
        """Does it. Blocking; what it raises is kept for whoever asked."""
        try:
            self.result = self.work()
        except Exception as error:  # raised where the work was asked for
            self.error = error

    def finish(self) -> None:
        """Has what follows done, in the caller's thread, and tells whoever asked."""
        if self.error is None and self.follow is not None:
            self.follow(self.result)
        self.done.set()


class CommandBatch:
    """What one frame will hold, and who waits for it."""

    __slots__ = ("answers", "drafts", "size")

    def __init__(self) -> None:
        self.drafts: list[journal.Draft] = []
        self.answers: list[PendingCommand] = []
        self.size = 0
