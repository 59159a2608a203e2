"""The blobs domain: containers, blobs, blocks, tags and leases, with their events, decisions and queries.

Knows no HTTP and no signature; the interface is `api.blobs`.
"""

from __future__ import annotations

from retain.engine.blobs.slice import BlobsSlice

__all__ = ["BlobsSlice"]
