"""Snapshots of the state: their file, their schedule, and loading one at a start.

One of the folders that import Trio.
"""
