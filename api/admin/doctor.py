"""The action behind `retain doctor`: reports what only the running process knows about itself."""

from __future__ import annotations

import os
import resource
from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from retain.api.blobs.xml.service_properties import ServiceProperties
from retain.engine import Engine
from retain.engine.audit.sampled import missing_payloads

SAMPLE: Final = 64
"""How many payload files are opened."""


class Doctor:
    """The action.

    Args:
        engine: The open data folder.

    Attributes:
        seen: Return a sample of requests as they arrive.
        refresh: Asks the workers for reports; None without workers.
    """

    def __init__(self, engine: Engine) -> None:
        self.seen: Callable[[], list[dict[str, Any]]] = list
        self.refresh: Callable[[], Awaitable[None]] | None = None
        self._engine = engine

    def actions(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        """Return the actions by name."""
        return {"doctor": self.look}

    async def look(self, *, actor: str) -> dict[str, Any]:
        """Return the process' limits, the requests it has seen, and a sample of the payload files.

        `soft_delete` names the accounts where a client turned on soft delete, which has no effect.
        """
        if self.refresh is not None:
            await self.refresh()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        names = sorted(self._engine.state.shared.payloads)
        chosen = names[:: max(1, -(-len(names) // SAMPLE))]
        missing = await trio.to_thread.run_sync(missing_payloads, self._engine.disk, chosen)
        live = self._engine.state.shared.payloads
        return {
            "process": os.getpid(),
            "descriptors": soft,
            "descriptors_hard": hard,
            "requests": self.seen(),
            "soft_delete": sorted(
                account
                for account, (_, document) in self._engine.state.blobs.services.items()
                if ServiceProperties.stored(document).asks_soft_delete
            ),
            "payload_files": len(names),
            "payloads_sampled": len(chosen),
            # A file erased during the check is not lost.
            "payloads_missing": [path for name, path in missing.items() if name in live],
        }
