"""Which PostgreSQL servers carry the shared log, and what they retain of dropped frames."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from retain.journal import Committed
from retain.journal.errors import BadTarget, JournalError, UnknownVersion, Unsettled
from retain.journal.shared.interface import NodeReport, Shared, Term
from tests.kit.postgres import Postgres, Server

IDENTITY = bytes(range(16))
LEASE = 5.0
MARKS = {b"small-erased-content", b"large-erased-content"}


@contextmanager
def connected(url: str) -> Iterator[Shared]:
    from retain.journal.shared.postgres import PostgresShared

    with closing(PostgresShared(url)) as shared:
        yield shared


def create(server: Server) -> None:
    with connected(server.url) as shared:
        shared.create(IDENTITY, 0, bytes(32), 1)


@contextmanager
def psycopg_session(url: str) -> Iterator[Any]:
    """Give a session of the shared log's role."""
    from retain.journal.shared.postgres.connection import complete, connect

    with closing(connect(complete(url), 10.0)) as session:
        yield session


def refusal(url: str) -> str:
    """Return why a server is refused."""
    with connected(url) as shared, pytest.raises(JournalError) as caught:
        shared.head()
    assert isinstance(caught.value, BadTarget)
    return str(caught.value)


@pytest.mark.parametrize(
    ("setting", "value", "next_step"),
    [
        ("fsync", "off", "set fsync = on in postgresql.conf"),
        ("full_page_writes", "off", "set full_page_writes = on in postgresql.conf"),
        ("log_statement", "mod", "ALTER ROLE retain SET log_parameter_max_length = 0"),
        ("log_min_duration_statement", "1s", "ALTER ROLE retain SET log_parameter_max_length = 0"),
    ],
)
def test_a_server_that_loses_or_shows_what_is_committed_is_refused(
    postgres_server: Server, setting: str, value: str, next_step: str
) -> None:
    create(postgres_server)
    before = str(postgres_server.sql(f"SELECT current_setting('{setting}')")[0][0])
    postgres_server.configure(**{setting: value})
    try:
        assert next_step in refusal(postgres_server.url)
    finally:
        postgres_server.configure(**{setting: before})
    with connected(postgres_server.url) as shared:
        assert shared.head().seq == 0


def test_statements_in_the_servers_log_are_accepted_without_their_parameters(postgres_server: Server) -> None:
    create(postgres_server)
    postgres_server.configure(log_statement="mod")
    try:
        postgres_server.sql("ALTER ROLE retain SET log_parameter_max_length = 0")
        with connected(postgres_server.url) as shared:
            shared.report(NodeReport("ann", "kept-out-of-the-log", "1", 0, 0))
    finally:
        postgres_server.sql("ALTER ROLE retain RESET log_parameter_max_length")
        postgres_server.configure(log_statement="none")
    log = (postgres_server.folder / "log").read_text()
    assert "INSERT INTO retain.node" in log
    assert "kept-out-of-the-log" not in log


def test_a_role_that_may_do_too_much_or_too_little_is_refused(postgres_server: Server) -> None:
    create(postgres_server)
    assert "a superuser" in refusal(postgres_server.url.replace("user=retain", "user=postgres"))
    postgres_server.sql("GRANT pg_signal_backend TO retain")
    try:
        assert "REVOKE pg_signal_backend FROM retain" in refusal(postgres_server.url)
    finally:
        postgres_server.sql("REVOKE pg_signal_backend FROM retain")

    postgres_server.sql("DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN")
    guest = postgres_server.url.replace("user=retain", "user=guest")
    assert "ALTER DATABASE" in refusal(guest)
    postgres_server.sql("DROP SCHEMA retain CASCADE")
    with connected(guest) as shared, pytest.raises(BadTarget, match="permission denied for database retain"):
        shared.create(IDENTITY, 0, bytes(32), 1)


def test_a_schema_that_the_role_was_given_is_used(postgres_server: Server) -> None:
    postgres_server.sql("DROP ROLE IF EXISTS tenant", "CREATE ROLE tenant LOGIN")
    postgres_server.sql("CREATE SCHEMA retain AUTHORIZATION tenant")
    with connected(postgres_server.url.replace("user=retain", "user=tenant")) as shared:
        shared.create(IDENTITY, 4, bytes(32), 1)
        assert shared.head().seq == 4


def test_a_server_of_another_version_or_behind_a_pooler_is_refused(postgres_server: Server) -> None:
    from retain.journal.shared.postgres import connection, demands

    with pytest.raises(BadTarget, match="PostgreSQL 14; it must be 15 or newer"):
        demands.refuse_version(140012)
    with closing(connection.connect(connection.complete(postgres_server.url), 10.0)) as open_connection:
        found = demands.ask(open_connection)
    demands.refuse(found)
    for wrong in (found._replace(synchronous_commit="off"), found._replace(client_min_messages="error")):
        with pytest.raises(BadTarget, match="pooler"):
            demands.refuse(wrong)


