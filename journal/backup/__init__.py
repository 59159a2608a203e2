"""Backups: copy a journal beside its running server, and restore a copy without data erased since.

Reads and writes through a disk; never opens a journal for writing.
"""
