"""Turns: steps of connections, a few in each pass of the event loop, one address after the other.

A pass of the loop runs every task that is ready. Hundreds of connections that begin at once, each with a TLS
handshake of about a millisecond, would make everybody else wait for all of them in each pass. The same holds
for connections over which a hundred requests arrive at once, or end at once (HTTP/2).
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

import trio

STEPS = 4
"""Most steps that are given in one pass of the event loop, and most that are taken without waiting."""
STEP_S = 0.001
"""Seconds after which one more step may be taken without waiting."""
PASS_S = 0.002
"""Seconds of the processor beyond which a pass is long: then half as many steps are given in the next, one at
least. What a step begins, such as requests, makes later passes long, too."""


class Turns:
    """Who waits for a step. `run` gives the turns, as long as it runs.

    Args:
        spent: Returns how long the event loop's thread has computed, seconds.

    """

    def __init__(self, spent: Callable[[], float] = time.thread_time) -> None:
        self._spent = spent
        self._waiting: dict[str, deque[trio.Event]] = {}
        self._wanted = trio.Event()
        self._at_once = float(STEPS)
        self._counted_at = -math.inf

    async def take(self, address: str) -> None:
        """Wait for the next turn of this address; not at all where nobody waits and few steps were taken."""
        if self._may_at_once():
            return
        turn = trio.Event()
        self._waiting.setdefault(address, deque()).append(turn)
        self._wanted.set()
        try:
            await turn.wait()
        except trio.Cancelled:
            self._leave(address, turn)
            raise

    def _may_at_once(self) -> bool:
        if self._waiting:
            return False
        now = trio.current_time()
        self._at_once = min(STEPS, self._at_once + (now - self._counted_at) / STEP_S)
        self._counted_at = now
        if self._at_once < 1:
            return False
        self._at_once -= 1
        return True

    def _leave(self, address: str, turn: trio.Event) -> None:
        queue = self._waiting.get(address)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[address]

    async def run(self) -> None:
        """Give up to `STEPS` turns in each pass. Ends only when it is cancelled."""
        steps, began = STEPS, -math.inf
        while True:
            if not self._waiting:
                self._wanted = trio.Event()
                await self._wanted.wait()
            now = self._spent()
            steps = max(1, steps // 2) if now - began > PASS_S else min(STEPS, steps + 1)
            began = now
            for _ in range(steps):
                if not self._waiting:
                    break
                address = next(iter(self._waiting))
                queue = self._waiting.pop(address)
                queue.popleft().set()
                if queue:
                    self._waiting[address] = queue  # at the end: addresses take turns
            await trio.lowlevel.checkpoint()
