"""Work in threads. If no thread can be started, the work is done in place: slower, but not refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import outcome
import trio

from retain.engine.core.errors import Exhausted
from retain.engine.core.shortages import THREADS, Shortages

Value = TypeVar("Value")

HANDS = 16
"""Most pieces of bodies read or written at once, each in a thread. More wait their turn."""


class NoThread(Exhausted):
    """A failure to start a thread; nothing was done."""


async def in_thread(
    work: Callable[..., Value],
    *args: Any,
    shortages: Shortages | None = None,
    limiter: trio.CapacityLimiter | None = None,
) -> Value:
    """Run blocking `work` in a thread, as `trio.to_thread.run_sync` does.

    If no thread can be started, run it here: every task waits that long, but nothing is lost.
    """
    try:
        return await in_spare_thread(work, *args, limiter=limiter)
    except NoThread:
        if shortages is not None:
            shortages.note(THREADS, trio.current_time())
    return work(*args)


async def in_spare_thread(
    work: Callable[..., Value], *args: Any, limiter: trio.CapacityLimiter | None = None
) -> Value:
    """Run blocking `work` that takes long and can wait in a thread.

    Raises:
        NoThread: No thread could be started.

    """
    begun = False

    def run() -> Value:
        nonlocal begun
        begun = True
        return work(*args)

    try:
        return await trio.to_thread.run_sync(run, limiter=limiter)
    except (RuntimeError, MemoryError) as error:
        if begun:
            raise
        raise NoThread("the server cannot start a thread at present; try again", reason=THREADS) from error


class BackgroundTask:
    """One piece of work at a time in a thread, while the calling task continues."""

    def __init__(self, hands: trio.Semaphore, shortages: Shortages) -> None:
        self._hands = hands
        self._shortages = shortages
        self._ended: trio.Event | None = None
        self._outcome: outcome.Outcome[Any] | None = None

    async def start(self, work: Callable[[], Any]) -> None:
        """Begin `work` when it is its turn. The previous piece must have been waited for."""
        await self._hands.acquire()
        ended = self._ended = trio.Event()
        token = trio.lowlevel.current_trio_token()

        def finish() -> None:
            self._hands.release()
            ended.set()

        def deliver(result: outcome.Outcome[Any]) -> None:
            self._outcome = result
            token.run_sync_soon(finish)

        try:
            trio.lowlevel.start_thread_soon(work, deliver)
        except (RuntimeError, MemoryError):
            self._shortages.note(THREADS, trio.current_time())
            self._outcome = outcome.capture(work)
            finish()

    async def result(self) -> Any:
        """Return or raise the outcome of the work; None if there was none since the last call."""
        if self._ended is not None:
            await self._ended.wait()
            self._ended = None
        result, self._outcome = self._outcome, None
        return None if result is None else result.unwrap()

    async def settle(self) -> None:
        """Wait until no work is running, and ignore its outcome. Not cancellable, as a thread is not."""
        if self._ended is None:
            return
        with trio.CancelScope(shield=True):
            await self._ended.wait()
            self._ended = None
