"""A connection to PostgreSQL with a bound on each wait, which notices the server's warnings."""

from __future__ import annotations

import logging
from threading import Event
from typing import Final, TypeVar

import psycopg
from psycopg import conninfo, pq
from psycopg.abc import PQGen
from psycopg.rows import TupleRow

from retain.journal.errors import BadTarget

Value = TypeVar("Value")

LOG: Final = logging.getLogger("retain.nodes")
ANSWER_S: Final = 10.0
"""Longest time to wait for one answer. A later one counts as lost, and `settle` finds out the outcome."""
_INTERVAL_S: Final = 0.1
"""Seconds between two checks by psycopg whether the process was interrupted."""

_TOO_LATE: Final = "wait timeout expired"
"""psycopg's words for a wait that took too long; the class of the error is private."""

_DEPRECATED: Final = "01P01"
"""SQLSTATE of a warning that a feature will be removed."""
_NUMBERS: Final = frozenset(
    ("GetNewTransactionId", "SetTransactionIdLimit", "GetNewMultiXactId", "SetMultiXactIdLimit")
)
"""Functions of PostgreSQL that warn that transaction numbers run out. Nothing else tells these warnings from
the one that a commit has no standby: the SQLSTATE of all is 01000."""
_told: set[str] = set()
"""Harmless warnings that were logged, by SQLSTATE and function: some come with each transaction."""

_DEFAULTS: Final = {
    "application_name": "retain",
    "connect_timeout": "3",
    "target_session_attrs": "read-write",
    "keepalives_idle": "2",
    "keepalives_interval": "1",
    "keepalives_count": "3",
    "tcp_user_timeout": "5000",
}
"""Parameters of libpq, unless the URL sets them. They detect a dead server within seconds."""

_SETTINGS: Final = {
    "synchronous_commit": "on",
    "client_min_messages": "warning",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "30s",
    "client_connection_check_interval": "1s",
    "log_parameter_max_length_on_error": "0",
    "search_path": "pg_catalog",
    "default_transaction_isolation": "read\\ committed",
    "enable_sort": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_material": "off",
    "jit": "off",
}
"""Settings of each session, which override those of the role, the database and the server.

A commit waits for the standby, and its warnings arrive. The session of a client that has disconnected ends;
otherwise sessions would collect behind a lock. Frames are read in the order of their index, because a sort
would write them to temporary files."""


class PatientConnection(psycopg.Connection[TupleRow]):
    """A connection that waits at most `patience` seconds for each answer.

    Attributes:
        patience: The longest wait, in seconds.
        warning: The server's last warning that may say that a commit has no standby; None if there was none
            since it was set to None.
        interrupted: Once it is set, no answer is waited for. None: it never is.

    """

    patience: float = ANSWER_S
    warning: str | None = None
    interrupted: Event | None = None

    def wait(self, gen: PQGen[Value], interval: float = _INTERVAL_S, timeout: float | None = None) -> Value:
        """Wait for an answer; close the connection if it does not arrive in time."""
        try:
            waiting = gen if self.interrupted is None else _until(self.interrupted, gen)
            return super().wait(waiting, interval, self.patience if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if self.pgconn.transaction_status in (
                pq.TransactionStatus.ACTIVE,
                pq.TransactionStatus.UNKNOWN,
            ):
                self.close()  # an answer that comes later must not be taken for that of the next statement
            if str(error) == _TOO_LATE:
                raise psycopg.OperationalError(f"there was no answer within {self.patience:g} s") from error
            raise

    def hear(self, notice: psycopg.errors.Diagnostic) -> None:
        """Remember a warning, unless it is known to be harmless: that is logged, each kind once."""
        if notice.severity_nonlocalized != "WARNING":
            return
        words = notice.message_primary or "a warning without words"
        if notice.sqlstate != _DEPRECATED and notice.source_function not in _NUMBERS:
            self.warning = words
            return
        kind = f"{notice.sqlstate} {notice.source_function}"
        if kind not in _told:
            _told.add(kind)
            LOG.warning("the shared log's server warns", extra={"facts": {"warning": words}})


def _until(interrupted: Event, gen: PQGen[Value]) -> PQGen[Value]:
    """Do what `gen` does, but end with an error at psycopg's next check after `interrupted` was set."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and interrupted.is_set():
                raise psycopg.OperationalError("the wait for an answer was interrupted")
            wanted = gen.send(ready)
    except StopIteration as end:
        result: Value = end.value
        return result


def complete(url: str) -> str:
    """Return libpq's connection string for a URL, with what it leaves out.

    Raises:
        BadTarget: It is not a connection string.

    """
    try:
        given = {
            key: str(value) for key, value in conninfo.conninfo_to_dict(url).items() if value is not None
        }
    except psycopg.Error:  # its words would show parts of the URL, the password perhaps
        raise BadTarget(
            "the shared log's address is no PostgreSQL URL: postgresql://retain@db1,db2/retain, say; special "
            "characters of a password are percent-encoded"
        ) from None
    settings = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
    options = f"{given.get('options', '')} {settings}".strip()
    return conninfo.make_conninfo(**{**_DEFAULTS, **given, "options": options, "client_encoding": "utf8"})


def connect(address: str, patience: float, interrupted: Event | None = None) -> PatientConnection:
    """Return a connection to the first server that may be written to.

    Args:
        address: libpq's connection string.
        patience: The longest wait for an answer, in seconds.
        interrupted: Once it is set, the connection waits for no answer. None: it never is.

    Raises:
        psycopg.Error: No such server can be reached.

    """
    connection = PatientConnection.connect(address, autocommit=True, prepare_threshold=0)
    connection.patience, connection.interrupted = patience, interrupted
    connection.add_notice_handler(connection.hear)
    return connection


def reason(error: psycopg.Error) -> str:
    """Return psycopg's words on one line."""
    return " ".join(str(error).split()) or type(error).__name__
