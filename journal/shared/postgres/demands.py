"""Checks whether a PostgreSQL server has the settings that a shared log needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import psycopg
from psycopg.rows import TupleRow, class_row

from retain.journal.errors import BadTarget

VERSION: Final = 150000
"""PostgreSQL 15: the first that lets a role other than a superuser start a checkpoint."""


STUCK_S: Final = 2.0
"""Seconds after which a commit that waits for a synchronous standby is worth a warning."""


class Server(NamedTuple):
    """What a server reports about itself and about the role of the session."""

    fsync: str
    full_page_writes: str
    synchronous_commit: str
    client_min_messages: str
    standbys: str
    stuck: int
    statements: str
    slow: int
    sampled: int
    transactions: float
    parameters: int
    recycles: str
    checksums: str
    retained: int
    slots: int
    role: str
    superuser: bool
    signals: bool
    switches: bool
    checkpoints: bool


_ASK: Final = """
    SELECT current_setting('fsync') AS fsync,
        current_setting('full_page_writes') AS full_page_writes,
        current_setting('synchronous_commit') AS synchronous_commit,
        current_setting('client_min_messages') AS client_min_messages,
        current_setting('synchronous_standby_names') AS standbys,
        (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user AND wait_event = 'SyncRep'
            AND query_start <= clock_timestamp() - make_interval(secs => %s)) AS stuck,
        current_setting('log_statement') AS statements,
        (SELECT setting::bigint FROM pg_settings WHERE name = 'log_min_duration_statement') AS slow,
        (SELECT setting::bigint FROM pg_settings WHERE name = 'log_min_duration_sample') AS sampled,
        current_setting('log_transaction_sample_rate')::float8 AS transactions,
        (SELECT setting::bigint FROM pg_settings WHERE name = 'log_parameter_max_length') AS parameters,
        current_setting('wal_recycle') AS recycles,
        current_setting('data_checksums') AS checksums,
        (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_keep_size') AS retained,
        (SELECT count(*) FROM pg_replication_slots WHERE NOT active) AS slots,
        current_user::text AS role,
        (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
        pg_has_role(current_user, 'pg_signal_backend', 'MEMBER') AS signals,
        has_function_privilege('pg_switch_wal()', 'EXECUTE') AS switches,
        pg_has_role(current_user, 'pg_checkpoint', 'USAGE') AS checkpoints
"""


class ServerFinding(NamedTuple):
    """What is wrong with a server, and what an operator can do."""

    found: str
    advice: str

    def __str__(self) -> str:
        return f"{self.found}; {self.advice}"


def ask(connection: psycopg.Connection[TupleRow]) -> Server:
    """Return what the server reports about itself.

    Raises:
        BadTarget: It is too old.
        psycopg.Error: There was no answer.

    """
    refuse_version(connection.info.server_version)
    with connection.cursor(row_factory=class_row(Server)) as cursor:
        found = cursor.execute(_ASK, (STUCK_S,)).fetchone()
    assert found is not None
    return found


def refuse_version(number: int) -> None:
    """Refuse a server that is too old; `number` is its `server_version_num`.

    Raises:
        BadTarget: It is.

    """
    if number < VERSION:
        raise BadTarget(
            f"the shared log's server is PostgreSQL {number // 10000}; it must be 15 or newer: upgrade it"
        )


def refuse(server: Server) -> None:
    """Refuse a server that could lose what it has called committed, or that writes contents to its log.

    Raises:
        BadTarget: The message says what to change.

    """
    for one in refusals(server):
        raise BadTarget(str(one))


def refusals(server: Server) -> Iterator[ServerFinding]:
    """Yield why no node can use this server."""
    for name, value in (("fsync", server.fsync), ("full_page_writes", server.full_page_writes)):
        if value != "on":
            yield ServerFinding(
                f"the shared log's server runs with {name} = {value}: a power cut would lose what was "
                "committed",
                f"set {name} = on in postgresql.conf and restart PostgreSQL",
            )
    if server.synchronous_commit != "on" or server.client_min_messages != "warning":
        yield ServerFinding(
            "the connection to the shared log lost its settings (synchronous_commit = "
            f"{server.synchronous_commit}, client_min_messages = {server.client_min_messages}): a pooler is "
            "in between",
            "connect to PostgreSQL itself",
        )
    if server.superuser:
        yield ServerFinding(
            f"the shared log's role {server.role} is a superuser, whom no permission limits",
            "make one that owns its database only: CREATE ROLE retain LOGIN; ALTER DATABASE … OWNER TO "
            "retain",
        )
    elif server.signals:  # a superuser is a member of every role
        yield ServerFinding(
            f"the shared log's role {server.role} may end other sessions",
            f"REVOKE pg_signal_backend FROM {server.role}",
        )
    if server.parameters != 0 and _logs_statements(server):
        yield ServerFinding(
            "the shared log's server writes statements with their parameters to its log, contents included",
            f"as a superuser: ALTER ROLE {server.role} SET log_parameter_max_length = 0",
        )


def _logs_statements(server: Server) -> bool:
    return (
        server.statements in ("mod", "all")
        or server.slow >= 0
        or server.sampled >= 0
        or server.transactions > 0
    )


def warn(server: Server) -> list[ServerFinding]:
    """Return warnings about this server for the operator."""
    found = []
    if not server.standbys:
        found.append(
            ServerFinding(
                "the shared log's server has no synchronous standby (synchronous_standby_names is empty): "
                "losing its disk loses the records that no node has written yet",
                "add a standby and name it: synchronous_standby_names = 'ANY 1 (db2, db3)'",
            )
        )
    if server.stuck:
        found.append(
            ServerFinding(
                "commits to the shared log wait for a synchronous standby, and none confirms them "
                f"(synchronous_standby_names = '{server.standbys}')",
                "start the standby, or build a new one; if this server shall go on alone, ALTER SYSTEM SET "
                "synchronous_standby_names = '' and SELECT pg_reload_conf(); commits are then on one disk",
            )
        )
    if server.checksums != "on":
        found.append(
            ServerFinding(
                "the shared log's server has no data checksums",
                "stop PostgreSQL and enable them: pg_checksums --enable",
            )
        )
    if not (server.switches and server.checkpoints):
        found.append(
            ServerFinding(
                "erased contents stay in the shared log's WAL until PostgreSQL recycles it by itself",
                f"as a superuser: GRANT EXECUTE ON FUNCTION pg_switch_wal() TO {server.role}; "
                f"GRANT pg_checkpoint TO {server.role}",
            )
        )
    if server.recycles == "on":
        found.append(
            ServerFinding(
                "the shared log's server reuses old WAL files as they are, erased contents included",
                "set wal_recycle = off",
            )
        )
    if server.retained > 0 or server.slots > 0:
        found.append(
            ServerFinding(
                f"the shared log's server keeps old WAL (wal_keep_size {server.retained} MB, {server.slots} "
                "unused replication slots): erased contents stay in it for as long",
                "set wal_keep_size = 0, and drop slots that no standby uses: pg_drop_replication_slot",
            )
        )
    return found
