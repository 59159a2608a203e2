"""The shared log in a PostgreSQL database.

`shared` implements the interface, `connection` talks to the server, `demands` checks the server's settings,
`survey` reports all that is wrong with them, and `tables` has the tables. It needs psycopg, which the extra
`cluster` brings; nothing else imports this package, so that a server without a cluster never loads psycopg.
"""

from __future__ import annotations

from retain.journal.shared.postgres.shared import PostgresShared

__all__ = ["PostgresShared"]
