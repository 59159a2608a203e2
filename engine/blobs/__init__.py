"""The blobs domain: containers, blobs, blocks, tags and leases, with their events, decisions and queries.

A command is decided in `decide_*`, its events change the state in `apply_*`. Knows no HTTP and no signature;
the interface is `api.blobs`.
"""

from __future__ import annotations

from retain.engine.blobs.slice import BlobsSlice

__all__ = ["BlobsSlice"]
