"""The write path: the one task that decides, applies and appends, its batches, and incoming bodies.

One of the folders that import Trio.
"""
