"""The shared log in PostgreSQL: a real server is killed, paused, cut off, or replaced by a standby."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from threading import Thread

import pytest

from retain.journal import Committed
from retain.journal.errors import Fenced, JournalError, Unsettled
from retain.journal.shared.interface import NodeReport, Shared, SharedHead, Term
from retain.journal.shared.leadership import Leadership, take_leadership
from tests.kit.postgres import Postgres, Server, url

IDENTITY = bytes(range(16))
ANSWER_S = 10.0
"""A connection waits for so long for an answer."""
LEASE = 60.0
"""Seconds; longer than a busy machine stalls."""
WAITS_FOR_STANDBY = """
SELECT count(*) > 0 FROM pg_stat_activity WHERE usename = 'retain' AND wait_event = 'SyncRep'
"""
WAITS_FOR_ROW = (
    "SELECT count(*) = {} FROM pg_stat_activity WHERE usename = 'retain' AND wait_event_type = 'Lock'"
)


class Log:
    """A begun log on one or more servers, and what was asked of it."""

    def __init__(self, stack: ExitStack, *servers: Server) -> None:
        self.url = url(*servers)
        self.calls: list[str] = []
        self._stack = stack
        self.connect().create(IDENTITY, 0, bytes(32), 1)

    def connect(self) -> Shared:
        from retain.journal.shared.postgres import PostgresShared

        calls = self.calls

        class Recording(PostgresShared):
            def append(self, *values: object) -> None:  # type: ignore[override]
                calls.append("append")
                super().append(*values)  # type: ignore[arg-type]

            def settle(self, holder: bytes, lease: float) -> SharedHead:
                calls.append("settle")
                return super().settle(holder, lease)

        return self._stack.enter_context(closing(Recording(self.url)))

    def leader(self, name: str = "ann", pause: Callable[[float], None] = time.sleep) -> Leadership:
        numbers = count(1)
        leader = take_leadership(
            self.connect(),
            name,
            f"https://{name}",
            lease=LEASE,
            clock=time.monotonic_ns,
            pause=pause,
            entropy=lambda size: name.encode() + next(numbers).to_bytes(size - len(name), "big"),
            holder=name.ljust(16).encode(),
        )
        assert leader is not None
        return leader

    def frames(self) -> list[Committed]:
        shared = self.connect()
        head = shared.head()
        return shared.after(0, head.seq, head.term)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as one:
        yield one


@pytest.fixture
def log(stack: ExitStack, postgres_server: Server) -> Log:
    """A log on the server that is not harmed."""
    return Log(stack, postgres_server)


@pytest.fixture
def doomed(stack: ExitStack, postgres_servers: Postgres) -> Server:
    """A server of this test's own."""
    server = postgres_servers.server()
    stack.callback(postgres_servers.close, server)
    return server


def taken(shared: Shared) -> SharedHead:
    """Let the node ann lead, over a log that nobody leads."""
    head = shared.take("ann", "", b"a" * 16, LEASE)
    assert head is not None
    return head


def frame(last: int) -> Committed:
    return Committed(1, 512 * last, last, bytes([last]) * 512)


def commit(leader: Leadership, last: int) -> None:
    leader.commit(frame(last), last - 1, bytes(32))


def append(shared: Shared, term: Term, last: int) -> None:
    shared.append(frame(last), term, last - 1, bytes(32), last.to_bytes(16, "big"), LEASE)


