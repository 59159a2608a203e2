"""Snapshots of the state: their file, when one is written, and loading it at a start.

One of the three folders that know Trio.
"""
