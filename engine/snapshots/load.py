"""From bytes on disk to state: the newest snapshot and the records after it, or all of history."""

import gc
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import partial
from typing import NamedTuple

from retain import journal
from retain.engine import wire
from retain.engine.core.clock import Sighting
from retain.engine.core.event import Stamp
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
    with uncollected() as collecting:
        state, position = _load_snapshot(disk)
        try:
            log = _open_journal(disk, state, position, options, entropy)
        except journal.PositionMismatch:
            state, position = State(), None
            log = _open_journal(disk, state, None, options, entropy)
        covered = 0 if position is None else position.seq
        # Opening finishes an erasure that a crash interrupted; its closing record was not replayed.
        if log.head.seq > state.seq:
            state.skip(log.head.seq, log.head.time)
        if collecting and not gc.get_freeze_count():
            # Into the oldest generation unwalked: the next collection would walk all of it as new.
            gc.freeze()
            gc.unfreeze()
        return Loaded(log, state, (*disk.notices, *log.notices), covered, read_sighting(disk))


def rebuilt(records: Iterable[journal.Record]) -> State:
    """A fresh state from the first record on."""
    state = State()
    with state.deadlines.in_bulk():
        for record in records:
            replay(state, record)
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
    with state.deadlines.in_bulk() if position is None else nullcontext():
        for record in journal.scan(disk, start=state.seq + 1):
            replay(state, record)
            if progress is not None:
                progress(record.header.seq)
    return state


def _stood_at(disk: journal.Disk, position: journal.Position) -> bool:
    """Whether the journal once ended at ``position``, or a snapshot there is another journal's."""
    prover = journal.Prover(disk)
    return position.seq <= prover.size and prover.root(position.seq) == position.root


def replay(state: State, record: journal.Record) -> None:
    """Makes ``record``, which follows the last one, part of ``state``."""
    header = record.header
    event = wire.from_record(record)
    if event is not None:
        # Start-up consists of this: `__new__` of a tuple costs half of what Stamp(...) does.
        stamp = _stamp(Stamp, (header[0], header[1], record[3], header[7]))
        state.apply(event, stamp)
        return
    state.skip(header.seq, header.time)
    if header.verb == journal.Verb.ERASE:
        state.erased(unpack_ranges(record), header.cause)


def _open_journal(
    disk: journal.Disk,
    state: State,
    after: journal.Position | None,
    options: Options,
    entropy: Callable[[int], bytes],
) -> journal.Journal:
    # In bulk only from the start: after a snapshot, what it brought is in order already, and is most of it.
    with state.deadlines.in_bulk() if after is None else nullcontext():
        return journal.open_journal(
            disk, partial(replay, state), after=after, options=options.journal(), entropy=entropy
        )


def _load_snapshot(disk: journal.Disk) -> tuple[State, journal.Position | None]:
    for name in reversed(snapshot.names(disk)):
        try:
            return snapshot.load(disk, name)
        except (snapshot.InvalidSnapshot, ValueError, OSError):
            continue  # only a cache: the records say the same
    return State(), None
