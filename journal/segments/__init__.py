"""Segment files: naming, mapping, reading and salvaging them, the tail of the newest one, and the anchor.

`journal.format` interprets the bytes; `journal.writer` writes the next frame.
"""
