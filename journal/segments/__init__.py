"""Segment files: naming, mapping, reading and salvaging them, the tail of the newest one, and the anchor.

What the bytes mean is `journal.format`; which frame comes next is `journal.writer`.
"""
