"""Backups: copying a journal beside its running server, and restoring a copy without what was erased since.

Reads and writes through a disk; never opens a journal for writing.
"""
