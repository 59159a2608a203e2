"""The figures that an operator monitors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from retain.engine.core.clock import RIGHT, ClockState


@dataclass(frozen=True, slots=True)
class Statistics:
    """The figures that an operator monitors.

    Attributes:
        seq: Last record decided.
        durable: Last record on disk.
        waiting: Commands queued.
        deadlines: Entries of the deadline index.
        overdue_ns: By how much the earliest of them is overdue.
        full: The disk has no space for changes, or recently had none for a body.
        failure: Why writing ended until a restart; empty while all is well.
        payload_files: Files that live state refers to.
        to_erase: Garbage records to be erased, history included.
        erasure_lag_ns: By how much the oldest due erasure is late.
        clock: The errors of the machine's clock.
        records_ahead_ns: How far the journal's last record is dated ahead of the machine's clock.
        apart_ns: How far a follower's clock is ahead of what the leader takes for the present, negative if it
            is behind; 0 elsewhere. A follower judges nothing by its own clock.
        durability_lag_ns: For how long the oldest change that is not durable yet has waited.
        short: What the machine is short of: descriptors, locks, memory, threads.
        shortages: How often each occurred so far, the disk included.
        standby: Why this node of a cluster may not answer; empty while it may, and without a cluster.

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
    apart_ns: int = 0
    durability_lag_ns: int = 0
    short: tuple[str, ...] = ()
    shortages: Mapping[str, int] = field(default_factory=dict)
    standby: str = ""
