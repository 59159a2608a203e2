"""What an embedding program may choose about the engine."""

from dataclasses import dataclass

from journal import JournalOptions

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Storage and housekeeping.

    Attributes:
        segment_bytes: Size at which the journal starts a new segment file, 1 MiB to 1 GiB.
        inline_bytes: Bodies up to this size live in their record, larger ones in a payload file; 0 to 512 KiB.
        sweep_interval_s: Seconds between two sweeps of the deadline index; only space depends on it, reads
        never do.
        sweep_records: Most expiries in one batch, so that a sweep never delays other requests noticeably.
        snapshot_records: Records after which a new snapshot is taken while running; 0 takes one at a clean
        stop only.
        anchor_interval_s: Seconds between two anchors while busy.
    """

    segment_bytes: int = 64 * MEBIBYTE
    inline_bytes: int = 64 * 1024
    sweep_interval_s: float = 1.0
    sweep_records: int = 128
    snapshot_records: int = 500_000
    anchor_interval_s: float = 1.0

    def __post_init__(self) -> None:
        assert 0 < self.segment_bytes <= 1024 * MEBIBYTE
        assert 0 <= self.inline_bytes <= MEBIBYTE // 2
        assert self.sweep_interval_s > 0
        assert self.sweep_records > 0

    def journal(self) -> JournalOptions:
        """The journal's part."""
        return JournalOptions(segment_bytes=self.segment_bytes)
