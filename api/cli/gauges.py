"""Gauges for backups, checkpoints, the certificate and the disk's free space."""

from __future__ import annotations

from typing import Final

import trio

from retain.api.admin.actions import Administration
from retain.api.config.load import Config
from retain.api.notifications.metrics import NotificationMetrics
from retain.api.server.certificate import certificate_end
from retain.api.web.metrics import Counters
from retain.engine import Engine

LOOK_S: Final = 15.0
"""Seconds between two measurements of the disk's free space."""


class Space:
    """The free space of the data folder's disk, measured in a thread: a disk that hangs delays nobody.

    Attributes:
        free: In bytes; None before the first measurement, and if it cannot be measured.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.free: float | None = None

    async def watch(self) -> None:
        """Measure every `LOOK_S` seconds, until cancelled."""
        while True:
            try:
                self.free = float(
                    await trio.to_thread.run_sync(self._engine.disk.free_bytes, abandon_on_cancel=True)
                )
            except OSError:
                self.free = None  # shown as a gap, which alerts notice
            await trio.sleep(LOOK_S)


def show_gauges(
    counters: Counters, engine: Engine, administration: Administration, config: Config, space: Space
) -> None:
    """Add these gauges to the metrics. Moments are Unix times: Prometheus computes ages from them."""
    path = config.server.tls_certificate
    end = certificate_end(path) if path is not None else None
    backups, checkpoints = administration.backups, administration.checkpoints
    counters.show(
        "retain_last_backup_timestamp_seconds",
        "When the last backup was made, as a Unix time.",
        lambda: backups.last.time / 1e9 if backups.last is not None else None,
    )
    counters.show(
        "retain_last_checkpoint_timestamp_seconds",
        "When the last checkpoint was exported since the start, as a Unix time.",
        lambda: checkpoints.last.time / 1e9 if checkpoints.last is not None else None,
    )
    counters.show(
        "retain_tls_certificate_expiry_timestamp_seconds",
        "When the certificate that the server loaded ends, as a Unix time.",
        lambda: end / 1e9 if end is not None else None,
    )
    counters.registry.register(
        NotificationMetrics(administration.notifier, lambda: engine.statistics().durable)
    )
    counters.show("retain_storage_free_bytes", "Free space on the data folder's disk.", lambda: space.free)
