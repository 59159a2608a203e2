"""Compaction: rewriting sealed segments without their erased content, so that the disk gets its space back.

Which content is erased is the business of `journal.erasure`.
"""