def test_a_session_waits_for_its_commits_whatever_the_server_says(postgres_server: Server) -> None:
    create(postgres_server)
    postgres_server.sql(
        "ALTER ROLE retain SET synchronous_commit = off", "ALTER ROLE retain SET client_min_messages = error"
    )
    try:
        with connected(postgres_server.url + "&options=-c%20synchronous_commit%3Doff") as shared:
            assert shared.head().seq == 0
    finally:
        postgres_server.sql("ALTER ROLE retain RESET ALL")


def test_a_database_of_another_journal_names_both_ends(postgres_server: Server) -> None:
    create(postgres_server)
    with connected(postgres_server.url) as shared:
        with pytest.raises(BadTarget, match="another journal already, which ends with record 0, not 3"):
            shared.create(bytes(16), 3, bytes(32), 1)
        with pytest.raises(BadTarget, match="this journal already, which ends with record 0, not 3"):
            shared.create(IDENTITY, 3, bytes(32), 1)
        assert shared.head().identity == IDENTITY


def test_tables_of_a_newer_release_are_refused(postgres_server: Server) -> None:
    create(postgres_server)
    postgres_server.sql("UPDATE retain.head SET version = version + 1")
    with connected(postgres_server.url) as shared, pytest.raises(UnknownVersion, match="upgrade this node"):
        shared.head()


def test_a_server_that_is_not_there_is_named(postgres_server: Server) -> None:
    url = postgres_server.url.replace("host=", "host=/nowhere")
    with connected(url) as shared, pytest.raises(Unsettled, match=r"did not answer 'head'.*/nowhere"):
        shared.head()


@pytest.mark.parametrize("url", ["postgresql://retain:se%zzcret@db/retain", "no url"])
def test_an_address_that_is_no_url_is_refused_and_not_shown(url: str) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed (pip install '.[cluster]')")
    with pytest.raises(BadTarget, match="is no PostgreSQL URL") as caught, connected(url):
        pass
    assert url not in str(caught.value)
    assert "cret" not in str(caught.value)


