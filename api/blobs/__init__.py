"""The interface for clients of Azure Blob Storage, as docs/wire/blobs.md describes it.

`operations` names the operation of a request, `interface` leads it to its handler, `routes` holds the
handlers; `sas`, `tagquery`, `xml` and `wire` are pure functions. What a blob is belongs to
`retain.engine.blobs`.
"""
