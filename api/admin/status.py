"""The action behind `retain status`: the state of the server."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from retain.api.admin.backups import Backups
from retain.api.admin.clock import trouble
from retain.api.admin.exporter import Checkpoints
from retain.api.web.readiness import readiness
from retain.engine import Engine
from retain.engine.core.time import SECOND, timestamp


class Status:
    """The action.

    Args:
        engine: The engine, opened just now.
        backups: Knows the last backup.
        checkpoints: Knows the last checkpoint that went out.

    Attributes:
        refresh: Asks the workers how they are; None without workers.
        workers: Returns the report on each worker.
    """

    def __init__(self, engine: Engine, backups: Backups, checkpoints: Checkpoints) -> None:
        self._engine = engine
        self._backups = backups
        self._checkpoints = checkpoints
        self._started = engine.wall()
        self.refresh: Callable[[], Awaitable[None]] | None = None
        self.workers: Callable[[], list[dict[str, Any]]] = list

    def actions(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        """Return the actions by name."""
        return {"status": self.show}

    async def show(self, *, actor: str) -> dict[str, Any]:
        """Return the state for operators."""
        if self.refresh is not None:
            await self.refresh()
        engine = self._engine
        statistics = engine.statistics()
        ready, word = readiness(statistics)
        free = await trio.to_thread.run_sync(engine.disk.free_bytes)
        total = await trio.to_thread.run_sync(engine.disk.total_bytes)
        return {
            "process": os.getpid(),
            "started": timestamp(self._started),
            "ready": ready,
            "state": word,
            **({"workers": self.workers()} if self.refresh is not None else {}),
            "records": statistics.durable,
            "last_record": timestamp(engine.state.time) if engine.state.seq else None,
            "areas": len(engine.state.areas.areas),
            "documents": len(engine.state.settings.documents),
            "blobs": sum(len(container.blobs) for container in engine.state.blobs.containers()),
            "payload_files": statistics.payload_files,
            "holds": len(engine.state.holds.holds),
            "commands_waiting": statistics.waiting,
            "expiry_lag_seconds": statistics.overdue_ns / SECOND,
            "erasure_lag_seconds": statistics.erasure_lag_ns / SECOND,
            "records_to_erase": statistics.to_erase,
            "disk_free_bytes": free,
            "disk_total_bytes": total,
            "last_backup": self._backup(),
            "last_checkpoint": self._checkpoint(),
            "checkpoints_to": self._checkpoints.destinations,
            "clock_state": trouble(statistics),
            "clock": timestamp(engine.wall()),
            "present": timestamp(engine.now()),
        }

    def _backup(self) -> dict[str, Any] | None:
        last = self._backups.last
        if last is None:
            return None
        return {**self._made(last.time), "records": last.seq, "folder": last.folder or None}

    def _checkpoint(self) -> dict[str, Any] | None:
        """Return the last checkpoint since the start; None if none was exported."""
        last = self._checkpoints.last
        return None if last is None else {**self._made(last.time), "records": last.size}

    def _made(self, time: int) -> dict[str, Any]:
        return {"time": timestamp(time), "age_seconds": max(0, self._engine.now() - time) // SECOND}
