"""Turns: steps of new connections, a few in each pass of the event loop, one address after the other.

A pass of the loop runs every task that is ready. Hundreds of connections that begin at once, each with a TLS
handshake of about a millisecond, would make everybody else wait for all of them in each pass.
"""

from __future__ import annotations

from collections import deque

import trio

STEPS = 4
"""Steps in one pass of the event loop."""


class Turns:
    """Who waits for a step. `run` gives the turns, as long as it runs."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[trio.Event]] = {}
        self._wanted = trio.Event()

    async def take(self, address: str) -> None:
        """Wait for the next turn of this address."""
        turn = trio.Event()
        self._waiting.setdefault(address, deque()).append(turn)
        self._wanted.set()
        try:
            await turn.wait()
        except trio.Cancelled:
            self._leave(address, turn)
            raise

    def _leave(self, address: str, turn: trio.Event) -> None:
        queue = self._waiting.get(address)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[address]

    async def run(self) -> None:
        """Give `STEPS` turns in each pass. Ends only when it is cancelled."""
        while True:
            await self._wanted.wait()
            for _ in range(STEPS):
                if not self._waiting:
                    break
                address = next(iter(self._waiting))
                queue = self._waiting.pop(address)
                queue.popleft().set()
                if queue:
                    self._waiting[address] = queue  # at the end: addresses take turns
            if not self._waiting:
                self._wanted = trio.Event()
            await trio.lowlevel.checkpoint()
