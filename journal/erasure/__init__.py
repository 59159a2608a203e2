"""Erase content: locate it, overwrite it with zeros, the ledger of erasures, the list for backups.

The order of durability of an erasure is in `journal.journal`; the engine decides what is due.
"""
