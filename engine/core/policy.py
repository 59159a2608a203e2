"""Retention: which garbage records are due for erasure, and how late they are. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from retain.engine.core.event import Cause
from retain.engine.core.ledger import GarbageRecord, RecordLedger, seq_of, size_of
from retain.engine.core.role import Locator
from retain.engine.core.time import DAY, HOUR
from retain.journal import Part

MINUTE = HOUR // 60
FOR_EVER = 1 << 63
PATIENCE = 30 * MINUTE
"""A partially dead entry is restated at most this long afterwards, so that many changes share one rewrite."""

SLICE_RECORDS = 256
"""Most records erased in one step."""
SLICE_BYTES = 1 << 20
"""A step adds no further record after this much content."""

Targets = Sequence[tuple[int, Part]]
"""Parts of records to be erased."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """The operator's periods, all in nanoseconds.

    Attributes:
        erase_within: From a deadline to the erasure of the bytes.
        audit: How long the details of a record are retained.
        history: How long earlier versions of settings are retained.

    """

    erase_within: int = DAY
    audit: int = 365 * DAY
    history: int = 90 * DAY

    @property
    def patience(self) -> int:
        """Return how long after the first part of an entry died it is restated."""
        return min(PATIENCE, self.erase_within // 8)


def due(records: RecordLedger, now: int, policy: RetentionPolicy) -> Iterator[Iterable[GarbageRecord]]:
    """Yield what may be erased at `now`, in portions.

    Iterate over each portion once, before taking the next; its records may be erased meanwhile. They come in
    the order in which they must be erased: a change or an end after what it changes or ends, but of one
    resource's chain the newest first.
    """
    yield from records.garbage.portions()
    yield list(records.past(now - policy.history))


def slices(waiting: Iterable[GarbageRecord]) -> Iterator[tuple[int, list[GarbageRecord]]]:
    """Yield bounded runs in the same order, each of one cause."""
    for asked, run in groupby(waiting, key=lambda garbage: garbage.cause == Cause.ERASURE_REQUEST):
        cause = Cause.ERASURE_REQUEST if asked else Cause.RETENTION
        slice_: list[GarbageRecord] = []
        size = 0
        for garbage in run:
            slice_.append(garbage)
            size += size_of(garbage.mark)
            if len(slice_) == SLICE_RECORDS or size >= SLICE_BYTES:
                yield cause, slice_
                slice_, size = [], 0
        if slice_:
            yield cause, slice_


def to_restate(
    records: RecordLedger, now: int, policy: RetentionPolicy, *, at_once: bool = False
) -> Iterator[tuple[Locator, bytes]]:
    """Yield locators and resources of entries to be restated at `now`.

    Args:
        records: The record ledger.
        now: Nanoseconds since the epoch.
        policy: The periods.
        at_once: Do not wait for more changes that could share the rewrite.

    """
    listed: set[bytes] = set()
    for resource, partly_dead in records.partly_dead.items():
        wait = max(policy.history // 8, policy.patience) if partly_dead.history else policy.patience
        if at_once and not (partly_dead.history and policy.history):
            wait = 0
        if partly_dead.since + wait <= now:
            listed.add(resource)
            yield partly_dead.locator, resource
    for resource, locator in records.long_chains.items():
        if resource not in listed:
            yield locator, resource


def erasure_lag(records: RecordLedger, now: int, policy: RetentionPolicy, kept: Container[int] = ()) -> int:
    """Return the nanoseconds by which the oldest due erasure is late; 0 if none is due.

    The arguments are those of `oldest_due`.
    """
    oldest = oldest_due(records, policy, kept)
    return 0 if oldest is None else max(0, now - oldest)


def oldest_due(records: RecordLedger, policy: RetentionPolicy, kept: Container[int] = ()) -> int | None:
    """Return since when an erasure is, or will be, due; None if no record waits.

    Args:
        records: The record ledger.
        policy: The periods.
        kept: Records that a legal hold protects: they are not due.

    """
    found: list[int] = []
    garbage = next((one for seq, one in records.garbage.items() if seq not in kept), None)
    if garbage is not None:
        found.append(garbage.since)
    partly_dead = next((one for one in records.partly_dead.values() if not one.history), None)
    if partly_dead is not None:
        found.append(partly_dead.since)
    partly_past = next(iter(records.partly_past), None)
    if partly_past is not None:
        found.append(records.partly_dead[partly_past].since + policy.history)
    past = next((one for one in records.past(FOR_EVER) if seq_of(one.mark) not in kept), None)
    if past is not None:
        found.append(past.since + policy.history)
    return min(found, default=None)
