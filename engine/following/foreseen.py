"""Find what a long record comes to beside the event loop, before it is applied.

Applying a record is one step. Where a leader has decided a list of 50,000 blocks ahead, those who follow it
have only the record, and would hold their event loops for as long as finding the blocks takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from retain import journal
from retain.engine import wire
from retain.engine.blobs.ahead import finding
from retain.engine.blobs.events import BlocksCommitted
from retain.engine.core.event import Event
from retain.engine.state import State
from retain.journal.log import Committed

LONG_BYTES: Final = 4_000
"""Bytes of details, or of a frame, beyond which a record may be a long list: some 4,000 blocks."""


def is_long(record: journal.Record) -> bool:
    """Return whether applying the record may take long."""
    return record.details is not None and len(record.details) > LONG_BYTES


def long_event(record: journal.Record) -> BlocksCommitted | None:
    """Return the event of a long record if it is one that can be prepared. For a worker thread."""
    try:
        event = wire.from_record(record)
    except (wire.OddRecord, wire.UnknownEvent):
        return None  # raised again where it is applied
    return event if isinstance(event, BlocksCommitted) else None


def preparing(state: State, event: BlocksCommitted) -> Callable[[], Event] | None:
    """Return what prepares `event`, the next to be applied, in a worker thread; None if nothing does."""
    return finding(state.blobs, event)


def foresee(state: State, records: Iterable[journal.Record]) -> Mapping[int, Event]:
    """Return, by record, the events of those that follow `state` that could be prepared. Blocking.

    Nothing may change meanwhile. An event is not prepared if an earlier one of `records` is about the same
    blob or container.
    """
    foreseen: dict[int, Event] = {}
    touched: set[bytes] = set()
    for record in records:
        event = long_event(record) if is_long(record) else None
        if event is not None and touched.isdisjoint(_resources(state, event)):
            prepare = preparing(state, event)
            if prepare is not None:
                foreseen[record.header.seq] = prepare()
        touched.add(record.header.resource)
    return foreseen


def _resources(state: State, event: BlocksCommitted) -> set[bytes]:
    container = state.blobs.find(event.account, event.container)
    return {event.resource} if container is None else {event.resource, container.entry.resource}


def short_runs(frames: Sequence[Committed]) -> Iterator[Sequence[Committed]]:
    """Yield `frames` in runs, each of which begins with a long one, so that what precedes it is applied."""
    start = 0
    for at, frame in enumerate(frames):
        if at > start and len(frame.frame) > LONG_BYTES:
            yield frames[start:at]
            start = at
    yield frames[start:]
