"""The interface for clients of Azure Blob Storage, as docs/wire/blobs.md describes it.

`interface` leads a request to its handler. `request` has what happens before: its operation, credentials and
conditions. `routes` has the handlers; `sas`, `tagquery`, `xml` and `wire` are pure functions. What a blob is
belongs to `retain.engine.blobs`.
"""
