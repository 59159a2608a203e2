"""A page of the audit log, newest first: a few entries, found without reading the whole journal. Blocking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter
from typing import Any, TypeVar

from retain.engine import wire
from retain.engine.audit.log import AuditEntry, Filter, entry_of, header_matches
from retain.engine.core.errors import Unavailable
from retain.engine.core.pattern import called
from retain.engine.wire import UnknownEvent
from retain.journal import JournalError, Record
from retain.journal.lookup.trail import LazyRecord, Trail

__all__ = ["TimelinePage", "Trail", "answered", "before", "first", "page"]

Value = TypeVar("Value")

ROWS = 50
MOST_LOOKED_AT = 20_000
"""Most records that one page examines, however few of them match."""
PAGE_SECONDS = 0.06
"""After this time a page ends, with a link to continue from there."""


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """The contents of one page.

    Attributes:
        entries: Newest first.
        records: Their records.
        looked_at: How many records were examined.
        newer: Record after which newer entries may follow; None if there are none.
        older: Record before which older ones may come; None if there are none.
        reached: Time of the last record examined, if the page ended early.

    """

    entries: tuple[AuditEntry, ...]
    records: tuple[Record, ...]
    looked_at: int
    newer: int | None
    older: int | None
    reached: int | None


def page(
    trail: Trail,
    wanted: Filter,
    *,
    before: int | None = None,
    after: int | None = None,
    rows: int = ROWS,
    most: int = MOST_LOOKED_AT,
    seconds: float | None = PAGE_SECONDS,
    clock: Callable[[], float] = perf_counter,
) -> TimelinePage:
    """Return the newest entries before a record, or the oldest after one.

    A resource's name is in the details: a record whose details were erased is found by the resource's number
    only.

    Args:
        trail: The places of the journal's frames.
        wanted: The filter.
        before: Only those before this record.
        after: Only those after it; the page that is nearest.
        rows: How many at most.
        most: Most records examined.
        seconds: Longest time from the first record on; None for no limit. At least one record is examined.
        clock: Tells the time, in seconds.

    Raises:
        journal.Corrupt, OSError: The journal cannot be read.

    """
    number = None if wanted.number is None else bytes.fromhex(wanted.number)
    newer: int | None
    older: int | None
    limits = _Limits(rows, most, seconds, clock)
    if after is not None:
        spots = trail.after(after, resource=number, start=wanted.since, stop=wanted.until)
        found = _found(spots, wanted, limits)
        shown = found.pairs[::-1]
        newer, older = found.next, after + 1
    else:
        spots = trail.before(before, resource=number, start=wanted.since, stop=wanted.until)
        found = _found(spots, wanted, limits)
        shown, newer, older = found.pairs, None if before is None else before - 1, found.next
    return TimelinePage(
        entries=tuple(entry for entry, _ in shown),
        records=tuple(record for _, record in shown),
        looked_at=found.looked_at,
        newer=newer,
        older=older,
        reached=found.reached if found.next is not None and len(shown) < rows else None,
    )


def first(trail: Trail) -> int | None:
    """Return when the log begins, in nanoseconds since the epoch; None for an empty one."""
    return next((spot.header.time for spot in trail.after(0)), None)


def before(
    trail: Trail, resource: bytes, bound: int | None, *, count: int, stop: int | None = None
) -> list[Record]:
    """Return the last records of a resource before record `bound` and time `stop`, the oldest first."""
    spots = islice(trail.before(bound, resource=resource, stop=stop), count)
    return [spot.read() for spot in spots][::-1]


def answered(question: Callable[..., Value], *arguments: Any) -> Value:
    """Return the answer to a query of the journal.

    Raises:
        Unavailable: `journal`: it cannot be read.

    """
    try:
        return question(*arguments)
    except (JournalError, UnknownEvent, OSError) as error:
        raise Unavailable(f"the journal cannot be read: {error}", reason="journal") from error


@dataclass(slots=True)
class _Found:
    """The matches, in the order of reading; `next` bounds the records that were not examined."""

    pairs: list[tuple[AuditEntry, Record]] = field(default_factory=list)
    looked_at: int = 0
    next: int | None = None
    reached: int | None = None
    began: float = 0.0


@dataclass(frozen=True, slots=True)
class _Limits:
    """The limits of one page; `seconds` counts from the first record: to find it may need an index first."""

    rows: int
    most: int
    seconds: float | None
    clock: Callable[[], float]

    def reached(self, found: _Found) -> bool:
        """Return whether the page ends here, with records left."""
        if not found.looked_at:
            found.began = self.clock()
            return False
        late = self.seconds is not None and self.clock() >= found.began + self.seconds
        return late or len(found.pairs) == self.rows or found.looked_at == self.most


def _found(spots: Iterator[LazyRecord], wanted: Filter, limits: _Limits) -> _Found:
    found = _Found()
    last = 0
    for spot in spots:
        if limits.reached(found):
            found.next = last
            break
        last, found.reached = spot.header.seq, spot.header.time
        found.looked_at += 1
        if not header_matches(spot.header, wanted):
            continue
        if _names_match(spot, wanted):
            record = spot.read()
            found.pairs.append((entry_of(record), record))
    return found


def _names_match(spot: LazyRecord, wanted: Filter) -> bool:
    """Return whether a record's details name the wanted actor and resource."""
    if wanted.actor is None and wanted.resource is None:
        return True
    about = wire.about(Record(spot.header, spot.details(), b"", -1))
    actor, subject = ("", "") if about is None else (about.actor, wire.subject_of(about))
    return (wanted.actor is None or called(actor, wanted.actor)) and (
        wanted.resource is None or called(subject, wanted.resource)
    )
