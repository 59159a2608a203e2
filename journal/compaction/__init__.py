"""Compaction: rewrite sealed segments without their erased content, to free disk space.

`journal.erasure` decides which content is erased.
"""
