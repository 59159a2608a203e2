"""Options of the engine for an embedding program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from retain.engine.core.policy import RetentionPolicy
from retain.engine.core.time import DAY, HOUR
from retain.journal import JournalOptions

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Storage and housekeeping.

    Attributes:
        segment_bytes: Size at which the journal starts a new segment file, 1 MiB to 1 GiB.
        inline_bytes: Bodies up to this size are stored in their record, larger ones in a payload file; 0 to
            512 KiB.
        sweep_interval_s: Seconds between two sweeps of the deadline index; only space depends on it, reads
            never do.
        sweep_records: Most expiries in one batch, so that a sweep never delays other requests noticeably.
        snapshot_records: Records after which a new snapshot is taken while running; 0: only at a clean stop.
        anchor_interval_s: Seconds between two anchors while busy.
        erase_interval_s: Seconds between two rounds of erasing; never less than between two sweeps.
        erase_within_hours: From a deadline to the erasure of the bytes from every file.
        audit_days: How long the record of who did what is retained.
        history_days: How long earlier versions of settings are retained, at most `audit_days`; 0: not at all.
        shared: Whether the folder follows a log that several machines share.
        identity: Of the journal that an empty folder gets; drawn if empty.
        segment_hours: Hours after which the journal starts a new segment file; 0: by size alone.
        on_replayed: Called at opening, from a thread, with the number of each record that was replayed; None:
            a start is a little faster.

    """

    segment_bytes: int = 64 * MEBIBYTE
    inline_bytes: int = 64 * 1024
    sweep_interval_s: float = 1.0
    sweep_records: int = 64
    snapshot_records: int = 500_000
    anchor_interval_s: float = 1.0
    erase_interval_s: float = 5.0
    erase_within_hours: float = 24.0
    audit_days: float = 365.0
    history_days: float = 90.0
    shared: bool = False
    identity: bytes = b""
    segment_hours: float = 0.0
    on_replayed: Callable[[int], None] | None = None

    def __post_init__(self) -> None:
        assert 0 < self.segment_bytes <= 1024 * MEBIBYTE
        assert 0 <= self.inline_bytes <= MEBIBYTE // 2
        assert self.sweep_interval_s > 0
        assert self.sweep_records > 0
        assert self.erase_within_hours > 0
        assert 0 <= self.history_days <= self.audit_days

    def retention(self) -> RetentionPolicy:
        """Return the retention periods."""
        return RetentionPolicy(
            erase_within=round(self.erase_within_hours * HOUR),
            audit=round(self.audit_days * DAY),
            history=round(self.history_days * DAY),
        )

    def journal(self) -> JournalOptions:
        """Return the journal's options."""
        return JournalOptions(
            segment_bytes=self.segment_bytes,
            shared=self.shared,
            identity=self.identity,
            segment_age_ns=round(self.segment_hours * HOUR),
        )
