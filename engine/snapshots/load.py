"""Loads the state at a start: the newest snapshot and the records after it, or the whole journal."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Final, NamedTuple

from retain import journal
from retain.engine import wire
from retain.engine.core.clock import Sighting
from retain.engine.core.event import Event, Stamp
from retain.engine.core.typed import wrong_field
from retain.engine.options import Options
from retain.engine.snapshots import file as snapshot
from retain.engine.state import State
from retain.engine.writing.sightings import read_sighting
from retain.journal.erasure.ledger import unpack_ranges
from retain.journal.uncollected import uncollected


class Loaded(NamedTuple):
    """An open data folder.

    Attributes:
        log: The journal, locked.
        state: The state at its end.
        notices: Findings and repairs, for an operator.
        covered: The last record that the snapshot in use covers, 0 without one.
        sighting: The times that the previous run last saw.

    """

    log: journal.Journal
    state: State
    notices: tuple[str, ...]
    covered: int
    sighting: Sighting | None


MANY_RECORDS: Final = 10_000
"""Records from which a state may be so large that walking it costs more than counting what is frozen."""

_stamp = tuple.__new__


def load(disk: journal.Disk, options: Options, entropy: Callable[[int], bytes]) -> Loaded:
    """Open the journal and return it with the state at its end.

    The state comes from the newest valid snapshot plus the records after it, or from all records if there is
    none.

    Raises:
        journal.JournalError: See `journal.open_journal`.
        wire.UnknownEvent: It was written by a newer version.

    """
    odd: list[int] | None = None
    with uncollected() as collecting:
        state, position = load_snapshot(disk)
        try:
            log = _open_journal(disk, state, position, options, entropy)
        except journal.PositionMismatch:
            state, position = State(), None
            try:
                log = _open_journal(disk, state, None, options, entropy)
            except wire.OddRecord:
                odd = []
        except wire.OddRecord:
            odd = []
        if odd is not None:
            # What the odd event changed before it failed is unknown: replay from the first record, and
            # check each event first, a cost that no other start has.
            state, position = State(), None
            log = _open_journal(disk, state, None, options, entropy, odd)
        covered = 0 if position is None else position.seq
        # Opening finishes an erasure that a crash interrupted; its closing record was not replayed.
        if log.head.seq > state.seq:
            state.skip(log.head.seq, log.head.time)
        if collecting and state.seq >= MANY_RECORDS and not gc.get_freeze_count():
            # Into the oldest generation unwalked: the next collection would walk all of it as new.
            gc.freeze()
            gc.unfreeze()
        notices = (*disk.notices, *log.notices, *_notices(odd or []))
        return Loaded(log, state, notices, covered, read_sighting(disk))


def _notices(odd: list[int]) -> tuple[str, ...]:
    if not odd:
        return ()
    first = ", ".join(map(str, odd[:NAMED_MAX])) + (" and more" if len(odd) > NAMED_MAX else "")
    return (
        f"events with fields of a wrong type were ignored, in records ({len(odd)}): {first}; "
        "`retain audit log` shows them as they are, `retain journal repair` can erase them",
    )


NAMED_MAX = 20
"""Most odd records that a notice lists."""


def rebuilt(records: Callable[[], Iterable[journal.Record]], odd: list[int] | None = None) -> State:
    """Return a fresh state from the first record on.

    `records` is called again if there are odd ones among them, whose numbers are added to `odd`.
    """
    try:
        return _after_all(records(), replay)
    except wire.OddRecord:
        return _after_all(records(), partial(replay_warily, [] if odd is None else odd))


def _after_all(records: Iterable[journal.Record], take: Callable[[State, journal.Record], None]) -> State:
    state = State()
    with _in_bulk(state):
        for record in records:
            take(state, record)
    return state


def present(disk: journal.Disk, progress: Callable[[int], None] | None = None) -> State:
    """Return the state at the journal's present end, read beside a running server. Blocking.

    It comes from the newest snapshot that this journal's tree confirms plus the records after it, or from all
    records if there is none.

    Args:
        disk: The data folder.
        progress: Called with the sequence number of each record that is replayed.

    Raises:
        journal.Corrupt: The journal is damaged.
        wire.UnknownEvent: It was written by a newer version.
        OSError: It cannot be read.

    """
    state, position = load_snapshot(disk)
    if position is None or not _stood_at(disk, position):
        state, position = State(), None
    try:
        return _followed(disk, state, replay, progress)
    except wire.OddRecord:
        return _followed(disk, State(), partial(replay_warily, []), progress)


def _followed(
    disk: journal.Disk,
    state: State,
    take: Callable[[State, journal.Record], None],
    progress: Callable[[int], None] | None,
) -> State:
    """Return `state` after the records that follow its last one."""
    with _in_bulk(state) if not state.seq else nullcontext():
        for record in journal.scan(disk, start=state.seq + 1):
            take(state, record)
            if progress is not None:
                progress(record.header.seq)
    return state


def _stood_at(disk: journal.Disk, position: journal.Position) -> bool:
    """Return whether the journal once ended at `position`; if not, the snapshot is another journal's."""
    prover = journal.Prover(disk)
    return position.seq <= prover.size and prover.root(position.seq) == position.root


