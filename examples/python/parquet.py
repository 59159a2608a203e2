"""A table as Parquet into a container, and a part of it back, with pyarrow's own client for Azure."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import AzureFileSystem


def filesystem(connection: str) -> AzureFileSystem:
    """Return the tenant of a connection string as a file system."""
    fields = dict(part.split("=", 1) for part in connection.strip(";").split(";"))
    endpoint = urlsplit(fields["BlobEndpoint"])
    return AzureFileSystem(
        account_name=fields["AccountName"],
        account_key=fields["AccountKey"],
        blob_storage_authority=endpoint.netloc,
        blob_storage_scheme=endpoint.scheme,
        dfs_storage_authority=endpoint.netloc,
        dfs_storage_scheme=endpoint.scheme,
    )


def main() -> None:
    """Write three rows, read two columns of them."""
    files = filesystem(os.environ["RETAIN_BLOBS"])
    calls = pa.table({"agent": ["otto", "uwe", "otto"], "seconds": [300, 20, 40], "topic": ["a", "b", "c"]})
    path = "gim-export/2026/calls.parquet"
    with files.open_output_stream(path) as target:
        pq.write_table(calls, target)
    frame = pq.read_table(path, columns=["agent", "seconds"], filesystem=files).to_pandas()
    print(f"rows: {len(frame)}")
    longest = frame.sort_values("seconds").iloc[-1]
    print(f"longest: {longest['agent']} {longest['seconds']}")


if __name__ == "__main__":
    main()
