"""Erasing content: locating it, overwriting it with zeros, the ledger of it, the list that backups obey.

The order of durability of an erasure is in `journal.journal`; when something is due, the engine decides.
"""
