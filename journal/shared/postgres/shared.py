"""The shared log over one connection to PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow
from psycopg.types.numeric import Int8

from retain.journal.errors import BadTarget, Fenced, JournalError, TooFarBehind, UnknownVersion, Unsettled
from retain.journal.log import Committed
from retain.journal.shared.interface import (
    FETCH_BYTES,
    NodeReport,
    SharedHead,
    Term,
    changed_meanwhile,
    too_far_behind,
)
from retain.journal.shared.postgres import demands, tables
from retain.journal.shared.postgres.connection import (
    ANSWER_S,
    LOG,
    PatientConnection,
    complete,
    connect,
    reason,
)

_NOTHING = bytes(16)
_CREATING = 0x52455441494E
"""Number of the advisory lock for the creation of the tables: the bytes of RETAIN."""
_ALONE_MS = 500
"""Longest wait of `drop` for its lock on the frames. Reads and appends wait behind it meanwhile."""
_told: set[str] = set()


class PostgresShared:
    """A connection to the shared log in PostgreSQL; see `retain.journal.shared.interface.Shared`.

    It connects when it is first used, and again after an answer was lost: libpq then looks through the URL's
    servers for the one that accepts writes.

    Args:
        url: `postgresql://role@server,other/database`, with libpq's parameters.
        patience: The longest wait for an answer, in seconds.

    Raises:
        BadTarget: `url` is not the URL of a database.

    """

    def __init__(self, url: str, *, patience: float = ANSWER_S) -> None:
        self._address = complete(url)
        self._patience = patience
        self._connection: PatientConnection | None = None
        self._interrupted = Event()
        self._accepted = False
        self._wal = False

    def create(self, identity: bytes, seq: int, root: bytes, segment: int) -> None:
        """Begin the log; create its tables."""
        with self._asking("create") as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (Int8(_CREATING),))
            if connection.execute(tables.HAS_TABLES).fetchone() == (False,):
                if connection.execute(tables.HAS_SCHEMA).fetchone() is None:
                    connection.execute(tables.CREATE_SCHEMA)
                for statement in tables.CREATE:
                    connection.execute(statement)
            values = (tables.VERSION, identity, seq, root, segment, _NOTHING, _NOTHING, seq)
            begun = connection.execute(tables.BEGIN_LOG, _wide(values)).fetchone()
            head = self._read_head(connection)
            if begun is None and (head.identity, head.seq, head.root) != (identity, seq, root):
                other = head.identity != identity
                raise BadTarget(
                    f"the database has the shared log of {'another' if other else 'this'} journal already, "
                    f"which ends with record {head.seq}, not {seq}; use another database, or, if no node "
                    "uses that log any more: DROP SCHEMA retain CASCADE"
                )

    def head(self) -> SharedHead:
        """Return where the log ends."""
        with self._asking("head") as connection:
            return self._read_head(connection)

    def take(self, name: str, url: str, holder: bytes, lease: float) -> SharedHead | None:
        """Begin a new term, if no other node has a lease."""
        with self._asking("take") as connection:
            row = connection.execute(tables.TAKE, (holder, name, url, lease, name, url)).fetchone()
            if row is None:
                connection.execute(tables.COUNT_ANEW, (lease,))
        return None if row is None else _head(row)

    def append(
        self, frame: Committed, term: Term, expected: int, root: bytes, batch: bytes, lease: float
    ) -> None:
        """Commit a frame."""
        moved = (frame.last, root, frame.segment, batch, lease, term.epoch, term.holder, expected)
        values = _wide((*moved, frame.segment, frame.offset, frame.last, frame.frame))
        with self._asking("append") as connection:
            try:
                cursor = connection.execute(tables.APPEND, values)
            except psycopg.errors.CheckViolation:  # no table for this segment yet, and nothing was appended
                self._add_segment(connection, frame.segment)
                cursor = connection.execute(tables.APPEND, values)
            if cursor.rowcount == 0:
                raise self._fenced(connection, term, expected)

    def settle(self, holder: bytes, lease: float) -> SharedHead:
        """Begin a new epoch of the holder's own term."""
        with self._asking("settle") as connection:
            row = connection.execute(tables.SETTLE, (lease, holder)).fetchone()
            if row is None:
                raise self._fenced(connection, Term(0, holder))
        return _head(row)

    def renew(self, term: Term, lease: float) -> None:
        """Renew the lease."""
        with self._asking("renew") as connection:
            if lease > 0:
                cursor = connection.execute(tables.RENEW, _wide((lease, *term)))
            else:
                cursor = connection.execute(tables.GIVE_BACK, _wide(term))
            if cursor.rowcount == 0:
                raise self._fenced(connection, term)

    def after(self, seq: int, until: int, term: Term, most: int = FETCH_BYTES) -> list[Committed]:
        """Return frames."""
        numbers = {"epoch": term.epoch, "seq": seq, "until": until, "most": most, "rows": tables.AFTER_ROWS}
        values = {**{name: Int8(number) for name, number in numbers.items()}, "holder": term.holder}
        with self._asking("after") as connection:
            rows = connection.execute(tables.AFTER, values, binary=True).fetchall()
        if not rows:
            raise BadTarget(_NO_LOG)
        epoch, holder, end, dropped = rows[0][:4]
        if Term(epoch, holder) != term:
            raise Fenced(f"the shared log is in epoch {epoch}, not {term.epoch}", seq=end)
        if until > end:
            self.close()  # the next call looks for the server that has it
            raise Unsettled(f"the shared log's server has records up to {end}, not {until}: it was replaced")
        if seq < dropped:
            raise TooFarBehind(too_far_behind(seq, dropped), seq=seq)
        return sorted((Committed(*row[4:]) for row in rows if row[4] is not None), key=lambda one: one.last)

    def report(self, report: NodeReport) -> None:
        """Store a node's report."""
        with self._asking("report") as connection:
            connection.execute(tables.REPORT, _wide(report[:5]))

    def nodes(self) -> list[NodeReport]:
        """Return each node's last report."""
        with self._asking("nodes") as connection:
            return [NodeReport(*row) for row in connection.execute(tables.NODES).fetchall()]

    def forget(self, name: str) -> bool:
        """Remove a node."""
        with self._asking("forget") as connection:
            return connection.execute(tables.FORGET, (name,)).rowcount > 0

    def keep(
        self,
        files: Mapping[str, bytes | None],
        term: Term,
        before: Mapping[str, bytes | None] | None = None,
    ) -> None:
        """Store small files."""
        with self._asking("keep") as connection, connection.transaction():
            self._hold(connection, term)
            for name, data in files.items():
                if before is not None:
                    row = connection.execute(tables.KEPT_ONE, (name,), binary=True).fetchone()
                    if (None if row is None else bytes(row[0])) != before[name]:
                        raise Fenced(changed_meanwhile(name))
                if data is None:
                    connection.execute(tables.KEEP_NO_MORE, (name,))
                else:
                    connection.execute(tables.KEEP, (name, data))

    def kept(self) -> dict[str, bytes]:
        """Return these files."""
        with self._asking("kept") as connection, connection.transaction():
            rows = connection.execute(tables.KEPT, binary=True).fetchall()
            connection.execute(tables.DURABLY)
        return {name: bytes(data) for name, data in rows}

    def drop(self, term: Term, copies: int, age: float) -> list[int]:
        """Remove the frames of ended segments, and have the server recycle the WAL that carried them."""
        with self._asking("drop") as connection:
            row = connection.execute(tables.LOOK_AT_TERM, _wide(term)).fetchone()
            if row is None:
                raise self._fenced(connection, term)
            if not self._ended(connection, row[0], copies, age):
                return []
            with connection.transaction():
                connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(_ALONE_MS)))
                connection.execute(tables.ALONE)
                ended = self._ended(connection, self._hold(connection, term), copies, age)
                for segment, last in ended:
                    name = sql.Identifier("retain", tables.partition(segment))
                    connection.execute(sql.SQL("DROP TABLE {}").format(name))
                    if last is not None:
                        connection.execute(tables.DROPPED, (Int8(last),))
        self._recycle_wal()
        return [segment for segment, last in ended if last is not None]

    def interrupt(self) -> None:
        """Have a call that waits for its answer, and every later one, raise `Unsettled`."""
        self._interrupted.set()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # --- the connection ----------------------------------------------------------------------------------

    @contextmanager
    def _asking(self, call: str) -> Iterator[PatientConnection]:
        """Convert the failures of a call into the interface's errors.

        A warning counts as a lost answer, unless it is known to be harmless: PostgreSQL reports with one that
        a commit has no standby.
        """
        try:
            connection = self._connected()
            connection.warning = None
            yield connection
            if connection.warning is not None:
                raise Unsettled(f"the shared log's server warned of '{call}': {connection.warning}")
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
            raise BadTarget(_NO_LOG) from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise BadTarget(
                f"the shared log's role may not do what a node needs ({reason(error)}); it must own its "
                "database, or the schema retain and all in it: ALTER DATABASE … OWNER TO …"
            ) from error
        except psycopg.Error as error:
            self.close()
            raise Unsettled(f"the shared log did not answer '{call}': {reason(error)}") from error

    def _connected(self) -> PatientConnection:
        if self._interrupted.is_set():
            raise Unsettled("the connection to the shared log was given up")
        known = self._connection
        if known is not None and not known.closed:
            return known
        connection = connect(self._address, self._patience, self._interrupted)
        try:
            server = demands.ask(connection)
            demands.refuse(server)
        except BadTarget as error:
            connection.close()
            if self._accepted:  # a change may be under way; another server can tell its outcome
                raise Unsettled(str(error)) from error
            raise
        except BaseException:
            connection.close()
            raise
        for sentence in map(str, demands.warn(server)):
            if sentence not in _told:
                _told.add(sentence)
                LOG.warning(sentence)
        self._connection, self._accepted = connection, True
        self._wal = server.switches and server.checkpoints
        return connection

    # --- parts of calls ----------------------------------------------------------------------------------

    @staticmethod
    def _read_head(connection: PatientConnection) -> SharedHead:
        row = connection.execute(tables.HEAD).fetchone()
        if row is None:
            raise BadTarget(_NO_LOG)
        version, head = row[0], row[1:]
        if version != tables.VERSION:
            raise UnknownVersion(
                f"the shared log's tables have version {version}, this release knows {tables.VERSION}: "
                "upgrade this node"
            )
        return _head(head)

    @staticmethod
    def _fenced(connection: PatientConnection, term: Term, expected: int | None = None) -> JournalError:
        """Return why a change matched no row; nothing was changed."""
        row = connection.execute(tables.LEADER).fetchone()
        if row is None:
            return BadTarget(_NO_LOG)
        epoch, seq, leader = row
        if expected is not None and epoch == term.epoch and seq != expected:
            return Fenced(f"the shared log ends with record {seq}, not {expected}", seq=seq)
        return Fenced(f"node {leader} leads the shared log, in epoch {epoch}", seq=seq)

    def _hold(self, connection: PatientConnection, term: Term) -> int:
        """Keep the term from changing until the transaction ends; return the last segment."""
        row = connection.execute(tables.HOLD_TERM, _wide(term)).fetchone()
        if row is None:
            raise self._fenced(connection, term)
        return int(row[0])

    @staticmethod
    def _add_segment(connection: PatientConnection, segment: int) -> None:
        """Create a segment's table if there is none, without blocking reads and appends."""
        with connection.transaction():
            connection.execute(tables.ONE_CREATOR)
            if (segment,) in connection.execute(tables.PARTITIONS).fetchall():
                return
            name = sql.Identifier("retain", tables.partition(segment))
            for statement in tables.ADD_PARTITION:
                text = sql.SQL(statement).format(name=name, segment=sql.Literal(segment))
                connection.execute(text)

    @staticmethod
    def _ended(
        connection: PatientConnection, current: int, copies: int, age: float
    ) -> list[tuple[int, int | None]]:
        """Return the segments that may be dropped, each with its last record, None without one."""
        found: list[tuple[int, int | None]] = []
        for (segment,) in connection.execute(tables.PARTITIONS).fetchall():
            if segment >= current:
                break
            end = connection.execute(tables.SEGMENT_END, (Int8(segment),)).fetchone()
            if end is None:
                found.append((segment, None))
                continue
            last, old = end
            holders = connection.execute(tables.COPIES, (Int8(last),)).fetchone()
            if old < age or holders is None or holders[0] < copies:
                break
            found.append((segment, last))
        return found

    def _recycle_wal(self) -> None:
        """Begin a new WAL file and a checkpoint, so that neither contains the dropped frames.

        The checkpoint removes the old file. A standby without a replication slot that has not received all of
        it could never follow again. The commit between the two waits for the synchronous standbys, as every
        commit does, so that they have it.
        """
        if not self._wal or self._connection is None:
            return
        try:
            self._connection.execute("SELECT pg_switch_wal()")
            self._connection.execute("SELECT pg_logical_emit_message(true, 'retain', 'dropped')")
            self._connection.execute("CHECKPOINT")
        except psycopg.Error as error:
            self.close()
            LOG.warning("the shared log's WAL is recycled later", extra={"facts": {"why": reason(error)}})


_NO_LOG = "no shared log was begun in this database; begin it from a node's data folder: retain node init"


def _head(row: TupleRow) -> SharedHead:
    identity, seq, root, segment, batch, epoch, holder, leader, url, remaining, dropped, ends = row
    term = Term(epoch, holder)
    return SharedHead(identity, seq, root, segment, batch, term, leader, url, remaining, dropped, ends)


def _wide(values: tuple[object, ...]) -> list[object]:
    """Have each number sent as 64 bits: psycopg chooses by size, and each size is a statement of its own."""
    return [Int8(value) if isinstance(value, int) else value for value in values]