class Meanwhile:
    """Something done in a thread of its own, and how it ended."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except JournalError as error:
            self._error = error

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def result(self) -> None:
        """Wait for the end; raise what it raised."""
        self._thread.join(60)
        assert self.done
        if self._error is not None:
            raise self._error


@contextmanager
def head_locked(server: Server) -> Iterator[None]:
    """Let changes wait, before they have done anything."""
    with server.session() as session, session.transaction():
        session.execute("SELECT FROM retain.head FOR UPDATE")
        yield


def test_a_commit_that_was_in_when_the_server_was_killed_is_found_there(
    stack: ExitStack, doomed: Server
) -> None:
    log = Log(stack, doomed)
    leader = log.leader()
    commit(leader, 1)
    doomed.require_standby()
    waiting = Meanwhile(lambda: commit(leader, 2))
    doomed.wait_for(WAITS_FOR_STANDBY)
    doomed.kill()
    doomed.set_stopped(synchronous_standby_names="")
    doomed.start()
    waiting.result()

    assert log.calls.count("append") == 2
    assert leader.term.epoch > leader.head.term.epoch
    commit(leader, 3)
    assert log.frames() == [frame(1), frame(2), frame(3)]


def test_a_commit_that_was_not_in_when_the_server_was_killed_is_sent_again(
    stack: ExitStack, doomed: Server
) -> None:
    log = Log(stack, doomed)
    leader = log.leader()
    commit(leader, 1)
    with doomed.session() as session:
        session.execute("BEGIN")
        session.execute("SELECT FROM retain.head FOR UPDATE")
        waiting = Meanwhile(lambda: commit(leader, 2))
        doomed.wait_for(WAITS_FOR_ROW.format(1))
        doomed.kill()
    doomed.start()
    waiting.result()

    assert log.calls.count("append") == 3
    assert log.frames() == [frame(1), frame(2)]


def test_a_warning_that_no_standby_has_it_is_no_acknowledgement(log: Log, postgres_server: Server) -> None:
    shared = log.connect()
    head = taken(shared)
    append(shared, head.term, 1)
    try:
        postgres_server.require_standby()
        waiting = Meanwhile(lambda: append(shared, head.term, 2))
        postgres_server.wait_for(WAITS_FOR_STANDBY)
        postgres_server.sql(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        )
        with pytest.raises(Unsettled, match="synchronous replication"):
            waiting.result()
    finally:
        postgres_server.configure(synchronous_standby_names="")
    settled = shared.settle(b"a" * 16, LEASE)
    assert (settled.seq, settled.batch) == (2, (2).to_bytes(16, "big"))


def test_a_warning_that_the_transaction_numbers_run_out_stops_nothing(
    stack: ExitStack, doomed: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL warns each transaction of it, with the SQLSTATE that a missing standby has: 01000."""
    monkeypatch.setattr("retain.journal.shared.postgres.connection._told", set())
    log = Log(stack, doomed)
    leader = log.leader()
    commit(leader, 1)
    doomed.use_up_transaction_numbers()
    leader = log.leader()
    commit(leader, 2)
    commit(leader, 3)
    assert "settle" not in log.calls
    assert log.frames() == [frame(1), frame(2), frame(3)]
    told = [record for record in caplog.records if "must be vacuumed" in str(record.__dict__)]
    assert len(told) == 1, "each kind of warning is logged once"


@pytest.mark.parametrize(("state", "counts"), [("01P01", True), ("01000", False), ("57P01", False)])
def test_a_warning_counts_as_a_lost_answer_unless_it_is_known_to_be_harmless(
    log: Log, postgres_server: Server, state: str, counts: bool
) -> None:
    shared = log.connect()
    head = taken(shared)
    append(shared, head.term, 1)
    postgres_server.sql(
        "CREATE OR REPLACE FUNCTION retain.warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE WARNING 'of what nobody knows' USING ERRCODE = '{state}'; RETURN NEW; END $$",
        "CREATE TRIGGER warn BEFORE INSERT ON retain.frames FOR EACH ROW EXECUTE FUNCTION retain.warn()",
    )
    if counts:
        append(shared, head.term, 2)
    else:
        with pytest.raises(Unsettled, match="of what nobody knows"):
            append(shared, head.term, 2)
    assert log.frames() == [frame(1), frame(2)]


def test_a_session_that_is_ended_while_it_waits_is_settled(log: Log, postgres_server: Server) -> None:
    leader = log.leader()
    commit(leader, 1)
    with head_locked(postgres_server):
        waiting = Meanwhile(lambda: commit(leader, 2))
        postgres_server.wait_for(WAITS_FOR_ROW.format(1))
        postgres_server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'retain'")
        postgres_server.wait_for(WAITS_FOR_ROW.format(1))  # it is settled behind the lock
    waiting.result()

    assert log.calls == ["append", "append", "settle", "append"]
    assert log.frames() == [frame(1), frame(2)]


def test_a_full_disk_is_settled_until_there_is_room(log: Log, postgres_server: Server) -> None:
    def make_room(_: float) -> None:
        postgres_server.sql("DROP TRIGGER IF EXISTS no_room ON retain.frames")

    leader = log.leader(pause=make_room)
    commit(leader, 1)
    postgres_server.sql(
        "CREATE OR REPLACE FUNCTION retain.no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$",
        "CREATE TRIGGER no_room BEFORE INSERT ON retain.frames FOR EACH ROW "
        "EXECUTE FUNCTION retain.no_room()",
    )
    commit(leader, 2)

    assert log.calls.count("append") == 4
    assert log.frames() == [frame(1), frame(2)]


