"""The tables of the shared log, all in the schema `retain`.

Frames are partitioned by segment. PostgreSQL overwrites nothing in place and keeps what was deleted, so
a segment's frames are removed as a whole, by DROP TABLE. Values also reach the planner's statistics: columns
with contents have none, and no partition is ever analysed.
"""

from __future__ import annotations

from typing import Final, LiteralString

VERSION: Final = 1
"""Version of these tables. A release that changes them increments it; its leader converts them."""

CREATE: Final[tuple[LiteralString, ...]] = (
    """
    CREATE TABLE retain.head (
        one      boolean PRIMARY KEY DEFAULT true CHECK (one),
        version  bigint NOT NULL,
        identity bytea  NOT NULL,
        seq      bigint NOT NULL,
        root     bytea  NOT NULL,
        segment  bigint NOT NULL,
        batch    bytea  NOT NULL,
        epoch    bigint NOT NULL,
        holder   bytea  NOT NULL,
        leader   text   NOT NULL,
        url      text   NOT NULL,
        until    timestamptz NOT NULL,
        clock    timestamptz NOT NULL,
        dropped  bigint NOT NULL
    ) WITH (fillfactor = 10)
    """,
    """
    CREATE TABLE retain.frames (
        segment bigint NOT NULL,
        place   bigint NOT NULL,
        last    bigint NOT NULL,
        stored  timestamptz NOT NULL DEFAULT clock_timestamp(),
        frame   bytea  NOT NULL
    ) PARTITION BY LIST (segment)
    """,
    "ALTER TABLE retain.frames ALTER COLUMN frame SET STORAGE EXTERNAL",
    "ALTER TABLE retain.frames ALTER COLUMN frame SET STATISTICS 0",
    "CREATE INDEX frames_last ON retain.frames (last)",
    """
    CREATE TABLE retain.node (
        name    text PRIMARY KEY,
        url     text NOT NULL,
        release text NOT NULL,
        durable bigint NOT NULL,
        overwritten bigint NOT NULL,
        seen    timestamptz NOT NULL
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE retain.kept (
        name text PRIMARY KEY,
        data bytea NOT NULL
    )
    """,
    "ALTER TABLE retain.kept ALTER COLUMN data SET STATISTICS 0",
)
"""`head.until` is by the clock of the server that started at `head.clock`."""

HAS_TABLES: Final = "SELECT to_regclass('retain.head') IS NOT NULL"
HAS_SCHEMA: Final = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = 'retain'"
CREATE_SCHEMA: Final = "CREATE SCHEMA retain"

BEGIN_LOG: Final = """
    INSERT INTO retain.head
    VALUES (true, %s, %s, %s, %s, %s, %s, 0, %s, '', '', 'epoch', pg_postmaster_start_time(), %s)
    ON CONFLICT DO NOTHING RETURNING seq
"""

COLUMNS: Final = """
    identity, seq, root, segment, batch, epoch, holder, leader, url,
    CASE WHEN until <= 'epoch' THEN '-infinity'
        ELSE extract(epoch FROM until - clock_timestamp())::float8 END,
    dropped, extract(epoch FROM until)::float8
"""
"""The columns of a `SharedHead`."""

HEAD: Final[LiteralString] = f"SELECT version, {COLUMNS} FROM retain.head"  # noqa: S608 - constant

TAKE: Final[LiteralString] = f"""
    UPDATE retain.head SET
        epoch = epoch + 1, holder = %s, leader = %s, url = %s,
        until = clock_timestamp() + make_interval(secs => %s), clock = pg_postmaster_start_time()
    WHERE (leader = %s AND url = %s) OR until <= 'epoch'
        OR (until <= clock_timestamp() AND clock = pg_postmaster_start_time())
    RETURNING {COLUMNS}
"""  # noqa: S608 - constant

COUNT_ANEW: Final = """
    UPDATE retain.head SET
        until = clock_timestamp() + make_interval(secs => %s), clock = pg_postmaster_start_time()
    WHERE clock <> pg_postmaster_start_time()
"""
"""A lease that another server began to count: its clock may have been behind this one's, so that the lease
would seem to have ended here while its holder still counts on it. It is counted once more, from now on."""

SETTLE: Final[LiteralString] = f"""
    UPDATE retain.head SET
        epoch = epoch + 1,
        until = clock_timestamp() + make_interval(secs => %s), clock = pg_postmaster_start_time()
    WHERE holder = %s
    RETURNING {COLUMNS}
"""  # noqa: S608 - constant

RENEW: Final = """
    UPDATE retain.head SET
        until = clock_timestamp() + make_interval(secs => %s), clock = pg_postmaster_start_time()
    WHERE epoch = %s AND holder = %s
"""
GIVE_BACK: Final = "UPDATE retain.head SET until = 'epoch' WHERE epoch = %s AND holder = %s"
"""End the lease, whatever the clock says."""

