"""Libraries that store one value a commit in this process: the cost of a durable write without a server."""

from __future__ import annotations

import importlib.util
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Write = Callable[[str, bytes], None]
"""Stores a value under a key, durably, before it returns."""


@contextmanager
def sqlite(folder: Path) -> Iterator[Write]:
    """Open SQLite in WAL mode with full sync: each commit is synced before it returns."""
    connection = sqlite3.connect(folder / "bench.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE held (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")

    def write(name: str, value: bytes) -> None:
        connection.execute("INSERT INTO held VALUES (?, ?)", (name, value))

    try:
        yield write
    finally:
        connection.close()


def has_diskcache() -> bool:
    """Return whether diskcache is installed."""
    return importlib.util.find_spec("diskcache") is not None


@contextmanager
def diskcache(folder: Path) -> Iterator[Write]:
    """Open a diskcache, which is SQLite with files, set to sync each commit as the others do."""
    from diskcache import Cache

    with Cache(str(folder / "diskcache"), sqlite_synchronous=2) as cache:

        def write(name: str, value: bytes) -> None:
            cache.set(name, value)

        yield write