def impatient(shared: Shared) -> Shared:
    """Let a connection that is open wait only so long for its next answer."""
    shared._connection.patience = 0.3  # type: ignore[attr-defined]
    return shared


def test_an_answer_that_comes_too_late_is_not_waited_for_by_the_server_either(
    log: Log, postgres_server: Server
) -> None:
    shared = log.connect()
    head = taken(shared)
    append(shared, head.term, 1)
    with head_locked(postgres_server):
        with pytest.raises(Unsettled, match="did not answer 'append'"):
            append(impatient(shared), head.term, 2)
        assert shared.head().seq == 1  # over another connection
        postgres_server.wait_for(WAITS_FOR_ROW.format(0))
    assert shared.settle(b"a" * 16, LEASE).seq == 1


def test_a_server_that_does_not_answer_at_all_is_not_waited_for(stack: ExitStack, doomed: Server) -> None:
    log = Log(stack, doomed)
    shared = log.connect()
    head = taken(shared)
    doomed.pause()
    try:
        with pytest.raises(Unsettled, match="did not answer 'append'"):
            append(impatient(shared), head.term, 1)
    finally:
        doomed.resume()
    settled = shared.settle(b"a" * 16, LEASE)
    with pytest.raises(Fenced):
        append(shared, head.term, settled.seq + 1)
    doomed.stop()
    with pytest.raises(Unsettled, match="did not answer 'head'"):
        shared.head()
    doomed.start()
    assert (shared.head().seq, shared.head().term) == (settled.seq, settled.term)


def test_a_wait_for_an_answer_can_be_interrupted(log: Log, postgres_server: Server) -> None:
    """A leader that was succeeded does not wait for the shared log any longer."""
    shared = log.connect()
    head = taken(shared)
    append(shared, head.term, 1)
    with head_locked(postgres_server):
        waiting = Meanwhile(lambda: append(shared, head.term, 2))
        postgres_server.wait_for(WAITS_FOR_ROW.format(1))
        began = time.monotonic()
        shared.interrupt()
        with pytest.raises(Unsettled, match="did not answer 'append'"):
            waiting.result()
        assert time.monotonic() - began < ANSWER_S / 2
    with pytest.raises(Unsettled, match="given up"):
        shared.head()


def test_small_files_are_not_read_from_a_server_that_can_make_nothing_durable(
    log: Log, postgres_server: Server
) -> None:
    """It may have been replaced: a key that was changed since would still open doors."""
    shared = log.connect()
    head = taken(shared)
    shared.keep({"accounts/a": b"key"}, head.term)
    try:
        postgres_server.require_standby()
        with pytest.raises(Unsettled, match=r"did not answer 'kept': there was no answer within 0\.3 s$"):
            impatient(shared).kept()
    finally:
        postgres_server.configure(synchronous_standby_names="")
    assert shared.kept() == {"accounts/a": b"key"}


def test_a_server_that_is_unfit_when_a_lost_answer_is_settled_leaves_it_unknown(
    log: Log, postgres_server: Server
) -> None:
    shared = log.connect()
    head = taken(shared)
    postgres_server.configure(fsync="off")
    try:
        postgres_server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'retain'")
        with pytest.raises(Unsettled):
            append(shared, head.term, 1)
        with pytest.raises(Unsettled, match="fsync = off"):
            shared.settle(b"a" * 16, LEASE)
    finally:
        postgres_server.configure(fsync="on")
    assert shared.settle(b"a" * 16, LEASE).seq == 0


def test_a_deposed_leaders_append_is_refused(log: Log, postgres_server: Server) -> None:
    first = log.leader("ann")
    commit(first, 1)
    postgres_server.pass_time(LEASE + 1)
    second = log.leader("ben")
    with pytest.raises(Fenced, match="node ben leads"):
        commit(first, 2)
    with pytest.raises(Fenced, match="node ben leads"):
        first.renew()
    assert log.frames() == [frame(1)]
    commit(second, 2)
    with pytest.raises(Fenced):
        commit(first, 2)
    assert log.frames() == [frame(1), frame(2)]


