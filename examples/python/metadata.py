"""SQL over what is known about recordings: names, sizes, dates and tags. No recording is downloaded."""

from __future__ import annotations

import os

import duckdb
from azure.storage.blob import BlobServiceClient, ContainerClient

CALLS = (("sql/1.mp3", "otto", 1000), ("sql/2.mp3", "otto", 2000), ("sql/3.mp3", "uwe", 3000))
QUERY = "SELECT agent, count(*), sum(size) FROM recordings GROUP BY agent ORDER BY agent"


def load(database: duckdb.DuckDBPyConnection, container: ContainerClient, prefix: str) -> None:
    """Fill the table recordings with a row for each blob."""
    database.execute("CREATE TABLE recordings (name TEXT, size BIGINT, modified TIMESTAMPTZ, agent TEXT)")
    for blob in container.list_blobs(prefix, include=["tags"]):
        agent = (blob.tags or {}).get("Agent")
        database.execute(
            "INSERT INTO recordings VALUES (?, ?, ?, ?)", [blob.name, blob.size, blob.last_modified, agent]
        )


def main() -> None:
    """Store three recordings, and ask who recorded how much."""
    with (
        BlobServiceClient.from_connection_string(os.environ["RETAIN_BLOBS"]) as service,
        duckdb.connect() as database,
    ):
        recordings = service.get_container_client("recordings")
        for name, agent, size in CALLS:
            recordings.upload_blob(name, b"\0" * size, overwrite=True, tags={"Agent": agent})
        load(database, recordings, "sql/")
        for agent, calls, size in database.execute(QUERY).fetchall():
            print(f"{agent}: {calls} calls, {size} bytes")


if __name__ == "__main__":
    main()
