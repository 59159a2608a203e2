"""Erasure of record details after their audit period."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from retain import journal
from retain.engine import wire
from retain.engine.core.event import Cause
from retain.engine.core.policy import SLICE_RECORDS, Targets
from retain.engine.core.role import Locator, OnHold, RecordRole
from retain.engine.state import State
from retain.engine.writing.threads import in_spare_thread
from retain.journal import Part, Record, Verb


@dataclass(frozen=True, slots=True)
class _Old:
    """A record whose details are due, with the facts that decide whether they can be erased.

    `ends_others`: it ended resources that have records of their own. If a hold protects one of those, this
        record must stay as well: without it, a replay would restore the resource.
    """

    seq: int
    time: int
    resource: bytes
    parts: Part
    locator: Locator
    chained: bool
    ends_others: bool
    details: dict[str, Any] | None


class OldDetails:
    """Erases details after the audit period; entries that depend on them are restated first.

    It follows the order of the journal, so that a record of a change outlives what it changed.

    Args:
        state: Read for the records in use.
        disk: The data folder, for reading records.
        period: How long details are retained, in nanoseconds.
        restate: Restates entries, away from records up to this one.
        erase: Erases one slice: targets and cause.

    """

    def __init__(
        self,
        state: State,
        disk: journal.Disk,
        period: int,
        *,
        restate: Callable[[Iterable[tuple[Locator, bytes]], int], Awaitable[None]],
        erase: Callable[[Targets, int], Awaitable[None]],
    ) -> None:
        self._state = state
        self._disk = disk
        self._period = period
        self._restate = restate
        self._erase = erase
        self._cursor: int | None = None
        self._skipped: int | None = None
        self._holds = 0
        self._next_old: int | None = None

    @property
    def reached(self) -> int:
        """Return the record up to which all details were examined."""
        return self._cursor or 0

    async def erase(self, now: int) -> int:
        """Erase what is due at `now`, nanoseconds since the epoch; return the number of records.

        Raises:
            EngineError: The storage refuses.

        """
        records = self._state.records
        until = now - self._period
        holds = len(self._state.holds.holds)
        if self._cursor is None:
            # Start over, to find the records that were skipped because of a hold.
            self._cursor = 0 if holds else records.audited
        if self._skipped is not None and holds < self._holds:
            self._cursor, self._skipped, self._next_old = self._skipped - 1, None, None
        if self._next_old is not None and self._next_old > until:
            return 0
        self._holds = holds
        erased = 0
        old = self._old(self._cursor + 1)
        while slice_ := await in_spare_thread(lambda: list(islice(old, SLICE_RECORDS))):
            young = next((at for at, one in enumerate(slice_) if one.time > until), None)
            if young is not None:
                self._next_old = slice_[young].time
                slice_ = slice_[:young]
            if slice_:
                erased += await self._erase_slice(slice_)
                self._cursor = slice_[-1].seq
            if young is not None:
                break
        return erased

    async def _erase_slice(self, slice_: list[_Old]) -> int:
        held = self._state.shared.held
        last = slice_[-1].seq
        entries = {one.resource: one.locator for one in slice_ if one.locator and self._stands(one)}
        await self._restate(((locator, resource) for resource, locator in entries.items()), last)
        targets: list[tuple[int, Part]] = []
        for one in slice_:
            if not one.parts or self._stands(one):
                continue
            if held and (held.record(one.resource, one.details) or (one.ends_others and self._skipped)):
                self._skipped = self._skipped or one.seq
            elif not self._state.records.waits(one.seq):
                targets.append((one.seq, one.parts))
        if targets:
            await self._erase(targets, Cause.RETENTION)
        return len(targets)

    def _stands(self, one: _Old) -> bool:
        if one.chained:
            return self._state.records.depends_on(one.resource, one.seq)
        if not one.locator:
            return False
        return one.seq in self._state.restaters[one.locator[0]].apart(one.locator, one.resource)

    def _old(self, start: int) -> Iterator[_Old]:
        for record in journal.scan(self._disk, start=start):
            yield _old(record)


def _old(record: Record) -> _Old:
    header = record.header
    parts = Part(0)
    if header.verb < Verb.ERASE:
        parts |= Part.DETAILS if record.details else Part(0)
        parts |= Part.CONTENT if record.content else Part(0)
    about = wire.about(record) if parts else None
    event = wire.readable(record) if about is not None else None
    return _Old(
        header.seq,
        header.time,
        header.resource,
        parts,
        () if event is None else event.locator(),
        event is not None and event.ROLE in (RecordRole.WHOLE, RecordRole.PART),
        event is not None and event.ON_HOLD in (OnHold.CONTAINER, OnHold.REST),
        None if about is None else about.details,
    )
