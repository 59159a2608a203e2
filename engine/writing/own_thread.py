"""The writer's own thread, for its blocking work on the journal.

Passing work to Trio's shared threads and back costs more processor time than most batches do. This thread
waits on a queue, and signals completion through an eventfd that Trio polls like a socket. If eventfd(2) or a
thread is not available, Trio's threads do the work.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

import outcome
import trio

from retain.engine.core.shortages import Shortages
from retain.engine.writing.threads import in_thread

Value = TypeVar("Value")


class OwnThread:
    """A thread for one piece of work at a time.

    Call `start` before and `stop` after its use, from one task. `busy` is true while work is running.
    """

    def __init__(self, name: str, shortages: Shortages) -> None:
        self._name = name
        self._shortages = shortages
        self._work: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._done: outcome.Outcome[Any] | None = None
        self._ready = -1
        self._limiter = trio.CapacityLimiter(1)
        self.busy = False

    def start(self) -> None:
        """Start the thread, if the system has the means."""
        if not hasattr(os, "eventfd"):
            return
        try:
            self._ready = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        except OSError:
            return  # short of descriptors: Trio's threads need none
        try:
            threading.Thread(target=self._serve, name=self._name, daemon=True).start()
        except (RuntimeError, MemoryError):
            os.close(self._ready)
            self._ready = -1

    def stop(self) -> None:
        """Stop the thread. No work may be running."""
        if self._ready >= 0:
            self._work.put(None)
            os.close(self._ready)
            self._ready = -1

    async def run(self, work: Callable[[], Value]) -> Value:
        """Run `work` in the thread; return its result, or raise what it raises. Not cancellable."""
        with trio.CancelScope(shield=True):
            result: Value = await self.run_shielded(work)
        return result

    async def run_shielded(self, work: Callable[[], Value]) -> Value:
        """Run `work` for a task that nothing can cancel: a scope for each piece of work costs 8 µs."""
        self.busy = True
        try:
            if self._ready < 0:
                return await in_thread(work, shortages=self._shortages, limiter=self._limiter)
            self._work.put(work)
            await trio.lowlevel.wait_readable(self._ready)
            os.eventfd_read(self._ready)
            result: Value = self._taken()
            return result
        finally:
            self.busy = False

    def _taken(self) -> Any:
        done, self._done = self._done, None
        assert done is not None, "the thread signalled completion without a result"
        return done.unwrap()

    def _serve(self) -> None:
        ready = self._ready
        while (work := self._work.get()) is not None:
            self._done = outcome.capture(work)
            del work  # free its references before the next piece arrives
            os.eventfd_write(ready, 1)
