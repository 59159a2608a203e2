"""The engine's part of the configuration."""

from __future__ import annotations

from retain.api.config.load import Config
from retain.engine import Options


def engine_options(config: Config) -> Options:
    """Return the engine's options."""
    return Options(
        segment_bytes=config.storage.segment_bytes,
        inline_bytes=config.storage.inline_bytes,
        snapshot_records=config.storage.snapshot_records,
        sweep_interval_s=config.retention.sweep_interval,
        erase_within_hours=config.retention.erase_within_hours,
        audit_days=config.retention.audit_days,
        history_days=config.settings.history_days,
    )