def test_an_append_that_waits_behind_the_new_leader_is_refused(log: Log, postgres_server: Server) -> None:
    first = log.leader("ann")
    commit(first, 1)
    postgres_server.pass_time(LEASE + 1)
    with head_locked(postgres_server):
        taking = Meanwhile(lambda: log.leader("ben"))
        postgres_server.wait_for(WAITS_FOR_ROW.format(1))
        appending = Meanwhile(lambda: commit(first, 2))
        postgres_server.wait_for(WAITS_FOR_ROW.format(2))
    taking.result()
    with pytest.raises(Fenced, match="node ben leads"):
        appending.result()
    assert log.frames() == [frame(1)]


def test_a_standby_goes_on_with_all_that_was_acknowledged_and_with_nothing_else(
    stack: ExitStack, postgres_servers: Postgres
) -> None:
    primary = postgres_servers.server()
    stack.callback(postgres_servers.close, primary)
    standby = postgres_servers.server(standby_of=primary)
    stack.callback(postgres_servers.close, standby)
    primary.wait_for("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'", 1)
    primary.require_standby(standby.folder.name)
    log = Log(stack, standby, primary)  # the one that may be written to is found in any order
    leader, other = log.leader(), log.connect()
    for last in (1, 2, 3):
        commit(leader, last)

    standby.stop()
    waiting = Meanwhile(lambda: commit(leader, 4))  # on the primary alone
    primary.wait_for("SELECT seq FROM retain.head", 3)
    primary.wait_for(WAITS_FOR_STANDBY)
    primary.kill()
    standby.start()
    assert standby.sql("SELECT seq FROM retain.head") == [(3,)]
    standby.sql("SELECT pg_promote()")
    waiting.result()

    assert log.calls.count("append") == 5
    assert log.frames() == [frame(last) for last in (1, 2, 3, 4)]
    commit(leader, 5)
    assert other.head().seq == 5


def test_a_lease_that_another_server_counted_is_counted_once_more(stack: ExitStack, doomed: Server) -> None:
    """The clock of the server that goes on may be ahead of the one before."""
    log = Log(stack, doomed)
    leader = log.leader("ann")
    doomed.stop()
    doomed.start()
    doomed.pass_time(LEASE + 60)
    other = log.connect()
    assert other.head().remaining < 0
    assert other.take("ben", "", b"b" * 16, LEASE) is None
    assert 0 < other.head().remaining <= LEASE
    commit(leader, 1)
    doomed.pass_time(LEASE + 1)
    assert other.take("ben", "", b"b" * 16, LEASE) is not None

    other.renew(other.head().term, 0.0)
    doomed.stop()
    doomed.start()
    assert log.connect().take("cid", "", b"c" * 16, LEASE) is not None  # given back: nobody counts on it


def test_dropping_gives_way_to_whoever_uses_the_frames(log: Log, postgres_server: Server) -> None:
    shared = log.connect()
    head = taken(shared)
    append(shared, head.term, 1)
    shared.append(Committed(2, 512, 2, bytes(512)), head.term, 1, bytes(32), bytes(16), LEASE)
    shared.report(NodeReport("ann", "", "1", 2, 2))
    with postgres_server.session() as session:
        session.execute("BEGIN")
        session.execute("SELECT count(*) FROM retain.frames")
        with pytest.raises(Unsettled, match="lock timeout"):
            shared.drop(head.term, 1, 0.0)
        shared.append(Committed(2, 1024, 3, bytes(512)), head.term, 2, bytes(32), bytes(16), LEASE)
    assert shared.head().dropped == 0
    assert shared.drop(head.term, 1, 0.0) == [1]


def test_segments_that_a_deposed_leader_prepared_go_with_the_others(
    log: Log, postgres_server: Server
) -> None:
    first = log.leader("ann")
    commit(first, 1)
    postgres_server.pass_time(LEASE + 1)
    second = log.leader("ben")
    with pytest.raises(Fenced):
        first.commit(Committed(2, 512, 2, bytes(512)), 1, bytes(32))
    assert postgres_server.sql("SELECT to_regclass('retain.frames_2') IS NULL") == [(True,)]

    postgres_server.sql("CREATE TABLE retain.frames_2 PARTITION OF retain.frames FOR VALUES IN (2)")
    second.commit(Committed(3, 512, 2, bytes(512)), 1, bytes(32))
    shared = log.connect()
    shared.report(NodeReport("ann", "", "1", 2, 2))
    assert shared.drop(second.term, 1, 0.0) == [1]
    assert postgres_server.sql("SELECT to_regclass('retain.frames_2') IS NULL") == [(True,)]
