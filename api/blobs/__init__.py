"""The Azure Blob Storage surface: pure cores (signatures, conditions, queries, XML) and the routes above
them.

Reading order: `sas_token`, `sas`, `permissions` (who may do what); `operations`, `surface` (how a request
finds its handler); `routes` (what each operation does). Mounted as `surface.blobs_surface(engine, config,
keys_of)`.
"""
