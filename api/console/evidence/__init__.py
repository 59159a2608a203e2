"""Shared by the pages about evidence: reading the journal beside the event loop, and long work.

The queries themselves are in `engine.audit` and `engine.persons`, not here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import trio

from retain.api.console.evidence.bench import Bench, Work
from retain.engine import Engine
from retain.engine.audit.erasures import KnownErasures
from retain.engine.audit.timeline import Trail, answered

Value = TypeVar("Value")

READERS: Final = 2
"""Pages that read the journal at once; others wait."""

__all__ = ["Bench", "Evidence", "Work"]


class Evidence:
    """Created once beside the pages.

    Attributes:
        trail: The places of the journal's frames.
        erasures: When and why parts were erased.
        bench: Long work, one at a time.
    """

    def __init__(self, engine: Engine, trail: Trail, erasures: KnownErasures) -> None:
        self.trail = trail
        self.erasures = erasures
        self.bench = Bench(engine)
        self._limiter = trio.CapacityLimiter(READERS)

    async def read(self, question: Callable[..., Value], *arguments: Any) -> Value:
        """Run a short query of the journal in a thread.

        Raises:
            Unavailable: The journal cannot be read.
        """
        return await trio.to_thread.run_sync(answered, question, *arguments, limiter=self._limiter)
