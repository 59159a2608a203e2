"""From bytes on disk to state: the newest snapshot and the records after it, or all of history."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import NamedTuple

from retain import journal
from retain.engine import wire
from retain.engine.core.clock import Sighting
from retain.engine.core.event import Stamp
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
        notices: What was found and mended, for an operator.
        covered: The last record that the snapshot in use covers, 0 without one.
        sighting: What the run before last saw of time.
    """

    log: journal.Journal
    state: State
    notices: tuple[str, ...]
    covered: int
    sighting: Sighting | None


_stamp = tuple.__new__


def load(disk: journal.Disk, options: Options, entropy: Callable[[int], bytes]) -> Loaded:
    """Opens the journal and makes the state at its end.

    That is the newest snapshot that verifies plus the records after it; all records if there is none.

    Raises:
        journal.JournalError: See ``journal.open_journal``.
        wire.UnknownEvent: It was written by a newer version.
    """
    odd: list[int] | None = None
    with uncollected() as collecting:
        state, position = _load_snapshot(disk)
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
            # What the odd event changed before it failed is unknown: once more from the first record, and
            # each event looked at first, which no other start has to pay for.
            state, position = State(), None
            log = _open_journal(disk, state, None, options, entropy, odd)
        covered = 0 if position is None else position.seq
        # Opening finishes an erasure that a crash interrupted; its closing record was not replayed.
        if log.head.seq > state.seq:
            state.skip(log.head.seq, log.head.time)
        if collecting and not gc.get_freeze_count():
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
        f"events with fields of a wrong type were passed over, in records ({len(odd)}): {first}; "
        "`retain audit log` shows them as they are",
    )


NAMED_MAX = 20
"""Odd records that a notice names."""


def rebuilt(records: Callable[[], Iterable[journal.Record]], odd: list[int] | None = None) -> State:
    """A fresh state from the first record on. `records` is asked again if there are odd ones among them,
    whose numbers are added to `odd`."""
    try:
        return _after_all(records(), replay)
    except wire.OddRecord:
        return _after_all(records(), partial(_replay_warily, [] if odd is None else odd))


def _after_all(records: Iterable[journal.Record], take: Callable[[State, journal.Record], None]) -> State:
    state = State()
    with _in_bulk(state):
        for record in records:
            take(state, record)
    return state


def present(disk: journal.Disk, progress: Callable[[int], None] | None = None) -> State:
    """The state at the journal's end just now, read beside a running server: from the newest snapshot that
    this journal's tree bears out, and the records after it; from all records if there is none. Blocking.

    Args:
        disk: The data folder.
        progress: Told the sequence number of each record that is replayed.

    Raises:
        journal.Corrupt: The journal is damaged.
        wire.UnknownEvent: It was written by a newer version.
        OSError: It cannot be read.
    """
    state, position = _load_snapshot(disk)
    if position is None or not _stood_at(disk, position):
        state, position = State(), None
    try:
        return _followed(disk, state, replay, progress)
    except wire.OddRecord:
        return _followed(disk, State(), partial(_replay_warily, []), progress)


def _followed(
    disk: journal.Disk,
    state: State,
    take: Callable[[State, journal.Record], None],
    progress: Callable[[int], None] | None,
) -> State:
    """Return `state` after the records that follow what it stands at."""
    with _in_bulk(state) if not state.seq else nullcontext():
        for record in journal.scan(disk, start=state.seq + 1):
            take(state, record)
            if progress is not None:
                progress(record.header.seq)
    return state


def _stood_at(disk: journal.Disk, position: journal.Position) -> bool:
    """Whether the journal once ended at ``position``, or a snapshot there is another journal's."""
    prover = journal.Prover(disk)
    return position.seq <= prover.size and prover.root(position.seq) == position.root


def replay(state: State, record: journal.Record) -> None:
    """Makes ``record``, which follows the last one, part of ``state``.

    Raises:
        wire.OddRecord: It holds an event that is none; the state may be half changed.
    """
    header = record.header
    event = wire.from_record(record)
    if event is not None:
        # Start-up consists of this: `__new__` of a tuple costs half of what Stamp(...) does.
        stamp = _stamp(Stamp, (header[0], header[1], record[3], header[7]))
        try:
            state.apply(event, stamp)
        except wire.ODD as error:
            raise wire.OddRecord(header.seq) from error
        return
    state.skip(header.seq, header.time)
    if header.verb == journal.Verb.ERASE:
        state.erased(unpack_ranges(record), header.cause)


def _replay_warily(odd: list[int], state: State, record: journal.Record) -> None:
    """`replay`, but an odd event is passed over and its record noted."""
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
    """Open the journal and bring `state` to its end; with `odd`, past odd events, whose records it gets."""
    take = partial(replay, state) if odd is None else partial(_replay_warily, odd, state)
    # In bulk only from the start: after a snapshot, what it brought is in order already, and is most of it.
    log: journal.Journal | None = None
    try:
        with _in_bulk(state) if after is None else nullcontext():
            log = journal.open_journal(disk, take, after=after, options=options.journal(), entropy=entropy)
    except wire.OddRecord:
        if log is not None:
            log.close()
        raise
    return log


@contextmanager
def _in_bulk(state: State) -> Iterator[None]:
    """Put the deadlines in order at the end, all at once: only there one of another type is met."""
    reading = True
    try:
        with state.deadlines.in_bulk():
            yield
            reading = False
    except wire.ODD as error:
        if reading:
            raise
        raise wire.OddRecord(0) from error


def _load_snapshot(disk: journal.Disk) -> tuple[State, journal.Position | None]:
    for name in reversed(snapshot.names(disk)):
        try:
            return snapshot.load(disk, name)
        except (snapshot.InvalidSnapshot, ValueError, OSError):
            continue  # only a cache: the records say the same
    return State(), None