def replay(state: State, record: journal.Record, event: Event | None = None) -> None:
    """Apply `record`, which follows the last one, to `state`; `event`: its event, where that is at hand.

    Raises:
        wire.OddRecord: Its event has a wrong form; the state may be half changed.

    """
    header = record.header
    if event is None:
        event = wire.from_record(record)
    if event is not None:
        # Most of a start is spent here: `__new__` of a tuple costs half as much as Stamp(...).
        stamp = _stamp(Stamp, (header[0], header[1], record[3], header[7]))
        try:
            state.apply(event, stamp)
        except wire.ODD as error:
            raise wire.OddRecord(header.seq) from error
        return
    state.skip(header.seq, header.time)
    if header.verb == journal.Verb.ERASE:
        state.erased(unpack_ranges(record), header.cause)


def replay_warily(odd: list[int], state: State, record: journal.Record) -> None:
    """Apply `record`, but ignore an odd event and note its record."""
    header = record.header
    try:
        event = wire.from_record(record)
    except wire.OddRecord:
        wrong = True
    else:
        wrong = event is not None and wrong_field(event) is not None
    if wrong:
        odd.append(header.seq)
        state.skip(header.seq, header.time)
    else:
        replay(state, record)


def _open_journal(
    disk: journal.Disk,
    state: State,
    after: journal.Position | None,
    options: Options,
    entropy: Callable[[int], bytes],
    odd: list[int] | None = None,
) -> journal.Journal:
    """Open the journal and bring `state` to its end.

    With `odd`, ignore odd events and add their records to it.
    """
    take: Callable[[journal.Record], None]
    take = partial(replay, state) if odd is None else partial(replay_warily, odd, state)
    if options.on_replayed is not None:
        take = _reporting(take, options.on_replayed)
    # In bulk only from the start: after a snapshot, most deadlines are in order already.
    log: journal.Journal | None = None
    try:
        with _in_bulk(state) if after is None else nullcontext():
            log = journal.open_journal(disk, take, after=after, options=options.journal(), entropy=entropy)
    except wire.OddRecord:
        if log is not None:
            log.close()
        raise
    return log


def _reporting(
    take: Callable[[journal.Record], None], on_replayed: Callable[[int], None]
) -> Callable[[journal.Record], None]:
    """Return `take`, telling the number of each record it has taken."""

    def taken(record: journal.Record) -> None:
        take(record)
        on_replayed(record[0][0])

    return taken


@contextmanager
def _in_bulk(state: State) -> Iterator[None]:
    """Sort the deadlines at the end, all at once; only then is one of another type noticed."""
    reading = True
    try:
        with state.deadlines.in_bulk():
            yield
            reading = False
    except wire.ODD as error:
        if reading:
            raise
        raise wire.OddRecord(0) from error


def load_snapshot(disk: journal.Disk) -> tuple[State, journal.Position | None]:
    """Return the state and position of the newest valid snapshot; an empty state and None without one."""
    for name in reversed(snapshot.names(disk)):
        try:
            return snapshot.load(disk, name)
        except (snapshot.InvalidSnapshot, ValueError, OSError):
            continue  # only a cache: the records have the same content
    return State(), None