APPEND: Final = """
    WITH moved AS (
        UPDATE retain.head SET
            seq = %s, root = %s, segment = %s, batch = %s,
            until = clock_timestamp() + make_interval(secs => %s), clock = pg_postmaster_start_time()
        WHERE epoch = %s AND holder = %s AND seq = %s
        RETURNING 1
    )
    INSERT INTO retain.frames (segment, place, last, frame) SELECT %s, %s, %s, %b FROM moved
"""
"""One statement: it is sent and answered once, and PostgreSQL does all of it or nothing."""

AFTER_ROWS: Final = 4096
"""Most frames whose lengths are read for one answer."""

AFTER: Final = """
    SELECT h.epoch, h.holder, h.seq, h.dropped, f.segment, f.place, f.last, f.frame
    FROM retain.head AS h
    LEFT JOIN LATERAL (
        SELECT segment, place, last, frame
        FROM retain.frames
        WHERE h.epoch = %(epoch)s AND h.holder = %(holder)s AND last > %(seq)s AND last <= (
            SELECT max(sized.last) FROM (
                SELECT last,
                    sum(size) OVER (ORDER BY last) AS total,
                    row_number() OVER (ORDER BY last) AS nth
                FROM (
                    SELECT last, octet_length(frame) AS size
                    FROM retain.frames
                    WHERE last > %(seq)s AND last <= %(until)s
                    ORDER BY last LIMIT %(rows)s
                ) AS next
            ) AS sized
            WHERE sized.total <= %(most)s OR sized.nth = 1
        )
    ) AS f ON true
"""
"""The term and the frames, in any order, from one snapshot. Lengths are known without reading the frames, and
nothing sorts the frames, which could write them to temporary files."""

REPORT: Final = """
    INSERT INTO retain.node VALUES (%s, %s, %s, %s, %s, clock_timestamp())
    ON CONFLICT (name) DO UPDATE SET url = excluded.url, release = excluded.release,
        durable = excluded.durable, overwritten = excluded.overwritten, seen = excluded.seen
"""
NODES: Final = """
    SELECT name, url, release, durable, overwritten, extract(epoch FROM clock_timestamp() - seen)::float8
    FROM retain.node ORDER BY name COLLATE "C"
"""
FORGET: Final = "DELETE FROM retain.node WHERE name = %s"

HOLD_TERM: Final = "SELECT segment FROM retain.head WHERE epoch = %s AND holder = %s FOR UPDATE"
LOOK_AT_TERM: Final = "SELECT segment FROM retain.head WHERE epoch = %s AND holder = %s"
LEADER: Final = "SELECT epoch, seq, leader FROM retain.head"
KEEP: Final = """
    INSERT INTO retain.kept VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET data = excluded.data
"""
KEEP_NO_MORE: Final = "DELETE FROM retain.kept WHERE name = %s"
KEPT_ONE: Final = "SELECT data FROM retain.kept WHERE name = %s"
DURABLY: Final = "SELECT pg_logical_emit_message(true, 'retain', '')"
"""An update that changes nothing. Its commit returns only if the server can make a commit durable."""
KEPT: Final = "SELECT name, data FROM retain.kept"

PARTITIONS: Final = """
    SELECT substring(c.relname FROM '^frames_(\\d+)$')::bigint
    FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'retain.frames'::regclass AND c.relname ~ '^frames_\\d+$'
    ORDER BY 1
"""
SEGMENT_END: Final = """
    SELECT last, extract(epoch FROM clock_timestamp() - stored)::float8
    FROM retain.frames WHERE segment = %s ORDER BY last DESC LIMIT 1
"""
COPIES: Final = "SELECT count(*) FROM retain.node WHERE durable >= %s"
DROPPED: Final = "UPDATE retain.head SET dropped = %s"

ONE_CREATOR: Final = "LOCK TABLE retain.frames IN SHARE UPDATE EXCLUSIVE MODE"
"""One partition is made at a time; frames are read and appended meanwhile."""
ALONE: Final = "LOCK TABLE retain.frames IN ACCESS EXCLUSIVE MODE"
"""Before the row of `head`, as an append locks them: the other way round, each could wait for the other."""


ADD_PARTITION: Final[tuple[LiteralString, ...]] = (
    "CREATE TABLE {name} (LIKE retain.frames INCLUDING ALL) WITH "
    "(autovacuum_enabled = off, toast.autovacuum_enabled = off)",
    "ALTER TABLE {name} ALTER COLUMN frame SET STATISTICS 0",
    "ALTER TABLE retain.frames ATTACH PARTITION {name} FOR VALUES IN ({segment})",
)
"""Not CREATE TABLE … PARTITION OF, which waits until nobody reads `frames`, and makes others wait."""


def partition(segment: int) -> str:
    """Return the name of a segment's table in the schema `retain`."""
    return f"frames_{segment:d}"
