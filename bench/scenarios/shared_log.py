"""Frames that a journal commits to PostgreSQL, beside the same bytes in PostgreSQL alone.

PostgreSQL has one synchronous standby. `insert` stores each frame as a row of a plain table. `PostgreSQL
alone` also moves the one row of `retain.head` under the leader's term: the statement of the shared log, by
itself. `shared log` is `Journal.append` of a leading node: it encodes and hashes the records, commits the
frame by that statement, and writes and syncs it in its own folder. One thread appends.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgpack

from retain.bench.metrics import Latencies, Measurement
from retain.bench.peers.cluster import postgres
from retain.bench.result import RunResult
from retain.bench.scenario import Case, RunSettings, Scenario, in_rounds
from retain.journal import Draft, Journal, JournalOptions, Position, RealDisk, Verb, open_journal
from retain.journal.log import Committed
from retain.journal.shared.interface import Shared
from retain.journal.shared.leadership import Leadership, take_leadership

BATCHES: Final = (1, 16, 64)
GOALS: Final = {1: 0.7, 64: 0.6}
RECORD_BYTES: Final = 1024
LEASE_S: Final = 60.0
ALONE, SHARED = "PostgreSQL alone", "shared log"
TABLE: Final = (
    "CREATE TABLE plain (frame bytea NOT NULL)",
    "ALTER TABLE plain ALTER COLUMN frame SET STORAGE EXTERNAL",
)


def measure(settings: RunSettings, result: RunResult) -> None:
    """Append batches of several sizes, one after the other."""
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL's user reaches its own folders
        logs = []
        for own in ("1", "2"):
            (folder / own).mkdir(mode=0o711)
            logs.append(stack.enter_context(postgres(folder / own)))
        leading = stack.enter_context(_leading(folder / "data", logs[0]))
        insert = stack.enter_context(_inserting(logs[0]))
        alone = stack.enter_context(_alone(logs[1]))
        cases: dict[tuple[str, str], Case] = {}
        for count in BATCHES:
            drafts = _drafts(count)
            frame = leading.append(drafts)
            for server, append in (
                ("insert", partial(insert, frame)),
                (ALONE, partial(alone, frame, count)),
                (SHARED, partial(leading.append, drafts)),
            ):
                cases[_name(count), server] = partial(_appends, append, count, settings)
        in_rounds(settings, result, cases)
    for count in BATCHES:
        ours = result.row(_name(count), SHARED)
        for server, goal in ((ALONE, GOALS.get(count)), ("insert", None)):
            result.ratio(
                f"{_name(count)}: {SHARED} / {server}", ours, result.row(_name(count), server), goal=goal
            )
    result.notes.append(
        f"Records have {RECORD_BYTES:,} B. PostgreSQL, its standby and the journal share this machine and "
        "its disk, and each syncs to it"
    )


def _name(count: int) -> str:
    return f"{count} record{'s' if count > 1 else ''} a batch"


def _drafts(count: int) -> list[Draft]:
    content = msgpack.packb({"Key1": "x" * RECORD_BYTES})
    return [Draft(Verb.PUT, 1, os.urandom(16), 1, b"", content) for _ in range(count)]


class _Leading:
    """A journal that leads a shared log.

    Args:
        journal: It leads already.
        frames: Its last frame, once it has committed one.

    """

    def __init__(self, journal: Journal, frames: list[bytes]) -> None:
        self._journal, self._frames = journal, frames

    def append(self, drafts: list[Draft]) -> bytes:
        """Append a batch; return its frame."""
        self._journal.append(drafts, time.time_ns())
        self._journal.reserve()
        return self._frames[-1]


@contextmanager
def _leading(folder: Path, log: str) -> Iterator[_Leading]:
    frames: list[bytes] = [b""]
    options = JournalOptions(shared=True)
    with closing(open_journal(RealDisk(folder), lambda record: None, options=options)) as journal:
        head = journal.head
        with _led(log, journal.identity, head.seq, head.root, head.segment) as (_, leadership):

            def commit(frame: Committed, expected: int, root: bytes) -> None:
                leadership.commit(frame, expected, root)
                frames[0] = frame.frame

            taken = leadership.head
            journal.lead(commit, Position(taken.seq, taken.root), taken.segment)
            journal.reserve()
            yield _Leading(journal, frames)


@contextmanager
def _led(
    log: str, identity: bytes, seq: int, root: bytes, segment: int
) -> Iterator[tuple[Shared, Leadership]]:
    """Begin a shared log, and lead it."""
    from retain.journal.shared.postgres import PostgresShared  # psycopg comes with the extra `cluster`

    with closing(PostgresShared(log)) as shared:
        shared.create(identity, seq, root, segment)
        leadership = take_leadership(
            shared,
            "n1",
            "",
            lease=LEASE_S,
            clock=time.monotonic_ns,
            pause=time.sleep,
            entropy=os.urandom,
            holder=os.urandom(16),
        )
        assert leadership is not None
        yield shared, leadership


@contextmanager
def _alone(log: str) -> Iterator[Callable[[bytes, int], None]]:
    root = bytes(32)
    with _led(log, os.urandom(16), 0, root, 1) as (shared, leadership):
        last = 0

        def append(frame: bytes, count: int) -> None:
            nonlocal last
            committed = Committed(1, last, last + count, frame)
            shared.append(committed, leadership.term, last, root, os.urandom(16), LEASE_S)
            last += count

        yield append


@contextmanager
def _inserting(log: str) -> Iterator[Callable[[bytes], object]]:
    import psycopg

    with closing(psycopg.connect(log, autocommit=True)) as connection:
        for statement in TABLE:
            connection.execute(statement)

        def insert(frame: bytes) -> Any:
            return connection.execute("INSERT INTO plain VALUES (%b)", (frame,), prepare=True)

        yield insert


def _appends(append: Callable[[], object], count: int, settings: RunSettings) -> Measurement:
    latencies, batches = Latencies(), 0
    spent = time.process_time()
    begin = now = time.perf_counter()
    while now < begin + settings.seconds:
        append()
        done = time.perf_counter()
        latencies.record(done - now)
        batches, now = batches + 1, done
    elapsed, spent = now - begin, time.process_time() - spent
    return Measurement.of(batches * count, elapsed, latencies.curve(), spent)


SCENARIO = Scenario(
    "shared-log",
    "Frames that a journal commits to PostgreSQL, beside PostgreSQL alone.",
    measure,
    ("PostgreSQL",),
)
