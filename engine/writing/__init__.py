"""The write path: the one task that decides, applies and appends, its batches, and bodies on their way in.

One of the three folders that know Trio.
"""
