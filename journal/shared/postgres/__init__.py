"""The shared log in a PostgreSQL database.

`shared` is the implementation of the interface, `connection` how it talks to the server, `demands` what the
server must be like, `tables` the tables. It needs psycopg, which the extra `cluster` brings; nothing else
imports this package, so that a server without a cluster never loads psycopg.
"""

from __future__ import annotations

from retain.journal.shared.postgres.shared import PostgresShared

__all__ = ["PostgresShared"]