def test_what_an_operator_should_know_is_logged_once(
    postgres_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    from retain.journal.shared.postgres import shared as module

    create(postgres_server)
    module._told.clear()
    caplog.clear()
    postgres_server.sql("REVOKE pg_checkpoint FROM retain")
    try:
        with caplog.at_level(logging.WARNING, "retain.nodes"):
            for _ in range(2):
                with connected(postgres_server.url) as shared:
                    shared.head()
    finally:
        postgres_server.sql("GRANT pg_checkpoint TO retain")
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == len(set(told))
    assert [True for one in told if "synchronous_standby_names is empty" in one] == [True]
    assert [True for one in told if "GRANT pg_checkpoint TO retain" in one] == [True]


def test_a_server_whose_commits_wait_for_a_standby_says_so(
    postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from retain.journal.shared.postgres import demands
    from retain.journal.shared.postgres.survey import survey

    def advice() -> list[str]:
        return [one.advice for one in survey(postgres_server.url).warnings if "none confirms" in one.found]

    create(postgres_server)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    try:
        postgres_server.require_standby()
        with psycopg_session(postgres_server.url) as session:
            session.pgconn.send_query(b"SELECT pg_logical_emit_message(true, 'waits', '')")
            postgres_server.wait_for(waiting, 1)
            monkeypatch.setattr(demands, "STUCK_S", 3600.0)
            assert advice() == [], "every commit waits for a moment"
            monkeypatch.setattr(demands, "STUCK_S", 0.0)
            assert [True for one in advice() if "synchronous_standby_names = ''" in one] == [True]
            postgres_server.configure(synchronous_standby_names="")
            postgres_server.wait_for(waiting, 0)
        assert advice() == []
    finally:
        postgres_server.configure(synchronous_standby_names="")


def test_nothing_of_dropped_frames_stays_in_the_servers_files(postgres_servers: Postgres) -> None:
    server = postgres_servers.server()
    try:
        server.configure(wal_keep_size="0")
        create(server)
        server.sql("SELECT pg_switch_wal()")
        with connected(server.url) as shared:
            term = fill(shared)
            (name,) = server.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")[0]
            assert b"large-erased-content" in (server.data / "pg_wal" / name).read_bytes()
            server.sql("CHECKPOINT")
            assert residue(server) == MARKS
            shared.report(NodeReport("ann", "", "1", 10, 10))
            assert shared.drop(term, 1, 0.0) == [1]
        assert residue(server) == set()
    finally:
        postgres_servers.close(server)


def test_nothing_of_dropped_frames_stays_in_the_files_of_a_primary_and_its_standbys(
    postgres_servers: Postgres,
) -> None:
    """A standby removes old WAL at a restart point: after the primary's next checkpoint it has replayed."""
    primary = postgres_servers.server()
    servers = [primary]
    try:
        servers += [postgres_servers.server(standby_of=primary) for _ in range(2)]
        for server in servers:
            server.configure(wal_keep_size="0") if server is primary else restart(server, wal_keep_size="0")
        names = ", ".join(one.folder.name for one in servers[1:])
        primary.wait_for("SELECT count(*) FROM pg_stat_replication", 2)
        primary.configure(synchronous_standby_names=f"ANY 2 ({names})")
        create(primary)
        with connected(primary.url) as shared:
            term = fill(shared)
            primary.sql("CHECKPOINT")
            for server in servers:
                restart_point(primary, server)
                assert residue(server) == MARKS, "each server has the frames before they are dropped"
            shared.report(NodeReport("ann", "", "1", 10, 10))
            assert shared.drop(term, 1, 0.0) == [1]
        assert residue(primary) == set()
        for server in servers[1:]:
            restart_point(primary, server)
            assert residue(server) == set(), server.folder.name
    finally:
        postgres_servers.close(*reversed(servers))


def test_old_wal_is_removed_only_after_a_commit_that_synchronous_standbys_have(
    postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from retain.journal.shared.postgres.connection import PatientConnection

    create(postgres_server)
    sent: list[str] = []
    execute = PatientConnection.execute
    with connected(postgres_server.url) as shared:
        term = fill(shared)
        shared.report(NodeReport("ann", "", "1", 10, 10))

        def noted(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
            sent.append(str(query))
            return execute(self, query, *arguments, **options)

        monkeypatch.setattr(PatientConnection, "execute", noted)
        assert shared.drop(term, 1, 0.0) == [1]
    switched, committed, checked = sent[-3:]
    assert "pg_switch_wal" in switched
    assert "pg_logical_emit_message(true" in committed
    assert checked == "CHECKPOINT"


def restart(server: Server, **settings: str) -> None:
    """Start a standby, which nothing can be altered at, with other settings."""
    server.stop()
    server.set_stopped(**settings)
    server.start()


def restart_point(primary: Server, server: Server) -> None:
    """Have a server replay all that its primary wrote, and write it to its files."""
    ((end,),) = primary.sql("SELECT pg_current_wal_lsn()::text")
    if server is not primary:
        server.wait_for(f"SELECT pg_last_wal_replay_lsn() >= '{end}'", True)
    server.sql("CHECKPOINT")


def fill(shared: Shared) -> Term:
    """Append small and large frames with something to look for, and end their segment."""
    head = shared.take("ann", "", b"a" * 16, LEASE)
    assert head is not None
    for last in range(1, 11):
        marks = (b"small-erased-content" * 20, b"large-erased-content" * 3000)
        committed = Committed(1, 512 * last, last, marks[last % 2])
        shared.append(committed, head.term, last - 1, bytes(32), bytes(16), LEASE)
    shared.append(Committed(2, 512, 11, bytes(512)), head.term, 10, bytes(32), bytes(16), LEASE)
    return head.term


def residue(server: Server) -> set[bytes]:
    """Return what of the frames is in any file of the server."""
    data = b"".join(path.read_bytes() for path in server.folder.rglob("*") if path.is_file())
    return {mark for mark in MARKS if mark in data}


def test_frames_are_read_without_sorting_or_collecting_them(postgres_server: Server) -> None:
    """Either would write them to temporary files, which nobody overwrites."""
    from retain.journal.shared.postgres import connection, tables

    create(postgres_server)
    with connected(postgres_server.url) as shared:
        term = fill(shared)
        with closing(connection.connect(connection.complete(postgres_server.url), 10.0)) as session:
            values = {"epoch": 1, "holder": b"", "seq": 0, "until": 11, "most": 1 << 20, "rows": 4096}
            plan = session.execute(f"EXPLAIN {tables.AFTER}", values).fetchall()
        assert len(shared.after(0, 11, term)) == 11
    found = "\n".join(line for (line,) in plan)
    assert "Index Scan" in found
    assert not [word for word in ("Sort  ", "Materialize", "Hash", "Bitmap") if word in found]
    spilled = postgres_server.sql("SELECT temp_files FROM pg_stat_database WHERE datname = 'retain'")
    assert spilled == [(0,)]


def test_the_planner_takes_no_samples_of_frames(postgres_server: Server) -> None:
    """What is in its statistics outlives the table."""
    create(postgres_server)
    with connected(postgres_server.url) as shared:
        fill(shared)
    postgres_server.sql("ANALYZE retain.frames", "ANALYZE retain.frames_1")
    sampled = postgres_server.sql("SELECT DISTINCT attname::text FROM pg_stats WHERE tablename ~ '^frames'")
    assert ("last",) in sampled
    assert ("frame",) not in sampled
    options = postgres_server.sql("SELECT reloptions FROM pg_class WHERE relname = 'frames_1'")
    assert options == [(["autovacuum_enabled=off"],)]


def test_a_failing_append_writes_no_frame_to_the_servers_log(postgres_server: Server) -> None:
    create(postgres_server)
    postgres_server.configure(log_parameter_max_length_on_error="-1")
    try:
        with connected(postgres_server.url) as shared:
            fill(shared)
    finally:
        postgres_server.configure(log_parameter_max_length_on_error="0")
    log = (postgres_server.folder / "log").read_text()
    assert "no partition of relation" in log
    assert b"large-erased-content".hex() not in log
