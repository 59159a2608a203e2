"""What an operator watches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from retain.engine.core.clock import RIGHT, ClockState


@dataclass(frozen=True, slots=True)
class Statistics:
    """What an operator watches.

    Attributes:
        seq: Last record decided; ``durable`` of them are on disk.
        waiting: Commands queued.
        deadlines: Entries of the deadline index.
        overdue_ns: By how much the earliest of them is overdue.
        full: The disk has no room for changes, or lately had none for a body.
        failure: Why writing ended for good; empty while all is well.
        payload_files: Files that live state stands on.
        payloads_lost: Those of them that were found missing or damaged.
        to_erase: Records left behind that are to be erased, history included.
        erasure_lag_ns: By how much the oldest erasure that is due is late.
        clock: What is wrong with the machine's clock.
        records_ahead_ns: How far the journal's last record is dated ahead of the machine's clock.
        short: What the machine is short of: descriptors, locks, memory, threads.
        shortages: How often each was met so far, the disk included.
    """

    seq: int
    durable: int
    waiting: int
    deadlines: int
    overdue_ns: int
    full: bool
    failure: str
    payload_files: int
    payloads_lost: int = 0
    to_erase: int = 0
    erasure_lag_ns: int = 0
    clock: ClockState = RIGHT
    records_ahead_ns: int = 0
    short: tuple[str, ...] = ()
    shortages: Mapping[str, int] = field(default_factory=dict)
