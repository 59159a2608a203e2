"""Containers, blobs, their tags and leases: the domain behind the Azure Blob surface."""

from retain.engine.blobs.slice import BlobsSlice

__all__ = ["BlobsSlice"]
